//! The HTTP API over loopback: every route, every refusal, and what a stop does.

mod blank;
mod crawling;
mod exporting;
mod limits;
mod retrieving;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{self, Caller, SEED, filled, send};
use crate::support::app::App;
use crate::support::binary;

const PAGES: [(&str, &str); 3] = [
    (
        "Looms",
        "Jacquard cards weave algebraical patterns into silk, row after row, as the cards have it.",
    ),
    (
        "Engines",
        "The analytical engine computes numbers, and its cards say which operation comes next.",
    ),
    (
        "Tides",
        "The moon draws the sea twice a day, and harbours keep tables of when the water is high.",
    ),
];

/// The routes that need a token.
const GUARDED: [&str; 7] = [
    "/v1/search?q=a",
    "/v1/documents/articles/a",
    "/v1/authors",
    "/v1/crawl/00000000-0000-4000-8000-000000000000",
    "/v1/status",
    "/v1/parked",
    "/v1/export",
];

fn titles(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter()
        .map(|hit| hit["title"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_answers_a_link_and_a_body_alike() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let found = caller
        .get("/v1/search?q=algebraical%20patterns%20Looms&limit=2")
        .await
        .good();
    assert_eq!(titles(&found)[0], "Looms", "{found}");
    assert!(
        found["as_of_ms"].is_u64() && found["parked"] == 0,
        "{found}"
    );
    let hit = &found["hits"][0];
    assert!(
        hit["passages"][0]["content"]
            .as_str()
            .unwrap()
            .contains("Jacquard"),
        "{hit}"
    );
    assert_eq!(
        (&hit["type"], &hit["author"]),
        (&json!("articles"), &json!("Ada Lovelace"))
    );
    let body = json!({"q": "algebraical patterns Looms", "limit": 2});
    let again = caller.post("/v1/search", &body).await.good();
    assert_eq!(again["hits"], found["hits"]);
    // Filters of both, and none that nobody knows.
    let none = caller
        .get("/v1/search?q=Looms&type=posts&type=repositories")
        .await
        .good();
    assert_eq!(none["hits"], json!([]));
    let theirs =
        json!({"q": "Looms", "author": "ada lovelace", "type": ["articles"], "limit": 10.0});
    assert_eq!(
        titles(&caller.post("/v1/search", &theirs).await.good()).len(),
        3
    );
    for wrong in [
        "q=",
        "q=%20",
        "limit=3",
        "q=a&limit=0",
        "q=a&limit=1001",
        "q=a&limit=x",
        "q=a&typ=posts",
        "q=a&q=b",
    ] {
        caller
            .get(&format!("/v1/search?{wrong}"))
            .await
            .problem(400);
    }
    for wrong in [
        json!({}),
        json!({"q": 5}),
        json!({"q": "a", "typ": "posts"}),
        json!([]),
    ] {
        caller.post("/v1/search", &wrong).await.problem(400);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_takes_every_condition_that_the_command_takes() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let ask = async |conditions: &str| {
        let path = format!("/v1/search?q=Jacquard%20Looms&{conditions}");
        caller.get(&path).await.good()
    };
    let found = ask("mode=words&diverse=true").await;
    let hit = &found["hits"][0];
    assert_eq!(
        (titles(&found), &found["at_least"]),
        (vec!["Looms"], &Value::Null)
    );
    assert_eq!(hit["passages"][0]["cosine"], Value::Null, "{hit}");
    let (link, version) = (
        hit["link"].as_str().unwrap(),
        hit["version"].as_str().unwrap(),
    );
    let dense = ask(&format!("mode=dense&link={link}&at_least={version}")).await;
    assert_eq!(
        (titles(&dense), &dense["at_least"]),
        (vec!["Looms"], &json!("reached"))
    );
    assert!(
        dense["hits"][0]["passages"][0]["cosine"].is_f64(),
        "{dense}"
    );
    let later = ask("at_least=2.0.0.0&wait=0").await;
    assert_eq!(
        (titles(&later).len(), &later["at_least"]),
        (3, &json!("not_yet"))
    );
    for none in [
        "platform=medium",
        "language=fi&language=sv",
        "since=2999-01-01",
        "until=1970-01-01T00:00:00Z",
        "link=https://nobody.invalid",
    ] {
        assert_eq!(ask(none).await["hits"], json!([]), "{none}");
    }
    for (wrong, named) in [
        ("mode=both", "mode"),
        ("since=yesterday", "since"),
        ("since=2024-02-02&until=2024-02-01", "since"),
        ("at_least=7", "at_least"),
        ("wait=601", "wait"),
        ("diverse=perhaps", "diverse"),
    ] {
        let path = format!("/v1/search?q=a&{wrong}");
        let said = caller.get(&path).await.problem(400);
        assert!(said.contains(named), "{said}");
    }
    let body = json!({"q": "Looms", "mode": "words", "platform": ["medium"], "since": "2024-01-01", "wait": 0});
    assert_eq!(
        caller.post("/v1/search", &body).await.good()["hits"],
        json!([])
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_comes_with_its_chunks_by_each_of_its_ids() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let found = caller.get("/v1/search?q=Tides&limit=1").await.good();
    let hit = &found["hits"][0];
    let by = async |id: &str| {
        let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let path = format!("/v1/documents/articles/{}", id.replace('+', "%20"));
        caller.get(&path).await
    };
    let document = by(hit["entry_id"].as_str().unwrap()).await.good();
    assert_eq!(document, by(hit["id"].as_str().unwrap()).await.good());
    assert_eq!(document["version"], hit["version"]);
    assert_eq!(document["metadata"]["title"], "Tides");
    assert!(
        document["text"]
            .as_str()
            .unwrap()
            .contains("The moon draws the sea")
    );
    let chunks = document["chunks"].as_array().unwrap();
    assert_eq!(chunks[0]["content"], hit["passages"][0]["content"]);
    assert!(chunks[0]["id"].is_string() && chunks[0]["rank"].is_i64());
    let detail = by("nobody").await.problem(404);
    assert!(detail.contains("articles/nobody"), "{detail}");
    // A deleted one is gone, though its tombstone is there.
    let link = hit["link"].as_str().unwrap().to_owned();
    let target = lockstep::command::Request::Delete {
        target: link,
        wait: true,
    };
    app.ask(target).await.unwrap();
    by(hit["id"].as_str().unwrap()).await.problem(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authors_status_and_parked_say_how_it_stands() {
    let data = tempfile::tempdir().unwrap();
    let (app, caller) = filled(data.path(), &PAGES).await;
    let authors = caller.get("/v1/authors").await.good();
    assert_eq!(authors["authors"][0]["name"], "Ada Lovelace");
    assert_eq!(authors["authors"][0]["documents"], 3);
    let status = caller.get("/v1/status").await.good();
    assert_eq!(status["documents"]["articles"], 3, "{status}");
    // The author is a document too.
    assert_eq!(status["indexed"], 4, "{status}");
    // Where the data lies is nobody's business who asks from elsewhere.
    assert!(
        !status.to_string().contains(data.path().to_str().unwrap()),
        "{status}"
    );
    let parked = caller.get("/v1/parked").await.good();
    assert_eq!(parked, json!({"parked": [], "more": false}));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_without_a_token_and_a_revoked_one_is_none() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(api::config(data.path())).await;
    let owner = Caller::of(data.path());
    let stranger = owner.with(None);
    let run = |arguments: &[&str]| {
        let ended = binary::run(data.path(), arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out
    };
    let token = run(&["token", "create", "--name", "ci"]);
    let friend = owner.with(Some(token.trim()));
    let forged = owner.with(Some(&token.trim().replace("lockstep_", "lockstep_0")));
    for path in GUARDED {
        let refused = stranger.get(path).await;
        refused.problem(401);
        assert!(
            refused.header("www-authenticate").starts_with("Bearer"),
            "{path}"
        );
        forged.get(path).await.problem(401);
        let known = [owner.get(path).await, friend.get(path).await];
        assert!(
            known.iter().all(|answer| answer.status != 401),
            "{path}: {known:?}"
        );
    }
    for path in ["/v1/search", "/v1/crawl", SEED] {
        stranger.post(path, &json!({})).await.problem(401);
    }
    let job = "/v1/crawl/00000000-0000-4000-8000-000000000000";
    let cancel = |caller: &Caller| send(caller.request(Method::DELETE, job));
    cancel(&stranger).await.problem(401);
    cancel(&forged).await.problem(401);
    cancel(&friend).await.problem(404);
    // A token opens the API; commands on the folder are its owner's.
    let status = |caller: &Caller| send(caller.request(Method::POST, "/internal/status"));
    assert_eq!(status(&friend).await.status, 401);
    assert_eq!(status(&owner).await.status, 200);
    let listed: Value = serde_json::from_str(&run(&["token", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["name"], "ci");
    let kept = std::fs::read_to_string(data.path().join("tokens.json")).unwrap();
    assert!(!kept.contains(token.trim()) && !listed.to_string().contains("sha256"));
    run(&["token", "revoke", listed[0]["id"].as_str().unwrap()]);
    friend.get("/v1/status").await.problem(401);
    let gone = binary::run(data.path(), &["token", "revoke", "00000000"]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_a_problem() {
    let data = tempfile::tempdir().unwrap();
    let mut config = api::config(data.path());
    config.serve.body_bytes_max = 1_024;
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    caller.get("/v1/nothing").await.problem(404);
    caller.get("/").await.problem(404);
    let wrong = send(caller.request(Method::DELETE, "/v1/search")).await;
    wrong.problem(405);
    let mut allowed: Vec<_> = wrong.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    send(caller.request(Method::GET, SEED)).await.problem(405);
    let text = caller
        .request(Method::POST, "/v1/search")
        .body("{\"q\": \"a\"}");
    send(text).await.problem(415);
    let large = json!({"q": "a".repeat(2_000)});
    caller.post("/v1/search", &large).await.problem(413);
    caller.post(SEED, &large).await.problem(413);
    let broken = caller.request(Method::POST, "/v1/search").body("{\"q\": ");
    let broken = send(broken.header("content-type", "application/json")).await;
    assert!(broken.problem(400).contains("the body"));
    caller.get("/v1/documents/articles/%ff").await.problem(400);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_and_gets_one_where_it_has_none() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(api::config(data.path())).await;
    let caller = Caller::of(data.path());
    let request = caller
        .request(Method::GET, "/v1/status")
        .header("x-request-id", "trace-7");
    assert_eq!(send(request).await.header("x-request-id"), "trace-7");
    let (one, two) = (caller.get("/v1/status").await, caller.get("/livez").await);
    assert_eq!(one.header("x-request-id").len(), 36);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_ask_how_it_is_and_what_there_is() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(api::config(data.path())).await;
    let stranger = Caller::of(data.path()).with(None);
    assert_eq!(stranger.get("/livez").await.body, "lockstep");
    assert_eq!(stranger.get("/readyz").await.body, "ready");
    let description = stranger.get("/v1/openapi.json").await.good();
    assert_eq!(description["openapi"], "3.1.0");
    // Every path that is described is there: what is asked wrongly is refused, not unknown.
    let owner = Caller::of(data.path());
    for path in description["paths"].as_object().unwrap().keys() {
        let path = path
            .replace("{type}", "a")
            .replace("{id}", "b")
            .replace("{job}", "c");
        let asked = send(owner.request(Method::PATCH, &path)).await;
        asked.problem(405);
    }
    app.stop().await;
}
