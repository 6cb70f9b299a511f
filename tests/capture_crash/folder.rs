//! The reader of the queue: consumes every partition, folds, settles; consumes anew when the broker
//! dies.

use std::time::Duration;

use lockstep::Result;
use lockstep::change::{Act, Barrier, Lane, Version};
use lockstep::clock::Clock;
use lockstep::queue::rabbit::{RabbitQueue, Settings};
use lockstep::queue::{Confirm, Consumer as _, Outgoing, Queue as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::folded::{DRAIN, Folded};
use super::{PATIENCE, PATIENCE_AT_MOST, patiently};

/// Between two attempts while the broker is away.
const PAUSE: Duration = Duration::from_millis(200);
/// Messages received at once.
const BATCH: usize = 64;

/// Folds for as long as it lives.
pub(super) struct Folder {
    queue: RabbitQueue,
    folded: watch::Receiver<Folded>,
    paused: watch::Sender<bool>,
    _folding: JoinSet<()>,
}

impl Folder {
    pub(super) async fn start(settings: Settings) -> Self {
        let opened = RabbitQueue::open(settings, Clock::manual(0)).await;
        let queue = opened.unwrap();
        let (told, folded) = watch::channel(Folded::default());
        let (paused, pause) = watch::channel(false);
        let mut folding = JoinSet::new();
        let reader = queue.clone();
        folding.spawn(async move {
            loop {
                // Whatever ends it: what was not settled comes again.
                fold(&reader, &told, pause.clone()).await.err();
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self {
            queue,
            folded,
            paused,
            _folding: folding,
        }
    }

    /// Nothing is received until it goes on.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// What is folded by now.
    pub(super) fn folded(&self) -> watch::Ref<'_, Folded> {
        self.folded.borrow()
    }

    /// Waits until this holds of what is folded. A machine that is busy may take its time, as long as something comes.
    pub(super) async fn until(
        &self,
        what: impl Fn(&Folded) -> String,
        is_so: impl Fn(&Folded) -> bool,
    ) {
        let mut folded = self.folded.clone();
        let begun = Instant::now();
        while !is_so(&folded.borrow_and_update()) {
            let came = matches!(timeout(PATIENCE, folded.changed()).await, Ok(Ok(())));
            let (waited, now) = (begun.elapsed(), folded.borrow());
            assert!(
                came && waited < PATIENCE_AT_MOST,
                "waited {waited:?} for {}: {}",
                what(&now),
                now.tally()
            );
        }
    }

    /// Waits until everything that is in the queues now is folded.
    pub(super) async fn drain(&self) {
        let id = Uuid::new_v4();
        let barrier = Barrier::Floor {
            id,
            kind: DRAIN.to_owned(),
            version: Version::NONE,
            act: Act::AtOnce,
        };
        let places = |lane| Outgoing::barrier(&barrier, lane, self.queue.partitions());
        let mut batch = places(Lane::Live);
        batch.extend(places(Lane::Backfill));
        let count = batch.len();
        patiently("the broker to take barriers", self.publish(batch)).await;
        let what = |folded: &Folded| {
            let drained = folded.drained(id);
            format!("a barrier in all {count} queues, of which {drained:?} had it")
        };
        self.until(what, |folded| folded.drained(id).len() == count)
            .await;
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        2 * self.queue.partitions() as usize
    }

    /// Fails where a message was set aside.
    pub(super) async fn assert_nothing_parked(&self) {
        let parked = self.queue.parked(None, 10).await.unwrap();
        assert!(parked.is_empty(), "{parked:?}");
    }

    async fn publish(&self, batch: Vec<Outgoing>) {
        loop {
            let confirms = match self.queue.publish(&batch).await {
                Ok(answers) => answers.await.unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let is_confirmed = |it: &Confirm| matches!(it, Confirm::Confirmed);
            if !confirms.is_empty() && confirms.iter().all(is_confirmed) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Folds until the consumer fails.
async fn fold(
    queue: &RabbitQueue,
    folded: &watch::Sender<Folded>,
    mut paused: watch::Receiver<bool>,
) -> Result<()> {
    let partitions = queue.partitions();
    let mut consumer = queue.consume((0..partitions).collect()).await?;
    loop {
        paused.wait_for(|paused| !paused).await.ok();
        let deliveries = consumer.receive(BATCH).await?;
        let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
        folded.send_modify(|folded| {
            for delivery in deliveries {
                folded.fold(delivery.place, delivery.message.unwrap(), partitions);
            }
        });
        consumer.settle(tags).await?;
    }
}
