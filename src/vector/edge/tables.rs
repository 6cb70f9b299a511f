//! The tables of one edition of the index, among those of the others in one file.
//!
//! Statements name the tables of the first edition, `vector_…`; those of the second are
//! `vector_2_…`. One file for all keeps the order of everything that is written.

use rusqlite::{CachedStatement, Connection};

/// A connection to the tables of one edition.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    connection: &'a Connection,
    edition: u32,
}

impl<'a> Tables<'a> {
    pub(super) fn new(connection: &'a Connection, edition: u32) -> Self {
        Self {
            connection,
            edition,
        }
    }

    /// The statement, about this edition's tables.
    pub(super) fn prepare_cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        match self.edition {
            1 => self.connection.prepare_cached(sql),
            edition => self.connection.prepare_cached(&named(sql, edition)),
        }
    }

    /// Makes the tables of this edition.
    pub(super) fn make(&self, schema: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(&named(schema, self.edition))
    }

    /// Removes the tables of this edition; those of the first are emptied, since every start makes
    /// them.
    pub(super) fn remove(&self) -> rusqlite::Result<()> {
        for table in self.names()? {
            let sql = match self.edition {
                1 => format!("DELETE FROM {table}"),
                _ => format!("DROP TABLE {table}"),
            };
            self.connection.execute(&sql, [])?;
        }
        Ok(())
    }

    /// The tables of this edition that are there.
    fn names(&self) -> rusqlite::Result<Vec<String>> {
        let select = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut select = self.connection.prepare(select)?;
        let names = select.query_map([], |row| row.get::<_, String>(0))?;
        let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
        let of = |name: &String| edition(name) == Some(self.edition);
        Ok(names.into_iter().filter(of).collect())
    }

    /// The editions that have tables.
    pub(super) fn editions(connection: &Connection) -> rusqlite::Result<Vec<u32>> {
        let select = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut select = connection.prepare(select)?;
        let names = select.query_map([], |row| row.get::<_, String>(0))?;
        let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
        let mut found: Vec<u32> = names.iter().filter_map(|name| edition(name)).collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

/// The edition whose table has this name.
fn edition(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("vector_")?;
    let number = rest.split('_').next().and_then(|word| word.parse().ok());
    Some(number.unwrap_or(1))
}

fn named(sql: &str, edition: u32) -> String {
    match edition {
        1 => sql.to_owned(),
        _ => sql.replace("vector_", &format!("vector_{edition}_")),
    }
}
