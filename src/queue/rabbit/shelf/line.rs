//! One queue of a consumer: what was fetched of it, and what may be handed out.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::change::Place;

/// One place: its messages by delivery tag, which is their order.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) place: Place,
    /// Whether its partition is to be consumed.
    pub(super) wanted: bool,
    pub(super) post: Post,
    pub(super) held: BTreeMap<u64, Held<T>>,
    /// What was settled while it is being drained, and is not acknowledged yet.
    pub(super) done: Vec<Held<T>>,
    /// Subscriptions that may still bring something.
    pub(super) open: u32,
    /// What the broker sends without an acknowledgement; none between two subscriptions.
    pub(super) window: Option<u32>,
    /// The subscription is asked for, and not made yet.
    pub(super) subscribing: bool,
    /// Counts subscriptions.
    pub(super) epoch: u32,
    /// A message was seen that nobody fetched before.
    pub(super) fresh: bool,
    /// What is known under this subscription of what was given back.
    pub(super) returned: Returned,
    /// The largest message of late, in bytes.
    pub(super) size: usize,
    /// Until then more may be on its way; none while the window is full or there is none.
    pub(super) unsure_until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) epoch: u32,
    pub(super) attempt: u32,
    pub(super) is_barrier: bool,
    pub(super) bytes: usize,
    /// When it was fetched.
    pub(super) since: Instant,
    pub(super) state: State,
    pub(super) item: T,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Hand,
    Resting(Instant),
    /// A barrier that goes back to the broker.
    Back,
    /// Settled, and acknowledged when its line has been drained.
    Done,
}

/// Whether a line is consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    /// It is another worker's.
    Away,
    Here,
    /// It is being drained.
    Leaving,
}

/// What was given back and has not come again, as far as barriers show. The broker has it in the order in which
/// it was given back, which is not that of publishing where two consumers ended one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// Some may be there, also behind a barrier that they were published before.
    Unknown,
    /// A barrier was sent back, and so stands behind all of it: which, how often it had come, and how many
    /// looked like it since. Barriers that come before it does are sent behind it.
    Behind(Uuid, u32, u8),
    /// All has come.
    All,
}

/// How long a live queue with room in its window may be silent before it counts as empty.
pub(super) const SILENCE: Duration = Duration::from_millis(500);
/// Copies of one barrier in a queue at most: each lost confirm makes one. An end in case that a broker does
/// not count.
const COPIES_MAX: u8 = 100;

impl Returned {
    /// Whether a barrier that has come so often, this time included, has to go back.
    pub(super) fn sends_back(&mut self, barrier: Uuid, received: u32) -> bool {
        match self {
            Self::All => return false,
            Self::Unknown if received > 1 => *self = Self::Behind(barrier, received, 0),
            Self::Behind(first, before, alike) if *first == barrier => {
                *alike += 1;
                if received > *before || *alike > COPIES_MAX {
                    *self = Self::All;
                }
            }
            Self::Behind(..) => {}
            // Nobody received it: the broker has nothing left that was given back.
            Self::Unknown => *self = Self::All,
        }
        *self != Self::All
    }
}

impl<T> Line<T> {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            wanted: false,
            post: Post::Away,
            held: BTreeMap::new(),
            done: Vec::new(),
            open: 0,
            window: None,
            subscribing: false,
            epoch: 0,
            fresh: false,
            returned: Returned::Unknown,
            size: 1,
            unsure_until: None,
        }
    }

    /// Nothing was fetched, and nothing will be.
    pub(super) fn is_given_up(&self) -> bool {
        self.post == Post::Away && self.open == 0 && self.held.is_empty()
    }

    /// A window for a caller that asks for so much.
    pub(super) fn window_for(&self, asked: usize, line_bytes: usize) -> u32 {
        let fit = (line_bytes / self.size).max(1);
        let window = if self.fresh { asked.min(fit) } else { 1 };
        u32::try_from(window)
            .unwrap_or(u32::MAX)
            .clamp(1, u16::MAX.into())
    }

    /// The broker sends no more until something is acknowledged.
    pub(super) fn is_full(&self) -> bool {
        let unacknowledged = self.held.values().chain(&self.done);
        let sent = unacknowledged
            .filter(|held| held.epoch == self.epoch)
            .count();
        self.window.is_some_and(|window| sent >= window as usize)
    }

    /// Takes the barriers away that were sent back, up to this one.
    pub(super) fn sent_back(&mut self, last: u64, now: Instant) -> Vec<T> {
        let was_full = self.is_full();
        let is_sent = |tag: &u64, held: &mut Held<T>| *tag <= last && held.state == State::Back;
        let sent: Vec<_> = self.held.extract_if(.., is_sent).collect();
        // They come again at once, also to a line that is being left: that is not drained before.
        if was_full && !self.is_full() {
            self.unsure_until = Some(now + SILENCE);
        }
        sent.into_iter().map(|(_, held)| held.item).collect()
    }

    /// Where the window was full: what comes next may be on its way. One that says nothing is sure to be empty
    /// after a while, and what waits for that may go on.
    pub(super) fn has_room(&mut self, now: Instant) {
        if !self.is_full() && self.post != Post::Leaving {
            self.unsure_until = Some(now + SILENCE);
        }
    }

    /// It is being left, and nothing of it is here or may be on its way: what comes behind a cancellation is given back
    /// by the broker itself, and counts as an attempt of somebody.
    pub(super) fn is_drained(&self, now: Instant) -> bool {
        let is_silent = || self.unsure_until.is_none_or(|until| until <= now);
        let is_quiet = || self.window.is_none() || self.is_full() || is_silent();
        self.post == Post::Leaving && self.held.is_empty() && is_quiet()
    }

    /// Full of what the caller keeps in hand or gave back, so that nothing could come any more.
    ///
    /// A worker settles before it asks again, and never gets here. For one that does not, the window is
    /// opened anew beside what it has; another consumer of the place may then pass a barrier before
    /// this one is done.
    pub(super) fn is_used_up(&self, now: Instant) -> bool {
        let kept = |held: &Held<T>| match held.state {
            State::Ready | State::Back => false,
            State::Hand | State::Done => true,
            State::Resting(due) => due > now,
        };
        self.is_full() && self.held.values().all(kept)
    }

    /// Between two subscriptions or about to be, or silent for a short while only.
    pub(super) fn is_unsure(&self, now: Instant) -> bool {
        // One that is being drained says nothing that would be waited for.
        self.post == Post::Here
            && (self.window.is_none()
                || self.is_used_up(now)
                || (!self.is_full() && self.unsure_until.is_none_or(|until| now < until)))
    }

    /// A barrier is free when nothing before it is left but barriers that are free too; until then
    /// nothing behind it is. So the watermarks of a quiet night are passed in batches.
    pub(super) fn free(&self, now: Instant) -> impl Iterator<Item = (u64, &Held<T>)> {
        let is_free = move |held: &Held<T>| match held.state {
            State::Ready => true,
            State::Hand | State::Back | State::Done => false,
            State::Resting(due) => due <= now,
        };
        let mut barriers_only = true;
        self.held
            .iter()
            .take_while(move |(_, held)| {
                let is_passed = held.state == State::Hand || barriers_only;
                barriers_only &= held.is_barrier && is_free(held);
                !held.is_barrier || is_passed
            })
            .filter(move |(_, held)| is_free(held))
            .map(|(tag, held)| (*tag, held))
    }
}
