//! Publishing: pipelined, each message with a confirm of its own.
//!
//! ```text
//! batch ──encode──> basic.publish, mandatory ──> [ at most window confirms awaited ] ──> answers
//!            └─over the limit──> parked by key and version, without its body
//! ```
//!
//! A confirm belongs to its message, not to its turn: a call that was dropped half-way leaves nothing
//! that the next call could take for its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation, PublisherConfirm};

use super::Settings;
use super::link::Link;
use super::parked;
use super::wire::{self, Envelope};
use crate::change::{Message, Operation};
use crate::clock::Clock;
use crate::queue::{Confirm, Outgoing};
use crate::{Error, Result};

/// Publishes for everybody.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) link: Link,
    clock: Clock,
    window: usize,
    window_bytes: usize,
    seed_backlog_max: u64,
    /// Of a message, in bytes: the setting, or less where the broker says so.
    limit: AtomicUsize,
}

/// Sent, and not answered yet.
struct Sent {
    /// Of its message in the batch.
    index: usize,
    /// False for a copy whose original follows: only that one's confirm is the message's.
    last: bool,
    bytes: usize,
    confirm: PublisherConfirm,
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
    pub(super) async fn publish(&self, batch: Vec<Outgoing>) -> Result<Vec<Confirm>> {
        let mut answers: Vec<Option<Confirm>> = batch.iter().map(|_| None).collect();
        let broken = self.send_all(batch, &mut answers).await.err();
        if let Some(error) = broken {
            // Its state may say "connected" for a while yet.
            self.link.forget().await;
            if answers.iter().all(Option::is_none) {
                return Err(error);
            }
            tracing::debug!(error = %error.chain(), "publishing broke off");
        }
        let unanswered = || Confirm::Failed(self.no_answer());
        Ok(answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(unanswered))
            .collect())
    }

    async fn send_all(&self, batch: Vec<Outgoing>, answers: &mut [Option<Confirm>]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let channel = self.link.channel().await?;
        self.wait_for_seed_consumers().await?;
        let mut sent = VecDeque::new();
        let mut bytes = 0;
        for (index, outgoing) in batch.into_iter().enumerate() {
            let mut envelopes = self
                .envelopes(index, outgoing, answers)
                .into_iter()
                .peekable();
            while let Some((queue, envelope)) = envelopes.next() {
                while sent.len() >= self.window
                    || (!sent.is_empty() && bytes + envelope.bytes() > self.window_bytes)
                {
                    bytes -= self.answer(&mut sent, answers).await?;
                }
                bytes += envelope.bytes();
                sent.push_back(Sent {
                    index,
                    last: envelopes.peek().is_none(),
                    bytes: envelope.bytes(),
                    confirm: self.send(&channel, &queue, envelope).await?,
                });
            }
        }
        while !sent.is_empty() {
            self.answer(&mut sent, answers).await?;
        }
        Ok(())
    }

    /// What one message becomes: itself or a parked stub, and a copy for the seed's consumers.
    fn envelopes(
        &self,
        index: usize,
        outgoing: Outgoing,
        answers: &mut [Option<Confirm>],
    ) -> Vec<(String, Envelope)> {
        let Outgoing { place, message } = outgoing;
        if place.partition >= self.link.topology.partitions {
            let error = no_partition(place.partition, self.link.topology.partitions);
            set(answers, index, Confirm::Failed(error));
            return Vec::new();
        }
        let envelope = wire::encode(&message);
        let limit = self.limit.load(Ordering::Relaxed);
        let (size, change) = (envelope.body.len(), as_change(message));
        let mut envelopes = Vec::with_capacity(2);
        match change {
            Some(change) if size > limit => {
                let (key, version) = (&change.key, change.version);
                tracing::warn!(%key, %version, size, limit, "too large for the broker, parked by key and version");
                let reason = too_large(&change.key.to_string(), size, limit).to_string();
                let now_ms = self.clock.now_ms();
                let stub = parked::of_change(&change, place, (reason, 0), now_ms);
                envelopes.push((
                    self.link.topology.parked(),
                    parked::encode(&stub, Vec::new()),
                ));
            }
            change => {
                let copied = change.is_some_and(|change| change.operation != Operation::Delete);
                if let Some(queue) = self
                    .link
                    .topology
                    .seed_consumers
                    .as_ref()
                    .filter(|_| copied)
                {
                    envelopes.push((queue.clone(), envelope.clone()));
                }
                envelopes.push((self.link.topology.queue(place), envelope));
            }
        }
        envelopes
    }

    /// Sets a message aside, for good once this returns.
    pub(super) async fn park(&self, envelope: Envelope) -> Result<()> {
        let channel = self.link.channel().await?;
        let confirm = self
            .send(&channel, &self.link.topology.parked(), envelope)
            .await?;
        let mut answers = [None];
        let mut sent = VecDeque::from([Sent {
            index: 0,
            last: true,
            bytes: 0,
            confirm,
        }]);
        self.answer(&mut sent, &mut answers).await?;
        match answers {
            [Some(Confirm::Failed(error))] => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives the message to the connection; waits while that is blocked.
    async fn send(
        &self,
        channel: &Channel,
        queue: &str,
        envelope: Envelope,
    ) -> Result<PublisherConfirm> {
        let Envelope { properties, body } = envelope;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let publish = channel.basic_publish("".into(), queue.into(), options, &body, properties);
        let sent = self.link.patiently(publish).await;
        sent.map_err(|error| self.broken(error))
    }

    /// Awaits the oldest confirm and notes it; gives back the size of its message.
    async fn answer(
        &self,
        sent: &mut VecDeque<Sent>,
        answers: &mut [Option<Confirm>],
    ) -> Result<usize> {
        let Some(Sent {
            index,
            last,
            bytes,
            confirm,
        }) = sent.pop_front()
        else {
            return Ok(0);
        };
        let confirm = self
            .link
            .patiently(confirm)
            .await
            .map_err(|error| self.broken(error))?;
        let failed = match confirm {
            // The broker returns a message before it confirms it.
            Confirmation::Ack(None) => None,
            Confirmation::Ack(Some(returned)) => {
                self.link.forget().await;
                let queue = returned.routing_key.to_string();
                Some(format!("queue {queue} is gone; it is declared anew"))
            }
            Confirmation::Nack(_) => Some("it refused the message: the queue is full".to_owned()),
            Confirmation::NotRequested => Some("it was not asked to confirm".to_owned()),
        };
        match failed {
            None if last => set(answers, index, Confirm::Confirmed),
            None => {}
            Some(why) => {
                let error = Error::unavailable(self.link.broker.service(), "take a message")(why);
                set(answers, index, Confirm::Failed(error));
            }
        }
        Ok(bytes)
    }

    /// Nothing sent before is answered any more.
    fn broken(&self, error: lapin::Error) -> Error {
        if let Some(limit) = size_limit(&error.to_string()) {
            tracing::warn!(limit, "the broker takes smaller messages only");
            self.limit.fetch_min(limit, Ordering::Relaxed);
        }
        self.link.broker.fault("confirm what was published", error)
    }

    fn no_answer(&self) -> Error {
        let why = "the connection was lost before the answer";
        Error::unavailable(self.link.broker.service(), "confirm a message")(why)
    }

    /// The seed's consumers bound us: their queue has no bound of its own, as they declare it plainly.
    async fn wait_for_seed_consumers(&self) -> Result<()> {
        let Some(queue) = &self.link.topology.seed_consumers else {
            return Ok(());
        };
        let backlog = self.link.count(queue.clone()).await?;
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

/// A message with two envelopes is confirmed when both are.
fn set(answers: &mut [Option<Confirm>], index: usize, confirm: Confirm) {
    if let Some(answer) = answers.get_mut(index)
        && !matches!(answer, Some(Confirm::Failed(_)))
    {
        *answer = Some(confirm);
    }
}

fn as_change(message: Message) -> Option<crate::change::Change> {
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
