//! Every setting: one tree, read from one TOML file and the environment, checked as a whole.
//!
//! ```text
//! lockstep.toml ──┐
//!                 ├──> Reading: the settings, where each came from, what is wrong ──> Config | error
//! LOCKSTEP_… ─────┘                                                              └──> config show
//! ```
//!
//! The setting `crawl.bytes_max` is the environment's `LOCKSTEP_CRAWL_BYTES_MAX`, which wins over the
//! file. Where the data folder lies is no setting of the file, because the file lies in it.

mod crawl;
mod environment;
mod file;
mod load;
mod model;
mod nearest;
mod origin;
mod seed;
mod serve;
mod services;
mod shown;
mod tree;
mod types;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capture::LostHistory;
use crate::feature::types::Types;

pub use crawl::Crawl;
pub use environment::{Environment, variable_of};
pub use load::{FILE, Place, Reading, load, read};
pub use model::{Backend, Model};
pub use origin::{Fault, Origin};
pub use serve::Serve;
pub use services::{Queue, SECRETS, Secret, Source, Vector};
pub use shown::{Setting, Shown};
pub use tree::names;

/// The whole tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder that holds all data; from `--data`, `LOCKSTEP_DATA` or the platform's convention.
    #[serde(skip)]
    pub data: PathBuf,
    /// Text to vectors.
    pub model: Model,
    /// The running process's address.
    pub serve: Serve,
    /// Where documents live.
    pub source: Source,
    /// What carries changes.
    pub queue: Queue,
    /// Source to queue.
    pub capture: Capture,
    /// Queue to index.
    pub feature: Feature,
    /// Where the index lives.
    pub vector: Vector,
    /// What is read from outside.
    pub crawl: Crawl,
    /// What the process says about itself.
    pub log: Log,
    /// Where a scraper and a supervisor may ask the process how it is.
    pub metrics: Told,
    /// What the fields of documents mean, by type; made of `[types.<type>]` when all is read.
    #[serde(skip)]
    pub types: Arc<Types>,
}

/// Source to queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Changes that may be published and not yet confirmed; a quarter of them go together, and twice as
    /// many may wait in hand.
    pub window: usize,
    /// Documents a snapshot reads at once.
    pub page_size: usize,
    /// How often each queue is told up to which time it has everything, and an idle position is
    /// saved, in milliseconds.
    pub tick_ms: u64,
    /// Changes after which the position is saved before the next tick.
    pub save_after: usize,
    /// Documents a second that a snapshot reads at most; 0 for no limit.
    pub snapshot_rate: u32,
    /// What is done when the source no longer has the changes after the saved position.
    pub lost_history: LostHistory,
    /// How long a start waits for services that do not answer, in seconds.
    pub startup_timeout_seconds: u64,
    /// A warning is logged when the source's log reaches back less than this before the saved position,
    /// in hours; 0 for none.
    pub oplog_warning_hours: u64,
}

impl Capture {
    fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        vec![
            ("capture.window", wide(self.window), 1, 100_000),
            ("capture.page_size", wide(self.page_size), 1, 10_000),
            ("capture.tick_ms", self.tick_ms, 10, 60_000),
            ("capture.save_after", wide(self.save_after), 1, 1_000_000),
            (
                "capture.snapshot_rate",
                self.snapshot_rate.into(),
                0,
                10_000_000,
            ),
            (
                "capture.startup_timeout_seconds",
                self.startup_timeout_seconds,
                0,
                86_400,
            ),
            (
                "capture.oplog_warning_hours",
                self.oplog_warning_hours,
                0,
                8_760,
            ),
        ]
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            // Hides the confirm's delay; a crash repeats at most this many.
            window: 500,
            // A page of large documents still fits in memory.
            page_size: 200,
            // How well freshness is known while nothing happens.
            tick_ms: 1_000,
            // What a crash repeats at most, in changes.
            save_after: 1_000,
            // A new index is wanted soon; who shares the source with others sets a limit.
            snapshot_rate: 0,
            // What is in the index stays true, without anybody being called.
            lost_history: LostHistory::Resnapshot,
            // Longer than a broker or a replica set takes to come up beside us.
            startup_timeout_seconds: 60,
            // An outage that takes longer costs a snapshot; a log younger than that says so once an hour.
            oplog_warning_hours: 1,
        }
    }
}

