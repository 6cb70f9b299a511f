//! What is asked for from outside: what narrows a search, what is said of it, and one's own writes.

use std::path::Path;

use lockstep::change::{DocumentKey, Version};
use lockstep::command::{Request, Response};
use lockstep::document::Document;
use lockstep::search::{Answer, Awaited, Mode, Query};
use lockstep::source::{Source as _, Watch as _};
use serde_json::{Value, json};

use crate::support::app::{App, pages};
use crate::support::binary::run;
use crate::support::export::{Rooms, hash_model};

const TIDE: &str = "The tide follows the moon around the earth, twice on most days of the year.";
const LOOM: &str = "The analytical engine weaves algebraic patterns as the loom weaves flowers.";

async fn ask(app: &App, query: Query) -> Answer {
    match app.ask(Request::Search(query)).await.unwrap() {
        Response::Search(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn asked(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        limit: 10,
        ..Query::default()
    }
}

/// What a crawl that waits for nothing says of its writes.
async fn crawled(app: &App, folder: &Path) -> Version {
    let what = lockstep::crawl::Request {
        target: folder.to_str().unwrap().to_owned(),
        author: "Ada Lovelace".to_owned(),
        as_kind: None,
        reference: None,
        browser: false,
    };
    match app.ask(Request::Crawl { what, wait: false }).await.unwrap() {
        Response::Crawl(report) => report.version.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ones_own_write_is_waited_for() {
    let (data, folder) = (
        tempfile::tempdir().unwrap(),
        pages(&[("Tide", TIDE), ("Loom", LOOM)]),
    );
    let app = App::start(data.path()).await;
    let version = crawled(&app, folder.path()).await;
    let query = Query {
        mode: Mode::Words,
        at_least: Some(version),
        wait_ms: Some(60_000),
        ..asked("the moon")
    };
    let answer = ask(&app, query.clone()).await;
    assert_eq!(answer.at_least, Some(Awaited::Reached));
    assert_eq!(answer.hits.len(), 1);
    assert_eq!(answer.hits[0].title.as_deref(), Some("Tide"));
    // What nobody has written yet is not waited for beyond the limit, and what is there is shown.
    let never = Version {
        epoch: version.epoch + 1,
        ..version
    };
    let answer = ask(
        &app,
        Query {
            at_least: Some(never),
            wait_ms: Some(0),
            ..query.clone()
        },
    )
    .await;
    assert_eq!(
        (answer.at_least, answer.hits.len()),
        (Some(Awaited::NotYet), 1)
    );
    let answer = ask(
        &app,
        Query {
            at_least: None,
            ..query
        },
    )
    .await;
    assert_eq!(answer.at_least, None);
    app.stop().await;
}

/// Writes past every check, as an application would, and says the version.
async fn write(data: &Path, id: &str, content: Value) -> u64 {
    save(data, id, json!({"content": content})).await
}

async fn save(data: &Path, id: &str, fields: Value) -> u64 {
    let rooms = Rooms::open(data, &hash_model()).await.unwrap();
    let fields = serde_json::from_value(fields).unwrap();
    let key = DocumentKey::text("posts", id);
    rooms
        .source
        .save(vec![Document { key, fields }])
        .await
        .unwrap();
    let watch = rooms.source.watch(None).await.unwrap();
    watch.here().1.sequence()
}

#[tokio::test]
async fn a_program_tells_by_the_exit_code_that_its_write_is_not_yet_there_or_parked() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    write(data, "good", json!({"Content": TIDE})).await;
    // From here on changes are sent as such: a snapshot's rows have the version of its reading.
    assert_eq!(run(data, &["search", "moon"]).code, Some(0));
    let bad = write(data, "bad", json!(5)).await;
    let after = write(data, "later", json!({"Content": LOOM})).await;
    let search = |sequence: u64, epoch: u32| {
        let version = format!("{epoch}.{}.{}.0", sequence >> 32, sequence & 0xffff_ffff);
        run(
            data,
            &[
                "search",
                "moon",
                "--at-least",
                &version,
                "--wait",
                "0",
                "--json",
            ],
        )
    };
    let told = |ended: &crate::support::binary::Ended| -> Value {
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        assert!(!answer["hits"].as_array().unwrap().is_empty(), "{ended:?}");
        answer["at_least"].clone()
    };
    let reached = search(after, 1);
    assert_eq!((reached.code, told(&reached)), (Some(0), json!("reached")));
    let parked = search(bad, 1);
    assert_eq!((parked.code, told(&parked)), (Some(7), json!("parked")));
    let never = search(after, 9);
    assert_eq!((never.code, told(&never)), (Some(6), json!("not_yet")));
}

#[tokio::test]
async fn what_no_document_has_is_told_and_what_cannot_be_asked_refused() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    write(data, "a", json!({"Content": TIDE})).await;
    let note = |arguments: &[&str]| {
        let ended = run(data, &[&["search", "moon", "--json"], arguments].concat());
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        (
            ended.code,
            answer["note"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (code, said) = note(&["--type", "nonsense"]);
    assert_eq!(
        (code, &*said),
        (Some(3), "no document has the type `nonsense`")
    );
    let (code, said) = note(&["--type", "posts", "--type", "nonsense"]);
    assert_eq!(
        (code, &*said),
        (Some(0), "no document has the type `nonsense`")
    );
    let (code, said) = note(&["--author", "Nobody", "--platform", "web"]);
    assert_eq!(code, Some(3));
    assert_eq!(
        said,
        "no document has the author `Nobody`, nor the platform `web`"
    );
    assert_eq!(note(&["--mode", "words"]), (Some(0), String::new()));
    for (arguments, says) in [
        (["--since", "last week"], "is no date"),
        (["--mode", "sparse"], "hybrid, dense, words"),
        (["--at-least", "yesterday"], "want four numbers"),
    ] {
        let ended = run(data, &[&["search", "moon"], &arguments[..]].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.error.contains(says), "{says}: {ended:?}");
    }
}

#[tokio::test]
async fn documents_that_others_wrote_in_an_authors_name_are_found_with_the_stored_ones() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let folder = pages(&[("Tide", TIDE)]);
    let target = folder.path().to_str().unwrap();
    let crawled = run(data, &["crawl", target, "--author", "Ada Lovelace"]);
    assert_eq!(crawled.code, Some(0), "{crawled:?}");
    let content = json!({"Content": LOOM});
    let theirs = json!({"content": content, "author_id": "77", "author_full_name": "Ada Lovelace"});
    save(data, "theirs", theirs).await;
    let found = |author: &str| {
        let ended = run(data, &["search", "moon", "--author", author, "--json"]);
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        answer["hits"].as_array().unwrap().len()
    };
    assert_eq!(found("ada lovelace"), 2);
    let renamed = run(data, &["author", "rename", "Ada Lovelace", "Ada King"]);
    assert_eq!(renamed.code, Some(0), "{renamed:?}");
    // The former name is still theirs.
    assert_eq!((found("Ada King"), found("Ada Lovelace")), (1, 2));
}
