//! What happens in the scripted database, as change stream documents.

use bson::{Bson, Document, doc};

/// The database of every event.
pub(crate) const DATABASE: &str = "twin";
/// The collection of every event.
pub(crate) const COLLECTION: &str = "articles";

/// Events of one cluster time, each in one document or in fragments.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(super) events: Vec<Vec<Document>>,
}

pub(crate) fn insert(id: i32) -> Commit {
    stored("insert", id, "first")
}

pub(crate) fn replace(id: i32) -> Commit {
    stored("replace", id, "replaced")
}

/// This document was stored: an `insert`, an `update` or a `replace`.
pub(crate) fn stored_as(operation: &str, document: Document) -> Commit {
    let id = document.get("_id").unwrap().clone();
    one(doc! {
        "operationType": operation, "ns": namespace(), "documentKey": {"_id": id},
        "fullDocument": document,
    })
}

/// An update whose document was found by the lookup.
pub(crate) fn update(id: i32) -> Commit {
    updated(id, document(id, "edited"))
}

/// An update whose document was gone when it was looked up.
pub(crate) fn update_of_what_is_gone(id: i32) -> Commit {
    updated(id, Bson::Null)
}

pub(crate) fn delete(id: impl Into<Bson>) -> Commit {
    let id = id.into();
    one(doc! {"operationType": "delete", "ns": namespace(), "documentKey": {"_id": id}})
}

/// The collection goes.
pub(crate) fn drop_collection() -> Commit {
    one(doc! {"operationType": "drop", "ns": namespace()})
}

/// The database goes, and with it the stream that watched it.
pub(crate) fn drop_database() -> Commit {
    let dropped = doc! {"operationType": "dropDatabase", "ns": {"db": DATABASE}};
    let invalidated = doc! {"operationType": "invalidate"};
    Commit {
        events: vec![vec![dropped], vec![invalidated]],
    }
}

/// These commits as one transaction.
pub(crate) fn transaction(commits: impl IntoIterator<Item = Commit>) -> Commit {
    let events = commits.into_iter().flat_map(|commit| commit.events);
    let member = |mut event: Vec<Document>| {
        event[0].extend(doc! {"lsid": {"id": "session"}, "txnNumber": 1_i64});
        event
    };
    Commit {
        events: events.map(member).collect(),
    }
}

/// The same events, each with one field a fragment after a first one that says what it is, as
/// `$changeStreamSplitLargeEvent` has it.
pub(crate) fn split(commit: Commit) -> Commit {
    let events = commit.events.into_iter();
    Commit {
        events: events.map(|event| fragments(&event[0])).collect(),
    }
}

fn fragments(event: &Document) -> Vec<Document> {
    let mut fragments = vec![Document::new()];
    for (name, value) in event {
        if ["fullDocument", "updateDescription"].contains(&name.as_str()) {
            fragments.push(Document::new());
        }
        let last = fragments.last_mut().unwrap();
        last.insert(name, value.clone());
    }
    let of = i32::try_from(fragments.len()).unwrap();
    for (fragment, number) in fragments.iter_mut().zip(1_i32..) {
        fragment.insert("splitEvent", doc! {"fragment": number, "of": of});
    }
    fragments
}

fn stored(operation: &str, id: i32, text: &str) -> Commit {
    stored_as(operation, document(id, text))
}

fn updated(id: i32, found: impl Into<Bson>) -> Commit {
    one(doc! {
        "operationType": "update", "ns": namespace(), "documentKey": {"_id": id},
        "updateDescription": {
            "updatedFields": {"text": "edited"}, "removedFields": [], "truncatedArrays": [],
        },
        "fullDocument": found,
    })
}

fn one(event: Document) -> Commit {
    Commit {
        events: vec![vec![event]],
    }
}

fn namespace() -> Document {
    doc! {"db": DATABASE, "coll": COLLECTION}
}

fn document(id: i32, text: &str) -> Document {
    doc! {"_id": id, "text": text}
}
