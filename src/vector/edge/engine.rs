//! The threads that hold the engine.
//!
//! ```text
//! write ──> bounded channel ──> vector-write: one after the other, see `writer`
//! read  ──> bounded channel ──> vector-read, several threads: whoever is free takes the next
//! ```

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, available_parallelism};

use qdrant_edge::{EdgeShard, OperationResult};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::log;
use super::shard::{self, Failure};
use super::upkeep::Upkeep;
use super::writer::{Batch, Writer};
use crate::database::Database;
use crate::vector::Write;
use crate::{Error, Result};

/// Calls that may wait for a thread; more wait in their own place.
const WAITING_MAX: usize = 64;
/// Reading threads at least: a question by meaning and by words asks twice at once.
const READERS_MIN: usize = 2;
/// And at most: each holds a page of what it read.
const READERS_MAX: usize = 8;
/// The part that is said to have stopped when a thread is gone.
const PART: &str = "the vector engine";

type Read = Box<dyn FnOnce(&EdgeShard) + Send>;

/// The engine, open. Dropping it waits for what is under way.
#[derive(Debug)]
pub(super) struct Engine {
    writes: Option<SyncSender<Batch>>,
    /// Room in the channel of the writes, whose sender cannot wait without blocking.
    room: Arc<Semaphore>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens or makes the folder, and replays the log. Blocks while it loads.
    ///
    /// # Errors
    /// [`Error::Data`] for a folder that the engine cannot load.
    pub(super) async fn open(
        folder: &Path,
        (database, edition): (&Database, u32),
        dimension: usize,
        upkeep: Upkeep,
    ) -> Result<Self> {
        let (shard, copied) = shard::open(folder, dimension, upkeep)?;
        let shard = Arc::new(shard);
        let replayed = log::replay(&shard, database, edition).await?;
        let mut writer = Writer::new(Arc::clone(&shard), (database.clone(), edition), upkeep);
        let (batch_sender, batches) = sync_channel(WAITING_MAX);
        let (question_sender, questions) = mpsc::channel(WAITING_MAX);
        let work = move || {
            writer.replayed(replayed, copied);
            writer.run(&batches);
        };
        let mut threads = vec![start("vector-write", work, folder)?];
        let questions = Arc::new(Mutex::new(questions));
        let readers = available_parallelism().map_or(READERS_MIN, usize::from);
        for _ in 0..readers.clamp(READERS_MIN, READERS_MAX) {
            let (shard, questions) = (Arc::clone(&shard), Arc::clone(&questions));
            threads.push(start(
                "vector-read",
                move || answer_all(&shard, &questions),
                folder,
            )?);
        }
        Ok(Self {
            writes: Some(batch_sender),
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            reads: Some(question_sender),
            threads,
        })
    }

    /// Performs the writes in order and makes them durable.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let (answer, answered) = oneshot::channel();
        let batch = Batch {
            writes,
            answer,
            room: room.map_err(|_| stopped())?,
        };
        let sender = self.writes.as_ref().ok_or_else(stopped)?;
        sender.try_send(batch).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Reads what every write that returned has stored.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&EdgeShard) -> OperationResult<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |shard| {
            let result = shard::guarded(|| work(shard)).map_err(|failure| match failure {
                Failure::Refused(error) => Error::unavailable(PART, "read")(error),
                Failure::Panic(_) => shard::unreadable(shard.path(), &failure),
            });
            // Whoever asked may have gone.
            answer.send(result).ok();
        });
        let sender = self.reads.as_ref().ok_or_else(stopped)?;
        sender.send(read).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.writes.take();
        self.reads.take();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            thread.join().ok();
        }
    }
}

fn stopped() -> Error {
    Error::Stopped { part: PART }
}

fn start(
    name: &str,
    work: impl FnOnce() + Send + 'static,
    folder: &Path,
) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Error::Data {
            path: folder.to_owned(),
            why: format!("no thread could be started for it: {error}"),
        })
}

fn answer_all(shard: &EdgeShard, questions: &Mutex<mpsc::Receiver<Read>>) {
    // Free again before the question is answered.
    let next = || {
        let mut questions = questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.blocking_recv()
    };
    while let Some(question) = next() {
        question(shard);
    }
}
