//! How long to wait before trying again.

use std::time::Duration;

/// Doubles the pause with each attempt, up to a limit.
///
/// Jitter is left to callers that share a service with others; here one process waits for itself.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
}

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl Backoff {
    /// The next pause, beginning with `first`.
    pub fn next(&mut self, first: Duration) -> Duration {
        let pause = first
            .saturating_mul(1 << self.attempts.min(16))
            .min(PAUSE_MAX);
        self.attempts += 1;
        pause
    }

    /// Something worked: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.attempts = 0;
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
}
