//! What a consumer asks of the broker, a step at a time: each is a future of its own, which outlives a
//! dropped `receive` and is gone on with by the next one.

use std::future::Future;
use std::pin::Pin;

use lapin::Channel;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
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
    /// Whoever consumes nothing sees no end: it asks whether its generation is over.
    Look,
}

/// Cancels a subscription, then acknowledges what was done of it.
pub(super) fn leave(channel: Channel, old: Option<String>, done: Vec<Message>) -> Stepping {
    Box::pin(async move {
        cancel(&channel, old).await?;
        for message in done {
            message.acker.ack(BasicAckOptions::default()).await?;
        }
        Ok(None)
    })
}

/// Subscribes to a queue as `tag`, with so many messages in flight, in place of an older subscription.
pub(super) fn subscribe(
    channel: Channel,
    (old, tag): (Option<String>, String),
    queue: String,
    window: u32,
) -> Stepping {
    let window = u16::try_from(window).unwrap_or(u16::MAX);
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
