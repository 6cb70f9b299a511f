//! How much of the source's log is left before the saved position: when none is, history is lost.

use std::time::Duration;

/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_mins(1);
/// Looks between two warnings.
const LOOKS_SAID: u32 = 60;

/// Decides when a short window is said: at once, and once an hour while it lasts. Pure.
#[derive(Debug)]
pub(super) struct Watcher {
    /// The least that is well; none for any.
    least: Option<Duration>,
    /// Looks since the last warning.
    quiet: Option<u32>,
}

impl Watcher {
    pub(super) fn new(least_hours: u64) -> Self {
        Self {
            least: (least_hours > 0).then(|| Duration::from_hours(least_hours)),
            quiet: None,
        }
    }

    /// Whether this window is to be warned of.
    pub(super) fn is_short(&mut self, window: Duration) -> bool {
        if self.least.is_none_or(|least| window >= least) {
            self.quiet = None;
            return false;
        }
        let looks = self.quiet.map_or(0, |quiet| (quiet + 1) % LOOKS_SAID);
        self.quiet = Some(looks);
        looks == 0
    }

    /// Warns where that is due.
    pub(super) fn look(&mut self, window: Duration) {
        let seconds = window.as_secs();
        if self.is_short(window) {
            tracing::warn!(
                oplog_window_seconds = seconds,
                "the source's log reaches back only this far before the saved position: an outage that \
                 lasts longer costs a snapshot of everything; give it a larger log"
            );
        } else {
            tracing::debug!(oplog_window_seconds = seconds, "the source's log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_window_is_said_at_once_and_then_once_an_hour_while_it_lasts() {
        let mut watcher = Watcher::new(2);
        let mut said = |hours| watcher.is_short(Duration::from_hours(hours));
        assert!(!said(2));
        assert!(said(1));
        assert!((1..60).all(|_| !said(1)));
        assert!(said(1));
        assert!(!said(3));
        assert!(said(1));
        let mut never = Watcher::new(0);
        assert!(!never.is_short(Duration::ZERO));
    }
}