/// Queue to index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feature {
    /// Changes taken from the queue at once.
    pub batch_size: usize,
    /// How long the tombstone of a deleted document is kept, in days.
    pub tombstone_ttl_days: u64,
}

impl Default for Feature {
    fn default() -> Self {
        Self {
            // Fills batches of equal length for the model; larger ones only delay the first result.
            batch_size: 64,
            // Outlives any backup restored or message held back within a week.
            tombstone_ttl_days: 7,
        }
    }
}

impl Feature {
    /// How long the tombstone of a deleted document is kept.
    pub fn tombstone_ttl(&self) -> Duration {
        Duration::from_secs(self.tombstone_ttl_days.saturating_mul(24 * 60 * 60))
    }
}

/// Where a scraper and a supervisor may ask the process how it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Told {
    /// Where `/metrics`, `/livez` and `/readyz` are answered, to anybody; empty: nowhere.
    pub listen: String,
}

impl Told {
    /// The address, where there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    fn fault(&self) -> Option<(&'static str, String)> {
        let is_wrong = !self.listen.is_empty() && self.address().is_none();
        let why = || format!("{:?} is no address, as 127.0.0.1:9464", self.listen);
        is_wrong.then(|| ("metrics.listen", why()))
    }
}

/// What the process says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Which events: a level, or filters as `lockstep=debug,info`.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            // Starts, stops and what needs a person; the engine's own words only when it fails. What
            // the AMQP client says, we say with the cause and the fix.
            filter: "error,lapin=off,lockstep=info".into(),
            // For a person at a terminal.
            format: LogFormat::Auto,
        }
    }
}

/// In which form events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One line an event, for people.
    Text,
    /// One JSON object an event, for machines.
    Json,
}

impl Config {
    /// The folder of the model's files.
    pub fn model_folder(&self) -> PathBuf {
        self.model.folder_in(&self.data)
    }

    /// The limits of a crawl that keeps its clones in the data folder; they are read in `tmp`.
    pub fn crawling(&self, tmp: PathBuf) -> crate::crawl::Settings {
        crate::crawl::Settings {
            clones: Some(self.data.join("clones")),
            ..self.crawl.settings(tmp)
        }
    }

    /// The types, and those of the file as collections that are read too.
    fn take_types(&mut self, types: Types, given: impl Iterator<Item = String>) {
        let collections = &mut self.source.collections;
        // None named is all of them.
        if !collections.is_empty() {
            let missing: Vec<String> = given.filter(|kind| !collections.contains(kind)).collect();
            collections.extend(missing);
        }
        self.types = Arc::new(types);
    }

    /// Settings of a range, each with its least and greatest value.
    fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        let Self {
            queue,
            feature,
            crawl,
            serve,
            vector,
            ..
        } = self;
        let own = vec![
            ("queue.partitions", queue.partitions.into(), 1, 256),
            ("queue.attempts_max", queue.attempts_max.into(), 1, 1_000),
            ("source.lease_seconds", self.source.lease_seconds, 2, 3_600),
            (
                "queue.message_bytes_max",
                wide(queue.message_bytes_max),
                1_024,
                512 << 20,
            ),
            ("feature.batch_size", wide(feature.batch_size), 1, 10_000),
            (
                "feature.tombstone_ttl_days",
                feature.tombstone_ttl_days,
                0,
                36_500,
            ),
            ("vector.timeout_seconds", vector.timeout_seconds, 1, 3_600),
            ("vector.shards", vector.shards.into(), 0, 10_000),
            ("vector.replicas", vector.replicas.into(), 1, 100),
        ];
        [
            self.model.bounds(),
            self.capture.bounds(),
            serve.bounds(),
            crawl.bounds(),
            own,
        ]
        .concat()
    }

    /// Every setting that is out of its bounds, and why.
    fn faults(&self) -> Vec<(&'static str, String)> {
        let out = |(name, value, low, high)| {
            let is_out = value < low || value > high;
            is_out.then(|| (name, format!("{value} is not in {low} to {high}")))
        };
        let mut faults: Vec<_> = self.bounds().into_iter().filter_map(out).collect();
        faults.extend(self.metrics.fault());
        faults.extend(self.crawl.fault());
        faults.extend(self.vector.fault());
        faults.extend(self.model.faults());
        faults
    }
}
