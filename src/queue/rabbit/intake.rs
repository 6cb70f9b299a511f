//! Takes in what the seed's producers send to a queue of their own.
//!
//! ```text
//! plain queue ──> decode ──> publish to the key's partition, confirmed ──> acknowledged
//!      ▲             └─no message of theirs──> parked ─────────────────────────┘
//!      └── one at a time, and more of them where they are small
//! ```
//!
//! They know neither our partitions nor which fields are redacted, and a plain queue counts no attempts. So what they
//! send is moved to our queues first, where it is counted, parked and ordered like everything else.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use super::broker::Broker;
use super::publish::Publisher;
use super::step::answered;
use super::{declare, generation, parked, wire};
use crate::change::{Change, Lane, Message, Place};
use crate::clock::Clock;
use crate::queue::{Confirm, Outgoing};
use crate::{Error, Result};

/// Messages moved at once.
const BATCH: u16 = 100;
const TAG: &str = "intake";
const ACTION: &str = "deliver what the seed's producers sent";
/// Bytes of them that are fetched at once, as far as those seen of late tell; one may always come.
const FETCH_BYTES: usize = 32 << 20;

/// Moves messages until `shutdown`, each as `clean` leaves it.
///
/// # Errors
/// The first one; what was not acknowledged is still in the queue, so call it again after a pause.
pub(super) async fn run(
    publisher: &Arc<Publisher>,
    clock: &Clock,
    queue: &str,
    clean: &(impl Fn(&mut Change) + Sync),
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    generation::stays(&publisher.link).await?;
    let broker = &publisher.link.broker;
    let fault = |error| broker.fault(ACTION, error);
    let connection = broker.connect("intake").await?;
    declare::plain(broker, &connection, queue, "queue.seed_producers").await?;
    alone(publisher, &connection).await?;
    let channel = declare::channel(broker, &connection).await?;
    let from = (broker, &connection, &channel, queue);
    // What nobody has seen may be of any size.
    let mut window = 1;
    let mut deliveries = subscribe(from, window).await?;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let first = tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            first = deliveries.next() => first,
        };
        let Some(first) = first else {
            let why = "the subscription was cancelled: its queue is gone";
            return Err(Error::unavailable(broker.service(), "deliver")(why));
        };
        let mut batch = vec![first.map_err(fault)?];
        while batch.len() < usize::from(BATCH)
            && let Some(Some(next)) = deliveries.next().now_or_never()
        {
            batch.push(next.map_err(fault)?);
        }
        let Some(next_window) = another_window(window, batch.iter().map(|one| one.data.len()))
        else {
            move_on((publisher, &connection), clock, clean, batch).await?;
            continue;
        };
        // Before anything is acknowledged, so that the broker sends none into the gap; what it has sent is the rest
        // of the batch.
        let cancel = channel.basic_cancel(TAG.into(), BasicCancelOptions::default());
        let is_up = || channel.status().connected();
        let cancelled = answered(broker.deliver_within, is_up, cancel).await;
        cancelled.map_err(fault)?;
        // All of it has come, before the answer.
        let rest = deliveries.by_ref().try_collect::<Vec<_>>();
        let rest = broker.answer(&connection, ACTION, rest).await?;
        batch.extend(rest.map_err(fault)?);
        move_on((publisher, &connection), clock, clean, batch).await?;
        window = next_window;
        deliveries = subscribe(from, window).await?;
    }
}

/// Keeps everybody else from moving messages while this connection lives. What has no version is ordered by arrival, so
/// that two who move it would mix it up: a capture that was fenced off and does not know it yet, say. The next one
/// waits until it is gone.
///
/// The subscription alone would not do, which has gaps.
async fn alone(publisher: &Publisher, connection: &Connection) -> Result<()> {
    let broker = &publisher.link.broker;
    let channel = declare::channel(broker, connection).await?;
    let ours = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), wire::text("classic"));
    let queue = publisher.link.topology.intake();
    let declare = channel.queue_declare(queue.into(), ours, arguments);
    let declared = broker.answer(connection, ACTION, declare).await?;
    declared
        .map(drop)
        .map_err(|error| broker.fault(ACTION, error))
}

