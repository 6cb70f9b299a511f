//! What an outage of the store costs, over models that else behave.

use std::sync::Arc;
use std::time::Duration;

use super::{Chaos, EmbedModel, QueueModel, VectorModel};
use crate::change::{Change, DocumentKey, Lane, Operation, Time, Version};
use crate::clock::Clock;
use crate::document::Fields;
use crate::feature::worker::{self, Counters, Offload};
use crate::queue::{Outgoing, Queue};
use crate::reindex::Alone;

async fn work(queue: &QueueModel, store: &VectorModel, clock: &Clock, time: Duration) {
    let settings = worker::Settings {
        // Once before the outage is noticed, and once after it.
        attempts_max: 2,
        offload: Offload::Inline,
        ..worker::Settings::default()
    };
    let embedder = Arc::new(EmbedModel::new(Chaos::calm()));
    let editions = Alone::new(Arc::new(store.clone()), embedder, "simulated");
    let ports = worker::Ports {
        queue,
        editions: &editions,
        clock,
        counters: &Counters::default(),
    };
    let shutdown = tokio::time::sleep(time);
    worker::run(ports, &settings, |_| vec![0], shutdown)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_charges_one_attempt_at_most() {
    let clock = Clock::manual(1_000_000);
    let queue = QueueModel::new(1, Chaos::calm(), clock.clone());
    let store = VectorModel::new(Chaos::calm());
    let hour = Duration::from_hours(1);
    let changes = (1..=3).map(|sequence| {
        let key = DocumentKey::text("posts", &sequence.to_string());
        let version = Version::read(1, Time::from_sequence(sequence));
        let change = Change::new(key, version, Operation::Insert, Some(Fields::new()), 0);
        Outgoing::change(change, Lane::Live, 1)
    });
    // It begins while the worker has consumed, and waits.
    let publish = async {
        tokio::time::sleep(hour).await;
        store.go_away(4 * hour);
        let batch: Vec<_> = changes.collect();
        queue.publish(&batch).await.unwrap().await.unwrap();
    };
    tokio::join!(work(&queue, &store, &clock, 8 * hour), publish);
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.live, depth.parked), (0, 0));
    assert_eq!(store.state().manifests.len(), 3);
}
