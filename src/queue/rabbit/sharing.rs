//! Workers of one queue share its partitions: each hears the beats of all, and its consumer follows.
//!
//! ```text
//! fanout exchange lockstep.workers ──beats──> Share ──wanted──> consumer: subscribe, drain, cancel
//!              ▲                                ▲                  │
//!              └───────── beat ─────────────────┴──────holds───────┘
//! ```
//!
//! What is decided is in [`crate::feature::share`]. Beats are kept nowhere: a worker has a queue of its
//! own for as long as it is connected, and whoever hears nothing changes nothing.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ExchangeKind};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use super::declare;
use super::publish::Publisher;
use super::topology::Generation;
use crate::feature::share::{BEAT_EVERY, Beat, DEAD_AFTER, Says, Share};
use crate::retry::Backoff;
use crate::{Error, Recovery, Result};

/// Beats that wait for a worker at most: older ones say nothing that newer ones do not.
const BEATS_MAX: i64 = 1_000;

/// What a consumer is to consume, and says that it does.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// These partitions, whoever else there is.
    Fixed(BTreeSet<u32>),
    /// A share of them all.
    Shared(Arc<Held>),
}

/// Between the consumer of a worker and its beats.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of which generation; a consumer of another one wants nothing.
    wanted: watch::Sender<(u32, BTreeSet<u32>)>,
    /// None while there is no consumer.
    holds: watch::Sender<Option<BTreeSet<u32>>>,
}

impl Held {
    /// What the consumer holds.
    pub(super) fn holds(&self) -> BTreeSet<u32> {
        self.holds.borrow().clone().unwrap_or_default()
    }
}

impl Part {
    pub(super) fn wanted(&self, generation: u32) -> BTreeSet<u32> {
        match self {
            Self::Fixed(partitions) => partitions.clone(),
            Self::Shared(held) => of(generation, &held.wanted.borrow()).clone(),
        }
    }

    /// The consumer holds these now.
    pub(super) fn hold(&self, holds: BTreeSet<u32>) {
        self.becomes(Some(holds));
    }

    /// The consumer is gone.
    pub(super) fn let_go(&self) {
        self.becomes(None);
    }

    fn becomes(&self, holds: Option<BTreeSet<u32>>) {
        if let Self::Shared(held) = self {
            held.holds.send_if_modified(|before| {
                let is_news = *before != holds;
                *before = holds;
                is_news
            });
        }
    }

    /// Ends when something else than `before` is wanted. Cancel safe.
    pub(super) async fn changed(&self, generation: u32, before: &BTreeSet<u32>) {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Shared(held) => {
                let mut wanted = held.wanted.subscribe();
                // It fails only without a sender, and that is ours.
                let is_news = |now: &(u32, BTreeSet<u32>)| of(generation, now) != before;
                wanted.wait_for(is_news).await.ok();
            }
        }
    }
}

/// One worker among others; run it beside the worker whose consumer it steers.
#[derive(Debug)]
pub struct Sharing {
    publisher: Arc<Publisher>,
    held: Arc<Held>,
    me: Uuid,
    /// The generation that is shared.
    number: u32,
    share: Share,
    backoff: Backoff,
    /// It was asked to stop.
    leaving: bool,
}

/// Connected: what is said goes to all, and what all say comes.
struct Air {
    // Closed with the value.
    connection: Connection,
    channel: Channel,
    exchange: String,
    beats: lapin::Consumer,
}

/// What is wanted of this generation.
fn of(generation: u32, (number, wanted): &(u32, BTreeSet<u32>)) -> &BTreeSet<u32> {
    const NOTHING: &BTreeSet<u32> = &BTreeSet::new();
    if *number == generation {
        wanted
    } else {
        NOTHING
    }
}

impl Sharing {
    pub(super) fn new(publisher: Arc<Publisher>) -> (Self, Part) {
        let held = Arc::<Held>::default();
        let part = Part::Shared(Arc::clone(&held));
        let me = Uuid::new_v4();
        let Generation { number, partitions } = publisher.link.topology.generation();
        let share = Share::new(me, number, partitions);
        let sharing = Self {
            publisher,
            held,
            me,
            number,
            share,
            backoff: Backoff::jittered(Some(me.as_u64_pair().0)),
            leaving: false,
        };
        (sharing, part)
    }

