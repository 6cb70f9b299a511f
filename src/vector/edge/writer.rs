//! The thread that writes: effects into memory and log, and now and then a flush.
//!
//! ```text
//! batch ──> decide ──> apply ──> log and rows, one commit ──> answer
//!                                          │
//!              old, or much ──> flush the engine ──> empty the log
//! ```
//!
//! While the engine flushes, nothing can be written to it, and it takes about as long for one write
//! as for many. It rebuilds what has grown beside the writes, see `upkeep`. A failed flush leaves the log as it is and refuses every later write: all that was
//! answered since the last good one is replayed at the next opening.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use qdrant_edge::{EdgeShard, OperationResult};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::points::{self, Effect};
use super::shard::{self, Failure};
use super::tables::Tables;
use super::upkeep::{Rebuilding, Rebuilt, Upkeep};
use super::{log, rows};
use crate::Result;
use crate::database::{Database, Durability};
use crate::vector::Write;

/// The log is emptied when it holds so much: to be read again at the next opening.
const LOG_EFFECTS_MAX: usize = 1000;
const LOG_BYTES_MAX: usize = 8 << 20;
/// So many times as much while the engine rebuilds, which takes longer.
const WHILE_REBUILDING: usize = 8;
/// Between two looks whether a rebuilding is over, where the log waits for it.
const LOOK: Duration = Duration::from_millis(100);

