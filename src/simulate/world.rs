//! One seed's world: who acts next, and when somebody is cut off.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::check::Checker;
use super::{Chaos, Edit, EmbedModel, Outcome, Plant, QueueModel, SourceModel, VectorModel};
use crate::Result;
use crate::capture::{self, Request, Resync};
use crate::change::{DocumentKey, Lane, Place, Time, Version};
use crate::clock::Clock;
use crate::document::{Document, Fields};
use crate::feature::worker::{self, Counters, Offload};

/// Two partitions show everything that more would.
const PARTITIONS: u32 = 2;
/// Rounds until rest, each half a simulated second; a healthy world needs a few.
const ROUNDS_MAX: u64 = 400;
/// Polls of each role a round.
const POLLS: u64 = 60;
const KINDS: [&str; 2] = ["posts", "notes"];
const IDS: usize = 4;
const PARAGRAPHS: [&str; 8] = [
    "alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha alpha",
    "beta beta beta beta beta beta beta beta beta beta beta beta beta beta beta beta",
    "gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma gamma",
    "delta delta delta delta delta delta delta delta delta delta delta delta delta delta",
    "epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon epsilon",
    "zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta zeta",
    "eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta eta",
    "theta theta theta theta theta theta theta theta theta theta theta theta theta",
];

type Task = Pin<Box<dyn Future<Output = Result<()>>>>;

/// Models, roles and luck.
pub(super) struct World {
    seed: u64,
    chaos: Chaos,
    clock: Clock,
    source: SourceModel,
    queue: QueueModel,
    store: VectorModel,
    embedder: Arc<EmbedModel>,
    requests: Option<mpsc::Sender<Request>>,
    roles: Vec<Option<Task>>,
    checker: Checker,
    calm: bool,
    edits: u64,
    crashes: u64,
    steps: u64,
}

impl World {
    pub(super) fn new(seed: u64, plant: Option<Plant>) -> Self {
        let chaos = Chaos::new(seed, plant);
        let clock = Clock::manual(1_000_000);
        let source = SourceModel::new(chaos.clone(), clock.clone());
        // Some seeds have no faults at all: what must hold only then is checked there.
        let calm = chaos.luck(10);
        chaos.set_faults(!calm);
        let looks_up = !calm && chaos.luck(40);
        if looks_up {
            source.look_up();
        }
        let workers = if calm { 1 } else { 1 + chaos.below(2) };
        let embedder = Arc::new(EmbedModel::new(chaos.clone()));
        Self {
            seed,
            queue: QueueModel::new(PARTITIONS, chaos.clone(), clock.clone()),
            store: VectorModel::new(chaos.clone()),
            checker: Checker::new(Arc::clone(&embedder), looks_up),
            embedder,
            source,
            clock,
            chaos,
            requests: None,
            roles: (0..=workers).map(|_| None).collect(),
            calm,
            edits: 0,
            crashes: 0,
            steps: 0,
        }
    }

    pub(super) async fn run(mut self, steps: u64) -> Outcome {
        let broken = match self.live(steps).await {
            Ok(()) => self.rest().await.err(),
            Err(broken) => Some(broken),
        };
        let Self {
            seed,
            steps,
            edits,
            crashes,
            ..
        } = self;
        Outcome {
            seed,
            steps,
            edits,
            crashes,
            broken,
        }
    }

    async fn live(&mut self, steps: u64) -> Result<(), String> {
        for _ in 0..steps {
            self.steps += 1;
            match self.chaos.below(100) {
                0..12 => self.edit(),
                12..14 => self.pass_time(200 + self.chaos.below(1500) as u64).await,
                14..17 if !self.calm => {
                    self.crash();
                    self.checker.nothing_orphaned(&self.store)?;
                }
                17 if !self.calm => self.misfortune(),
                18 => self.ask(),
                _ => {
                    // A burst of polls of one role, so that it sometimes gets through.
                    let role = self.chaos.below(self.roles.len());
                    for _ in 0..=self.chaos.below(12) {
                        self.poll(role);
                        self.check()?;
                    }
                }
            }
            self.check()?;
        }
        Ok(())
    }

