//! Queue to index: receive, prepare, store, settle.
//!
//! ```text
//! receive ──> ledger ──works──> is it current? ──> prepare ──> store ──> settle
//!                  ├─barriers─> floor, watermark ─────────────────────> settle
//!                  └─parks────> park
//! ```
//!
//! Several workers may share a partition: nothing here relies on being alone. An error gives back
//! what is in hand and waits; what cannot succeed is parked, and the others go on. When the partition count
//! changes, the end of each queue is settled like any barrier, and the worker consumes from the next ones.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::collect;
use super::embed::Embedder;
use super::floor;
use super::ledger::{Ledger, Work};
use super::plan::{Plan, is_current};
use super::prepare::{Limits, Prepared};
use super::store;
use super::types::Types;
use crate::change::{Act, Barrier, Change, Operation, Place};
use crate::clock::Clock;
use crate::queue::{Consumer, Generations, Tag};
use crate::retry::Backoff;
use crate::vector::{Control, Floor, Manifest, Select, VectorStore, Watermark, Write};
use crate::{Error, Recovery, Result};

/// How a worker behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Deliveries in hand.
    pub batch: usize,
    /// Times that a change may be received before it is parked.
    pub attempts_max: u32,
    /// How long deliveries are kept while nothing can be stored, before they are given back.
    pub hold_max: Duration,
    /// Between two looks for tombstones to collect.
    pub collect_every: Duration,
    /// How long a tombstone stays at least.
    pub tombstone_ttl: Duration,
    /// Where documents are prepared.
    pub offload: Offload,
    /// What their fields mean.
    pub types: Arc<Types>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch: 64,
            attempts_max: 5,
            // RabbitMQ takes back after thirty minutes, and closes the channel.
            hold_max: Duration::from_mins(20),
            collect_every: Duration::from_hours(1),
            tombstone_ttl: Duration::from_hours(7 * 24),
            offload: Offload::Blocking,
            types: Arc::default(),
        }
    }
}

/// Where work of the processor is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// On a thread for blocking work, so that the runtime stays free.
    Blocking,
    /// Right here: a simulation has one thread.
    Inline,
}

/// What workers did, for `status`; shared by all of one process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Texts that had no vector and got one.
    pub embedded: AtomicU64,
    /// Of these, texts whose vector was in the cache.
    pub cached: AtomicU64,
    /// Texts whose vector was there already.
    pub kept: AtomicU64,
    /// Changes that were stored.
    pub stored: AtomicU64,
    /// Changes that something newer had overtaken.
    pub overtaken: AtomicU64,
    /// Messages that were set aside.
    pub parked: AtomicU64,
}

/// What a worker needs.
#[derive(Debug)]
pub struct Ports<'a, Q, V, E> {
    /// Where changes come from.
    pub queue: &'a Q,
    /// Where points go.
    pub store: &'a V,
    /// Makes vectors.
    pub embedder: &'a Arc<E>,
    /// Wall clock, for the age of tombstones.
    pub clock: &'a Clock,
    /// What is counted.
    pub counters: &'a Counters,
}

/// Why a session ended well.
enum Ended {
    Stopped,
    /// The queues were left for those of the next generation.
    Generation,
}

/// Works until `shutdown` is ready; what is in hand then is finished first. `share` says which of so many
/// partitions are ours; it is asked anew for every generation of queues.
///
/// # Errors
/// Only those that trying again cannot mend.
pub async fn run<Q: Generations, V: VectorStore, E: Embedder>(
    ports: Ports<'_, Q, V, E>,
    settings: &Settings,
    share: impl Fn(u32) -> Vec<u32> + Send + Sync,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    tokio::pin!(shutdown);
    let mut backoff = Backoff::default();
    loop {
        let worker = Worker {
            ports: &ports,
            settings,
        };
        let error = match worker
            .session(&share, shutdown.as_mut(), &mut backoff)
            .await
        {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Generation) => {
                tracing::info!("the partition count has changed; the next queues are consumed");
                continue;
            }
            Err(error) => error,
        };
        let Recovery::Retry(pause) = error.recovery() else {
            return Err(error);
        };
        let pause = backoff.next(pause);
        tracing::warn!(error = %error.chain(), pause_ms = pause.as_millis(), "work begins again");
        tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Between two attempts at a delete that cannot be stored: a person has to look.
const DELETE_PAUSE: Duration = Duration::from_mins(1);

fn is_parking(error: &Error) -> bool {
    error.recovery() == Recovery::Park
}

struct Worker<'a, Q, V, E> {
    ports: &'a Ports<'a, Q, V, E>,
    settings: &'a Settings,
}

