//! What bounds the API, and what a stop does to what is in hand.

use std::path::Path;

use lockstep::folder::Endpoint;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::api::{Answer, Caller, SEED, config};
use crate::support::app::App;
use crate::support::site::Site;

/// An invocation that is answered when the site hands its page out.
fn invoke(caller: &Caller, site: &Site) -> JoinSet<Answer> {
    let (caller, event) = (
        caller.clone(),
        json!({"user": "Ada", "link": site.link("/held")}),
    );
    let mut asking = JoinSet::new();
    asking.spawn(async move { caller.post(SEED, &event).await });
    asking
}

/// A request of which the head was sent, and nothing of the body yet.
struct Begun(TcpStream);

impl Begun {
    async fn post(data: &Path, path: &str, length: usize) -> Self {
        let endpoint = Endpoint::find(data).unwrap().unwrap();
        let authorization = format!("authorization: Bearer {}\r\n", endpoint.token);
        Self::head(&endpoint, path, &authorization, length).await
    }

    async fn head(endpoint: &Endpoint, path: &str, header: &str, length: usize) -> Self {
        let address = endpoint.address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\n{header}content-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Waits until its body is asked for: whatever stands before that has let it in.
    async fn is_let_in(&mut self) {
        let mut told = [0; 25];
        self.0.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// The status that it is answered with.
    async fn status(&mut self) -> String {
        let mut line = [0; 12];
        self.0.read_exact(&mut line).await.unwrap();
        let line = std::str::from_utf8(&line).unwrap();
        line.strip_prefix("HTTP/1.1 ").unwrap().to_owned()
    }

    /// Sends the body; the answer's status.
    async fn end(&mut self, body: &[u8]) -> String {
        self.0.write_all(body).await.unwrap();
        self.status().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_too_many_is_told_to_come_again() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.serve.requests_max = 1;
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    let question = br#"{"q": "looms"}"#;
    let mut held = Begun::post(data.path(), "/v1/search", question.len()).await;
    held.is_let_in().await;
    let refused = caller.get("/v1/status").await;
    refused.problem(503);
    assert_eq!(refused.header("retry-after"), "1");
    // Whether it is well can be asked all the same.
    assert_eq!(caller.get("/readyz").await.status, 200);
    assert_eq!(held.end(question).await, "200");
    assert_eq!(caller.get("/v1/status").await.status, 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_that_is_waited_for_keeps_nobody_from_searching() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let mut config = config(data.path());
    config.serve.requests_max = 1;
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    let mut held = invoke(&caller, &site);
    site.is_asked().await;
    caller.get("/v1/search?q=looms").await.good();
    site.release();
    held.join_next().await.unwrap().unwrap().good();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_crawl_too_many_is_told_to_come_again() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let mut config = config(data.path());
    (config.serve.crawls_at_once, config.serve.crawls_waiting_max) = (1, 1);
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    let mut held = invoke(&caller, &site);
    site.is_asked().await;
    let order = json!({"user": "Ada", "link": site.link("/open")});
    let waiting = caller.post("/v1/crawl", &order).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    let waiting = waiting.header("location").to_owned();
    assert_eq!(caller.get(&waiting).await.good()["state"], "queued");
    let refused = caller.post("/v1/crawl", &order).await;
    refused.problem(429);
    assert_eq!(refused.header("retry-after"), "30");
    site.release();
    held.join_next().await.unwrap().unwrap().good();
    while caller.get(&waiting).await.good()["state"] != "done" {}
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_given_up() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.serve.timeout_seconds = 1;
    let app = App::start_with(config).await;
    let endpoint = lockstep::folder::Endpoint::find(data.path())
        .unwrap()
        .unwrap();
    let address = endpoint.address.strip_prefix("http://").unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        endpoint.token
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 504");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_is_waited_for_until_the_body_has_come() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(config(data.path())).await;
    let endpoint = Endpoint::find(data.path()).unwrap().unwrap();
    for path in ["/internal/status", "/v1/search", "/v1/crawl", SEED] {
        for header in ["", "authorization: Bearer forged\r\n"] {
            let mut asked = Begun::head(&endpoint, path, header, 100).await;
            assert_eq!(asked.status().await, "401", "{path}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_in_hand_and_takes_nothing_in() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let app = App::start_with(config(data.path())).await;
    let caller = Caller::of(data.path());
    let mut held = invoke(&caller, &site);
    site.is_asked().await;
    let mut stopping = JoinSet::new();
    stopping.spawn(app.stop());
    // From the moment when nobody is let in any more, the one in hand is still waited for.
    while caller.request(Method::GET, "/livez").send().await.is_ok() {}
    assert!(stopping.try_join_next().is_none());
    site.release();
    let answer = held.join_next().await.unwrap().unwrap().good();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    stopping.join_next().await.unwrap().unwrap();
    // What it saved is there.
    let app = App::start_with(config(data.path())).await;
    assert_eq!(app.status().await.documents["articles"], 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_waits_for_a_version_is_answered_at_a_stop() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(config(data.path())).await;
    let caller = Caller::of(data.path());
    // Nobody will ever write it; asked as by a program, and as by the command.
    let version = json!({"epoch": 9, "seconds": 0, "increment": 1, "order": 0});
    let command =
        json!({"text": "looms", "limit": 10, "at_least": version, "wait_ms": 600_000}).to_string();
    let question = json!({"q": "looms", "at_least": "9.0.1.0", "wait": 600}).to_string();
    let mut held = Vec::new();
    for (path, body) in [("/v1/search", question), ("/internal/search", command)] {
        let mut begun = Begun::post(data.path(), path, body.len()).await;
        begun.is_let_in().await;
        held.push((begun, body));
    }
    let mut stopping = JoinSet::new();
    stopping.spawn(app.stop());
    while caller.request(Method::GET, "/livez").send().await.is_ok() {}
    for (mut held, body) in held {
        assert_eq!(held.end(body.as_bytes()).await, "200", "{body}");
        let mut answer = String::new();
        held.0.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(r#""at_least":"not_yet""#), "{answer}");
    }
    stopping.join_next().await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_that_is_asked_for_during_a_stop_is_told_that_and_not_that_there_is_no_room() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let app = App::start_with(config(data.path())).await;
    let caller = Caller::of(data.path());
    let mut held = invoke(&caller, &site);
    site.is_asked().await;
    let order = json!({"user": "Ada", "link": site.link("/open")}).to_string();
    let mut late = Begun::post(data.path(), "/v1/crawl", order.len()).await;
    late.is_let_in().await;
    let mut stopping = JoinSet::new();
    stopping.spawn(app.stop());
    while caller.request(Method::GET, "/livez").send().await.is_ok() {}
    assert_eq!(late.end(order.as_bytes()).await, "503");
    site.release();
    held.join_next().await.unwrap().unwrap().good();
    stopping.join_next().await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_it_listens_only_where_there_is_a_token() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.serve.listen = ([0, 0, 0, 0], 0).into();
    let up = lockstep::run::up(config.clone(), std::future::pending(), |_| {});
    let refused = Box::pin(up).await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("serve.listen") && told.contains("lockstep token create"),
        "{told}"
    );
    let made = crate::support::binary::run(data.path(), &["token", "create"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let app = App::start_with(config).await;
    // Commands on the folder still find it.
    assert_eq!(app.status().await.indexed, 0);
    app.stop().await;
}
