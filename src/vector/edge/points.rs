//! Writes of points: what each comes to, and doing that.
//!
//! ```text
//! write + what is stored ──decide──> effects ──apply──> the engine's memory
//! ```
//!
//! One thread does all of them, so reading what is stored, deciding, and writing is one step. An
//! effect has no condition left and says all of a point: whatever the engine holds of it, older,
//! newer or half of it, what it holds afterwards is the same.

use std::collections::{HashMap, HashSet};
use std::mem::discriminant;

use qdrant_edge::{
    EdgeShard, OperationResult, PointId as EngineId, PointInsertOperations, PointOperations,
    Record, ScrollRequest, UpdateOperation, WithPayloadInterface, WithVector,
};

use super::payload;
use crate::change::{DocumentKey, PointId};
use crate::document::Fields;
use crate::vector::{Entry, Point, Stamp, Write};

/// What a write comes to for one point.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// It is there, with this and nothing else.
    Put {
        id: PointId,
        payload: Fields,
        vector: Vec<f32>,
    },
    /// It is not there.
    Delete(PointId),
}

impl Effect {
    fn put(mut point: Point) -> Self {
        let vector = std::mem::take(&mut point.vector);
        Self::Put {
            id: point.id,
            payload: payload::payload(&point),
            vector,
        }
    }
}

/// Whether the write is one of points, and none of rows.
pub(super) fn is_of_points(write: &Write) -> bool {
    match write {
        Write::Raise { .. } | Write::Upsert(_) | Write::Sweep { .. } => true,
        Write::Manifest(_)
        | Write::Floor { .. }
        | Write::Passed { .. }
        | Write::Acted(_)
        | Write::Marked { .. }
        | Write::Watermark { .. }
        | Write::Collect { .. } => false,
    }
}

/// Weighs a write of points against what is stored; nothing comes of a write of rows.
pub(super) fn decide(shard: &EdgeShard, write: Write) -> OperationResult<Vec<Effect>> {
    match write {
        Write::Raise {
            key,
            stamp,
            metadata,
            points,
        } => raise(shard, &key, stamp, (&metadata, &points)),
        Write::Upsert(points) => upsert(shard, points),
        Write::Sweep { key, stamp, keep } => sweep(shard, &key, stamp, &keep),
        _ => Ok(Vec::new()),
    }
}

/// Brings the effects into the engine's memory, in their order.
pub(super) fn apply(shard: &EdgeShard, effects: &[Effect]) -> OperationResult<()> {
    for alike in effects.chunk_by(|a, b| discriminant(a) == discriminant(b)) {
        let (mut puts, mut ids) = (Vec::new(), Vec::new());
        for effect in alike {
            match effect {
                Effect::Put {
                    id,
                    payload,
                    vector,
                } => puts.push(payload::stored(*id, payload.clone(), vector.clone()).into()),
                Effect::Delete(id) => ids.push(EngineId::Uuid(id.0)),
            }
        }
        shard.update(UpdateOperation::PointOperation(if ids.is_empty() {
            PointOperations::UpsertPoints(PointInsertOperations::PointsList(puts))
        } else {
            PointOperations::DeletePoints { ids }
        }))?;
    }
    Ok(())
}

fn raise(
    shard: &EdgeShard,
    key: &DocumentKey,
    stamp: Stamp,
    (metadata, entries): (&Fields, &[Entry]),
) -> OperationResult<Vec<Effect>> {
    let ids = entries.iter().map(|entry| entry.id);
    // With its vector, although that stays: an effect says all of a point.
    let stored = stored(shard, ids, meaning())?;
    let raised = entries.iter().filter_map(|entry| {
        let point = stored.get(&entry.id)?;
        (point.key == *key && point.stamp <= stamp).then(|| {
            Effect::put(Point {
                stamp,
                rank: entry.rank,
                metadata: metadata.clone(),
                ..point.clone()
            })
        })
    });
    Ok(raised.collect())
}

fn upsert(shard: &EdgeShard, points: Vec<Point>) -> OperationResult<Vec<Effect>> {
    let ids = points.iter().map(|point| point.id);
    // Among equal ids of one write the last of the newest wins, as if they came one by one.
    let mut newest: HashMap<PointId, Stamp> = stored(shard, ids, WithVector::Bool(false))?
        .into_iter()
        .map(|(id, point)| (id, point.stamp))
        .collect();
    let accepted = points.into_iter().filter(|point| {
        let newer = newest
            .get(&point.id)
            .is_none_or(|stored| *stored <= point.stamp);
        if newer {
            newest.insert(point.id, point.stamp);
        }
        newer
    });
    Ok(accepted.map(Effect::put).collect())
}

fn sweep(
    shard: &EdgeShard,
    key: &DocumentKey,
    stamp: Stamp,
    keep: &[PointId],
) -> OperationResult<Vec<Effect>> {
    let keep: HashSet<_> = keep.iter().collect();
    let (records, _) = shard.scroll(ScrollRequest {
        offset: None,
        limit: Some(usize::MAX),
        filter: Some(payload::of_document(key)),
        with_payload: Some(WithPayloadInterface::Bool(true)),
        with_vector: WithVector::Bool(false),
        order_by: None,
    })?;
    let swept = records
        .into_iter()
        .filter_map(read)
        .filter(|point| point.stamp <= stamp && !keep.contains(&point.id));
    Ok(swept.map(|point| Effect::Delete(point.id)).collect())
}

/// The vector of the meaning alone: that of the words follows from the text.
pub(super) fn meaning() -> WithVector {
    WithVector::Selector(vec![payload::DENSE.to_owned()])
}

/// What is stored under these ids.
fn stored(
    shard: &EdgeShard,
    ids: impl Iterator<Item = PointId>,
    with_vector: WithVector,
) -> OperationResult<HashMap<PointId, Point>> {
    let ids: Vec<_> = ids.map(|id| EngineId::Uuid(id.0)).collect();
    let payload = WithPayloadInterface::Bool(true);
    let records = shard.retrieve(&ids, Some(payload), Some(with_vector))?;
    Ok(records
        .into_iter()
        .filter_map(read)
        .map(|point| (point.id, point))
        .collect())
}

/// A payload that is not ours counts as absent: it is written over, and never swept.
fn read(record: Record) -> Option<Point> {
    payload::point(record.id, record.payload, record.vector).ok()
}
