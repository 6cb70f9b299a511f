//! Documents and their change log in `SQLite`.
//!
//! ```text
//! save ──> one transaction: document + change log row ──> wake ──> watch
//!                           (the row holds the fields)             page, read
//! checkpoint saved ──> rows up to its position are trimmed
//! ```
//!
//! The time of an event is its row's sequence number, which never goes back, trimmed or not.

mod copy;
mod logbook;
mod watch;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

pub use copy::Copied;
pub use watch::SqliteWatch;

use super::{Checkpoint, Checkpoints, PAGE_BYTES, Reading, Source, check_names};
use crate::change::{DocumentKey, Operation, Position, Time};
use crate::clock::Clock;
use crate::database::{Database, Durability, Wake};
use crate::document::{Document, Fields};
use crate::{Error, Result};

/// The source of the embedded mode. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteSource {
    database: Database,
    clock: Clock,
    wake: Wake,
}

impl SqliteSource {
    /// The tables, for [`Database::open`]. Whoever claimed a link before is gone: the file is one
    /// process's at a time.
    pub const SCHEMA: &str = "
        CREATE TABLE IF NOT EXISTS documents (
            kind TEXT NOT NULL, id TEXT NOT NULL, fields TEXT NOT NULL,
            PRIMARY KEY (kind, id)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS change_log (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL, id TEXT NOT NULL, operation TEXT NOT NULL,
            fields TEXT, committed_ms INTEGER NOT NULL
        );
        CREATE TABLE IF NOT EXISTS capture (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            trimmed INTEGER NOT NULL, checkpoint TEXT
        );
        INSERT OR IGNORE INTO capture VALUES (1, 0, NULL);
        CREATE TABLE IF NOT EXISTS crawl_pages (
            link TEXT PRIMARY KEY, root TEXT NOT NULL, document TEXT, page TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS crawl_pages_root ON crawl_pages (root, link);
        CREATE INDEX IF NOT EXISTS crawl_pages_document ON crawl_pages (document, link);
        CREATE TABLE IF NOT EXISTS crawl_runs (link TEXT PRIMARY KEY, run TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS crawl_claims (
            link TEXT PRIMARY KEY, owner TEXT NOT NULL, until_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        DELETE FROM crawl_claims;";

    /// The source in this database, which was opened with [`Self::SCHEMA`]. One source a database:
    /// its watches hear of its own writes.
    pub fn new(database: Database, clock: Clock) -> Self {
        Self {
            database,
            clock,
            wake: Wake::new(()),
        }
    }

    /// Counts the documents of each type, sorted; for people. Reads the index, not the documents.
    pub async fn counts(&self) -> Result<Vec<(String, u64)>> {
        let count = "SELECT kind, count(*) FROM documents GROUP BY kind ORDER BY kind";
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached(count)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.database.read(read).await
    }

    /// A read of documents, with the time of the state that it sees.
    async fn reading<T: Send + 'static>(
        &self,
        find: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<Reading<T>> {
        let clock = self.clock.clone();
        let read = move |connection: &Connection| {
            Ok(Reading {
                time: time(last_sequence(connection)?),
                read_ms: clock.now_ms(),
                found: find(connection)?,
            })
        };
        self.database.read(read).await
    }
}

impl Source for SqliteSource {
    type Watch = SqliteWatch;

    async fn save(&self, documents: Vec<Document>) -> Result<()> {
        let clock = self.clock.clone();
        let save = move |transaction: &Transaction<'_>| {
            let now_ms = clock.now_ms();
            documents
                .iter()
                .try_for_each(|document| store(transaction, document, now_ms))
        };
        let wake = Some(self.wake.clone());
        self.database
            .write_and_wake(Durability::Synced, wake, save)
            .await
    }

    async fn amend(&self, fields: Vec<Document>) -> Result<()> {
        check_names(&fields)?;
        let clock = self.clock.clone();
        let amend = move |transaction: &Transaction<'_>| {
            let now_ms = clock.now_ms();
            let mut fields = fields.iter();
            fields.try_for_each(|document| change(transaction, document, now_ms))
        };
        let wake = Some(self.wake.clone());
        self.database
            .write_and_wake(Durability::Synced, wake, amend)
            .await
    }

    async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        let clock = self.clock.clone();
        let delete = move |transaction: &Transaction<'_>| {
            let (mut deleted, now_ms) = (0, clock.now_ms());
            let remove = "DELETE FROM documents WHERE kind = ?1 AND id = ?2";
            let mut remove = transaction.prepare_cached(remove)?;
            for key in &keys {
                if remove.execute([&key.kind, &key.id])? > 0 {
                    log(transaction, key, Operation::Delete, None, now_ms)?;
                    deleted += 1;
                }
            }
            Ok(deleted)
        };
        let wake = Some(self.wake.clone());
        self.database
            .write_and_wake(Durability::Synced, wake, delete)
            .await
    }

