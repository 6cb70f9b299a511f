//! What a scraper and a supervisor may ask a process: its figures, whether it lives, whether it can work.
//!
//! ```text
//! every 15 s: a look at queue, index and source ──> Metrics <── GET /metrics
//!               a look when somebody asks ──> Readiness <── GET /readyz   GET /livez
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::command::{Commands, Library as _, Rooms};
use crate::config::Config;
use crate::feature::embed::Embedder;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::reindex::Editions;
use crate::serve::{self, Readiness};
use crate::shutdown::{Roles, Shutdown, requested};
use crate::source::mongo::MongoSource;
use crate::vector::{VectorStore, Watermark};
use crate::{Error, Result};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(15);
/// How long one of them may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Parked messages whose age is compared; of more, the oldest of the first ones is told.
const PARKED_MAX: usize = 100;

/// Where a process is asked how it is; nowhere unless the settings say so.
#[derive(Debug)]
pub(super) struct Window {
    listener: Option<TcpListener>,
    metrics: Arc<Metrics>,
}

impl Window {
    /// Binds the address of the settings.
    pub(super) async fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Self> {
        let Some(address) = config.metrics.address() else {
            let listener = None;
            return Ok(Self { listener, metrics });
        };
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|error| Error::Config {
            setting: "metrics.listen".into(),
            why: format!("cannot listen on {address}: {error}; choose another port"),
        })?;
        let address: Option<SocketAddr> = listener.local_addr().ok();
        tracing::info!(
            address = address.map(tracing::field::display),
            "figures are told"
        );
        let listener = Some(listener);
        Ok(Self { listener, metrics })
    }

    /// Looks for the figures and answers until the process stops.
    pub(super) async fn run<F: Future<Output = ()>>(
        self,
        look: impl Fn() -> F,
        readiness: Arc<Readiness>,
        shutdown: Shutdown,
    ) -> Result<()> {
        let Some(listener) = self.listener else {
            requested(shutdown).await;
            return Ok(());
        };
        tokio::select! {
            told = serve::tell(listener, self.metrics, readiness, shutdown) => told,
            never = Box::pin(looking(look)) => match never {},
        }
    }
}

async fn looking<F: Future<Output = ()>>(look: impl Fn() -> F) -> Infallible {
    loop {
        look().await;
        sleep(LOOK).await;
    }
}

/// Tells how a process goes that answers commands, where the settings say where; whoever asks its API whether
/// it could work is told the same.
pub(super) async fn tell<R: Rooms>(
    roles: &mut Roles,
    config: &Config,
    commands: &Arc<Commands<R>>,
) -> Result<Arc<Readiness>> {
    let told = Window::open(config, Arc::clone(&commands.metrics)).await?;
    let rooms = Arc::clone(commands);
    let look = move || {
        let rooms = Arc::clone(&rooms);
        async move { rooms.ready().await }
    };
    let readiness = Readiness::new(look, roles.shutdown());
    let (rooms, ready, stop) = (
        Arc::clone(commands),
        Arc::clone(&readiness),
        roles.shutdown(),
    );
    roles.start("metrics", async move {
        let embedder = rooms.embedder.as_ref();
        let (queue, editions) = (rooms.queue.as_ref(), rooms.editions.as_ref());
        let look = || index(&rooms.metrics, queue, editions, (embedder, &rooms.clock));
        told.run(look, ready, stop).await
    });
    Ok(readiness)
}

/// What stands in the queues.
pub(super) async fn queues(metrics: &Metrics, queue: &impl Queue, clock: &Clock) {
    let look = async {
        let depth = queue.depth().await?;
        let mut oldest = None;
        if depth.parked > 0 {
            let parked = queue.parked(None, PARKED_MAX).await?;
            oldest = parked.into_iter().map(|parked| parked.parked_ms).min();
        }
        let age = oldest.map_or(Duration::ZERO, |since| age(clock, since));
        Ok((depth, age))
    };
    metrics.queues(known("the queue", look).await);
}

