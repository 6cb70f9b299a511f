//! Tries that are repeated: a service may start after us, or be away for a while.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::config::Config;
use crate::retry::Backoff;
use crate::{Recovery, Result};

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

/// A seed of its own for every process, so that they do not all come back at one moment.
pub(super) fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}
