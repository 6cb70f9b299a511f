//! The whole source compared with the whole index, a page at a time.
//!
//! ```text
//! source    ──prepare──> expected ──> manifest and points as they must be?
//! manifests ──────────────> still in the source?          │
//! points    ──────────────> named by their manifest?      ▼
//!                 suspects ──look again, parked ones aside──> report
//! ```
//!
//! It promises that what it calls clean is equal to what the source gives: same documents, points,
//! texts and metadata, and on demand the same vectors. A change in flight looks like a difference,
//! so that what differs is looked at again for about a second, and reported if it differs each time;
//! what is reported is real when the report's `pending` is zero and nothing was written meanwhile.

mod compare;
mod report;
mod scan;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::change::{DocumentKey, Version};
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::feature::prepare::Prepared;
use crate::feature::types::Types;
use crate::queue::Queue;
use crate::source::Source;
use crate::vector::VectorStore;
use scan::Scan;

/// What a document is prepared with: its type and fields to what the index must hold.
pub type Prepare<'a> = &'a (dyn Fn(&str, &Fields) -> Result<Prepared> + Send + Sync);

/// Everything that says where a document stands.
pub struct Ports<'a, S, Q, V, E> {
    /// Where the documents are.
    pub source: &'a S,
    /// What carries their changes.
    pub queue: &'a Q,
    /// The index.
    pub store: &'a V,
    /// The model of the index.
    pub embedder: &'a E,
    /// Cleaner and chunker, exactly as the workers use them.
    pub prepare: Prepare<'a>,
    /// What the workers write as a document's fingerprint.
    pub types: &'a Types,
}

/// How far to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Embeds every text again and compares its vector, value by value, within 1e-5.
    pub vectors: bool,
    /// Names the documents to send again.
    pub repair: bool,
}

/// What is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Documents of the source.
    Documents,
    /// Manifests of the index.
    Manifests,
    /// Points of the index.
    Points,
    /// Documents that differed, again.
    Again,
}

/// How far the comparison has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being looked at.
    pub stage: Stage,
    /// How many of them were.
    pub done: u64,
}

/// How a document differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The source has it, the index has no manifest.
    Missing,
    /// The source has it, the index calls it deleted.
    Deleted,
    /// The source has it, a floor voids what the index holds.
    Void,
    /// The source has it, and it cannot be prepared.
    Unusable,
    /// The index holds it, the source does not.
    Surplus,
    /// The manifest's metadata.
    Metadata,
    /// The manifest's text.
    Text,
    /// The points that the manifest names, or their order.
    Chunks,
    /// The manifest's ranks do not grow.
    Ranks,
    /// A named point is not stored.
    PointMissing,
    /// A point belongs to another document.
    PointKey,
    /// A point's text.
    PointContent,
    /// A point's version.
    PointVersion,
    /// A point's metadata.
    PointMetadata,
    /// A point's rank.
    PointRank,
    /// A point's vector: its dimension, its norm or its values.
    Vector,
    /// A point that no manifest names: no search finds it, but it takes room.
    Orphan,
}

/// One way in which the index is not what the source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The document.
    pub key: DocumentKey,
    /// The version that the index holds; none without a manifest.
    pub version: Option<Version>,
    /// What differs.
    pub kind: Kind,
    /// More of it, for people; no text of a document.
    pub detail: String,
}

/// A document that differs because its change is parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excused {
    /// The document.
    pub key: DocumentKey,
    /// Why the change was parked.
    pub reason: String,
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The number of the edition of the index that was compared; 0 where nobody said it.
    #[serde(default)]
    pub edition: u32,
    /// Documents in the source.
    pub documents: u64,
    /// Points in the index.
    pub points: u64,
    /// Tombstones in the index.
    pub tombstones: u64,
    /// Manifests that another cleaner, chunker or model has made.
    pub outdated: u64,
    /// The differences, the first thousand of them, orphans included.
    pub differences: Vec<Difference>,
    /// How many there are, orphans and excused documents aside. With more than ten thousand
    /// differing documents the others are counted after the first look.
    pub difference_count: u64,
    /// Documents in the index that came without a version, from another producer than our capture, and are not in
    /// the source: there is nothing to compare them with.
    #[serde(default)]
    pub unversioned: u64,
    /// Points that no manifest names: no search finds them, but they are still to be collected.
    pub orphans: u64,
    /// Documents that differ because their change is parked; the first thousand.
    pub excused: Vec<Excused>,
    /// Changes that are parked.
    pub parked: u64,
    /// Changes that were still in the queues before the last look.
    pub pending: u64,
    /// On demand, the documents to send again.
    pub resync: Vec<DocumentKey>,
    /// No difference and no orphan, excused documents aside.
    pub clean: bool,
}

/// Compares everything; reads only, and is cancel safe. Memory is bounded by a page of documents
/// with their texts, and by a page of points.
///
/// # Errors
/// What a port says, and what the preparation of a document says if it is not about that document.
pub async fn verify<S: Source, Q: Queue, V: VectorStore, E: Embedder>(
    ports: &Ports<'_, S, Q, V, E>,
    options: Options,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Report> {
    let mut scan = Scan::new(ports, options, progress);
    scan.source().await?;
    scan.manifests().await?;
    scan.points().await?;
    scan.again().await
}

/// Compares one document, as the source has it or has it not, with what the index holds for it.
pub(crate) async fn compare_document<S: Source, Q: Queue, V: VectorStore, E: Embedder>(
    ports: &Ports<'_, S, Q, V, E>,
    key: &DocumentKey,
    fields: Option<Fields>,
) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    let mut differs = |difference| found.push(difference);
    scan::documents(ports, vec![(key.clone(), fields)], false, &mut differs).await?;
    Ok(found)
}

#[cfg(test)]
mod tests;
