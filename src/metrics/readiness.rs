//! Whether a process can do its work: whether a look at everything around it went well a moment ago.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a look stays good: three times that between two.
const LASTS: Duration = Duration::from_secs(45);

/// What the looks have found.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Look>);

/// How the last look went.
#[derive(Debug, Default)]
struct Look {
    went_well: Option<Instant>,
    trouble: Option<String>,
}

impl Readiness {
    /// Records how a look at everything around this process went.
    pub fn looked(&self, went: Result<(), String>) {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match went {
            Ok(()) => {
                *look = Look {
                    went_well: Some(Instant::now()),
                    trouble: None,
                };
            }
            Err(trouble) => look.trouble = Some(trouble),
        }
    }

    /// Whether this process can do its work: a look went well a moment ago.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), String> {
        let look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = || {
            look.trouble
                .clone()
                .unwrap_or_else(|| "it has not begun".into())
        };
        match look.went_well {
            Some(when) if when.elapsed() <= LASTS => Ok(()),
            _ => Err(trouble()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_while_a_look_went_well_a_moment_ago() {
        let readiness = Readiness::default();
        assert_eq!(readiness.ready(), Err("it has not begun".into()));
        readiness.looked(Ok(()));
        assert_eq!(readiness.ready(), Ok(()));
        // One look that went wrong is a hiccup; several are an outage.
        readiness.looked(Err("the broker is away".into()));
        assert_eq!(readiness.ready(), Ok(()));
        tokio::time::advance(LASTS + Duration::from_secs(1)).await;
        assert_eq!(readiness.ready(), Err("the broker is away".into()));
    }
}
