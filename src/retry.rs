//! How long to wait before trying again.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Doubles the pause with each attempt, up to a limit.
///
/// Jittered where many wait for one service, so that they do not all come back at one moment: a pause
/// is then between half of itself and the whole. Without jitter it is the same every time, as a
/// simulation needs it.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
    jitter: Option<fastrand::Rng>,
}

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl Backoff {
    /// Pauses of random length, by this seed; none for no jitter.
    pub fn jittered(seed: Option<u64>) -> Self {
        Self {
            attempts: 0,
            jitter: seed.map(fastrand::Rng::with_seed),
        }
    }

    /// The next pause, beginning with `first`.
    pub fn next(&mut self, first: Duration) -> Duration {
        let pause = first
            .saturating_mul(1 << self.attempts.min(16))
            .min(PAUSE_MAX);
        self.attempts += 1;
        match &mut self.jitter {
            Some(random) => pause.mul_f64(0.5 + random.f64() / 2.0),
            None => pause,
        }
    }

    /// Something worked: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Ends then; never where there is no such moment.
pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew_after_progress() {
        let mut backoff = Backoff::default();
        let first = Duration::from_millis(200);
        let pauses: Vec<_> = (0..3).map(|_| backoff.next(first).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800]);
        assert_eq!((0..40).map(|_| backoff.next(first)).max(), Some(PAUSE_MAX));
        backoff.reset();
        assert_eq!(backoff.next(first), first);
    }

    #[test]
    fn a_jittered_pause_is_between_half_and_the_whole_and_no_two_are_alike() {
        let mut backoff = Backoff::jittered(Some(7));
        let first = Duration::from_millis(200);
        let mut pauses = Vec::new();
        for whole in [200.0, 400.0, 800.0, 1_600.0] {
            let pause = backoff.next(first).as_secs_f64() * 1_000.0;
            assert!((whole / 2.0..=whole).contains(&pause));
            pauses.push(pause / whole);
        }
        pauses.dedup();
        assert_eq!(pauses.len(), 4);
    }
}
