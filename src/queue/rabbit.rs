//! Partitions, lanes and parked messages in `RabbitMQ`.
//!
//! ```text
//! publish ──confirmed──> lockstep.changes.1.n  ──> receive ──> settle: acknowledged
//!                        lockstep.backfill.1.n        ├──────> release: kept in hand until due
//!                          │ given up by the broker   └──────> park: confirmed there, then acknowledged
//!                          └───────────────────────────────────> lockstep.parked
//! ```
//!
//! Quorum queues with a single active consumer: what is confirmed is on the disks of a majority, and
//! each place has one consumer at a time, whatever processes believe. RabbitMQ 3.10 or later.

mod body;
mod broker;
mod confirms;
mod consumer;
mod declare;
mod flight;
mod generation;
mod going;
mod intake;
mod link;
mod outlet;
mod over;
mod parked;
mod publish;
mod shared;
mod sharing;
mod shelf;
mod step;
mod topology;
mod wire;

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;
use uuid::Uuid;

pub use consumer::RabbitConsumer;
pub use sharing::Sharing;

use super::{Depth, Generations, Outgoing, Parked, Queue};
use crate::change::{Change, Lane};
use crate::clock::Clock;
use crate::{Error, Result};
use broker::Broker;
use link::Link;
use publish::Publisher;
use shared::Shared;
use sharing::Part;
use topology::Topology;

/// How long after a listing the broker may still count its messages as in hand.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(2);
/// A queue's name has at most 255 bytes; the rest is for what comes behind this one.
const NAME_BYTES_MAX: usize = 128;
/// What has been sent on a channel comes before any answer on it: 32 MiB, or one message of 100 MB, which takes
/// minutes over a slow link. Given up sooner, the same would come again, and again too slowly.
const DELIVER_WITHIN: Duration = Duration::from_mins(10);

/// How the queue behaves, and where it is.
#[derive(Clone)]
pub struct Settings {
    /// `amqp[s]://user:password@host:port/vhost`.
    pub url: String,
    /// What the names of all our queues begin with.
    pub name: String,
    /// Queues for each lane; stored in the broker. Another count than the stored one is for capture to
    /// change, by [`Generations`]; until then the stored one holds.
    pub partitions: u32,
    /// Messages sent and not yet confirmed.
    pub window: usize,
    /// The same in bytes; one message may always go.
    pub window_bytes: usize,
    /// A larger message is parked by key and version, without its body.
    pub message_bytes_max: usize,
    /// What a consumer may have fetched, in bytes; one message a queue may always come.
    pub fetch_bytes: usize,
    /// A plain durable queue that gets a copy of every change that is no delete.
    pub seed_consumers: Option<String>,
    /// Publishing waits while so many copies stand in that queue.
    pub seed_backlog_max: u64,
    /// The longest wait for an answer that takes the broker no time; then its connection is given up.
    pub answer_within: Duration,
    /// The same for an answer that stands behind deliveries: those to a consumer.
    pub deliver_within: Duration,
}

