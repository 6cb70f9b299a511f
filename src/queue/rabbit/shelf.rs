//! What a consumer has fetched, and which of it is handed out next. No IO.
//!
//! ```text
//! fetched ──> ready ──choose──> in hand ──settle, park──> gone
//!               ▲                  │
//!               └─due─ resting <───┴─release
//! ```
//!
//! The broker counts an attempt for everything that was fetched when a consumer dies, handed out or
//! not. So a line fetches one message until it sees one that nobody fetched before, and then no more
//! than was asked for: a crash charges innocents once at most, and alone they are found innocent.
//!
//! The broker puts what is given back behind what was given back before and still waits. So where two
//! consumers ended one after the other, a barrier may come before what it was published behind: the first that
//! was fetched before is sent back, and until it comes again so is every barrier after it ([`Returned`]).
//!
//! A partition that goes to another worker is drained first: its lines hand out what they have, nothing is
//! acknowledged, so that the broker sends hardly more than the window holds, and when all is done the subscription
//! is cancelled before the acknowledgements. So nobody else is served before what this one had is stored.

mod choose;
mod line;

use std::collections::BTreeSet;

use tokio::time::Instant;
use uuid::Uuid;

use crate::change::{Lane, Place};
use line::{Held, Line, Post, Returned, SILENCE, State};

/// Everything fetched by one consumer; `T` is what the choice does not depend on.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    lines: Vec<Line<T>>,
    /// Bytes that all lines together may have fetched.
    bytes: usize,
    /// The most that was asked for at once.
    limit_max: usize,
    /// Deliveries since the last one of a backfill lane.
    since_backfill: u32,
}

/// A message as it arrived.
#[derive(Debug)]
pub(super) struct Fetched<T> {
    pub(super) tag: u64,
    pub(super) attempt: u32,
    /// If it is a barrier: which, and how often it has come, whatever is forgiven.
    pub(super) barrier: Option<(Uuid, u32)>,
    pub(super) bytes: usize,
    pub(super) item: T,
}

/// A subscription to be made: of which line, as its which, and how large its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subscribe {
    pub(super) line: usize,
    pub(super) epoch: u32,
    pub(super) window: u32,
}

impl<T> Shelf<T> {
    /// Lines of these places; none is subscribed to before it is wanted.
    pub(super) fn new(places: impl IntoIterator<Item = Place>, bytes: usize) -> Self {
        Self {
            lines: places.into_iter().map(Line::new).collect(),
            bytes,
            limit_max: 1,
            since_backfill: 0,
        }
    }

    /// From now on these partitions are wanted: others are drained. One that is being drained is left
    /// before it is taken again.
    pub(super) fn want(&mut self, partitions: &BTreeSet<u32>) {
        for line in &mut self.lines {
            line.wanted = partitions.contains(&line.place.partition);
            line.post = match line.post {
                Post::Away if line.wanted => Post::Here,
                Post::Here if !line.wanted => Post::Leaving,
                post => post,
            };
        }
    }

    /// Partitions that something was, is or may still be fetched of.
    pub(super) fn holds(&self) -> BTreeSet<u32> {
        let held = self.lines.iter().filter(|line| !line.is_given_up());
        held.map(|line| line.place.partition).collect()
    }

    /// The next line that is drained, and what is acknowledged once its subscription is cancelled.
    pub(super) fn next_leave(&mut self, now: Instant) -> Option<(usize, Vec<T>)> {
        let index = self.lines.iter().position(|line| line.is_drained(now))?;
        let line = self.lines.get_mut(index)?;
        line.post = if line.wanted { Post::Here } else { Post::Away };
        line.window = None;
        line.fresh = false;
        line.unsure_until = None;
        let done = std::mem::take(&mut line.done).into_iter();
        Some((index, done.map(|held| held.item).collect()))
    }

    /// What was settled of the lines that are being drained, and is not acknowledged yet.
    pub(super) fn take_done(&mut self) -> Vec<T> {
        let done = self.lines.iter_mut().flat_map(|line| line.done.drain(..));
        done.map(|held| held.item).collect()
    }

