//! Capture and a worker on real servers, each a process, and the commands that ask about them.

mod crawling;
mod doctor;
mod metrics;
mod migrate;
mod reindex;
mod rolling;
mod serve;
mod standby;
mod surroundings;
mod tls;

use std::path::Path;

use lockstep::source::Source as _;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::{self, Ended};
use crate::support::broker;
use crate::support::mongo::Home;
use crate::support::process::Process;
use crate::support::qdrant::Server;

/// A database, queues and a data folder of a test's own.
struct Place {
    home: Home,
    data: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Place {
    fn new() -> Self {
        let home = Home::new();
        let name = home.settings.database.clone();
        let settings = vec![
            ("LOCKSTEP_SOURCE_URL", home.settings.url.clone()),
            ("LOCKSTEP_SOURCE_DATABASE", name.clone()),
            (
                "LOCKSTEP_SOURCE_STATE_DATABASE",
                home.settings.state_database.clone(),
            ),
            ("LOCKSTEP_QUEUE_URL", broker::shared_url()),
            ("LOCKSTEP_QUEUE_NAME", name),
            ("LOCKSTEP_QUEUE_PARTITIONS", "2".to_owned()),
            ("LOCKSTEP_CAPTURE_TICK_MS", "100".to_owned()),
        ];
        let data = tempfile::tempdir().unwrap();
        Self {
            home,
            data,
            settings,
        }
    }

    async fn database(&self) -> Database {
        self.home.database().await
    }

    fn data(&self) -> &Path {
        self.data.path()
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process::start(self.data(), arguments, &self.settings)
    }

    /// Runs a command that has to end well; its answer.
    fn ask(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        binary::run_with(self.data(), arguments, &self.settings)
    }

    /// The titles that a search finds, best first.
    fn titles(&self, text: &str) -> Vec<String> {
        let ended = self.run(&["search", text, "--json"]);
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        let hits = answer["hits"].as_array().cloned().unwrap_or_default();
        let title = |hit: &Value| hit["title"].as_str().unwrap_or_default().to_owned();
        hits.iter().map(title).collect()
    }
}

fn article(id: &str, text: &str) -> Document {
    doc! {
        "_id": id,
        "platform": "medium",
        "link": format!("https://example.org/{id}"),
        "content": { "Title": format!("On {id}"), "Content": text },
        "author_id": "ada",
        "author_full_name": "Ada Lovelace",
    }
}

fn services_stand(status: &Value) {
    let services = &status["services"];
    assert!(services["capture"]["owner"].is_string(), "{status}");
    assert!(services["capture_lag_seconds"].is_u64(), "{status}");
    assert_eq!(services["queue"]["parked"], 0, "{status}");
    assert_eq!(services["faults"], Value::Array(Vec::new()), "{status}");
}

/// Everything from an insert to a retry; `first` is the first title of each search.
async fn tour(place: &Place) {
    let articles = place.database().await.collection::<Document>("articles");
    let filled = [
        article("looms", "Jacquard cards weave algebraical patterns."),
        article("engines", "The analytical engine computes numbers."),
    ];
    articles.insert_many(filled).await.unwrap();
    place.ask(&["resync", "articles"]);
    let verified = place.ask(&["verify", "--vectors"]);
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(verified["documents"], 2, "{verified}");
    assert_eq!(place.titles("algebraical patterns")[0], "On looms");
    let status = place.ask(&["status"]);
    assert_eq!(status["documents"]["articles"], 2, "{status}");
    assert_eq!(status["indexed"], 2, "{status}");
    services_stand(&status);
    // Deleted by a command, and then by somebody else.
    place.ask(&["delete", "https://example.org/looms"]);
    assert_eq!(place.titles("algebraical patterns"), ["On engines"]);
    let explained = place.ask(&["explain", "https://example.org/engines"]);
    let verdict = explained["verdict"].as_str().unwrap();
    assert!(verdict.ends_with("nothing to do"), "{verdict}");
    // What cannot be prepared is parked, and retried when it was mended.
    let broken = doc! { "$set": { "content": 5 } };
    let one = doc! { "_id": "engines" };
    articles.update_one(one.clone(), broken).await.unwrap();
    place.ask(&["resync", "https://example.org/engines"]);
    let parked = place.ask(&["parked", "list"]);
    let messages = parked["messages"].as_array().unwrap();
    assert!(!messages.is_empty(), "{parked}");
    assert_eq!(messages[0]["document"], "articles/engines");
    let id = messages[0]["id"].as_str().unwrap();
    let shown = place.ask(&["parked", "show", id]);
    assert!(shown["reason"].as_str().unwrap().contains("content"));
    let mended = article("engines", "It weaves algebraical patterns too.");
    articles.replace_one(one, mended).await.unwrap();
    place.ask(&["parked", "retry", "--all"]);
    let parked = place.ask(&["parked", "list"]);
    assert_eq!(parked["messages"], Value::Array(Vec::new()), "{parked}");
    let verified = place.ask(&["verify", "--vectors"]);
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(place.titles("algebraical patterns"), ["On engines"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_and_a_worker_with_an_index_in_its_folder_serve_every_command() {
    let place = Place::new();
    let mut capture = place.start(&["capture"]);
    let mut worker = place.start(&["feature"]);
    worker.until(&["working"]).await;
    tour(&place).await;
    capture.assert_running();
    worker.assert_running();
    // What it had is there when it is started again.
    worker.stop();
    let worker = place.start(&["feature", "--partitions", "0-1"]);
    worker.until(&["working"]).await;
    assert_eq!(place.titles("algebraical patterns"), ["On engines"]);
    let source = place.home.open().await;
    assert_eq!(source.kinds().await.unwrap(), ["articles"]);
    worker.stop();
    capture.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_fill_a_server_and_every_command_asks_it_by_itself() {
    let mut place = Place::new();
    let server = Server::start().await;
    place.settings.push(("LOCKSTEP_VECTOR_URL", server.url()));
    let mut processes = [
        place.start(&["capture"]),
        place.start(&["feature"]),
        place.start(&["feature"]),
    ];
    for worker in &processes[1..] {
        worker
            .until(&[
                "our share of the partitions partitions={0} workers=2",
                "{1} workers=2",
            ])
            .await;
    }
    tour(&place).await;
    for process in &mut processes {
        process.assert_running();
    }
    for process in processes {
        process.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_does_it_all_on_services() {
    let place = Place::new();
    let mut up = place.start(&["up"]);
    up.until(&["lockstep is up at"]).await;
    up.until(&["capture is ours"]).await;
    tour(&place).await;
    up.assert_running();
    up.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_the_setting() {
    let mut place = Place::new();
    let refused = place.run(&["feature", "--partitions", "0-2"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("counted from 0"), "{refused:?}");
    // Nobody captures, so nobody would read again.
    place
        .database()
        .await
        .collection::<Document>("articles")
        .insert_one(article("a", "b"))
        .await
        .unwrap();
    let refused = place.run(&["resync", "articles"]);
    assert!(
        refused.error.contains("start `lockstep capture`"),
        "{refused:?}"
    );
    place
        .settings
        .retain(|(name, _)| *name != "LOCKSTEP_QUEUE_URL");
    for command in [&["feature"][..], &["status"], &["up"]] {
        let refused = place.run(command);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.error.contains("queue.url"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_names_the_service_that_does_not_answer_and_tells_of_the_other() {
    let mut place = Place::new();
    let away = "amqp://127.0.0.1:1".to_owned();
    (place.settings.iter_mut())
        .filter(|(name, _)| *name == "LOCKSTEP_QUEUE_URL")
        .for_each(|(_, url)| url.clone_from(&away));
    let status = place.ask(&["status"]);
    let services = &status["services"];
    assert_eq!(services["capture"]["paused"], false, "{status}");
    assert!(services["queue"].is_null(), "{status}");
    let fault = services["faults"][0].as_str().unwrap();
    assert!(fault.contains("127.0.0.1:1"), "{status}");
    assert_eq!(status["model"], "", "{status}");
}
