//! The wall clock as an argument: for people and for ages, never for order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time: milliseconds since 1970, UTC.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands at `now_ms` until it is set; clones share it.
    pub fn manual(now_ms: u64) -> Self {
        Self(Kind::Manual(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Milliseconds since 1970, UTC.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Kind::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| {
                    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
                }),
            Kind::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Sets a manual clock; the machine's is left alone.
    pub fn advance(&self, milliseconds: u64) {
        if let Kind::Manual(now) = &self.0 {
            now.fetch_add(milliseconds, Ordering::Relaxed);
        }
    }

    /// Waits so long; a manual clock moves on by it instead, so that no test sleeps.
    ///
    /// Cancel safe.
    pub async fn wait(&self, milliseconds: u64) {
        match &self.0 {
            Kind::System => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
            Kind::Manual(_) => {
                self.advance(milliseconds);
                tokio::task::yield_now().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_waits_by_moving_on() {
        let clock = Clock::manual(5);
        clock.wait(86_400_000).await;
        assert_eq!(clock.now_ms(), 86_400_005);
    }
}
