//! The hand that writes.
//!
//! ```text
//! writes ──> phases: points | manifests | control ──> by collection, in order ──> batches
//! ```
//!
//! A server performs the operations of one batch in their order and answers when the last is done. So
//! what one call holds for one collection is in order, and a phase begins when the one before it is
//! done: a manifest never comes before the points that it names. Within a phase the collections, whose
//! documents are never the same, are written side by side.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use prost::Message as _;
use qdrant_client::qdrant::points_update_operation::Operation;
use qdrant_client::qdrant::{PointsUpdateOperation, UpdateBatchPoints, UpdateResult, UpdateStatus};

use super::QdrantStore;
use super::link::Link;
use super::name::Family;
use super::{control, operation};
use crate::change::PointId;
use crate::vector::{Point, Write};
use crate::{Error, Result};

/// A batch is sent when it holds as many bytes, so that one answer never takes long.
const BATCH_BYTES: usize = 4 << 20;
/// Or as many operations.
const BATCH_OPERATIONS: usize = 1_000;

/// What is done before what; within one call only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Points,
    Manifests,
    Control,
}

/// Where an operation goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Type(Family, String),
    Control,
}

/// The operations of one phase, by target.
type Operations = BTreeMap<Target, Vec<Operation>>;

fn phase(write: &Write) -> Phase {
    match write {
        Write::Raise { .. } | Write::Upsert(_) | Write::Sweep { .. } => Phase::Points,
        Write::Manifest(_) | Write::Collect { .. } => Phase::Manifests,
        Write::Floor { .. }
        | Write::Passed { .. }
        | Write::Acted(_)
        | Write::Marked { .. }
        | Write::Watermark { .. } => Phase::Control,
    }
}

/// The phases of a call, in its order; control state is of this edition.
fn plan(writes: Vec<Write>, edition: u32) -> Vec<Operations> {
    let mut phases: Vec<(Phase, Operations)> = Vec::new();
    for write in writes {
        let phase = phase(&write);
        match phases.last_mut() {
            Some((last, operations)) if *last == phase => add(operations, write, edition),
            _ => {
                let mut operations = Operations::new();
                add(&mut operations, write, edition);
                phases.push((phase, operations));
            }
        }
    }
    phases
        .into_iter()
        .map(|(_, operations)| operations)
        .collect()
}

fn add(operations: &mut Operations, write: Write, edition: u32) {
    let mut push = |target, operation| operations.entry(target).or_default().push(operation);
    let vectors = |kind: &str| Target::Type(Family::Vector, kind.to_owned());
    let cleaned = |kind: &str| Target::Type(Family::Cleaned, kind.to_owned());
    match write {
        Write::Raise {
            key,
            stamp,
            metadata,
            points,
        } => {
            for entry in points {
                let raise = operation::raise(&key, stamp, &metadata, entry);
                push(vectors(&key.kind), raise);
            }
        }
        Write::Upsert(points) => {
            for alike in runs(points) {
                let (kind, stamp) = (vectors(&alike.0.key.kind), alike.0.stamp);
                let points = [alike.0].into_iter().chain(alike.1).collect();
                push(kind, operation::upsert_points(points, stamp));
            }
        }
        Write::Sweep { key, stamp, keep } => {
            push(vectors(&key.kind), operation::sweep(&key, stamp, keep));
        }
        Write::Manifest(manifest) => {
            let target = cleaned(&manifest.key.kind);
            push(target, operation::put_manifest(&manifest));
        }
        Write::Collect { key, version } => {
            push(cleaned(&key.kind), operation::collect(&key, version));
        }
        other => {
            if let Some(operation) = control::operation(&other, edition) {
                push(Target::Control, operation);
            }
        }
    }
}

/// Runs of points of one type and one stamp, which one condition covers: a first one, and more.
fn runs(points: Vec<Point>) -> Vec<(Point, Vec<Point>)> {
    let mut runs: Vec<(Point, Vec<Point>)> = Vec::new();
    for point in points {
        match runs.last_mut() {
            Some((first, more))
                if first.stamp == point.stamp && first.key.kind == point.key.kind =>
            {
                more.push(point);
            }
            _ => runs.push((point, Vec::new())),
        }
    }
    runs
}

impl QdrantStore {
    pub(super) async fn perform(&self, writes: Vec<Write>) -> Result<()> {
        let phases = plan(self.without_absent(writes).await?, self.edition);
        let is_control = |target: &Target| *target == Target::Control;
        let mut made = if phases.iter().flat_map(BTreeMap::keys).all(is_control) {
            BTreeSet::new()
        } else {
            self.all_types().await?
        };
        for operations in phases {
            for kind in new_types(&operations, &made) {
                self.make_type(&kind).await?;
                made.insert(kind);
            }
            let made = &made;
            let sends = operations
                .into_iter()
                .map(|(target, operations)| self.send_to(target, operations, made));
            try_join_all(sends).await?;
        }
        Ok(())
    }

    /// Leaves out what raising would not find, where nothing else is written: a document that is new is
    /// then one reading, and not one operation a point. A point that is stored in between counts as
    /// stored after the raising.
    async fn without_absent(&self, mut writes: Vec<Write>) -> Result<Vec<Write>> {
        let mut ids: BTreeMap<String, Vec<PointId>> = BTreeMap::new();
        for write in &writes {
            let Write::Raise { key, points, .. } = write else {
                return Ok(writes);
            };
            let of_kind = ids.entry(key.kind.clone()).or_default();
            of_kind.extend(points.iter().map(|entry| entry.id));
        }
        let there = self.there(ids).await?;
        for write in &mut writes {
            if let Write::Raise { points, .. } = write {
                points.retain(|entry| there.contains(&entry.id));
            }
        }
        Ok(writes)
    }

