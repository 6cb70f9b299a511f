//! The names of queues, what they are declared with, and the generation that is stored in the broker.
//!
//! ```text
//! lockstep.generation.1 (an exchange whose alternate is called lockstep.partitions.8: stored state)
//! lockstep.changes.1.0 … .7, lockstep.backfill.1.0 … .7 ──given up by the broker──> lockstep.parked
//! ```
//!
//! The partition count of a generation is written in the broker itself, as an argument of an exchange
//! that carries nothing. Declaring it creates it or compares it, in one step and for all processes at
//! once; there is no message that could be lost, and nobody has to be first.

use futures_util::future::try_join_all;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use super::broker::{Broker, protocol_error};
use super::wire::text;
use crate::change::{Lane, Place};
use crate::{Error, Result};

/// Attempts that the broker allows: beyond any that we would, since it counts browsing too.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// What stands in the broker.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    /// What all names begin with.
    name: String,
    pub(super) generation: u32,
    pub(super) partitions: u32,
    pub(super) seed_consumers: Option<String>,
}

impl Topology {
    /// Finds the stored generation, or begins the first one, and declares all queues of it.
    ///
    /// # Errors
    /// [`Error::Refused`] when the stored partition count is another one, or a queue is there with
    /// other arguments, or the broker is too old for ours.
    pub(super) async fn open(
        broker: &Broker,
        (name, partitions): (&str, u32),
        seed_consumers: Option<String>,
    ) -> Result<Self> {
        let connection = broker.connect("setup").await?;
        let mut topology = Self {
            name: name.to_owned(),
            generation: 1,
            partitions,
            seed_consumers,
        };
        while topology
            .is_begun(broker, &connection, topology.generation + 1)
            .await?
        {
            topology.generation += 1;
        }
        topology.begin(broker, &connection).await?;
        topology.declare(broker, &connection).await?;
        connection.close(200, "OK".into()).await.ok();
        Ok(topology)
    }

    /// The queue of a place.
    pub(super) fn queue(&self, place: Place) -> String {
        let lane = match place.lane {
            Lane::Live => "changes",
            Lane::Backfill => "backfill",
        };
        format!(
            "{}.{lane}.{}.{}",
            self.name, self.generation, place.partition
        )
    }

    /// The place of a queue, of whatever generation.
    pub(super) fn place(&self, queue: &str) -> Option<Place> {
        let rest = queue.strip_prefix(&self.name)?.strip_prefix('.')?;
        let mut words = rest.split('.');
        let lane = match words.next()? {
            "changes" => Lane::Live,
            "backfill" => Lane::Backfill,
            _ => return None,
        };
        words.next()?;
        let partition = words.next()?.parse().ok()?;
        Some(Place { partition, lane })
    }

    /// Where messages are set aside.
    pub(super) fn parked(&self) -> String {
        format!("{}.parked", self.name)
    }

    /// The exchange over which workers hear each other.
    pub(super) fn workers(&self) -> String {
        format!("{}.workers", self.name)
    }

