//! Publishing: pipelined, each message with a confirm of its own.
//!
//! ```text
//! batch ──encode──> basic.publish, mandatory ──> on its way ──> [ confirms awaited: flight.rs ] ──> answers
//!            └─over the limit──> parked by key and version, without its body
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lapin::types::ShortString;

use super::Settings;
use super::flight::Flight;
use super::link::Link;
use super::outlet::{Heard, Outlet};
use super::parked;
use super::wire::{self, Envelope};
use crate::change::{Change, Message, Operation, Place};
use crate::clock::Clock;
use crate::queue::{Confirm, Outgoing};
use crate::{Error, Result};

/// Ready when every message of a batch has its answer.
pub(super) type Answers = BoxFuture<'static, Result<Vec<Confirm>>>;

/// A message, and the queue that it goes to.
type Addressed = (ShortString, Envelope);

/// Publishes for everybody.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) link: Link,
    clock: Clock,
    pub(super) window: usize,
    pub(super) window_bytes: usize,
    seed_backlog_max: u64,
    /// Of a message, in bytes: the setting, or less where the broker says so.
    limit: AtomicUsize,
}

impl Publisher {
    pub(super) fn new(link: Link, clock: Clock, settings: &Settings) -> Self {
        Self {
            link,
            clock,
            window: settings.window.max(1),
            window_bytes: settings.window_bytes,
            seed_backlog_max: settings.seed_backlog_max,
            limit: AtomicUsize::new(settings.message_bytes_max),
        }
    }

    /// Publishes in order; see [`Queue::publish`](crate::queue::Queue::publish).
    ///
    /// A change over `message_bytes_max`, or over the broker's own limit, is parked by its key and
    /// version, without its body, and answered as confirmed: nothing that is sent again could be
    /// smaller, and what was set aside holds up nobody.
    pub(super) async fn publish(self: &Arc<Self>, batch: &[Outgoing]) -> Result<Answers> {
        if batch.is_empty() {
            return Ok(std::future::ready(Ok(Vec::new())).boxed());
        }
        let entered = self.link.enter(batch).await?;
        let outlet = self.link.outlet().await?;
        self.wait_for_seed_consumers(&outlet).await?;
        let mut flight = Flight::new(Arc::clone(self), entered, Arc::clone(&outlet), batch.len());
        let sending = self.send_all(batch, &mut flight);
        let sent = self.link.patiently(|| outlet.is_up(), sending).await;
        // What was sent before it broke off may be there, and is answered like the rest.
        Ok(flight.answers(sent.flatten().err()).boxed())
    }

    async fn send_all(&self, batch: &[Outgoing], flight: &mut Flight) -> Result<()> {
        let mut names = BTreeMap::new();
        let partitions = self.link.topology.partitions();
        for (index, outgoing) in batch.iter().enumerate() {
            if outgoing.place.partition >= partitions {
                flight.fail(index, no_partition(outgoing.place.partition, partitions));
                continue;
            }
            let (copy, message) = self.envelopes(outgoing, &mut names);
            let copy = copy.map(|copy| (false, copy));
            for (last, (queue, envelope)) in copy.into_iter().chain([(true, message)]) {
                flight.make_room(envelope.bytes()).await?;
                flight.send((index, last), queue, envelope);
            }
        }
        Ok(())
    }

    /// What one message becomes: a copy for the seed's consumers, and itself or a parked stub.
    fn envelopes(
        &self,
        outgoing: &Outgoing,
        names: &mut BTreeMap<Place, ShortString>,
    ) -> (Option<Addressed>, Addressed) {
        let Outgoing { place, message } = outgoing;
        let change = as_change(message);
        let unsendable = |change: &Change| wire::unsendable(&change.key);
        if let Some((change, why)) = change.and_then(|it| Some((it, unsendable(it)?))) {
            return (None, self.stub(change, *place, why));
        }
        let envelope = wire::encode(message, outgoing.bytes());
        let (size, limit) = (envelope.body.len(), self.limit.load(Ordering::Relaxed));
        // What has no version has no other source than its body, and came out of this broker.
        let large = change.filter(|change| change.version.is_some() && size > limit);
        if let Some(change) = large {
            let why = too_large(&change.key.to_string(), size, limit).to_string();
            return (None, self.stub(change, *place, why));
        }
        let seed_consumers = self.link.topology.seed_consumers.as_ref();
        let is_copied = change.is_some_and(|change| is_copied(change.operation));
        let copy = seed_consumers.filter(|_| is_copied);
        let copy = copy.map(|queue| (queue.as_str().into(), envelope.clone()));
        let name = names.entry(*place);
        let name = name.or_insert_with(|| self.link.topology.queue(*place).into());
        (copy, (name.clone(), envelope))
    }

