//! Tries that are repeated: a service may start after us, or be away for a while.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::config::Config;
use crate::retry::Backoff;
use crate::source::mongo::Uninitiated;
use crate::{Error, Recovery, Result};

/// Tries until it works, trying again cannot help, or the time for a start is over.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(
    config: &Config,
    attempt: impl Fn() -> F,
) -> Result<T> {
    let until = Instant::now() + Duration::from_secs(config.capture.startup_timeout_seconds);
    tried("waiting for a service", Some(until), attempt).await
}

/// Tries until it works, trying again cannot help, or the time is over; `waiting` is logged meanwhile.
pub(super) async fn tried<T, F: Future<Output = Result<T>>>(
    waiting: &'static str,
    until: Option<Instant>,
    attempt: impl Fn() -> F,
) -> Result<T> {
    let mut backoff = Backoff::jittered(Some(random()));
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Recovery::Retry(pause) = error.recovery() else {
            return Err(error);
        };
        let pause = backoff.next(pause);
        if until.is_some_and(|until| Instant::now() + pause >= until) {
            return Err(error);
        }
        tracing::warn!(error = %error.chain(), pause_ms = pause.as_millis(), "{waiting}");
        sleep(pause).await;
    }
}

/// The same error of a service that does not answer, with what to do about that: `map_err(advised(fix))`. Every other
/// says it itself, and so does a set that was never initiated: its server has been started.
pub(super) fn advised(fix: &'static str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::Unavailable {
            service,
            action,
            source,
        } if !source.is::<Uninitiated>() => {
            let mut said = source.to_string();
            let mut cause = source.source();
            while let Some(error) = cause {
                said = format!("{said}: {error}");
                cause = error.source();
            }
            Error::unavailable(service, action)(format!("{said}; {fix}"))
        }
        other => other,
    }
}

/// A seed of its own for every process, so that they do not all come back at one moment.
pub(super) fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::SOURCE_AWAY;

    #[test]
    fn a_set_that_was_never_initiated_gets_no_second_advice_and_is_still_waited_for() {
        let error = Error::unavailable("MongoDB at mongo:27017", "show its changes")(Uninitiated);
        let error = advised(SOURCE_AWAY)(error);
        assert!(error.chain().ends_with("run rs.initiate() on it once"));
        assert!(matches!(error.recovery(), Recovery::Retry(_)));
    }

    #[test]
    fn who_is_away_is_named_with_its_cause_and_the_fix_and_is_still_waited_for() {
        let away = std::io::Error::other("connection refused");
        let error = Error::unavailable("MongoDB at mongo:27017", "answer")(away);
        let error = advised(SOURCE_AWAY)(error);
        assert_eq!(
            error.chain(),
            "MongoDB at mongo:27017 did not answer: connection refused; start MongoDB, or correct source.url"
        );
        assert!(matches!(error.recovery(), Recovery::Retry(_)));
        let other = Error::Fenced { what: "capture" };
        assert!(!advised(SOURCE_AWAY)(other).chain().contains("MongoDB"));
    }
}