    async fn send_to(
        &self,
        target: Target,
        operations: Vec<Operation>,
        made: &BTreeSet<String>,
    ) -> Result<()> {
        let name = match target {
            Target::Control => self.server.names.control(),
            // Nothing is there that could be raised or deleted.
            Target::Type(_, kind) if !made.contains(&kind) => return Ok(()),
            Target::Type(family, kind) => self.collection(family, &kind),
        };
        send(&self.server.link, &name, operations).await
    }
}

/// Types of which something is stored for the first time.
fn new_types(operations: &Operations, made: &BTreeSet<String>) -> BTreeSet<String> {
    let stores = |operation: &Operation| matches!(operation, Operation::Upsert(_));
    let kinds = operations
        .iter()
        .filter_map(|(target, operations)| match target {
            Target::Type(_, kind) if operations.iter().any(stores) => Some(kind.clone()),
            _ => None,
        });
    kinds.filter(|kind| !made.contains(kind)).collect()
}

/// Performs operations of one collection in their order.
pub(super) async fn send(link: &Link, name: &str, operations: Vec<Operation>) -> Result<()> {
    for operations in batches(operations) {
        let operations = operations
            .into_iter()
            .map(|operation| PointsUpdateOperation {
                operation: Some(operation),
            });
        let request = UpdateBatchPoints {
            collection_name: name.to_owned(),
            wait: Some(true),
            operations: operations.collect(),
            ordering: Some(Link::ordering()),
            timeout: None,
        };
        let written = link.client.update_points_batch(request).await;
        let written = written.map_err(link.fault("write"))?;
        let completed = |result: &UpdateResult| result.status() == UpdateStatus::Completed;
        if let Some(late) = written.result.iter().find(|result| !completed(result)) {
            // Taken, and not done within the server's own patience: it is repeated.
            let why = format!("it answered {}", late.status().as_str_name());
            return Err(Error::unavailable(link.service(), "write")(why));
        }
    }
    Ok(())
}

fn batches(operations: Vec<Operation>) -> Vec<Vec<Operation>> {
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    let mut bytes = 0;
    for operation in operations {
        let size = bytes_of(&operation);
        match batches.last_mut() {
            Some(batch) if bytes + size <= BATCH_BYTES && batch.len() < BATCH_OPERATIONS => {
                batch.push(operation);
                bytes += size;
            }
            _ => {
                batches.push(vec![operation]);
                bytes = size;
            }
        }
    }
    batches
}

fn bytes_of(operation: &Operation) -> usize {
    match operation {
        Operation::Upsert(upsert) => upsert.encoded_len(),
        Operation::SetPayload(set) => set.encoded_len(),
        Operation::DeletePoints(delete) => delete.encoded_len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::change::{DocumentKey, Version};
    use crate::document::Fields;
    use crate::vector::Manifest;

    fn version(order: u32) -> Version {
        Version {
            order,
            ..Version::NONE
        }
    }

    fn point(kind: &str, order: u32, content: &str) -> Point {
        let key = DocumentKey::from_json(kind, &json!(5)).unwrap();
        Point {
            id: PointId::new(&key, content, 0),
            key,
            stamp: version(order).into(),
            rank: 0,
            content: content.to_owned(),
            metadata: Fields::new(),
            vector: vec![1.0],
        }
    }

    #[test]
    fn points_of_another_version_or_type_are_another_operation() {
        let upsert = Write::Upsert(vec![
            point("a", 1, "one"),
            point("a", 1, "two"),
            point("b", 1, "three"),
            point("a", 2, "one"),
        ]);
        let [phase] = &plan(vec![upsert], 1)[..] else {
            panic!("one phase");
        };
        let counts: Vec<_> = phase.values().map(Vec::len).collect();
        assert_eq!(counts, [2, 1]);
    }

    #[test]
    fn manifests_wait_for_the_points_before_them_and_control_for_both() {
        let point = point("a", 1, "one");
        let manifest = Manifest::tombstone(point.key.clone(), version(1).into(), 0);
        let writes = vec![
            Write::Upsert(vec![point]),
            Write::Manifest(Box::new(manifest)),
            Write::Acted(Uuid::nil()),
            Write::Acted(Uuid::nil()),
        ];
        let targets: Vec<Vec<_>> = plan(writes, 1)
            .into_iter()
            .map(|phase| phase.into_keys().collect())
            .collect();
        let kind = || "a".to_owned();
        let expected = [
            Target::Type(Family::Vector, kind()),
            Target::Type(Family::Cleaned, kind()),
            Target::Control,
        ];
        assert_eq!(targets, expected.map(|target| vec![target]));
    }

    #[test]
    fn a_batch_is_bounded_and_holds_at_least_one() {
        let text = "x".repeat(BATCH_BYTES / 3);
        let upsert =
            |text: &str| operation::upsert_points(vec![point("a", 1, text)], version(1).into());
        let operations = [&text[..], &text, &text, "x", &text.repeat(4), "x"].map(upsert);
        let sizes: Vec<_> = batches(operations.into()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 2, 1, 1]);
        let many = vec![upsert("x"); BATCH_OPERATIONS + 1];
        let sizes: Vec<_> = batches(many).iter().map(Vec::len).collect();
        assert_eq!(sizes, [BATCH_OPERATIONS, 1]);
    }
}
