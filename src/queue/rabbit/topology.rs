//! The names of queues, what they are declared with, and the generation that is stored in the broker.
//!
//! ```text
//! lockstep.generation.1 (an exchange whose alternate is called lockstep.partitions.8: stored state)
//! lockstep.changes.1.0 … .7, lockstep.backfill.1.0 … .7 ──given up by the broker──> lockstep.parked
//! ```
//!
//! The partition count of a generation is written in the broker itself, as an argument of an exchange
//! that carries nothing. Declaring it creates it or compares it, in one step and for all processes at
//! once; there is no message that could be lost, and nobody has to be first. The newest generation that
//! is there is the one of now; how the next one comes to be is in `generation.rs`.

use std::sync::{Arc, Mutex, PoisonError};

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

/// The largest count that is tried where the broker does not say which one it has.
const COUNT_MAX: u32 = 4_096;

/// What stands in the broker. Clones see one generation, [`Topology::pinned`] keeps to its own.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    /// What all names begin with.
    name: String,
    /// The partitions that the settings ask for.
    pub(super) wanted: u32,
    pub(super) seed_consumers: Option<String>,
    now: Arc<Mutex<Generation>>,
}

/// A set of queues: one for each lane of each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation {
    /// From 1.
    pub(super) number: u32,
    pub(super) partitions: u32,
}

impl Topology {
    /// Finds the generation of now, or begins the first one, and declares all queues of it.
    ///
    /// # Errors
    /// [`Error::Refused`] when a queue is there with other arguments, or the broker is too old for ours.
    pub(super) async fn open(
        broker: &Broker,
        (name, wanted): (&str, u32),
        seed_consumers: Option<String>,
    ) -> Result<Self> {
        let connection = broker.connect("setup").await?;
        let topology = Self::unread((name, wanted), seed_consumers);
        topology.refresh(broker, &connection).await?;
        topology.declare(broker, &connection).await?;
        Ok(topology)
    }

    /// Before the broker was asked.
    pub(super) fn unread((name, wanted): (&str, u32), seed_consumers: Option<String>) -> Self {
        let unread = Generation {
            number: 0,
            partitions: wanted,
        };
        Self {
            name: name.to_owned(),
            wanted,
            seed_consumers,
            now: Arc::new(Mutex::new(unread)),
        }
    }

    /// Asks the broker which generation is the one of now, and goes on with that one.
    pub(super) async fn refresh(
        &self,
        broker: &Broker,
        connection: &Connection,
    ) -> Result<Generation> {
        let known = self.generation();
        let mut number = known.number.max(1);
        while self.is_begun(broker, connection, number + 1).await? {
            number += 1;
        }
        if number == known.number {
            return Ok(known);
        }
        let exchange = self.exchange(number);
        let partitions = self
            .claim(broker, connection, &exchange, self.wanted)
            .await?;
        Ok(self.go_on_with(Generation { number, partitions }))
    }

    /// Everything from here on is of this generation.
    pub(super) fn go_on_with(&self, generation: Generation) -> Generation {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = generation;
        generation
    }

    /// The generation that this process goes by.
    pub(super) fn generation(&self) -> Generation {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn partitions(&self) -> u32 {
        self.generation().partitions
    }

    /// As it is now, whatever the others go on with.
    pub(super) fn pinned(&self) -> Self {
        self.of(self.generation())
    }

    /// As it is in another generation.
    pub(super) fn of(&self, generation: Generation) -> Self {
        let now = Arc::new(Mutex::new(generation));
        Self {
            now,
            ..self.clone()
        }
    }

    /// The queue of a place.
    pub(super) fn queue(&self, place: Place) -> String {
        let lane = match place.lane {
            Lane::Live => "changes",
            Lane::Backfill => "backfill",
        };
        format!(
            "{}.{lane}.{}.{}",
            self.name,
            self.generation().number,
            place.partition
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
        (0..self.partitions()).flat_map(place)
    }

    /// The exchange that stores a generation.
    pub(super) fn exchange(&self, generation: u32) -> String {
        format!("{}.generation.{generation}", self.name)
    }

    /// Whether a generation has begun.
    pub(super) async fn is_begun(
        &self,
        broker: &Broker,
        connection: &Connection,
        generation: u32,
    ) -> Result<bool> {
        is_declared(broker, connection, self.exchange(generation)).await
    }

    /// Stores a partition count under the name of an exchange, unless one is stored there: in one step,
    /// for all processes at once. Gives the count that is stored.
    pub(super) async fn claim(
        &self,
        broker: &Broker,
        connection: &Connection,
        exchange: &str,
        count: u32,
    ) -> Result<u32> {
        let Some(said) = self.compare(broker, connection, exchange, count).await? else {
            return Ok(count);
        };
        let stored = said.split_once("current is ");
        let stored = stored.and_then(|(_, current)| current.split_once(&self.count("")));
        if let Some(stored) = stored.and_then(|(_, count)| leading_number(count)) {
            return Ok(stored);
        }
        // What the broker says has at most 255 bytes: a long name leaves no room for the count.
        for stored in 1..=COUNT_MAX {
            let compared = self.compare(broker, connection, exchange, stored);
            if compared.await?.is_none() {
                return Ok(stored);
            }
        }
        let why = format!("exchange {exchange} stores no partition count of ours ({said})");
        Err(broker.refused(
            why,
            "delete it while nothing runs, or choose another queue.name",
        ))
    }

    /// None where the exchange stores this count now, and otherwise what the broker says.
    async fn compare(
        &self,
        broker: &Broker,
        connection: &Connection,
        exchange: &str,
        count: u32,
    ) -> Result<Option<String>> {
        let channel = channel(broker, connection).await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "alternate-exchange".into(),
            text(self.count(&count.to_string())),
        );
        let (options, kind) = (durable_exchange(), ExchangeKind::Fanout);
        let declare = channel.exchange_declare(exchange.into(), kind, options, arguments);
        match declare.await {
            Ok(()) => Ok(None),
            Err(error) if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(broker.fault("store its generation", error)),
        }
    }

    fn count(&self, count: &str) -> String {
        format!("{}.partitions.{count}", self.name)
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

pub(super) fn durable_exchange() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    }
}

/// Whether an exchange is there.
pub(super) async fn is_declared(
    broker: &Broker,
    connection: &Connection,
    exchange: String,
) -> Result<bool> {
    // On a channel of its own, which the answer "no" closes.
    let channel = channel(broker, connection).await?;
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let (kind, none) = (ExchangeKind::Fanout, FieldTable::default());
    let declare = channel.exchange_declare(exchange.into(), kind, options, none);
    match declare.await {
        Ok(()) => {
            channel.close(200, "OK".into()).await.ok();
            Ok(true)
        }
        Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(broker.fault("look for its generation", error)),
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

pub(super) fn is_soft(error: &lapin::Error, kind: &AMQPSoftError) -> bool {
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
