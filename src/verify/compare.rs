//! What the index must hold for a document, and where it does not. Pure.
//!
//! ```text
//! Prepared ──expect──> Expected ──┬── manifest  ──> differences of the document
//!                                 └── each point ──> differences of the point
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Difference, Kind};
use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::feature::prepare::Prepared;
use crate::vector::{Control, Entry, Manifest, Point};

/// How far a stored vector's norm may be from 1: the embedder's promise and a store's rounding.
const NORM_TOLERANCE: f32 = 1e-3;
/// How far a value of a stored vector may be from the same text embedded again.
const VALUE_TOLERANCE: f32 = 1e-5;

/// What the index must hold for one document, vectors, versions and ranks aside.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    key: DocumentKey,
    metadata: Arc<Fields>,
    text: String,
    /// Ids and the exact texts, in the order of the document.
    points: Vec<(PointId, String)>,
}

/// What one point that a manifest names must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    key: DocumentKey,
    version: Version,
    metadata: Arc<Fields>,
    entry: Entry,
    /// None for a point that the document no longer has: then the manifest differs already.
    content: Option<String>,
}

impl Expected {
    /// Numbers the occurrences of equal texts, as the plan does.
    pub(super) fn new(key: DocumentKey, prepared: Prepared) -> Self {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let mut points = Vec::with_capacity(prepared.chunks.len());
        for chunk in prepared.chunks {
            let occurrence = seen.entry(chunk.clone()).or_default();
            points.push((PointId::new(&key, &chunk, *occurrence), chunk));
            *occurrence += 1;
        }
        Self {
            key,
            metadata: Arc::new(prepared.metadata),
            text: prepared.text,
            points,
        }
    }

    /// Where the manifest is not what it must be; points aside.
    pub(super) fn compare(
        &self,
        manifest: Option<&Manifest>,
        control: &Control,
    ) -> Vec<Difference> {
        let Some(manifest) = manifest else {
            return vec![difference(
                &self.key,
                None,
                Kind::Missing,
                "the index has no manifest",
            )];
        };
        let differs = |kind, detail: String| Difference {
            key: self.key.clone(),
            version: Some(manifest.stamp.version),
            kind,
            detail,
        };
        if manifest.deleted {
            return vec![differs(
                Kind::Deleted,
                "its manifest is a tombstone".to_owned(),
            )];
        }
        if !control.holds(manifest) {
            return vec![differs(
                Kind::Void,
                "a floor of its type voids its manifest".to_owned(),
            )];
        }
        let mut found = Vec::new();
        if manifest.metadata != *self.metadata {
            let fields = differing_fields(&self.metadata, &manifest.metadata);
            found.push(differs(
                Kind::Metadata,
                format!("the manifest differs in {fields}"),
            ));
        }
        if manifest.text != self.text {
            let at = first_difference(self.text.as_bytes(), manifest.text.as_bytes());
            found.push(differs(
                Kind::Text,
                format!("the cleaned text differs from byte {at}"),
            ));
        }
        let expected: Vec<PointId> = self.points.iter().map(|(id, _)| *id).collect();
        let named: Vec<PointId> = manifest.points.iter().map(|entry| entry.id).collect();
        if named != expected {
            let at = first_difference(&expected, &named);
            let (want, have) = (expected.len(), named.len());
            let detail = format!(
                "{want} chunks are due, the manifest names {have}; chunk {at} differs first"
            );
            found.push(differs(Kind::Chunks, detail));
        }
        if !manifest.points.is_sorted_by(|a, b| a.rank < b.rank) {
            found.push(differs(
                Kind::Ranks,
                "the ranks do not grow with the text".to_owned(),
            ));
        }
        found
    }

    /// What each point must be that this document's manifest names.
    pub(super) fn wanted(self, manifest: &Manifest) -> Vec<Wanted> {
        let mut contents: BTreeMap<PointId, String> = self.points.into_iter().collect();
        let wanted = manifest.points.iter().map(|entry| Wanted {
            key: self.key.clone(),
            version: manifest.stamp.version,
            metadata: Arc::clone(&self.metadata),
            entry: *entry,
            content: contents.remove(&entry.id),
        });
        wanted.collect()
    }
}

