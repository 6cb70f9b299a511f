//! A new edition of an index on a server, which several workers fill while it is edited and searched.

use mongodb::Collection;
use mongodb::bson::{Document, doc};
use qdrant_client::Qdrant;
use serde_json::Value;

use super::{Place, article};
use crate::support::binary;
use crate::support::process::Process;
use crate::support::qdrant::Server;

const DOCUMENTS: usize = 40;
/// Another model than that of the workers and searches, which have to open it by themselves.
const OTHER: (&str, &str) = ("LOCKSTEP_MODEL_DIMENSION", "128");

/// Services with documents in them; capture and two workers run.
struct Scene {
    place: Place,
    server: Server,
    articles: Collection<Document>,
    capture: Option<Process>,
    workers: Vec<Process>,
    edits: usize,
}

impl Scene {
    async fn open() -> Self {
        let mut place = Place::new();
        let server = Server::start().await;
        place.settings.push(("LOCKSTEP_VECTOR_URL", server.url()));
        // Filling takes two seconds, so that it can be met half-way.
        let slow = [
            ("LOCKSTEP_CAPTURE_SNAPSHOT_RATE", "20".to_owned()),
            ("LOCKSTEP_CAPTURE_PAGE_SIZE", "5".to_owned()),
        ];
        place.settings.extend(slow);
        let capture = place.start(&["capture"]);
        let workers = vec![place.start(&["feature"]), place.start(&["feature"])];
        for worker in &workers {
            worker
                .until(&["partitions={0} workers=2", "partitions={1} workers=2"])
                .await;
        }
        let articles = place.database().await.collection::<Document>("articles");
        let scene = Self {
            place,
            server,
            articles,
            capture: Some(capture),
            workers,
            edits: 0,
        };
        let all = (0..DOCUMENTS).map(|number| scene.article(number));
        let all: Vec<_> = all.collect();
        scene.articles.insert_many(all).await.unwrap();
        scene.place.ask(&["resync", "articles"]);
        scene.assert_whole(DOCUMENTS);
        let status = scene.place.ask(&["status"]);
        assert_eq!(status["index"]["dimension"], 384, "{status}");
        scene
    }

    fn article(&self, number: usize) -> Document {
        let text = format!("Common words, and the words of edit {}.", self.edits);
        article(&format!("number{number}"), &text)
    }

    /// Somebody goes on editing.
    async fn edit(&mut self) {
        self.edits += 1;
        let number = self.edits % (DOCUMENTS - 1);
        let one = doc! { "_id": format!("number{number}") };
        let edited = self.article(number);
        self.articles.replace_one(one, edited).await.unwrap();
    }

    /// A search by a process of its own finds every document: not a part, nothing twice, nothing gone.
    fn assert_whole(&self, documents: usize) {
        let ended = self
            .place
            .run(&["search", "common words", "--limit", "1000", "--json"]);
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        let hits = answer["hits"].as_array().unwrap();
        let mut titles: Vec<_> = hits.iter().map(|hit| hit["title"].to_string()).collect();
        titles.sort();
        titles.dedup();
        assert_eq!(
            (hits.len(), titles.len()),
            (documents, documents),
            "{answer}"
        );
    }

    fn with_other_model(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.place.settings.clone();
        settings.push((OTHER.0, OTHER.1.to_owned()));
        settings
    }

    fn reindex(&self) -> Process {
        let settings = self.with_other_model();
        Process::start(self.place.data(), &["reindex"], &settings)
    }

