//! A crawl over HTTP that gives nothing: no page was missing, and there was nothing to read.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::api::{Caller, SEED, config};
use crate::support::app::App;

const BLANK: &str = "<!doctype html><html><head><title>Blank</title></head><body></body></html>";

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_that_read_nothing_is_a_failed_job_and_says_why() {
    let router = Router::new()
        .route("/robots.txt", get(|| async { "" }))
        .route("/blank", get(|| async { Html(BLANK) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = format!("http://{}/blank", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(axum::serve(listener, router).into_future());
    let data = tempfile::tempdir().unwrap();
    let app = App::start_with(config(data.path())).await;
    let caller = Caller::of(data.path());
    let order = json!({"user": "Ada Lovelace", "link": link});
    let accepted = caller.post("/v1/crawl", &order).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    // It is polled as its clients do.
    let job = loop {
        let job = caller.get(accepted.header("location")).await.good();
        if job["ended_at"].is_string() {
            break job;
        }
    };
    assert_eq!(
        (&job["state"], &job["counts"]),
        (&json!("failed"), &Value::Null),
        "{job}"
    );
    let reason = job["reason"].as_str().unwrap();
    assert_eq!(reason, format!("{link}: it has no main text"));
    // The first system's clients are told as of any other failure.
    let answer = caller.post(SEED, &order).await.good();
    assert_eq!(answer["statusCode"], 500, "{answer}");
    assert_eq!(answer["body"], format!("An error occurred: {reason}"));
    app.stop().await;
}
