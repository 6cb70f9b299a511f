//! Vectors in a file of their own, of a bounded size.
//!
//! A row's number says when it was used last, so that the oldest lie side by side and give whole
//! pages back. Each row carries a checksum: a vector that changed on the disk would be stored in the
//! index, and nobody would look at it again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest, Sha256};

use super::Key;
use crate::database::{Database, Durability};
use crate::{Error, Result};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS cached_vectors (
    used INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, sum BLOB NOT NULL
);";

/// Rows that are removed together where room is needed.
const REMOVE_ROWS: usize = 64;

/// The open file, as long as it is good.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
    bytes_max: u64,
    /// Once it was damaged it is used no more; the next start makes a new one.
    dropped: Arc<AtomicBool>,
}

impl Disk {
    /// Opens it, or makes it anew; none where that cannot be.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Option<Self> {
        let database = Database::open(path, &[SCHEMA]).or_else(|error| {
            warn(path, &error);
            remove(path);
            Database::open(path, &[SCHEMA])
        });
        match database {
            Ok(database) => Some(Self {
                database,
                bytes_max,
                dropped: Arc::default(),
            }),
            Err(error) => {
                tracing::warn!(error = %error.chain(), "nothing is kept of what is embedded");
                None
            }
        }
    }

    pub(super) async fn find(&self, keys: &[Key]) -> Vec<Option<Vec<f32>>> {
        let nothing = vec![None; keys.len()];
        if self.dropped.load(Ordering::Relaxed) {
            return nothing;
        }
        let keys = keys.to_vec();
        let path = self.database.path().to_owned();
        let find = move |connection: &Connection| {
            keys.iter()
                .map(|key| vector(connection, key, &path))
                .collect()
        };
        match self.database.read(find).await {
            Ok(found) => found,
            Err(error) => {
                self.failed(&error);
                nothing
            }
        }
    }

    pub(super) async fn keep(&self, new: Vec<(Key, Vec<f32>)>, used: Vec<Key>) {
        if self.dropped.load(Ordering::Relaxed) || new.is_empty() && used.is_empty() {
            return;
        }
        let bytes_max = self.bytes_max;
        let keep = move |transaction: &Transaction<'_>| {
            for key in used {
                let touch = "UPDATE cached_vectors
                    SET used = (SELECT max(used) + 1 FROM cached_vectors) WHERE key = ?1";
                transaction.prepare_cached(touch)?.execute([key])?;
            }
            for (key, vector) in new {
                insert(transaction, &key, &vector)?;
            }
            make_room(transaction, bytes_max)
        };
        if let Err(error) = self.database.write(Durability::Ordered, keep).await {
            self.failed(&error);
        }
    }

    /// A disk that is full may have room later; what is damaged is given up.
    fn failed(&self, error: &Error) {
        if !matches!(error, Error::Data { .. }) {
            tracing::debug!(error = %error.chain(), "the embedding cache was not used");
        } else if !self.dropped.swap(true, Ordering::Relaxed) {
            warn(self.database.path(), error);
            remove(self.database.path());
        }
    }
}

fn warn(path: &Path, error: &Error) {
    tracing::warn!(
        path = %path.display(), error = %error.chain(),
        "the embedding cache cannot be used and is dropped; it is filled again by itself"
    );
}

/// Removes the file and what SQLite keeps beside it.
pub(super) fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // What is not there, or stays, is met again at the next start.
        std::fs::remove_file(PathBuf::from(name)).ok();
    }
}

/// Puts a vector there as the one that was used last; false where the key is there already.
pub(super) fn insert(connection: &Connection, key: &Key, vector: &[f32]) -> rusqlite::Result<bool> {
    let bytes: Vec<u8> = vector.iter().flat_map(|one| one.to_le_bytes()).collect();
    let insert = "INSERT OR IGNORE INTO cached_vectors
        VALUES ((SELECT ifnull(max(used), 0) + 1 FROM cached_vectors), ?1, ?2, ?3)";
    let sum = sum(key, &bytes);
    let mut insert = connection.prepare_cached(insert)?;
    Ok(insert.execute(params![key, bytes, sum])? > 0)
}

fn sum(key: &Key, bytes: &[u8]) -> Vec<u8> {
    let mut sum = Sha256::new();
    sum.update(key);
    sum.update(bytes);
    sum.finalize().as_slice()[..8].to_vec()
}

fn vector(connection: &Connection, key: &Key, path: &Path) -> Result<Option<Vec<f32>>> {
    let select = "SELECT vector, sum FROM cached_vectors WHERE key = ?1";
    let row: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached(select)?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((bytes, wanted)) = row else {
        return Ok(None);
    };
    if sum(key, &bytes) != wanted {
        return Err(Error::Data {
            path: path.to_owned(),
            why: "a vector is not as it was written".to_owned(),
        });
    }
    let (values, _) = bytes.as_chunks();
    Ok(Some(
        values.iter().map(|one| f32::from_le_bytes(*one)).collect(),
    ))
}

/// Removes the oldest rows until what is left fits into so many bytes, pages as a whole.
fn make_room(connection: &Connection, bytes_max: u64) -> Result<()> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let page_bytes = value("page_size")?;
    let pages_max = i64::try_from(bytes_max).unwrap_or(i64::MAX) / page_bytes.max(1);
    while value("page_count")? - value("freelist_count")? > pages_max {
        let oldest = format!(
            "DELETE FROM cached_vectors WHERE used IN
             (SELECT used FROM cached_vectors ORDER BY used LIMIT {REMOVE_ROWS})"
        );
        if connection.prepare_cached(&oldest)?.execute([])? == 0 {
            return Ok(());
        }
    }
    Ok(())
}
