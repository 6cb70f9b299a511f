//! What the process says about itself: its log, and the counters that a status reads.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};
use crate::feature::embed::Usage;
use crate::feature::worker::Counters;
use crate::{Error, Result};

/// What the workers of this process did since it started, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Texts that were embedded.
    pub texts_embedded: u64,
    /// Texts whose vector was made before, for another document or an earlier state of this one.
    pub texts_cached: u64,
    /// Texts whose vector was there already, so that none was made.
    pub texts_kept: u64,
    /// Changes that were stored.
    pub changes_stored: u64,
    /// Changes that something newer had overtaken.
    pub changes_overtaken: u64,
    /// Messages that were set aside.
    pub parked: u64,
    /// Requests to the embedding service, repeats and questions included.
    pub model_requests: u64,
    /// Tokens that the embedding service counted.
    pub model_tokens: u64,
}

impl Counted {
    /// With what the embedder says that it has cost.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self {
            model_requests: usage.requests,
            model_tokens: usage.tokens,
            ..self
        }
    }
}

impl From<&Counters> for Counted {
    fn from(counters: &Counters) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            texts_embedded: read(&counters.embedded).saturating_sub(read(&counters.cached)),
            texts_cached: read(&counters.cached),
            texts_kept: read(&counters.kept),
            changes_stored: read(&counters.stored),
            changes_overtaken: read(&counters.overtaken),
            parked: read(&counters.parked),
            ..Self::default()
        }
    }
}

/// Writes the log to standard error from now on. A second call changes nothing.
///
/// # Errors
/// [`Error::Config`] for a filter that cannot be read.
pub fn start(log: &Log) -> Result<()> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| Error::Config {
        setting: "log.filter".into(),
        why: error.to_string(),
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let is_json = match log.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let started = if is_json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(colour()).try_init()
    };
    // Only a second start in one process fails, and then a log is being written already.
    drop(started);
    Ok(())
}

/// Whether standard error shows colour: a terminal, and no one asked for none.
fn colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}
