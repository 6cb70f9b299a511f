//! What has to be sent again, in order for each key. Pure.
//!
//! ```text
//! sent      a1 b1 a2 │ b2 a3 b3          (two batches; a and b are places)
//! answered   ✓  ✗  ✓ │  ✓  ✓  ✓
//! again        b1    │ b2    b3          (behind all of them, so of every message the last is in order)
//! ```

use std::collections::HashSet;

use crate::change::Place;
use crate::queue::{Confirm, Outgoing};
use crate::{Error, Result};

/// Goes through answered batches in their order and keeps of each what has to be sent again: what
/// failed, with all that followed it to the same place, in its batch and in those behind it.
///
/// What is sent twice is stored once.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// Places where a message failed.
    broken: HashSet<Place>,
    /// Why the first one did.
    pub(super) error: Option<Error>,
}

impl Again {
    /// Keeps what is left of the next batch.
    pub(super) fn of(
        &mut self,
        mut batch: Vec<Outgoing>,
        answers: Result<Vec<Confirm>>,
    ) -> Vec<Outgoing> {
        let mut answers = match answers {
            Ok(confirms) => confirms.into_iter(),
            Err(error) => {
                self.error.get_or_insert(error);
                self.broken.extend(batch.iter().map(|it| it.place));
                return batch;
            }
        };
        batch.retain(|outgoing| {
            let failed = match answers.next() {
                Some(Confirm::Confirmed) => false,
                Some(Confirm::Failed(error)) => {
                    self.error.get_or_insert(error);
                    true
                }
                None => true,
            };
            if failed {
                self.broken.insert(outgoing.place);
            }
            self.broken.contains(&outgoing.place)
        });
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Barrier, Lane, Message, Time};

    fn batch(marks: &[(u32, u64)]) -> Vec<Outgoing> {
        let outgoing = |(partition, mark)| Outgoing {
            place: Place {
                partition,
                lane: Lane::Live,
            },
            message: Message::Barrier(Barrier::watermark(1, Time::from_sequence(mark), 0)),
        };
        marks.iter().copied().map(outgoing).collect()
    }

    fn failed() -> Confirm {
        Confirm::Failed(Error::Stopped { part: "queue" })
    }

    #[test]
    fn what_follows_a_failure_to_the_same_place_is_sent_again_behind_it() {
        let mut again = Again::default();
        let before = again.of(batch(&[(1, 0)]), Ok(vec![Confirm::Confirmed]));
        let answers = [Confirm::Confirmed, failed(), Confirm::Confirmed];
        let left = again.of(batch(&[(0, 1), (1, 2), (0, 3)]), Ok(answers.into()));
        let behind = [Confirm::Confirmed, Confirm::Confirmed];
        let behind = again.of(batch(&[(1, 4), (0, 5)]), Ok(behind.into()));
        let expected = [batch(&[]), batch(&[(1, 2)]), batch(&[(1, 4)])];
        assert_eq!([before, left, behind], expected);
        assert!(again.error.is_some());
    }

    #[test]
    fn a_batch_without_answers_is_sent_again_whole_and_so_is_what_follows() {
        let mut again = Again::default();
        let error = Error::Stopped { part: "queue" };
        assert_eq!(again.of(batch(&[(0, 1)]), Err(error)), batch(&[(0, 1)]));
        let behind = again.of(batch(&[(0, 2)]), Ok(vec![Confirm::Confirmed]));
        assert_eq!(behind, batch(&[(0, 2)]));
    }

    #[test]
    fn a_message_without_an_answer_has_failed() {
        let mut again = Again::default();
        let left = again.of(batch(&[(0, 1), (1, 2)]), Ok(vec![Confirm::Confirmed]));
        assert_eq!(left, batch(&[(1, 2)]));
    }
}