    /// Beats and listens until `shutdown`, then until the consumer holds nothing any more, and says so.
    ///
    /// # Errors
    /// Only those that trying again cannot mend: without the broker it waits for it.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let error = match self.on_air(shutdown.as_mut()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if self.leaving {
                // The others will miss its beats.
                return Ok(());
            }
            self.share.disconnected();
            let Recovery::Retry(pause) = error.recovery() else {
                return Err(error);
            };
            let pause = self.backoff.next(pause).min(DEAD_AFTER / 4);
            tracing::debug!(error = %error.chain(), "the other workers are not heard");
            tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    async fn on_air(
        &mut self,
        mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<()> {
        let mut air = self.connect().await?;
        self.share.connected(Instant::now());
        // What changes from here on is news, also while the greeting is on its way.
        let mut holds = self.held.holds.subscribe();
        let held = holds.borrow_and_update().clone();
        self.hold(held);
        self.say(&air, Says::Hello).await?;
        self.backoff.reset();
        let mut ticks = interval(BEAT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All of these are cancel safe.
            let says = tokio::select! {
                biased;
                () = shutdown.as_mut(), if !self.leaving => {
                    self.leaving = true;
                    None
                }
                _ = holds.changed() => {
                    let holds = holds.borrow_and_update().clone();
                    self.hold(holds).then_some(Says::Alive)
                }
                _ = ticks.tick() => Some(Says::Alive),
                beat = air.beats.next() => self.hear(beat)?,
            };
            if self.leaving && self.held.holds().is_empty() {
                return self.say(&air, Says::Gone).await;
            }
            let says = self.follow().or(says);
            if let Some(says) = says {
                self.say(&air, says).await?;
            }
            if !self.leaving {
                self.want();
            }
        }
    }

    /// Begins anew where the worker has gone on to another generation of queues; then what to say.
    fn follow(&mut self) -> Option<Says> {
        let Generation { number, partitions } = self.publisher.link.topology.generation();
        if number == self.number {
            return None;
        }
        self.number = number;
        self.share = Share::new(self.me, number, partitions);
        self.share.connected(Instant::now());
        let held = self.held.holds.borrow().clone();
        self.hold(held);
        Some(Says::Hello)
    }

    /// True where it is news for the others.
    fn hold(&mut self, holds: Option<BTreeSet<u32>>) -> bool {
        match holds {
            Some(holds) => self.share.hold(holds),
            None => self.share.let_go(),
        }
    }

    /// What to answer.
    fn hear(
        &mut self,
        beat: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<Option<Says>> {
        let broker = &self.publisher.link.broker;
        let Some(beat) = beat else {
            let why = "the subscription to their beats has ended";
            return Err(Error::unavailable(broker.service(), "hear the workers")(
                why,
            ));
        };
        let beat = beat.map_err(|error| broker.fault("hear the workers", error))?;
        // What is no beat was sent by nobody of ours.
        let Ok(beat) = serde_json::from_slice::<Beat>(&beat.data) else {
            return Ok(None);
        };
        Ok(self
            .share
            .heard(beat, Instant::now())
            .then_some(Says::Alive))
    }

    fn want(&mut self) {
        let wanted = (self.number, self.share.wanted(Instant::now()));
        self.held.wanted.send_if_modified(|before| {
            let is_news = *before != wanted;
            if is_news {
                let workers = self.share.workers().len();
                tracing::info!(partitions = ?wanted.1, workers, "our share of the partitions");
                *before = wanted;
            }
            is_news
        });
    }

    async fn say(&self, air: &Air, says: Says) -> Result<()> {
        let body = serde_json::to_vec(&self.share.beat(says, Instant::now())).unwrap_or_default();
        let (exchange, properties) = (air.exchange.clone(), BasicProperties::default());
        let options = BasicPublishOptions::default();
        let publish =
            air.channel
                .basic_publish(exchange.into(), "".into(), options, &body, properties);
        let broker = &self.publisher.link.broker;
        let said = broker
            .answer(&air.connection, "pass a beat on", publish)
            .await?;
        said.map(drop)
            .map_err(|error| broker.fault("pass a beat on", error))
    }

    async fn connect(&self) -> Result<Air> {
        let (broker, topology) = (&self.publisher.link.broker, &self.publisher.link.topology);
        let connection = broker.connect("sharing").await?;
        let channel = declare::channel(broker, &connection).await?;
        let exchange = topology.workers();
        let listen = listen(&channel, exchange.clone());
        let beats = broker
            .answer(&connection, "hear the workers", listen)
            .await?;
        Ok(Air {
            beats: beats.map_err(|error| broker.fault("hear the workers", error))?,
            connection,
            channel,
            exchange,
        })
    }
}

/// What all workers say from here on, by a queue of our own.
async fn listen(channel: &Channel, exchange: String) -> lapin::Result<lapin::Consumer> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let (none, kind) = (FieldTable::default(), ExchangeKind::Fanout);
    let declared = channel.exchange_declare(exchange.clone().into(), kind, durable, none.clone());
    declared.await?;
    let ours = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(BEATS_MAX));
    let queue = channel.queue_declare("".into(), ours, arguments).await;
    let queue = queue?.name().clone();
    let bind = QueueBindOptions::default();
    let bound = channel.queue_bind(
        queue.clone(),
        exchange.into(),
        "".into(),
        bind,
        none.clone(),
    );
    bound.await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    channel
        .basic_consume(queue, "beats".into(), options, none)
        .await
}
