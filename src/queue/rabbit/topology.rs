//! The names of queues, and the generation that is stored in the broker.
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
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Connection, ExchangeKind};

use super::broker::Broker;
use super::declare::{self, is_soft};
use super::wire::text;
use crate::Result;
use crate::change::{Lane, Place};

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
    /// [`crate::Error::Refused`] when a queue is there with other arguments, or the broker is too old for ours.
    pub(super) async fn open(
        broker: &Broker,
        (name, wanted): (&str, u32),
        seed_consumers: Option<String>,
    ) -> Result<Self> {
        declare::require_version(broker, name).await?;
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

    /// The queue of whoever moves what the seed's producers sent, and of nobody else meanwhile.
    pub(super) fn intake(&self) -> String {
        format!("{}.intake", self.name)
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
        declare::is_declared(broker, connection, self.exchange(generation)).await
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
        let channel = declare::channel(broker, connection).await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "alternate-exchange".into(),
            text(self.count(&count.to_string())),
        );
        let (options, kind) = (declare::durable_exchange(), ExchangeKind::Fanout);
        let declare = channel.exchange_declare(exchange.into(), kind, options, arguments);
        let action = "store its generation";
        match broker.answer(connection, action, declare).await? {
            Ok(()) => Ok(None),
            Err(error) if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED) => {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(broker.fault(action, error)),
        }
    }

    fn count(&self, count: &str) -> String {
        format!("{}.partitions.{count}", self.name)
    }

    /// Declares every queue; harmless where they are there.
    pub(super) async fn declare(&self, broker: &Broker, connection: &Connection) -> Result<()> {
        let parked = self.parked();
        declare::parked(broker, connection, &parked).await?;
        let places = self
            .places()
            .map(|place| declare::place(broker, connection, self.queue(place), &parked));
        try_join_all(places).await?;
        if let Some(queue) = &self.seed_consumers {
            declare::plain(broker, connection, queue, "queue.seed_consumers").await?;
        }
        Ok(())
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}
