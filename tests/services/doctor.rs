//! What `lockstep doctor` says of services.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use qdrant_client::Qdrant;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{CreateCollectionBuilder, VectorParamsMap};

use super::Place;
use crate::doctor::found;
use crate::support::mongo::MongoServer;
use crate::support::qdrant::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_as_they_should_be_pass() {
    let mut place = Place::new();
    let store = Server::start().await;
    place.settings.push(("LOCKSTEP_VECTOR_URL", store.url()));
    let ended = place.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["source", "source's state", "queue", "index", "clocks"] {
        assert_eq!(found(&ended, name).outcome, "passed", "{ended:?}");
    }
    // Nothing was crawled yet.
    assert_eq!(found(&ended, "collections").outcome, "warned");
    assert!(
        found(&ended, "queue").said.contains("2 partitions"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_queue_with_other_arguments_fails_with_the_fix() {
    let place = Place::new();
    let (_, name) = place
        .settings
        .iter()
        .find(|(name, _)| *name == "LOCKSTEP_QUEUE_NAME")
        .unwrap();
    let url = crate::support::broker::shared_url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let queue = format!("{name}.changes.1.0");
    let declare = channel.queue_declare(queue.clone().into(), durable, FieldTable::default());
    declare.await.unwrap();
    let ended = place.run(&["doctor", "--json"]);
    let found = found(&ended, "queue");
    assert_eq!((ended.code, found.outcome.as_str()), (Some(1), "failed"));
    assert!(
        found.said.contains(&queue) && found.fix.contains("delete it"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_of_somebody_else_with_a_name_of_ours_fails_with_the_fix() {
    let mut place = Place::new();
    let store = Server::start().await;
    let client = Qdrant::from_url(&store.url()).skip_compatibility_check();
    let none = Config::ParamsMap(VectorParamsMap::default());
    let theirs = CreateCollectionBuilder::new("cleaned_posts").vectors_config(none);
    let client = client.build().unwrap();
    client.create_collection(theirs).await.unwrap();
    place.settings.push(("LOCKSTEP_VECTOR_URL", store.url()));
    let ended = place.run(&["doctor", "--json"]);
    let index = found(&ended, "index");
    assert_eq!((ended.code, index.outcome.as_str()), (Some(1), "failed"));
    assert!(
        index.said.contains("cleaned_posts") && index.fix.contains("vector.name"),
        "{index:?}"
    );
}

#[test]
fn a_standalone_server_fails_with_the_fix_and_the_queue_is_looked_at_all_the_same() {
    let mut place = Place::new();
    let server = MongoServer::start(&["--standalone"]);
    place
        .settings
        .push(("LOCKSTEP_SOURCE_URL", server.url("test")));
    let ended = place.run(&["doctor", "--json"]);
    let source = found(&ended, "source");
    assert_eq!((ended.code, source.outcome.as_str()), (Some(1), "failed"));
    assert!(source.fix.contains("--replSet"), "{source:?}");
    assert_eq!(found(&ended, "queue").outcome, "passed");
}

#[test]
fn services_that_do_not_answer_fail_and_are_named() {
    let mut place = Place::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let source = format!("mongodb://ada:s3cret@{address}/?serverSelectionTimeoutMS=100");
    place.settings.push(("LOCKSTEP_SOURCE_URL", source));
    place
        .settings
        .push(("LOCKSTEP_QUEUE_URL", format!("amqp://ada:s3cret@{address}")));
    place
        .settings
        .push(("LOCKSTEP_VECTOR_URL", format!("http://{address}")));
    let ended = place.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for name in ["source", "queue", "index"] {
        let found = found(&ended, name);
        assert_eq!(found.outcome, "failed", "{found:?}");
        assert!(found.said.contains(&address.to_string()), "{found:?}");
        assert!(found.fix.contains("start"), "{found:?}");
    }
    assert!(!ended.out.contains("s3cret"), "{ended:?}");
}
