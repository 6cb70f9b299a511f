//! Partitions, lanes and parked messages in `SQLite`.
//!
//! ```text
//! publish ──> messages (place, sequence) ──> receive: count the attempt, then hand out
//!                      ▲                         │
//!                      └──── release, drop ──────┼──> settle: the row is deleted
//!                                                └──> park: the row moves to parked
//! ```
//!
//! What is in hand, and how long a released message rests, is kept in memory: it ends with the
//! process, as it should.

mod choose;
mod consumer;
mod hands;

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

pub use consumer::SqliteConsumer;

use super::{Confirm, Depth, Generations, Outgoing, Parked, Queue, Turn};
use crate::change::{Lane, Message, Place};
use crate::clock::Clock;
use crate::database::{Database, Durability, Wake};
use crate::{Error, Result};
use hands::Hands;

/// The queue of the embedded mode. Clones share it; there is one a database, because what is in
/// hand is known to it alone.
#[derive(Debug, Clone)]
pub struct SqliteQueue {
    database: Database,
    clock: Clock,
    partitions: u32,
    wake: Wake,
    hands: Arc<Mutex<Hands>>,
}

impl SqliteQueue {
    /// The tables, for [`Database::open`].
    pub const SCHEMA: &str = "
        CREATE TABLE IF NOT EXISTS messages (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            place INTEGER NOT NULL, is_change INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL
        );
        CREATE INDEX IF NOT EXISTS messages_by_place ON messages (place, sequence, is_change);
        CREATE TABLE IF NOT EXISTS parked (
            id BLOB PRIMARY KEY, record TEXT NOT NULL, body BLOB NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS queue (
            one INTEGER PRIMARY KEY CHECK (one = 1), partitions INTEGER NOT NULL
        );";

    /// The queue in this database, which was opened with [`Self::SCHEMA`].
    ///
    /// # Errors
    /// [`Error::Config`] when it was made with another number of partitions: what stands in them
    /// would be received out of order.
    pub async fn open(database: Database, partitions: u32, clock: Clock) -> Result<Self> {
        let remember = move |transaction: &Transaction<'_>| {
            let insert = "INSERT OR IGNORE INTO queue VALUES (1, ?1)";
            transaction.execute(insert, [partitions])?;
            let select = "SELECT partitions FROM queue";
            Ok(transaction.query_row(select, [], |row| row.get::<_, u32>(0))?)
        };
        let stored = database.write(Durability::Ordered, remember).await?;
        if partitions == 0 || stored != partitions {
            return Err(Error::Config {
                setting: "queue.partitions".to_owned(),
                why: format!("it is {partitions}, and the data folder was made with {stored}"),
            });
        }
        Ok(Self {
            database,
            clock,
            partitions,
            wake: Wake::new(()),
            hands: Arc::default(),
        })
    }

    /// Forgets every message, what is parked, and how many partitions there were; the next to open the queue
    /// says how many there are. The database was opened with [`Self::SCHEMA`], and nobody has the queue.
    pub async fn forget(database: &Database) -> Result<()> {
        let forget = |transaction: &Transaction<'_>| {
            for table in ["messages", "parked", "queue"] {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            Ok(())
        };
        database.write(Durability::Ordered, forget).await
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue for SqliteQueue {
    type Consumer = SqliteConsumer;
    type Answers = Ready<Result<Vec<Confirm>>>;

    fn partitions(&self) -> u32 {
        self.partitions
    }

    /// On its way and answered are one moment here: a transaction is done or not.
    async fn publish(&self, batch: &[Outgoing]) -> Result<Self::Answers> {
        let (mut rows, mut confirms) = (Vec::new(), Vec::new());
        for outgoing in batch {
            confirms.push(match self.row(outgoing) {
                Ok(row) => {
                    rows.push(row);
                    Confirm::Confirmed
                }
                Err(error) => Confirm::Failed(error),
            });
        }
        let insert = move |transaction: &Transaction<'_>| {
            let insert = "INSERT INTO messages (place, is_change, body) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert)?;
            for (place, is_change, body) in rows {
                insert.execute(params![place, is_change, body])?;
            }
            Ok(confirms)
        };
        let wake = Some(self.wake.clone());
        let write = self
            .database
            .write_and_wake(Durability::Ordered, wake, insert);
        Ok(ready(Ok(write.await?)))
    }

    async fn consume(&self, partitions: Vec<u32>) -> Result<SqliteConsumer> {
        if let Some(partition) = partitions.iter().find(|one| **one >= self.partitions) {
            return Err(self.no_partition(*partition));
        }
        Ok(SqliteConsumer::new(self.clone(), partitions))
    }

    async fn parked(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Parked>> {
        let read = move |connection: &Connection| {
            let select = "SELECT record FROM parked WHERE ?1 IS NULL OR id > ?1 \
                          ORDER BY id LIMIT ?2";
            let mut select = connection.prepare_cached(select)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let after = after.map(Uuid::into_bytes);
            let rows = select.query_map(params![after, limit], |row| row.get::<_, String>(0))?;
            let parse = |text: String| {
                serde_json::from_str(&text)
                    .map_err(|error| Error::malformed("a parked message", error.to_string()))
            };
            rows.map(|text| parse(text?)).collect()
        };
        self.database.read(read).await
    }

    async fn forget(&self, ids: Vec<Uuid>) -> Result<()> {
        let forget = move |transaction: &Transaction<'_>| {
            let mut delete = transaction.prepare_cached("DELETE FROM parked WHERE id = ?1")?;
            for id in ids {
                delete.execute([id.into_bytes()])?;
            }
            Ok(())
        };
        self.database.write(Durability::Ordered, forget).await
    }

    async fn depth(&self) -> Result<Depth> {
        let count = |connection: &Connection| {
            // Reads indices only, never a body.
            let select = "SELECT coalesce(sum(place % 2 = 0), 0), coalesce(sum(place % 2), 0), \
                          (SELECT count(*) FROM parked) FROM messages WHERE is_change";
            let mut select = connection.prepare_cached(select)?;
            Ok(select.query_row([], |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
                Ok(Depth {
                    live: count(0)?,
                    backfill: count(1)?,
                    parked: count(2)?,
                })
            })?)
        };
        self.database.read(count).await
    }
}

impl Generations for SqliteQueue {
    async fn current(&self) -> Result<u32> {
        Ok(self.partitions)
    }

    async fn turn(&self, _: bool) -> Result<Turn> {
        Ok(Turn::Stays)
    }
}

impl SqliteQueue {
    /// A message as it is stored: number of its place, whether it is a change, and its body.
    fn row(&self, outgoing: &Outgoing) -> Result<(i64, bool, Vec<u8>)> {
        if outgoing.place.partition >= self.partitions {
            return Err(self.no_partition(outgoing.place.partition));
        }
        let body = serde_json::to_vec(&outgoing.message)
            .map_err(|error| Error::malformed("a message", error.to_string()))?;
        let is_change = matches!(outgoing.message, Message::Change(_));
        Ok((number(outgoing.place), is_change, body))
    }

    fn no_partition(&self, partition: u32) -> Error {
        Error::Config {
            setting: format!("partition {partition}"),
            why: format!("the queue has {}, counted from 0", self.partitions),
        }
    }
}

/// How a place is written in the table: live lanes are even, backfill lanes odd.
fn number(place: Place) -> i64 {
    let lane = match place.lane {
        Lane::Live => 0,
        Lane::Backfill => 1,
    };
    i64::from(place.partition) * 2 + lane
}

#[cfg(test)]
mod tests;
