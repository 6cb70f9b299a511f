//! Queue to index: receive, prepare, store, settle.
//!
//! ```text
//! receive ──> ledger ──works──> is it current? ──> prepare ──> store ──> settle
//!                  ├─barriers─> floor, watermark ─────────────────────> settle
//!                  └─parks────> park
//! ```
//!
//! Several workers may share a partition: nothing here relies on being alone. An error gives back
//! what is in hand and waits; what cannot succeed is parked, and the others go on.

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
use crate::queue::{Consumer, Queue, Tag};
use crate::reindex::{self, Editions, Index, Standing};
use crate::retry::Backoff;
use crate::vector::{Floor, Manifest, Select, VectorStore, Watermark, Write};
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
pub struct Ports<'a, Q, T> {
    /// Where changes come from.
    pub queue: &'a Q,
    /// Where points go, and what makes their vectors.
    pub editions: &'a T,
    /// Wall clock, for the age of tombstones.
    pub clock: &'a Clock,
    /// What is counted.
    pub counters: &'a Counters,
}

/// Works until `shutdown` is ready; what is in hand then is finished first.
///
/// # Errors
/// Only those that trying again cannot mend.
pub async fn run<Q: Queue, T: Editions>(
    ports: Ports<'_, Q, T>,
    settings: &Settings,
    partitions: Vec<u32>,
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
            .session(&partitions, shutdown.as_mut(), &mut backoff)
            .await
        {
            Ok(()) => return Ok(()),
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

struct Worker<'a, Q, T> {
    ports: &'a Ports<'a, Q, T>,
    settings: &'a Settings,
}

/// The editions that are written to.
type Open<T> = Standing<<T as Editions>::Store, <T as Editions>::Embedder>;
/// One of them.
type One<T> = Index<<T as Editions>::Store, <T as Editions>::Embedder>;

impl<Q: Queue, T: Editions> Worker<'_, Q, T> {
    /// Consumes until shutdown or an error; then whatever is in hand goes back with the consumer.
    async fn session(
        &self,
        partitions: &[u32],
        mut shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<()> {
        // While the store is away nothing is consumed: it would be charged with an attempt.
        let open = self.ports.editions.open().await?.writable()?;
        for store in open.stores() {
            let control = store.control().await.map(drop);
            reindex::or_moved(self.ports.editions, &open.register, control).await?;
        }
        drop(open);
        let mut consumer = self.ports.queue.consume(partitions.to_vec()).await?;
        let mut failing_since = None;
        let every = self.settings.collect_every;
        let mut collections = interval_at(Instant::now() + every, every);
        collections.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deliveries = tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(()),
                _ = collections.tick() => {
                    self.collect().await?;
                    continue;
                }
                deliveries = consumer.receive(self.settings.batch) => deliveries?,
            };
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
                () = shutdown.as_mut() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn process(&self, consumer: &mut Q::Consumer, ledger: Ledger) -> Result<()> {
        for (tag, reason) in ledger.parks {
            self.park(consumer, tag, reason).await?;
        }
        // Read after receiving: an edition that is asked for later is filled with what is in hand.
        let open = self.ports.editions.open().await?.writable()?;
        let written = async {
            self.work(consumer, &open, ledger.works).await?;
            self.pass(consumer, &open, ledger.barriers).await
        };
        let written = written.await;
        reindex::or_moved(self.ports.editions, &open.register, written).await
    }

    /// Brings documents up to date: all together, and one by one where that fails for one of them.
    async fn work(
        &self,
        consumer: &mut Q::Consumer,
        open: &Open<T>,
        works: Vec<Work>,
    ) -> Result<()> {
        match self.store(consumer, open, &works).await {
            Err(error) if error.recovery() == Recovery::Park => {}
            done => return done,
        }
        for work in works {
            let alone = std::slice::from_ref(&work);
            match self.store(consumer, open, alone).await {
                Err(error) if error.recovery() == Recovery::Park => {
                    self.park(consumer, work.tag, error.chain()).await?;
                    // Older changes of the key may be well; they come again without this one.
                    consumer.release(work.overtaken, Duration::ZERO).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Stores these documents in every edition, then settles their deliveries.
    async fn store(
        &self,
        consumer: &mut Q::Consumer,
        open: &Open<T>,
        works: &[Work],
    ) -> Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        for index in open.indexes() {
            let is_next = index.number != open.current.number;
            let concerned: Vec<_> = works
                .iter()
                .filter(|work| is_next || work.change.operation != Operation::Fill)
                .collect();
            self.store_in(index, &concerned).await?;
        }
        consumer
            .settle(works.iter().flat_map(Work::tags).collect())
            .await
    }

    /// Plans and stores these documents in one edition.
    async fn store_in(&self, index: &One<T>, works: &[&Work]) -> Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        let store = index.store.as_ref();
        let keys: Vec<_> = works.iter().map(|work| work.change.key.clone()).collect();
        let control = store.control().await?;
        let manifests = store.manifests(Select::Of(keys)).await?;
        let mut plans = Vec::with_capacity(works.len());
        let mut remains = Vec::new();
        for work in works {
            let stored = manifests
                .iter()
                .find(|manifest| manifest.key == work.change.key);
            if is_current(&work.change.key, work.change.version, stored, &control) {
                plans.push(self.plan(index, &work.change, stored).await?);
            } else if work.again {
                remains.push((work.change.key.clone(), work.change.version));
            }
        }
        self.count(plans.len(), works.len() - plans.len());
        // A worker may have died over this very change, after its points and before its sweep.
        store::sweep(store, remains).await?;
        if !plans.is_empty() {
            let stored = store::store(store, index.embedder.as_ref(), plans).await?;
            self.ports
                .counters
                .embedded
                .fetch_add(stored.embedded as u64, Ordering::Relaxed);
            self.ports
                .counters
                .kept
                .fetch_add(stored.kept as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn plan(
        &self,
        index: &One<T>,
        change: &Change,
        stored: Option<&Manifest>,
    ) -> Result<Plan> {
        if let Some(plan) = Plan::of_delete(change, stored) {
            return Ok(plan);
        }
        let prepared = self.prepare(index, change).await?;
        let fingerprint = self.settings.types.fingerprint(&change.key.kind);
        Ok(Plan::new(change, prepared, stored, fingerprint))
    }

    async fn prepare(&self, index: &One<T>, change: &Change) -> Result<Prepared> {
        let embedder = Arc::clone(&index.embedder);
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
        open: &Open<T>,
        barriers: Vec<(Tag, Place, Barrier)>,
    ) -> Result<()> {
        if barriers.is_empty() {
            return Ok(());
        }
        for index in open.indexes() {
            self.pass_in(index, &barriers).await?;
            let store = index.store.as_ref();
            let control = store.control().await?;
            if !control.passing.is_empty() {
                floor::act_passed(self.ports.queue, &open.stores(), store, &control).await?;
            }
        }
        consumer
            .settle(barriers.iter().map(|(tag, ..)| *tag).collect())
            .await
    }

    /// Does what barriers say in one edition.
    async fn pass_in(&self, index: &One<T>, barriers: &[(Tag, Place, Barrier)]) -> Result<()> {
        let store = index.store.as_ref();
        let control = store.control().await?;
        let mut writes = Vec::new();
        for (_, place, barrier) in barriers.iter().cloned() {
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
                // Of an edition that was given up, or is filled already.
                Barrier::Fill { edition, .. } if edition != index.number => {}
                Barrier::Fill { mark, .. } => writes.push(Write::Marked { mark, place }),
            }
        }
        store.write(writes).await
    }

    async fn collect(&self) -> Result<()> {
        let now_ms = self.ports.clock.now_ms();
        let ttl = self.settings.tombstone_ttl;
        let open = self.ports.editions.open().await?.writable()?;
        let stores = open.stores();
        for store in &stores {
            let which = (stores.as_slice(), *store);
            let collected = collect::collect(self.ports.queue, which, now_ms, ttl).await;
            let collected =
                reindex::or_moved(self.ports.editions, &open.register, collected).await?;
            tracing::debug!(?collected, "collected what nobody needs");
        }
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
