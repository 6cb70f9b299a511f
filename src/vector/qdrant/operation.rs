//! Single writes as the protocol has them, each with its condition. Pure.

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{
    DeletePoints, Operation, PointStructList, SetPayload,
};
use qdrant_client::qdrant::{
    Condition, Filter, NamedVectors, PointStruct, PointsSelector, Vector, Vectors,
};

use super::guard::{not_newer, of_document, of_version, one_of};
use super::payload::{self, Payload};
use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::vector::{Entry, Manifest, Point, Stamp, lexical};

/// Stores each point where there is none, or where what is stored meets the filter.
pub(super) fn upsert(points: Vec<PointStruct>, update_filter: Option<Filter>) -> Operation {
    Operation::Upsert(PointStructList {
        points,
        update_filter,
        ..PointStructList::default()
    })
}

/// Deletes what meets the filter.
pub(super) fn delete(filter: Filter) -> Operation {
    Operation::DeletePoints(DeletePoints {
        points: Some(selected(filter)),
        ..DeletePoints::default()
    })
}

fn selected(filter: Filter) -> PointsSelector {
    PointsSelector {
        points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)),
    }
}

/// A point of a collection without vectors.
pub(super) fn bare(id: PointId, payload: Payload) -> PointStruct {
    PointStruct {
        id: Some(id.0.to_string().into()),
        payload,
        vectors: Some(Vectors::from(NamedVectors::default())),
    }
}

/// Stores points of one stamp, where none is newer.
pub(super) fn upsert_points(points: Vec<Point>, stamp: Stamp) -> Operation {
    let points = points.into_iter().map(whole).collect();
    upsert(points, Some(not_newer(stamp)))
}

fn whole(point: Point) -> PointStruct {
    let payload = payload::of_point(&point);
    let words = lexical::of_text(&point.content);
    let mut vectors = NamedVectors::default();
    let dense = Vector::from(point.vector);
    vectors.vectors.insert(payload::DENSE.to_owned(), dense);
    if !words.is_empty() {
        let sparse = Vector::new_sparse(words.ids, words.weights);
        vectors.vectors.insert(payload::SPARSE.to_owned(), sparse);
    }
    PointStruct {
        id: Some(point.id.0.to_string().into()),
        payload,
        vectors: Some(vectors.into()),
    }
}

/// Raises one point, where it is the document's and not newer.
pub(super) fn raise(key: &DocumentKey, stamp: Stamp, metadata: &Fields, entry: Entry) -> Operation {
    let mut conditions = vec![one_of([entry.id]), not_newer(stamp).into()];
    conditions.extend(of_document(key));
    Operation::SetPayload(SetPayload {
        payload: payload::raised(stamp, entry.rank, metadata),
        points_selector: Some(selected(Filter::must(conditions))),
        ..SetPayload::default()
    })
}

/// Deletes the document's points that are not newer, but for those that are kept.
pub(super) fn sweep(key: &DocumentKey, stamp: Stamp, keep: Vec<PointId>) -> Operation {
    let mut conditions: Vec<Condition> = of_document(key).into();
    conditions.push(not_newer(stamp).into());
    let kept = (!keep.is_empty()).then(|| one_of(keep));
    delete(Filter {
        must: conditions,
        must_not: kept.into_iter().collect(),
        ..Filter::default()
    })
}

/// Stores the manifest, where none is newer.
pub(super) fn put_manifest(manifest: &Manifest) -> Operation {
    let id = payload::manifest_id(&manifest.key);
    let point = bare(id, payload::of_manifest(manifest));
    upsert(vec![point], Some(not_newer(manifest.stamp)))
}

/// Gives the document's points by what a search finds them, where they have nothing of that yet.
pub(super) fn label(manifest: &Manifest) -> Operation {
    let mut conditions = vec![Condition::is_empty(payload::LABELS)];
    conditions.extend(of_document(&manifest.key));
    Operation::SetPayload(SetPayload {
        payload: payload::found_by(&manifest.metadata),
        points_selector: Some(selected(Filter::must(conditions))),
        ..SetPayload::default()
    })
}

/// Deletes the manifest, where it is a tombstone of exactly this version.
pub(super) fn collect(key: &DocumentKey, version: Version) -> Operation {
    let mut conditions = vec![
        one_of([payload::manifest_id(key)]),
        Condition::matches(payload::DELETED, true),
    ];
    conditions.extend(of_version(version));
    delete(Filter::must(conditions))
}

/// A filter that nothing with this field meets: what is there stays as it is.
pub(super) fn lacks(field: &str) -> Filter {
    Filter::must([Condition::is_empty(field)])
}
