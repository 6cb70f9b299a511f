//! Batches on their way to the queue: a window that slides over them.
//!
//! ```text
//! push ──> waiting ──> lent to the queue ──> on its way ──> answered ──in turn──> what follows from it
//!             ▲                                                │
//!             └── after a pause: what failed, and all that followed it to the same place
//! ```
//!
//! The next batch is sent while the last ones are confirmed, so that source, program and queue work at
//! the same time. What follows from a batch happens only when it and all before it are confirmed. After
//! a failure nothing new is sent until all that is on its way is answered, and what has to go again has
//! gone.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;

use tokio::time::{Instant, sleep_until};

use super::publish::Again;
use crate::queue::{Confirm, Outgoing, Queue};
use crate::retry::Backoff;
use crate::{Error, Recovery, Result};

/// Attempts in a row in which nothing at all was confirmed before the session is opened anew.
const FRUITLESS_MAX: u32 = 5;

/// How much may be on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Messages that may be sent and not confirmed, one batch more at most.
    pub(super) sent: usize,
    /// Messages in hand, those that wait to be sent among them; one batch more at most.
    pub(super) held: usize,
    /// The same in bytes.
    pub(super) bytes: usize,
}

impl Room {
    /// A single batch, of any size.
    pub(super) const ONE_BATCH: Self = Self {
        sent: 1,
        held: 1,
        bytes: 1,
    };
}

/// Batches in the order in which they came, each with what follows from it.
pub(super) struct Pipeline<'a, Q: Queue, T> {
    queue: &'a Q,
    room: Room,
    line: VecDeque<Part<Q, T>>,
    /// The part that is lent to the queue; it has it back when this is ready.
    lent: Option<Lent<'a, Q>>,
    /// An answer says that something failed: nothing is sent until all are there.
    failed: bool,
    fruitless: u32,
    backoff: Backoff,
    /// When it is sent again.
    again_at: Option<Instant>,
}

struct Part<Q: Queue, T> {
    bytes: usize,
    then: T,
    state: State<Q>,
}

enum State<Q: Queue> {
    /// To be sent; nothing left means confirmed.
    Waiting(Vec<Outgoing>),
    /// It is in [`Pipeline::lent`]: so many messages.
    Lent(usize),
    /// Every message has been sent.
    Sent(Vec<Outgoing>, Pin<Box<Q::Answers>>),
    /// Every message has its answer, or none will.
    Answered(Vec<Outgoing>, Result<Vec<Confirm>>),
}

type Lent<'a, Q> =
    Pin<Box<dyn Future<Output = (Vec<Outgoing>, Result<<Q as Queue>::Answers>)> + Send + 'a>>;

/// What happened on the way.
enum Step<Q: Queue> {
    Sent(Vec<Outgoing>, Result<Q::Answers>),
    Answered(usize, Result<Vec<Confirm>>),
    Again,
}

impl<'a, Q: Queue, T> Pipeline<'a, Q, T> {
    pub(super) fn new(queue: &'a Q, room: Room, jitter: Option<u64>) -> Self {
        Self {
            queue,
            room,
            line: VecDeque::new(),
            lent: None,
            failed: false,
            fruitless: 0,
            backoff: Backoff::jittered(jitter),
            again_at: None,
        }
    }

    /// Whether another batch may be handed in.
    pub(super) fn has_room(&self) -> bool {
        let held: usize = self.line.iter().map(|part| part.state.messages()).sum();
        let bytes: usize = self.line.iter().map(|part| part.bytes).sum();
        held < self.room.held && bytes < self.room.bytes
    }

    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Hands in a batch; only while there is room.
    pub(super) fn push(&mut self, batch: Vec<Outgoing>, then: T) {
        debug_assert!(self.has_room(), "a batch was handed in without room");
        self.line.push_back(Part {
            bytes: batch.iter().map(Outgoing::bytes).sum(),
            then,
            state: State::Waiting(batch),
        });
    }

    /// Moves batches on until the first one is confirmed, and says what follows from it. Waits for ever
    /// when there is none. Cancel safe.
    ///
    /// # Errors
    /// When the queue takes nothing for a while, or one that trying again cannot mend; everything that
    /// was handed in is forgotten then.
    pub(super) async fn confirmed(&mut self) -> Result<T> {
        loop {
            if let Some(then) = self.take_confirmed() {
                return Ok(then);
            }
            self.launch();
            match self.step().await {
                Step::Sent(batch, Ok(answers)) => self.sent(State::Sent(batch, Box::pin(answers))),
                Step::Sent(batch, Err(error)) => self.sent(State::Answered(batch, Err(error))),
                Step::Answered(at, answers) => self.answered(at, answers),
                Step::Again => self.again_at = None,
            }
            if let Err(error) = self.gather() {
                (self.lent, self.again_at) = (None, None);
                self.line.clear();
                return Err(error);
            }
        }
    }

