//! What only a real broker shows: refusals, crashes, full queues, and the seed's own programs.

mod fault;
mod generation;
mod open;
mod program;
mod returned;
mod seed;
mod sharing;
mod silent;
mod unusual;
mod window;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use lockstep::change::{Change, DocumentKey, Lane, Message, Operation, Place, Time, Version};
use lockstep::clock::Clock;
use lockstep::queue::rabbit::{RabbitConsumer, RabbitQueue, Settings};
use lockstep::queue::{Confirm, Consumer as _, Delivery, Outgoing, Queue as _};
use uuid::Uuid;

use crate::support::broker::{self, Broker};

const PARTITIONS: u32 = 2;

/// Queues of a test's own, on the broker that all share.
fn settings() -> Settings {
    settings_at(broker::shared_url())
}

fn settings_at(url: String) -> Settings {
    let mut settings = Settings::new(url, PARTITIONS);
    let id = Uuid::new_v4().simple().to_string();
    settings.name = format!("test-{}", &id[..8]);
    settings
}

async fn open(settings: &Settings) -> RabbitQueue {
    RabbitQueue::open(settings.clone(), Clock::manual(5_000))
        .await
        .unwrap()
}

/// A connection that is not ours, as any other program has one.
async fn stranger(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

fn live(partition: u32) -> Place {
    Place {
        partition,
        lane: Lane::Live,
    }
}

/// The edit number `number`, as text of so many bytes.
fn edit(partition: u32, number: u64, bytes: usize) -> Outgoing {
    let key = DocumentKey::text("articles", &number.to_string());
    let version = Version::read(1, Time::from_sequence(number));
    let fields = serde_json::json!({"content": {"Content": "x".repeat(bytes)}});
    let fields = fields.as_object().cloned();
    let change = Change::new(key, version, Operation::Insert, fields, 1_000);
    Outgoing {
        place: live(partition),
        message: Message::Change(change),
    }
}

fn number(delivery: &Delivery) -> u64 {
    match &delivery.message {
        Ok(Message::Change(change)) => change.version.time.sequence(),
        other => panic!("{other:?} is no change"),
    }
}

/// Publishes a batch and awaits its answers.
async fn publish(queue: &RabbitQueue, batch: Vec<Outgoing>) -> lockstep::Result<Vec<Confirm>> {
    queue.publish(&batch).await?.await
}

fn is_confirmed(confirm: &Confirm) -> bool {
    matches!(confirm, Confirm::Confirmed)
}

/// What capture does after an answer: what failed goes again, with all that followed it to its place.
fn left(batch: Vec<Outgoing>, confirms: &[Confirm]) -> Vec<Outgoing> {
    let mut broken = Vec::new();
    let mut left = Vec::new();
    for (outgoing, confirm) in batch.into_iter().zip(confirms) {
        if !is_confirmed(confirm) {
            broken.push(outgoing.place);
        }
        if broken.contains(&outgoing.place) {
            left.push(outgoing);
        }
    }
    left
}

/// Receives and settles until each of these numbers came; the first time that each did, in order.
async fn drain(consumer: &mut RabbitConsumer, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let deliveries = consumer.receive(64).await.unwrap();
        for number in deliveries.iter().map(number) {
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        let tags = deliveries.iter().map(|delivery| delivery.tag);
        consumer.settle(tags.collect()).await.unwrap();
    }
    seen
}
