//! From one generation of queues to the next: how the partition count changes.
//!
//! ```text
//! lockstep.changes.1.0.open …    one exchange a place: its end is not settled yet
//! lockstep.ending.1              the count of the next generation: from here on only `end` is taken in
//!    │ `end` into every place ──consumer, before it acknowledges──> deletes the place's .open
//!    ▼ none is left
//! lockstep.generation.2          begun; the old queues are deleted, and so their consumers leave them
//! ```
//!
//! All of it is state of the broker, and each step is taken from what is there: a crash between any two
//! repeats the last one. Counts of messages are not asked whether a queue is done with; only whether one
//! that is done with may be deleted.

use std::future::Future;
use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Connection, ExchangeKind};

use super::RabbitQueue;
use super::broker::Broker;
use super::declare;
use super::link::Link;
use super::topology::{Generation, Topology};
use crate::Result;
use crate::change::{Barrier, Place};
use crate::queue::{Generations, Turn};

/// Between two looks at what the workers have settled.
const LOOK: Duration = Duration::from_millis(500);
/// After so many looks it is said again what is waited for.
const LOOKS_SAID: u32 = 120;

impl Generations for RabbitQueue {
    async fn current(&self) -> Result<u32> {
        let link = &self.publisher.link;
        let connection = link.broker.connect("setup").await?;
        let generation = link.topology.refresh(&link.broker, &connection).await?;
        Ok(generation.partitions)
    }

    async fn turn(&self, sent: bool) -> Result<Turn> {
        let link = &self.publisher.link;
        let mover = Mover::open(link).await?;
        let now = mover.now;
        let turn = match mover.next().await? {
            None if now.partitions == link.topology.wanted => {
                link.open_gate().await;
                mover.clear_before().await?;
                Turn::Stays
            }
            None => {
                link.close_gate().await;
                Turn::End(mover.announce(link.topology.wanted).await?)
            }
            Some(next) if !sent => {
                link.close_gate().await;
                Turn::End(end(now, next))
            }
            Some(next) => {
                mover.settled().await?;
                let next = mover.begin(next).await?;
                link.topology.go_on_with(next);
                Turn::Begun
            }
        };
        Ok(turn)
    }
}

/// Refuses while this generation ends. A process that has just started has not closed its gate yet, and what
/// it let in behind an end would be deleted with the queue.
pub(super) async fn stays(link: &Link) -> Result<()> {
    let mover = Mover::open(link).await?;
    let next = mover.next().await?;
    match next {
        None => Ok(()),
        Some(_) => Err(link.changing()),
    }
}

fn end(now: Generation, next: u32) -> Barrier {
    Barrier::End {
        generation: now.number,
        partitions: now.partitions,
        next,
    }
}

/// Records that the end of a place's queue is settled.
pub(super) async fn record(
    broker: &Broker,
    connection: &Connection,
    topology: &Topology,
    place: Place,
) -> Result<()> {
    delete_exchange(broker, connection, open(topology, place)).await
}

/// Stands as long as the end of a place's queue is not settled.
fn open(topology: &Topology, place: Place) -> String {
    format!("{}.open", topology.queue(place))
}

/// One look at the broker, and the steps from there.
struct Mover<'a> {
    broker: &'a Broker,
    /// Of `now`.
    topology: Topology,
    connection: Connection,
    now: Generation,
}

impl<'a> Mover<'a> {
    async fn open(link: &'a Link) -> Result<Self> {
        let broker = &link.broker;
        let connection = broker.connect("setup").await?;
        let now = link.topology.refresh(broker, &connection).await?;
        Ok(Self {
            broker,
            topology: link.topology.of(now),
            connection,
            now,
        })
    }

    async fn answer<T>(&self, action: &'static str, asked: impl Future<Output = T>) -> Result<T> {
        self.broker.answer(&self.connection, action, asked).await
    }

    fn ending(&self, generation: u32) -> String {
        self.topology
            .exchange(generation)
            .replace(".generation.", ".ending.")
    }

    /// The partitions of the generation after this one, if this one is to end.
    async fn next(&self) -> Result<Option<u32>> {
        let ending = self.ending(self.now.number);
        if !declare::is_declared(self.broker, &self.connection, ending.clone()).await? {
            return Ok(None);
        }
        let count =
            self.topology
                .claim(self.broker, &self.connection, &ending, self.now.partitions);
        count.await.map(Some)
    }

