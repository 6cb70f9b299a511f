//! Servers, capture, workers, writer and searcher, and what must hold of the index at rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use lockstep::change::Time;
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::vector::VectorStore as _;
use lockstep::vector::qdrant::{QdrantStore, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::block_in_place;

use super::book::{Book, KINDS};
use super::disturb::WORKERS_MIN;
use super::patiently;
use super::searcher::Searcher;
use super::writer::{Habit, Writer};
use crate::support::binary::{self, Ended};
use crate::support::broker::Broker;
use crate::support::mongo::MongoServer;
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::qdrant::Server;

const DATABASE: &str = "twin";
const PARTITIONS: usize = 4;
/// As many as the program's own.
const DIMENSION: usize = 384;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Everything that takes part.
pub(super) struct Scene {
    pub(super) workers: Vec<Process>,
    pub(super) broker: Broker,
    pub(super) to_queue: Proxy,
    pub(super) to_store: Proxy,
    capture: Process,
    /// Past the proxy, as are capture and the commands.
    store: Arc<QdrantStore>,
    book: Arc<Mutex<Book>>,
    writer: Option<Writer>,
    searcher: Option<Searcher>,
    data: TempDir,
    /// Of the workers, through the proxies, and of all others.
    settings: [Vec<(&'static str, String)>; 2],
    _servers: (MongoServer, Server),
    joined: u32,
}

impl Scene {
    /// Starts everything on so many documents.
    pub(super) async fn open(documents: usize, random: &mut Rng) -> Self {
        let source = MongoServer::start(&["--sync-on-commit"]);
        let broker = block_in_place(Broker::start);
        let server = Server::start().await;
        let at_broker = broker.url();
        let (_, address) = at_broker.rsplit_once('@').unwrap();
        let to_queue = Proxy::start(address.to_owned()).await;
        let to_store = Proxy::start(server.address()).await;
        let embedder = HashEmbedder::new(DIMENSION);
        let opened = QdrantStore::open(Settings::new(server.url()), embedder.model(), 1);
        let store = Arc::new(opened.await.unwrap());
        let book = Arc::<Mutex<Book>>::default();
        let database = source.client().await.database(DATABASE);
        let writer = Writer::start(&database, documents, &book, random, Habit::RESTLESS).await;
        let through = [
            (
                "LOCKSTEP_QUEUE_URL",
                format!("amqp://guest:guest@{}", to_queue.address()),
            ),
            (
                "LOCKSTEP_VECTOR_URL",
                format!("http://{}", to_store.address()),
            ),
        ];
        let past = [
            ("LOCKSTEP_QUEUE_URL", broker.url()),
            ("LOCKSTEP_VECTOR_URL", server.url()),
            ("LOCKSTEP_SOURCE_URL", source.url("commands")),
            ("LOCKSTEP_SOURCE_DATABASE", DATABASE.to_owned()),
            ("LOCKSTEP_SOURCE_COLLECTIONS", KINDS.join(",")),
            ("LOCKSTEP_CAPTURE_TICK_MS", "500".to_owned()),
        ];
        let common = [
            ("LOCKSTEP_QUEUE_PARTITIONS", PARTITIONS.to_string()),
            ("LOCKSTEP_VECTOR_TIMEOUT_SECONDS", "5".to_owned()),
            ("LOCKSTEP_FEATURE_BATCH_SIZE", "64".to_owned()),
        ];
        let settings = [
            through.into_iter().chain(common.clone()).collect(),
            past.into_iter().chain(common).collect::<Vec<_>>(),
        ];
        let data = tempfile::tempdir().unwrap();
        let capture = Process::start(data.path(), &["capture"], &settings[1]);
        let searcher = Searcher::start(&store, embedder, &book, random.fork());
        let mut scene = Self {
            workers: Vec::new(),
            broker,
            to_queue,
            to_store,
            capture,
            store,
            book,
            writer: Some(writer),
            searcher: Some(searcher),
            data,
            settings,
            _servers: (source, server),
            joined: 0,
        };
        for _ in 0..WORKERS_MIN {
            scene.join();
        }
        scene
    }

    /// Starts another worker.
    pub(super) fn join(&mut self) {
        let worker = Process::start(self.data.path(), &["feature"], &self.settings[0]);
        self.workers.push(worker);
        self.joined += 1;
    }

    /// Fails where somebody has ended by itself.
    pub(super) fn assert_running(&mut self) {
        self.capture.assert_running();
        for worker in &mut self.workers {
            worker.assert_running();
        }
    }

    /// Stops the writer, waits until everything is settled, and compares; how much there was.
    pub(super) async fn settle(mut self) -> String {
        let written = self.writer.take().unwrap().stop().await;
        let last = self.book.lock().unwrap().last();
        let settled = async {
            while self.settled().await < last {
                tokio::time::sleep(LOOK).await;
            }
        };
        let happens = tokio::time::timeout(super::PATIENCE, settled).await;
        if happens.is_err() {
            let all = self.workers.iter().chain([&self.capture]);
            let said: Vec<String> = all.map(Process::said).collect();
            let control = self.store.control().await.unwrap();
            panic!(
                "not settled up to {last:?}: {:?}\n{}",
                control.watermarks,
                said.join("\n---\n")
            );
        }
        let searched = self.searcher.take().unwrap().stop().await;
        self.assert_running();
        let verified = self.verify().await;
        assert_eq!(verified["clean"], true, "{verified:#}");
        let parked = self.ask(&["parked", "list", "--json"]);
        assert!(parked.out.contains("\"messages\": []"), "{parked:?}");
        assert!(searched.deleted > 0, "{searched:?}: nothing was shown");
        let counts = self.store.counts().await.unwrap();
        format!(
            "{written} writes, {} workers, {searched:?}, {counts:?}, {} documents compared",
            self.joined, verified["documents"],
        )
    }

    /// Compares, and again where something was not collected yet that no search finds.
    async fn verify(&self) -> Value {
        let compare = async {
            let ended = self.ask(&["verify", "--vectors", "--json"]);
            serde_json::from_str::<Value>(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"))
        };
        patiently("the comparison", compare).await
    }

    fn ask(&self, arguments: &[&str]) -> Ended {
        let data = self.data.path();
        block_in_place(|| binary::run_with(data, arguments, &self.settings[1]))
    }

    /// The time up to which every queue is settled.
    async fn settled(&self) -> Time {
        let control = self.store.control().await.unwrap();
        if control.watermarks.len() < 2 * PARTITIONS {
            return Time::default();
        }
        let marks = control.watermarks.values();
        marks.map(|mark| mark.version.time).min().unwrap()
    }
}
