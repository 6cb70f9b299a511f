//! What a process records of itself, for Prometheus; docs/metrics.md has a row for each figure.
//!
//! ```text
//! worker ──counters, seconds──┐
//! every few seconds: a look ──┼──> Metrics ──text──> GET /metrics
//! search ──seconds────────────┘
//! ```
//!
//! A figure that this process cannot know, or does not know now, is left out rather than told as 0 or as it last was.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::feature::worker::Counters;
use crate::queue::Depth;
use crate::telemetry::Counted;

/// The content type of [`Metrics::text`]: `OpenMetrics` 1.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Figure = Family<Labels<0>, Gauge<f64, AtomicU64>>;
type Seconds<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// What a worker spends its time with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading what the index has.
    Read,
    /// Cleaning and cutting into chunks.
    Prepare,
    /// Texts to vectors, those of a cache included.
    Embed,
    /// Writing to the index, without embedding.
    Write,
    /// Telling the queue.
    Settle,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Prepare => "prepare",
            Self::Embed => "embed",
            Self::Write => "write",
            Self::Settle => "settle",
        }
    }
}

/// How long the stages took; a worker has it beside its counters.
#[derive(Clone)]
pub struct Stages(Seconds<1>);

impl Stages {
    /// Records one turn of a stage.
    pub fn took(&self, stage: Stage, time: Duration) {
        let labels = [("stage", stage.name())];
        self.0.get_or_create(&labels).observe(time.as_secs_f64());
    }
}

impl Default for Stages {
    fn default() -> Self {
        Self(Family::new_with_constructor(seconds))
    }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stages")
    }
}

/// A millisecond to a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.5, 13))
}

/// What a process records.
pub struct Metrics {
    registry: Registry,
    counters: Arc<Counters>,
    active: Figure,
    lag: Figure,
    window: Figure,
    queued: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    parked: Figure,
    oldest_parked: Figure,
    index_lag: Figure,
    as_of: Figure,
    changes: Family<Labels<1>, Counter>,
    texts: Family<Labels<1>, Counter>,
    requests: Family<Labels<0>, Counter>,
    tokens: Family<Labels<0>, Counter>,
    searches: Seconds<1>,
}