    /// Stores that this generation is to end. The places' marks come first: from then on one that is
    /// missing says that its place is done with.
    async fn announce(&self, wanted: u32) -> Result<Barrier> {
        for place in self.topology.places() {
            let channel = declare::channel(self.broker, &self.connection).await?;
            let (kind, none) = (ExchangeKind::Fanout, FieldTable::default());
            let (name, options) = (open(&self.topology, place), declare::durable_exchange());
            let declare = channel.exchange_declare(name.into(), kind, options, none);
            let declared = self.answer("end its generation", declare).await?;
            declared.map_err(|error| self.broker.fault("end its generation", error))?;
            declare::close(self.broker, &self.connection, &channel).await?;
        }
        let ending = self.ending(self.now.number);
        let next = self
            .topology
            .claim(self.broker, &self.connection, &ending, wanted)
            .await?;
        let Generation { number, partitions } = self.now;
        tracing::info!(
            generation = number,
            partitions,
            next,
            "the partition count changes"
        );
        Ok(end(self.now, next))
    }

    /// Waits until the end of every place is settled.
    async fn settled(&self) -> Result<()> {
        let mut looks = 0_u32;
        for place in self.topology.places() {
            let queue = self.topology.queue(place);
            while declare::is_declared(self.broker, &self.connection, open(&self.topology, place))
                .await?
            {
                if looks.is_multiple_of(LOOKS_SAID) {
                    tracing::info!(
                        queue,
                        "nothing is sent until the feature workers have emptied it"
                    );
                }
                looks += 1;
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Begins the next generation, and deletes the queues of this one.
    async fn begin(&self, partitions: u32) -> Result<Generation> {
        let number = self.now.number + 1;
        let exchange = self.topology.exchange(number);
        let claim = self
            .topology
            .claim(self.broker, &self.connection, &exchange, partitions);
        let next = Generation {
            number,
            partitions: claim.await?,
        };
        self.topology
            .of(next)
            .declare(self.broker, &self.connection)
            .await?;
        self.clear(self.now).await?;
        tracing::info!(
            generation = number,
            partitions = next.partitions,
            "the next queues are in use"
        );
        Ok(next)
    }

    /// Deletes what a crash has left of the generation before this one.
    async fn clear_before(&self) -> Result<()> {
        let number = self.now.number - 1;
        let ending = self.ending(number);
        if number == 0 || !declare::is_declared(self.broker, &self.connection, ending).await? {
            return Ok(());
        }
        let exchange = self.topology.exchange(number);
        let claim = self.topology.claim(
            self.broker,
            &self.connection,
            &exchange,
            self.now.partitions,
        );
        let partitions = claim.await?;
        self.clear(Generation { number, partitions }).await
    }

    async fn clear(&self, old: Generation) -> Result<()> {
        let topology = self.topology.of(old);
        for place in topology.places() {
            self.delete(topology.queue(place)).await?;
        }
        delete_exchange(self.broker, &self.connection, self.ending(old.number)).await
    }

    /// Deletes a queue whose end is settled, once it is empty: its consumers are told so, and leave it.
    ///
    /// Behind the end there may be what a capture sent that was fenced off and did not know it: its
    /// successor sends that again. Whoever still consumes the queue takes it out; without anybody it is
    /// left where it is, and said.
    async fn delete(&self, queue: String) -> Result<()> {
        while let Some((messages, consumers)) = self.look(queue.clone()).await? {
            if messages == 0 {
                let channel = declare::channel(self.broker, &self.connection).await?;
                let options = QueueDeleteOptions::default();
                let delete = channel.queue_delete(queue.clone().into(), options);
                let deleted = self.answer("delete an old queue", delete).await?;
                deleted.map_err(|error| self.broker.fault("delete an old queue", error))?;
                return Ok(());
            }
            if consumers == 0 {
                tracing::warn!(
                    queue,
                    messages,
                    "an old queue is not empty, and nobody reads it"
                );
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The messages and consumers of a queue; none where there is no such queue.
    async fn look(&self, queue: String) -> Result<Option<(u32, u32)>> {
        let channel = declare::channel(self.broker, &self.connection).await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
        match self.answer("count a queue", declare).await? {
            Ok(queue) => {
                declare::close(self.broker, &self.connection, &channel).await?;
                Ok(Some((queue.message_count(), queue.consumer_count())))
            }
            Err(error) if declare::is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(None),
            Err(error) => Err(self.broker.fault("count a queue", error)),
        }
    }
}

async fn delete_exchange(broker: &Broker, connection: &Connection, exchange: String) -> Result<()> {
    let channel = declare::channel(broker, connection).await?;
    let (action, options) = (
        "record the end of a queue",
        ExchangeDeleteOptions::default(),
    );
    let delete = channel.exchange_delete(exchange.into(), options);
    let deleted = broker.answer(connection, action, delete).await?;
    deleted.map_err(|error| broker.fault(action, error))?;
    declare::close(broker, connection, &channel).await
}