    /// A command of a process with the other model; its answer.
    fn ask_other(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let settings = self.with_other_model();
        let ended = binary::run_with(self.place.data(), &arguments, &settings);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.out).unwrap()
    }

    /// Edits and searches until the new edition holds some documents, and not all.
    async fn half_way(&mut self, documents: usize) -> Value {
        loop {
            self.edit().await;
            self.assert_whole(documents);
            let status = self.place.ask(&["status"]);
            if status["reindex"]["documents"].as_u64() > Some(5) {
                return status;
            }
        }
    }

    async fn collections(&self) -> Vec<String> {
        let client = Qdrant::from_url(&self.server.url()).skip_compatibility_check();
        let all = client.build().unwrap().list_collections().await.unwrap();
        let mut names: Vec<_> = all.collections.into_iter().map(|one| one.name).collect();
        names.sort();
        names
    }

    fn stop(mut self) {
        for mut process in self.workers.drain(..).chain(self.capture) {
            process.assert_running();
            process.stop();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_share_a_reindex_that_is_abandoned_and_goes_on_and_no_search_sees_a_part() {
    let mut scene = Scene::open().await;
    let reindex = scene.reindex();
    let status = scene.half_way(DOCUMENTS).await;
    assert_eq!(status["index"]["edition"], 1, "{status}");
    assert_eq!(status["reindex"]["edition"], 2, "{status}");
    // Whoever drives it is gone, and one of two workers.
    reindex.kill();
    scene.workers.pop().unwrap().kill();
    scene.assert_whole(DOCUMENTS);
    // Deleted while both editions are written to.
    let last = format!("https://example.org/number{}", DOCUMENTS - 1);
    scene.place.ask(&["delete", &last]);
    scene.assert_whole(DOCUMENTS - 1);
    let another = scene.place.start(&["feature"]);
    scene.workers.push(another);
    let reindex = scene.reindex();
    loop {
        scene.edit().await;
        scene.assert_whole(DOCUMENTS - 1);
        let status = scene.place.ask(&["status"]);
        if status["index"]["edition"] == 2 {
            break;
        }
        assert_eq!(status["reindex"]["edition"], 2, "{status}");
    }
    reindex.finish();
    scene.assert_whole(DOCUMENTS - 1);
    scene.edit().await;
    scene.place.ask(&["resync", "articles"]);
    let verified = scene.ask_other(&["verify", "--vectors"]);
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(verified["documents"], DOCUMENTS - 1, "{verified}");
    assert_eq!(verified["edition"], 2, "{verified}");
    let status = scene.ask_other(&["status"]);
    assert_eq!(status["index"]["dimension"], 128, "{status}");
    assert!(status["index"]["note"].is_null(), "{status}");
    let names = [
        "cleaned_articles@2",
        "lockstep_control",
        "vector_articles@2",
    ];
    assert_eq!(scene.collections().await, names);
    scene.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reindex_that_is_dropped_half_way_leaves_nothing_and_harms_no_worker() {
    let mut scene = Scene::open().await;
    let dry = scene.ask_other(&["reindex", "--dry-run"]);
    assert_eq!(dry["documents"], DOCUMENTS, "{dry}");
    assert_eq!(dry["chunks"], DOCUMENTS, "{dry}");
    assert!(
        dry["bytes"].as_u64() > Some(DOCUMENTS as u64 * 128 * 4),
        "{dry}"
    );
    let reindex = scene.reindex();
    scene.half_way(DOCUMENTS).await;
    reindex.kill();
    let dropped = scene.ask_other(&["reindex", "--drop"]);
    assert_eq!(dropped["edition"], 2, "{dropped}");
    for _ in 0..5 {
        scene.edit().await;
        scene.assert_whole(DOCUMENTS);
    }
    scene.place.ask(&["resync", "articles"]);
    let names = [
        "cleaned_articles@1",
        "lockstep_control",
        "vector_articles@1",
    ];
    assert_eq!(scene.collections().await, names);
    let verified = scene.place.ask(&["verify", "--vectors"]);
    assert_eq!(verified["clean"], true, "{verified}");
    let status = scene.place.ask(&["status"]);
    assert!(status["reindex"].is_null(), "{status}");
    // The next one is new.
    let done = scene.ask_other(&["reindex"]);
    assert_eq!(done["edition"], 3, "{done}");
    scene.assert_whole(DOCUMENTS);
    let names = [
        "cleaned_articles@3",
        "lockstep_control",
        "vector_articles@3",
    ];
    assert_eq!(scene.collections().await, names);
    scene.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reindex_waits_for_a_capture_that_is_started_anew() {
    let mut scene = Scene::open().await;
    scene.capture.take().unwrap().stop();
    let mut reindex = scene.reindex();
    reindex.until(&["the re-index waits for capture"]).await;
    reindex.assert_running();
    scene.assert_whole(DOCUMENTS);
    scene.capture = Some(scene.place.start(&["capture"]));
    reindex.finish();
    scene.assert_whole(DOCUMENTS);
    let status = scene.ask_other(&["status"]);
    assert_eq!(status["index"]["edition"], 2, "{status}");
    assert!(status["reindex"].is_null(), "{status}");
    scene.stop();
}
