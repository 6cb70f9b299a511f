//! Receiving: choose, count the attempt, commit, hand out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use uuid::Uuid;

use super::SqliteQueue;
use super::choose::{choose, free};
use crate::change::{Lane, Message, Place, Version};
use crate::database::Durability;
use crate::queue::{Consumer, Delivery, Parked, Tag, Unreadable};
use crate::{Error, Result};

/// Receives from `SQLite`. Dropping it gives back what is in hand at once.
pub struct SqliteConsumer {
    queue: SqliteQueue,
    id: u64,
    partitions: Vec<u32>,
    woken: Receiver<()>,
    /// A taking under way: kept when `receive` is dropped, so that the next call goes on with it.
    taking: Option<Pin<Box<dyn Future<Output = Result<Taken>> + Send>>>,
    /// Taken, and more than the last call wanted.
    ready: VecDeque<Delivery>,
    /// Deliveries since the last one of a backfill lane.
    since_backfill: u32,
    leaves: bool,
}

struct Taken {
    rows: Vec<Row>,
    since_backfill: u32,
}

struct Row {
    sequence: i64,
    place: Place,
    attempts: u32,
    body: Vec<u8>,
}

impl SqliteConsumer {
    pub(super) fn new(queue: SqliteQueue, mut partitions: Vec<u32>) -> Self {
        partitions.sort_unstable();
        partitions.dedup();
        let id = queue.hands().arrive();
        Self {
            woken: queue.wake.subscribe(),
            queue,
            id,
            partitions,
            taking: None,
            ready: VecDeque::new(),
            since_backfill: 0,
            leaves: false,
        }
    }

    fn places(&self, lane: Lane) -> Vec<Place> {
        let place = |partition: &u32| Place {
            partition: *partition,
            lane,
        };
        self.partitions.iter().map(place).collect()
    }

    /// Takes messages and counts their attempts in one transaction.
    fn take(&self, limit: usize) -> impl Future<Output = Result<Taken>> + Send + use<> {
        let (queue, id, now) = (self.queue.clone(), self.id, Instant::now());
        let (live, backfill) = (self.places(Lane::Live), self.places(Lane::Backfill));
        let (hands, mut since) = (Arc::clone(&queue.hands), self.since_backfill);
        let take = move |transaction: &Transaction<'_>| {
            let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = if hands.is_here(id) { limit } else { 0 };
            let live = free(transaction, &mut hands, &live, (now, limit))?;
            let backfill = free(transaction, &mut hands, &backfill, (now, limit))?;
            let chosen = choose(live, backfill, limit, &mut since);
            let count = "UPDATE messages SET attempts = attempts + 1 WHERE sequence = ?1 \
                         RETURNING attempts, body";
            let mut count = transaction.prepare_cached(count)?;
            let mut rows = Vec::with_capacity(chosen.len());
            for one in chosen {
                hands.take(id, one.place, one.sequence);
                rows.push(count.query_row([one.sequence], |row| {
                    Ok(Row {
                        sequence: one.sequence,
                        place: one.place,
                        attempts: row.get(0)?,
                        body: row.get(1)?,
                    })
                })?);
            }
            Ok(Taken {
                rows,
                since_backfill: since,
            })
        };
        async move {
            let taken = queue.database.write(Durability::Ordered, take).await;
            let mut hands = queue.hands();
            match &taken {
                Ok(taken) => {
                    let rows = taken.rows.iter().map(|row| row.sequence);
                    hands.told(&rows.collect::<Vec<_>>());
                }
                Err(_) => hands.give_back_untold(id, now),
            }
            taken
        }
    }

    fn mine(&self, tags: &[Tag]) -> Vec<i64> {
        let hands = self.queue.hands();
        let tags = tags.iter().map(|tag| tag.0.cast_signed());
        tags.filter(|sequence| hands.has(self.id, *sequence))
            .collect()
    }
}

impl Consumer for SqliteConsumer {
    async fn receive(&mut self, limit: usize) -> Result<Vec<Delivery>> {
        let limit = limit.max(1);
        while self.ready.is_empty() {
            if self.taking.is_none() {
                if self.leaves {
                    return Ok(Vec::new());
                }
                // Before the look, so that what comes meanwhile is seen by the next one.
                self.woken.borrow_and_update();
                self.taking = Some(Box::pin(self.take(limit)));
            }
            let taken = match &mut self.taking {
                Some(taking) => taking.await,
                None => continue,
            };
            self.taking = None;
            let taken = taken?;
            self.since_backfill = taken.since_backfill;
            self.ready.extend(taken.rows.iter().map(delivery));
            if self.ready.is_empty() && !self.leaves {
                let places = [self.places(Lane::Live), self.places(Lane::Backfill)].concat();
                let due = self.queue.hands().next_due(&places);
                wait(&mut self.woken, due).await;
            }
        }
        let count = limit.min(self.ready.len());
        Ok(self.ready.drain(..count).collect())
    }

