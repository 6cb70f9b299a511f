//! `RabbitMQ` under the contract: one broker for all facts, each with queues of its own.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use lockstep::change::Place;
use lockstep::clock::Clock;
use lockstep::queue::rabbit::{RabbitQueue, Settings};
use uuid::Uuid;

use super::{PARTITIONS, Subject, suite};
use crate::support::broker;

pub(crate) struct Service {
    settings: Settings,
    queue: RabbitQueue,
}

async fn open(settings: Settings) -> Service {
    let queue = RabbitQueue::open(settings.clone(), Clock::manual(5_000)).await;
    Service {
        settings,
        queue: queue.unwrap(),
    }
}

impl Subject for Service {
    type Queue = RabbitQueue;

    const COUNTS_BARRIERS: bool = true;

    async fn open() -> Self {
        let mut settings = Settings::new(broker::shared_url(), PARTITIONS);
        settings.name = format!("test-{}", Uuid::new_v4());
        open(settings).await
    }

    fn queue(&self) -> &RabbitQueue {
        &self.queue
    }

    async fn reopen(self) -> Self {
        drop(self.queue);
        open(self.settings).await
    }

    async fn inject(&self, place: Place, bytes: &[u8]) -> bool {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.settings.url, properties).await;
        let connection = connection.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let confirms = ConfirmSelectOptions::default();
        channel.confirm_select(confirms).await.unwrap();
        let (queue, options) = (self.queue.queue_name(place), BasicPublishOptions::default());
        let properties = BasicProperties::default();
        let publish = channel.basic_publish("".into(), queue.into(), options, bytes, properties);
        publish.await.unwrap().await.unwrap().is_ack()
    }
}

suite!(Service);
