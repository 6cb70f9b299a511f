//! Messages that were set aside: how they are written, listed and forgotten.
//!
//! ```text
//! lockstep.parked ──consume──> [ all that is there ] ──marker seen: that was all──> channel closed
//!       ▲                           └─forgotten: acknowledged                             │
//!       └──────────────────── the rest comes back, in its order ──────────────────────────┘
//! ```
//!
//! A listing publishes a marker first and reads until it comes back, so that it knows the end without
//! asking for counts. The queue has a single active consumer: two listings wait for each other.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use uuid::Uuid;

use super::broker::Broker;
use super::declare;
use super::publish::Publisher;
use super::topology;
use super::wire::{self, Envelope, header, integer, text, text_header};
use crate::change::{Change, Lane, Message, Place, Version};
use crate::queue::{Parked, Unreadable};
use crate::{Error, Result};

const PARKED_HEADER: &str = "lockstep-parked";
const MARKER_KIND: &str = "marker";
const MARKED_HEADER: &str = "lockstep-marked-ms";
/// A marker older than this belongs to a listing that died.
const MARKER_AGE_MAX_MS: u64 = 600_000;
/// Messages that one listing reads: as many as the protocol lets a consumer have without acknowledging them.
const LISTED_MAX: u16 = u16::MAX;
/// A listing that gets nothing for so long waits for another one that does not end.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes of a reason as JSON: all headers have to fit into one frame.
const REASON_BYTES_MAX: usize = 8 << 10;

/// The record of a change.
pub(super) fn of_change(
    change: &Change,
    place: Place,
    (reason, attempts): (String, u32),
    parked_ms: u64,
) -> Parked {
    Parked {
        id: change.message_id,
        key: Some(change.key.clone()),
        version: change.version,
        operation: Some(change.operation),
        place,
        reason,
        attempts,
        parked_ms,
    }
}

/// The record of whatever was received.
///
/// # Errors
/// [`Error::Malformed`] for a barrier, which is never parked.
pub(super) fn of_received(
    (properties, body): (&BasicProperties, &[u8]),
    place: Place,
    (reason, attempts): (String, u32),
    parked_ms: u64,
) -> Result<Parked> {
    match wire::decode(properties, body) {
        Ok(Message::Change(change)) => Ok(of_change(&change, place, (reason, attempts), parked_ms)),
        Ok(Message::Barrier(_)) => Err(Error::malformed("a barrier", "it is never parked")),
        Err(Unreadable { .. }) => {
            let received = (properties, body);
            Ok(unreadable(received, place, (reason, attempts), parked_ms))
        }
    }
}

/// The record of bytes that are no message, or none that may be parked.
pub(super) fn unreadable(
    (properties, body): (&BasicProperties, &[u8]),
    place: Place,
    (reason, attempts): (String, u32),
    parked_ms: u64,
) -> Parked {
    Parked {
        id: wire::message_id(properties, body),
        key: None,
        version: Version::NONE,
        operation: None,
        place,
        reason,
        attempts,
        parked_ms,
    }
}

/// A parked message. The body is kept where it is the only source of what it says: a change with a
/// version is read again from the source, never replayed.
pub(super) fn encode(parked: &Parked, body: Vec<u8>) -> Envelope {
    let mut record = parked.clone();
    record.reason = shortened(&record.reason);
    // A floor waits for whatever has no key.
    record.key = record.key.filter(|key| wire::unsendable(key).is_none());
    let mut headers = FieldTable::default();
    let json = serde_json::to_string(&record).unwrap_or_default();
    headers.insert(PARKED_HEADER.into(), text(json));
    let body = if record.version.is_some() {
        Vec::new()
    } else {
        body
    };
    Envelope::new("parked", record.id, headers, body)
}

/// As much of the beginning as fits; counted as JSON writes it.
fn shortened(reason: &str) -> String {
    let mut left = REASON_BYTES_MAX;
    let fits = |one: &char| {
        let written = match one {
            '"' | '\\' => 2,
            one if one.is_control() => 6,
            one => one.len_utf8(),
        };
        let fits = written <= left;
        left = left.saturating_sub(written);
        fits
    };
    reason.chars().take_while(fits).collect()
}

/// The record of a message in the parked queue: ours, or one that the broker gave up itself.
fn decode(delivery: &Delivery, topology: &topology::Topology) -> Parked {
    let (properties, body) = (&delivery.properties, &delivery.data);
    let ours = text_header(properties, PARKED_HEADER);
    if let Some(record) = ours.and_then(|json| serde_json::from_str(&json).ok()) {
        return record;
    }
    let death = Death::of(properties);
    let unknown = Place {
        partition: 0,
        lane: Lane::Live,
    };
    let place = death
        .queue
        .as_deref()
        .and_then(|queue| topology.place(queue));
    let reason = format!(
        "the broker set it aside: {} in queue {}",
        death.reason.as_deref().unwrap_or("no reason given"),
        death.queue.as_deref().unwrap_or("unknown"),
    );
    let counted = (reason, death.count);
    let place = place.unwrap_or(unknown);
    let record = of_received((properties, body), place, counted, death.time_ms);
    record.unwrap_or_else(|error| {
        let counted = (error.to_string(), death.count);
        unreadable((properties, body), place, counted, death.time_ms)
    })
}

/// What the broker wrote on a message that it gave up.
#[derive(Default)]
struct Death {
    reason: Option<String>,
    queue: Option<String>,
    count: u32,
    time_ms: u64,
}