impl Settings {
    /// The defaults, for this broker.
    pub fn new(url: impl Into<String>, partitions: u32) -> Self {
        Self {
            url: url.into(),
            name: "lockstep".to_owned(),
            partitions,
            // One flight over the network and one sync of the disk carry all of them.
            window: 500,
            window_bytes: 32 << 20,
            // What RabbitMQ 4 takes by default; MongoDB's own limit is the same.
            message_bytes_max: 16 << 20,
            fetch_bytes: 32 << 20,
            seed_consumers: None,
            seed_backlog_max: 100_000,
            // A broker that has just started declares quorum queues slowly.
            answer_within: Duration::from_secs(30),
            deliver_within: DELIVER_WITHIN,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL has a password.
        let (name, partitions) = (&self.name, self.partitions);
        f.debug_struct("Settings")
            .field("name", name)
            .field("partitions", &partitions)
            .finish_non_exhaustive()
    }
}

/// The queue of the services mode. Clones share its connections.
#[derive(Debug, Clone)]
pub struct RabbitQueue {
    publisher: Arc<Publisher>,
    shared: Arc<Shared>,
    /// What consumers consume; the partitions that they are opened with where it is none.
    part: Option<Part>,
    clock: Clock,
    fetch_bytes: usize,
    /// When parked messages were last listed, and how many were given back then.
    listed: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl RabbitQueue {
    /// Connects, and declares every queue that is not there.
    ///
    /// # Errors
    /// [`Error::Refused`] where the broker answers and will not have us as we are, with the cause and
    /// the fix; [`Error::Unavailable`] where it does not answer.
    pub async fn open(settings: Settings, clock: Clock) -> Result<Self> {
        validate(&settings)?;
        let within = (settings.answer_within, settings.deliver_within);
        let broker = Broker::parse(&settings.url, within)?;
        let named = (settings.name.as_str(), settings.partitions);
        let topology = Topology::open(&broker, named, settings.seed_consumers.clone()).await?;
        let publisher = Publisher::new(Link::new(broker, topology), clock.clone(), &settings);
        Ok(Self {
            publisher: Arc::new(publisher),
            shared: Arc::default(),
            part: None,
            clock,
            fetch_bytes: settings.fetch_bytes,
            listed: Arc::default(),
        })
    }

    /// The same queue for a worker among others: its consumer takes a share of the partitions that it is
    /// opened with, for as long as [`Sharing::run`] runs beside it. One consumer at a time.
    pub fn shared(&self) -> (Self, Sharing) {
        let (sharing, part) = Sharing::new(Arc::clone(&self.publisher));
        let queue = Self {
            part: Some(part),
            ..self.clone()
        };
        (queue, sharing)
    }

    /// The name of a place's queue, for tools and tests.
    pub fn queue_name(&self, place: crate::change::Place) -> String {
        self.publisher.link.topology.queue(place)
    }

    /// Moves what the seed's producers send to their plain queue into ours, until `shutdown`; meant to
    /// run beside the workers. The queue must not be the one of [`Settings::seed_consumers`]. `clean` takes
    /// from each change what must not be carried.
    ///
    /// # Errors
    /// The first one. What was not moved is still there: call it again after a pause.
    pub async fn take_in(
        &self,
        queue: &str,
        clean: impl Fn(&mut Change) + Sync,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        if self.publisher.link.topology.seed_consumers.as_deref() == Some(queue) {
            return Err(Error::Config {
                setting: "queue.seed_producers".to_owned(),
                why: format!(
                    "{queue} is queue.seed_consumers too, and would take in its own copies"
                ),
            });
        }
        intake::run(&self.publisher, &self.clock, queue, &clean, shutdown).await
    }

    async fn list(&self, forgotten: &HashSet<Uuid>) -> Result<Vec<Parked>> {
        let listed = parked::list(&self.publisher, forgotten, self.clock.now_ms()).await?;
        let count = listed.len() as u64;
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), count));
        Ok(listed.into_values().collect())
    }

    /// What stands in the queues that this process goes by.
    async fn count(&self) -> Result<Depth> {
        let topology = &self.publisher.link.topology.pinned();
        let count = async |place: crate::change::Place| {
            Ok::<_, Error>((
                place.lane,
                self.publisher.link.count(topology.queue(place)).await?,
            ))
        };
        let mut depth = Depth {
            live: self.shared.in_hand.count(Lane::Live),
            backfill: self.shared.in_hand.count(Lane::Backfill),
            parked: self.publisher.link.count(topology.parked()).await?,
        };
        for (lane, count) in try_join_all(topology.places().map(count)).await? {
            match lane {
                Lane::Live => depth.live += count,
                Lane::Backfill => depth.backfill += count,
            }
        }
        let listed = *self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, given_back)) = listed.filter(|(at, _)| at.elapsed() < GIVEN_BACK_WITHIN) {
            depth.parked = depth.parked.max(given_back);
        }
        Ok(depth)
    }
}

fn validate(settings: &Settings) -> Result<()> {
    let fault = |setting: &str, why: String| {
        Err(Error::Config {
            setting: setting.to_owned(),
            why,
        })
    };
    if settings.partitions == 0 {
        return fault(
            "queue.partitions",
            "it is 0, and there must be one".to_owned(),
        );
    }
    if settings.name.is_empty() || settings.name.len() > NAME_BYTES_MAX {
        return fault(
            "queue.name",
            format!("it must have 1 to {NAME_BYTES_MAX} bytes"),
        );
    }
    if settings
        .seed_consumers
        .as_ref()
        .is_some_and(|queue| queue.len() > NAME_BYTES_MAX)
    {
        return fault(
            "queue.seed_consumers",
            format!("it may have {NAME_BYTES_MAX} bytes"),
        );
    }
    Ok(())
}

impl Queue for RabbitQueue {
    type Consumer = RabbitConsumer;
    type Answers = publish::Answers;

    fn partitions(&self) -> u32 {
        self.publisher.link.topology.partitions()
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Self::Answers> {
        self.publisher.publish(batch).await
    }

    async fn consume(&self, mut partitions: Vec<u32>) -> Result<RabbitConsumer> {
        partitions.sort_unstable();
        partitions.dedup();
        let count = self.partitions();
        if let Some(partition) = partitions.iter().find(|one| **one >= count) {
            return Err(publish::no_partition(*partition, count));
        }
        let shared = (Arc::clone(&self.shared), self.clock.clone());
        let fixed = || Part::Fixed(partitions.iter().copied().collect());
        let part = self.part.clone().unwrap_or_else(fixed);
        RabbitConsumer::open(
            Arc::clone(&self.publisher),
            shared,
            &partitions,
            part,
            self.fetch_bytes,
        )
        .await
    }

    /// Reads the whole parked queue for each page: it is meant to be short.
    async fn parked(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Parked>> {
        let all = self.list(&HashSet::new()).await?.into_iter();
        let page = all.filter(|parked| after.is_none_or(|after| parked.id > after));
        Ok(page.take(limit).collect())
    }

    async fn forget(&self, ids: Vec<Uuid>) -> Result<()> {
        if !ids.is_empty() {
            self.list(&ids.into_iter().collect()).await?;
        }
        Ok(())
    }

    /// What the broker has ready, and what consumers of this process have in hand; not what those of
    /// others have. Barriers that wait in the broker are counted as changes: it does not know better.
    async fn depth(&self) -> Result<Depth> {
        let topology = &self.publisher.link.topology;
        let known = topology.generation();
        let counted = self.count().await;
        if counted.is_ok() {
            return counted;
        }
        // Where another process has gone on to other queues, those are counted from now on.
        Generations::current(self).await?;
        if topology.generation() == known {
            return counted;
        }
        self.count().await
    }
}
