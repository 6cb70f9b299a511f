//! One event of a change stream, taken apart. Pure.

use bson::{RawBsonRef, RawDocument, Timestamp};

use super::{id, json, place};
use crate::change::{DocumentKey, Operation, Time};
use crate::document::Fields;
use crate::{Error, Result};

/// What a change stream says in one event.
#[derive(Debug)]
pub(super) struct Told<'a> {
    /// The server's name for the place after it.
    pub(super) token: &'a RawDocument,
    /// Its cluster time.
    pub(super) time: Time,
    /// Wall clock of the commit: milliseconds since 1970, UTC.
    pub(super) committed_ms: u64,
    /// What happened.
    pub(super) deed: Deed,
}

/// What happened, as the server tells it.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    /// A document was stored or deleted.
    Edited {
        key: DocumentKey,
        operation: Operation,
        fields: Option<Fields>,
    },
    /// A collection is gone.
    Dropped { kind: String },
    /// A collection has another name, and with it perhaps replaced another one.
    Renamed { from: String, to: String },
    /// The whole database is gone.
    DatabaseDropped,
    /// The stream ends here; another one can be opened after it.
    Invalidated,
    /// Nothing of ours.
    Other,
}

/// The parts of an event, as they stand in it.
#[derive(Default)]
struct Parts<'a> {
    token: Option<&'a RawDocument>,
    operation: &'a str,
    kind: Option<&'a str>,
    to: Option<&'a str>,
    key: Option<&'a RawDocument>,
    full: Option<&'a RawDocument>,
    time: Option<Timestamp>,
    wall_ms: Option<i64>,
}

impl<'a> Parts<'a> {
    fn of(event: &'a RawDocument) -> std::result::Result<Self, bson::error::Error> {
        let mut parts = Self::default();
        for element in event.iter_elements() {
            let element = element?;
            let inner = |name| -> std::result::Result<_, bson::error::Error> {
                match element.value()? {
                    RawBsonRef::Document(inner) => inner.get(name),
                    _ => Ok(None),
                }
            };
            match element.key().as_str() {
                "_id" => parts.token = element.value()?.as_document(),
                "operationType" => parts.operation = element.value()?.as_str().unwrap_or(""),
                "ns" => parts.kind = inner("coll")?.and_then(RawBsonRef::as_str),
                "to" => parts.to = inner("coll")?.and_then(RawBsonRef::as_str),
                "documentKey" => parts.key = element.value()?.as_document(),
                "fullDocument" => parts.full = element.value()?.as_document(),
                "clusterTime" => parts.time = element.value()?.as_timestamp(),
                "wallTime" => {
                    let wall = element.value()?.as_datetime();
                    parts.wall_ms = wall.map(bson::DateTime::timestamp_millis);
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    fn deed(&self) -> Result<Deed> {
        let operation = match self.operation {
            "insert" => Operation::Insert,
            "update" => Operation::Update,
            "replace" => Operation::Replace,
            "delete" => Operation::Delete,
            "drop" => {
                let kind = want(self.kind, "ns.coll")?.to_owned();
                return Ok(Deed::Dropped { kind });
            }
            "rename" => {
                return Ok(Deed::Renamed {
                    from: want(self.kind, "ns.coll")?.to_owned(),
                    to: want(self.to, "to.coll")?.to_owned(),
                });
            }
            "dropDatabase" => return Ok(Deed::DatabaseDropped),
            "invalidate" => return Ok(Deed::Invalidated),
            _ => return Ok(Deed::Other),
        };
        let key = id::key(want(self.kind, "ns.coll")?, want(self.key, "documentKey")?)?;
        let full = self.full.filter(|_| operation != Operation::Delete);
        let fields = full.map(|full| json::fields(&key, full)).transpose()?;
        Ok(Deed::Edited {
            key,
            operation,
            fields,
        })
    }
}

/// Takes an event apart.
///
/// # Errors
/// [`Error::Malformed`] where a part is missing that every server sends.
pub(super) fn told(event: &RawDocument) -> Result<Told<'_>> {
    let parts = Parts::of(event);
    let parts = parts.map_err(|error| malformed(error.to_string()))?;
    let time = place::time(want(parts.time, "clusterTime")?);
    let seconds_ms = u64::from(time.seconds) * 1000;
    let wall_ms = parts.wall_ms.and_then(|wall| u64::try_from(wall).ok());
    Ok(Told {
        token: want(parts.token, "_id")?,
        time,
        committed_ms: wall_ms.unwrap_or(seconds_ms),
        deed: parts.deed()?,
    })
}

fn want<T>(part: Option<T>, name: &str) -> Result<T> {
    part.ok_or_else(|| malformed(format!("no {name}")))
}

fn malformed(why: String) -> Error {
    Error::malformed("an event of the change stream", why)
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, rawdoc};
    use serde_json::json;

    use super::*;

    fn event(operation: &str, more: &RawDocumentBuf) -> RawDocumentBuf {
        let mut event = rawdoc! {
            "_id": { "_data": "82" },
            "operationType": operation,
            "clusterTime": Timestamp { time: 7, increment: 2 },
            "ns": { "db": "twin", "coll": "posts" },
        };
        for field in more {
            let (name, value) = field.unwrap();
            event.append(name, value);
        }
        event
    }

    fn deed(operation: &str, more: &RawDocumentBuf) -> Deed {
        told(&event(operation, more)).unwrap().deed
    }

    #[test]
    fn an_edit_has_its_key_and_fields_without_the_id() {
        let more = rawdoc! {
            "documentKey": { "shard": 1, "_id": 5 }, "fullDocument": { "_id": 5, "a": 1 },
        };
        let expected = Deed::Edited {
            key: DocumentKey::from_json("posts", &json!(5)).unwrap(),
            operation: Operation::Replace,
            fields: json!({"a": 1}).as_object().cloned(),
        };
        assert_eq!(deed("replace", &more), expected);
    }

    #[test]
    fn an_update_whose_document_is_gone_has_no_fields() {
        let more = rawdoc! { "documentKey": { "_id": "a" }, "fullDocument": bson::RawBson::Null };
        let Deed::Edited { fields: None, .. } = deed("update", &more) else {
            panic!("fields out of nothing");
        };
    }

    #[test]
    fn whole_collections_are_told_by_name() {
        let kind = "posts".to_owned();
        assert_eq!(deed("drop", &rawdoc! {}), Deed::Dropped { kind });
        let renamed = deed("rename", &rawdoc! { "to": { "db": "twin", "coll": "old" } });
        let (from, to) = ("posts".to_owned(), "old".to_owned());
        assert_eq!(renamed, Deed::Renamed { from, to });
        assert_eq!(deed("dropDatabase", &rawdoc! {}), Deed::DatabaseDropped);
        assert_eq!(deed("invalidate", &rawdoc! {}), Deed::Invalidated);
        assert_eq!(deed("createIndexes", &rawdoc! {}), Deed::Other);
    }

    #[test]
    fn the_commit_is_dated_by_the_wall_clock_where_the_server_tells_it() {
        let wall = rawdoc! { "wallTime": bson::DateTime::from_millis(9_123) };
        assert_eq!(told(&event("drop", &wall)).unwrap().committed_ms, 9_123);
        assert_eq!(
            told(&event("drop", &rawdoc! {})).unwrap().committed_ms,
            7_000
        );
    }

    #[test]
    fn an_event_without_its_key_is_malformed() {
        assert!(told(&event("insert", &rawdoc! {})).is_err());
        assert!(told(&rawdoc! { "operationType": "insert" }).is_err());
    }
}