/// Writes of one call.
pub(super) struct Batch {
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<()>>,
    /// Its place in the channel, given back when it is taken.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the log holds.
#[derive(Debug, Default)]
struct Logged {
    effects: usize,
    bytes: usize,
    /// When the first of it was appended; none while it is empty.
    since: Option<Instant>,
}

impl Logged {
    fn add(&mut self, effects: usize, bytes: usize) {
        self.effects += effects;
        self.bytes += bytes;
        if effects > 0 {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether it holds this many times what it should.
    fn is_full(&self, times: usize) -> bool {
        self.effects >= times * LOG_EFFECTS_MAX || self.bytes >= times * LOG_BYTES_MAX
    }
}

pub(super) struct Writer {
    shard: Arc<EdgeShard>,
    database: Database,
    /// Whose tables the rows are in.
    edition: u32,
    upkeep: Upkeep,
    /// Effects in the engine's memory that are not in the log, because a commit failed.
    unlogged: Arc<Vec<Effect>>,
    logged: Logged,
    /// Points touched since the last rebuilding began.
    touched: usize,
    rebuilding: Rebuilding,
    /// Why the engine takes no more.
    broken: Option<Failure>,
}

impl Writer {
    pub(super) fn new(
        shard: Arc<EdgeShard>,
        (database, edition): (Database, u32),
        upkeep: Upkeep,
    ) -> Self {
        Self {
            shard,
            database,
            edition,
            upkeep,
            unlogged: Arc::default(),
            logged: Logged::default(),
            touched: 0,
            rebuilding: Rebuilding::default(),
            broken: None,
        }
    }

    /// So many effects of the log are in the engine's memory again, as if just written; so many points
    /// were copied.
    pub(super) fn replayed(&mut self, effects: usize, copied: usize) {
        self.logged.add(effects, 0);
        self.touched += effects + copied;
    }

    /// Runs until the sender is gone.
    pub(super) fn run(mut self, batches: &Receiver<Batch>) {
        loop {
            let next = match self.pause() {
                Some(pause) => batches.recv_timeout(pause),
                None => batches.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let age_max = match next {
                Ok(batch) => self.answer(batch),
                Err(RecvTimeoutError::Timeout) => self.upkeep.log_age,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let rebuilt = self.rebuilding.over();
            self.rebuilt(rebuilt);
            if self.rebuilding.is_under_way() {
                continue;
            }
            let due = self
                .age()
                .is_some_and(|age| self.logged.is_full(1) || age >= age_max);
            if due && self.empty_log() && self.touched >= self.upkeep.after {
                self.touched = 0;
                self.rebuilding.begin(&self.shard);
            }
        }
        self.end_rebuilding();
        if self.age().is_some() {
            self.empty_log();
        }
    }

    /// How long to wait for a write; none for as long as it takes.
    fn pause(&self) -> Option<Duration> {
        let pause = self.upkeep.log_age.saturating_sub(self.age()?);
        let least = if self.rebuilding.is_under_way() {
            LOOK
        } else {
            Duration::ZERO
        };
        Some(pause.max(least))
    }

    /// How old the log's oldest effect is; none where there is nothing to flush, or no hope.
    fn age(&self) -> Option<Duration> {
        let since = self.logged.since.filter(|_| self.broken.is_none());
        since.map(|since| since.elapsed())
    }

    /// Performs and answers, and says which age of the log is then enough to empty it.
    fn answer(&mut self, batch: Batch) -> Duration {
        drop(batch.room);
        let swept = matches!(batch.writes.last(), Some(Write::Sweep { .. }));
        let outcome = self.perform(batch.writes);
        // Whoever asked may have gone.
        batch.answer.send(outcome).ok();
        // Behind a sweep a document is done, and nobody waits for a flush.
        self.upkeep.log_age / if swept { 2 } else { 1 }
    }

    fn perform(&mut self, writes: Vec<Write>) -> Result<()> {
        self.make_ready()?;
        for run in runs(writes) {
            let mut rows = Vec::new();
            for write in run {
                if points::is_of_points(&write) {
                    self.take_effect(write)?;
                } else {
                    rows.push(write);
                }
            }
            self.commit(rows)?;
        }
        Ok(())
    }

    /// Nothing is weighed against what may be lost, and a log that cannot be emptied takes no more.
    fn make_ready(&mut self) -> Result<()> {
        self.usable()?;
        self.commit(Vec::new())?;
        let times = if self.rebuilding.is_under_way() {
            WHILE_REBUILDING
        } else {
            1
        };
        if self.logged.is_full(times) {
            self.end_rebuilding();
        }
        if self.logged.is_full(1) && !self.rebuilding.is_under_way() {
            self.flush()?;
        }
        self.usable()
    }

    fn usable(&self) -> Result<()> {
        match &self.broken {
            Some(why) => Err(shard::unwritable(self.shard.path(), why)),
            None => Ok(()),
        }
    }

    fn take_effect(&mut self, write: Write) -> Result<()> {
        let effects = self.call(|shard| points::decide(shard, write))?;
        self.call(|shard| points::apply(shard, &effects))?;
        Arc::make_mut(&mut self.unlogged).extend(effects);
        Ok(())
    }

    /// Puts the rows, and the effects that they rest on, into the database.
    fn commit(&mut self, rows: Vec<Write>) -> Result<()> {
        if rows.is_empty() && self.unlogged.is_empty() {
            return Ok(());
        }
        let effects = Arc::clone(&self.unlogged);
        let edition = self.edition;
        let bytes = self
            .database
            .write_blocking(Durability::Ordered, move |transaction| {
                let tables = Tables::new(transaction, edition);
                let bytes = log::append(tables, &effects)?;
                rows.iter()
                    .try_for_each(|write| rows::apply(tables, write))?;
                Ok(bytes)
            })?;
        self.logged.add(self.unlogged.len(), bytes);
        self.touched += self.unlogged.len();
        self.unlogged = Arc::default();
        Ok(())
    }

    /// Flushes, so that the log ends; where that fails it stays, until it is old enough once more.
    fn empty_log(&mut self) -> bool {
        let flushed = self.flush();
        if let Err(error) = &flushed {
            tracing::error!(error = %error.chain(), "vectors not flushed; their log is kept");
            self.logged.since = Some(Instant::now());
        }
        flushed.is_ok()
    }

    /// Makes the engine's disk have what its memory has, and empties the log.
    fn flush(&mut self) -> Result<()> {
        // What the engine's memory has lost is in the log alone.
        self.usable()?;
        // An effect that is on the disk and not in the log would be undone by an older one there.
        self.commit(Vec::new())?;
        self.call(|shard| {
            shard.flush();
            Ok(())
        })?;
        let edition = self.edition;
        self.database
            .write_blocking(Durability::Ordered, move |log| {
                log::empty(Tables::new(log, edition))
            })?;
        self.logged = Logged::default();
        Ok(())
    }

    fn end_rebuilding(&mut self) {
        let rebuilt = self.rebuilding.wait();
        self.rebuilt(rebuilt);
    }

    /// Takes in what came of a rebuilding that is over.
    fn rebuilt(&mut self, outcome: Option<Rebuilt>) {
        match outcome {
            Some(Err(failure)) => {
                tracing::error!(error = %failure, "vector index not rebuilt; the log of vectors is kept");
                self.broken = Some(failure);
            }
            Some(Ok(_)) if self.empty_log() => {
                // Left for the next time if it fails; it costs room only.
                shard::shorten_log(self.shard.path()).ok();
            }
            _ => {}
        }
    }

    /// Calls the engine for a write. After a failure it is not asked again: what its memory holds
    /// may not reach the disk.
    fn call<T>(&mut self, work: impl FnOnce(&EdgeShard) -> OperationResult<T>) -> Result<T> {
        shard::guarded(|| work(&self.shard)).map_err(|failure| {
            let error = shard::unwritable(self.shard.path(), &failure);
            self.broken = Some(failure);
            error
        })
    }
}

/// Splits the writes, in order, into runs of points and then rows.
fn runs(writes: Vec<Write>) -> Vec<Vec<Write>> {
    let mut runs: Vec<Vec<Write>> = Vec::new();
    for write in writes {
        match runs.last_mut() {
            Some(run)
                if !points::is_of_points(&write)
                    || run.last().is_some_and(points::is_of_points) =>
            {
                run.push(write);
            }
            _ => runs.push(vec![write]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::still;

    fn writer(folder: &std::path::Path) -> Writer {
        let (shard, _) = shard::open(&folder.join("vectors"), 2, Upkeep::default()).unwrap();
        let database = Database::open(&folder.join("lockstep.db"), &[rows::SCHEMA]).unwrap();
        Writer::new(Arc::new(shard), (database, 1), Upkeep::default())
    }

    #[test]
    fn a_rebuilding_that_fails_keeps_the_log_and_lets_nothing_more_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let upsert = |text: &str| vec![Write::Upsert(vec![still::point(text)])];
        writer.perform(upsert("one")).unwrap();
        writer
            .rebuilding
            .run(|| Err(Failure::Panic("no".to_owned())));
        // Also by whoever waits for its end because the log is full.
        writer.logged.effects = WHILE_REBUILDING * LOG_EFFECTS_MAX;
        let said = writer.perform(upsert("two")).unwrap_err().chain();
        assert!(said.contains("the engine gave up (no)"), "{said}");
        assert!(writer.perform(upsert("three")).is_err());
        assert!(!writer.empty_log());
        let file = rusqlite::Connection::open(folder.path().join("lockstep.db")).unwrap();
        let kept = file.query_row("SELECT count(*) FROM vector_log", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(kept.unwrap(), 1);
    }

    #[test]
    fn the_log_may_hold_more_while_the_engine_rebuilds() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        let (done, wait) = std::sync::mpsc::channel::<()>();
        writer.rebuilding.run(move || {
            wait.recv().ok();
            Ok(true)
        });
        writer.logged.effects = LOG_EFFECTS_MAX;
        let upsert = vec![Write::Upsert(vec![still::point("one")])];
        writer.perform(upsert).unwrap();
        assert!(writer.logged.is_full(1) && writer.rebuilding.is_under_way());
        drop(done);
        writer.end_rebuilding();
        assert!(!writer.logged.is_full(1));
    }
}
