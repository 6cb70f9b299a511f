//! The index: one manifest a document, one point a chunk, and the floors above them.
//!
//! ```text
//! plan ──write──> points, manifests, floors ──search──> points that their manifests name
//! ```
//!
//! A store does single writes under conditions on versions; in which order they make an update
//! safe is decided by [`crate::feature`], once for every backend.

mod date;
pub mod edge;
pub mod lexical;
mod nearest;
pub mod only;
pub mod qdrant;
mod stamp;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;
use crate::change::{DocumentKey, Lane, Mark, Place, PointId, Version};
use crate::document::Fields;

pub use self::date::Moment;
pub use self::nearest::{By, Near, Nearest};
pub use self::only::Only;
pub use self::stamp::Stamp;

/// What the index holds for one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The document.
    pub key: DocumentKey,
    /// The version whose text and metadata these are, and what orders them within it.
    #[serde(rename = "version")]
    pub stamp: Stamp,
    /// True for a tombstone: the document was deleted at this version.
    pub deleted: bool,
    /// When the source committed that version, of a deleted one's tombstone when it was buried: milliseconds
    /// since 1970, UTC.
    pub committed_ms: u64,
    /// Fingerprint of the cleaner, chunker and model that made the points.
    pub fingerprint: String,
    /// The metadata that every point carries.
    pub metadata: Fields,
    /// The cleaned text.
    pub text: String,
    /// The points, in the order of the text; empty for a tombstone.
    pub points: Vec<Entry>,
}

/// A point that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The point.
    pub id: PointId,
    /// Its place in the document: ranks grow with the text and have gaps, so that an insertion
    /// moves none of the others.
    pub rank: i64,
}

/// A stored vector with its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its id.
    pub id: PointId,
    /// The document that it belongs to.
    pub key: DocumentKey,
    /// The newest content of the document that is known to hold this chunk.
    pub stamp: Stamp,
    /// Its place in the document.
    pub rank: i64,
    /// The exact text that was embedded, heading prefix included.
    pub content: String,
    /// The document's metadata.
    pub metadata: Fields,
    /// The vector; empty where a reading left it out.
    pub vector: Vec<f32>,
}

/// One write; repeatable, and safe whoever else writes.
///
/// "Stored" below is what is there at the moment of the write, read and written as one step. Points
/// and manifests are ordered by their whole stamps; floors, watermarks and what is collected know
/// versions only.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Gives each of these points of the key the stamp, rank and metadata, where it exists with a
    /// stored stamp at or below.
    Raise {
        /// The document.
        key: DocumentKey,
        /// The stamp to raise to.
        stamp: Stamp,
        /// The document's metadata.
        metadata: Fields,
        /// Points and their ranks.
        points: Vec<Entry>,
    },
    /// Stores each point, where it does not exist or its stored stamp is at or below.
    Upsert(Vec<Point>),
    /// Stores the manifest, where there is none or its stored stamp is at or below.
    Manifest(Box<Manifest>),
    /// Deletes the points of the key whose stored stamp is at or below and which are not kept.
    Sweep {
        /// The document.
        key: DocumentKey,
        /// The stamp of the manifest that names the points to keep.
        stamp: Stamp,
        /// The points that it names.
        keep: Vec<PointId>,
    },
    /// Raises the floor of a type; never lowers it.
    Floor {
        /// The type.
        kind: String,
        /// The highest void version.
        version: Version,
    },
    /// Records that a queue has passed a floor that acts when all have.
    Passed {
        /// The floor.
        floor: Floor,
        /// The queue.
        place: Place,
    },
    /// Forgets who passed a floor: it has acted.
    Acted(Uuid),
    /// Records that a queue has passed an end of the filling of this edition.
    Marked {
        /// Which end.
        mark: Mark,
        /// The queue.
        place: Place,
    },
    /// Raises a queue's settled watermark; never lowers it.
    Watermark {
        /// The queue.
        place: Place,
        /// What it has settled.
        mark: Watermark,
    },
    /// Removes the manifest, where it is a tombstone of exactly this version, in any revision.
    Collect {
        /// The document.
        key: DocumentKey,
        /// The tombstone's version.
        version: Version,
    },
}