    /// Every place of the generation.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let lanes = [Lane::Live, Lane::Backfill];
        let place = move |partition| lanes.map(|lane| Place { partition, lane });
        (0..self.partitions).flat_map(place)
    }

    fn exchange(&self, generation: u32) -> String {
        format!("{}.generation.{generation}", self.name)
    }

    async fn is_begun(
        &self,
        broker: &Broker,
        connection: &Connection,
        generation: u32,
    ) -> Result<bool> {
        let channel = channel(broker, connection).await?;
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let (name, kind) = (self.exchange(generation), ExchangeKind::Fanout);
        let declare = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        match declare.await {
            Ok(()) => Ok(true),
            Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(false),
            Err(error) => Err(broker.fault("look for its generation", error)),
        }
    }

    /// Stores the generation with its partition count, or finds it stored so.
    async fn begin(&self, broker: &Broker, connection: &Connection) -> Result<()> {
        let channel = channel(broker, connection).await?;
        let options = ExchangeDeclareOptions {
            durable: true,
            internal: true,
            ..ExchangeDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        let prefix = format!("{}.partitions.", self.name);
        let count = format!("{prefix}{}", self.partitions);
        arguments.insert("alternate-exchange".into(), text(count));
        let (name, kind) = (self.exchange(self.generation), ExchangeKind::Fanout);
        let declare = channel.exchange_declare(name.into(), kind, options, arguments);
        match declare.await {
            Ok(()) => Ok(()),
            Err(error) if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                // What the broker says has at most 255 bytes: a long name may leave no room for it.
                let said = error.to_string();
                let stored = said.split_once("current is ");
                let stored = stored.and_then(|(_, current)| current.split_once(&prefix));
                let stored = stored.and_then(|(_, count)| leading_number(count));
                let stored =
                    stored.map_or_else(|| "another number of".to_owned(), |it| it.to_string());
                let why = format!(
                    "its queues were made with {stored} partitions, and queue.partitions is {}",
                    self.partitions
                );
                Err(broker.refused(why, "set queue.partitions back to that"))
            }
            Err(error) => Err(broker.fault("store its generation", error)),
        }
    }

    /// Declares every queue; harmless where they are there.
    pub(super) async fn declare(&self, broker: &Broker, connection: &Connection) -> Result<()> {
        declare_one(broker, connection, self.parked(), parked_arguments()).await?;
        let arguments = place_arguments(&self.parked());
        let places = self
            .places()
            .map(|place| declare_one(broker, connection, self.queue(place), arguments.clone()));
        try_join_all(places).await?;
        if let Some(queue) = &self.seed_consumers {
            declare_plain(broker, connection, queue).await?;
        }
        Ok(())
    }
}

/// A queue as the seed declares it: anything more would make its own declaration fail.
pub(super) async fn declare_plain(
    broker: &Broker,
    connection: &Connection,
    queue: &str,
) -> Result<()> {
    declare_one(broker, connection, queue.to_owned(), FieldTable::default()).await
}

/// On a channel of its own, since a refused declaration closes it.
async fn declare_one(
    broker: &Broker,
    connection: &Connection,
    queue: String,
    arguments: FieldTable,
) -> Result<()> {
    let channel = channel(broker, connection).await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    match channel
        .queue_declare(queue.clone().into(), options, arguments)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => Err(not_declared(broker, &queue, error)),
    }
}

/// Messages that are ready in a queue; what is in hand is not among them.
pub(super) async fn count(broker: &Broker, channel: &Channel, queue: String) -> Result<u64> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
    let queue = declare
        .await
        .map_err(|error| broker.fault("count a queue", error))?;
    Ok(queue.message_count().into())
}

pub(super) async fn channel(broker: &Broker, connection: &Connection) -> Result<Channel> {
    let open = connection.create_channel().await;
    open.map_err(|error| broker.fault("open a channel", error))
}

fn not_declared(broker: &Broker, queue: &str, error: lapin::Error) -> Error {
    let said = error.to_string();
    let differs = format!(
        "queue {queue} is there with other arguments; empty and delete it, and it is declared \
         anew, or choose another queue.name"
    );
    let old = "run RabbitMQ 3.10 or later: ours are quorum queues with a single active consumer, a \
               delivery limit and at-least-once dead letters";
    match protocol_error(&error) {
        Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED))
            if said.contains("inequivalent") =>
        {
            broker.refused(said, differs)
        }
        Some(
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTIMPLEMENTED | AMQPHardError::COMMANDINVALID),
        ) => broker.refused(format!("queue {queue}: {said}"), old),
        _ => broker.fault("declare a queue", error),
    }
}

fn is_soft(error: &lapin::Error, kind: &AMQPSoftError) -> bool {
    matches!(protocol_error(error), Some(AMQPErrorKind::Soft(soft)) if soft == *kind)
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongLongInt(DELIVERY_LIMIT),
    );
    arguments
}

/// Of the queues that carry changes.
fn place_arguments(parked: &str) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(parked));
    arguments
}

/// Of the queue of parked messages: its single active consumer is whoever lists it, so that two
/// listings at once wait for each other rather than each see a part.
fn parked_arguments() -> FieldTable {
    quorum()
}
