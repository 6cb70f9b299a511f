//! A point as the engine holds it: the names in its payload, and what they mean. Pure.
//!
//! A payload is flat, as retrieval clients know it: `id`, `type`, `content`, and the metadata under
//! its own names (`platform`, `link`, `author_id`, ...). Our own fields stand beside them; metadata
//! that is named like one of ours is set apart under `metadata`, so that it comes back unchanged.

use qdrant_edge::{
    PointId as EngineId, PointStruct, VectorInternal, VectorStructInternal, Vectors,
};
use serde_json::{Map, Value, json};

use crate::change::{DocumentKey, PointId};
use crate::document::Fields;
use crate::vector::{Point, Stamp};
use crate::{Error, Result};

/// The vector's name; another kind of vector can stand beside it.
pub(super) const DENSE: &str = "dense";
/// The type of the document.
pub(super) const KIND: &str = "type";
/// The `_id` as canonical extended JSON.
pub(super) const KEY_ID: &str = "key_id";
/// The metadata by which a search can be narrowed.
pub(super) const AUTHOR_ID: &str = "author_id";

/// The `_id` for people.
const ENTRY_ID: &str = "id";
const CONTENT: &str = "content";
const RANK: &str = "rank";
/// The stamp as integers, most significant first: the engine compares numbers as 64-bit floats, into
/// which one packed version would not fit. Points from before there were revisions have the first four.
const STAMP: [&str; 6] = [
    "version_epoch",
    "version_seconds",
    "version_increment",
    "version_order",
    "version_revision",
    "version_digest",
];
const VERSION_WORDS: usize = 4;
/// Metadata whose names are taken.
const SET_APART: &str = "metadata";

/// The payload of a point.
pub(super) fn payload(point: &Point) -> Fields {
    let (set_apart, mut payload): (Fields, Fields) = point
        .metadata
        .clone()
        .into_iter()
        .partition(|(name, _)| is_ours(name));
    payload.insert(ENTRY_ID.to_owned(), point.key.entry_id().into());
    payload.insert(KIND.to_owned(), point.key.kind.clone().into());
    payload.insert(KEY_ID.to_owned(), point.key.id.clone().into());
    payload.insert(CONTENT.to_owned(), point.content.clone().into());
    payload.insert(RANK.to_owned(), point.rank.into());
    payload.extend(
        STAMP
            .iter()
            .zip(point.stamp.words())
            .map(|(name, word)| ((*name).to_owned(), word.into())),
    );
    if !set_apart.is_empty() {
        payload.insert(SET_APART.to_owned(), Value::Object(set_apart));
    }
    payload
}

fn is_ours(name: &str) -> bool {
    [ENTRY_ID, KIND, KEY_ID, CONTENT, RANK, SET_APART].contains(&name) || STAMP.contains(&name)
}

/// The point as it is given to the engine.
pub(super) fn stored(id: PointId, payload: Fields, vector: Vec<f32>) -> PointStruct {
    let vectors = Vectors::new_named([(DENSE, vector)]);
    PointStruct::new(EngineId::Uuid(id.0), vectors, Value::Object(payload))
}

/// The point that the engine gave back; without its vector if that was not asked for.
///
/// # Errors
/// [`Error::Malformed`] for a payload that [`payload`] did not make.
pub(super) fn point(
    id: EngineId,
    payload: Option<qdrant_edge::Payload>,
    vector: Option<VectorStructInternal>,
) -> Result<Point> {
    let EngineId::Uuid(id) = id else {
        return Err(Error::malformed(format!("point {id}"), "its id is no UUID"));
    };
    let payload = payload.map(|payload| payload.0).unwrap_or_default();
    read(PointId(id), payload, dense(vector))
        .ok_or_else(|| Error::malformed(format!("point {id}"), "its payload is not ours"))
}

fn read(id: PointId, mut payload: Map<String, Value>, vector: Vec<f32>) -> Option<Point> {
    let mut text = |name| match payload.shift_remove(name)? {
        Value::String(text) => Some(text),
        _ => None,
    };
    let (kind, key_id, content) = (text(KIND)?, text(KEY_ID)?, text(CONTENT)?);
    let rank = payload.shift_remove(RANK)?.as_i64()?;
    let stamp = stamp(&mut payload)?;
    payload.shift_remove(ENTRY_ID);
    if let Some(Value::Object(set_apart)) = payload.shift_remove(SET_APART) {
        payload.extend(set_apart);
    }
    Some(Point {
        id,
        key: DocumentKey { kind, id: key_id },
        stamp,
        rank,
        content,
        metadata: payload,
        vector,
    })
}

