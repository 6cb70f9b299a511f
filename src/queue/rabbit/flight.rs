//! One batch on its way: written behind each other, then answered one by one.
//!
//! ```text
//! send ──> given to the connection ──written──> on its way ──confirmed, returned, refused──> answer
//! ```
//!
//! The client's own call waits until a message is written, and a message at a time is a system call at a
//! time. So many are given to the connection at once, which writes them together. Their order is that in
//! which they are given: that part of the call happens when it is first polled.
//!
//! A confirm belongs to its message, not to its turn: a batch that was dropped half-way leaves nothing
//! that the next one could take for its own.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, PublisherConfirm};
use tokio::sync::OwnedRwLockReadGuard;

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
    channel: Arc<Channel>,
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

/// Where a message is.
pub(super) enum Sending {
    /// Given to the connection once this has been polled.
    Given(BoxFuture<'static, lapin::Result<PublisherConfirm>>),
    Written(PublisherConfirm),
    Broken(lapin::Error),
}

impl Sending {
    pub(super) fn new(channel: Arc<Channel>, queue: ShortString, envelope: Envelope) -> Self {
        let Envelope { properties, body } = envelope;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let publish = async move {
            let none = ShortString::default();
            let publish = channel.basic_publish(none, queue, options, &body, properties);
            publish.await
        };
        Self::Given(publish.boxed())
    }

    /// Gives it to the connection, and does not wait until it is written.
    async fn give(&mut self) {
        poll_fn(|context| Poll::Ready(self.poll_written(context).is_ready())).await;
    }

    /// Waits until it is written; while the broker blocks us, that is long. Cancel safe.
    async fn written(&mut self) {
        poll_fn(|context| self.poll_written(context)).await;
    }

    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Self::Given(publish) = self {
            *self = match ready!(publish.as_mut().poll(context)) {
                Ok(confirm) => Self::Written(confirm),
                Err(error) => Self::Broken(error),
            };
        }
        Poll::Ready(())
    }

    /// What the broker says of it.
    pub(super) async fn confirmed(self) -> lapin::Result<Confirmation> {
        match self {
            Self::Given(publish) => publish.await?.await,
            Self::Written(confirm) => confirm.await,
            Self::Broken(error) => Err(error),
        }
    }
}

impl Flight {
    pub(super) fn new(
        publisher: Arc<Publisher>,
        entered: OwnedRwLockReadGuard<bool>,
        channel: Arc<Channel>,
        messages: usize,
    ) -> Self {
        Self {
            publisher,
            _entered: entered,
            channel,
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
            && let Some(first) = self.sent.get_mut(self.written)
        {
            first.sending.written().await;
            self.unwritten_bytes -= first.bytes;
            self.written += 1;
        }
        Ok(())
    }

    /// Gives a message to the connection; `last` of those that its place in the batch becomes.
    pub(super) async fn send(
        &mut self,
        (index, last): (usize, bool),
        queue: ShortString,
        envelope: Envelope,
    ) {
        let bytes = envelope.bytes();
        let mut sending = Sending::new(Arc::clone(&self.channel), queue, envelope);
        sending.give().await;
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
        let publisher = Arc::clone(&self.publisher);
        let answered = publisher.link.patiently(self.answer_all()).await;
        if let Some(error) = broken.or(answered.err()) {
            // Its state may say "connected" for a while yet.
            publisher.link.forget(&self.channel).await;
            if self.answers.iter().all(Option::is_none) {
                return Err(error);
            }
            tracing::debug!(error = %error.chain(), "publishing broke off");
        }
        let unanswered = || Confirm::Failed(publisher.no_answer());
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
        let confirmation = sending.confirmed().await;
        let confirmation = confirmation.map_err(|error| self.publisher.broken(error))?;
        match self.publisher.refusal(&self.channel, confirmation).await {
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
