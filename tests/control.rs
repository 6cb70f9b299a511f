//! Steering a capture by the real program: pause, resume, reset, rewind, and what a status says.

use std::pin::pin;
use std::process::{Child, Stdio};
use std::time::Duration;

use lockstep::capture::Resync;
use lockstep::change::{DocumentKey, Lane, Message, Operation};
use lockstep::clock::Clock;
use lockstep::queue::rabbit::{RabbitConsumer, RabbitQueue, Settings};
use lockstep::queue::{Consumer as _, Queue as _};
use mongodb::bson::{Document, doc};
use mongodb::{Collection, Database};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::{self, Ended, program};
use crate::support::broker::{self, Broker};
use crate::support::mongo::{Home, MongoServer};

/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A capture at work; killed when it is dropped.
struct Capture(Child);

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A database and queues of the test's own, and the folder with the settings that name them.
struct Scene {
    data: TempDir,
    home: Home,
    database: Database,
    consumer: RabbitConsumer,
}

impl Scene {
    async fn open() -> Self {
        Self::on(broker::shared_url()).await
    }

    async fn on(broker: String) -> Self {
        let home = Home::on(MongoServer::shared());
        let data = tempfile::tempdir().unwrap();
        let name = home.settings.database.clone();
        let (source, state) = (&home.settings.url, &home.settings.state_database);
        let mut queue = Settings::new(broker, 1);
        queue.name.clone_from(&name);
        let settings = format!(
            "[source]\nurl = \"{source}\"\ndatabase = \"{name}\"\nstate_database = \"{state}\"\n\
             collections = [\"posts\"]\nlease_seconds = 2\n\
             [queue]\nurl = \"{}\"\nname = \"{name}\"\npartitions = 1\n",
            queue.url,
        );
        std::fs::write(data.path().join("lockstep.toml"), settings).unwrap();
        let queue = RabbitQueue::open(queue, Clock::manual(0)).await.unwrap();
        Self {
            data,
            database: home.database().await,
            consumer: queue.consume(vec![0]).await.unwrap(),
            home,
        }
    }

    fn posts(&self) -> Collection<Document> {
        self.database.collection("posts")
    }

    fn capture(&self) -> Capture {
        let mut command = program(self.data.path());
        let command = command.arg("capture").stderr(Stdio::null());
        Capture(command.spawn().unwrap())
    }

