//! What the process says about itself: its log, and the counters that a status reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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

/// A figure of this process that others may watch; docs/metrics.md has a row for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, unit last.
    pub name: &'static str,
    /// The unit.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// How much of the source's log is left.
pub const OPLOG_WINDOW: Metric = Metric {
    name: "lockstep_source_oplog_window_seconds",
    unit: "seconds",
    help: "How far the source's log reaches back before the saved position",
};

/// Every metric.
pub const METRICS: [Metric; 1] = [OPLOG_WINDOW];

/// The latest value of a figure that goes up and down; none before the first.
#[derive(Debug, Default)]
pub struct Gauge(Mutex<Option<u64>>);

impl Gauge {
    /// Records a value.
    pub fn set(&self, value: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// The value recorded last.
    pub fn get(&self) -> Option<u64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process records; each role is handed it.
#[derive(Debug, Default)]
pub struct Metrics {
    /// As [`OPLOG_WINDOW`] says.
    pub oplog_window: Gauge,
}

impl Metrics {
    /// Every metric with its value, for whoever prints them.
    pub fn read(&self) -> [(Metric, Option<u64>); METRICS.len()] {
        [(OPLOG_WINDOW, self.oplog_window.get())]
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
    let started = match log.format {
        LogFormat::Text => subscriber.with_ansi(colour()).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    // Only a second start in one process fails, and then a log is being written already.
    drop(started);
    Ok(())
}

/// Whether standard error shows colour: a terminal, and no one asked for none.
fn colour() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_row_for_every_metric_and_no_other() {
        let page = include_str!("../docs/metrics.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = |row: &'static str| row.split(" | ").take(3).collect::<Vec<_>>();
        let rows: Vec<_> = rows.map(cells).collect();
        let named = METRICS.map(|metric| format!("{}`", metric.name));
        let known: Vec<_> = (named.iter().zip(METRICS))
            .map(|(name, metric)| vec![name.as_str(), metric.unit, metric.help])
            .collect();
        assert_eq!(rows, known, "docs/metrics.md against src/telemetry.rs");
    }

    #[test]
    fn what_was_recorded_is_read_under_its_name() {
        let metrics = Metrics::default();
        assert_eq!(metrics.read(), [(OPLOG_WINDOW, None)]);
        metrics.oplog_window.set(7);
        assert_eq!(metrics.read(), [(OPLOG_WINDOW, Some(7))]);
    }
}
