//! Two sources compared page by page, and the one made equal to the other.

use std::collections::BTreeSet;

use super::{Compared, Found};
use crate::change::DocumentKey;
use crate::document::{Document, Fields};
use crate::logbook::{Logbook, Pages, Runs};
use crate::source::{Source, read_all};
use crate::{Error, Result};

/// Documents of a page, as many as a snapshot reads by default; a database ends a page of large ones earlier.
const PAGE: usize = 200;
/// Records of the crawl at a time.
const RECORDS: usize = 256;

/// What is done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: it is counted.
    Look,
    /// The target is made equal.
    Copy,
}

/// Told how many documents have been looked at.
type Tell<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Compares every document of both sources, each type once from either side.
///
/// Memory is bounded by a page. What changes meanwhile is found or not.
///
/// # Errors
/// What a source says.
pub async fn pass<F: Source, T: Source>(
    from: &F,
    to: &T,
    mode: Mode,
    tell: Tell<'_>,
) -> Result<Found> {
    let mut kinds: BTreeSet<String> = from.kinds().await?.into_iter().collect();
    kinds.extend(to.kinds().await?);
    let (mut found, mut done) = (Found::new(), 0);
    for kind in kinds {
        let compared = found.entry(kind.clone()).or_default();
        let mut after = None;
        while let Some(page) = next(from, &kind, &mut after).await? {
            done += page.len() as u64;
            copy(to, page, mode, compared).await?;
            tell(done);
        }
        while let Some(page) = next(to, &kind, &mut after).await? {
            sweep((from, to), page, mode, compared).await?;
            tell(done);
        }
    }
    Ok(found)
}

/// The next page, and where it ends; at the end of a type the next type begins at its beginning.
async fn next<S: Source>(
    source: &S,
    kind: &str,
    after: &mut Option<String>,
) -> Result<Option<Vec<Document>>> {
    let page = source.page(kind, after.take(), PAGE).await?.found;
    *after = page.last().map(|last| last.key.id.clone());
    Ok(Some(page).filter(|page| !page.is_empty()))
}

/// What the target lacks of a page of the origin, or has otherwise.
async fn copy<T: Source>(
    to: &T,
    page: Vec<Document>,
    mode: Mode,
    compared: &mut Compared,
) -> Result<()> {
    let keys: Vec<DocumentKey> = page.iter().map(|document| document.key.clone()).collect();
    let there = read_all(to, keys).await?;
    let mut wanted = Vec::new();
    for (document, stored) in page.into_iter().zip(there) {
        let text = text(&document.key, &document.fields)?;
        compared.origin.add(&document.key.id, &text);
        match stored {
            None => compared.missing += 1,
            Some(stored) if self::text(&document.key, &stored)? == text => continue,
            Some(_) => compared.other += 1,
        }
        wanted.push(document);
    }
    if mode == Mode::Copy && !wanted.is_empty() {
        to.save(wanted).await?;
    }
    Ok(())
}

/// What of a page of the target the origin does not have.
async fn sweep<F: Source, T: Source>(
    (from, to): (&F, &T),
    page: Vec<Document>,
    mode: Mode,
    compared: &mut Compared,
) -> Result<()> {
    let keys: Vec<DocumentKey> = page.iter().map(|document| document.key.clone()).collect();
    let there = read_all(from, keys).await?;
    let mut surplus = Vec::new();
    for (document, stored) in page.into_iter().zip(there) {
        let text = text(&document.key, &document.fields)?;
        compared.target.add(&document.key.id, &text);
        if stored.is_none() {
            compared.surplus += 1;
            surplus.push(document.key);
        }
    }
    if mode == Mode::Copy && !surplus.is_empty() {
        to.delete(surplus).await?;
    }
    Ok(())
}

/// Fields as they are compared: the order of names counts, as it does in BSON.
fn text(key: &DocumentKey, fields: &Fields) -> Result<String> {
    serde_json::to_string(fields)
        .map_err(|error| Error::malformed(format!("document {key}"), error.to_string()))
}

/// What the crawl remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Pages.
    pub pages: u64,
    /// Crawls of links.
    pub runs: u64,
}

/// Counts what the crawl remembers, and in [`Mode::Copy`] writes each over what the target has of that link.
///
/// What only the target has stays: it is of links that the origin never crawled, and is asked on
/// conditions only while its document is stored. Who crawls a link at this moment is not copied.
pub async fn remember<F: Logbook, T: Logbook>(from: &F, to: &T, mode: Mode) -> Result<Remembered> {
    let mut count = Remembered::default();
    let mut after = None;
    loop {
        let page = from.pages(Pages::After(after.take()), RECORDS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.link.clone());
        count.pages += page.len() as u64;
        if mode == Mode::Copy {
            to.save_pages(page).await?;
        }
    }
    loop {
        let page = from.runs(Runs::After(after.take()), RECORDS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.link.clone());
        count.runs += page.len() as u64;
        if mode == Mode::Copy {
            for run in page {
                to.save_run(run).await?;
            }
        }
    }
    Ok(count)
}
