//! When to ask again: one gate that all requests wait at, and how long each is patient.
//!
//! ```text
//! request ──gate open?──> attempt ──busy─────> close the gate for all ──> wait
//!               ▲                 └─passing──> pause ──> again, so many times
//!               └── wait ─────────── longer than we may wait ──> give the work back
//! ```

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fault::Fault;
use crate::retry::Backoff;

/// The pause after the first fault.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// Closed while the service asks for a pause.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Option<Instant>>);

/// How long a call is patient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Attempts that bring no usable answer.
    pub(super) attempts_max: u32,
    /// All waiting for a busy service together.
    pub(super) wait_max: Duration,
}

impl Gate {
    /// How long it is still closed.
    fn left(&self) -> Duration {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    /// Closes it for so long, or leaves it closed for longer.
    fn close(&self, pause: Duration) {
        let Some(until) = Instant::now().checked_add(pause) else {
            return;
        };
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(Some(until));
    }
}

/// Attempts until it works, the fault is one that stays, or patience is over. Cancel safe as far as
/// an attempt is.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Fault>>>(
    gate: &Gate,
    patience: Patience,
    mut backoff: Backoff,
    attempt: impl Fn() -> F,
) -> Result<T, Fault> {
    let (mut waited, mut attempts) = (Duration::ZERO, 0);
    loop {
        // Again after each wait: another request may have been told to wait meanwhile.
        loop {
            let left = gate.left();
            if left.is_zero() {
                break;
            }
            waited += left;
            if waited > patience.wait_max {
                return Err(Fault::Busy { told: Some(left) });
            }
            sleep(left).await;
        }
        match attempt().await {
            // A little later than told, and not all at one moment.
            Err(Fault::Busy { told }) => {
                gate.close(told.unwrap_or_default() + backoff.next(PAUSE_FIRST));
            }
            Err(fault @ Fault::Passing { .. }) => {
                attempts += 1;
                if attempts >= patience.attempts_max {
                    return Err(fault);
                }
                tracing::debug!(?fault, attempts, "the embedding service is asked again");
                sleep(backoff.next(PAUSE_FIRST)).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    const PATIENCE: Patience = Patience {
        attempts_max: 3,
        wait_max: Duration::from_mins(1),
    };

    fn busy(seconds: u64) -> Fault {
        Fault::Busy {
            told: Some(Duration::from_secs(seconds)),
        }
    }

    fn passing() -> Fault {
        Fault::Passing {
            why: "it answered 500".into(),
            answered: true,
        }
    }

    /// Attempts with these faults, then success; how it ended, how long it took, how many there were.
    async fn after(gate: &Gate, faults: Vec<Fault>) -> (Result<(), Fault>, Duration, usize) {
        let begun = Instant::now();
        let (faults, count) = (RefCell::new(VecDeque::from(faults)), RefCell::new(0));
        let done = patiently(gate, PATIENCE, Backoff::default(), || {
            *count.borrow_mut() += 1;
            let fault = faults.borrow_mut().pop_front();
            async { fault.map_or(Ok(()), Err) }
        });
        (done.await, begun.elapsed(), count.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_as_long_as_told_and_a_moment_more() {
        let (done, took, count) = after(&Gate::default(), vec![busy(7), busy(3)]).await;
        assert_eq!((done, count), (Ok(()), 3));
        assert_eq!(took, Duration::from_millis(7_200 + 3_400));
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_and_nobody_asks_meanwhile() {
        let gate = Gate::default();
        let first = after(&gate, vec![busy(7)]);
        let second = async {
            sleep(Duration::from_secs(1)).await;
            after(&gate, vec![]).await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.1, first.2), (Duration::from_millis(7_200), 2));
        assert_eq!((second.1, second.2), (Duration::from_millis(6_200), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_too_long_gives_the_work_back_at_once() {
        let gate = Gate::default();
        let (done, took, count) = after(&gate, vec![busy(61)]).await;
        assert!(matches!(done, Err(Fault::Busy { .. })));
        assert_eq!((took, count), (Duration::ZERO, 1));
        // The next call does not even ask, until it is over.
        let (done, _, count) = after(&gate, vec![]).await;
        assert!(matches!(done, Err(Fault::Busy { .. })));
        assert_eq!(count, 0);
        sleep(Duration::from_secs(62)).await;
        assert_eq!(after(&gate, vec![]).await.0, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_a_few_times_and_what_stays_once() {
        let gate = Gate::default();
        let (done, took, count) = after(&gate, vec![passing(), passing()]).await;
        assert_eq!((done, count), (Ok(()), 3));
        assert_eq!(took, Duration::from_millis(200 + 400));
        let (done, _, count) = after(&gate, vec![passing(), passing(), passing()]).await;
        assert_eq!((done, count), (Err(passing()), 3));
        let input = Fault::Input { why: "no".into() };
        let (done, took, count) = after(&gate, vec![input.clone()]).await;
        assert_eq!((done, took, count), (Err(input), Duration::ZERO, 1));
    }
}