    /// The next change of a document: what happened, its `n`, and the epoch of its version.
    async fn next(&mut self) -> (Operation, i64, u32) {
        loop {
            let received = tokio::time::timeout(PATIENCE, self.consumer.receive(1)).await;
            let delivery = received.unwrap().unwrap().remove(0);
            self.consumer.settle(vec![delivery.tag]).await.unwrap();
            if let Message::Change(change) = delivery.message.unwrap() {
                let lane = delivery.place.lane;
                assert_eq!(
                    lane == Lane::Backfill,
                    change.operation == Operation::Snapshot
                );
                let n = change.fields.unwrap()["n"].as_i64().unwrap();
                return (change.operation, n, change.version.epoch);
            }
        }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let (data, arguments) = (self.data.path().to_owned(), arguments.join(" "));
        let run = move || {
            let arguments: Vec<_> = arguments.split(' ').collect();
            binary::run(&data, &arguments)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// What the command says as JSON; it must succeed.
    async fn said(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
        let ended = self.run(&arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    }

    /// Waits until somebody has asked for something that is not done.
    async fn until_asked(&self) {
        let client = self.database.client();
        let state = client.database(&self.home.settings.state_database);
        let requests: Collection<Document> = state.collection("requests");
        let asked = async {
            let open = || doc! { "done": { "$exists": false } };
            while requests.find_one(open()).await.unwrap().is_none() {}
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap();
    }

    /// Waits until `position show` says so.
    async fn until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let shown = async {
            loop {
                let shown = self.said(&["position", "show"]).await;
                if is_so(&shown) {
                    return shown;
                }
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.unwrap()
    }
}

fn refused(ended: &Ended, says: &str) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.error.contains(says), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_is_paused_moved_and_goes_on_from_there() {
    let mut scene = Scene::open().await;
    let insert = async |posts: Collection<Document>, n: i64| {
        posts.insert_one(doc! { "_id": n, "n": n }).await.unwrap();
    };
    insert(scene.posts(), 1).await;
    let _capture = scene.capture();
    assert_eq!(scene.next().await, (Operation::Snapshot, 1, 1));
    scene.until(is_read).await;
    insert(scene.posts(), 2).await;
    assert_eq!(scene.next().await, (Operation::Insert, 2, 1));
    let shown = scene.said(&["position", "show"]).await;
    assert!(
        shown["owner"].is_string() && shown["paused"] == false,
        "{shown}"
    );

    // Nobody moves the position of a capture that saves it.
    refused(
        &scene.run(&["position", "reset"]).await,
        "lockstep pause capture",
    );
    let rewind = ["position", "rewind", "--to", "2026-01-31T12:00:00Z"];
    refused(&scene.run(&rewind).await, "lockstep pause capture");
    let bad = scene
        .run(&["position", "rewind", "--to", "yesterday"])
        .await;
    assert!(
        bad.code == Some(2) && bad.error.contains("RFC 3339") || bad.error.contains("want a time"),
        "{bad:?}"
    );

    // What is written during a pause comes after it.
    let paused = scene.said(&["pause", "capture"]).await;
    assert_eq!(paused["paused"], true);
    insert(scene.posts(), 3).await;
    refused(
        &scene.run(&["snapshot", "posts"]).await,
        "lockstep resume capture",
    );
    scene.said(&["resume", "capture"]).await;
    assert_eq!(scene.next().await, (Operation::Insert, 3, 1));

    // Rewound to before everything, the same changes come again.
    scene.said(&["pause", "capture"]).await;
    scene
        .said(&["position", "rewind", "--to", &moment_before(&scene).await])
        .await;
    scene.said(&["resume", "capture"]).await;
    let mut again = Vec::new();
    while again.last() != Some(&(Operation::Insert, 3, 1)) {
        again.push(scene.next().await);
    }
    assert!(again.contains(&(Operation::Insert, 2, 1)), "{again:?}");

    // Reset under a new epoch, everything is read again, newer than all before.
    scene.said(&["pause", "capture"]).await;
    let reset = scene.said(&["position", "reset", "--new-epoch"]).await;
    assert_eq!(
        (&reset["epoch"], &reset["snapshot"][0]),
        (&2.into(), &"posts".into())
    );
    scene.said(&["resume", "capture"]).await;
    let mut rows = vec![scene.next().await, scene.next().await, scene.next().await];
    rows.sort_by_key(|row| row.1);
    assert_eq!(rows, [1, 2, 3].map(|n| (Operation::Snapshot, n, 2)));
    scene.until(is_read).await;
    insert(scene.posts(), 4).await;
    assert_eq!(scene.next().await, (Operation::Insert, 4, 2));
}

/// There is a position, and no snapshot that could read what is written now.
fn is_read(shown: &Value) -> bool {
    shown["position"].is_string() && shown["snapshot"] == Value::Array(Vec::new())
}

/// Some seconds before the saved position, which is some after the first write.
async fn moment_before(scene: &Scene) -> String {
    let shown = scene.said(&["position", "show"]).await;
    let position = shown["position"].as_str().unwrap();
    let position = mongodb::bson::DateTime::parse_rfc3339_str(position).unwrap();
    let earlier = position.timestamp_millis() - 120_000;
    let earlier = mongodb::bson::DateTime::from_millis(earlier);
    earlier.try_to_rfc3339_string().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_process_that_rests() {
    let mut scene = Scene::open().await;
    let first = scene.capture();
    scene.until(is_read).await;
    scene.said(&["pause", "capture"]).await;
    drop(first);
    let _second = scene.capture();
    scene
        .posts()
        .insert_one(doc! { "_id": 7, "n": 7 })
        .await
        .unwrap();
    scene.until(|shown| shown["owner"].is_string()).await;
    assert_eq!(scene.said(&["position", "show"]).await["paused"], true);
    scene.said(&["resume", "capture"]).await;
    assert_eq!(scene.next().await, (Operation::Insert, 7, 1));
}

/// Capture may be paused for the very trouble that keeps a request from being done.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_does_not_wait_for_a_request_that_has_no_broker_to_go_to() {
    let _alone = broker::alone().await;
    let mut broker = Broker::start();
    let mut scene = Scene::on(broker.url()).await;
    let (posts, one) = (scene.posts(), doc! { "_id": "a", "n": 1 });
    posts.insert_one(one).await.unwrap();
    let _capture = scene.capture();
    assert_eq!(scene.next().await, (Operation::Snapshot, 1, 1));
    scene.until(is_read).await;
    broker.register_queues();
    broker.kill();

    let source = scene.home.open().await;
    let again = Resync::Keys(vec![DocumentKey::text("posts", "a")]);
    let mut asked = pin!(source.ask(&again));
    let pausing = async {
        scene.until_asked().await;
        scene.said(&["pause", "capture"]).await
    };
    let paused = async {
        tokio::select! {
            early = &mut asked => panic!("it was done without a broker: {early:?}"),
            paused = pausing => paused,
        }
    };
    let paused = tokio::time::timeout(PATIENCE, paused).await.unwrap();
    assert_eq!(paused["paused"], true);

    // It still stands, and is done when capture goes on.
    broker.restart();
    scene.said(&["resume", "capture"]).await;
    let done = tokio::time::timeout(PATIENCE, asked).await.unwrap();
    assert_eq!(done.unwrap(), 1);
}

/// Short of memory, a broker confirms nothing for as long as that lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_does_not_wait_for_a_broker_that_blocks_us() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let mut scene = Scene::on(broker.url()).await;
    let posts = scene.posts();
    posts.insert_one(doc! { "_id": 1, "n": 1 }).await.unwrap();
    let mut command = program(scene.data.path());
    let command = command.arg("capture").stderr(Stdio::null());
    let command = command.env("LOCKSTEP_SERVE_GRACE_SECONDS", "1");
    let _capture = Capture(command.spawn().unwrap());
    assert_eq!(scene.next().await, (Operation::Snapshot, 1, 1));
    scene.until(is_read).await;
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
    posts.insert_one(doc! { "_id": 2, "n": 2 }).await.unwrap();
    // A connection is blocked with the first thing that is published on it: from here on that waits for its confirm.
    let blocked = async {
        while broker.connections("blocked") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, blocked).await.unwrap();
    let paused = tokio::time::timeout(PATIENCE, scene.said(&["pause", "capture"])).await;
    assert_eq!(paused.unwrap()["paused"], true);

    broker.control(&["set_vm_memory_high_watermark", "0.5"]);
    scene.said(&["resume", "capture"]).await;
    assert_eq!(scene.next().await, (Operation::Insert, 2, 1));
}
