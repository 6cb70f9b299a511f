//! How far the position may be saved, and how events of one time are numbered. Pure.
//!
//! ```text
//! event: t=4     t=5  t=5  t=5     t=6            (times of the change log)
//! order:   0       0    1    2       0
//!            ^                 ^                  (positions that may be saved, once confirmed)
//! ```
//!
//! A position is saved only between two times: a replay from the middle of a transaction would
//! number its events otherwise, and an old number could beat a new one.

use crate::change::{Position, Time, Version};
use crate::source::Event;

/// The edge between what is confirmed and what is not.
#[derive(Debug, Clone)]
pub struct Frontier {
    epoch: u32,
    /// The time and order of the last event handed in.
    last: Option<(Time, u32)>,
    /// The last place between two times; everything before it is handed in.
    boundary: Boundary,
    /// The last place of the last time, which becomes a boundary when a later time shows up.
    tail: Option<Boundary>,
}

/// A place between two times of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Watching from here repeats nothing before it.
    pub position: Position,
    /// Everything at or before this time lies before it.
    pub time: Time,
    /// The commit time of the newest event before it: milliseconds since 1970, UTC.
    pub committed_ms: u64,
}

impl Frontier {
    /// A frontier that begins at a place between two times.
    pub fn new(epoch: u32, position: Position, time: Time) -> Self {
        let boundary = Boundary {
            position,
            time,
            committed_ms: 0,
        };
        Self {
            epoch,
            last: None,
            boundary,
            tail: None,
        }
    }

    /// Numbers the next event. Call in the order of the log, before the event is published.
    pub fn number(&mut self, event: &Event) -> Version {
        let order = match self.last {
            Some((time, order)) if time == event.time => order + 1,
            _ => {
                // A later time shows that the last one is complete.
                if let Some(tail) = self.tail.take() {
                    self.boundary = tail;
                }
                0
            }
        };
        self.last = Some((event.time, order));
        let here = Boundary {
            position: event.position.clone(),
            time: event.time,
            committed_ms: event.committed_ms.max(self.boundary.committed_ms),
        };
        if event.complete {
            (self.boundary, self.tail) = (here, None);
        } else {
            self.tail = Some(here);
        }
        Version {
            epoch: self.epoch,
            time: event.time,
            order,
        }
    }

    /// The source says that nothing happened up to here.
    pub fn idle(&mut self, event: &Event) {
        self.tail = None;
        self.boundary = Boundary {
            position: event.position.clone(),
            time: event.time,
            committed_ms: event.committed_ms,
        };
    }

    /// The place to save, once everything handed in is confirmed.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Body;

    fn event(place: u8, sequence: u64, complete: bool) -> Event {
        Event {
            position: Position(vec![place]),
            time: Time::from_sequence(sequence),
            complete,
            committed_ms: 0,
            body: Body::Idle,
        }
    }

    fn start() -> Frontier {
        Frontier::new(1, Position(vec![0]), Time::default())
    }

    #[test]
    fn events_of_one_time_are_numbered_and_no_position_lies_between_them() {
        let mut frontier = start();
        let orders: Vec<u32> = [(1, 4), (2, 5), (3, 5), (4, 5)]
            .map(|(place, time)| frontier.number(&event(place, time, false)).order)
            .into();
        assert_eq!(orders, [0, 0, 1, 2]);
        assert_eq!(frontier.boundary().position, Position(vec![1]));
        frontier.number(&event(5, 6, false));
        assert_eq!(frontier.boundary().position, Position(vec![4]));
    }

    #[test]
    fn an_idle_source_or_a_complete_event_moves_the_boundary_to_the_end() {
        let mut frontier = start();
        frontier.number(&event(1, 4, false));
        frontier.idle(&event(2, 4, true));
        assert_eq!(frontier.boundary().position, Position(vec![2]));
        frontier.number(&event(3, 5, true));
        assert_eq!(frontier.boundary().position, Position(vec![3]));
    }

    proptest! {
        /// Wherever a replay starts, it numbers every event as the first run did.
        #[test]
        fn a_replay_from_any_saved_position_numbers_alike(gaps in prop::collection::vec(0u64..2, 1..40)) {
            let mut time = 1;
            let events: Vec<Event> = gaps.iter().enumerate().map(|(place, gap)| {
                time += gap;
                event(u8::try_from(place).unwrap() + 1, time, false)
            }).collect();
            let mut frontier = start();
            let mut numbered = Vec::new();
            let mut saves = Vec::new();
            for event in &events {
                numbered.push(frontier.number(event));
                saves.push(frontier.boundary().clone());
            }
            for save in saves {
                let from = usize::from(save.position.0[0]);
                let mut replay = Frontier::new(1, save.position, save.time);
                let again: Vec<_> = events[from..].iter().map(|event| replay.number(event)).collect();
                prop_assert_eq!(&again[..], &numbered[from..]);
            }
        }
    }
}
