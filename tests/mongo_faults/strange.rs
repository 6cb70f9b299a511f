//! Documents that no driver would write and every server keeps: each arrives, and so do its neighbours.

use bson::{Bson, Document, doc};
use lockstep::change::DocumentKey;
use lockstep::document::Fields;
use lockstep::source::mongo::MongoSource;
use lockstep::source::{Body, Event, Source as _};
use serde_json::json;

use super::{Reader, open, said};
use crate::support::wire::{
    COLLECTION, Scripted, Setup, Spelling, delete, events, insert, split, stored_as,
};

/// Latin-1, from a program that took it for text.
const LATIN: Spelling = Spelling(&[("caf~", b"caf\xe9"), ("str~m", b"str\xf8m")]);

async fn latin(stored: Vec<Document>) -> (Scripted, MongoSource) {
    let setup = Setup {
        stored,
        spelling: LATIN,
        ..Setup::default()
    };
    open(setup).await
}

/// Names and texts in it are no UTF-8.
fn strange(id: impl Into<Bson>) -> Document {
    let id: Bson = id.into();
    let inner = doc! { "str~m": ["caf~", { "caf~": 1 }] };
    doc! { "_id": id, "text": "caf~", "str~m": inner, "plain": "kept" }
}

/// As it is carried.
fn carried() -> Fields {
    let fields = json!({
        "text": "caf\u{fffd}",
        "str\u{fffd}m": {"str\u{fffd}m": ["caf\u{fffd}", {"caf\u{fffd}": 1}]},
        "plain": "kept",
    });
    fields.as_object().unwrap().clone()
}

fn edited(event: &Event) -> (DocumentKey, Option<Fields>) {
    match &event.body {
        Body::Edit { key, fields, .. } => (key.clone(), fields.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_with_text_that_is_no_utf8_is_told_like_its_neighbours() {
    let (server, source) = latin(Vec::new()).await;
    let mut reader = Reader::new(source).await;
    let all = ["insert", "update", "replace"].map(|operation| stored_as(operation, strange(2)));
    let in_parts = split(stored_as("update", strange(2)));
    let all = [insert(1)].into_iter().chain(all);
    server.play([events(all.chain([in_parts, insert(3)]))]);
    let heard = reader.events(6).await;
    let words: Vec<_> = heard.iter().map(said).collect();
    let expected = [
        "insert 1 first",
        "insert 2 caf\u{fffd}",
        "update 2 caf\u{fffd}",
        "replace 2 caf\u{fffd}",
        "update 2 caf\u{fffd}",
        "insert 3 first",
    ];
    assert_eq!(words, expected);
    for event in &heard[1..5] {
        assert_eq!(edited(event).1, Some(carried()));
    }
}

#[tokio::test]
async fn an_id_that_is_no_utf8_is_one_key_in_every_event() {
    let (server, source) = latin(Vec::new()).await;
    let mut reader = Reader::new(source).await;
    let edits = [
        stored_as("insert", strange("caf~")),
        stored_as("insert", strange("caf\u{fffd}")),
        stored_as("update", strange("caf~")),
        delete("caf~"),
        insert(3),
    ];
    server.play([events(edits)]);
    let heard = reader.events(5).await;
    assert_eq!(said(&heard[4]), "insert 3 first");
    let heard: Vec<_> = heard.iter().map(edited).collect();
    let keys = heard.iter().map(|(key, _)| key);
    let [inserted, other, updated, deleted, _] = keys.collect::<Vec<_>>()[..] else {
        panic!("{heard:?}");
    };
    assert_eq!([updated, deleted], [inserted; 2]);
    assert_ne!(other, inserted);
    assert_eq!(heard[2].1, Some(carried()));
    assert_eq!(heard[3].1, None);
}

/// Row by row, so that a page begins behind the strange one.
#[tokio::test]
async fn pages_go_past_documents_that_are_no_utf8() {
    let plain = |id: &str| doc! { "_id": id, "text": "plain" };
    // In the order of the index: by bytes.
    let stored = vec![
        plain("a"),
        strange("b"),
        plain("c"),
        strange("caf~"),
        plain("d"),
    ];
    let (server, source) = latin(stored).await;
    for size in [1, 2, 10] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = source.page(COLLECTION, after, size).await.unwrap();
            let Some(last) = page.found.last() else {
                break;
            };
            after = Some(last.key.id.clone());
            found.extend(page.found);
            assert!(found.len() <= 5, "{found:?}");
        }
        let ids: Vec<_> = found.iter().map(|row| row.key.entry_id()).collect();
        assert_eq!([&ids[..3], &ids[4..]].concat(), ["a", "b", "c", "d"]);
        assert_eq!([&found[1].fields, &found[3].fields], [&carried(); 2]);
        assert_eq!(found[4].fields["text"], "plain");
    }
    let asked = server.asked("find");
    let mut bounds = asked
        .iter()
        .filter_map(|it| it.body.get_document("min").ok());
    assert!(bounds.any(|it| *it == doc! { "_id": "caf~" }));
}

#[tokio::test]
async fn documents_that_are_no_utf8_are_read_again_by_their_keys() {
    let plain = doc! { "_id": "a", "text": "plain" };
    let (server, source) = latin(vec![plain, strange("b"), strange("caf~")]).await;
    let page = source.page(COLLECTION, None, 10).await.unwrap();
    let mut keys: Vec<_> = page.found.iter().map(|row| row.key.clone()).collect();
    // What it looks like is another document's key.
    keys.push(DocumentKey::text(COLLECTION, "caf\u{fffd}"));
    let reading = source.read(keys).await.unwrap();
    let rows = page.found.into_iter().map(|row| Some(row.fields));
    let expected: Vec<_> = rows.chain([None]).collect();
    assert_eq!(reading.found, expected);
    assert_eq!(reading.found[2], Some(carried()));
    // No read is from before its time.
    let asked = server.asked("find");
    let last = asked.last().unwrap().body.get_document("readConcern");
    assert!(last.unwrap().get_timestamp("afterClusterTime").is_ok());
}
