//! Writes of points against the engine, each under its condition.
//!
//! One thread does all of them, so reading what is stored, deciding, and writing is one step.

use std::collections::HashMap;

use qdrant_edge::{
    EdgeShard, OperationResult, Payload, PayloadOps, PointId as EngineId, PointInsertOperations,
    PointOperations, Record, ScrollRequest, SetPayloadOp, UpdateOperation, WithPayloadInterface,
    WithVector,
};

use super::payload;
use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::vector::{Entry, Point, Write};

/// Performs a write of points and says how many it touched; leaves writes of rows alone.
pub(super) fn apply(shard: &EdgeShard, write: Write) -> OperationResult<usize> {
    match write {
        Write::Raise {
            key,
            version,
            metadata,
            points,
        } => raise(shard, &key, version, (&metadata, &points)),
        Write::Upsert(points) => upsert(shard, points),
        Write::Sweep { key, version, keep } => sweep(shard, &key, version, &keep),
        Write::Manifest(_)
        | Write::Floor { .. }
        | Write::Passed { .. }
        | Write::Acted(_)
        | Write::Watermark { .. }
        | Write::Collect { .. } => Ok(0),
    }
}

fn raise(
    shard: &EdgeShard,
    key: &DocumentKey,
    version: Version,
    (metadata, entries): (&Fields, &[Entry]),
) -> OperationResult<usize> {
    let stored = stored(shard, entries.iter().map(|entry| entry.id))?;
    let mut touched = 0;
    for entry in entries {
        let Some(point) = stored.get(&entry.id) else {
            continue;
        };
        if point.key != *key || point.version > version {
            continue;
        }
        let raised = Point {
            version,
            rank: entry.rank,
            metadata: metadata.clone(),
            ..point.clone()
        };
        // Overwritten as a whole: metadata that is no longer there must go.
        let payload = Payload(payload::payload(&raised));
        let points = Some(vec![EngineId::Uuid(entry.id.0)]);
        shard.update(UpdateOperation::PayloadOperation(
            PayloadOps::OverwritePayload(SetPayloadOp {
                payload,
                points,
                filter: None,
                key: None,
            }),
        ))?;
        touched += 1;
    }
    Ok(touched)
}

fn upsert(shard: &EdgeShard, points: Vec<Point>) -> OperationResult<usize> {
    let stored = stored(shard, points.iter().map(|point| point.id))?;
    // Among equal ids of one write the last of the newest wins, as if they came one by one.
    let mut newest: HashMap<PointId, Version> = stored
        .into_iter()
        .map(|(id, point)| (id, point.version))
        .collect();
    let mut accepted = Vec::with_capacity(points.len());
    for point in points {
        if newest
            .get(&point.id)
            .is_none_or(|stored| *stored <= point.version)
        {
            newest.insert(point.id, point.version);
            accepted.push(payload::stored(point).into());
        }
    }
    let touched = accepted.len();
    if touched > 0 {
        let points = PointInsertOperations::PointsList(accepted);
        shard.update(UpdateOperation::PointOperation(
            PointOperations::UpsertPoints(points),
        ))?;
    }
    Ok(touched)
}

fn sweep(
    shard: &EdgeShard,
    key: &DocumentKey,
    version: Version,
    keep: &[PointId],
) -> OperationResult<usize> {
    let keep: std::collections::HashSet<_> = keep.iter().collect();
    let (records, _) = shard.scroll(ScrollRequest {
        offset: None,
        limit: Some(usize::MAX),
        filter: Some(payload::of_document(key)),
        with_payload: Some(WithPayloadInterface::Bool(true)),
        with_vector: WithVector::Bool(false),
        order_by: None,
    })?;
    let ids: Vec<_> = records
        .into_iter()
        .filter_map(read)
        .filter(|point| point.version <= version && !keep.contains(&point.id))
        .map(|point| EngineId::Uuid(point.id.0))
        .collect();
    let touched = ids.len();
    if touched > 0 {
        shard.update(UpdateOperation::PointOperation(
            PointOperations::DeletePoints { ids },
        ))?;
    }
    Ok(touched)
}

/// What is stored under these ids, without vectors.
fn stored(
    shard: &EdgeShard,
    ids: impl Iterator<Item = PointId>,
) -> OperationResult<HashMap<PointId, Point>> {
    let ids: Vec<_> = ids.map(|id| EngineId::Uuid(id.0)).collect();
    let records = shard.retrieve(
        &ids,
        Some(WithPayloadInterface::Bool(true)),
        Some(WithVector::Bool(false)),
    )?;
    Ok(records
        .into_iter()
        .filter_map(read)
        .map(|point| (point.id, point))
        .collect())
}

/// A payload that is not ours counts as absent: it is written over, and never swept.
fn read(record: Record) -> Option<Point> {
    payload::point(record.id, record.payload, None).ok()
}
