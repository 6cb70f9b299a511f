//! The writer thread: one commit for all writes that wait.
//!
//! ```text
//! jobs ──> BEGIN ──> a savepoint each ──> COMMIT ──> answers, wakes ──> empty a long log
//! ```

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Durability, Wake, file};
use crate::Result;

/// How many writes share a commit at most, so that the first of them is not kept waiting long.
const GROUP_MAX: usize = 64;
/// The log is emptied when its file is larger than this: 16 MiB, four times what `SQLite` moves
/// into the database by itself as it goes.
pub(super) const LOG_BYTES_MAX: u32 = 16 << 20;

/// Tells the caller what became of its work, given what became of the commit.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

type Work = Box<dyn FnOnce(Option<&Transaction<'_>>) -> Done + Send>;

/// A write that waits.
pub(super) struct Job {
    durability: Durability,
    /// None when there is no transaction to do it in.
    work: Work,
}

/// A write that is in a transaction not yet committed.
struct Done {
    /// False when the work failed and has to be taken back.
    good: bool,
    answer: Answer,
}

impl Job {
    pub(super) fn new<T: Send + 'static>(
        durability: Durability,
        wake: Option<Wake>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        answer: oneshot::Sender<Result<T>>,
    ) -> Self {
        let work = move |transaction: Option<&Transaction<'_>>| {
            let result = transaction.map_or_else(|| Err(super::stopped()), work);
            let (good, tried) = (result.is_ok(), transaction.is_some());
            let answer = move |committed: Result<()>| {
                let result = match (result, committed) {
                    (Err(own), _) if tried => Err(own),
                    (_, Err(shared)) => Err(shared),
                    (result, Ok(())) => result,
                };
                if let (Ok(_), Some(wake)) = (&result, wake) {
                    wake.send_replace(());
                }
                // Whoever asked may have gone.
                answer.send(result).ok();
            };
            Done {
                good,
                answer: Box::new(answer),
            }
        };
        Self {
            durability,
            work: Box::new(work),
        }
    }
}

pub(super) struct Writer {
    connection: Connection,
    log: PathBuf,
    /// What the connection is set to.
    durability: Option<Durability>,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            log: file::log(path),
            durability: None,
        }
    }

    /// Runs until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            self.commit(group.drain(..).collect());
            self.empty_a_long_log();
        }
    }

    /// Does the jobs in one transaction, then answers each.
    fn commit(&mut self, mut group: VecDeque<Job>) {
        let durability = group.iter().map(|job| job.durability).max();
        let mut answers = Vec::with_capacity(group.len());
        let committed = self
            .set(durability.unwrap_or(Durability::Synced))
            .and_then(|()| perform(&mut self.connection, &mut group, &mut answers));
        // What is left in the group was kept from its turn by an error.
        answers.extend(group.into_iter().map(|job| (job.work)(None).answer));
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(file::shared(error)),
            });
        }
    }

    /// `SQLite` changes this only between transactions.
    fn set(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.durability == Some(durability) {
            return Ok(());
        }
        let synchronous = match durability {
            Durability::Ordered => "NORMAL",
            Durability::Synced => "FULL",
        };
        self.connection
            .pragma_update(None, "synchronous", synchronous)?;
        self.durability = Some(durability);
        Ok(())
    }

    /// Waits for the reads under way, which are short, and gives the log's space back. When they
    /// are not over in time, the next commit tries again.
    fn empty_a_long_log(&self) {
        let long =
            std::fs::metadata(&self.log).is_ok_and(|log| log.len() > u64::from(LOG_BYTES_MAX));
        if long
            && let Err(error) =
                self.connection
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the write-ahead log was not emptied");
        }
    }
}

/// Does each job behind a savepoint and commits those that succeeded.
fn perform(
    connection: &mut Connection,
    group: &mut VecDeque<Job>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    while let Some(job) = group.pop_front() {
        transaction.execute_batch("SAVEPOINT job")?;
        let done = (job.work)(Some(&transaction));
        answers.push(done.answer);
        // A full disk and its like make SQLite take back the whole transaction, not only the job.
        if transaction.is_autocommit() {
            return Err(file::taken_back());
        }
        transaction.execute_batch(if done.good {
            "RELEASE job"
        } else {
            "ROLLBACK TO job; RELEASE job"
        })?;
    }
    transaction.commit()
}
