//! What the crawl remembers, beside the documents.

use rusqlite::{Connection, ToSql, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SqliteSource;
use crate::change::DocumentKey;
use crate::database::Durability;
use crate::logbook::{Logbook, Page, Pages, Run, Runs, name_of};
use crate::{Error, Result};

impl Logbook for SqliteSource {
    async fn pages(&self, which: Pages, limit: usize) -> Result<Vec<Page>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |connection: &Connection| match &which {
            Pages::Of(link) => {
                let select = "SELECT page FROM crawl_pages WHERE link = ?1 LIMIT ?2";
                parsed(connection, select, params![link, limit])
            }
            Pages::Making(key) => {
                let select =
                    "SELECT page FROM crawl_pages WHERE document = ?1 ORDER BY link LIMIT ?2";
                parsed(connection, select, params![name_of(key), limit])
            }
            Pages::Under(root, after) => {
                let select = "SELECT page FROM crawl_pages WHERE root = ?1 \
                              AND link > coalesce(?2, '') ORDER BY link LIMIT ?3";
                parsed(connection, select, params![root, after, limit])
            }
            Pages::After(after) => {
                let select = "SELECT page FROM crawl_pages WHERE link > coalesce(?1, '') \
                              ORDER BY link LIMIT ?2";
                parsed(connection, select, params![after, limit])
            }
        };
        self.database.read(read).await
    }

    async fn save_pages(&self, pages: Vec<Page>) -> Result<()> {
        let save = move |transaction: &Transaction<'_>| {
            let insert = "INSERT OR REPLACE INTO crawl_pages (link, root, document, page) \
                          VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(insert)?;
            for page in &pages {
                let document = page.document.as_ref().map(name_of);
                insert.execute(params![page.link, page.root, document, text(page)?])?;
            }
            Ok(())
        };
        self.database.write(Durability::Ordered, save).await
    }

    async fn runs(&self, which: Runs, limit: usize) -> Result<Vec<Run>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |connection: &Connection| match &which {
            Runs::Of(link) => {
                let select = "SELECT run FROM crawl_runs WHERE link = ?1 LIMIT ?2";
                parsed(connection, select, params![link, limit])
            }
            Runs::After(after) => {
                let select = "SELECT run FROM crawl_runs WHERE link > coalesce(?1, '') \
                              ORDER BY link LIMIT ?2";
                parsed(connection, select, params![after, limit])
            }
        };
        self.database.read(read).await
    }

    async fn save_run(&self, run: Run) -> Result<()> {
        let save = move |transaction: &Transaction<'_>| {
            let insert = "INSERT OR REPLACE INTO crawl_runs (link, run) VALUES (?1, ?2)";
            transaction
                .prepare_cached(insert)?
                .execute(params![run.link, text(&run)?])?;
            Ok(())
        };
        self.database.write(Durability::Ordered, save).await
    }

    async fn rooted(&self, kind: &str, roots: &[String]) -> Result<Vec<DocumentKey>> {
        let (kind, roots) = (kind.to_owned(), text(&roots)?);
        // A text is one row of json_each, a list one for each of its values.
        let select = "SELECT id FROM documents WHERE kind = ?1 \
                      AND json_type(fields, '$.crawl_root') IN ('text', 'array') AND EXISTS \
                      (SELECT 1 FROM json_each(fields, '$.crawl_root') WHERE value IN \
                      (SELECT value FROM json_each(?2)))";
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map([&kind, &roots], |row| {
                let kind = kind.clone();
                Ok(DocumentKey {
                    kind,
                    id: row.get(0)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        self.database.read(read).await
    }

    async fn claim(&self, link: &str, owner: &str, (now_ms, until_ms): (u64, u64)) -> Result<bool> {
        let (link, owner) = (link.to_owned(), owner.to_owned());
        let claim = move |transaction: &Transaction<'_>| {
            let (now, until) = (now_ms.cast_signed(), until_ms.cast_signed());
            let take = "INSERT INTO crawl_claims VALUES (?1, ?2, ?3) \
                        ON CONFLICT (link) DO UPDATE SET owner = ?2, until_ms = ?3 \
                        WHERE owner = ?2 OR until_ms <= ?4";
            let taken = transaction
                .prepare_cached(take)?
                .execute(params![link, owner, until, now])?;
            let drop = "DELETE FROM crawl_claims WHERE link = ?1 AND owner = ?2 AND until_ms <= ?3";
            transaction
                .prepare_cached(drop)?
                .execute(params![link, owner, now])?;
            Ok(taken > 0)
        };
        self.database.write(Durability::Ordered, claim).await
    }
}

fn parsed<T: DeserializeOwned>(
    connection: &Connection,
    select: &str,
    bound: &[&dyn ToSql],
) -> Result<Vec<T>> {
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query(bound)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let one = serde_json::from_str(text);
        found.push(one.map_err(|error| Error::malformed("the crawl's record", error.to_string()))?);
    }
    Ok(found)
}

fn text(record: &impl Serialize) -> Result<String> {
    serde_json::to_string(record)
        .map_err(|error| Error::malformed("the crawl's record", error.to_string()))
}
