//! What workers do now and then beside their changes, over models that behave.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Chaos, EmbedModel, QueueModel, VectorModel};
use crate::change::{Act, Barrier, DocumentKey, Lane, Place, PointId, Time, Version};
use crate::clock::Clock;
use crate::document::Fields;
use crate::feature::worker::{self, Counters, Offload};
use crate::queue::{Outgoing, Queue as _};
use crate::reindex::Alone;
use crate::vector::{Point, VectorStore as _, Watermark, Write};

const PARTITIONS: u32 = 2;
const LANES: [Lane; 2] = [Lane::Live, Lane::Backfill];

/// A queue and an index, for workers that come and go.
struct Scene {
    clock: Clock,
    queue: QueueModel,
    store: VectorModel,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::manual(1_000_000);
        Self {
            queue: QueueModel::new(PARTITIONS, Chaos::calm(), clock.clone()),
            store: VectorModel::new(Chaos::calm()),
            clock,
        }
    }

    /// A worker of these partitions, for so long.
    async fn work(&self, partitions: &[u32], time: Duration) {
        let settings = worker::Settings {
            offload: Offload::Inline,
            ..worker::Settings::default()
        };
        let embedder = Arc::new(EmbedModel::new(Chaos::calm()));
        let editions = Alone::new(Arc::new(self.store.clone()), embedder, "simulated");
        let ports = worker::Ports {
            queue: &self.queue,
            editions: &editions,
            clock: &self.clock,
            counters: &Counters::default(),
        };
        let shutdown = tokio::time::sleep(time);
        let share = |_: u32| partitions.to_vec();
        Box::pin(worker::run(ports, &settings, share, shutdown))
            .await
            .unwrap();
    }

    async fn send(&self, barrier: &Barrier, lane: Lane) {
        let batch = Outgoing::barrier(barrier, lane, PARTITIONS);
        self.queue.publish(&batch).await.unwrap().await.unwrap();
    }

    /// Sends a watermark through every queue so many times, as capture does.
    async fn tell(&self, times: u32, every: Duration) {
        for _ in 0..times {
            let barrier = Barrier::watermark(1, Time::from_sequence(9), 0);
            for lane in LANES {
                self.send(&barrier, lane).await;
            }
            tokio::time::sleep(every).await;
        }
    }

    /// All up to the watermark is settled, and a worker has died over a point of an older change.
    async fn leave_an_orphan(&self) {
        let mark = Watermark {
            version: Version::read(1, Time::from_sequence(9)),
            committed_ms: 0,
        };
        let places = (0..PARTITIONS).flat_map(|partition| {
            LANES.map(|lane| Write::Watermark {
                place: Place { partition, lane },
                mark,
            })
        });
        let key = DocumentKey::text("posts", "a");
        let orphan = Point {
            id: PointId::new(&key, "text", 0),
            key,
            stamp: Version::read(1, Time::from_sequence(5)).into(),
            rank: 0,
            content: "text".to_owned(),
            metadata: Fields::new(),
            vector: Vec::new(),
        };
        let writes = places.chain([Write::Upsert(vec![orphan])]);
        self.store.write(writes.collect()).await.unwrap();
    }
}

/// Else each worker would read the whole index.
#[tokio::test(start_paused = true)]
async fn what_nobody_needs_is_collected_by_the_worker_of_the_first_partition() {
    let scene = Scene::new();
    scene.leave_an_orphan().await;
    let (minute, hours) = (Duration::from_mins(1), Duration::from_hours(3));
    tokio::join!(scene.work(&[1], hours), scene.tell(180, minute));
    assert_eq!(scene.store.state().points.len(), 1, "it is not its turn");
    tokio::join!(scene.work(&[0], hours), scene.tell(180, minute));
    assert_eq!(scene.store.state().points.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_alone_collects() {
    let scene = Scene::new();
    scene.leave_an_orphan().await;
    let (minute, hours) = (Duration::from_mins(1), Duration::from_hours(3));
    tokio::join!(scene.work(&[0, 1], hours), scene.tell(180, minute));
    assert_eq!(scene.store.state().points.len(), 0);
}

/// Else each of them would have everything that is parked read every second.
#[tokio::test(start_paused = true)]
async fn a_floor_that_is_held_back_is_looked_at_now_and_then_and_acts_soon_after_the_drop() {
    let scene = Scene::new();
    let floor = Barrier::Floor {
        id: Uuid::from_u128(7),
        kind: "posts".to_owned(),
        version: Version::read(1, Time::from_sequence(9)),
        act: Act::WhenPassed,
    };
    let second = Duration::from_secs(1);
    let steps = async {
        // It may have been a row of the snapshot.
        scene.queue.garbage(Place {
            partition: 0,
            lane: Lane::Backfill,
        });
        scene.send(&floor, Lane::Backfill).await;
        scene.tell(60, second).await;
        let listings = scene.queue.state().listings;
        assert!(
            (2..=3).contains(&listings),
            "{listings} listings in a minute"
        );
        assert_eq!(scene.store.state().control.passing.len(), 1);
        scene.queue.forget(vec![Uuid::nil()]).await.unwrap();
        scene.tell(31, second).await;
        let control = scene.store.state().control.clone();
        assert_eq!(control.passing.len(), 0, "thirty seconds are over");
        assert!(control.floors.contains_key("posts"));
    };
    tokio::join!(scene.work(&[0, 1], Duration::from_mins(3)), steps);
}