    /// What follows from the first batch, once all of it is confirmed.
    fn take_confirmed(&mut self) -> Option<T> {
        let first = self.line.front()?;
        if !first.state.is_confirmed() {
            return None;
        }
        let part = self.line.pop_front()?;
        if let State::Answered(..) = part.state {
            self.fruitless = 0;
            self.backoff.reset();
        }
        Some(part.then)
    }

    /// Lends the next batch to the queue, if more may be on its way.
    fn launch(&mut self) {
        if self.failed || self.lent.is_some() || self.again_at.is_some() {
            return;
        }
        let sent = self.line.iter().map(|part| part.state.on_its_way());
        if sent.sum::<usize>() >= self.room.sent {
            return;
        }
        let waits = |part: &&mut Part<Q, T>| matches!(&part.state, State::Waiting(left) if !left.is_empty());
        let Some(part) = self.line.iter_mut().find(waits) else {
            return;
        };
        let count = part.state.messages();
        if let State::Waiting(batch) = std::mem::replace(&mut part.state, State::Lent(count)) {
            let queue = self.queue;
            self.lent = Some(Box::pin(async move {
                let answers = queue.publish(&batch).await;
                (batch, answers)
            }));
        }
    }

    /// Waits for what comes next: answers in the order of their batches. Cancel safe.
    async fn step(&mut self) -> Step<Q> {
        let mut parts = self.line.iter_mut().enumerate();
        let first = parts.find_map(|(at, part)| match &mut part.state {
            State::Sent(_, answers) => Some((at, answers)),
            _ => None,
        });
        let answered = async {
            match first {
                Some((at, answers)) => (at, answers.await),
                None => pending().await,
            }
        };
        let (lent, again_at) = (&mut self.lent, self.again_at);
        let sent = async {
            match lent {
                Some(lent) => lent.await,
                None => pending().await,
            }
        };
        let pause_is_over = async {
            match again_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            (at, answers) = answered => Step::Answered(at, answers),
            (batch, answers) = sent => Step::Sent(batch, answers),
            () = pause_is_over => Step::Again,
        }
    }

    fn sent(&mut self, state: State<Q>) {
        self.lent = None;
        self.failed |= matches!(state, State::Answered(..));
        let mut parts = self.line.iter_mut();
        if let Some(part) = parts.find(|part| matches!(part.state, State::Lent(_))) {
            part.state = state;
        }
    }

    fn answered(&mut self, at: usize, answers: Result<Vec<Confirm>>) {
        if let Some(part) = self.line.get_mut(at)
            && let State::Sent(batch, _) = &mut part.state
        {
            part.state = State::Answered(std::mem::take(batch), answers);
            self.failed |= !part.state.is_confirmed();
        }
    }

    /// After a failure, and once nothing is on its way: what has to be sent again waits for it.
    fn gather(&mut self) -> Result<()> {
        if !self.failed || self.line.iter().any(|part| part.state.on_its_way() > 0) {
            return Ok(());
        }
        self.failed = false;
        let (mut again, mut sent, mut left) = (Again::default(), 0, 0);
        for part in &mut self.line {
            let waiting = State::Waiting(Vec::new());
            part.state = match std::mem::replace(&mut part.state, waiting) {
                State::Answered(batch, answers) => {
                    sent += batch.len();
                    let batch = again.of(batch, answers);
                    left += batch.len();
                    State::Waiting(batch)
                }
                other => other,
            };
        }
        let Some(error) = again.error else {
            return Ok(());
        };
        self.fruitless = if left < sent { 0 } else { self.fruitless + 1 };
        self.try_again(error, left)
    }

    fn try_again(&mut self, error: Error, left: usize) -> Result<()> {
        match error.recovery() {
            Recovery::Retry(pause) if self.fruitless < FRUITLESS_MAX => {
                tracing::warn!(error = %error.chain(), left, "publishing again");
                self.again_at = Some(Instant::now() + self.backoff.next(pause));
                Ok(())
            }
            _ => Err(error),
        }
    }
}

impl<Q: Queue> State<Q> {
    fn messages(&self) -> usize {
        match self {
            Self::Lent(count) => *count,
            Self::Waiting(batch) | Self::Sent(batch, _) | Self::Answered(batch, _) => batch.len(),
        }
    }

    fn on_its_way(&self) -> usize {
        match self {
            Self::Lent(_) | Self::Sent(..) => self.messages(),
            Self::Waiting(_) | Self::Answered(..) => 0,
        }
    }

    /// Nothing failed in it.
    fn is_confirmed(&self) -> bool {
        match self {
            Self::Waiting(left) => left.is_empty(),
            Self::Answered(batch, Ok(answers)) => {
                let is_confirmed = |answer: &Confirm| matches!(answer, Confirm::Confirmed);
                answers.len() == batch.len() && answers.iter().all(is_confirmed)
            }
            Self::Answered(_, Err(_)) | Self::Lent(_) | Self::Sent(..) => false,
        }
    }
}

#[cfg(test)]
mod tests;
