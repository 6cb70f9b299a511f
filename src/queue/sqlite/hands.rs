//! Who has which message in hand, and which were given back. No IO.
//!
//! ```text
//! rows past the cursor ──take──> held ──settle──> gone
//!                          ▲       │
//!                          └───────┴──give back──> rests until due
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::time::Instant;

use crate::change::Place;

/// What all consumers of a queue have in hand.
#[derive(Debug, Default)]
pub(super) struct Hands {
    places: HashMap<Place, Line>,
    held: HashMap<i64, Held>,
    /// Numbers of those that are here, and the last one given.
    here: HashSet<u64>,
    last: u64,
}

/// One place.
#[derive(Debug, Default)]
struct Line {
    /// The highest sequence number ever taken: past it every row is free.
    cursor: i64,
    /// Given back, and when they may be taken again.
    resting: BTreeMap<i64, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    consumer: u64,
    place: Place,
    /// False while the taking is not yet committed.
    told: bool,
}

impl Hands {
    /// A number of its own for each consumer.
    pub(super) fn arrive(&mut self) -> u64 {
        self.last += 1;
        self.here.insert(self.last);
        self.last
    }

    /// False once it left: what it asked for before must not be given to it any more.
    pub(super) fn is_here(&self, consumer: u64) -> bool {
        self.here.contains(&consumer)
    }

    /// Past this sequence number every row of the place is free.
    pub(super) fn cursor(&self, place: Place) -> i64 {
        self.places.get(&place).map_or(0, |line| line.cursor)
    }

    /// Given back and due, oldest first.
    pub(super) fn due(&self, place: Place, now: Instant) -> Vec<i64> {
        let line = self.places.get(&place).into_iter();
        line.flat_map(|line| &line.resting)
            .filter(|(_, due)| **due <= now)
            .map(|(sequence, _)| *sequence)
            .collect()
    }

    /// When the next of these places' resting messages is due.
    pub(super) fn next_due(&self, places: &[Place]) -> Option<Instant> {
        let lines = places.iter().filter_map(|place| self.places.get(place));
        lines.flat_map(|line| line.resting.values()).min().copied()
    }

    /// Takes a free message; the rows of a place past its cursor are taken in order.
    pub(super) fn take(&mut self, consumer: u64, place: Place, sequence: i64) {
        let line = self.places.entry(place).or_default();
        line.resting.remove(&sequence);
        line.cursor = line.cursor.max(sequence);
        let held = Held {
            consumer,
            place,
            told: false,
        };
        let before = self.held.insert(sequence, held);
        debug_assert!(before.is_none(), "{sequence} is in another hand");
    }

    /// The taking of these is committed.
    pub(super) fn told(&mut self, sequences: &[i64]) {
        for sequence in sequences {
            if let Some(held) = self.held.get_mut(sequence) {
                held.told = true;
            }
        }
    }

    /// True for a message that this consumer has in hand.
    pub(super) fn has(&self, consumer: u64, sequence: i64) -> bool {
        let held = self.held.get(&sequence);
        held.is_some_and(|held| held.consumer == consumer)
    }

    /// A message that is not in the queue any more.
    pub(super) fn gone(&mut self, sequence: i64) {
        if let Some(held) = self.held.remove(&sequence) {
            self.rest_no_more(held.place, sequence);
        }
    }

    /// A message that rests, and turned out not to be in the queue any more.
    pub(super) fn rest_no_more(&mut self, place: Place, sequence: i64) {
        if let Some(line) = self.places.get_mut(&place) {
            line.resting.remove(&sequence);
        }
    }

    /// Puts a message back into its place, not to be taken before `due`.
    pub(super) fn give_back(&mut self, sequence: i64, due: Instant) {
        if let Some(held) = self.held.remove(&sequence) {
            let line = self.places.entry(held.place).or_default();
            line.resting.insert(sequence, due);
        }
    }

    /// Gives back what this consumer took without the taking having been committed.
    pub(super) fn give_back_untold(&mut self, consumer: u64, now: Instant) {
        self.give_back_where(now, |held| held.consumer == consumer && !held.told);
    }

    /// Gives back everything of a consumer that is gone.
    pub(super) fn leave(&mut self, consumer: u64, now: Instant) {
        self.here.remove(&consumer);
        self.give_back_where(now, |held| held.consumer == consumer);
    }

    fn give_back_where(&mut self, now: Instant, which: impl Fn(&Held) -> bool) {
        let held = self.held.iter().filter(|(_, held)| which(held));
        let sequences: Vec<i64> = held.map(|(sequence, _)| *sequence).collect();
        for sequence in sequences {
            self.give_back(sequence, now);
        }
    }
}
