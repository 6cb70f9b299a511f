//! Rebuilding what has grown, beside the writes.
//!
//! ```text
//! flushed, log emptied ──> begin ──> writes go on, the log grows ──> over ──> flushed, log emptied
//!                                                             └────> failed: no more writes
//! ```
//!
//! While the engine rebuilds, a delete is held in memory alone, which a flush does not reach. So
//! nothing is flushed meanwhile, and the log keeps what is written: when it is full, writing waits
//! for the end. A rebuilding that fails drops such deletes. The log has them: it is kept, and the
//! next opening applies it.

use std::fs;
use std::io;
use std::path::Path;
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
/// milliseconds, and an index of eight pieces may have several that are smaller than that. Below 4,000
/// points there is no graph, and answers are exact.
impl Default for Upkeep {
    fn default() -> Self {
        Self {
            log_age: Duration::from_secs(10),
            after: 10_000,
            graph_from: 4_000,
            pieces: 8,
        }
    }
}

/// What came of a rebuilding: whether it changed anything.
pub(super) type Rebuilt = Result<bool, Failure>;

/// A rebuilding that is under way, or none. Dropping it waits for the end: nobody else may have the
/// folder before.
#[derive(Debug, Default)]
pub(super) struct Rebuilding(Option<JoinHandle<Rebuilt>>);

impl Rebuilding {
    /// Begins one, which takes seconds for tens of thousands of points.
    pub(super) fn begin(&mut self, shard: &Arc<EdgeShard>) {
        // The engine asks for as much, and is told no too late: nothing may be written after that.
        match has_room(shard.path()) {
            Ok(true) => {}
            Ok(false) => {
                return tracing::warn!("too little room on the disk to rebuild the vector index");
            }
            Err(error) => {
                return tracing::warn!(%error, "no look at the disk: the vector index is not rebuilt");
            }
        }
        let shard = Arc::clone(shard);
        self.run(move || guarded(|| shard.optimize()));
    }

    /// The same with any work.
    pub(super) fn run(&mut self, work: impl FnOnce() -> Rebuilt + Send + 'static) {
        let begun = Builder::new().name("vector-rebuild".to_owned()).spawn(work);
        self.0 = begun
            .inspect_err(|error| tracing::warn!(%error, "no thread to rebuild the vector index"))
            .ok();
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.0.is_some()
    }

    /// What came of it, once it is over; none while it is under way, or where there is none.
    pub(super) fn over(&mut self) -> Option<Rebuilt> {
        let ended = self.0.take_if(|thread| thread.is_finished());
        ended.map(joined)
    }

    /// What came of it, when it is over.
    pub(super) fn wait(&mut self) -> Option<Rebuilt> {
        self.0.take().map(joined)
    }
}

impl Drop for Rebuilding {
    fn drop(&mut self) {
        self.wait();
    }
}

fn joined(thread: JoinHandle<Rebuilt>) -> Rebuilt {
    let gone = |_| Err(Failure::Panic("its thread ended".to_owned()));
    thread.join().unwrap_or_else(gone)
}

/// Whether the disk has room for all of the folder twice more.
fn has_room(folder: &Path) -> io::Result<bool> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes(folder)?.saturating_mul(2))
}

/// What the files in the folder hold.
fn bytes(folder: &Path) -> io::Result<u64> {
    fs::read_dir(folder)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let size = if metadata.is_dir() {
            bytes(&entry.path())?
        } else {
            metadata.len()
        };
        Ok(sum + size)
    })
}