/// Subscribes, with so many messages in flight; nobody else may beside us.
async fn subscribe(
    (broker, connection, channel, queue): (&Broker, &Connection, &Channel, &str),
    window: u16,
) -> Result<lapin::Consumer> {
    let consume = async {
        channel
            .basic_qos(window, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions {
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        channel
            .basic_consume(queue.into(), TAG.into(), options, FieldTable::default())
            .await
    };
    let deliveries = broker.answer(connection, ACTION, consume).await?;
    deliveries.map_err(|error| broker.fault(ACTION, error))
}

/// The window for messages of these sizes, where it is quite another one.
fn another_window(window: u16, sizes: impl Iterator<Item = usize>) -> Option<u16> {
    let fit = FETCH_BYTES / sizes.max()?.max(1);
    let wanted = u16::try_from(fit).unwrap_or(BATCH).clamp(1, BATCH);
    (wanted >= window * 2 || wanted * 2 <= window).then_some(wanted)
}

/// Publishes a batch, then acknowledges what was confirmed, unless something before it in its place was
/// not: that comes again, and has to come before it.
async fn move_on(
    (publisher, connection): (&Arc<Publisher>, &Connection),
    clock: &Clock,
    clean: &(impl Fn(&mut Change) + Sync),
    batch: Vec<Delivery>,
) -> Result<()> {
    let mut changes = Vec::with_capacity(batch.len());
    let mut moved = Vec::with_capacity(batch.len());
    for delivery in batch {
        match wire::decode(&delivery.properties, &delivery.data) {
            Ok(Message::Change(mut change)) => {
                if change.committed_ms == 0 {
                    change.committed_ms = clock.now_ms();
                }
                if let Some(why) = wire::unsendable(&change.key) {
                    set_aside((publisher, connection), clock, &delivery, &why).await?;
                    continue;
                }
                clean(&mut change);
                changes.push(change);
                moved.push(delivery);
            }
            Ok(Message::Barrier(_)) => {
                set_aside((publisher, connection), clock, &delivery, "a barrier").await?;
            }
            Err(unreadable) => {
                set_aside((publisher, connection), clock, &delivery, &unreadable.why).await?;
            }
        }
    }
    // After all waiting: the count may have changed meanwhile.
    let partitions = publisher.link.topology.partitions();
    let place = |change| Outgoing::change(change, Lane::Live, partitions);
    let outgoing: Vec<_> = changes.into_iter().map(place).collect();
    let answers = publisher.publish(&outgoing).await?.await?;
    let places = outgoing.iter().map(|one| one.place);
    let (done, failed) = done(places.zip(answers));
    for (delivery, _) in moved.iter().zip(done).filter(|(_, done)| *done) {
        acknowledge(publisher, connection, delivery).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// Which messages are done with, and the first error: none behind a failure in the same place.
fn done(answers: impl Iterator<Item = (Place, Confirm)>) -> (Vec<bool>, Option<Error>) {
    let (mut broken, mut first) = (HashSet::new(), None);
    let done = answers.map(|(place, confirm)| {
        if let Confirm::Failed(error) = confirm {
            broken.insert(place);
            first.get_or_insert(error);
        }
        !broken.contains(&place)
    });
    (done.collect(), first)
}

async fn set_aside(
    (publisher, connection): (&Arc<Publisher>, &Connection),
    clock: &Clock,
    delivery: &Delivery,
    why: &str,
) -> Result<()> {
    let place = Place {
        partition: 0,
        lane: Lane::Live,
    };
    let reason = (format!("a seed producer sent {why}"), 1);
    let received = (&delivery.properties, delivery.data.as_slice());
    let record = parked::unreadable(received, place, reason, clock.now_ms());
    let envelope = parked::encode(&record, delivery.data.clone());
    publisher.park(envelope).await?;
    acknowledge(publisher, connection, delivery).await
}

async fn acknowledge(
    publisher: &Publisher,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<()> {
    let ack = delivery.acker.ack(BasicAckOptions::default());
    publisher.link.broker.settle(connection, ack).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_fetched_one_by_one_until_they_are_seen_to_be_small() {
        let small = another_window(1, [100, 2_000].into_iter());
        assert_eq!(small, Some(BATCH));
        assert_eq!(another_window(1, [20 << 20].into_iter()), None);
        assert_eq!(another_window(BATCH, [2_000].into_iter()), None);
        let large = another_window(BATCH, [100, 128 << 20].into_iter());
        assert_eq!(large, Some(1));
        assert_eq!(another_window(BATCH, [4 << 20].into_iter()), Some(8));
    }

    #[test]
    fn nothing_is_done_with_behind_a_failure_in_its_place() {
        let place = |partition| Place {
            partition,
            lane: Lane::Live,
        };
        let failed = || Confirm::Failed(Error::Stopped { part: "queue" });
        let answers = [
            (place(0), Confirm::Confirmed),
            (place(1), failed()),
            (place(1), Confirm::Confirmed),
            (place(0), Confirm::Confirmed),
        ];
        let (done, error) = done(answers.into_iter());
        assert_eq!(done, [true, false, false, true]);
        assert!(error.is_some());
    }
}
