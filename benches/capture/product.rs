//! The product's own capture, in this process, with a queue that says what it has confirmed.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lockstep::Result;
use lockstep::capture::{self, Ports, Settings};
use lockstep::change::{Change, Lane, Message, Operation, Place, Version};
use lockstep::clock::Clock;
use lockstep::queue::rabbit::{self, RabbitConsumer, RabbitQueue};
use lockstep::queue::{Confirm, Depth, Generations, Outgoing, Parked, Queue, Turn};
use lockstep::source::mongo::MongoSource;
use lockstep::source::{Checkpoints as _, Source as _, Watch as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::backlog::Backlog;
use crate::{Bench, Outcome, bare};

/// As many as the settings have where nobody says another number.
const PARTITIONS: u32 = 4;
/// As many as capture asks for and publishes at once.
const BATCH: usize = 125;
/// As many of them as capture has on their way.
const BATCHES: usize = 4;

/// Carries the backlog; the seconds from the start of reading until all of it is confirmed.
pub(crate) async fn carry(bench: &Bench, backlog: &Backlog, name: &str) -> Outcome<f64> {
    let queue = Counted::open(bench, name).await?;
    let (start, end) = run(backlog, &queue, queue.reached(backlog.count)).await?;
    queue.remove(bench).await?;
    Ok((end - start).as_secs_f64())
}

/// The product's watch alone.
pub(crate) async fn drain(backlog: &Backlog) -> Outcome<f64> {
    let source = MongoSource::open(backlog.settings.clone(), Clock::system()).await?;
    let start = Instant::now();
    let mut watch = source.watch(Some(backlog.before.position.clone())).await?;
    let mut count = 0;
    while count < backlog.count {
        count += watch.next(BATCH).await?.len();
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The product's queue alone: some of the documents again and again, with as many batches on their way as
/// capture has.
pub(crate) async fn publish(bench: &Bench, backlog: &Backlog) -> Outcome<f64> {
    let source = MongoSource::open(backlog.settings.clone(), Clock::system()).await?;
    let rows = source.page(&backlog.kind, None, BATCH).await?.found;
    let changes = rows.into_iter().map(|row| {
        let fields = Some(row.fields);
        Change::new(row.key, Version::NONE, Operation::Insert, fields, 0)
    });
    let batch: Vec<_> = changes
        .map(|change| Outgoing::change(change, Lane::Live, PARTITIONS))
        .collect();
    let queue = Counted::open(bench, "publish").await?;
    let start = Instant::now();
    let mut on_their_way = VecDeque::new();
    for _ in 0..backlog.count.div_ceil(BATCH) {
        if on_their_way.len() == BATCHES
            && let Some(answers) = on_their_way.pop_front()
        {
            answers.await?;
        }
        on_their_way.push_back(queue.publish(&batch).await?);
    }
    for answers in on_their_way {
        answers.await?;
    }
    let seconds = (queue.confirmed().1 - start).as_secs_f64();
    queue.remove(bench).await?;
    Ok(seconds)
}

/// Runs capture from before the backlog until `stop`; when it began, and when the last change was
/// confirmed.
pub(crate) async fn run(
    backlog: &Backlog,
    queue: &Counted,
    stop: impl Future<Output = ()> + Send,
) -> Outcome<(Instant, Instant)> {
    let clock = Clock::system();
    let source = MongoSource::open(backlog.settings.clone(), clock.clone()).await?;
    let lease = source.acquire("bench").await?;
    lease.save(backlog.before.clone()).await?;
    let ports = Ports {
        source: &source,
        checkpoints: &lease,
        queue,
        clock: &clock,
    };
    let (_nobody_asks, requests) = mpsc::channel(1);
    let start = Instant::now();
    capture::run(ports, &Settings::default(), requests, stop).await?;
    lease.release().await?;
    Ok((start, queue.confirmed().1))
}

/// Counts changes that are confirmed, and remembers when the last was.
pub(crate) struct Counted {
    queue: RabbitQueue,
    confirmed: watch::Sender<(usize, Instant)>,
}

impl Counted {
    pub(crate) async fn open(bench: &Bench, name: &str) -> Result<Self> {
        let settings = rabbit::Settings {
            name: name.to_owned(),
            ..rabbit::Settings::new(bench.broker.url(), PARTITIONS)
        };
        Ok(Self {
            queue: RabbitQueue::open(settings, Clock::system()).await?,
            confirmed: watch::Sender::new((0, Instant::now())),
        })
    }

    /// How many, and when the last was.
    pub(crate) fn confirmed(&self) -> (usize, Instant) {
        *self.confirmed.borrow()
    }

    /// Ready when so many are.
    pub(crate) fn reached(&self, count: usize) -> impl Future<Output = ()> + Send + use<> {
        let mut confirmed = self.confirmed.subscribe();
        async move { drop(confirmed.wait_for(|(now, _)| *now >= count).await) }
    }

    pub(crate) async fn remove(self, bench: &Bench) -> Outcome<()> {
        let places = (0..PARTITIONS).flat_map(|partition| {
            [Lane::Live, Lane::Backfill].map(|lane| Place { partition, lane })
        });
        let names: Vec<String> = places.map(|place| self.queue.queue_name(place)).collect();
        drop(self);
        let connection = bare::connect(bench).await?;
        bare::delete(&connection.create_channel().await?, &names).await
    }
}

impl Queue for Counted {
    type Consumer = RabbitConsumer;
    type Answers = BoxFuture<'static, Result<Vec<Confirm>>>;

    fn partitions(&self) -> u32 {
        self.queue.partitions()
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Self::Answers> {
        let is_change = |outgoing: &Outgoing| matches!(outgoing.message, Message::Change(_));
        let changes: Vec<bool> = batch.iter().map(is_change).collect();
        let answers = self.queue.publish(batch).await?;
        let counted = self.confirmed.clone();
        let answers = async move {
            let confirms = answers.await?;
            let done = confirms.iter().zip(changes);
            let done = done
                .filter(|(confirm, change)| *change && matches!(confirm, Confirm::Confirmed))
                .count();
            if done > 0 {
                counted.send_modify(|(confirmed, at)| {
                    *confirmed += done;
                    *at = Instant::now();
                });
            }
            Ok(confirms)
        };
        Ok(answers.boxed())
    }

    async fn consume(&self, partitions: Vec<u32>) -> Result<RabbitConsumer> {
        self.queue.consume(partitions).await
    }

    async fn parked(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Parked>> {
        self.queue.parked(after, limit).await
    }

    async fn forget(&self, ids: Vec<Uuid>) -> Result<()> {
        self.queue.forget(ids).await
    }

    async fn depth(&self) -> Result<Depth> {
        self.queue.depth().await
    }
}

impl Generations for Counted {
    async fn current(&self) -> Result<u32> {
        self.queue.current().await
    }

    async fn turn(&self, sent: bool) -> Result<Turn> {
        self.queue.turn(sent).await
    }
}

/// Between two documents that come alone.
pub(crate) const PAUSE: Duration = Duration::from_millis(23);
