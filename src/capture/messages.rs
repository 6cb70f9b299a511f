//! What the queue is told: of an event, of rows that were read, of how far it has been filled. Pure.

use uuid::Uuid;

use super::SnapshotPlan;
use super::frontier::Boundary;
use crate::change::{Act, Barrier, Change, DocumentKey, Lane, Mark, Message, Operation, Version};
use crate::document::{Document, Fields};
use crate::feature::types::Types;
use crate::queue::Outgoing;
use crate::source::{Body, Event, Reading};

/// The messages of one event of the log.
pub(super) fn of_event(event: Event, version: Version, partitions: u32) -> Vec<Outgoing> {
    match event.body {
        Body::Edit {
            key,
            operation,
            fields: None,
        } if operation != Operation::Delete => {
            tracing::debug!(%key, %version, "looked up after it was deleted: its delete follows");
            Vec::new()
        }
        Body::Edit {
            key,
            operation,
            fields,
        } => {
            let change = Change::new(key, version, operation, fields, event.committed_ms);
            vec![Outgoing::change(change, Lane::Live, partitions)]
        }
        Body::Dropped { kind } | Body::Replaced { kind } => void(kind, version, partitions),
        Body::Idle => Vec::new(),
    }
}

/// The floor that voids a whole type at one moment.
fn void(kind: String, version: Version, partitions: u32) -> Vec<Outgoing> {
    let mut name = Vec::from(version.to_bytes());
    name.extend_from_slice(kind.as_bytes());
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &name);
    let barrier = Barrier::Floor {
        id,
        kind,
        version,
        act: Act::AtOnce,
    };
    Outgoing::barrier(&barrier, Lane::Live, partitions)
}

/// The rows of a page, at the time of its read.
pub(super) fn of_page(
    reading: Reading<Vec<Document>>,
    epoch: u32,
    partitions: u32,
) -> Vec<Outgoing> {
    let version = Version::read(epoch, reading.time);
    let rows = reading.found.into_iter();
    rows.map(|row| {
        let change = read_again(row.key, version, Some(row.fields), reading.read_ms);
        Outgoing::change(change, Lane::Backfill, partitions)
    })
    .collect()
}

/// The rows of a page for the edition that is being filled.
pub(super) fn of_fill(
    reading: Reading<Vec<Document>>,
    epoch: u32,
    partitions: u32,
) -> Vec<Outgoing> {
    let mut batch = of_page(reading, epoch, partitions);
    for outgoing in &mut batch {
        if let Message::Change(change) = &mut outgoing.message {
            change.operation = Operation::Fill;
        }
    }
    batch
}

/// An end of the filling of an edition. Its beginning goes to both lanes: a row that overtook it
/// would find no edition to go to.
pub(super) fn of_mark(edition: u32, mark: Mark, partitions: u32) -> Vec<Outgoing> {
    let barrier = Barrier::Fill { edition, mark };
    let mut batch = Outgoing::barrier(&barrier, Lane::Backfill, partitions);
    if mark == Mark::Begin {
        batch.extend(Outgoing::barrier(&barrier, Lane::Live, partitions));
    }
    batch
}

/// The floor behind the last page of the type being read.
pub(super) fn of_end(snapshot: &SnapshotPlan, partitions: u32) -> Vec<Outgoing> {
    let barrier = snapshot.barrier();
    barrier.map_or_else(Vec::new, |barrier| {
        Outgoing::barrier(&barrier, Lane::Backfill, partitions)
    })
}

/// Documents that were asked for again, at the time of their read.
pub(super) fn of_resync(
    keys: Vec<DocumentKey>,
    reading: Reading<Vec<Option<Fields>>>,
    epoch: u32,
    partitions: u32,
) -> Vec<Outgoing> {
    let version = Version::read(epoch, reading.time);
    let rows = keys.into_iter().zip(reading.found);
    rows.map(|(key, fields)| {
        let change = read_again(key, version, fields, reading.read_ms);
        Outgoing::change(change, Lane::Live, partitions)
    })
    .collect()
}

/// A document that was read again: as it is now, or gone.
fn read_again(key: DocumentKey, version: Version, fields: Option<Fields>, read_ms: u64) -> Change {
    let operation = if fields.is_some() {
        Operation::Snapshot
    } else {
        Operation::Delete
    };
    Change::new(key, version, operation, fields, read_ms)
}

/// The messages without the fields that nobody is to see: the queue, which others may read and where
/// messages are parked, is the first place that they do not reach.
pub(super) fn redacted(mut batch: Vec<Outgoing>, types: &Types) -> Vec<Outgoing> {
    for outgoing in &mut batch {
        if let Message::Change(change) = &mut outgoing.message
            && let Some(fields) = &mut change.fields
        {
            types.redact(&change.key.kind, fields);
        }
    }
    batch
}

/// Says to every queue how far it has been filled.
pub(super) fn watermark(
    boundary: &Boundary,
    epoch: u32,
    now_ms: u64,
    partitions: u32,
) -> Vec<Outgoing> {
    let committed_ms = boundary.committed_ms.min(now_ms);
    let barrier = Barrier::watermark(epoch, boundary.time, committed_ms);
    let mut batch = Outgoing::barrier(&barrier, Lane::Live, partitions);
    batch.extend(Outgoing::barrier(&barrier, Lane::Backfill, partitions));
    batch
}
