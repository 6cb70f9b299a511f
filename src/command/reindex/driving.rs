//! What holds a re-index up, and who is told of it.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::command::Reporter;
use crate::retry::Backoff;
use crate::{Error, Recovery};

/// After an error of the re-index the role tries again; other processes may have begun one.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What the role that drives a re-index and those who wait for it tell each other.
#[derive(Debug, Default)]
pub struct Driving {
    /// There is something to do.
    pub(super) poke: Notify,
    /// Why it does not go on, which trying again alone does not mend.
    trouble: watch::Sender<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// What people are told.
    why: Option<String>,
    /// The same, where it is that nobody captures: it has passed as soon as somebody does.
    away: Option<String>,
}

impl Driving {
    /// It goes on, or has come to its end.
    pub(super) fn went_on(&self) {
        self.trouble.send_replace(Trouble::default());
    }

    /// Nobody does what is asked of capture.
    pub(super) fn capture_is_away(&self, error: &Error) {
        let away = Some(error.chain());
        self.trouble.send_modify(|trouble| trouble.away = away);
    }

    /// Somebody does it. That mends no other trouble.
    pub(super) fn capture_is_there(&self) {
        self.trouble.send_modify(|trouble| {
            let away = trouble.away.take();
            if trouble.why == away {
                trouble.why = None;
            }
        });
    }

    /// Why it does not go on, where it does not.
    pub(super) fn told(&self) -> Option<String> {
        self.trouble.borrow().why.clone()
    }

    /// How long to wait before the next try. What passes is nobody's trouble.
    pub(super) fn failed(&self, error: &Error, backoff: &mut Backoff) -> Duration {
        if let Recovery::Retry(first) = error.recovery() {
            let pause = backoff.next(first);
            tracing::warn!(error = %error.chain(), pause_ms = pause.as_millis(), "the re-index waits");
            return pause;
        }
        tracing::error!(error = %error.chain(), "the re-index does not go on");
        let why = Some(error.chain());
        self.trouble.send_modify(|trouble| trouble.why = why);
        AGAIN_AFTER
    }
}

/// A wait for a service that does not answer; for which one is said once.
#[derive(Default)]
pub(super) struct Outage {
    backoff: Backoff,
    is_told: bool,
}

impl Outage {
    pub(super) fn is_over(&mut self) {
        self.backoff.reset();
        self.is_told = false;
    }

    /// How long to wait before the next look.
    pub(super) fn goes_on(
        &mut self,
        error: &Error,
        first: Duration,
        report: &Reporter,
    ) -> Duration {
        if !std::mem::replace(&mut self.is_told, true) {
            let why = error.chain();
            tracing::warn!(error = %why, "waiting for a service");
            report.say(&format!("waiting for a service: {why}"), 0, None);
        }
        self.backoff.next(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_out_and_what_stays_is_told_until_it_goes_on() {
        let driving = Driving::default();
        let told = || driving.told();
        let mut backoff = Backoff::default();
        let cut = Error::unavailable("the queue", "answer")("the connection was cut");
        let first = driving.failed(&cut, &mut backoff);
        assert_eq!(driving.failed(&cut, &mut backoff), 2 * first);
        assert_eq!(told(), None);
        let differs = Error::Refused {
            service: "edition 2 of the index".into(),
            why: "it differs".into(),
            fix: "look".into(),
        };
        assert_eq!(driving.failed(&differs, &mut backoff), AGAIN_AFTER);
        assert_eq!(told(), Some(differs.chain()));
        // A cut in between does not mend it.
        driving.failed(&cut, &mut backoff);
        assert_eq!(told(), Some(differs.chain()));
        driving.went_on();
        assert_eq!(told(), None);
    }

    #[test]
    fn that_nobody_captures_has_passed_once_somebody_does_and_nothing_else_has() {
        let driving = Driving::default();
        let told = || driving.told();
        let refused = |service: &str| Error::Refused {
            service: service.into(),
            why: "no".into(),
            fix: "look".into(),
        };
        let mut backoff = Backoff::default();
        let (away, differs) = (refused("capture"), refused("edition 2 of the index"));
        driving.capture_is_away(&away);
        driving.failed(&away, &mut backoff);
        assert_eq!(told(), Some(away.chain()));
        driving.capture_is_there();
        assert_eq!(told(), None);
        driving.capture_is_away(&away);
        driving.failed(&differs, &mut backoff);
        for _ in 0..2 {
            driving.capture_is_there();
            assert_eq!(told(), Some(differs.chain()));
        }
    }

    #[test]
    fn what_a_wait_is_for_is_said_once_while_it_lasts() {
        let (report, said) = Reporter::new();
        let mut outage = Outage::default();
        let first = Duration::from_millis(100);
        let cut = |why: &str| Error::unavailable("the queue", "answer")(why.to_owned());
        assert_eq!(outage.goes_on(&cut("it was cut"), first, &report), first);
        assert!(said.borrow().stage.contains("it was cut"));
        report.say("as it was", 0, None);
        outage.goes_on(&cut("it was cut again"), first, &report);
        assert_eq!(said.borrow().stage, "as it was");
        outage.is_over();
        assert_eq!(outage.goes_on(&cut("another"), first, &report), first);
        assert!(said.borrow().stage.contains("another"));
    }
}
