//! Declaring exchanges and queues, looking for them, and what it means where that fails.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use uuid::Uuid;

use super::broker::{Broker, protocol_error};
use super::wire::text;
use crate::{Error, Result};

/// Attempts that the broker allows: beyond any that we would, since it counts browsing too.
const DELIVERY_LIMIT: i64 = 1_000_000_000;
/// An argument of quorum queues, since RabbitMQ 3.10.
const STRATEGY: &str = "x-dead-letter-strategy";
const OLD: &str = "run RabbitMQ 3.10 or later: ours are quorum queues with a single active consumer, a delivery limit \
                   and at-least-once dead letters";

/// Refuses a broker that is older than 3.10: it would take our queues, and pass over what it does not know of them.
///
/// The client keeps to itself which version a broker says that it has. So one is asked for a classic queue with an
/// argument that quorum queues have had since then. `name` is what the names of our queues begin with.
pub(super) async fn require_version(broker: &Broker, name: &str) -> Result<()> {
    // On a connection of its own: the usual answer closes the channel, and one that is opened behind it may be given
    // its error (seen with lapin 4.12).
    let connection = broker.connect("setup").await?;
    let channel = channel(broker, &connection).await?;
    let queue = format!("{name}.version.{}", Uuid::new_v4());
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("classic"));
    arguments.insert(STRATEGY.into(), text("at-least-once"));
    let declare = channel.queue_declare(queue.into(), options, arguments);
    let declared = broker.answer(&connection, "say its version", declare);
    match is_old(declared.await?) {
        Ok(false) => Ok(()),
        Ok(true) => Err(broker.refused("it is older than 3.10".to_owned(), OLD)),
        Err(error) => Err(broker.fault("say its version", error)),
    }
}

/// Whether a broker is too old, by its answer: an argument of another type of queue is refused, and one of none is not.
fn is_old<T>(declared: lapin::Result<T>) -> lapin::Result<bool> {
    match declared {
        Ok(_) => Ok(true),
        // Who may not declare this queue may be told so where it matters.
        Err(error)
            if is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED)
                || is_soft(&error, &AMQPSoftError::ACCESSREFUSED) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// A queue that carries changes; what the broker gives up of it goes to `parked`.
pub(super) async fn place(
    broker: &Broker,
    connection: &Connection,
    queue: String,
    parked: &str,
) -> Result<()> {
    let mut arguments = quorum();
    arguments.insert(STRATEGY.into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(parked));
    let fix = fix_of_ours(&queue);
    one(broker, connection, queue, arguments, fix).await
}

/// The queue of parked messages: its single active consumer is whoever lists it, so that two listings at
/// once wait for each other rather than each see a part.
pub(super) async fn parked(broker: &Broker, connection: &Connection, queue: &str) -> Result<()> {
    let fix = fix_of_ours(queue);
    one(broker, connection, queue.to_owned(), quorum(), fix).await
}

fn fix_of_ours(queue: &str) -> String {
    format!(
        "queue {queue} is there with other arguments; empty and delete it, and it is declared anew, or choose another \
         queue.name"
    )
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
    let action = "look for its generation";
    match broker.answer(connection, action, declare).await? {
        Ok(()) => {
            close(broker, connection, &channel).await?;
            Ok(true)
        }
        Err(error) if is_soft(&error, &AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(broker.fault(action, error)),
    }
}

/// A queue as the seed declares it: anything more would make its own declaration fail. `setting` names it.
pub(super) async fn plain(
    broker: &Broker,
    connection: &Connection,
    queue: &str,
    setting: &str,
) -> Result<()> {
    let fix = format!(
        "{setting} is {queue}, and a queue that the first system declares is durable and has no arguments: name that \
         one, or another that is not there yet"
    );
    let none = FieldTable::default();
    one(broker, connection, queue.to_owned(), none, fix).await
}

/// On a channel of its own, since a refused declaration closes it.
async fn one(
    broker: &Broker,
    connection: &Connection,
    queue: String,
    arguments: FieldTable,
    fix: String,
) -> Result<()> {
    let channel = channel(broker, connection).await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(queue.clone().into(), options, arguments);
    let declared = broker.answer(connection, "declare a queue", declare);
    match declared.await? {
        Ok(_) => Ok(()),
        Err(error) => Err(not_declared(broker, (&queue, fix), error)),
    }
}

/// Messages that are ready in a queue; what is in hand is not among them.
pub(super) async fn count(
    broker: &Broker,
    connection: &Connection,
    channel: &Channel,
    queue: String,
) -> Result<u64> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declare = channel.queue_declare(queue.into(), options, FieldTable::default());
    let declared = broker.answer(connection, "count a queue", declare).await?;
    let queue = declared.map_err(|error| broker.fault("count a queue", error))?;
    Ok(queue.message_count().into())
}

pub(super) async fn channel(broker: &Broker, connection: &Connection) -> Result<Channel> {
    let open = broker.answer(connection, "open a channel", connection.create_channel());
    open.await?
        .map_err(|error| broker.fault("open a channel", error))
}

/// Closes a channel that is done with.
pub(super) async fn close(
    broker: &Broker,
    connection: &Connection,
    channel: &Channel,
) -> Result<()> {
    let close = channel.close(200, "OK".into());
    // One that is closed already is what was wanted.
    let closed = broker.answer(connection, "close a channel", close).await?;
    closed.ok();
    Ok(())
}

fn not_declared(broker: &Broker, (queue, fix): (&str, String), error: lapin::Error) -> Error {
    let said = error.to_string();
    match protocol_error(&error) {
        // Any other of this code may be the answer to what another channel asked. A broker that is too old was
        // refused before, by `require_version`.
        Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED))
            if said.contains("inequivalent") && is_of(&said, queue) =>
        {
            broker.refused(said, fix)
        }
        Some(AMQPErrorKind::Hard(
            AMQPHardError::NOTIMPLEMENTED | AMQPHardError::COMMANDINVALID,
        )) => broker.refused(format!("queue {queue}: {said}"), OLD),
        _ => broker.fault("declare a queue", error),
    }
}

