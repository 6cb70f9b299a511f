//! What a scraper and a supervisor may ask a process: its figures, whether it lives, whether it can work.
//!
//! ```text
//! every 15 s: a look at queue, index and source ──> Metrics <── GET /metrics, /livez, /readyz
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::config::Config;
use crate::feature::embed::Embedder;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::reindex::Editions;
use crate::serve::tell;
use crate::shutdown::{Shutdown, requested};
use crate::source::mongo::MongoSource;
use crate::vector::{VectorStore, Watermark};
use crate::{Error, Result};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(15);
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

    /// Looks and answers until the process stops.
    pub(super) async fn run<F: Future<Output = Result<()>>>(
        self,
        look: impl Fn() -> F,
        shutdown: Shutdown,
    ) -> Result<()> {
        let Some(listener) = self.listener else {
            requested(shutdown).await;
            return Ok(());
        };
        tokio::select! {
            told = tell(listener, Arc::clone(&self.metrics), shutdown) => told,
            never = looking(&self.metrics, look) => match never {},
        }
    }
}

async fn looking<F: Future<Output = Result<()>>>(
    metrics: &Metrics,
    look: impl Fn() -> F,
) -> Infallible {
    loop {
        metrics
            .readiness
            .looked(look().await.map_err(|error| error.chain()));
        sleep(LOOK).await;
    }
}

/// What stands in the queues.
pub(super) async fn queues(metrics: &Metrics, queue: &impl Queue, clock: &Clock) -> Result<()> {
    let depth = queue.depth().await?;
    let mut oldest = None;
    if depth.parked > 0 {
        let parked = queue.parked(None, PARKED_MAX).await?;
        oldest = parked.into_iter().map(|parked| parked.parked_ms).min();
    }
    let age = oldest.map_or(Duration::ZERO, |since| age(clock, since));
    metrics.queues(&depth, age);
    Ok(())
}

/// What stands in the queues, up to when the index has everything, and what embedding has cost.
pub(super) async fn index<Q: Queue, T: Editions, E: Embedder>(
    metrics: &Metrics,
    queue: &Q,
    editions: &T,
    (embedder, clock): (&E, &Clock),
) -> Result<()> {
    queues(metrics, queue, clock).await?;
    let open = editions.open().await?;
    let control = open.current.store.control().await?;
    let settled = control.settled(queue.partitions());
    if let Some(as_of_ms) = settled.and_then(Watermark::as_of_ms) {
        metrics.settled(as_of_ms, age(clock, as_of_ms));
    }
    let usage = embedder.usage();
    metrics.usage(usage.requests, usage.tokens);
    Ok(())
}

/// How far the saved position is behind.
pub(super) async fn position(metrics: &Metrics, source: &MongoSource, clock: &Clock) -> Result<()> {
    let standing = source.standing().await?;
    if let Some(time) = standing.time {
        let saved = Duration::from_secs(u64::from(time.seconds));
        let now = Duration::from_millis(clock.now_ms());
        metrics.position(now.saturating_sub(saved), standing.window);
    }
    Ok(())
}

fn age(clock: &Clock, since_ms: u64) -> Duration {
    Duration::from_millis(clock.now_ms().saturating_sub(since_ms))
}
