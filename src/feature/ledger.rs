//! What the deliveries in hand ask for, and what may be settled when. Pure.
//!
//! ```text
//! deliveries ──sort──> changes: one a key, the newest; older ones ride along
//!                 ├──> barriers (whoever receives one has passed it)
//!                 └──> to park: unreadable, or received too often
//! ```
//!
//! Nothing is settled before what it stands for is stored: a [`Work`] carries the tags of all that
//! its plan makes settled.

use std::collections::HashMap;

use crate::change::{Barrier, Change, DocumentKey, Message, Operation, Place};
use crate::queue::{Delivery, Tag};

/// One document to bring up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Its newest change in hand.
    pub change: Change,
    /// The delivery of that change.
    pub tag: Tag,
    /// Older changes of the key, settled together with it.
    pub overtaken: Vec<Tag>,
    /// Whether one of them was in hand before: what a crash left behind is looked for.
    pub again: bool,
}

/// The deliveries in hand, sorted.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Documents to bring up to date, in the order in which they were first received.
    pub works: Vec<Work>,
    /// Barriers that were passed.
    pub barriers: Vec<(Tag, Place, Barrier)>,
    /// Deliveries to set aside, with the reason.
    pub parks: Vec<(Tag, String)>,
}

impl Ledger {
    /// Sorts deliveries. A change received more than `attempts_max` times is parked, for it may be
    /// what kills its workers; a delete never is.
    pub fn sort(deliveries: Vec<Delivery>, attempts_max: u32) -> Self {
        let mut ledger = Self::default();
        let mut places: HashMap<DocumentKey, usize> = HashMap::new();
        for delivery in deliveries {
            let Delivery {
                tag,
                place,
                attempt,
                message,
            } = delivery;
            let change = match message {
                Err(unreadable) => {
                    ledger.parks.push((tag, unreadable.why));
                    continue;
                }
                Ok(Message::Barrier(barrier)) => {
                    ledger.barriers.push((tag, place, barrier));
                    continue;
                }
                Ok(Message::Change(change)) => change,
            };
            if attempt > attempts_max && change.operation != Operation::Delete {
                ledger.parks.push((tag, too_often(attempt)));
                continue;
            }
            let again = attempt > 1;
            let known = places
                .get(&change.key)
                .and_then(|at| ledger.works.get_mut(*at));
            if let Some(work) = known {
                work.join(change, tag, again);
            } else {
                places.insert(change.key.clone(), ledger.works.len());
                ledger.works.push(Work {
                    change,
                    tag,
                    overtaken: Vec::new(),
                    again,
                });
            }
        }
        ledger
    }
}

impl Work {
    /// Takes in another change of the key; among equal versions the later arrival counts.
    fn join(&mut self, mut change: Change, tag: Tag, again: bool) {
        self.again |= again;
        // A row for the edition that is being filled, beside a change for all: it goes to all.
        if change.operation != self.change.operation {
            for one in [&mut change, &mut self.change] {
                if one.operation == Operation::Fill {
                    one.operation = Operation::Snapshot;
                }
            }
        }
        if change.version >= self.change.version {
            self.overtaken.push(std::mem::replace(&mut self.tag, tag));
            self.change = change;
        } else {
            self.overtaken.push(tag);
        }
    }

    /// Every delivery that is settled when the change is stored.
    pub fn tags(&self) -> Vec<Tag> {
        self.overtaken.iter().copied().chain([self.tag]).collect()
    }
}

fn too_often(attempt: u32) -> String {
    format!("received {attempt} times and never finished; it may be what stops its workers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Lane, Time, Version};
    use crate::document::Fields;
    use crate::queue::Unreadable;

    fn delivery(tag: u64, id: &str, sequence: u64, attempt: u32) -> Delivery {
        let version = Version {
            epoch: 1,
            time: Time::from_sequence(sequence),
            order: 0,
        };
        let key = DocumentKey::text("posts", id);
        let change = Change::new(key, version, Operation::Update, Some(Fields::new()), 0);
        let place = Place {
            partition: 0,
            lane: Lane::Live,
        };
        Delivery {
            tag: Tag(tag),
            place,
            attempt,
            message: Ok(Message::Change(change)),
        }
    }

    #[test]
    fn the_newest_change_of_a_key_is_stored_and_settles_the_older_ones() {
        let batch = vec![
            delivery(1, "a", 5, 1),
            delivery(2, "b", 6, 1),
            delivery(3, "a", 4, 1),
            delivery(4, "a", 7, 1),
        ];
        let ledger = Ledger::sort(batch, 5);
        let works: Vec<_> = ledger
            .works
            .iter()
            .map(|work| (work.tag, work.tags().len()))
            .collect();
        assert_eq!(works, [(Tag(4), 3), (Tag(2), 1)]);
    }

    #[test]
    fn a_row_that_fills_an_edition_takes_no_other_change_from_the_old_one() {
        let fill = |tag, sequence| {
            let mut fill = delivery(tag, "a", sequence, 1);
            if let Ok(Message::Change(change)) = &mut fill.message {
                change.operation = Operation::Fill;
            }
            fill
        };
        for batch in [
            vec![fill(1, 9), delivery(2, "a", 5, 1)],
            vec![delivery(1, "a", 5, 1), fill(2, 9)],
        ] {
            let ledger = Ledger::sort(batch, 5);
            let change = &ledger.works[0].change;
            assert_eq!(change.operation, Operation::Snapshot);
            assert_eq!(change.version.time, Time::from_sequence(9));
        }
        let alone = Ledger::sort(vec![fill(1, 9), fill(2, 8)], 5);
        assert_eq!(alone.works[0].change.operation, Operation::Fill);
    }

    #[test]
    fn without_versions_the_last_arrival_counts() {
        let ledger = Ledger::sort(vec![delivery(1, "a", 0, 1), delivery(2, "a", 0, 1)], 5);
        assert_eq!(ledger.works[0].tag, Tag(2));
    }

    #[test]
    fn what_is_received_too_often_or_unreadable_is_parked_but_never_a_delete() {
        let mut deleted = delivery(2, "b", 6, 9);
        let Ok(Message::Change(change)) = &mut deleted.message else {
            panic!("no change")
        };
        change.operation = Operation::Delete;
        let mut garbage = delivery(3, "c", 7, 1);
        garbage.message = Err(Unreadable {
            why: "no JSON".into(),
        });
        let ledger = Ledger::sort(vec![delivery(1, "a", 5, 6), deleted, garbage], 5);
        let parked: Vec<_> = ledger.parks.iter().map(|(tag, _)| *tag).collect();
        assert_eq!(parked, [Tag(1), Tag(3)]);
        assert_eq!(ledger.works.len(), 1);
    }
}
