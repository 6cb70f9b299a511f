//! Every setting: one tree, read from one TOML file and the environment, checked as a whole.
//!
//! ```text
//! lockstep.toml ──┐
//!                 ├──> each setting by itself ──> Config ──> bounds ──> every fault at once
//! LOCKSTEP_… ─────┘
//! ```
//!
//! The setting `crawl.bytes_max` is the environment's `LOCKSTEP_CRAWL_BYTES_MAX`, which wins over the
//! file. Where the data folder lies is no setting of the file, because the file lies in it.

mod load;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use load::{Place, environment, load, names};

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
    /// What carries changes.
    pub queue: Queue,
    /// Source to queue.
    pub capture: Capture,
    /// Queue to index.
    pub feature: Feature,
    /// What is read from outside.
    pub crawl: Crawl,
    /// What the process says about itself.
    pub log: Log,
}

/// Text to vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// What embeds.
    pub backend: Backend,
    /// The folder of the model's files; a relative one lies in the data folder.
    pub folder: PathBuf,
    /// How numbers are held while embedding.
    pub precision: Precision,
    /// Threads that embed; 0 for one a core.
    pub threads: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            // The hash embedder finds nothing by meaning, so it is never chosen by itself.
            backend: Backend::Local,
            // Beside the data: one folder to move, back up or remove.
            folder: PathBuf::from("model"),
            // int8 is faster and ranks slightly worse; correctness first.
            precision: Precision::Fp32,
            // Embedding is nearly all of the work, so it may use the whole machine.
            threads: 0,
        }
    }
}

/// What embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The model in the model folder.
    Local,
    /// A deterministic hash of the words: for tests and benches.
    Hash,
}

/// How numbers are held while embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// Weights as 8-bit integers.
    Int8,
}

/// The running process's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Where commands are answered; loopback only, port 0 for any free one.
    pub listen: SocketAddr,
    /// How long a stop waits for what is in hand, in seconds.
    pub grace_seconds: u64,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            // A fixed port, so that an address written down stays right.
            listen: SocketAddr::from(([127, 0, 0, 1], 7411)),
            // Longer than any batch takes, shorter than the 90 s after which systemd kills.
            grace_seconds: 20,
        }
    }
}

impl Serve {
    /// How long a stop waits for what is in hand.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }
}

/// What carries changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Partitions; fixed when the data folder is made.
    pub partitions: u32,
    /// How often a change is tried before it is parked.
    pub attempts_max: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            // Enough for several workers on one machine, few enough that each fills a batch.
            partitions: 4,
            // A fault that passes is over by then; one that does not should be seen soon.
            attempts_max: 5,
        }
    }
}

/// Source to queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Changes that may be published and not yet confirmed.
    pub window: usize,
    /// Documents a snapshot reads at once.
    pub page_size: usize,
    /// How often each queue is told up to which time it has everything, and an idle position is
    /// saved, in milliseconds.
    pub tick_ms: u64,
    /// Changes after which the position is saved before the next tick.
    pub save_after: usize,
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

/// What is read from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crawl {
    /// Largest page, in bytes, also after decompression.
    pub page_bytes_max: u64,
    /// Largest file of a repository that is stored, in bytes.
    pub file_bytes_max: u64,
    /// Largest text of one repository, in bytes.
    pub repository_bytes_max: u64,
    /// Most files read from one folder or repository.
    pub files_max: usize,
    /// Longest wait for one page, in seconds.
    pub timeout_seconds: u64,
    /// Most redirects followed for one page.
    pub redirects_max: usize,
    /// Whether private, loopback and link-local addresses may be read.
    pub allow_private: bool,
}

impl Default for Crawl {
    fn default() -> Self {
        Self {
            // Far above any article, far below what would hurt.
            page_bytes_max: 32 << 20,
            // Source files beyond it are generated or data.
            file_bytes_max: 1 << 20,
            // One document a repository: it is held in memory as a whole.
            repository_bytes_max: 256 << 20,
            // Stops a crawl of a wrong folder.
            files_max: 100_000,
            // Slow servers answer within it.
            timeout_seconds: 30,
            // As many as browsers' slowest honest chains need.
            redirects_max: 5,
            // A page must not make us read our own network.
            allow_private: false,
        }
    }
}

impl Crawl {
    /// Longest wait for one page.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
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
            // Starts, stops and what needs a person; never document text.
            filter: "info".into(),
            // For a person at a terminal.
            format: LogFormat::Text,
        }
    }
}

/// In which form events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line an event, for people.
    Text,
    /// One JSON object an event, for machines.
    Json,
}

impl Config {
    /// The folder of the model's files.
    pub fn model_folder(&self) -> PathBuf {
        self.data.join(&self.model.folder)
    }

    /// Every bound that is broken, as `setting: why`.
    fn faults(&self) -> Vec<String> {
        let Self {
            queue,
            capture,
            feature,
            crawl,
            serve,
            ..
        } = self;
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let bounds: [(&str, u64, u64, u64); 13] = [
            ("model.threads", wide(self.model.threads), 0, 1_024),
            ("serve.grace_seconds", serve.grace_seconds, 1, 3_600),
            ("queue.partitions", queue.partitions.into(), 1, 256),
            ("queue.attempts_max", queue.attempts_max.into(), 1, 1_000),
            ("capture.window", wide(capture.window), 1, 100_000),
            ("capture.page_size", wide(capture.page_size), 1, 10_000),
            ("capture.tick_ms", capture.tick_ms, 10, 60_000),
            ("capture.save_after", wide(capture.save_after), 1, 1_000_000),
            ("feature.batch_size", wide(feature.batch_size), 1, 10_000),
            ("feature.tombstone_ttl_days", feature.tombstone_ttl_days, 0, 36_500),
            ("crawl.page_bytes_max", crawl.page_bytes_max, 1, 1 << 30),
            ("crawl.file_bytes_max", crawl.file_bytes_max, 1, 1 << 30),
            ("crawl.timeout_seconds", crawl.timeout_seconds, 1, 3_600),
        ];
        let mut faults: Vec<String> = bounds
            .iter()
            .filter(|(_, value, low, high)| value < low || value > high)
            .map(|(name, value, low, high)| format!("{name}: {value} is not in {low} to {high}"))
            .collect();
        if !serve.listen.ip().is_loopback() {
            let ip = serve.listen.ip();
            faults.push(format!("serve.listen: {ip} is no loopback address, use 127.0.0.1 or ::1"));
        }
        faults
    }
}