/// A floor that acts when every partition has passed it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Floor {
    /// Unique; the same in every partition.
    pub id: Uuid,
    /// The type.
    pub kind: String,
    /// The highest version that it voids.
    pub version: Version,
}

/// Everything up to here is settled or parked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watermark {
    /// Changes at or below this version.
    pub version: Version,
    /// The same as wall-clock time: milliseconds since 1970, UTC; 0 while it is not known.
    pub committed_ms: u64,
}

impl Watermark {
    /// The time up to which everything is in, where it is known.
    pub fn as_of_ms(self) -> Option<u64> {
        Some(self.committed_ms).filter(|ms| *ms > 0)
    }
}

/// What holds for whole types and queues, kept beside the manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The highest void version of each type.
    pub floors: BTreeMap<String, Version>,
    /// Floors on their way, and the queues that have passed each.
    pub passing: BTreeMap<Floor, BTreeSet<Place>>,
    /// The settled watermark of each queue.
    pub watermarks: BTreeMap<Place, Watermark>,
    /// The queues that have passed each end of the filling of this edition.
    #[serde(default)]
    pub marks: BTreeMap<Mark, BTreeSet<Place>>,
}

impl Control {
    /// Whether a version of this type is void. One without a version never is.
    pub fn voids(&self, kind: &str, version: Version) -> bool {
        version.is_some() && self.floors.get(kind).is_some_and(|floor| version <= *floor)
    }

    /// The settled watermark of the whole: the least over the queues of so many partitions, none until each of
    /// them has one. Queues of an earlier generation, which are no more, hold nothing back.
    pub fn settled(&self, partitions: u32) -> Option<Watermark> {
        let lanes = [Lane::Live, Lane::Backfill];
        let places = (0..partitions).flat_map(|partition| {
            let place = move |lane| Place { partition, lane };
            lanes.map(place)
        });
        places
            .map(|place| self.watermarks.get(&place).copied())
            .min()
            .flatten()
    }

    /// Whether the index holds the manifest's document: it is neither deleted nor void.
    pub fn holds(&self, manifest: &Manifest) -> bool {
        !manifest.deleted && !self.voids(&manifest.key.kind, manifest.stamp.version)
    }
}

/// Chooses what to read.
#[derive(Debug, Clone, PartialEq)]
pub enum Select<T> {
    /// These; what is not there is left out of the answer.
    Of(Vec<T>),
    /// The next ones in order after this one, or from the first.
    After {
        /// Where to go on.
        after: Option<T>,
        /// How many at most; an empty answer is the end.
        limit: usize,
    },
}

/// How much is stored; counts of a moment, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Manifests that are no tombstones.
    pub documents: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Points, named by a manifest or not.
    pub points: u64,
}

/// Stores vectors and manifests.
///
/// - Writes of one call take effect in their order. When the call returns they are durable; after
///   an error or a crash any first part of them may be done, each write wholly, or an `Upsert`,
///   `Raise` or `Sweep` for some of its points. Of neighbouring writes of one sort (of points, of
///   manifests, of control state) it may be a first part of those of each type.
/// - A manifest is never durable before the points written earlier in its call.
/// - A reading that starts after a write returned sees it.
/// - Concurrent callers are served; each single write is atomic towards the others.
pub trait VectorStore: Send + Sync + 'static {
    /// Reads manifests; `After` goes by type, then by `_id`.
    fn manifests(
        &self,
        select: Select<DocumentKey>,
    ) -> impl Future<Output = Result<Vec<Manifest>>> + Send;

    /// Reads points with their vectors; `After` goes by id.
    fn points(&self, select: Select<PointId>) -> impl Future<Output = Result<Vec<Point>>> + Send;

    /// Reads floors and watermarks.
    fn control(&self) -> impl Future<Output = Result<Control>> + Send;

    /// Performs the writes in order.
    fn write(&self, writes: Vec<Write>) -> impl Future<Output = Result<()>> + Send;

    /// The nearest points, best first, equal ones by their ids. It knows nothing of manifests and floors: what it finds is
    /// checked against them by the search room.
    fn nearest(&self, question: Nearest) -> impl Future<Output = Result<Vec<Near>>> + Send;

    /// Counts what is there.
    fn counts(&self) -> impl Future<Output = Result<Counts>> + Send;
}
