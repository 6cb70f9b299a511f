//! Declaring exchanges and queues, looking for them, and what it means where that fails.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use super::broker::{Broker, protocol_error};
use super::wire::text;
use crate::{Error, Result};

/// Attempts that the broker allows: beyond any that we would, since it counts browsing too.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// A queue that carries changes; what the broker gives up of it goes to `parked`.
pub(super) async fn place(
    broker: &Broker,
    connection: &Connection,
    queue: String,
    parked: &str,
) -> Result<()> {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(parked));
    one(broker, connection, queue, arguments).await
}

/// The queue of parked messages: its single active consumer is whoever lists it, so that two listings at
/// once wait for each other rather than each see a part.
pub(super) async fn parked(broker: &Broker, connection: &Connection, queue: &str) -> Result<()> {
    one(broker, connection, queue.to_owned(), quorum()).await
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
pub(super) async fn plain(broker: &Broker, connection: &Connection, queue: &str) -> Result<()> {
    one(broker, connection, queue.to_owned(), FieldTable::default()).await
}

/// On a channel of its own, since a refused declaration closes it.
async fn one(
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