impl Wanted {
    /// The point's id.
    pub(super) fn id(&self) -> PointId {
        self.entry.id
    }

    /// The exact text to embed, where the document still has it.
    pub(super) fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// Where the stored point is not what it must be; a vector of the right shape is not looked at
    /// further.
    pub(super) fn compare(&self, point: Option<&Point>, dimension: usize) -> Vec<Difference> {
        let Some(point) = point else {
            return vec![self.differs(Kind::PointMissing, "it is not stored")];
        };
        let mut found = Vec::new();
        let mut want = |equal: bool, kind, detail: &str| {
            if !equal {
                found.push(self.differs(kind, detail));
            }
        };
        want(
            point.key == self.key,
            Kind::PointKey,
            &format!("it belongs to {}", point.key),
        );
        let equal = self
            .content
            .as_ref()
            .is_none_or(|content| *content == point.content);
        want(equal, Kind::PointContent, "its text is not the chunk's");
        let (have, due) = (point.stamp.version, self.version);
        want(
            have == due,
            Kind::PointVersion,
            &format!("its version is {have}, not {due}"),
        );
        let fields = differing_fields(&self.metadata, &point.metadata);
        want(
            point.metadata == *self.metadata,
            Kind::PointMetadata,
            &format!("it differs in {fields}"),
        );
        let (have, due) = (point.rank, self.entry.rank);
        want(
            have == due,
            Kind::PointRank,
            &format!("its rank is {have}, not {due}"),
        );
        let length = point.vector.len();
        want(
            length == dimension,
            Kind::Vector,
            &format!("its vector has {length} values, not {dimension}"),
        );
        let norm = point
            .vector
            .iter()
            .map(|value| value * value)
            .sum::<f32>()
            .sqrt();
        // Said so that a norm of NaN is a difference too.
        let is_unit = (norm - 1.0).abs() <= NORM_TOLERANCE;
        want(
            is_unit,
            Kind::Vector,
            &format!("its vector's norm is {norm}, not 1"),
        );
        found
    }

    /// Whether the stored vector is not that of its text embedded again.
    pub(super) fn compare_vector(&self, stored: &[f32], again: &[f32]) -> Option<Difference> {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= VALUE_TOLERANCE;
        let equal = stored.len() == again.len() && stored.iter().zip(again).all(near);
        (!equal).then(|| self.differs(Kind::Vector, "its vector is not that of its text"))
    }

    fn differs(&self, kind: Kind, detail: &str) -> Difference {
        let detail = format!("point {}: {detail}", self.entry.id);
        difference(&self.key, Some(self.version), kind, &detail)
    }
}

/// The difference of a document that the index holds and the source does not, if there is one.
pub(super) fn surplus(manifest: Option<&Manifest>, control: &Control) -> Option<Difference> {
    let manifest = manifest.filter(|manifest| control.holds(manifest))?;
    let detail = "the index holds it, the source does not";
    Some(difference(
        &manifest.key,
        Some(manifest.stamp.version),
        Kind::Surplus,
        detail,
    ))
}

/// The difference of a point that no manifest names.
pub(super) fn orphan(key: &DocumentKey, manifest: Option<&Manifest>, id: PointId) -> Difference {
    let version = manifest.map(|manifest| manifest.stamp.version);
    difference(
        key,
        version,
        Kind::Orphan,
        &format!("point {id}: no manifest names it"),
    )
}

/// Whether the manifest holds a document and names this point.
pub(super) fn names(manifest: Option<&Manifest>, control: &Control, id: PointId) -> bool {
    manifest.is_some_and(|manifest| {
        control.holds(manifest) && manifest.points.iter().any(|entry| entry.id == id)
    })
}

fn difference(key: &DocumentKey, version: Option<Version>, kind: Kind, detail: &str) -> Difference {
    Difference {
        key: key.clone(),
        version,
        kind,
        detail: detail.to_owned(),
    }
}

/// The names of the fields that differ, never their values: a report may be logged.
fn differing_fields(expected: &Fields, stored: &Fields) -> String {
    let mut names: Vec<&str> = expected
        .iter()
        .chain(stored)
        .filter(|(name, _)| expected.get(*name) != stored.get(*name))
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn first_difference<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