    /// Faults end, poison is mended, and everything comes to rest.
    async fn rest(&mut self) -> Result<(), String> {
        self.chaos.set_faults(false);
        let poisoned: Vec<_> = self.checker.poisoned(&self.source);
        for key in poisoned {
            self.commit(vec![Edit::Save(Document {
                fields: self.fields(2),
                key,
            })]);
        }
        for round in 0..ROUNDS_MAX {
            for _ in 0..POLLS {
                self.steps += 1;
                (0..self.roles.len()).for_each(|role| self.poll(role));
                self.check()?;
            }
            self.pass_time(500).await;
            if round > 8 && self.is_at_rest() {
                self.checker.nothing_orphaned(&self.store)?;
                self.checker.at_rest(&self.source, &self.store, self.calm)?;
                return Ok(());
            }
        }
        Err(format!(
            "no rest after {ROUNDS_MAX} rounds: {}",
            self.state()
        ))
    }

    fn is_at_rest(&self) -> bool {
        let source = self.source.state();
        let caught_up = source.checkpoint.as_ref().is_some_and(|checkpoint| {
            super::source::index(&checkpoint.position) == source.log.len()
                && !checkpoint.snapshot.is_active()
        });
        let store = self.store.state();
        caught_up && self.queue.state().is_empty() && store.control.passing.is_empty()
    }

    /// What keeps the world from rest, for a person.
    fn state(&self) -> String {
        let (source, store) = (self.source.state(), self.store.state());
        format!(
            "{} events, checkpoint {:?}, queue {:?}, floors {:?}",
            source.log.len(),
            source.checkpoint,
            self.queue.state().waiting(),
            store.control.passing,
        )
    }

    fn check(&mut self) -> Result<(), String> {
        self.checker.step(&self.source, &self.queue, &self.store)
    }

    fn commit(&mut self, edits: Vec<Edit>) {
        if self.source.commit(edits) > 0 {
            self.edits += 1;
            self.checker.committed(&self.source);
        }
    }

    fn key(&self) -> DocumentKey {
        let kind = KINDS[self.chaos.below(KINDS.len())];
        DocumentKey::text(kind, &self.chaos.below(IDS).to_string())
    }

    fn document(&self, key: DocumentKey) -> Document {
        let fields = if self.chaos.luck(6) && !self.calm {
            // No text: it cannot be prepared, and is parked.
            Fields::from_iter([("content".to_owned(), json!(5))])
        } else {
            self.fields(self.chaos.below(5))
        };
        Document { key, fields }
    }

    fn fields(&self, paragraphs: usize) -> Fields {
        let text: Vec<_> = (0..paragraphs)
            .map(|_| PARAGRAPHS[self.chaos.below(PARAGRAPHS.len())])
            .collect();
        let author = ["ada", "grace"][self.chaos.below(2)];
        Fields::from_iter([
            ("content".to_owned(), json!(text.join("\n\n"))),
            ("author_id".to_owned(), json!(author)),
        ])
    }

    /// Somebody writes to the source.
    fn edit(&mut self) {
        let edits = match self.chaos.below(40) {
            0 => vec![Edit::Drop(KINDS[self.chaos.below(KINDS.len())].to_owned())],
            1 => {
                let kind = KINDS[self.chaos.below(KINDS.len())];
                let ids = (0..self.chaos.below(IDS)).map(|id| id.to_string());
                let documents = ids.map(|id| self.document(DocumentKey::text(kind, &id)));
                vec![Edit::Replace(kind.to_owned(), documents.collect())]
            }
            2..12 => vec![Edit::Delete(self.key())],
            12..18 => (0..2 + self.chaos.below(3))
                .map(|_| match self.chaos.below(4) {
                    0 => Edit::Delete(self.key()),
                    _ => Edit::Save(self.document(self.key())),
                })
                .collect(),
            _ => vec![Edit::Save(self.document(self.key()))],
        };
        self.commit(edits);
    }

