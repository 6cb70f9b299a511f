//! A point as the engine holds it: the names in its payload, and what they mean. Pure.
//!
//! A payload is flat, as retrieval clients know it: `id`, `type`, `content`, and the metadata under
//! its own names (`platform`, `link`, `author_id`, ...). Our own fields stand beside them; metadata
//! that is named like one of ours is set apart under `metadata`, so that it comes back unchanged.

use qdrant_edge::{
    NamedVectors, PointId as EngineId, PointStruct, Vector, VectorInternal, VectorStructInternal,
};
use serde_json::{Map, Value, json};

use crate::change::{DocumentKey, PointId};
use crate::document::Fields;
use crate::vector::{Only, Point, Stamp, lexical, only};
use crate::{Error, Result};

/// The vector of the text's meaning.
pub(super) const DENSE: &str = "dense";
/// The vector of its words.
pub(super) const SPARSE: &str = "sparse";
/// The type of the document.
pub(super) const KIND: &str = "type";
/// The `_id` as canonical extended JSON.
pub(super) const KEY_ID: &str = "key_id";
/// By what a search can be narrowed.
pub(super) const LABELS: &str = "labels";
/// The same for dates: seconds since 1970, UTC.
pub(super) const DATED: &str = "dated_seconds";

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
    [
        ENTRY_ID, KIND, KEY_ID, CONTENT, RANK, SET_APART, LABELS, DATED,
    ]
    .contains(&name)
        || STAMP.contains(&name)
}

/// The point as it is given to the engine: with what a search needs of it, which follows from the
/// payload, and so is in no log and is made anew whenever its rules change.
pub(super) fn stored(id: PointId, mut payload: Fields, vector: Vec<f32>) -> PointStruct {
    let words = match payload.get(CONTENT) {
        Some(Value::String(content)) => lexical::of_text(content),
        _ => lexical::Words::default(),
    };
    let labels: Vec<Value> = only::labels(&payload)
        .into_iter()
        .map(Value::from)
        .collect();
    payload.insert(LABELS.to_owned(), labels.into());
    if let Some(date) = only::dated(&payload) {
        payload.insert(DATED.to_owned(), date.into());
    }
    let mut vectors = NamedVectors::default().add_vector(DENSE, vector);
    if let Some(words) = sparse(words) {
        vectors = vectors.add_vector(SPARSE, Vector(words));
    }
    PointStruct::new(EngineId::Uuid(id.0), vectors, Value::Object(payload))
}

/// Words as the engine has them; none where there are none.
pub(super) fn sparse(words: lexical::Words) -> Option<VectorInternal> {
    if words.is_empty() {
        return None;
    }
    let vector = Vector::new_sparse(words.ids, words.weights);
    Some(
        vector
            .expect("words should be a vector: their ids are distinct")
            .0,
    )
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
    for name in [ENTRY_ID, LABELS, DATED] {
        payload.shift_remove(name);
    }
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

/// The vector of the meaning among those that the engine gave back.
pub(super) fn dense(vector: Option<VectorStructInternal>) -> Vec<f32> {
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

/// The points that a question is about; none for all.
pub(super) fn narrowed(only: &Only) -> Option<qdrant_edge::Filter> {
    let any = |name: &str, values: &[String]| json!({"key": name, "match": {"any": values}});
    let mut conditions = Vec::new();
    if !only.kinds.is_empty() {
        conditions.push(any(KIND, &only.kinds));
    }
    conditions.extend(only.labels.iter().map(|labels| any(LABELS, labels)));
    if only.since.is_some() || only.until.is_some() {
        let range = json!({"gte": only.since, "lte": only.until});
        conditions.push(json!({"key": DATED, "range": range}));
    }
    (!conditions.is_empty()).then(|| filter(&Value::Array(conditions)))
}

fn filter(must: &Value) -> qdrant_edge::Filter {
    serde_json::from_value(json!({ "must": must }))
        .expect("a filter should parse: it is built from names, texts and numbers alone")
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
            "labels": "theirs", "dated_seconds": 0,
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

    /// Whatever wrote the payload: a log of an older program has no labels in it.
    #[test]
    fn what_is_given_to_the_engine_has_its_words_labels_and_date_and_comes_back_without() {
        let metadata = json!({"author_id": "a", "published_at": "1970-01-02"});
        let point = point_of(&metadata, Stamp::default());
        let stored = stored(point.id, payload(&point), vec![1.0]).0;
        let payload = stored.payload.unwrap().0;
        assert_eq!(payload[LABELS], json!(["any", "author:a"]));
        assert_eq!(payload[DATED], 86_400);
        assert_eq!(read(point.id, payload, Vec::new()), Some(point));
    }

    proptest! {
        #[test]
        fn a_payload_keeps_every_stamp(words in any::<[u32; 6]>()) {
            let point = point_of(&json!({"author_id": "a"}), Stamp::from_words(words));
            prop_assert_eq!(read(point.id, payload(&point), Vec::new()), Some(point));
        }
    }
}
