//! How long a consumer keeps what it has fetched while nothing of it gets done. No IO.
//!
//! ```text
//! released ──for a minute nothing is settled, and another worker works──> given back, for that one to take
//! in hand for 25 minutes ──> given back, before the broker takes it
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// A message is given back when it was not settled for so long: at 30 minutes the broker would end the
/// channel, with an error in its log.
const KEPT_MAX: Duration = Duration::from_mins(25);
/// A worker that got nothing done for so long, while another does, is not kept waiting for: longer than a store takes
/// to start again, which is over without anything moved.
const STUCK_MAX: Duration = Duration::from_mins(1);

/// What one consumer knows of it.
#[derive(Debug, Default)]
pub(super) struct Keep {
    /// Since then something rests, and nothing was settled.
    stuck_since: Option<Instant>,
}

impl Keep {
    /// Something could not be worked on, and rests for so long.
    pub(super) fn released(&mut self, pause: Duration, now: Instant) {
        // What is given back to be had again at once waits for nothing.
        if !pause.is_zero() {
            self.stuck_since.get_or_insert(now);
        }
    }

    /// Something got done.
    pub(super) fn done(&mut self) {
        self.stuck_since = None;
    }

    /// Whether the last that was heard of the worker is that it could do nothing.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck_since.is_some()
    }

    /// Until when the oldest that is here may stay.
    pub(super) fn until(oldest: Option<Instant>) -> Option<Instant> {
        oldest.map(|oldest| oldest + KEPT_MAX)
    }

    /// Why all is to be given back now; none where it stays. `is_relieved`: another worker works, and
    /// what is here may be charged to it once.
    pub(super) fn over(
        &self,
        oldest: Option<Instant>,
        now: Instant,
        is_relieved: impl FnOnce() -> bool,
    ) -> Option<&'static str> {
        if Self::until(oldest).is_some_and(|until| until <= now) {
            return Some(
                "something was in hand for 25 minutes: it is given back before the broker takes it",
            );
        }
        let is_stuck = self
            .stuck_since
            .is_some_and(|since| since + STUCK_MAX <= now);
        (is_stuck && is_relieved()).then_some(
            "nothing got done here for a minute, and another worker works: what is here is given back for it; \
             see why the store or the model does not answer this one",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// A second less than a worker may get nothing done.
    const ALMOST: Duration = Duration::from_secs(STUCK_MAX.as_secs() - 1);

    /// Fails first at the beginning, and then each second for so long.
    fn fails(keep: &mut Keep, from: Instant, time: Duration) -> Instant {
        let mut now = from;
        while now < from + time {
            keep.released(SECOND, now);
            now += SECOND;
        }
        now
    }

    #[test]
    fn who_gets_nothing_done_for_a_minute_gives_all_back_where_another_works() {
        let (mut keep, from) = (Keep::default(), Instant::now());
        let now = fails(&mut keep, from, ALMOST);
        assert_eq!(keep.over(Some(from), now, || true), None);
        assert!(keep.is_stuck());
        let now = now + SECOND;
        assert_eq!(keep.over(Some(from), now, || false), None, "nobody works");
        assert!(keep.over(Some(from), now, || true).is_some());
    }

    #[test]
    fn what_gets_done_in_between_begins_the_minute_anew() {
        let (mut keep, from) = (Keep::default(), Instant::now());
        let now = fails(&mut keep, from, ALMOST);
        keep.done();
        assert!(!keep.is_stuck());
        let now = fails(&mut keep, now, SECOND);
        assert_eq!(keep.over(Some(from), now, || true), None);
    }

    #[test]
    fn what_is_given_back_to_come_again_at_once_waits_for_no_store() {
        let mut keep = Keep::default();
        keep.released(Duration::ZERO, Instant::now());
        assert!(!keep.is_stuck());
    }

    #[test]
    fn what_is_in_hand_for_too_long_is_given_back_whoever_works() {
        let (keep, from) = (Keep::default(), Instant::now());
        let until = Keep::until(Some(from)).unwrap();
        assert_eq!(keep.over(Some(from), until - SECOND, || true), None);
        assert!(keep.over(Some(from), until, || false).is_some());
        assert_eq!(keep.over(None, until, || false), None);
    }
}
