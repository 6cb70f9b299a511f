//! What a capture says of what is around it: services that are away, and a database with nothing in it.

use lockstep::capture::SnapshotPlan;
use lockstep::clock::Clock;
use lockstep::source::mongo::MongoSource;
use lockstep::source::{Checkpoint, Source as _, Watch as _};
use mongodb::bson::{Document, doc};

use super::{Place, article};
use crate::support::mongo::MongoServer;

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

/// It says so after its first try, and at its end.
fn ends_with(settings: &[(&'static str, String)], says: &[&str]) {
    let mut place = Place::new();
    let at_once = ("LOCKSTEP_CAPTURE_STARTUP_TIMEOUT_SECONDS", "0".to_owned());
    place.settings.push(at_once);
    place.settings.extend_from_slice(settings);
    let ended = place.run(&["capture"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in says {
        assert!(
            ended.error.contains(part),
            "{part:?} is missing in {ended:?}"
        );
    }
}

#[test]
fn a_source_that_is_away_is_named_with_the_fix() {
    let url = format!("mongodb://{NOBODY}/?serverSelectionTimeoutMS=300");
    let says = [NOBODY, "refused", "start MongoDB, or correct source.url"];
    ends_with(&[("LOCKSTEP_SOURCE_URL", url)], &says);
}

#[test]
fn a_queue_that_is_away_is_named_with_the_fix() {
    let url = format!("amqp://{NOBODY}");
    let says = [NOBODY, "start RabbitMQ, or correct queue.url"];
    ends_with(&[("LOCKSTEP_QUEUE_URL", url)], &says);
}

/// As where its name is misspelled: a server watches any.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_holds_nothing_is_named_with_the_fix() {
    let place = Place::new();
    let capture = place.start(&["capture"]);
    capture.until(&["no watched collection is there yet"]).await;
    let said = capture.said();
    for part in [
        place.home.settings.database.as_str(),
        "MongoDB at",
        "source.database",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    capture.stop();
}

/// As where there is much to count, or the server is busy.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_log_is_told_of_though_no_count_is_answered() {
    // Its own, since a server has one fail point at a time.
    let server = MongoServer::start(&[]);
    let mut place = Place::new();
    let mut settings = place.home.settings.clone();
    settings.url = server.url("test");
    let database = server.client().await.database(&settings.database);
    let stored = article("looms", "Jacquard cards weave.");
    let articles = database.collection::<Document>("articles");
    articles.insert_one(stored).await.unwrap();
    let source = MongoSource::open(settings, Clock::manual(1_000))
        .await
        .unwrap();
    let (position, _) = source.watch(None).await.unwrap().here();
    let checkpoint = Checkpoint {
        epoch: 1,
        position,
        snapshot: SnapshotPlan::default(),
        kinds: ["articles".to_owned()].into(),
        watched: None,
        resets: 0,
    };
    source.replace_checkpoint(Some(&checkpoint)).await.unwrap();
    let silence = doc! {
        "failCommands": ["count"], "blockConnection": true, "blockTimeMS": 3_600_000,
    };
    server.fail("capture", 1, silence).await;
    let url = ("LOCKSTEP_SOURCE_URL", server.url("capture"));
    place.settings.push(url);
    let capture = place.start(&["capture"]);
    capture.until(&["the source's log reaches back only"]).await;
    capture.stop();
}
