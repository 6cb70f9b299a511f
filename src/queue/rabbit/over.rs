//! When a consumer's generation is over: its queues are gone, and others have taken their place.
//!
//! ```text
//! an end was settled ──> a queue that is gone was deleted on purpose ──┐
//! nothing is consumed ──now and then──> a queue of its own is gone ─────┴──> over
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use lapin::message::Delivery as Message;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::step::answered;
use super::{declare, wire};
use crate::change::{Barrier, Message as Carried};

/// Between two looks of a consumer that consumes nothing.
const LOOK: Duration = Duration::from_secs(3);

/// What one consumer knows of it.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// The end of one of its queues was settled: one that is gone from now on was deleted on purpose.
    pub(super) is_ended: bool,
    pub(super) done: bool,
    /// When it looks next; none while it consumes.
    look_at: Option<Instant>,
}

impl Over {
    /// Whether a subscription failed because its queue was deleted on purpose.
    pub(super) fn explains(&self, error: &lapin::Error) -> bool {
        self.is_ended && declare::is_soft(error, &AMQPSoftError::NOTFOUND)
    }

    /// Whether it is time to look; never while anything is consumed.
    pub(super) fn is_to_look(&mut self, is_idle: bool) -> bool {
        if !is_idle {
            self.look_at = None;
            return false;
        }
        let now = Instant::now();
        let due = *self.look_at.get_or_insert(now + LOOK);
        if due <= now {
            self.look_at = Some(now + LOOK);
        }
        due <= now
    }

    /// When to ask again whether it is time.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.look_at.filter(|due| *due > now)
    }

    /// Takes in what a look found.
    pub(super) fn looked<T>(&mut self, found: lapin::Result<T>) -> lapin::Result<()> {
        match found {
            Err(error) if declare::is_soft(&error, &AMQPSoftError::NOTFOUND) => self.done = true,
            found => drop(found?),
        }
        Ok(())
    }
}

/// Looks whether a queue is there; asked so that the usual answer is no error in the broker's log.
///
/// Each of its calls is waited for so long.
pub(super) fn look<T: Send + 'static>(
    connection: Arc<Connection>,
    queue: String,
    within: Duration,
) -> Pin<Box<dyn Future<Output = lapin::Result<Option<T>>> + Send>> {
    Box::pin(async move {
        // On a channel of its own, which the answer "no" closes.
        let is_up = || connection.status().connected();
        let channel = answered(within, is_up, connection.create_channel()).await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
        answered(within, is_up, declare).await?;
        let close = channel.close(200, "OK".into());
        answered(within, is_up, close).await.ok();
        Ok(None)
    })
}

pub(super) fn is_end(message: &Message) -> bool {
    let decoded = || wire::decode(&message.properties, &message.data);
    // A change is not read once more, which may have megabytes.
    wire::is_barrier(&message.properties)
        && matches!(decoded(), Ok(Carried::Barrier(Barrier::End { .. })))
}
