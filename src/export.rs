//! The index as lines of JSON, for training sets and for other programs.
//!
//! ```text
//! manifests, by key ──floors, filter──> document ──its points──> lines ──> digest, counts ──> summary
//! ```
//!
//! - Documents come in the order of their keys, chunks in the order of the text, and the names of fields in
//!   alphabetical order: while nothing changes, two exports are the same bytes.
//! - Only what a live manifest names is written: no tombstone, nothing below a floor, no orphaned point. The
//!   chunks of a document are all of one version of it.
//! - Memory is bounded by the largest document.

mod line;
mod select;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::change::{DocumentKey, PointId};
use crate::reindex::Index;
use crate::vector::{Manifest, Point, Select, VectorStore, Watermark};
use crate::{Error, Result};
use tally::Tally;

pub use select::{Selection, What};
pub use tally::{PerType, Summary};

pub(crate) use select::Wanted;

/// Manifests read at a time: each may hold a whole book.
const MANIFESTS: usize = 16;
/// Points read at a time.
const POINTS: usize = 256;
/// Chunks whose lines are handed out at a time.
const LINES: usize = 64;
/// What an export says of its time is so much early: the clock that dates a document may be another machine's than the
/// one that dates a watermark, and a gap in a series of exports would stay for good.
const CLOCKS_APART_MS: u64 = 10_000;
/// How often a document is read that changes while it is read.
const TRIES: usize = 10;

/// The time up to which an export has everything, of what the index has settled.
pub fn as_of_ms(settled: Option<Watermark>) -> Option<u64> {
    let as_of_ms = settled.and_then(Watermark::as_of_ms)?;
    Some(as_of_ms.saturating_sub(CLOCKS_APART_MS))
}

/// What is the same for the whole export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Everything committed up to then is in it, parked changes aside: milliseconds since 1970, UTC. None
    /// until every queue has settled a watermark.
    pub as_of_ms: Option<u64>,
    /// Changes that are set aside, and so not in it.
    pub parked: u64,
    /// The edition of the index.
    pub edition: u32,
    /// The model of its vectors.
    pub model: String,
    /// Values a vector.
    pub dimension: usize,
}

/// An export under way.
#[derive(Debug)]
pub struct Export<V> {
    store: Arc<V>,
    /// While it is held, the files of the edition stay.
    _held: Option<tokio::sync::watch::Receiver<()>>,
    wanted: Wanted,
    about: About,
    after: Option<DocumentKey>,
    /// Documents that were read and whose lines are still to be written.
    page: VecDeque<Manifest>,
    /// The document whose chunks are being written, and those that are left.
    open: Option<(Manifest, VecDeque<Point>)>,
    tally: Tally,
}

impl<V: VectorStore> Export<V> {
    /// Begins one.
    pub(crate) fn new<E>(index: &Index<V, E>, wanted: Wanted, about: About) -> Self {
        Self {
            store: Arc::clone(&index.store),
            _held: index.held.clone(),
            wanted,
            about,
            after: None,
            page: VecDeque::new(),
            open: None,
            tally: Tally::default(),
        }
    }

    /// The next whole lines; none at the end.
    ///
    /// # Errors
    /// The store's own; [`Error::Unavailable`] where a document changed at every try to read it.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let mut lines = Vec::new();
            if let Some((manifest, points)) = &mut self.open {
                let vectors = self.wanted.what() == What::Vectors;
                let number = manifest.points.len() - points.len();
                let some = points.len().min(LINES);
                for (point, number) in points.drain(..some).zip(number..) {
                    line::chunk(&mut lines, manifest, (&point, number), vectors)?;
                }
                self.tally.take(&manifest.key.kind, &lines);
                if points.is_empty() {
                    self.open = None;
                }
            } else {
                let Some(manifest) = self.document().await? else {
                    return Ok(None);
                };
                self.tally.document(&manifest.key.kind);
                if self.wanted.what() == What::Documents {
                    line::document(&mut lines, &manifest)?;
                    self.tally.take(&manifest.key.kind, &lines);
                } else {
                    self.open = Some(self.chunks(manifest).await?);
                }
            }
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
        }
    }

    /// What was written, when [`Self::next`] has come to its end.
    pub fn summary(self) -> Summary {
        self.tally.summary(self.wanted.into_selection(), self.about)
    }

    /// The next document that is wanted.
    async fn document(&mut self) -> Result<Option<Manifest>> {
        loop {
            if let Some(manifest) = self.page.pop_front() {
                return Ok(Some(manifest));
            }
            let select = Select::After {
                after: self.after.take(),
                limit: MANIFESTS,
            };
            let page = self.store.manifests(select).await?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            self.after = Some(last.key.clone());
            // Read last, so that a floor raised in between already counts.
            let control = self.store.control().await?;
            let live = page
                .into_iter()
                .filter(|manifest| control.holds(manifest) && self.wanted.is(manifest));
            self.page.extend(live);
        }
    }

    /// All chunks of the document as its manifest has them; read again where it changes meanwhile.
    async fn chunks(&self, mut manifest: Manifest) -> Result<(Manifest, VecDeque<Point>)> {
        for _ in 0..TRIES {
            let points = points(self.store.as_ref(), &manifest).await?;
            if points.len() == manifest.points.len() {
                return Ok((manifest, points));
            }
            let again = Select::Of(vec![manifest.key.clone()]);
            let found = self.store.manifests(again).await?.pop();
            let control = self.store.control().await?;
            match found.filter(|found| control.holds(found)) {
                Some(found) => manifest = found,
                // It was deleted meanwhile: then it has no chunks.
                None => manifest.points.clear(),
            }
        }
        let why = format!("{} changed each time it was read", manifest.key);
        Err(Error::unavailable("the index", "stand still for an export")(why))
    }
}

/// The manifest's points that are there, in the order of the text.
pub(crate) async fn points<V: VectorStore>(
    store: &V,
    manifest: &Manifest,
) -> Result<VecDeque<Point>> {
    let ids: Vec<PointId> = manifest.points.iter().map(|entry| entry.id).collect();
    let mut points = VecDeque::with_capacity(ids.len());
    for ids in ids.chunks(POINTS) {
        let found = store.points(Select::Of(ids.to_vec())).await?;
        let mut found: HashMap<PointId, Point> =
            found.into_iter().map(|point| (point.id, point)).collect();
        points.extend(ids.iter().filter_map(|id| found.remove(id)));
    }
    Ok(points)
}
