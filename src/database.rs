//! The one `SQLite` file that source, queue and manifests share.
//!
//! ```text
//! write ──> bounded channel ──> writer thread ──> one transaction for all that wait ──> answers
//! read  ──> bounded channel ──> reader threads ──> one short read transaction each
//! ```
//!
//! Everything stands in one write-ahead log, so what a power cut takes is a suffix of what was
//! written: a position goes before the messages that were published ahead of it, and those before
//! the source's writes that they tell of. Only what the outside was promised, a saved document,
//! is therefore written [`Durability::Synced`]. All else is [`Durability::Ordered`]: it survives
//! the end of the process at any moment (`kill -9`), since the operating system holds the pages,
//! and a power cut makes it happen again. Not so where the queue is a service, which repeats nothing that was
//! acknowledged: there every write is synced ([`Database::synced`]).
//!
//! A long read would keep the log from being emptied, so every read is one short call, and a log
//! that has grown past its limit is emptied by the writer between two transactions.

mod file;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Error, Result};

/// How many calls may wait for a thread; more wait in their own place.
const WAITING_MAX: usize = 256;
/// Two, so that one page that is slow to read does not hold up the queue.
const READER_COUNT: usize = 2;
/// The part that is said to have stopped when a thread is gone.
const PART: &str = "the database";

/// What a write survives once it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of the process. A power cut may take it, together with everything written after.
    Ordered,
    /// A power cut too; so does everything written before it.
    Synced,
}

/// Told after a commit; whoever subscribed looks again.
pub(crate) type Wake = watch::Sender<()>;

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

/// An open database. Clones share its threads; the last to be dropped closes the file.
#[derive(Debug, Clone)]
pub struct Database {
    shared: Arc<Shared>,
    /// What every write of this handle survives at least.
    least: Durability,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    writes: Option<mpsc::Sender<writer::Job>>,
    reads: Option<mpsc::Sender<Read>>,
    /// The readers, then the writer, which as the last to close the file empties its log.
    threads: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens the file, making it when there is none, and runs the schemas, which must be
    /// repeatable (`CREATE TABLE IF NOT EXISTS`).
    ///
    /// Blocks; after an unclean end of the last process it reads the whole file once.
    ///
    /// # Errors
    /// [`Error::Data`] for a file of a newer format, of another program, or that is damaged.
    pub fn open(path: &Path, schemas: &[&str]) -> Result<Self> {
        let connection = file::open(path, schemas)?;
        let (to_writer, jobs) = mpsc::channel(WAITING_MAX);
        let (to_readers, waiting) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for number in 0..READER_COUNT {
            let connection = file::open_to_read(path)?;
            let waiting = Arc::clone(&waiting);
            let name = format!("database-read-{number}");
            threads.push(start(name, move || read_all(connection, &waiting))?);
        }
        let writer = writer::Writer::new(connection, path);
        threads.push(start("database-write".to_owned(), move || {
            writer.run(jobs);
        })?);
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                writes: Some(to_writer),
                reads: Some(to_readers),
                threads,
            }),
            least: Durability::Ordered,
        })
    }

    /// The same with every write synced: for what rests on somebody else's word, who would not have a power cut's
    /// loss done again.
    #[must_use]
    pub fn synced(self) -> Self {
        let least = Durability::Synced;
        Self { least, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Does the work in a transaction, which is rolled back when the work fails.
    ///
    /// Writes take effect in the order of their calls. Several may share one commit; a dropped
    /// future leaves its work done or not done, never half done.
    pub async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_and_wake(durability, None, work).await
    }

    /// The same, and tells `wake` once it is committed, even if this future was dropped meanwhile.
    pub(crate) async fn write_and_wake<T: Send + 'static>(
        &self,
        durability: Durability,
        wake: Option<Wake>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = writer::Job::new(durability.max(self.least), wake, work, answer);
        send(self.shared.writes.as_ref(), job).await?;
        let result = answered.await.map_err(|_| stopped())?;
        result.map_err(|error| file::named(error, self.path()))
    }

    /// The same as [`Database::write`] for a thread of one's own, which waits; not for the
    /// runtime's.
    pub(crate) fn write_blocking<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = writer::Job::new(durability.max(self.least), None, work, answer);
        let writes = self.shared.writes.as_ref().ok_or_else(stopped)?;
        writes.blocking_send(job).map_err(|_| stopped())?;
        let result = answered.blocking_recv().map_err(|_| stopped())?;
        result.map_err(|error| file::named(error, self.path()))
    }

    /// Does the work on one consistent state of the file, which holds every write that returned
    /// before. Keep it short: a page, not a table.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Read = Box::new(move |connection| {
            let result = connection
                .transaction()
                .map_err(Error::from)
                .and_then(|transaction| work(&transaction));
            // Whoever asked may have gone.
            answer.send(result).ok();
        });
        send(self.shared.reads.as_ref(), job).await?;
        let result = answered.await.map_err(|_| stopped())?;
        result.map_err(|error| file::named(error, self.path()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let writer = self.threads.pop();
        self.reads = None;
        self.threads.drain(..).for_each(join);
        // Only now, so that it is the last to close: a reader could not empty the log.
        self.writes = None;
        writer.into_iter().for_each(join);
    }
}

/// Waits for a thread's end, except on that thread itself: a work that holds the last clone drops
/// it there. A thread that panicked has told its callers that it stopped.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        thread.join().ok();
    }
}

/// Hands a job to a thread; a dropped future has not handed it over.
async fn send<J>(channel: Option<&mpsc::Sender<J>>, job: J) -> Result<()> {
    let channel = channel.ok_or_else(stopped)?;
    channel.send(job).await.map_err(|_| stopped())
}

fn stopped() -> Error {
    Error::Stopped { part: PART }
}

fn start(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name)
        .spawn(run)
        .map_err(Error::unavailable("the system", "start a thread"))
}

/// One reader thread: takes the next read that waits, whichever thread is free.
fn read_all(mut connection: Connection, waiting: &Mutex<mpsc::Receiver<Read>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(read) = next else { return };
        read(&mut connection);
    }
}

#[cfg(test)]
mod tests;