    /// What is parked for a change that the broker would not take: its key and version, as far as they go.
    fn stub(&self, change: &Change, place: Place, why: String) -> Addressed {
        tracing::warn!(why, version = %change.version, "parked without its body");
        let stub = parked::of_change(change, place, (why, 0), self.clock.now_ms());
        let queue = self.link.topology.parked().into();
        (queue, parked::encode(&stub, Vec::new()))
    }

    /// Sets a message aside, for good once this returns.
    pub(super) async fn park(&self, envelope: Envelope) -> Result<()> {
        let outlet = self.link.outlet().await?;
        let sending = outlet.send(self.link.topology.parked().into(), envelope);
        let hearing = outlet.heard(&sending);
        let heard = self.link.patiently(|| outlet.is_up(), hearing).await?;
        let refusal = self.refusal(heard)?;
        if outlet.is_spoiled() {
            self.link.forget(&outlet).await;
            return Err(self.doubtful());
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Why the broker did not take a message, from what it answered.
    ///
    /// # Errors
    /// Where no answer comes any more on its channel.
    pub(super) fn refusal(&self, heard: Heard) -> Result<Option<Error>> {
        let why = match heard {
            Heard::Confirmed => return Ok(None),
            Heard::Broken(error) => return Err(self.broken(error)),
            Heard::Returned(queue) => format!("queue {queue} is gone; it is declared anew"),
            Heard::Refused => "it refused the message: the queue is full".to_owned(),
            Heard::Nothing => "it was not asked to confirm".to_owned(),
        };
        let service = self.link.broker.service();
        Ok(Some(Error::unavailable(service, "take a message")(why)))
    }

    /// Nothing sent before is answered any more.
    pub(super) fn broken(&self, error: lapin::Error) -> Error {
        if let Some(limit) = size_limit(&error.to_string()) {
            tracing::warn!(limit, "the broker takes smaller messages only");
            self.limit.fetch_min(limit, Ordering::Relaxed);
        }
        self.link.broker.fault("confirm what was published", error)
    }

    /// That nobody knows whether a message was taken.
    pub(super) fn doubtful(&self) -> Error {
        let why = "a queue was gone, and which messages were for it is not known";
        Error::unavailable(self.link.broker.service(), "confirm a message")(why)
    }

    /// The seed's consumers bound us: their queue has no bound of its own, as they declare it plainly.
    async fn wait_for_seed_consumers(&self, outlet: &Arc<Outlet>) -> Result<()> {
        let Some(queue) = &self.link.topology.seed_consumers else {
            return Ok(());
        };
        let backlog = match self.link.count(queue.clone()).await {
            Ok(backlog) => backlog,
            Err(error) => {
                // Somebody may have deleted it: with the next connection it is declared anew.
                self.link.forget(outlet).await;
                return Err(error);
            }
        };
        if backlog < self.seed_backlog_max {
            return Ok(());
        }
        let why = format!(
            "{backlog} copies wait in {queue}: start its consumer, or unset queue.seed_consumers"
        );
        Err(Error::unavailable(
            self.link.broker.service(),
            "take a copy for the seed's consumers",
        )(why))
    }
}

fn as_change(message: &Message) -> Option<&Change> {
    match message {
        Message::Change(change) => Some(change),
        Message::Barrier(_) => None,
    }
}

fn too_large(key: &str, size: usize, limit: usize) -> Error {
    Error::TooLarge {
        thing: format!("the message of {key}"),
        bytes: size as u64,
        limit: limit as u64,
    }
}

pub(super) fn no_partition(partition: u32, partitions: u32) -> Error {
    Error::Config {
        setting: format!("partition {partition}"),
        why: format!("the queue has {partitions}, counted from 0"),
    }
}

/// The broker's own limit, from what it says when it closes the channel over a larger message.
fn size_limit(said: &str) -> Option<usize> {
    let (_, limit) = said.split_once("is larger than")?;
    let digits = limit.split(|one: char| !one.is_ascii_digit());
    digits.into_iter().find_map(|digits| digits.parse().ok())
}

/// Whether the seed's consumers get it: they know no delete, and nothing that fills our own index anew.
fn is_copied(operation: Operation) -> bool {
    !matches!(operation, Operation::Delete | Operation::Fill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_own_limit_is_learned_from_what_it_says() {
        let old = "message size 134217729 is larger than max size 134217728";
        let new = "message size 9 is larger than configured max size 8";
        assert_eq!(size_limit(old), Some(134_217_728));
        assert_eq!(size_limit(new), Some(8));
        assert_eq!(size_limit("NOT_FOUND - no queue"), None);
    }
}
