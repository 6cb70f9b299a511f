//! Programs that ask over HTTP through the library's own client.

use std::path::Path;

use lockstep::change::DocumentKey;
use lockstep::command::{Handler as _, Reporter, Request, Response};
use lockstep::document::Document;
use lockstep::export::{Selection, What};
use lockstep::folder::Endpoint;
use lockstep::search::{Awaited, Mode, Query};
use lockstep::source::Source as _;
use lockstep::{Client, Error};
use serde_json::json;
use tokio::net::TcpListener;

use super::PAGES;
use crate::support::api::{Caller, filled};
use crate::support::app::App;
use crate::support::binary;
use crate::support::export::{Rooms, hash_model};
use crate::support::site::Site;

/// A process with pages crawled, its address, and a token that was made for others.
async fn served(data: &Path) -> (App, String, String) {
    let (app, _) = filled(data, &PAGES).await;
    let made = binary::run(data, &["token", "create"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let endpoint = Endpoint::find(data).unwrap().unwrap();
    (app, endpoint.address, made.out)
}

fn question() -> Query {
    Query {
        text: "algebraical patterns Looms".to_owned(),
        mode: Mode::Words,
        author: Some("Ada Lovelace".to_owned()),
        kinds: vec!["articles".to_owned()],
        limit: 2,
        ..Query::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_elsewhere_is_answered_as_one_that_has_the_folder() {
    let data = tempfile::tempdir().unwrap();
    let (app, address, token) = served(data.path()).await;
    let client = Client::at(&address, &token).unwrap();
    let query = question();
    let found = client.search(&query).await.unwrap();
    let Response::Search(own) = app.ask(Request::Search(query.clone())).await.unwrap() else {
        panic!("it is another command's answer")
    };
    assert_eq!((&found.hits, found.mode), (&own.hits, own.mode));
    let hit = &found.hits[0];
    assert_eq!(hit.title.as_deref(), Some("Looms"));
    let written = Query {
        at_least: Some(hit.version),
        wait_ms: Some(500),
        ..query
    };
    let waited = client.search(&written).await.unwrap();
    assert_eq!(waited.at_least, Some(Awaited::Reached));
    // By each of its ids, quotes and slashes included.
    let document = client.document("articles", &hit.key.id).await.unwrap();
    let entry_id = hit.key.entry_id();
    assert_eq!(
        document,
        client.document("articles", &entry_id).await.unwrap()
    );
    assert_eq!(
        (document.id, document.version),
        (hit.key.id.clone(), hit.version.to_string())
    );
    assert_eq!(document.chunks[0].content, hit.passages[0].content);
    let Response::AuthorList(authors) = app.ask(Request::AuthorList {}).await.unwrap() else {
        panic!("it is another command's answer")
    };
    assert_eq!(client.authors().await.unwrap(), authors);
    let status = client.status().await.unwrap();
    assert_eq!((status.documents["articles"], status.indexed), (3, 4));
    let selection = Selection {
        what: What::Chunks,
        types: vec!["articles".to_owned()],
        ..Selection::default()
    };
    let mut lines = Vec::new();
    let mut take = |some: &[u8]| {
        lines.extend_from_slice(some);
        Ok(())
    };
    let summary = client.export(&selection, &mut take).await.unwrap();
    assert_eq!(summary.documents, 3);
    let caller = Caller::new(&address, Some(token.trim()));
    let same = caller.get("/v1/export?what=chunks&type=articles").await;
    assert_eq!(String::from_utf8(lines).unwrap(), same.body);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_found_by_its_type_whatever_stands_in_the_name_of_that() {
    let data = tempfile::tempdir().unwrap();
    let kind = "team:notes/old";
    let rooms = Rooms::open(data.path(), &hash_model()).await.unwrap();
    let fields = serde_json::from_value(json!({"content": "Ships wait for the tide."})).unwrap();
    let key = DocumentKey::text(kind, "a");
    let note = Document { key, fields };
    rooms.source.save(vec![note]).await.unwrap();
    drop(rooms);
    let (app, address, token) = served(data.path()).await;
    let client = Client::at(&address, &token).unwrap();
    for id in ["a", "\"a\""] {
        let document = client.document(kind, id).await.unwrap();
        assert_eq!(
            (document.kind.as_str(), document.entry_id.as_str()),
            (kind, "a")
        );
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_which_thing_and_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let (app, address, token) = served(data.path()).await;
    let client = Client::at(&address, &token).unwrap();
    let unknown = client.document("articles", "nobody/at all").await;
    let unknown = unknown.unwrap_err();
    assert!(
        matches!(&unknown, Error::NotFound { what } if what == "document articles/nobody/at all"),
        "{unknown:?}"
    );
    for id in ["", ".."] {
        let refused = client.document("articles", id).await.unwrap_err();
        assert!(matches!(refused, Error::Config { .. }), "{refused:?}");
    }
    let endless = Query {
        limit: 0,
        ..question()
    };
    let refused = client.search(&endless).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Config { setting, .. } if setting == "limit"),
        "{refused:?}"
    );
    // Commands are for who holds the folder.
    let refused = client.handle(Request::Status {}, Reporter::new().0).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("endpoint.json"), "{told}");
    // A path under which a proxy would have it, where there is none.
    let astray = Client::at(&format!("{address}/lockstep"), &token).unwrap();
    let told = astray.status().await.unwrap_err().to_string();
    assert!(
        told.contains("/lockstep/v1/status") && told.contains("check the address"),
        "{told}"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_known_opens_nothing_and_says_how_one_is_made() {
    let data = tempfile::tempdir().unwrap();
    let (app, address, token) = served(data.path()).await;
    let forged = token.trim().replace("lockstep_", "lockstep_0");
    let client = Client::at(&address, &forged).unwrap();
    let refused = [
        client.search(&question()).await.err(),
        client.document("articles", "a").await.err(),
        client.authors().await.err(),
        client.status().await.err(),
        client.exporting(&Selection::default()).await.err(),
    ];
    for error in refused.map(Option::unwrap) {
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let told = error.chain();
        for part in [address.as_str(), "not known here", "lockstep token create"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains(&forged), "{told}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_nobody_or_of_somebody_else_is_told_from_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::at(&address, "any").unwrap();
    let nobody = client.search(&question()).await.unwrap_err();
    assert!(matches!(nobody, Error::Unavailable { .. }), "{nobody:?}");
    let told = nobody.chain();
    for part in [address.as_str(), "check the address", "lockstep serve"] {
        assert!(told.contains(part), "{told}");
    }
    // A site that answers, and not as lockstep.
    let site = Site::start().await;
    let client = Client::at(&site.link(""), "any").unwrap();
    let other = client.status().await.unwrap_err();
    assert!(matches!(other, Error::Refused { .. }), "{other:?}");
    let told = other.to_string();
    assert!(
        told.contains("404") && told.contains("not as lockstep does"),
        "{told}"
    );
}
