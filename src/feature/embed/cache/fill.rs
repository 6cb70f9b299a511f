//! A shelf that is filled with vectors from elsewhere.

use std::path::Path;

use rusqlite::Connection;

use super::{disk, key};
use crate::database::Database;
use crate::{Error, Result};

/// Vectors that share a transaction, so that the log stays short.
const GROUP: u64 = 4096;

/// A new file of vectors, as the embedding cache is one. For one writer; calls block.
#[derive(Debug)]
pub struct Filling {
    connection: Connection,
    texts: u64,
    waiting: u64,
}

impl Filling {
    /// Makes the file.
    ///
    /// # Errors
    /// [`Error::Data`] where it cannot be.
    pub fn begin(path: &Path) -> Result<Self> {
        drop(Database::open(path, &[disk::SCHEMA])?);
        let connection = Connection::open(path)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self {
            connection,
            texts: 0,
            waiting: 0,
        })
    }

    /// Puts the vector of a text there, which a model of this digest has made; once for equal texts.
    pub fn put(&mut self, digest: &str, text: &str, vector: &[f32]) -> Result<()> {
        let new = disk::insert(&self.connection, &key(digest, text), vector)?;
        self.texts += u64::from(new);
        self.waiting += 1;
        if self.waiting == GROUP {
            self.connection.execute_batch("COMMIT; BEGIN")?;
            self.waiting = 0;
        }
        Ok(())
    }

    /// Ends it; how many texts it has.
    pub fn finish(self) -> Result<u64> {
        self.connection.execute_batch("COMMIT")?;
        // Closing it empties its log into the file.
        self.connection
            .close()
            .map_err(|(_, error)| Error::from(error))?;
        Ok(self.texts)
    }
}
