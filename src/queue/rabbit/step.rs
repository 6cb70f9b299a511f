//! What a consumer asks of the broker, a step at a time: each is a future of its own, which outlives a
//! dropped `receive` and is gone on with by the next one.

use std::future::Future;
use std::pin::Pin;

use lapin::{Acker, Channel};

use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::FieldTable;

use super::shelf::Subscribe;

/// Ready with the deliveries of a new subscription, if it is one.
pub(super) type Stepping =
    Pin<Box<dyn Future<Output = lapin::Result<Option<lapin::Consumer>>> + Send>>;

/// Something that is done to a line by the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Subscribe(Subscribe),
    /// The subscription is cancelled, then what was done is acknowledged.
    Leave,
    /// Barriers go behind what was given back, up to the one with this tag.
    SendBack(u64),
    /// Whoever consumes nothing sees no end: it asks whether its generation is over.
    Look,
}

/// The subscriptions of a consumer's lines, all on its one channel.
#[derive(Debug)]
pub(super) struct Subscriptions {
    channel: Channel,
    /// The consumer tag of each line's.
    tags: Vec<Option<String>>,
}

impl Subscriptions {
    /// Of so many lines, none of which is subscribed to.
    pub(super) fn new(channel: Channel, lines: usize) -> Self {
        let tags = vec![None; lines];
        Self { channel, tags }
    }

    /// The channel, which is closed when nobody has it any more.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn take(&mut self, line: usize) -> Option<String> {
        self.tags.get_mut(line)?.take()
    }

    /// Cancels a line's subscription, then acknowledges what was done of it.
    pub(super) fn leave(&mut self, line: usize, done: Vec<Message>) -> Stepping {
        let (channel, old) = (self.channel.clone(), self.take(line));
        Box::pin(async move {
            cancel(&channel, old).await?;
            for message in done {
                message.acker.ack(BasicAckOptions::default()).await?;
            }
            Ok(None)
        })
    }

    /// Subscribes to the queue of a line, in place of its older subscription.
    pub(super) fn subscribe(&mut self, subscribe: Subscribe, queue: String) -> Stepping {
        // Sorted by age, since the broker gives back in the order of these.
        let tag = format!("{:05}.{:010}", subscribe.line, subscribe.epoch);
        let slot = self.tags.get_mut(subscribe.line);
        let old = slot.and_then(|slot| slot.replace(tag.clone()));
        let window = u16::try_from(subscribe.window).unwrap_or(u16::MAX);
        replace(self.channel.clone(), (old, tag), queue, window)
    }

    /// Ends the subscriptions of these lines.
    pub(super) async fn cancel(&mut self, lines: Vec<usize>) -> lapin::Result<()> {
        for line in lines {
            let tag = self.take(line);
            cancel(&self.channel, tag).await?;
        }
        Ok(())
    }
}

/// Gives these back, behind all that was given back before.
pub(super) fn send_back(barriers: Vec<Acker>) -> Stepping {
    Box::pin(async move {
        let options = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        for barrier in barriers {
            barrier.nack(options).await?;
        }
        Ok(None)
    })
}

/// Subscribes to a queue as `tag`, with so many messages in flight, in place of an older subscription.
fn replace(
    channel: Channel,
    (old, tag): (Option<String>, String),
    queue: String,
    window: u16,
) -> Stepping {
    Box::pin(async move {
        cancel(&channel, old).await?;
        // Holds for consumers that begin after it.
        channel
            .basic_qos(window, BasicQosOptions::default())
            .await?;
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(queue.into(), tag.into(), options, FieldTable::default())
            .await
            .map(Some)
    })
}

async fn cancel(channel: &Channel, tag: Option<String>) -> lapin::Result<()> {
    match tag {
        Some(tag) => {
            channel
                .basic_cancel(tag.into(), BasicCancelOptions::default())
                .await
        }
        None => Ok(()),
    }
}
