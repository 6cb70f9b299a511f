//! What travels through the queue: changes of documents, and barriers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DocumentKey, Time, Version};
use crate::document::Fields;

/// What happened to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It was stored first.
    Insert,
    /// Fields of it were edited.
    Update,
    /// It was stored over.
    Replace,
    /// It is gone.
    Delete,
    /// It was read again: by a snapshot, a resync or a retry.
    Snapshot,
    /// It was read for the index that is being filled, and changes no other.
    Fill,
}

/// One edit of one document, on its way to the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Unique per change; repeats of one change carry the same.
    pub message_id: Uuid,
    /// The document.
    pub key: DocumentKey,
    /// Which of two changes of the key is newer.
    pub version: Version,
    /// What happened.
    pub operation: Operation,
    /// The document's fields without `_id`; none if and only if it was deleted.
    pub fields: Option<Fields>,
    /// When the source committed it: milliseconds since 1970, UTC.
    pub committed_ms: u64,
}

impl Change {
    /// A change whose `message_id` follows from key and version, so that a repeat is recognised.
    pub fn new(
        key: DocumentKey,
        version: Version,
        operation: Operation,
        fields: Option<Fields>,
        committed_ms: u64,
    ) -> Self {
        let mut name = Vec::from(version.to_bytes());
        name.extend_from_slice(key.kind.as_bytes());
        name.push(0);
        name.extend_from_slice(key.id.as_bytes());
        let message_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &name);
        Self {
            message_id,
            key,
            version,
            operation,
            fields,
            committed_ms,
        }
    }
}

/// A control message that every partition passes.
///
/// One is passed when everything before it in its queue is settled or parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "barrier", rename_all = "lowercase")]
pub enum Barrier {
    /// Manifests and changes of this type at or below the version are void.
    Floor {
        /// Unique per floor; the same in every partition.
        id: Uuid,
        /// The type.
        kind: String,
        /// The highest void version.
        version: Version,
        /// When it takes effect.
        act: Act,
    },
    /// Everything up to here was sent to this queue.
    Watermark {
        /// Changes at or below this version were sent.
        version: Version,
        /// The same as wall-clock time: milliseconds since 1970, UTC.
        committed_ms: u64,
    },
    /// Where the filling of an edition of the index begins and ends.
    Fill {
        /// The edition's number.
        edition: u32,
        /// Which end.
        mark: Mark,
    },
    /// Nothing follows in this generation of queues: the partition count changes.
    End {
        /// The generation that ends.
        generation: u32,
        /// Its partitions.
        partitions: u32,
        /// The partitions of the next one.
        next: u32,
    },
}

/// An end of the filling of an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// In both lanes: everything behind it is written to the edition, too.
    Begin,
    /// In backfill lanes: every document that the source had is before it.
    End,
}

/// When a floor takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// At first sight: a drop, a rename or `$out` happened at one moment for the whole type.
    AtOnce,
    /// When every partition has passed it: it voids what a snapshot has not raised.
    WhenPassed,
}

/// Which of a partition's two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Edits and deletes as they happen; received first.
    Live,
    /// Snapshots; at least one delivery in eight while there are any.
    Backfill,
}

/// One queue: a lane of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The partition, below the queue's count of them.
    pub partition: u32,
    /// Its lane.
    pub lane: Lane,
}

/// What a queue carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// An edit.
    Change(Change),
    /// A barrier.
    Barrier(Barrier),
}

impl Barrier {
    /// The watermark of everything up to `time`.
    pub fn watermark(epoch: u32, time: Time, committed_ms: u64) -> Self {
        Self::Watermark {
            version: Version::read(epoch, time),
            committed_ms,
        }
    }
}
