//! Publishing until everything is confirmed, in order for each key.

use std::collections::HashSet;

use crate::queue::{Confirm, Outgoing, Queue};
use crate::retry::Backoff;
use crate::{Error, Recovery, Result};

/// Attempts in a row in which nothing at all was confirmed before the session is opened anew.
const FRUITLESS_MAX: u32 = 5;

/// Publishes the batch and returns when every message is confirmed.
///
/// What failed is sent again, with all that followed it to the same place, so that the order of a
/// key holds; what is sent twice is stored once.
///
/// # Errors
/// When the queue takes nothing for a while, or an error that trying again cannot mend.
pub(super) async fn publish_all<Q: Queue>(
    queue: &Q,
    mut batch: Vec<Outgoing>,
    jitter: Option<u64>,
) -> Result<()> {
    let mut backoff = Backoff::jittered(jitter);
    let mut fruitless = 0;
    while !batch.is_empty() {
        let sent = batch.len();
        let (left, error) = match queue.publish(batch.clone()).await {
            Ok(confirms) => unconfirmed(batch, confirms),
            Err(error) => (batch, Some(error)),
        };
        batch = left;
        let Some(error) = error else { break };
        fruitless = if batch.len() < sent { 0 } else { fruitless + 1 };
        match error.recovery() {
            Recovery::Retry(pause) if fruitless < FRUITLESS_MAX => {
                tracing::warn!(error = %error.chain(), left = batch.len(), "publishing again");
                tokio::time::sleep(backoff.next(pause)).await;
            }
            _ => return Err(error),
        }
    }
    Ok(())
}

/// What has to be sent again, in order, and the first error.
fn unconfirmed(batch: Vec<Outgoing>, confirms: Vec<Confirm>) -> (Vec<Outgoing>, Option<Error>) {
    let mut first = None;
    let mut broken = HashSet::new();
    let mut left = Vec::new();
    for (outgoing, confirm) in batch.into_iter().zip(confirms) {
        let failed = match confirm {
            Confirm::Confirmed => false,
            Confirm::Failed(error) => {
                first.get_or_insert(error);
                true
            }
        };
        if failed {
            broken.insert(outgoing.place);
        }
        if broken.contains(&outgoing.place) {
            left.push(outgoing);
        }
    }
    (left, first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Barrier, Lane, Message, Place, Time};

    fn outgoing(partition: u32, mark: u64) -> Outgoing {
        Outgoing {
            place: Place {
                partition,
                lane: Lane::Live,
            },
            message: Message::Barrier(Barrier::watermark(1, Time::from_sequence(mark), 0)),
        }
    }

    #[test]
    fn what_follows_a_failure_to_the_same_place_is_sent_again_behind_it() {
        let batch: Vec<_> = [(0, 1), (1, 2), (0, 3), (1, 4)]
            .map(|(p, m)| outgoing(p, m))
            .into();
        let failed = || Confirm::Failed(Error::Stopped { part: "queue" });
        let confirms = vec![
            Confirm::Confirmed,
            failed(),
            Confirm::Confirmed,
            Confirm::Confirmed,
        ];
        let (left, error) = unconfirmed(batch, confirms);
        assert_eq!(left, [outgoing(1, 2), outgoing(1, 4)]);
        assert!(error.is_some());
    }
}