    async fn read(&self, keys: Vec<DocumentKey>) -> Result<Reading<Vec<Option<Fields>>>> {
        let find = move |connection: &Connection| {
            let (mut found, mut bytes) = (Vec::new(), 0);
            for key in &keys {
                if bytes >= PAGE_BYTES {
                    break;
                }
                let text = text(connection, key)?;
                bytes += text.as_ref().map_or(0, String::len);
                found.push(text.map(|text| fields(key, &text)).transpose()?);
            }
            Ok(found)
        };
        self.reading(find).await
    }

    async fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reading<Vec<Document>>> {
        let kind = kind.to_owned();
        let find = move |connection: &Connection| {
            let select = "SELECT id, fields FROM documents WHERE kind = ?1 \
                          AND id > coalesce(?2, '') ORDER BY id LIMIT ?3";
            let mut select = connection.prepare_cached(select)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = select.query(params![kind, after, limit])?;
            let mut documents = Vec::new();
            while let Some(row) = rows.next()? {
                let key = DocumentKey {
                    kind: kind.clone(),
                    id: row.get(0)?,
                };
                let fields = fields(
                    &key,
                    row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
                )?;
                documents.push(Document { key, fields });
            }
            Ok(documents)
        };
        self.reading(find).await
    }

    async fn kinds(&self) -> Result<Vec<String>> {
        // One look into the index a type, not a scan of the documents.
        let kinds = "WITH RECURSIVE next(kind) AS (
                SELECT min(kind) FROM documents
                UNION ALL
                SELECT (SELECT min(kind) FROM documents WHERE kind > next.kind)
                FROM next WHERE next.kind IS NOT NULL
            ) SELECT kind FROM next WHERE kind IS NOT NULL";
        let read = |connection: &Connection| {
            let mut statement = connection.prepare_cached(kinds)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.database.read(read).await
    }

    async fn watch(&self, from: Option<Position>) -> Result<SqliteWatch> {
        // Subscribed before the first look, so that no write falls between.
        let woken = self.wake.subscribe();
        let from = from.as_ref().map(sequence).transpose()?;
        let start = move |connection: &Connection| {
            let last = last_sequence(connection)?;
            let from = from.unwrap_or(last);
            check_history(connection, from)?;
            if from > last {
                return Err(Error::HistoryLost {
                    why: format!(
                        "it ends at {last}, before {from}: an older database was put back"
                    ),
                });
            }
            Ok(from)
        };
        let here = self.database.read(start).await?;
        Ok(SqliteWatch::new(
            self.database.clone(),
            self.clock.clone(),
            woken,
            here,
        ))
    }
}

impl Checkpoints for SqliteSource {
    async fn load(&self) -> Result<Option<Checkpoint>> {
        let load = |connection: &Connection| {
            let select = "SELECT checkpoint FROM capture";
            let text: Option<String> = connection.query_row(select, [], |row| row.get(0))?;
            let parse = |text: String| {
                serde_json::from_str(&text)
                    .map_err(|error| Error::malformed("the saved checkpoint", error.to_string()))
            };
            text.map(parse).transpose()
        };
        self.database.read(load).await
    }

    async fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        let text = serde_json::to_string(&checkpoint)
            .map_err(|error| Error::malformed("the checkpoint", error.to_string()))?;
        let reached = sequence(&checkpoint.position)?;
        let save = move |transaction: &Transaction<'_>| {
            transaction.execute("UPDATE capture SET checkpoint = ?1", [text])?;
            // Nobody asks for what every queue has confirmed.
            let last = last_sequence(transaction)?;
            let trim = "DELETE FROM change_log WHERE sequence <= ?1";
            transaction.execute(trim, [reached])?;
            let remember = "UPDATE capture SET trimmed = max(trimmed, ?1)";
            transaction.execute(remember, [reached.min(last)])?;
            Ok(())
        };
        self.database.write(Durability::Ordered, save).await
    }
}