impl Death {
    fn of(properties: &BasicProperties) -> Self {
        let deaths = header(properties, "x-death").and_then(AMQPValue::as_array);
        let first = deaths.and_then(|deaths| deaths.as_slice().first());
        let Some(death) = first.and_then(AMQPValue::as_field_table) else {
            return Self::default();
        };
        let said = |name| death.inner().get(name);
        let text = |name| {
            said(name)
                .and_then(AMQPValue::as_long_string)
                .map(ToString::to_string)
        };
        let number = |name| {
            said(name)
                .and_then(integer)
                .and_then(|it| u64::try_from(it).ok())
        };
        Self {
            reason: text("reason"),
            queue: text("queue"),
            count: number("count")
                .and_then(|it| u32::try_from(it).ok())
                .unwrap_or(1),
            time_ms: number("time").unwrap_or(0).saturating_mul(1_000),
        }
    }
}

/// Everything that is parked, by id; of those with one id the newest. Forgets `forgotten`.
///
/// # Errors
/// When the broker goes away, or another listing does not end.
pub(super) async fn list(
    publisher: &Publisher,
    forgotten: &HashSet<Uuid>,
    now_ms: u64,
) -> Result<BTreeMap<Uuid, Parked>> {
    let marker = Uuid::new_v4();
    let broker = &publisher.link.broker;
    let (connection, channel) = publisher.link.side_channel().await?;
    // Before the marker is sent, which nobody would reach.
    let queue = publisher.link.topology.parked();
    let count = declare::count(broker, &connection, &channel, queue.clone());
    if count.await? >= LISTED_MAX.into() {
        return Err(too_many(broker, &queue));
    }
    let mut headers = FieldTable::default();
    let marked_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    headers.insert(MARKED_HEADER.into(), AMQPValue::LongLongInt(marked_ms));
    publisher
        .park(Envelope::new(MARKER_KIND, marker, headers, Vec::new()))
        .await?;
    // Nothing is acknowledged while it is read, and without a number of its own a quorum queue sends 2,000.
    let consume = async {
        let qos = BasicQosOptions::default();
        channel.basic_qos(LISTED_MAX, qos).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        channel
            .basic_consume(queue.into(), "list".into(), options, none)
            .await
    };
    let consume = broker.answer(&connection, "list parked messages", consume);
    let deliveries = consume.await?;
    let mut listing = Listing {
        deliveries: deliveries.map_err(|error| broker.fault("list parked messages", error))?,
        channel,
    };
    let what = (marker, forgotten, now_ms);
    listing.read((publisher, &connection), what).await
}

/// Everything that it did not acknowledge comes back when it is dropped, in its order.
struct Listing {
    channel: Channel,
    deliveries: lapin::Consumer,
}

impl Drop for Listing {
    fn drop(&mut self) {
        // Before the deliveries go: they would cancel, and a listing that waits for this one would be
        // served before everything is back.
        self.channel.close(200, "OK".into()).now_or_never();
    }
}

impl Listing {
    async fn read(
        &mut self,
        (publisher, connection): (&Publisher, &Connection),
        (marker, forgotten, now_ms): (Uuid, &HashSet<Uuid>, u64),
    ) -> Result<BTreeMap<Uuid, Parked>> {
        let (broker, topology) = (&publisher.link.broker, &publisher.link.topology);
        let fault = |error| broker.fault("list parked messages", error);
        let mut listed: BTreeMap<Uuid, Parked> = BTreeMap::new();
        let mut kept = 0;
        while kept < LISTED_MAX {
            let next = tokio::time::timeout(SILENCE_MAX, self.deliveries.next()).await;
            let next =
                next.map_err(Error::unavailable(broker.service(), "list parked messages"))?;
            let Some(delivery) = next else {
                let why = "the listing was cut off";
                return Err(Error::unavailable(broker.service(), "list parked messages")(why));
            };
            let delivery = delivery.map_err(fault)?;
            let id = wire::message_id(&delivery.properties, &delivery.data);
            let ack = || {
                let ack = delivery.acker.ack(BasicAckOptions::default());
                broker.settle(connection, ack)
            };
            if is_marker(&delivery.properties) {
                let since = header(&delivery.properties, MARKED_HEADER).and_then(integer);
                let since_ms = since.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
                if id == marker || since_ms.saturating_add(MARKER_AGE_MAX_MS) < now_ms {
                    ack().await?;
                }
                if id == marker {
                    return Ok(listed);
                }
            } else if forgotten.contains(&id) {
                ack().await?;
            } else {
                kept += 1;
                let record = decode(&delivery, topology);
                match listed.get(&record.id) {
                    Some(other) if other.parked_ms > record.parked_ms => {}
                    _ => drop(listed.insert(record.id, record)),
                }
            }
        }
        Err(too_many(broker, &topology.parked()))
    }
}

fn too_many(broker: &Broker, queue: &str) -> Error {
    broker.refused(
        format!("more than {LISTED_MAX} messages are set aside, and it hands out no more at once"),
        format!("find in the logs why, mend that, purge the queue {queue}, and read the types again: `lockstep snapshot`"),
    )
}

fn is_marker(properties: &BasicProperties) -> bool {
    let kind = properties.kind().as_ref();
    kind.is_some_and(|kind| kind.as_str() == MARKER_KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_as_long_as_a_header_may_be() {
        assert_eq!(shortened("it failed"), "it failed");
        for one in ["\"", "\\", "\n", "\u{1}", "é", "語", "x"] {
            let kept = shortened(&one.repeat(2 * REASON_BYTES_MAX));
            let written = serde_json::to_string(&kept).unwrap().len() - 2;
            assert!(written <= REASON_BYTES_MAX, "{one:?} {written}");
            assert!(3 * written > REASON_BYTES_MAX - 6, "{one:?} {written}");
        }
    }
}
