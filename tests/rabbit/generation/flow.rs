//! The partition count changes under a whole flow: edits, captures, workers, crashes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lockstep::capture;
use lockstep::document::{Document, Fields};
use lockstep::feature::worker::{self, Counters};
use lockstep::reindex::Alone;
use lockstep::shutdown::requested;
use lockstep::simulate::{Chaos, Edit, EmbedModel, SourceModel, VectorModel};
use lockstep::vector::{Select, VectorStore as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::super::*;
use super::{PATIENCE, asking_for};

/// Source and index in memory; between them capture, worker, and the real broker.
struct Flow {
    settings: Settings,
    source: SourceModel,
    store: VectorModel,
    roles: JoinSet<()>,
}

impl Flow {
    fn save(&self, number: u64) {
        let content = serde_json::json!(format!("text {number}"));
        let fields = Fields::from_iter([("content".to_owned(), content)]);
        let key = DocumentKey::text("posts", &(number % 40).to_string());
        self.source
            .commit(vec![Edit::Save(Document { key, fields })]);
    }

    /// A process that captures; it is killed with the value.
    fn capture(&self, partitions: u32) -> JoinSet<()> {
        let (settings, source) = (self.settings.clone(), self.source.clone());
        let mut role = JoinSet::new();
        role.spawn(async move {
            let queue = asking_for(&settings, partitions).await;
            let ports = capture::Ports {
                source: &source,
                checkpoints: &source,
                queue: &queue,
                clock: &Clock::manual(5_000),
            };
            let tick = Duration::from_millis(50);
            let settings = capture::Settings {
                tick,
                ..capture::Settings::default()
            };
            let (_asking, asked) = mpsc::channel(1);
            let never = std::future::pending();
            capture::run(ports, &settings, asked, never).await.unwrap();
        });
        role
    }

    /// The one index that every process writes to.
    fn editions(&self) -> Alone<VectorModel, EmbedModel> {
        let (store, embedder) = (self.store.clone(), EmbedModel::new(Chaos::calm()));
        Alone::new(Arc::new(store), Arc::new(embedder), "simulated")
    }

    /// A process that works on a share of the partitions, until it is told to stop.
    async fn share(&self) -> (watch::Sender<bool>, JoinSet<()>) {
        let (queue, sharing) = open(&self.settings).await.shared();
        let (stop, stopped) = watch::channel(false);
        let mut role = JoinSet::new();
        let leaving = requested(stopped.clone());
        role.spawn(async move { sharing.run(leaving).await.unwrap() });
        let editions = self.editions();
        role.spawn(async move {
            let ports = worker::Ports {
                queue: &queue,
                editions: &editions,
                clock: &Clock::manual(5_000),
                counters: &Counters::default(),
            };
            let (all, settings) = (|count| (0..count).collect(), worker::Settings::default());
            let until = requested(stopped);
            worker::run(ports, &settings, all, until).await.unwrap();
        });
        (stop, role)
    }

    /// A process that works; it ends with the flow.
    async fn work(&mut self) {
        let queue = open(&self.settings).await;
        let editions = self.editions();
        self.roles.spawn(async move {
            let ports = worker::Ports {
                queue: &queue,
                editions: &editions,
                clock: &Clock::manual(5_000),
                counters: &Counters::default(),
            };
            let (all, never) = (|count| (0..count).collect(), std::future::pending());
            let settings = worker::Settings::default();
            worker::run(ports, &settings, all, never).await.unwrap();
        });
    }

    /// Waits until this edit is in the index.
    async fn until(&self, number: u64) {
        let key = DocumentKey::text("posts", &(number % 40).to_string());
        let indexed = async {
            loop {
                let select = Select::Of(vec![key.clone()]);
                let manifests = self.store.manifests(select).await.unwrap();
                let text = format!("text {number}");
                if manifests.iter().any(|it| it.text.trim() == text) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, indexed).await;
        assert!(waited.is_ok(), "edit {number} did not come");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_changes_while_edits_captures_and_crashes_go_on() {
    let mut flow = Flow {
        settings: settings(),
        source: SourceModel::new(Chaos::calm(), Clock::manual(5_000)),
        store: VectorModel::new(Chaos::calm()),
        roles: JoinSet::new(),
    };
    flow.work().await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut edits = 0;
    for partitions in [2, 5, 3, 1, 4] {
        // Killed wherever it stands, some times before it gets through.
        for _ in 0..4 {
            let capture = flow.capture(partitions);
            for _ in 0..random.u64(1..60) {
                edits += 1;
                flow.save(edits);
            }
            tokio::time::sleep(Duration::from_millis(random.u64(0..700))).await;
            drop(capture);
        }
        let _capture = flow.capture(partitions);
        edits += 1;
        flow.save(edits);
        flow.until(edits).await;
        assert_eq!(open(&flow.settings).await.partitions(), partitions);
        // All of the last round, and not only the last one.
        for number in edits.saturating_sub(39).max(1)..=edits {
            flow.until(number).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_share_every_generation() {
    let flow = Flow {
        settings: settings(),
        source: SourceModel::new(Chaos::calm(), Clock::manual(5_000)),
        store: VectorModel::new(Chaos::calm()),
        roles: JoinSet::new(),
    };
    // More of them than partitions, some times.
    let mut workers = VecDeque::new();
    for _ in 0..3 {
        workers.push_back(flow.share().await);
    }
    let mut edits = 0;
    for partitions in [2, 5, 1, 4] {
        let _capture = flow.capture(partitions);
        for _ in 0..30 {
            edits += 1;
            flow.save(edits);
        }
        // One joins and one leaves while the count changes.
        workers.push_back(flow.share().await);
        let (stop, role) = workers.pop_front().unwrap();
        stop.send_replace(true);
        role.join_all().await;
        edits += 1;
        flow.save(edits);
        for number in edits.saturating_sub(39).max(1)..=edits {
            flow.until(number).await;
        }
        assert_eq!(open(&flow.settings).await.partitions(), partitions);
    }
}