/// Whether the broker said this of a queue. It cuts what it says at 255 bytes, so that a long name may not be whole.
fn is_of(said: &str, queue: &str) -> bool {
    let Some((_, name)) = said.split_once("for queue '") else {
        return false;
    };
    let whole = format!("{queue}'");
    let cut = name.strip_suffix("...");
    name.starts_with(&whole) || cut.is_some_and(|cut| whole.starts_with(cut))
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

#[cfg(test)]
mod tests {
    use lapin::ErrorKind;
    use lapin::protocol::AMQPError;

    use super::*;

    #[test]
    fn only_what_is_said_of_a_queues_arguments_is_told_as_that() {
        let within = std::time::Duration::from_secs(30);
        let broker = Broker::parse("amqp://127.0.0.1:5672", (within, within)).unwrap();
        let told = |said: &str| {
            let kind = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
            let error = ErrorKind::ProtocolError(AMQPError::new(kind, said.into()));
            not_declared(&broker, ("q", "delete it".to_owned()), error.into())
        };
        let ours = told(
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/'",
        );
        assert!(matches!(ours, Error::Refused { .. }), "{ours:?}");
        for anothers in [
            "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'g' in vhost '/'",
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q.1' in vhost '/'",
            "PRECONDITION_FAILED - unknown delivery tag 1",
        ] {
            let told = told(anothers);
            assert!(matches!(told, Error::Unavailable { .. }), "{told:?}");
        }
    }

    #[test]
    fn a_queue_is_known_by_a_name_that_the_broker_has_cut() {
        let queue = "q".repeat(250);
        let begins = "inequivalent arg 'durable' for queue '";
        assert!(is_of(&format!("{begins}{}...", "q".repeat(150)), &queue));
        assert!(is_of(&format!("{begins}q' in vhost '/': rec..."), "q"));
        assert!(!is_of(&format!("{begins}{}r...", "q".repeat(150)), &queue));
    }

    fn refused(kind: AMQPErrorKind) -> lapin::Result<()> {
        let error = AMQPError::new(kind, "no".into());
        Err(ErrorKind::ProtocolError(error).into())
    }

    #[test]
    fn a_broker_that_passes_over_what_it_does_not_know_is_too_old() {
        assert!(is_old(Ok(())).unwrap());
        for known in [
            AMQPSoftError::PRECONDITIONFAILED,
            AMQPSoftError::ACCESSREFUSED,
        ] {
            assert!(!is_old(refused(AMQPErrorKind::Soft(known))).unwrap());
        }
        let says_nothing = refused(AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED));
        assert!(is_old(says_nothing).is_err());
    }
}
