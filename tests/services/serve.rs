//! `lockstep serve` as a process of its own, beside capture and a worker.

use serde_json::{Value, json};

use super::Place;
use crate::support::api::{Caller, SEED};
use crate::support::broker::Broker;
use crate::support::qdrant::Server;
use crate::support::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_process_answers_from_the_services_and_crawls_into_the_source() {
    let (mut place, site) = (Place::new(), Site::start().await);
    let broker = Broker::start();
    for (name, value) in &mut place.settings {
        if *name == "LOCKSTEP_QUEUE_URL" {
            *value = broker.url();
        }
    }
    let server = Server::start().await;
    place.settings.push(("LOCKSTEP_VECTOR_URL", server.url()));
    let host = "127.0.0.1".to_owned();
    place.settings.push(("LOCKSTEP_CRAWL_ALLOW_HOSTS", host));
    let token = place.run(&["token", "create"]).out;
    let mut workers = [place.start(&["capture"]), place.start(&["feature"])];
    let serve = place.start(&["serve"]);
    serve.until(&["lockstep answers at"]).await;
    let said = serve.said();
    let address = said.split("lockstep answers at ").nth(1).unwrap();
    let address = address.split(' ').next().unwrap();
    let caller = Caller::new(address, Some(token.trim()));
    assert_eq!(caller.get("/readyz").await.body, "ready");
    caller.with(None).get("/v1/status").await.problem(401);
    let event = json!({"user": "Ada Lovelace", "link": site.link("/open")});
    let answer = caller.post(SEED, &event).await.good();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    // What it wrote to the source comes through the queue and the worker.
    let found = loop {
        let found = caller.get("/v1/search?q=analytical%20engine").await.good();
        if found["hits"][0]["title"] == "Open" {
            break found;
        }
    };
    let hit = &found["hits"][0];
    let (kind, id) = (
        hit["type"].as_str().unwrap(),
        hit["entry_id"].as_str().unwrap(),
    );
    let document = caller
        .get(&format!("/v1/documents/{kind}/{id}"))
        .await
        .good();
    assert!(
        !document["chunks"].as_array().unwrap().is_empty(),
        "{document}"
    );
    let chunks = async || caller.get("/v1/export?what=vectors").await.body;
    let exported = chunks().await;
    let line: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(line["id"], hit["id"]);
    assert_eq!(chunks().await, exported);
    for worker in &mut workers {
        worker.assert_running();
    }
    // It needs neither of them to answer.
    for worker in workers {
        worker.stop();
    }
    let found = caller.get("/v1/search?q=analytical").await.good();
    assert_eq!(
        (&found["hits"][0]["id"], &found["parked"]),
        (&hit["id"], &json!(0))
    );
    // Nor the broker; only how much is parked is not known then, and said so.
    broker.kill();
    let found = caller.get("/v1/search?q=analytical").await.good();
    assert_eq!(
        (&found["hits"][0]["id"], &found["parked"]),
        (&hit["id"], &Value::Null)
    );
    assert!(found["note"].as_str().unwrap().contains("the queue"));
    serve.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_services_it_says_which_process_answers() {
    let data = tempfile::tempdir().unwrap();
    let refused = crate::support::binary::run(data.path(), &["serve"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("lockstep up"), "{refused:?}");
}
