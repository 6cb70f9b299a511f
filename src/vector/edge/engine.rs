//! The threads that hold the engine.
//!
//! ```text
//! write ──> bounded channel ──> vector-write: all that wait ──> one flush ──> answers
//! read  ──> bounded channel ──> vector-read: one after the other
//! ```
//!
//! The engine forgets at `kill -9` what was not flushed, and does not replay its log. A batch is
//! therefore answered only after a flush, which all batches that wait share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use qdrant_edge::{EdgeShard, OperationError, OperationResult};
use tokio::sync::{mpsc, oneshot};

use super::{points, shard};
use crate::vector::Write;
use crate::{Error, Result};

/// Calls that may wait for a thread; more wait in their own place.
const WAITING_MAX: usize = 64;
/// Batches that share a flush at most: bounds how long the first of them waits.
const GROUP_MAX: usize = 32;
/// The part that is said to have stopped when a thread is gone.
const PART: &str = "the vector engine";

type Read = Box<dyn FnOnce(&EdgeShard) + Send>;

struct Batch {
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<()>>,
}

/// The engine, open. Dropping it waits for what is under way.
#[derive(Debug)]
pub(super) struct Engine {
    writes: Option<mpsc::Sender<Batch>>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens or makes the folder. Blocks while it loads.
    ///
    /// # Errors
    /// [`Error::Data`] for a folder that the engine cannot load.
    pub(super) fn open(folder: &Path, dimension: usize, upkeep: shard::Upkeep) -> Result<Self> {
        let shard = Arc::new(shard::open(folder, dimension, upkeep)?);
        let (batch_sender, batches) = mpsc::channel(WAITING_MAX);
        let (question_sender, questions) = mpsc::channel(WAITING_MAX);
        let writer = Writer {
            shard: Arc::clone(&shard),
            folder: folder.to_owned(),
            upkeep,
            touched: 0,
        };
        let threads = vec![
            start("vector-read", move || answer_all(&shard, questions), folder)?,
            start("vector-write", move || writer.run(batches), folder)?,
        ];
        Ok(Self {
            writes: Some(batch_sender),
            reads: Some(question_sender),
            threads,
        })
    }

    /// Performs the writes in order and makes them durable.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        send(self.writes.as_ref(), Batch { writes, answer }).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Reads what every write that returned has stored.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&EdgeShard) -> OperationResult<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |shard| {
            // Whoever asked may have gone.
            answer.send(work(shard)).ok();
        });
        send(self.reads.as_ref(), read).await?;
        answered
            .await
            .map_err(|_| stopped())?
            .map_err(Error::unavailable(PART, "read"))
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

async fn send<T>(sender: Option<&mpsc::Sender<T>>, job: T) -> Result<()> {
    match sender {
        Some(sender) => sender.send(job).await.map_err(|_| stopped()),
        None => Err(stopped()),
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

fn answer_all(shard: &EdgeShard, mut questions: mpsc::Receiver<Read>) {
    while let Some(question) = questions.blocking_recv() {
        question(shard);
    }
}

struct Writer {
    shard: Arc<EdgeShard>,
    folder: PathBuf,
    upkeep: shard::Upkeep,
    /// Points written since the last upkeep.
    touched: usize,
}

impl Writer {
    fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(first) = batches.blocking_recv() {
            let touched_before = self.touched;
            let mut outcomes = vec![self.apply(first)];
            while outcomes.len() < GROUP_MAX
                && let Ok(next) = batches.try_recv()
            {
                outcomes.push(self.apply(next));
            }
            let flushed = if self.touched > touched_before {
                self.flush()
            } else {
                Ok(())
            };
            let broken = flushed.is_err();
            for (answer, outcome) in outcomes {
                let flushed = flushed.as_ref().map_err(|error| self.failed(error));
                // Whoever asked may have gone.
                answer.send(outcome.and(flushed.copied())).ok();
            }
            if broken {
                // What the engine holds in memory can no longer be trusted to reach the disk.
                return;
            }
            if self.touched >= self.upkeep.after && batches.is_empty() {
                self.touched = 0;
                self.keep_up();
            }
        }
    }

    fn apply(&mut self, batch: Batch) -> (oneshot::Sender<Result<()>>, Result<()>) {
        let mut outcome = Ok(());
        for write in batch.writes {
            match points::apply(&self.shard, write) {
                Ok(touched) => self.touched += touched,
                Err(error) => {
                    // Some of its points may be written; the flush is then for them.
                    self.touched += 1;
                    outcome = Err(self.failed(&error));
                    break;
                }
            }
        }
        (batch.answer, outcome)
    }

    /// The engine panics where it cannot flush.
    fn flush(&self) -> OperationResult<()> {
        catch_unwind(AssertUnwindSafe(|| self.shard.flush())).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            OperationError::service_error(text.unwrap_or("it could not flush"))
        })
    }

    /// After a failed write the engine refuses all others until it is loaded anew.
    fn failed(&self, error: &OperationError) -> Error {
        Error::Data {
            path: self.folder.clone(),
            why: format!(
                "the vector engine could not write: {error}; if the disk is full make room, then \
                 start again: nothing that was confirmed is lost"
            ),
        }
    }

    /// Not on the reading thread, and not beside writes: while the engine rebuilds, a delete is
    /// held in memory alone, which a flush does not reach.
    fn keep_up(&self) {
        if let Err(error) = shard::keep_up(&self.shard, &self.folder) {
            tracing::warn!(error = %error, "vector index not rebuilt; searches stay exact");
        }
    }
}
