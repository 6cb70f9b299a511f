//! Where one document stands, for a person who misses it or wonders why it is there.
//!
//! ```text
//! what was typed ──find──> key ──> source, queue, manifest, points ──verdict──> what to do
//! ```

mod find;
mod verdict;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::change::{DocumentKey, PointId, Version};
use crate::feature::embed::Embedder;
use crate::queue::{Depth, Parked, Queue};
use crate::source::Source;
use crate::vector::{Manifest, Select, VectorStore};
use crate::verify::{Difference, Ports, compare_document};

pub use find::{find_key, find_keys};
pub(crate) use find::{keys, meant};

/// Parked changes, or points, read at a time.
const PAGE: usize = 256;
/// The largest index, in points, in which the orphans of one document are looked for: they are
/// found only by reading all points.
const POINTS_READ_MAX: u64 = 100_000;

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The document.
    pub key: DocumentKey,
    /// Whether the source has it.
    pub in_source: bool,
    /// When the source was read: milliseconds since 1970, UTC.
    pub read_ms: u64,
    /// What stands in the queues, of all documents.
    pub queue: Depth,
    /// Its newest parked change.
    pub parked: Option<Parked>,
    /// What the index holds for it.
    pub indexed: Option<Indexed>,
    /// Points that no manifest names; none if the index is too large to look for them.
    pub orphans: Option<u64>,
    /// Where the index differs from what the source gives.
    pub differences: Vec<Difference>,
    /// One sentence with the next step.
    pub verdict: String,
}

/// A manifest, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Indexed {
    /// The version whose text and metadata are indexed.
    pub version: Version,
    /// When the source committed it: milliseconds since 1970, UTC.
    pub committed_ms: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Whether a floor of the type voids it.
    pub void: bool,
    /// Whether today's cleaner, chunker and model have made it.
    pub current: bool,
    /// Points that it names.
    pub chunks: usize,
    /// How many of those are stored.
    pub stored: usize,
}

/// Says where a document stands; reads only, and is cancel safe.
///
/// # Errors
/// What a port says. A key that nobody knows is no error: the verdict says so.
pub async fn explain<S: Source, Q: Queue, V: VectorStore, E: Embedder>(
    ports: &Ports<'_, S, Q, V, E>,
    key: &DocumentKey,
) -> Result<Explanation> {
    let queue = ports.queue.depth().await?;
    let parked = newest_parked(ports.queue, key).await?;
    let reading = ports.source.read(vec![key.clone()]).await?;
    let fields = reading.found.into_iter().next().flatten();
    let in_source = fields.is_some();
    let differences = compare_document(ports, key, fields).await?;
    let manifests = ports.store.manifests(Select::Of(vec![key.clone()])).await?;
    let manifest = manifests.into_iter().next();
    let indexed = match &manifest {
        None => None,
        Some(manifest) => Some(indexed(ports, manifest).await?),
    };
    let mut explanation = Explanation {
        key: key.clone(),
        in_source,
        read_ms: reading.read_ms,
        queue,
        parked,
        indexed,
        orphans: orphans(ports.store, key, manifest.as_ref()).await?,
        differences,
        verdict: String::new(),
    };
    explanation.verdict = verdict::verdict(&explanation);
    Ok(explanation)
}

async fn newest_parked<Q: Queue>(queue: &Q, key: &DocumentKey) -> Result<Option<Parked>> {
    let (mut after, mut newest) = (None, None::<Parked>);
    loop {
        let page = queue.parked(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(newest);
        };
        after = Some(last.id);
        newest = page
            .into_iter()
            .filter(|parked| parked.key.as_ref() == Some(key))
            .chain(newest)
            .max_by_key(|parked| parked.version);
    }
}

async fn indexed<S, Q, V: VectorStore, E>(
    ports: &Ports<'_, S, Q, V, E>,
    manifest: &Manifest,
) -> Result<Indexed> {
    let control = ports.store.control().await?;
    let mut stored = 0;
    for entries in manifest.points.chunks(PAGE) {
        let ids = entries.iter().map(|entry| entry.id).collect();
        stored += ports.store.points(Select::Of(ids)).await?.len();
    }
    Ok(Indexed {
        version: manifest.stamp.version,
        committed_ms: manifest.committed_ms,
        deleted: manifest.deleted,
        void: control.voids(&manifest.key.kind, manifest.stamp.version),
        current: manifest.fingerprint == ports.types.fingerprint(&manifest.key.kind),
        chunks: manifest.points.len(),
        stored,
    })
}

async fn orphans<V: VectorStore>(
    store: &V,
    key: &DocumentKey,
    manifest: Option<&Manifest>,
) -> Result<Option<u64>> {
    if store.counts().await?.points > POINTS_READ_MAX {
        return Ok(None);
    }
    let control = store.control().await?;
    let named: BTreeSet<PointId> = manifest
        .filter(|manifest| control.holds(manifest))
        .map(|manifest| manifest.points.iter().map(|entry| entry.id).collect())
        .unwrap_or_default();
    let (mut after, mut orphans) = (None, 0);
    loop {
        let select = Select::After { after, limit: PAGE };
        let page = store.points(select).await?;
        let Some(last) = page.last() else {
            return Ok(Some(orphans));
        };
        after = Some(last.id);
        let found = page
            .iter()
            .filter(|point| point.key == *key && !named.contains(&point.id));
        orphans += found.count() as u64;
    }
}

#[cfg(test)]
mod tests;
