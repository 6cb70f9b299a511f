//! A point and a manifest as a server holds them: the names in their payloads, and what they mean. Pure.
//!
//! | names | what |
//! |---|---|
//! | `id`, `type`, `key_id` | the document: its `_id` for people, its type, its `_id` exactly |
//! | `content` | the text of the chunk, or the document's cleaned text |
//! | `platform`, `link`, `author_id`, ... | metadata that clients of the seed know, under their names |
//! | `metadata` | all metadata as one object |
//! | `metadata_json` | the same as text, where a server would not keep it exactly |
//! | `version_*` | the stamp, in components; see `guard` |
//! | `rank` | a point's place in its document |
//! | `deleted`, `committed_ms`, `fingerprint`, `point_ids`, `point_ranks` | the rest of a manifest |
//! | `order_*` | a manifest's place among the others; see `order` |
//!
//! Metadata is replaced by one assignment: whatever was there under these names is gone.

use std::collections::HashMap;

use qdrant_client::qdrant::Value;
use qdrant_client::qdrant::value::Kind;
use serde_json::Value as Json;
use uuid::Uuid;

use super::guard::{KEY_ID, KIND, STAMP, VERSION, components};
use super::order;
use super::value::{self, is_kept};
use crate::change::{DocumentKey, PointId, Time, Version};
use crate::document::Fields;
use crate::vector::{Entry, Manifest, Point, Stamp, only};
use crate::{Error, Result};

/// A payload on its way.
pub(super) type Payload = HashMap<String, Value>;

/// The vector of the text's meaning.
pub(super) const DENSE: &str = "dense";
/// The vector of its words.
pub(super) const SPARSE: &str = "sparse";
/// By what a search is narrowed.
pub(super) const LABELS: &str = "labels";
/// The same for dates: seconds since 1970, UTC.
pub(super) const DATED: &str = "dated_seconds";
/// Metadata that clients filter by.
pub(super) const AUTHOR_ID: &str = "author_id";
/// True for a tombstone.
pub(super) const DELETED: &str = "deleted";
/// Metadata that clients filter by date.
pub(super) const DATES: [&str; 2] = ["published_at", "modified_at"];

const ENTRY_ID: &str = "id";
const CONTENT: &str = "content";
const RANK: &str = "rank";
const METADATA: &str = "metadata";
const METADATA_JSON: &str = "metadata_json";
const COMMITTED: &str = "committed_ms";
const FINGERPRINT: &str = "fingerprint";
const POINT_IDS: &str = "point_ids";
const POINT_RANKS: &str = "point_ranks";

/// Metadata with a name of its own in the payload, where it is a text. A fixed list, so that an
/// assignment can say which of them are no longer there.
const KNOWN: [&str; 11] = [
    "platform",
    "link",
    AUTHOR_ID,
    "owner_id",
    "author_full_name",
    "owner_full_name",
    "name",
    "title",
    "language",
    DATES[0],
    DATES[1],
];

/// The namespace of manifests' point ids; pinned, since a change would lose every manifest.
const MANIFEST_NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_636b_7374_6570_9f1d_3c52_70a1_0003);

/// The id of the point that holds the document's manifest.
pub(super) fn manifest_id(key: &DocumentKey) -> PointId {
    let name = [key.kind.as_bytes(), &[0], key.id.as_bytes()].concat();
    PointId(Uuid::new_v5(&MANIFEST_NAMESPACE, &name))
}

/// The payload of a new point.
pub(super) fn of_point(point: &Point) -> Payload {
    let mut payload = of_document(&point.key, &point.content);
    payload.extend(raised(point.stamp, point.rank, &point.metadata));
    payload.retain(|_, value| !matches!(value.kind, Some(Kind::NullValue(_))));
    payload
}

/// What raising assigns; a null removes what was there.
pub(super) fn raised(stamp: Stamp, rank: i64, metadata: &Fields) -> Payload {
    let mut payload = of_metadata(metadata, false);
    payload.extend(found_by(metadata));
    payload.extend(of_stamp(stamp));
    payload.insert(RANK.to_owned(), rank.into());
    payload
}

/// By what a search finds points of this metadata; a null removes what was there.
pub(super) fn found_by(metadata: &Fields) -> Payload {
    let labels = only::labels(metadata).into_iter().map(Json::from);
    let date = only::dated(metadata).map_or(Json::Null, Json::from);
    let fields = [(LABELS, labels.collect()), (DATED, date)];
    let fields = fields.map(|(name, json)| (name.to_owned(), value::value(&json)));
    fields.into()
}