/// Stores one document with its event.
fn store(transaction: &Transaction<'_>, document: &Document, now_ms: u64) -> Result<()> {
    let key = &document.key;
    let text = serde_json::to_string(&document.fields)
        .map_err(|error| Error::malformed(format!("document {key}"), error.to_string()))?;
    let update = "UPDATE documents SET fields = ?3 WHERE kind = ?1 AND id = ?2";
    let there = transaction
        .prepare_cached(update)?
        .execute([&key.kind, &key.id, &text])?;
    let operation = if there > 0 {
        Operation::Replace
    } else {
        let insert = "INSERT INTO documents (kind, id, fields) VALUES (?1, ?2, ?3)";
        transaction
            .prepare_cached(insert)?
            .execute([&key.kind, &key.id, &text])?;
        Operation::Insert
    };
    log(transaction, key, operation, Some(&text), now_ms)
}

/// Gives one document these fields, with its event, if it is there.
fn change(transaction: &Transaction<'_>, given: &Document, now_ms: u64) -> Result<()> {
    let key = &given.key;
    let Some(mut fields) = stored(transaction, key)? else {
        return Ok(());
    };
    fields.extend(given.fields.clone());
    let text = serde_json::to_string(&fields)
        .map_err(|error| Error::malformed(format!("document {key}"), error.to_string()))?;
    let update = "UPDATE documents SET fields = ?3 WHERE kind = ?1 AND id = ?2";
    let mut update = transaction.prepare_cached(update)?;
    update.execute([&key.kind, &key.id, &text])?;
    log(transaction, key, Operation::Update, Some(&text), now_ms)
}

/// What is stored of one document.
fn stored(connection: &Connection, key: &DocumentKey) -> Result<Option<Fields>> {
    let text = text(connection, key)?;
    text.map(|text| fields(key, &text)).transpose()
}

/// A document's fields as they are stored.
fn text(connection: &Connection, key: &DocumentKey) -> Result<Option<String>> {
    let select = "SELECT fields FROM documents WHERE kind = ?1 AND id = ?2";
    let mut select = connection.prepare_cached(select)?;
    let text = select.query_row([&key.kind, &key.id], |row| row.get(0));
    Ok(text.optional()?)
}

fn log(
    transaction: &Transaction<'_>,
    key: &DocumentKey,
    operation: Operation,
    fields: Option<&str>,
    now_ms: u64,
) -> Result<()> {
    let insert = "INSERT INTO change_log (kind, id, operation, fields, committed_ms) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    let operation = watch::word(operation);
    transaction.prepare_cached(insert)?.execute(params![
        key.kind,
        key.id,
        operation,
        fields,
        now_ms.cast_signed()
    ])?;
    Ok(())
}

/// The sequence number of the last event, trimmed or not; 0 before the first.
fn last_sequence(connection: &Connection) -> Result<i64> {
    let select = "SELECT seq FROM sqlite_sequence WHERE name = 'change_log'";
    let mut select = connection.prepare_cached(select)?;
    let last = select.query_row([], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(0))
}

/// Refuses a position whose next events were trimmed.
fn check_history(connection: &Connection, from: i64) -> Result<()> {
    let select = "SELECT trimmed FROM capture";
    let mut select = connection.prepare_cached(select)?;
    let trimmed: i64 = select.query_row([], |row| row.get(0))?;
    if from < trimmed {
        let why = format!("the log was trimmed up to {trimmed}, past {from}");
        return Err(Error::HistoryLost { why });
    }
    Ok(())
}

fn fields(key: &DocumentKey, text: &str) -> Result<Fields> {
    serde_json::from_str(text)
        .map_err(|error| Error::malformed(format!("stored document {key}"), error.to_string()))
}

fn time(sequence: i64) -> Time {
    Time::from_sequence(sequence.cast_unsigned())
}

fn position(sequence: i64) -> Position {
    Position(Vec::from(sequence.to_be_bytes()))
}

fn sequence(position: &Position) -> Result<i64> {
    let bytes = position.0.as_slice().try_into();
    let bytes = bytes.map_err(|_| Error::HistoryLost {
        why: format!("{position:?} is a position of another source"),
    })?;
    Ok(i64::from_be_bytes(bytes))
}
