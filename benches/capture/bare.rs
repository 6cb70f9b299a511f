//! The same driver and the same AMQP client with nothing between them: what could be reached.

use std::collections::VecDeque;
use std::time::Duration;

use bson::{Document as BsonDocument, RawDocumentBuf};
use futures_util::TryStreamExt as _;
use lapin::PublisherConfirm;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use mongodb::change_stream::ChangeStream;
use tokio::time::Instant;

use crate::backlog::Backlog;
use crate::{Bench, Outcome};

/// Messages sent and not yet confirmed, as many as the product's.
const WINDOW: usize = 500;
/// Events of one answer, as many as the product asks for.
const EVENTS: u32 = 1_000;

/// Every event's document from the change stream to so many quorum queues; the seconds it took.
pub(crate) async fn carry(bench: &Bench, backlog: &Backlog, queues: usize) -> Outcome<f64> {
    let mut publisher = Publisher::open(bench, queues).await?;
    let start = Instant::now();
    let mut stream = stream(backlog, Vec::new()).await?;
    for _ in 0..backlog.count {
        let event = stream.try_next().await?.ok_or("the stream ended")?;
        publisher
            .send(event.get_document("fullDocument")?.as_bytes())
            .await?;
    }
    publisher.confirm_down_to(0).await?;
    let seconds = start.elapsed().as_secs_f64();
    publisher.remove().await?;
    Ok(seconds)
}

/// The change stream alone, after these stages of the server.
pub(crate) async fn drain(backlog: &Backlog, stages: Vec<BsonDocument>) -> Outcome<f64> {
    let start = Instant::now();
    let mut stream = stream(backlog, stages).await?;
    for _ in 0..backlog.count {
        stream.try_next().await?.ok_or("the stream ended")?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// The publishing alone.
pub(crate) async fn publish(
    bench: &Bench,
    bodies: &[Vec<u8>],
    (count, queues): (usize, usize),
) -> Outcome<f64> {
    let mut publisher = Publisher::open(bench, queues).await?;
    let start = Instant::now();
    for body in bodies.iter().cycle().take(count) {
        publisher.send(body).await?;
    }
    publisher.confirm_down_to(0).await?;
    let seconds = start.elapsed().as_secs_f64();
    publisher.remove().await?;
    Ok(seconds)
}

async fn stream(
    backlog: &Backlog,
    stages: Vec<BsonDocument>,
) -> Outcome<ChangeStream<RawDocumentBuf>> {
    let watch = backlog.database.watch().pipeline(stages).batch_size(EVENTS);
    let watch = watch.start_at_operation_time(backlog.first());
    Ok(watch
        .max_await_time(Duration::from_secs(1))
        .await?
        .with_type())
}

/// A channel with confirms, and some of them awaited.
pub(crate) struct Publisher {
    /// Dropped, it would close.
    _connection: Connection,
    channel: Channel,
    queues: Vec<String>,
    sent: usize,
    waiting: VecDeque<PublisherConfirm>,
}

impl Publisher {
    pub(crate) async fn open(bench: &Bench, queues: usize) -> Outcome<Self> {
        let connection = connect(bench).await?;
        let channel = connection.create_channel().await?;
        let queues: Vec<String> = (0..queues).map(|number| format!("bare.{number}")).collect();
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        for queue in &queues {
            let mut arguments = FieldTable::default();
            let quorum = AMQPValue::LongString("quorum".into());
            arguments.insert("x-queue-type".into(), quorum);
            channel
                .queue_declare(queue.as_str().into(), options, arguments)
                .await?;
        }
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Self {
            _connection: connection,
            channel,
            queues,
            sent: 0,
            waiting: VecDeque::with_capacity(WINDOW),
        })
    }

    /// Sends to the queues in turns, as long as the window has room.
    pub(crate) async fn send(&mut self, body: &[u8]) -> Outcome<()> {
        self.confirm_down_to(WINDOW - 1).await?;
        let queue = &self.queues[self.sent % self.queues.len()];
        self.sent += 1;
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let publish =
            self.channel
                .basic_publish("".into(), queue.as_str().into(), options, body, properties);
        self.waiting.push_back(publish.await?);
        Ok(())
    }

    /// Awaits confirms until only so many are missing.
    pub(crate) async fn confirm_down_to(&mut self, left: usize) -> Outcome<()> {
        while self.waiting.len() > left
            && let Some(confirm) = self.waiting.pop_front()
        {
            match confirm.await? {
                Confirmation::Ack(None) => {}
                other => return Err(format!("not confirmed: {other:?}").into()),
            }
        }
        Ok(())
    }

    pub(crate) async fn remove(self) -> Outcome<()> {
        delete(&self.channel, &self.queues).await
    }
}

pub(crate) async fn connect(bench: &Bench) -> Outcome<Connection> {
    let properties = ConnectionProperties::default();
    Ok(Connection::connect(&bench.broker.url(), properties).await?)
}

/// What one round left must not burden the next.
pub(crate) async fn delete(channel: &Channel, queues: &[String]) -> Outcome<()> {
    for queue in queues {
        let options = QueueDeleteOptions::default();
        channel.queue_delete(queue.as_str().into(), options).await?;
    }
    Ok(())
}