    /// A subscription of this line brings nothing any more.
    pub(super) fn ended(&mut self, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            line.open = line.open.saturating_sub(1);
        }
    }

    /// When the oldest message that is not acknowledged came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.unacknowledged().map(|held| held.since).min()
    }

    /// What a worker has not in its hands, and whether it had it there and gave it back.
    pub(super) fn innocent(&self) -> impl Iterator<Item = (&T, bool)> {
        let innocent = self
            .unacknowledged()
            .filter(|held| held.state != State::Hand);
        innocent.map(|held| (&held.item, matches!(held.state, State::Resting(_))))
    }

    fn unacknowledged(&self) -> impl Iterator<Item = &Held<T>> {
        let lines = self.lines.iter();
        lines.flat_map(|line| line.held.values().chain(&line.done))
    }

    /// Bytes that one line may have fetched.
    fn line_bytes(&self) -> usize {
        let here = self.lines.iter().filter(|line| line.post != Post::Away);
        self.bytes / here.count().max(1)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.lines.iter().map(|line| line.place)
    }

    /// The next subscription that is missing, or too narrow for what the caller keeps in hand.
    pub(super) fn next_subscription(&mut self, limit: usize, now: Instant) -> Option<Subscribe> {
        self.limit_max = self.limit_max.max(limit);
        let line_bytes = self.line_bytes();
        let limit_max = self.limit_max;
        let needs = |line: &Line<T>| {
            line.post == Post::Here && (line.window.is_none() || line.is_used_up(now))
        };
        // Round robin is not needed: a line that got its window needs none for a while.
        let index = self.lines.iter().position(needs)?;
        let line = self.lines.get_mut(index)?;
        let asked = if line.window.is_none() {
            limit_max
        } else {
            limit.max(line.held.len())
        };
        let window = line.window_for(asked, line_bytes);
        line.epoch += 1;
        line.window = Some(window);
        line.subscribing = true;
        // Between two subscriptions another consumer may have come and gone.
        line.returned = Returned::Unknown;
        line.unsure_until = None;
        Some(Subscribe {
            line: index,
            epoch: line.epoch,
            window,
        })
    }

    /// The subscription stands; from now on messages may come.
    pub(super) fn subscribed(&mut self, subscribe: Subscribe, now: Instant) {
        if let Some(line) = self.lines.get_mut(subscribe.line) {
            line.open += 1;
            line.subscribing = false;
            line.unsure_until = Some(now + SILENCE);
        }
    }

    /// Whether this is the line's subscription of now.
    pub(super) fn is_current(&self, line: usize, epoch: u32) -> bool {
        let line = self.lines.get(line);
        line.is_some_and(|line| line.epoch == epoch && line.window.is_some())
    }

    /// The last of the barriers that go back to the broker, and all of them.
    pub(super) fn to_send_back(&self) -> Option<(u64, Vec<&T>)> {
        let lines = self.lines.iter().flat_map(|line| &line.held);
        let back: Vec<_> = lines
            .filter(|(_, held)| held.state == State::Back)
            .collect();
        let last = back.iter().map(|(tag, _)| **tag).max()?;
        Some((last, back.into_iter().map(|(_, held)| &held.item).collect()))
    }

    /// Takes those away that were sent back, up to this one.
    pub(super) fn sent_back(&mut self, last: u64, now: Instant) -> Vec<T> {
        let lines = self.lines.iter_mut();
        lines.flat_map(|line| line.sent_back(last, now)).collect()
    }

    /// Takes in what arrived.
    pub(super) fn fetched(
        &mut self,
        (line, epoch): (usize, u32),
        fetched: Fetched<T>,
        now: Instant,
    ) {
        let Some(line) = self.lines.get_mut(line) else {
            return;
        };
        line.fresh |= fetched.attempt == 1;
        line.size = fetched.bytes.max(line.size - line.size / 8).max(1);
        let goes_back = fetched
            .barrier
            .is_some_and(|(barrier, received)| line.returned.sends_back(barrier, received));
        let held = Held {
            epoch,
            attempt: fetched.attempt,
            is_barrier: fetched.barrier.is_some(),
            bytes: fetched.bytes,
            since: now,
            state: if goes_back { State::Back } else { State::Ready },
            item: fetched.item,
        };
        line.held.insert(fetched.tag, held);
        if line.is_full() {
            line.unsure_until = None;
        }
    }

    /// When to choose again though nothing arrived.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let resting = self.lines.iter().flat_map(|line| line.held.values());
        let resting = resting.filter_map(|held| match held.state {
            State::Resting(due) => Some(due),
            State::Ready | State::Hand | State::Back | State::Done => None,
        });
        let unsure = self.lines.iter().filter_map(|line| line.unsure_until);
        resting.chain(unsure).filter(|due| *due > now).min()
    }

    /// A message in hand.
    pub(super) fn in_hand(&self, tag: u64) -> Option<(Place, u32, &T)> {
        let mut lines = self.lines.iter();
        let (place, held) = lines.find_map(|line| Some((line.place, line.held.get(&tag)?)))?;
        (held.state == State::Hand).then_some((place, held.attempt, &held.item))
    }

    /// Takes what is in hand away for good: place, whether it is a barrier, and the rest; none of a line
    /// that is being drained, which keeps it until [`Self::next_leave`].
    pub(super) fn remove(&mut self, tag: u64, now: Instant) -> Option<(Place, bool, Option<T>)> {
        let line = self.lines.iter_mut().find(|line| {
            let held = line.held.get(&tag);
            held.is_some_and(|held| held.state == State::Hand)
        })?;
        let was_full = line.is_full();
        let mut held = line.held.remove(&tag)?;
        if was_full {
            line.has_room(now);
        }
        let (place, is_barrier) = (line.place, held.is_barrier);
        if line.post != Post::Leaving {
            return Some((place, is_barrier, Some(held.item)));
        }
        held.state = State::Done;
        line.done.push(held);
        Some((place, is_barrier, None))
    }

    /// Lines whose window is full: the broker sends nothing more of them until something is acknowledged.
    pub(super) fn full(&self) -> Vec<usize> {
        let lines = self.lines.iter().enumerate();
        let full = lines.filter(|(_, line)| line.is_full());
        full.map(|(index, _)| index).collect()
    }

    /// Of the lines that were `full` before what was just settled, those with nothing fetched, and no subscription under
    /// way, whose window should be another one. They count as unsubscribed from now on: cancel them before acknowledging
    /// their last message, so that the broker sends none into the gap, and hands nothing behind a message in our hand
    /// to another consumer. What is on its way to a line that was not full would come again behind what follows it.
    pub(super) fn resize(&mut self, full: &[usize]) -> Vec<usize> {
        let mut resized = Vec::new();
        let line_bytes = self.line_bytes();
        for index in full {
            let Some(line) = self.lines.get_mut(*index) else {
                continue;
            };
            let is_idle = line.post == Post::Here && line.held.is_empty() && !line.subscribing;
            let Some(window) = line.window.filter(|_| is_idle) else {
                continue;
            };
            let wanted = line.window_for(self.limit_max, line_bytes);
            if wanted >= window * 2 || wanted * 2 <= window {
                line.window = None;
                resized.push(*index);
            }
        }
        resized
    }

    /// Gives back; not to be handed out before `due`.
    pub(super) fn release(&mut self, tag: u64, due: Instant) {
        let held = self
            .lines
            .iter_mut()
            .find_map(|line| line.held.get_mut(&tag));
        if let Some(held) = held.filter(|held| held.state == State::Hand) {
            held.state = State::Resting(due);
        }
    }

    /// Changes that are here.
    pub(super) fn changes(&self) -> impl Iterator<Item = Lane> {
        let changes = |line: &Line<T>| line.held.values().filter(|held| !held.is_barrier).count();
        self.lines
            .iter()
            .flat_map(move |line| std::iter::repeat_n(line.place.lane, changes(line)))
    }

    fn held(&mut self, line: usize, tag: u64) -> Option<&mut Held<T>> {
        self.lines.get_mut(line)?.held.get_mut(&tag)
    }
}

#[cfg(test)]
mod tests;
