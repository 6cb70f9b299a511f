//! Rebuilding what has grown, beside the writes.
//!
//! ```text
//! much was written ──> flushed, log emptied ──> begin ──> writes go on, the log grows ──> over ──> flushed
//! ```
//!
//! While the engine rebuilds, a delete is held in memory alone, which a flush does not reach. So nothing is
//! flushed meanwhile, and the log keeps what is written: when it is full, writing waits for the end.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use qdrant_edge::EdgeShard;

use super::shard::{Failure, guarded};

/// When the engine tidies up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upkeep {
    /// How long a write may stand in the log alone before the engine is flushed; half of it behind
    /// the sweep that ends a document.
    pub log_age: Duration,
    /// Points written between two rebuilds.
    pub after: usize,
    /// Points in one piece from which on it gets a graph; below, a search compares with every one.
    pub graph_from: usize,
    /// Pieces that may stand side by side; beyond them the smallest are made one. A search looks into each,
    /// and with few of them every point is rebuilt over and over while an index grows.
    pub pieces: usize,
}

/// A flush takes tens of milliseconds in which nothing is written, whatever it is for, and a log is
/// bounded by its size as well: seldom is better. Comparing 10,000 vectors takes some two
/// milliseconds; rebuilding takes seconds.
impl Default for Upkeep {
    fn default() -> Self {
        Self {
            log_age: Duration::from_secs(10),
            after: 10_000,
            graph_from: 10_000,
            pieces: 8,
        }
    }
}

/// A rebuilding that is under way, or none.
#[derive(Debug, Default)]
pub(super) struct Rebuilding(Option<JoinHandle<Result<bool, Failure>>>);

impl Rebuilding {
    /// Begins one, which takes seconds for tens of thousands of points.
    pub(super) fn begin(&mut self, shard: &Arc<EdgeShard>) {
        let shard = Arc::clone(shard);
        let work = move || guarded(|| shard.optimize());
        let begun = Builder::new().name("vector-rebuild".to_owned()).spawn(work);
        self.0 = begun
            .inspect_err(|error| tracing::warn!(%error, "no thread to rebuild the vector index"))
            .ok();
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it changed anything, once it is over; none while it is under way, or where there is none.
    pub(super) fn over(&mut self) -> Option<Result<bool, Failure>> {
        let ended = self.0.take_if(|thread| thread.is_finished());
        ended.map(joined)
    }

    /// The same, when it is over.
    pub(super) fn wait(&mut self) -> Option<Result<bool, Failure>> {
        self.0.take().map(joined)
    }
}

fn joined(thread: JoinHandle<Result<bool, Failure>>) -> Result<bool, Failure> {
    let gone = |_| Err(Failure::Panic("its thread ended".to_owned()));
    thread.join().unwrap_or_else(gone)
}
