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

/// A moment for people: `2026-01-31 12:00:00 UTC`.
pub fn moment(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    // Days to a date of the Gregorian calendar, in eras of 400 years that begin with March 1st.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    let year = year + 400 * era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_of_the_calendar() {
        for (seconds, said) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_827_696, "2000-02-29 12:34:56 UTC"),
            (1_706_933_106, "2024-02-03 04:05:06 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(seconds * 1_000 + 999), said);
        }
    }

    #[tokio::test]
    async fn a_manual_clock_waits_by_moving_on() {
        let clock = Clock::manual(5);
        clock.wait(86_400_000).await;
        assert_eq!(clock.now_ms(), 86_400_005);
    }
}