impl Metrics {
    /// Nothing recorded yet but what the workers count.
    pub fn new(counters: Arc<Counters>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("lockstep"),
            counters,
            active: Family::default(),
            lag: Family::default(),
            window: Family::default(),
            queued: Family::default(),
            parked: Family::default(),
            oldest_parked: Family::default(),
            index_lag: Family::default(),
            as_of: Family::default(),
            changes: Family::default(),
            texts: Family::default(),
            requests: Family::default(),
            tokens: Family::default(),
            searches: Family::new_with_constructor(seconds),
        };
        metrics.register_capture();
        metrics.register_queue();
        metrics.register_feature();
        metrics
    }

    fn register_capture(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "capture_active",
            "1 while this process captures, 0 while it stands by",
            self.active.clone(),
        );
        registry.register_with_unit(
            "capture_lag",
            "How far the saved position is behind this machine's clock",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register_with_unit(
            "source_oplog_window",
            "How far the source's log reaches back before the saved position",
            Unit::Seconds,
            self.window.clone(),
        );
    }

    fn register_queue(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "queue_pending",
            "Messages that are not settled, barriers included",
            self.queued.clone(),
        );
        registry.register("queue_parked", "Messages set aside", self.parked.clone());
        registry.register_with_unit(
            "queue_oldest_parked",
            "Age of the message that was set aside first",
            Unit::Seconds,
            self.oldest_parked.clone(),
        );
    }

    fn register_feature(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "index_lag",
            "Age of the settled watermark: every older change is in the index or parked",
            Unit::Seconds,
            self.index_lag.clone(),
        );
        registry.register_with_unit(
            "index_as_of_timestamp",
            "Every change up to this time is in the index or parked, as seconds since 1970",
            Unit::Seconds,
            self.as_of.clone(),
        );
        registry.register(
            "feature_changes",
            "Changes that this process has worked on",
            self.changes.clone(),
        );
        registry.register(
            "feature_texts",
            "Texts by where their vector came from",
            self.texts.clone(),
        );
        registry.register_with_unit(
            "feature_stage",
            "Time of a batch in each stage",
            Unit::Seconds,
            self.counters.stages.0.clone(),
        );
        registry.register(
            "model_requests",
            "Requests to an embedding service, repeats and questions included",
            self.requests.clone(),
        );
        registry.register(
            "model_tokens",
            "Tokens that an embedding service has counted",
            self.tokens.clone(),
        );
        registry.register_with_unit(
            "search",
            "Time of a search that this process has answered",
            Unit::Seconds,
            self.searches.clone(),
        );
    }

    /// Whether this process captures.
    pub fn captures(&self, is_active: bool) {
        tell(&self.active, Some(f64::from(u8::from(is_active))));
    }

    /// How far the saved position is behind, and how far the log reaches back before it; none while that is
    /// not known.
    pub fn position(&self, position: Option<(Duration, Option<Duration>)>) {
        tell(&self.lag, position.map(|(lag, _)| lag.as_secs_f64()));
        let window = position.and_then(|(_, window)| window);
        tell(&self.window, window.map(|window| window.as_secs_f64()));
    }

    /// What stands in the queues, and the age of what was set aside first; none while that is not known.
    pub fn queues(&self, queues: Option<(Depth, Duration)>) {
        let Some((depth, oldest_parked)) = queues else {
            self.queued.clear();
            tell(&self.parked, None);
            tell(&self.oldest_parked, None);
            return;
        };
        for (lane, count) in [("live", depth.live), ("backfill", depth.backfill)] {
            self.queued
                .get_or_create(&[("lane", lane)])
                .set(wide(count));
        }
        tell(&self.parked, Some(wide(depth.parked)));
        tell(&self.oldest_parked, Some(oldest_parked.as_secs_f64()));
    }

    /// Up to when everything is settled, in milliseconds since 1970, and how long ago that is; none while that
    /// is not known.
    pub fn settled(&self, settled: Option<(u64, Duration)>) {
        let as_of = settled.map(|(as_of_ms, _)| Duration::from_millis(as_of_ms).as_secs_f64());
        tell(&self.as_of, as_of);
        tell(&self.index_lag, settled.map(|(_, lag)| lag.as_secs_f64()));
    }

    /// A search took so long, and found something or did not, or failed.
    pub fn searched(&self, outcome: &'static str, time: Duration) {
        let search = self.searches.get_or_create(&[("outcome", outcome)]);
        search.observe(time.as_secs_f64());
    }

    /// Everything, as a scraper reads it.
    ///
    /// # Panics
    /// Never: a string takes everything.
    pub fn text(&self) -> String {
        self.count();
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .expect("text should be written: a string takes everything");
        text
    }

    /// Takes over what the workers counted, where they counted anything.
    fn count(&self) {
        let counted = Counted::from(self.counters.as_ref());
        for (outcome, count) in [
            ("stored", counted.changes_stored),
            ("overtaken", counted.changes_overtaken),
            ("parked", counted.parked),
        ] {
            raise(&self.changes, [("outcome", outcome)], count);
        }
        for (vector, count) in [
            ("embedded", counted.texts_embedded),
            ("cached", counted.texts_cached),
            ("kept", counted.texts_kept),
        ] {
            raise(&self.texts, [("vector", vector)], count);
        }
    }

    /// What an embedding service has cost so far.
    pub fn usage(&self, requests: u64, tokens: u64) {
        raise(&self.requests, [], requests);
        raise(&self.tokens, [], tokens);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// What is not known is not told as it last was.
fn tell(figure: &Figure, value: Option<f64>) {
    match value {
        Some(value) => {
            figure.get_or_create(&[]).set(value);
        }
        None => figure.clear(),
    }
}

/// Brings a counter to a count that was made elsewhere, in one step: two scrapes may do it at once.
fn raise<const N: usize>(counters: &Family<Labels<N>, Counter>, labels: Labels<N>, count: u64) {
    let counter = counters.get_or_create(&labels);
    counter.inner().fetch_max(count, Ordering::Relaxed);
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn wide(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
