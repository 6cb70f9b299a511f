//! Which of the workers looks through the whole index for what nobody needs. No IO.
//!
//! ```text
//! barriers of this period and the last ──lowest partition──> 0, or none at all: it looks
//!                                                        └─> another: it leaves that to who has 0
//! ```
//!
//! One is enough, since each reads every manifest and every point. Nobody leads, and no worker is told what it has:
//! each knows only whose barriers it receives, one a second of every partition. Two periods count, so that of two that
//! pass partition 0 to each other at least one looks. Where no barriers come everybody does, which harms nothing. Where
//! they come, and for two periods none of partition 0, nobody does: what nobody needs stays until they come again.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The partition whose worker looks.
const FIRST: u32 = 0;

/// The lowest partitions whose barriers a worker passed in the period of now, and in the last one.
#[derive(Debug, Default)]
pub(super) struct Duty(Mutex<[Option<u32>; 2]>);

impl Duty {
    /// A barrier of this partition is in hand.
    pub(super) fn passes(&self, partition: u32) {
        let mut periods = self.periods();
        let [now, _] = &mut *periods;
        *now = Some(now.map_or(partition, |lowest| lowest.min(partition)));
    }

    /// Whether it is ours to look; with the question the next period begins.
    pub(super) fn is_ours(&self) -> bool {
        let mut periods = self.periods();
        let lowest = periods.iter().flatten().min().copied();
        let [now, last] = &mut *periods;
        *last = now.take();
        lowest.is_none_or(|lowest| lowest == FIRST)
    }

    fn periods(&self) -> MutexGuard<'_, [Option<u32>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::change::{Barrier, DocumentKey, Lane, PointId, Time, Version};
    use crate::clock::Clock;
    use crate::document::Fields;
    use crate::feature::worker::{self, Counters, Offload};
    use crate::queue::{Outgoing, Queue as _};
    use crate::reindex::Alone;
    use crate::simulate::{Chaos, EmbedModel, QueueModel, VectorModel};
    use crate::vector::{Point, VectorStore as _, Write};

    #[test]
    fn who_has_the_first_partition_looks_and_who_has_others_alone_does_not() {
        let (first, other) = (Duty::default(), Duty::default());
        for partition in [2, 0, 1] {
            first.passes(partition);
        }
        other.passes(1);
        assert!(first.is_ours() && !other.is_ours());
        // It was passed to the other one: the last period counts as well.
        first.passes(2);
        other.passes(0);
        assert!(first.is_ours() && other.is_ours());
        first.passes(2);
        assert!(!first.is_ours());
    }

    #[test]
    fn who_receives_nothing_looks_since_nobody_may() {
        let duty = Duty::default();
        assert!(duty.is_ours());
        duty.passes(1);
        assert!(!duty.is_ours() && !duty.is_ours());
        assert!(duty.is_ours());
    }

    fn version(sequence: u64) -> Version {
        Version::read(1, Time::from_sequence(sequence))
    }

    /// A point whose worker died before it wrote a manifest.
    fn orphan() -> Point {
        let key = DocumentKey::text("posts", "a");
        Point {
            id: PointId::new(&key, "text", 0),
            key,
            stamp: version(1).into(),
            rank: 0,
            content: "text".to_owned(),
            metadata: Fields::new(),
            vector: vec![1.0, 0.0],
        }
    }

    /// Says in every place that all before is sent, and works on one of two partitions for two periods and a half.
    async fn work(queue: &QueueModel, store: &VectorModel, partition: u32) {
        for lane in [Lane::Live, Lane::Backfill] {
            let barrier = Barrier::Watermark {
                version: version(9),
                committed_ms: 0,
            };
            let batch = Outgoing::barrier(&barrier, lane, 2);
            queue.publish(&batch).await.unwrap().await.unwrap();
        }
        let settings = worker::Settings {
            offload: Offload::Inline,
            ..worker::Settings::default()
        };
        let embedder = Arc::new(EmbedModel::new(Chaos::calm()));
        let editions = Alone::new(Arc::new(store.clone()), embedder, "simulated");
        let ports = worker::Ports {
            queue,
            editions: &editions,
            clock: &Clock::manual(1_000_000),
            counters: &Counters::default(),
        };
        let shutdown = tokio::time::sleep(settings.collect_every * 5 / 2);
        let working = worker::run(ports, &settings, |_| vec![partition], shutdown);
        Box::pin(working).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_workers_the_one_with_the_first_partition_reads_the_whole_index() {
        let queue = QueueModel::new(2, Chaos::calm(), Clock::manual(1_000_000));
        let store = VectorModel::new(Chaos::calm());
        // So that every queue has a watermark, below which is collected.
        for partition in [0, 1] {
            work(&queue, &store, partition).await;
        }
        store
            .write(vec![Write::Upsert(vec![orphan()])])
            .await
            .unwrap();
        for (partition, points) in [(1, 1), (0, 0)] {
            work(&queue, &store, partition).await;
            assert_eq!(store.counts().await.unwrap().points, points, "{partition}");
        }
    }
}