    fn leave(&mut self) {
        self.leaves = true;
    }

    async fn settle(&mut self, tags: Vec<Tag>) -> Result<()> {
        let mine = self.mine(&tags);
        let settled = mine.clone();
        let settle = move |transaction: &Transaction<'_>| {
            let delete = "DELETE FROM messages WHERE sequence = ?1";
            let mut delete = transaction.prepare_cached(delete)?;
            for sequence in settled {
                delete.execute([sequence])?;
            }
            Ok(())
        };
        self.queue
            .database
            .write(Durability::Ordered, settle)
            .await?;
        let mut hands = self.queue.hands();
        for sequence in mine {
            hands.gone(sequence);
        }
        drop(hands);
        // A barrier may have waited for these.
        self.queue.wake.send_replace(());
        Ok(())
    }

    async fn release(&mut self, tags: Vec<Tag>, pause: Duration) -> Result<()> {
        let due = Instant::now() + pause;
        let mine = self.mine(&tags);
        let released = mine.clone();
        let release = move |transaction: &Transaction<'_>| {
            let update = "UPDATE messages SET attempts = max(attempts - 1, 0) WHERE sequence = ?1";
            let mut update = transaction.prepare_cached(update)?;
            for sequence in released {
                update.execute([sequence])?;
            }
            Ok(())
        };
        self.queue
            .database
            .write(Durability::Ordered, release)
            .await?;
        let mut hands = self.queue.hands();
        for sequence in mine {
            hands.give_back(sequence, due);
        }
        drop(hands);
        self.queue.wake.send_replace(());
        Ok(())
    }

    async fn park(&mut self, tag: Tag, reason: String) -> Result<()> {
        let Some(sequence) = self.mine(&[tag]).pop() else {
            return Ok(());
        };
        let parked_ms = self.queue.clock.now_ms();
        let park =
            move |transaction: &Transaction<'_>| park(transaction, sequence, reason, parked_ms);
        self.queue.database.write(Durability::Ordered, park).await?;
        self.queue.hands().gone(sequence);
        self.queue.wake.send_replace(());
        Ok(())
    }
}

impl Drop for SqliteConsumer {
    fn drop(&mut self) {
        // The taking first: it must not give anything to one who is gone.
        self.taking = None;
        self.queue.hands().leave(self.id, Instant::now());
        self.queue.wake.send_replace(());
    }
}

/// Until a commit, or until a resting message is due.
async fn wait(woken: &mut Receiver<()>, due: Option<Instant>) {
    // The queue that this consumer holds keeps the sender alive, so a change is never an error.
    let changed = woken.changed();
    match due {
        Some(due) => drop(tokio::time::timeout_at(due, changed).await),
        None => drop(changed.await),
    }
}

fn delivery(row: &Row) -> Delivery {
    Delivery {
        tag: Tag(row.sequence.cast_unsigned()),
        place: row.place,
        attempt: row.attempts,
        message: message(&row.body),
    }
}

fn message(body: &[u8]) -> Result<Message, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable {
        why: error.to_string(),
    })
}

/// Moves a message from the queue to the parked ones.
fn park(
    transaction: &Transaction<'_>,
    sequence: i64,
    reason: String,
    parked_ms: u64,
) -> Result<()> {
    let delete = "DELETE FROM messages WHERE sequence = ?1 RETURNING place, attempts, body";
    let mut delete = transaction.prepare_cached(delete)?;
    let row = delete
        .query_row([sequence], |row| {
            Ok((row.get::<_, u32>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((place, attempts, body)): Option<(_, _, Vec<u8>)> = row else {
        return Ok(());
    };
    let change = match message(&body) {
        Ok(Message::Change(change)) => Some(change),
        Ok(Message::Barrier(_)) => return Err(Error::malformed("a barrier", "it is never parked")),
        Err(_) => None,
    };
    let id = change.as_ref().map(|change| change.message_id);
    let parked = Parked {
        // The same bytes have the same id, so that they too stand once.
        id: id.unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &body)),
        version: change.as_ref().map_or(Version::NONE, |it| it.version),
        operation: change.as_ref().map(|change| change.operation),
        key: change.map(|change| change.key),
        place: Place {
            partition: place / 2,
            lane: [Lane::Live, Lane::Backfill][usize::from(place % 2 == 1)],
        },
        reason,
        attempts,
        parked_ms,
    };
    let record = serde_json::to_string(&parked)
        .map_err(|error| Error::malformed("a parked message", error.to_string()))?;
    let insert = "INSERT OR REPLACE INTO parked VALUES (?1, ?2, ?3)";
    transaction.execute(insert, params![parked.id.into_bytes(), record, body])?;
    Ok(())
}