/// The payload of a manifest.
pub(super) fn of_manifest(manifest: &Manifest) -> Payload {
    let mut payload = of_document(&manifest.key, &manifest.text);
    // Its fields keep their order, which an object does not.
    payload.extend(of_metadata(&manifest.metadata, true));
    payload.retain(|_, value| !matches!(value.kind, Some(Kind::NullValue(_))));
    payload.extend(of_stamp(manifest.stamp));
    let ids = manifest.points.iter().map(|entry| entry.id.0.to_string());
    let ranks = manifest.points.iter().map(|entry| entry.rank);
    let mut set = |name: &str, value: Value| payload.insert(name.to_owned(), value);
    set(DELETED, manifest.deleted.into());
    set(COMMITTED, milliseconds(manifest.committed_ms).into());
    set(FINGERPRINT, manifest.fingerprint.clone().into());
    set(POINT_IDS, value::value(&ids.collect()));
    set(POINT_RANKS, value::value(&ranks.collect()));
    for (name, word) in order::FIELDS.iter().zip(order::words(&manifest.key.id)) {
        set(name, word.into());
    }
    payload
}

/// Integers of the protocol are signed; no clock reaches their end.
pub(super) fn milliseconds(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn of_document(key: &DocumentKey, content: &str) -> Payload {
    [
        (ENTRY_ID, key.entry_id()),
        (KIND, key.kind.clone()),
        (KEY_ID, key.id.clone()),
        (CONTENT, content.to_owned()),
    ]
    .map(|(name, text)| (name.to_owned(), text.into()))
    .into()
}

/// The components of a stamp as fields.
fn of_stamp(stamp: Stamp) -> impl Iterator<Item = (String, Value)> {
    STAMP
        .iter()
        .zip(stamp.words())
        .map(|(name, component)| ((*name).to_owned(), i64::from(component).into()))
}

/// The components of a version as fields.
pub(super) fn of_version(version: Version) -> impl Iterator<Item = (String, Value)> {
    VERSION
        .iter()
        .zip(components(version))
        .map(|(name, component)| ((*name).to_owned(), i64::from(component).into()))
}

fn of_metadata(metadata: &Fields, in_order: bool) -> Payload {
    let null = || value::value(&Json::Null);
    let known = KNOWN.iter().map(|name| {
        let text = metadata.get(*name).filter(|json| json.is_string());
        ((*name).to_owned(), text.map_or_else(null, value::value))
    });
    let mut payload: Payload = known.collect();
    let whole = Json::Object(metadata.clone());
    let exact = is_kept(&whole) && !(in_order && metadata.len() > 1);
    let text = if exact {
        null()
    } else {
        whole.to_string().into()
    };
    payload.insert(METADATA.to_owned(), value::value(&whole));
    payload.insert(METADATA_JSON.to_owned(), text);
    payload
}

/// The point that a server gave back.
///
/// # Errors
/// [`Error::Malformed`] for a payload that [`of_point`] did not make.
pub(super) fn point(id: PointId, payload: Payload, vector: Vec<f32>) -> Result<Point> {
    read_point(id, Reader(payload), vector)
        .ok_or_else(|| Error::malformed(format!("point {id}"), "its payload is not ours"))
}

fn read_point(id: PointId, mut payload: Reader, vector: Vec<f32>) -> Option<Point> {
    Some(Point {
        id,
        key: payload.key()?,
        stamp: payload.stamp()?,
        rank: payload.integer(RANK)?,
        content: payload.text(CONTENT)?,
        metadata: payload.metadata()?,
        vector,
    })
}

/// The manifest that a server gave back.
///
/// # Errors
/// [`Error::Malformed`] for a payload that [`of_manifest`] did not make.
pub(super) fn manifest(id: PointId, payload: Payload) -> Result<Manifest> {
    read_manifest(Reader(payload))
        .ok_or_else(|| Error::malformed(format!("manifest {id}"), "its payload is not ours"))
}

fn read_manifest(mut payload: Reader) -> Option<Manifest> {
    let ids = payload.list(POINT_IDS)?.into_iter().map(|id| match id {
        Json::String(text) => Uuid::parse_str(&text).ok().map(PointId),
        _ => None,
    });
    let ranks = payload.list(POINT_RANKS)?;
    let points = ids.zip(ranks).map(|(id, rank)| {
        Some(Entry {
            id: id?,
            rank: rank.as_i64()?,
        })
    });
    Some(Manifest {
        points: points.collect::<Option<_>>()?,
        key: payload.key()?,
        stamp: payload.stamp()?,
        deleted: payload.json(DELETED)?.as_bool()?,
        committed_ms: payload.integer(COMMITTED)?.try_into().ok()?,
        fingerprint: payload.text(FINGERPRINT)?,
        metadata: payload.metadata()?,
        text: payload.text(CONTENT)?,
    })
}

/// Takes fields out of a payload; none where one is missing or of another sort.
pub(super) struct Reader(pub(super) Payload);

impl Reader {
    fn json(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name).map(value::json)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name)?.kind {
            Some(Kind::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        self.json(name)?.as_i64()
    }

    pub(super) fn component(&mut self, name: &str) -> Option<u32> {
        self.integer(name)?.try_into().ok()
    }

    fn list(&mut self, name: &str) -> Option<Vec<Json>> {
        match self.json(name)? {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The document.
    pub(super) fn key(&mut self) -> Option<DocumentKey> {
        Some(DocumentKey {
            kind: self.text(KIND)?,
            id: self.text(KEY_ID)?,
        })
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let mut words = [0; STAMP.len()];
        for (word, name) in words.iter_mut().zip(STAMP) {
            *word = self.component(name)?;
        }
        Some(Stamp::from_words(words))
    }

    /// The version.
    pub(super) fn version(&mut self) -> Option<Version> {
        let mut components = [0; VERSION.len()];
        for (component, name) in components.iter_mut().zip(VERSION) {
            *component = self.component(name)?;
        }
        let [epoch, seconds, increment, order] = components;
        let time = Time { seconds, increment };
        Some(Version { epoch, time, order })
    }

    fn metadata(&mut self) -> Option<Fields> {
        let exact = self.text(METADATA_JSON);
        let metadata = match exact {
            Some(text) => serde_json::from_str(&text).ok()?,
            None => self.json(METADATA)?,
        };
        match metadata {
            Json::Object(fields) => Some(fields),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(json: &Json) -> Fields {
        json.as_object().unwrap().clone()
    }

    fn sample(metadata: &Json) -> Point {
        let key = DocumentKey::from_json("posts", &json!(5)).unwrap();
        Point {
            id: PointId::new(&key, "text", 0),
            key,
            stamp: Version::NONE.into(),
            rank: i64::MIN,
            content: "text".to_owned(),
            metadata: fields(metadata),
            vector: vec![0.5],
        }
    }

    #[test]
    fn clients_of_the_seed_find_the_names_that_they_know() {
        let metadata = json!({"platform": "blog", "link": "https://example.org", "author_id": "a",
            "type": "theirs", "stars": 5});
        let payload = of_point(&sample(&metadata));
        let text = |name: &str| value::json(payload[name].clone());
        assert_eq!(text("id"), "5");
        assert_eq!(text("type"), "posts");
        assert_eq!(text("content"), "text");
        assert_eq!(text("platform"), "blog");
        assert_eq!(text("author_id"), "a");
        assert_eq!(text("metadata")["stars"], 5);
        assert!(!payload.contains_key("stars") && !payload.contains_key("owner_id"));
    }

    #[test]
    fn a_point_comes_back_whatever_its_metadata_is_named() {
        for metadata in [
            json!({"id": 1, "type": "x", "metadata": {"metadata": 2}, "metadata_json": "{}"}),
            json!({"float": 0.1, "big": u64::MAX, "author_id": 7, "link": null}),
            json!({}),
        ] {
            let point = sample(&metadata);
            let payload = of_point(&point);
            let read = super::point(point.id, payload, point.vector.clone()).unwrap();
            assert_eq!(read, point);
        }
    }

    #[test]
    fn raising_removes_what_is_no_longer_there() {
        let raised = raised(Version::NONE.into(), 1, &fields(&json!({"link": "x"})));
        assert_eq!(value::json(raised["author_id"].clone()), Json::Null);
        assert_eq!(value::json(raised["metadata_json"].clone()), Json::Null);
        assert_eq!(value::json(raised["link"].clone()), "x");
        assert!(!raised.contains_key("content"));
    }

    #[test]
    fn a_foreign_payload_is_refused() {
        let mut payload = of_point(&sample(&json!({})));
        payload.insert("version_epoch".to_owned(), (1_i64 << 32).into());
        let id = PointId(Uuid::nil());
        assert!(point(id, payload, Vec::new()).is_err());
        assert!(point(id, Payload::new(), Vec::new()).is_err());
        assert!(manifest(id, of_point(&sample(&json!({})))).is_err());
    }
}