fn stamp(payload: &mut Fields) -> Option<Stamp> {
    let mut words = [0; STAMP.len()];
    for (at, (word, name)) in words.iter_mut().zip(STAMP).enumerate() {
        match payload.shift_remove(name) {
            Some(value) => *word = u32::try_from(value.as_u64()?).ok()?,
            None if at < VERSION_WORDS => return None,
            None => {}
        }
    }
    Some(Stamp::from_words(words))
}

fn dense(vector: Option<VectorStructInternal>) -> Vec<f32> {
    match vector {
        Some(VectorStructInternal::Named(mut vectors)) => match vectors.remove(DENSE) {
            Some(VectorInternal::Dense(vector)) => vector,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The points of a document.
pub(super) fn of_document(key: &DocumentKey) -> qdrant_edge::Filter {
    filter(&json!([
        {"key": KEY_ID, "match": {"value": key.id}},
        {"key": KIND, "match": {"value": key.kind}},
    ]))
}

/// The points of these types and authors; an empty list means all.
pub(super) fn of_kinds_and_authors(
    kinds: &[String],
    author_ids: &[String],
) -> Option<qdrant_edge::Filter> {
    let conditions: Vec<Value> = [(KIND, kinds), (AUTHOR_ID, author_ids)]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| json!({"key": name, "match": {"any": values}}))
        .collect();
    (!conditions.is_empty()).then(|| filter(&Value::Array(conditions)))
}

fn filter(must: &Value) -> qdrant_edge::Filter {
    serde_json::from_value(json!({ "must": must }))
        .expect("a filter should parse: it is built from names and strings alone")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point_of(metadata: &Value, stamp: Stamp) -> Point {
        let key = DocumentKey::from_json("posts", &json!(5)).unwrap();
        Point {
            id: PointId::new(&key, "text", 0),
            key,
            stamp,
            rank: i64::MIN,
            content: "text".to_owned(),
            metadata: metadata.as_object().unwrap().clone(),
            vector: Vec::new(),
        }
    }

    #[test]
    fn metadata_named_like_a_field_of_ours_comes_back_unchanged() {
        let ours = json!({"id": 1, "type": "x", "content": {"a": [1]}, "version_order": null,
            "metadata": {"metadata": 2}, "rank": "first", "key_id": true, "platform": "blog"});
        let point = point_of(&ours, Stamp::default());
        let stored = payload(&point);
        assert_eq!(stored["id"], "5");
        assert_eq!(stored["type"], "posts");
        assert_eq!(stored["platform"], "blog");
        assert_eq!(read(point.id, stored, Vec::new()), Some(point));
    }

    #[test]
    fn a_payload_from_before_there_were_revisions_is_read() {
        let version = crate::change::Version::read(1, crate::change::Time::from_sequence(7));
        let point = point_of(&json!({"author_id": "a"}), version.into());
        let mut old = payload(&point);
        old.retain(|name, _| !["version_revision", "version_digest"].contains(&name.as_str()));
        assert_eq!(read(point.id, old.clone(), Vec::new()), Some(point.clone()));
        old.shift_remove("version_order");
        assert_eq!(read(point.id, old, Vec::new()), None);
    }

    #[test]
    fn a_foreign_payload_is_refused() {
        let mut payload = payload(&point_of(&json!({}), Stamp::default()));
        payload.insert("version_epoch".to_owned(), json!(u64::from(u32::MAX) + 1));
        let id = EngineId::Uuid(uuid::Uuid::nil());
        assert!(super::point(id, Some(qdrant_edge::Payload(payload)), None).is_err());
        assert!(super::point(id, None, None).is_err());
        assert!(super::point(EngineId::NumId(1), None, None).is_err());
    }

    proptest! {
        #[test]
        fn a_payload_keeps_every_stamp(words in any::<[u32; 6]>()) {
            let point = point_of(&json!({"author_id": "a"}), Stamp::from_words(words));
            prop_assert_eq!(read(point.id, payload(&point), Vec::new()), Some(point));
        }
    }
}
