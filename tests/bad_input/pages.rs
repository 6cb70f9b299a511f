//! What is crawled: huge, empty, oddly encoded, looping, alike.

use std::fs::{self, File};
use std::path::Path;

use lockstep::change::DocumentKey;
use lockstep::document::{Document, kind};
use lockstep::source::Source as _;
use serde_json::{Value, json};

use super::{Stored, assert_fails, done, finds};
use crate::support::binary::run;
use crate::support::export::{Rooms, hash_model};

const MIB: u64 = 1 << 20;

/// A file of this size that takes no room.
fn sparse(path: &Path, bytes: u64) {
    let file = File::options().append(true).create(true).open(path);
    file.unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_page_beyond_the_limit_is_left_out_unread_and_keeps_what_was_stored() {
    let stored = Stored::new();
    let file = stored.folder.path().join("Engine.html");
    // The larger one fits no memory: it is refused by its size.
    for bytes in [200 * MIB, 1 << 40] {
        sparse(&file, bytes);
        let ended = run(
            stored.data(),
            &["crawl", file.to_str().unwrap(), "--author", "Ada Lovelace"],
        );
        assert_fails(
            &ended,
            1,
            &["Engine.html", "more than the limit of 16777216"],
        );
        assert!(stored.crawl().contains("more than the limit of 16777216"));
        stored.assert_still_there();
    }
}

#[test]
fn an_empty_page_is_left_out_and_keeps_what_was_stored() {
    let stored = Stored::new();
    fs::write(stored.folder.path().join("Engine.html"), "").unwrap();
    fs::write(stored.folder.path().join("New.html"), "").unwrap();
    let said = stored.crawl();
    assert!(said.contains("New.html: it has no main text"), "{said}");
    stored.assert_still_there();
}

#[test]
fn a_page_in_windows_1251_is_found_by_its_text() {
    let stored = Stored::new();
    let text = "Аналитическая машина ткёт алгебраические узоры, как станок ткёт цветы и листья.";
    for (name, declared) in [("Declared", "<meta charset='windows-1251'>"), ("Bare", "")] {
        let html = format!(
            "<!doctype html><html><head>{declared}<title>{name}</title></head><body><article>\
             <h1>{name}</h1><p>{text}</p></article></body></html>"
        );
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(&html);
        assert!(std::str::from_utf8(&bytes).is_err());
        fs::write(stored.folder.path().join("Russian.html"), bytes).unwrap();
        stored.crawl();
        assert!(finds(stored.data(), "машина ткёт узоры", text), "{name}");
    }
    stored.assert_still_there();
}

#[test]
fn links_that_lead_back_end_the_walk() {
    let stored = Stored::new();
    let below = stored.folder.path().join("below");
    fs::create_dir(&below).unwrap();
    std::os::unix::fs::symlink(stored.folder.path(), below.join("up")).unwrap();
    std::os::unix::fs::symlink(&below, below.join("self")).unwrap();
    let said = stored.crawl();
    assert!(said.contains("0 saved, 2 unchanged, 0 deleted"), "{said}");
    assert!(said.contains("symbolic link"), "{said}");
    stored.assert_still_there();
}

#[test]
fn a_huge_file_of_a_repository_is_left_out() {
    let stored = Stored::new();
    let repository = tempfile::tempdir().unwrap();
    let code = "fn weigh_anchor() {\n    // The tide carries the ship over the bar.\n}\n";
    fs::write(repository.path().join("main.rs"), code).unwrap();
    sparse(&repository.path().join("huge.rs"), 1 << 30);
    let folder = repository.path().to_str().unwrap();
    let crawl = [
        "crawl",
        folder,
        "--as",
        "repository",
        "--author",
        "Ada Lovelace",
    ];
    let said = done(run(stored.data(), &crawl));
    assert!(
        said.contains("huge.rs: 1073741824 bytes, more than"),
        "{said}"
    );
    let question = "weigh anchor, the tide carries the ship";
    assert!(finds(stored.data(), question, "weigh_anchor"));
    stored.assert_still_there();
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_look_alike_are_two_documents() {
    let stored = Stored::new();
    let post = |id: Value, text: &str| Document {
        key: DocumentKey::from_json(kind::POSTS, &id).unwrap(),
        fields: json!({"platform": "test", "content": {"Content": text}})
            .as_object()
            .unwrap()
            .clone(),
    };
    let number = post(json!(5), "The number five stands in the harbour ledger.");
    let text = post(
        json!("5"),
        "The letter five was painted on the orchard gate.",
    );
    let rooms = Rooms::open(stored.data(), &hash_model()).await.unwrap();
    rooms.source.save(vec![number.clone(), text]).await.unwrap();
    drop(rooms);
    let data = stored.data();
    assert!(finds(
        data,
        "number in the harbour ledger",
        "harbour ledger"
    ));
    assert!(finds(data, "letter on the orchard gate", "orchard gate"));
    stored.assert_still_there();

    let rooms = Rooms::open(data, &hash_model()).await.unwrap();
    assert_eq!(rooms.source.delete(vec![number.key]).await.unwrap(), 1);
    drop(rooms);
    assert!(!finds(
        data,
        "number in the harbour ledger",
        "harbour ledger"
    ));
    assert!(finds(data, "letter on the orchard gate", "orchard gate"));
    stored.assert_still_there();
}
