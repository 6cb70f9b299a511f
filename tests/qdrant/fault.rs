//! A server that does not answer, or answers no.

use std::net::TcpListener;
use std::time::Duration;

use lockstep::Recovery;
use lockstep::vector::qdrant::{QdrantStore, Settings};
use lockstep::vector::{By, Nearest, Only, VectorStore, Write};
use qdrant_client::qdrant::points_update_operation::{Operation, SetPayload};
use qdrant_client::qdrant::{Condition, Filter, PointsUpdateOperation, UpdateBatchPointsBuilder};

use super::{assert_retries, assert_says, assert_stops, contents, document, model, open};
use crate::support::proxy::Proxy;
use crate::support::qdrant::{Fault, Server};

/// So short that a test can wait for it, where it waits for an answer that never comes.
const SHORT: Duration = Duration::from_millis(300);

async fn impatient(server: &Server) -> QdrantStore {
    let settings = Settings {
        timeout: SHORT,
        ..Settings::new(server.url())
    };
    let store = QdrantStore::open(settings, &model(), 1).await;
    store.unwrap()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let settings = Settings::new(format!("http://{address}"));
    let opened = QdrantStore::open(settings, &model(), 1).await;
    assert_retries(opened, &[&address, "did not answer"]);
}

#[tokio::test]
async fn an_address_that_is_none_names_its_setting() {
    for url in ["not an address", "ftp://host:6334"] {
        let opened = QdrantStore::open(Settings::new(url), &model(), 1).await;
        assert_stops(opened, &["vector.url", "http://host:6334"]);
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_and_not_shown() {
    let server = Server::start().await;
    server.script(|script| script.api_key = Some("right".to_owned()));
    let with = |key: Option<&str>| Settings {
        api_key: key.map(str::to_owned),
        ..Settings::new(server.url())
    };
    for key in [None, Some("hunter2")] {
        let opened = QdrantStore::open(with(key), &model(), 1).await;
        let error = opened.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Stop);
        assert_says(&error, &["LOCKSTEP_VECTOR_API_KEY", &server.address()]);
        assert!(!error.chain().contains("hunter2"));
    }
    let opened = QdrantStore::open(with(Some("right")), &model(), 1).await;
    let store = opened.unwrap();
    store.write(document("posts", "one")).await.unwrap();
    assert!(!format!("{store:?}").contains("right"));
}

#[tokio::test]
async fn an_old_server_is_refused_with_the_version_that_is_needed() {
    let server = Server::start().await;
    server.script(|script| script.version = "1.15.5".to_owned());
    let opened = open(&server).await;
    assert_stops(opened, &["version 1.15.5", "1.16 or later"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_later() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    server.script(|script| script.faults.push(("points.scroll", Fault::Busy)));
    assert_retries(store.control().await, &["Rate limiting", "did not read"]);
    store.control().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up() {
    let server = Server::start().await;
    let store = impatient(&server).await;
    // The client asks a second time by itself.
    let held = [("points.scroll", Fault::Hold); 2];
    server.script(|script| script.faults.extend(held));
    assert_retries(store.control().await, &["did not read", &server.address()]);
    store.control().await.unwrap();
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_and_may_be_repeated() {
    let server = Server::start().await;
    let store = impatient(&server).await;
    store.write(document("posts", "one")).await.unwrap();
    let lost = [("points.update_batch", Fault::Lose); 2];
    server.script(|script| script.faults.extend(lost));
    let written = store.write(document("posts", "two")).await;
    assert_retries(written, &["did not write"]);
    let mut found = contents(&store).await;
    found.sort();
    assert_eq!(found, ["one", "two"]);
    store.write(document("posts", "two")).await.unwrap();
    assert_eq!(contents(&store).await.len(), 2);
}

#[tokio::test]
async fn a_write_that_is_answered_before_it_is_done_is_repeated() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    store.write(document("posts", "one")).await.unwrap();
    server.script(|script| script.faults.push(("points.update_batch", Fault::Late)));
    let written = store.write(document("posts", "two")).await;
    assert_retries(written, &["did not write", "WaitTimeout"]);
    assert_eq!(contents(&store).await, ["one"]);
    store.write(document("posts", "two")).await.unwrap();
    assert_eq!(contents(&store).await.len(), 2);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_opened_again() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address()).await;
    let settings = Settings::new(format!("http://{}", proxy.address()));
    let opened = QdrantStore::open(settings, &model(), 1).await;
    let store = opened.unwrap();
    for text in ["one", "two", "three"] {
        store.write(document("posts", text)).await.unwrap();
        proxy.cut();
    }
    assert_eq!(contents(&store).await.len(), 3);
}

#[tokio::test]
async fn what_the_server_will_never_take_is_no_outage() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    let long = "x".repeat(300);
    let error = store.write(document(&long, "one")).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Park);
    store.write(document("posts", "two")).await.unwrap();
}

#[tokio::test]
async fn a_vector_of_another_dimension_is_refused_and_the_store_goes_on() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    let mut wrong = document("posts", "one");
    let lockstep::vector::Write::Upsert(points) = &mut wrong[0] else {
        panic!("points come first");
    };
    points[0].vector.pop();
    let error = store.write(wrong).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Park);
    let question = Nearest {
        by: By::Meaning(vec![1.0]),
        only: Only::default(),
        limit: 1,
    };
    assert!(store.nearest(question).await.is_err());
    store.write(document("posts", "two")).await.unwrap();
    assert_eq!(contents(&store).await, ["two"]);
}

/// Else every change would be parked for it, one by one.
#[tokio::test]
async fn control_state_that_is_not_ours_stops_and_is_no_documents_fault() {
    let server = Server::start().await;
    let store = open(&server).await.unwrap();
    let kind = "posts".to_owned();
    let version = super::version(3);
    store
        .write(vec![Write::Floor { kind, version }])
        .await
        .unwrap();
    let broken = Operation::SetPayload(SetPayload {
        payload: [("type".to_owned(), 7_i64.into())].into(),
        points_selector: Some(
            Filter::must([Condition::matches("what", "floor".to_owned())]).into(),
        ),
        ..SetPayload::default()
    });
    let operation = PointsUpdateOperation {
        operation: Some(broken),
    };
    let written = UpdateBatchPointsBuilder::new("lockstep_control", vec![operation]).wait(true);
    let client = super::client(&server);
    client.update_points_batch(written).await.unwrap();
    assert_stops(
        store.control().await,
        &["control collection", &server.address()],
    );
}
