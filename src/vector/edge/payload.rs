//! A point as the engine holds it: the names in its payload, and what they mean. Pure.
//!
//! A payload is flat, as retrieval clients know it: `id`, `type`, `content`, and the metadata under
//! its own names (`platform`, `link`, `author_id`, ...). Our own fields stand beside them; metadata
//! that is named like one of ours is set apart under `metadata`, so that it comes back unchanged.

use qdrant_edge::{
    PointId as EngineId, PointStruct, VectorInternal, VectorStructInternal, Vectors,
};
use serde_json::{Map, Value, json};

use crate::change::{DocumentKey, PointId, Time, Version};
use crate::document::Fields;
use crate::vector::Point;
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
/// Four integers, most significant first: the engine compares numbers as 64-bit floats, into which
/// one packed version would not fit.
const VERSION: [&str; 4] = [
    "version_epoch",
    "version_seconds",
    "version_increment",
    "version_order",
];
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
    let Version { epoch, time, order } = point.version;
    let words = [epoch, time.seconds, time.increment, order];
    payload.extend(
        VERSION
            .iter()
            .zip(words)
            .map(|(name, word)| ((*name).to_owned(), word.into())),
    );
    if !set_apart.is_empty() {
        payload.insert(SET_APART.to_owned(), Value::Object(set_apart));
    }
    payload
}

fn is_ours(name: &str) -> bool {
    [ENTRY_ID, KIND, KEY_ID, CONTENT, RANK, SET_APART].contains(&name) || VERSION.contains(&name)
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
    let version = version(&mut payload)?;
    payload.shift_remove(ENTRY_ID);
    if let Some(Value::Object(set_apart)) = payload.shift_remove(SET_APART) {
        payload.extend(set_apart);
    }
    Some(Point {
        id,
        key: DocumentKey { kind, id: key_id },
        version,
        rank,
        content,
        metadata: payload,
        vector,
    })
}

fn version(payload: &mut Fields) -> Option<Version> {
    let mut words = [0; 4];
    for (word, name) in words.iter_mut().zip(VERSION) {
        *word = u32::try_from(payload.shift_remove(name)?.as_u64()?).ok()?;
    }
    let [epoch, seconds, increment, order] = words;
    let time = Time { seconds, increment };
    Some(Version { epoch, time, order })
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

    fn point_of(metadata: &Value, version: Version) -> Point {
        let key = DocumentKey::from_json("posts", &json!(5)).unwrap();
        Point {
            id: PointId::new(&key, "text", 0),
            key,
            version,
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
        let point = point_of(&ours, Version::NONE);
        let stored = payload(&point);
        assert_eq!(stored["id"], "5");
        assert_eq!(stored["type"], "posts");
        assert_eq!(stored["platform"], "blog");
        assert_eq!(read(point.id, stored, Vec::new()), Some(point));
    }

    #[test]
    fn a_foreign_payload_is_refused() {
        let mut payload = payload(&point_of(&json!({}), Version::NONE));
        payload.insert("version_epoch".to_owned(), json!(u64::from(u32::MAX) + 1));
        let id = EngineId::Uuid(uuid::Uuid::nil());
        assert!(super::point(id, Some(qdrant_edge::Payload(payload)), None).is_err());
        assert!(super::point(id, None, None).is_err());
        assert!(super::point(EngineId::NumId(1), None, None).is_err());
    }

    proptest! {
        #[test]
        fn a_payload_keeps_every_version(words in any::<[u32; 4]>()) {
            let mut bytes = [0; 16];
            for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
                slot.copy_from_slice(&word.to_be_bytes());
            }
            let point = point_of(&json!({"author_id": "a"}), Version::from_bytes(bytes));
            prop_assert_eq!(read(point.id, payload(&point), Vec::new()), Some(point));
        }
    }
}
