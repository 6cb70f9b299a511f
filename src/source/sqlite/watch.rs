//! Reading the change log from a position, woken by commits.

use std::time::Duration;

use rusqlite::{Connection, Row, params};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::{check_history, fields, position, time};
use crate::change::{DocumentKey, Operation, Position, Time};
use crate::clock::Clock;
use crate::database::Database;
use crate::source::{Body, Event, Watch};
use crate::{Error, Result};

/// How often a quiet source says that nothing happened: what freshness is measured by.
const IDLE: Duration = Duration::from_secs(1);

/// An open reading of the change log in `SQLite`.
#[derive(Debug)]
pub struct SqliteWatch {
    database: Database,
    clock: Clock,
    woken: Receiver<()>,
    /// The last sequence number that was handed out.
    here: i64,
    /// When to say that nothing happened; kept over calls, since each may be cut off.
    idle_at: Instant,
}

impl SqliteWatch {
    pub(super) fn new(database: Database, clock: Clock, woken: Receiver<()>, here: i64) -> Self {
        Self {
            database,
            clock,
            woken,
            here,
            idle_at: Instant::now() + IDLE,
        }
    }

    fn idle(&self, now_ms: u64) -> Event {
        Event {
            position: position(self.here),
            time: time(self.here),
            complete: true,
            committed_ms: now_ms,
            body: Body::Idle,
        }
    }
}

impl Watch for SqliteWatch {
    fn here(&self) -> (Position, Time) {
        (position(self.here), time(self.here))
    }

    async fn next(&mut self, limit: usize) -> Result<Vec<Event>> {
        let mut quiet = false;
        loop {
            // Both before the look: what comes later is seen by the next one.
            self.woken.borrow_and_update();
            let now_ms = self.clock.now_ms();
            let here = self.here;
            let rows = self
                .database
                .read(move |connection| after(connection, here, limit))
                .await?;
            if let Some((last, _)) = rows.last() {
                self.here = *last;
                self.idle_at = Instant::now() + IDLE;
                return Ok(rows.into_iter().map(|(_, event)| event).collect());
            }
            if quiet {
                self.idle_at = Instant::now() + IDLE;
                return Ok(vec![self.idle(now_ms)]);
            }
            match tokio::time::timeout_at(self.idle_at, self.woken.changed()).await {
                Ok(Ok(())) => {}
                // Every handle of the source is gone; nobody else writes.
                Ok(Err(_)) => return Err(Error::Stopped { part: "the source" }),
                Err(_) => quiet = true,
            }
        }
    }
}

/// The events after a sequence number, each with its own.
fn after(connection: &Connection, here: i64, limit: usize) -> Result<Vec<(i64, Event)>> {
    check_history(connection, here)?;
    let select = "SELECT sequence, kind, id, operation, fields, committed_ms FROM change_log \
                  WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
    let mut select = connection.prepare_cached(select)?;
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let mut rows = select.query(params![here, limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event(row)?);
    }
    Ok(events)
}

fn event(row: &Row<'_>) -> Result<(i64, Event)> {
    let sequence = row.get(0)?;
    let key = DocumentKey {
        kind: row.get(1)?,
        id: row.get(2)?,
    };
    let operation = operation(&row.get::<_, String>(3)?)?;
    let text: Option<String> = row.get(4)?;
    let fields = text.map(|text| fields(&key, &text)).transpose()?;
    let event = Event {
        position: position(sequence),
        time: time(sequence),
        complete: true,
        committed_ms: row.get::<_, i64>(5)?.cast_unsigned(),
        body: Body::Edit {
            key,
            operation,
            fields,
        },
    };
    Ok((sequence, event))
}

/// How an operation is written in the log.
pub(super) fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Insert => "insert",
        Operation::Update => "update",
        Operation::Replace => "replace",
        Operation::Delete => "delete",
        Operation::Snapshot => "snapshot",
        Operation::Fill => "fill",
    }
}

fn operation(word: &str) -> Result<Operation> {
    Ok(match word {
        "insert" => Operation::Insert,
        "update" => Operation::Update,
        "replace" => Operation::Replace,
        "delete" => Operation::Delete,
        other => {
            let thing = format!("operation {other:?} in the change log");
            return Err(Error::malformed(thing, "it is none"));
        }
    })
}