    /// What no role can help.
    fn misfortune(&mut self) {
        match self.chaos.below(4) {
            0 => self.source.trim(),
            1 => {
                self.source.state().checkpoint = None;
                // Whoever ran with it is gone too.
                self.roles[0] = None;
            }
            2 => {
                let partition = u32::try_from(self.chaos.below(2)).unwrap_or(0);
                self.queue.garbage(Place {
                    partition,
                    lane: Lane::Live,
                });
            }
            _ => {}
        }
    }

    /// A person asks for a resync or retries what is parked.
    fn ask(&mut self) {
        if self.chaos.has(Plant::OldBodyReplayed) {
            let now = self
                .source
                .state()
                .log
                .last()
                .map_or(0, |logged| logged.time);
            self.queue
                .replay_parked(Version::read(1, Time::from_sequence(now)));
            return;
        }
        let parked: Vec<_> = self.queue.state().parked_keys().into_iter().collect();
        let what = match self.chaos.below(4) {
            0 => Resync::Kind(KINDS[self.chaos.below(KINDS.len())].to_owned()),
            1 if !parked.is_empty() => Resync::Keys(parked),
            _ => Resync::Keys(vec![self.key()]),
        };
        if let Some(requests) = &self.requests {
            let (done, _) = oneshot::channel();
            // A full channel refuses; the person asks again.
            drop(requests.try_send(Request { what, done }));
        }
    }

    /// Drops a role at whichever await it stands.
    fn crash(&mut self) {
        let role = self.chaos.below(self.roles.len());
        tracing::trace!(role, "crash");
        if self.roles[role].take().is_some() {
            self.crashes += 1;
        }
    }

    async fn pass_time(&mut self, milliseconds: u64) {
        self.clock.advance(milliseconds);
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }

    fn poll(&mut self, role: usize) {
        let mut task = match self.roles[role].take() {
            Some(task) => task,
            None => self.start(role),
        };
        let mut context = Context::from_waker(Waker::noop());
        match task.as_mut().poll(&mut context) {
            Poll::Pending => self.roles[role] = Some(task),
            // It stopped and said why: a person looks, lets it try again, and starts it anew.
            Poll::Ready(_) => {
                if let Some(checkpoint) = &mut self.source.state().checkpoint {
                    checkpoint.resets = 0;
                }
            }
        }
    }

    fn start(&mut self, role: usize) -> Task {
        if role == 0 {
            self.capture()
        } else {
            self.worker()
        }
    }

    fn capture(&mut self) -> Task {
        let (sender, receiver) = mpsc::channel(4);
        self.requests = Some(sender);
        let (source, queue, clock) = (self.source.clone(), self.queue.clone(), self.clock.clone());
        Box::pin(async move {
            let settings = capture::Settings {
                window: 4,
                page_size: 2,
                save_after: 3,
                kinds: KINDS.map(str::to_owned).into(),
                ..capture::Settings::default()
            };
            let ports = capture::Ports {
                source: &source,
                checkpoints: &source,
                queue: &queue,
                clock: &clock,
            };
            capture::run(ports, &settings, receiver, std::future::pending()).await
        })
    }

    fn worker(&mut self) -> Task {
        let (queue, store, clock) = (self.queue.clone(), self.store.clone(), self.clock.clone());
        let embedder = Arc::clone(&self.embedder);
        Box::pin(async move {
            let settings = worker::Settings {
                batch: 4,
                // Crashes here are nobody's fault.
                attempts_max: u32::MAX,
                collect_every: Duration::from_secs(2),
                tombstone_ttl: Duration::ZERO,
                offload: Offload::Inline,
                ..worker::Settings::default()
            };
            let ports = worker::Ports {
                queue: &queue,
                store: &store,
                embedder: &embedder,
                clock: &clock,
                counters: &Counters::default(),
            };
            worker::run(
                ports,
                &settings,
                (0..PARTITIONS).collect(),
                std::future::pending(),
            )
            .await
        })
    }
}