/// What stands in the queues, up to when the index has everything, and what embedding has cost.
pub(super) async fn index<Q: Queue, T: Editions, E: Embedder>(
    metrics: &Metrics,
    queue: &Q,
    editions: &T,
    (embedder, clock): (&E, &Clock),
) {
    let settled = async {
        let look = async {
            let open = editions.open().await?;
            let control = open.current.store.control().await?;
            let settled = control.settled(queue.partitions());
            Ok(settled.and_then(Watermark::as_of_ms))
        };
        let as_of_ms = known("the index", look).await.flatten();
        metrics.settled(as_of_ms.map(|as_of_ms| (as_of_ms, age(clock, as_of_ms))));
    };
    tokio::join!(queues(metrics, queue, clock), settled);
    let usage = embedder.usage();
    metrics.usage(usage.requests, usage.tokens);
}

/// How far the saved position is behind.
pub(super) async fn position(metrics: &Metrics, source: &MongoSource, clock: &Clock) {
    let standing = known("the source", source.standing()).await;
    metrics.position(standing.and_then(|standing| {
        let saved = Duration::from_secs(u64::from(standing.time?.seconds));
        let now = Duration::from_millis(clock.now_ms());
        Some((now.saturating_sub(saved), standing.window))
    }));
}

/// What a look finds; none, and the reason in the log, where it fails or takes too long. Others go on.
async fn known<T>(what: &'static str, look: impl Future<Output = Result<T>>) -> Option<T> {
    let found = timeout(PATIENCE, look).await;
    let found = found.unwrap_or_else(|late| Err(Error::unavailable(what, "answer in time")(late)));
    let told = found.inspect_err(|error| {
        tracing::warn!(error = %error.chain(), "figures are not known");
    });
    told.ok()
}

fn age(clock: &Clock, since_ms: u64) -> Duration {
    Duration::from_millis(clock.now_ms().saturating_sub(since_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Lane, Place, Time, Version};
    use crate::database::{Database, Durability};
    use crate::queue::sqlite::SqliteQueue;
    use crate::reindex::Alone;
    use crate::simulate::{Chaos, EmbedModel};
    use crate::vector::Write;
    use crate::vector::edge::{self, EdgeStore};

    const NOW_MS: u64 = 10_000;

    async fn drop_table(database: &Database, table: &str) {
        let drop = format!("DROP TABLE {table}");
        let done = database.write(Durability::Ordered, move |rows| {
            Ok(rows.execute_batch(&drop)?)
        });
        done.await.unwrap();
    }

    #[tokio::test]
    async fn what_one_look_cannot_tell_the_others_do_and_nothing_is_told_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| folder.path().join(name);
        let clock = Clock::manual(NOW_MS);
        let queued = Database::open(&file("queue.db"), &[SqliteQueue::SCHEMA]).unwrap();
        let queue = SqliteQueue::open(queued.clone(), 1, clock.clone());
        let queue = queue.await.unwrap();
        let indexed = Database::open(&file("index.db"), &[edge::SCHEMA]).unwrap();
        let embedder = Arc::new(EmbedModel::new(Chaos::calm()));
        let vectors = file("vectors");
        let store = EdgeStore::open(&vectors, indexed.clone(), embedder.model());
        let store = Arc::new(store.await.unwrap());
        let settled = [Lane::Live, Lane::Backfill].map(|lane| Write::Watermark {
            place: Place { partition: 0, lane },
            mark: Watermark {
                version: Version::read(1, Time::from_sequence(1)),
                committed_ms: NOW_MS - 2_000,
            },
        });
        store.write(settled.into()).await.unwrap();
        let editions = Alone::new(store, Arc::clone(&embedder), "tried");
        let metrics = Metrics::new(Arc::default());
        let told = async || {
            index(&metrics, &queue, &editions, (embedder.as_ref(), &clock)).await;
            let text = metrics.text();
            [
                "lockstep_queue_parked{} 0",
                "lockstep_index_lag_seconds{} 2",
            ]
            .map(|line| text.lines().any(|told| told.starts_with(line)))
        };
        assert_eq!(told().await, [true, true]);
        drop_table(&queued, "parked").await;
        assert_eq!(told().await, [false, true]);
        drop_table(&indexed, "vector_watermark").await;
        assert_eq!(told().await, [false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_given_up() {
        let never = std::future::pending::<Result<u64>>();
        let waited = timeout(2 * PATIENCE, known("the queue", never)).await;
        assert_eq!(waited, Ok(None));
    }
}
