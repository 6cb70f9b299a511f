//! Batches on their way to the queue: one being confirmed, one behind it, in the order they came.
//!
//! ```text
//! push ──> waiting ──> in flight ──confirmed──> what follows from it
//! ```
//!
//! While one is confirmed the next is read and made ready, so that neither the source nor the queue
//! waits for the other. Two at a time bound the memory, and what follows from a batch happens only
//! when it and all before it are confirmed.

use std::pin::Pin;

use super::publish::publish_all;
use crate::Result;
use crate::queue::{Outgoing, Queue};

type Publishing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// At most two batches, each with what follows from it.
pub(super) struct Pipeline<'a, Q, T> {
    queue: &'a Q,
    jitter: Option<u64>,
    flight: Option<(Publishing<'a>, T)>,
    waiting: Option<(Vec<Outgoing>, T)>,
}

impl<'a, Q: Queue, T> Pipeline<'a, Q, T> {
    pub(super) fn new(queue: &'a Q, jitter: Option<u64>) -> Self {
        Self {
            queue,
            jitter,
            flight: None,
            waiting: None,
        }
    }

    /// Whether another batch may be handed in.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.is_none()
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.flight.is_none() && self.waiting.is_none()
    }

    /// Hands in a batch; only while there is room.
    pub(super) fn push(&mut self, batch: Vec<Outgoing>, then: T) {
        debug_assert!(self.has_room(), "a batch was handed in without room");
        self.waiting = Some((batch, then));
        self.launch();
    }

    /// Waits until the next batch is confirmed, and says what follows. Waits for ever when there is
    /// none. Cancel safe.
    ///
    /// # Errors
    /// As [`publish_all`]; everything handed in is forgotten then.
    pub(super) async fn confirmed(&mut self) -> Result<T> {
        let Some((publishing, _)) = &mut self.flight else {
            return std::future::pending().await;
        };
        let done = publishing.as_mut().await;
        let then = self.flight.take().map(|(_, then)| then);
        if let Err(error) = done {
            self.waiting = None;
            return Err(error);
        }
        self.launch();
        match then {
            Some(then) => Ok(then),
            None => std::future::pending().await,
        }
    }

    fn launch(&mut self) {
        if self.flight.is_none()
            && let Some((batch, then)) = self.waiting.take()
        {
            self.flight = Some((Box::pin(publish_all(self.queue, batch, self.jitter)), then));
        }
    }
}
