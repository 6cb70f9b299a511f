//! Queue to index: receive, prepare, store, settle.
//!
//! ```text
//! receive ──> ledger ──works──> is it current? ──> prepare ──> store ──> settle
//!                  ├─barriers─> floor, watermark, mark, end ──────────> settle
//!                  └─parks────> park
//! ```
//!
//! Several workers may share a partition: nothing here relies on being alone. An error gives back
//! what is in hand and waits; what cannot succeed is parked, and the others go on. When the partition count
//! changes, the end of each queue is settled like any barrier, and the worker consumes from the next ones.

mod duty;
mod pass;
mod work;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::maybe_done;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use self::duty::Duty;
use super::collect;
use super::floor::HeldBack;
use super::ledger::Ledger;
use super::types::Types;
use crate::clock::Clock;
use crate::metrics::Stages;
use crate::queue::{Consumer, Generations, Tag};
use crate::reindex::{self, Editions, Index, Standing};
use crate::retry::{Backoff, until};
use crate::vector::VectorStore;
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
    /// Between two looks whether what is parked still holds a floor back.
    pub held_back_every: Duration,
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
            // Whoever retried or dropped what was parked is not kept waiting, and a look reads all of it.
            held_back_every: Duration::from_secs(30),
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
    /// What the time went into.
    pub stages: Stages,
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

/// How long a worker that is to stop finishes what was fetched. The rest is given back, and comes to others one
/// by one, since it might be what the last worker died of.
const LEAVE: Duration = Duration::from_secs(10);

/// Why a session ended well.
enum Ended {
    Stopped,
    /// The queues were left for those of the next generation.
    Generation,
}

/// Works until `shutdown` is ready; what was fetched then is finished first, for ten seconds at most. `share` says which of so many
/// partitions are ours; it is asked anew for every generation of queues.
///
/// # Errors
/// Only those that trying again cannot mend.
pub async fn run<Q: Generations, T: Editions>(
    ports: Ports<'_, Q, T>,
    settings: &Settings,
    share: impl Fn(u32) -> Vec<u32> + Send + Sync,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    // Once it was ready it stays so, for whoever asks after a session that failed while it ended.
    let shutdown = maybe_done(shutdown);
    tokio::pin!(shutdown);
    let mut backoff = Backoff::default();
    loop {
        let worker = Worker {
            ports: &ports,
            settings,
            held_back: HeldBack::new(settings.held_back_every),
            duty: Duty::default(),
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
            () = sleep(pause) => {}
        }
    }
}

struct Worker<'a, Q, T> {
    ports: &'a Ports<'a, Q, T>,
    settings: &'a Settings,
    held_back: HeldBack,
    duty: Duty,
}

/// The editions that are written to.
type Open<T> = Standing<<T as Editions>::Store, <T as Editions>::Embedder>;
/// One of them.
type One<T> = Index<<T as Editions>::Store, <T as Editions>::Embedder>;

impl<Q: Generations, T: Editions> Worker<'_, Q, T> {
    /// Consumes until shutdown, the end of the generation or an error; then whatever is in hand goes back
    /// with the consumer.
    async fn session(
        &self,
        share: &(impl Fn(u32) -> Vec<u32> + Send + Sync),
        shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<Ended> {
        // While the store is away nothing is consumed: it would be charged with an attempt.
        let open = self.ports.editions.open().await?.writable()?;
        for store in open.stores() {
            let control = store.control().await.map(drop);
            reindex::or_moved(self.ports.editions, &open.register, control).await?;
        }
        drop(open);
        let count = self.ports.queue.current().await?;
        let mut consumer = self.ports.queue.consume(share(count)).await?;
        if self.ports.queue.partitions() != count {
            // The next generation began in between, and this share is of the last one.
            return Ok(Ended::Generation);
        }
        // Collecting reads every manifest; changes do not wait for it, as they do not for another worker's.
        tokio::select! {
            biased;
            ended = self.consume(&mut consumer, shutdown, backoff) => ended,
            error = self.collect_always() => Err(error),
        }
    }

    async fn consume(
        &self,
        consumer: &mut Q::Consumer,
        mut shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<Ended> {
        let mut failing_since = None;
        let mut leaves_until = None;
        loop {
            let deliveries = tokio::select! {
                biased;
                () = shutdown.as_mut(), if leaves_until.is_none() => {
                    consumer.leave();
                    leaves_until = Some(Instant::now() + LEAVE);
                    continue;
                }
                () = until(leaves_until) => return Ok(Ended::Stopped),
                deliveries = consumer.receive(self.settings.batch) => deliveries?,
            };
            if deliveries.is_empty() {
                let stops = leaves_until.is_some();
                return Ok(if stops {
                    Ended::Stopped
                } else {
                    Ended::Generation
                });
            }
            let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
            let ledger = Ledger::sort(deliveries, self.settings.attempts_max);
            let Err(error) = self.process(consumer, ledger).await else {
                backoff.reset();
                failing_since = None;
                continue;
            };
            let Recovery::Retry(pause) = error.recovery() else {
                return Err(error);
            };
            if leaves_until.is_some() {
                tracing::warn!(error = %error.chain(), "what was fetched is given back");
                return Ok(Ended::Stopped);
            }
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
                () = sleep(pause) => {}
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

    async fn park(&self, consumer: &mut Q::Consumer, tag: Tag, reason: String) -> Result<()> {
        tracing::warn!(reason, "a change is parked");
        consumer.park(tag, reason).await?;
        self.ports.counters.parked.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Collects now and then where that is ours, until trying again cannot mend what it meets.
    async fn collect_always(&self) -> Error {
        let every = self.settings.collect_every;
        let mut collections = interval_at(Instant::now() + every, every);
        collections.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            collections.tick().await;
            if !self.duty.is_ours() {
                continue;
            }
            match self.collect().await {
                Ok(()) => {}
                // Nobody waits for it, and one point that is none of ours is no reason to stop.
                Err(error) if !matches!(error.recovery(), Recovery::Stop) => {
                    tracing::warn!(error = %error.chain(), "what nobody needs is collected later");
                }
                Err(error) => return error,
            }
        }
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
}