impl<Q: Generations, V: VectorStore, E: Embedder> Worker<'_, Q, V, E> {
    /// Consumes until shutdown, the end of the generation or an error; then whatever is in hand goes back
    /// with the consumer.
    async fn session(
        &self,
        share: &(impl Fn(u32) -> Vec<u32> + Send + Sync),
        mut shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<Ended> {
        // While the store is away nothing is consumed: it would be charged with an attempt.
        self.ports.store.control().await?;
        let count = self.ports.queue.current().await?;
        let mut consumer = self.ports.queue.consume(share(count)).await?;
        if self.ports.queue.partitions() != count {
            // The next generation began in between, and this share is of the last one.
            return Ok(Ended::Generation);
        }
        let mut failing_since = None;
        let every = self.settings.collect_every;
        let mut collections = interval_at(Instant::now() + every, every);
        collections.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deliveries = tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(Ended::Stopped),
                _ = collections.tick() => {
                    self.collect().await?;
                    continue;
                }
                deliveries = consumer.receive(self.settings.batch) => deliveries?,
            };
            if deliveries.is_empty() {
                return Ok(Ended::Generation);
            }
            let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
            let ledger = Ledger::sort(deliveries, self.settings.attempts_max);
            let Err(error) = self.process(&mut consumer, ledger).await else {
                backoff.reset();
                failing_since = None;
                continue;
            };
            let Recovery::Retry(pause) = error.recovery() else {
                return Err(error);
            };
            // The same consumer goes on: giving it up would charge every message that it has
            // fetched with an attempt, and an outage of the store is no fault of theirs.
            let pause = backoff.next(pause);
            let since = *failing_since.get_or_insert_with(Instant::now);
            if since.elapsed() + pause >= self.settings.hold_max {
                return Err(error);
            }
            consumer.release(tags, pause).await?;
            tracing::warn!(error = %error.chain(), pause_ms = pause.as_millis(), "work is tried again");
            tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(Ended::Stopped),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn process(&self, consumer: &mut Q::Consumer, ledger: Ledger) -> Result<()> {
        for (tag, reason) in ledger.parks {
            self.park(consumer, tag, reason).await?;
        }
        self.work(consumer, ledger.works).await?;
        self.pass(consumer, ledger.barriers).await
    }

    /// Brings documents up to date: all together, and one by one where that fails for one of them.
    async fn work(&self, consumer: &mut Q::Consumer, works: Vec<Work>) -> Result<()> {
        match self.store(consumer, &works).await {
            Err(error) if is_parking(&error) => {}
            done => return done,
        }
        for work in works {
            match self.store(consumer, std::slice::from_ref(&work)).await {
                // A parked delete would leave what it deletes to be found.
                Err(error) if is_parking(&error) && work.change.operation == Operation::Delete => {
                    tracing::error!(key = %work.change.key, error = %error.chain(), "a delete is tried again");
                    consumer.release(work.tags(), DELETE_PAUSE).await?;
                }
                Err(error) if is_parking(&error) => {
                    self.park(consumer, work.tag, error.chain()).await?;
                    // Older changes of the key may be well; they come again without this one.
                    consumer.release(work.overtaken, Duration::ZERO).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Plans and stores these documents, then settles their deliveries.
    async fn store(&self, consumer: &mut Q::Consumer, works: &[Work]) -> Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = works.iter().map(|work| work.change.key.clone()).collect();
        let control = self.ports.store.control().await?;
        let manifests = self.ports.store.manifests(Select::Of(keys)).await?;
        let mut plans = Vec::with_capacity(works.len());
        let mut remains = Vec::new();
        for work in works {
            let stored = manifests
                .iter()
                .find(|manifest| manifest.key == work.change.key);
            if is_current(&work.change.key, work.change.version, stored, &control) {
                plans.push(self.plan(&work.change, stored).await?);
            } else if work.again {
                remains.push((work.change.key.clone(), work.change.version));
            }
        }
        self.count(plans.len(), works.len() - plans.len());
        // A worker may have died over this very change, after its points and before its sweep.
        store::sweep(self.ports.store, remains).await?;
        if !plans.is_empty() {
            let stored =
                store::store(self.ports.store, self.ports.embedder.as_ref(), plans).await?;
            self.ports
                .counters
                .embedded
                .fetch_add(stored.embedded as u64, Ordering::Relaxed);
            self.ports
                .counters
                .kept
                .fetch_add(stored.kept as u64, Ordering::Relaxed);
        }
        consumer
            .settle(works.iter().flat_map(Work::tags).collect())
            .await
    }

    async fn plan(&self, change: &Change, stored: Option<&Manifest>) -> Result<Plan> {
        if let Some(plan) = Plan::of_delete(change, stored) {
            return Ok(plan);
        }
        let prepared = self.prepare(change).await?;
        let fingerprint = self.settings.types.fingerprint(&change.key.kind);
        Ok(Plan::new(change, prepared, stored, fingerprint))
    }

    async fn prepare(&self, change: &Change) -> Result<Prepared> {
        let embedder = Arc::clone(self.ports.embedder);
        let types = Arc::clone(&self.settings.types);
        let (kind, fields) = (
            change.key.kind.clone(),
            change.fields.clone().unwrap_or_default(),
        );
        let prepare = move || {
            let limits = Limits::of_model(embedder.model());
            types.prepare(&kind, &fields, &limits, &|text: &str| {
                embedder.token_count(text)
            })
        };
        match self.settings.offload {
            Offload::Inline => prepare(),
            Offload::Blocking => tokio::task::spawn_blocking(prepare)
                .await
                .map_err(|_| Error::malformed(change.key.to_string(), "preparing it panicked"))?,
        }
    }

    async fn park(&self, consumer: &mut Q::Consumer, tag: Tag, reason: String) -> Result<()> {
        tracing::warn!(reason, "a change is parked");
        consumer.park(tag, reason).await?;
        self.ports.counters.parked.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Does what barriers say: everything before each in its queue is settled or parked.
    async fn pass(
        &self,
        consumer: &mut Q::Consumer,
        barriers: Vec<(Tag, Place, Barrier)>,
    ) -> Result<()> {
        if barriers.is_empty() {
            return Ok(());
        }
        let store = self.ports.store;
        let control = store.control().await?;
        let tags = barriers.iter().map(|(tag, ..)| *tag).collect();
        let (mut writes, mut ends) = (Vec::new(), Vec::new());
        for (_, place, barrier) in barriers {
            match barrier {
                Barrier::Floor {
                    kind,
                    version,
                    act: Act::AtOnce,
                    ..
                } => {
                    floor::act(store, &kind, version).await?;
                }
                // A repeat of a barrier whose floor has acted has nothing left to do.
                Barrier::Floor { kind, version, .. } if control.voids(&kind, version) => {}
                Barrier::Floor {
                    id,
                    kind,
                    version,
                    act: Act::WhenPassed,
                } => {
                    writes.push(Write::Passed {
                        floor: Floor { id, kind, version },
                        place,
                    });
                }
                Barrier::Watermark {
                    version,
                    committed_ms,
                } => {
                    let mark = Watermark {
                        version,
                        committed_ms,
                    };
                    writes.push(Write::Watermark { place, mark });
                }
                Barrier::End {
                    partitions, next, ..
                } => ends.push((place, partitions, next)),
            }
        }
        store.write(writes).await?;
        let control = store.control().await?;
        self.act_passed(&control).await?;
        // Barriers in a row are passed together: an end hands on what those before it have just written.
        let heirs = |(place, partitions, next)| floor::inherited(&control, place, partitions, next);
        let inherited: Vec<_> = ends.into_iter().flat_map(heirs).collect();
        if !inherited.is_empty() {
            store.write(inherited).await?;
        }
        consumer.settle(tags).await
    }

    async fn act_passed(&self, control: &Control) -> Result<()> {
        if control.passing.is_empty() {
            return Ok(());
        }
        floor::act_passed(self.ports.queue, self.ports.store, control).await
    }

    async fn collect(&self) -> Result<()> {
        let now_ms = self.ports.clock.now_ms();
        let ttl = self.settings.tombstone_ttl;
        let collected = collect::collect(self.ports.queue, self.ports.store, now_ms, ttl).await?;
        tracing::debug!(?collected, "collected what nobody needs");
        Ok(())
    }

    fn count(&self, stored: usize, overtaken: usize) {
        self.ports
            .counters
            .stored
            .fetch_add(stored as u64, Ordering::Relaxed);
        self.ports
            .counters
            .overtaken
            .fetch_add(overtaken as u64, Ordering::Relaxed);
    }
}
