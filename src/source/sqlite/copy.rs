//! A copy of the source as a file of its own, made while the source is in use.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use url::Url;

use super::SqliteSource;
use crate::database::Database;
use crate::source::Checkpoint;
use crate::{Error, Result};

/// How long it waits for its turn to look at the file.
const BUSY_WAIT: Duration = Duration::from_secs(30);
/// What is copied as it is. The log is not: whoever opens the copy reads every document.
const TABLES: [&str; 3] = ["documents", "crawl_pages", "crawl_runs"];

/// What a copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// The epoch of the checkpoint; 0 where nothing was captured yet.
    pub epoch: u32,
    /// Documents, by type.
    pub documents: BTreeMap<String, u64>,
}

impl SqliteSource {
    /// Writes the documents of the database, what the crawl remembers and the checkpoint to a new file, which
    /// is opened like any other. Blocks.
    ///
    /// All of it is one consistent state. Another process, or this one, may have the database open and write
    /// to it: its log grows meanwhile, since none of it can be emptied.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that cannot be read or written.
    pub fn copy(live: &Path, new: &Path) -> Result<Copied> {
        let name = |error| named(error, live);
        drop(Database::open(new, &[Self::SCHEMA])?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI;
        let mut connection = Connection::open_with_flags(new, flags).map_err(name)?;
        connection.busy_timeout(BUSY_WAIT).map_err(name)?;
        let url = Url::from_file_path(live).map_err(|()| Error::Data {
            path: live.to_owned(),
            why: "its path is not absolute".to_owned(),
        })?;
        let url = format!("{url}?mode=ro");
        let attach = "ATTACH DATABASE ?1 AS live";
        connection.execute(attach, [url]).map_err(name)?;
        copy_all(&mut connection).map_err(name)?;
        let documents = "SELECT kind, count(*) FROM main.documents GROUP BY kind";
        let count = |connection: &Connection| {
            let mut count = connection.prepare(documents)?;
            let rows = count.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        Ok(Copied {
            documents: count(&connection).map_err(name)?,
            epoch: epoch(&connection).map_err(name)?,
        })
    }
}

fn copy_all(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for table in TABLES {
        let copy = format!("INSERT INTO main.{table} SELECT * FROM live.{table}");
        transaction.execute(&copy, [])?;
    }
    let checkpoint = "UPDATE main.capture SET checkpoint = (SELECT checkpoint FROM live.capture)";
    transaction.execute(checkpoint, [])?;
    transaction.commit()
}

fn epoch(connection: &Connection) -> rusqlite::Result<u32> {
    let select = "SELECT checkpoint FROM main.capture";
    let text: Option<Option<String>> = connection
        .query_row(select, [], |row| row.get(0))
        .optional()?;
    // One that cannot be read is met by whoever opens the copy, with a better word for it.
    let saved = text
        .flatten()
        .and_then(|text| serde_json::from_str(&text).ok());
    Ok(saved.map_or(0, |saved: Checkpoint| saved.epoch))
}

fn named(error: rusqlite::Error, file: &Path) -> Error {
    match Error::from(error) {
        Error::Data { why, .. } => Error::Data {
            path: file.to_owned(),
            why,
        },
        other => other,
    }
}
