//! One batch on its way: written behind each other, then answered one by one.
//!
//! ```text
//! send ──> given to the connection ──written──> on its way ──confirmed, returned, refused──> answer
//! ```
//!
//! The client's own call waits until a message is written, and a message at a time is a system call at a
//! time. So many are given to the connection at once, which writes them together. Their order is that in
//! which they are given.
//!
//! A confirm belongs to its message, not to its turn: a batch that was dropped half-way leaves nothing
//! that the next one could take for its own. Not so what is returned, see [`super::outlet`]: what was confirmed on a
//! channel that anything was returned on, and not reported yet, is sent again.

use std::collections::VecDeque;
use std::sync::Arc;

use lapin::types::ShortString;
use tokio::sync::OwnedRwLockReadGuard;

use super::outlet::{Outlet, Sending};
use super::publish::Publisher;
use super::wire::Envelope;
use crate::queue::Confirm;
use crate::{Error, Result};

/// Bytes given to the connection and not yet written: the next write, while it is busy with one.
const UNWRITTEN_MAX: usize = 256 << 10;

/// A batch on its way.
pub(super) struct Flight {
    publisher: Arc<Publisher>,
    /// A generation does not end over a batch on its way.
    _entered: OwnedRwLockReadGuard<bool>,
    outlet: Arc<Outlet>,
    sent: VecDeque<Sent>,
    /// How many of them are known to be written; those are the first.
    written: usize,
    unwritten_bytes: usize,
    unconfirmed_bytes: usize,
    answers: Vec<Option<Confirm>>,
}

/// Sent, and not answered yet.
struct Sent {
    /// Of its message in the batch.
    index: usize,
    /// False for a copy whose original follows: only that one's confirm is the message's.
    last: bool,
    bytes: usize,
    sending: Sending,
}

impl Flight {
    pub(super) fn new(
        publisher: Arc<Publisher>,
        entered: OwnedRwLockReadGuard<bool>,
        outlet: Arc<Outlet>,
        messages: usize,
    ) -> Self {
        Self {
            publisher,
            _entered: entered,
            outlet,
            sent: VecDeque::with_capacity(messages),
            written: 0,
            unwritten_bytes: 0,
            unconfirmed_bytes: 0,
            answers: std::iter::repeat_with(|| None).take(messages).collect(),
        }
    }

    /// Waits until a message of this size may follow.
    pub(super) async fn make_room(&mut self, bytes: usize) -> Result<()> {
        let (window, window_bytes) = (self.publisher.window, self.publisher.window_bytes);
        while self.sent.len() >= window
            || (!self.sent.is_empty() && self.unconfirmed_bytes + bytes > window_bytes)
        {
            self.answer().await?;
        }
        while self.unwritten_bytes + bytes > UNWRITTEN_MAX
            && let Some(first) = self.sent.get(self.written)
        {
            self.outlet.written(&first.sending).await;
            self.unwritten_bytes -= first.bytes;
            self.written += 1;
        }
        Ok(())
    }

    /// Gives a message to the connection; `last` of those that its place in the batch becomes.
    pub(super) fn send(
        &mut self,
        (index, last): (usize, bool),
        queue: ShortString,
        envelope: Envelope,
    ) {
        let bytes = envelope.bytes();
        let sending = self.outlet.send(queue, envelope);
        self.unwritten_bytes += bytes;
        self.unconfirmed_bytes += bytes;
        self.sent.push_back(Sent {
            index,
            last,
            bytes,
            sending,
        });
    }

    /// The message at this place of the batch was not taken.
    pub(super) fn fail(&mut self, index: usize, error: Error) {
        self.set(index, Confirm::Failed(error));
    }

    /// Awaits every answer; `broken` says why no more was sent.
    pub(super) async fn answers(mut self, broken: Option<Error>) -> Result<Vec<Confirm>> {
        let (publisher, outlet) = (Arc::clone(&self.publisher), Arc::clone(&self.outlet));
        let answering = publisher
            .link
            .patiently(|| outlet.is_up(), self.answer_all());
        let answered = answering.await.flatten();
        if let Some(error) = broken.or(answered.err()) {
            // Its state may say "connected" for a while yet.
            publisher.link.forget(&self.outlet).await;
            if self.answers.iter().all(Option::is_none) {
                return Err(error);
            }
            tracing::debug!(error = %error.chain(), "publishing broke off");
        }
        if self.outlet.is_spoiled() {
            publisher.link.forget(&self.outlet).await;
            for answer in &mut self.answers {
                if matches!(answer, Some(Confirm::Confirmed)) {
                    *answer = Some(Confirm::Failed(publisher.doubtful()));
                }
            }
        }
        let unanswered = || Confirm::Failed(publisher.link.no_answer());
        let answers = self.answers.into_iter();
        Ok(answers
            .map(|answer| answer.unwrap_or_else(unanswered))
            .collect())
    }

    async fn answer_all(&mut self) -> Result<()> {
        while !self.sent.is_empty() {
            self.answer().await?;
        }
        Ok(())
    }

    /// Awaits the oldest confirm and notes it.
    async fn answer(&mut self) -> Result<()> {
        let Some(Sent {
            index,
            last,
            bytes,
            sending,
        }) = self.sent.pop_front()
        else {
            return Ok(());
        };
        self.unconfirmed_bytes -= bytes;
        if self.written > 0 {
            self.written -= 1;
        } else {
            self.unwritten_bytes -= bytes;
        }
        let heard = self.outlet.heard(&sending).await;
        match self.publisher.refusal(heard)? {
            Some(error) => self.set(index, Confirm::Failed(error)),
            None if last => self.set(index, Confirm::Confirmed),
            None => {}
        }
        Ok(())
    }

    /// A message that became two is confirmed when both are.
    fn set(&mut self, index: usize, confirm: Confirm) {
        if let Some(answer) = self.answers.get_mut(index)
            && !matches!(answer, Some(Confirm::Failed(_)))
        {
            *answer = Some(confirm);
        }
    }
}
