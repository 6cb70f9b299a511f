//! Workers that come and go while messages are published: each message is worked on once, in its order.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lockstep::queue::rabbit::Sharing;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::*;

const PARTITIONS: u32 = 4;
/// What a worker asks for at once, and so has at most when it stops.
const BATCH: usize = 4;

/// What was worked on, in its order: which worker, which partition, which number.
type Log = watch::Sender<Vec<(usize, u32, u64)>>;

/// A worker with its share of the partitions.
struct Worker {
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Worker {
    fn start(number: usize, queue: &RabbitQueue, log: &Arc<Log>) -> Self {
        let (queue, sharing): (RabbitQueue, Sharing) = queue.shared();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let (leave, left) = oneshot::channel::<()>();
        let (mut tasks, log) = (JoinSet::new(), Arc::clone(log));
        tasks.spawn(async move {
            let left = async {
                left.await.ok();
            };
            sharing.run(left).await.unwrap();
        });
        tasks.spawn(async move {
            let mut consumer = queue.consume((0..PARTITIONS).collect()).await.unwrap();
            loop {
                let deliveries = tokio::select! {
                    biased;
                    _ = &mut stopped => break,
                    deliveries = consumer.receive(BATCH) => deliveries.unwrap(),
                };
                log.send_modify(|log| {
                    let worked = deliveries
                        .iter()
                        .map(|one| (number, one.place.partition, super::number(one)));
                    log.extend(worked);
                });
                let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
                consumer.settle(tags).await.unwrap();
            }
            drop(consumer);
            leave.send(()).ok();
        });
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.tasks.join_all().await;
    }
}

/// Publishes to all partitions, one number after the other, until it is stopped; how many.
async fn publish(queue: RabbitQueue, mut stopped: oneshot::Receiver<()>) -> u64 {
    for number in 1.. {
        if stopped.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
            return number - 1;
        }
        let batch = (0..PARTITIONS).map(|partition| edit(partition, number, 10));
        let confirms = super::publish(&queue, batch.collect()).await.unwrap();
        assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    }
    0
}

/// Waits until the latest that was worked on of every partition was by these workers, all of them, and
/// more than one that stopped before may have left: the broker puts what a second one leaves behind that.
async fn until_shared(log: &Log, workers: &[usize]) {
    let from = log.borrow().len();
    let mut seen = log.subscribe();
    let is_shared = |log: &Vec<(usize, u32, u64)>| {
        let latest = (0..PARTITIONS).map(|partition| {
            let news = log.iter().skip(from);
            let mut of_it = news
                .rev()
                .filter(|(worker, it, _)| *it == partition && workers.contains(worker));
            let latest = of_it.next().map(|(worker, ..)| *worker)?;
            (of_it.count() >= BATCH).then_some(latest)
        });
        let latest: Option<BTreeSet<usize>> = latest.collect();
        latest.is_some_and(|latest| latest.iter().eq(workers))
    };
    let shared = seen.wait_for(is_shared);
    let shared = tokio::time::timeout(std::time::Duration::from_mins(1), shared).await;
    assert!(shared.is_ok(), "{workers:?} never shared the partitions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_takes_its_share_and_a_leaver_hands_over_without_a_repeat_or_a_gap() {
    let mut settings = settings();
    settings.partitions = PARTITIONS;
    let queue = open(&settings).await;
    let log = Arc::new(watch::Sender::new(Vec::new()));
    let (stop, stopped) = oneshot::channel();
    let mut publishing = JoinSet::new();
    publishing.spawn(publish(queue.clone(), stopped));
    let first = Worker::start(1, &queue, &log);
    until_shared(&log, &[1]).await;
    let second = Worker::start(2, &queue, &log);
    until_shared(&log, &[1, 2]).await;
    let third = Worker::start(3, &queue, &log);
    until_shared(&log, &[1, 2, 3]).await;
    second.stop().await;
    until_shared(&log, &[1, 3]).await;
    first.stop().await;
    until_shared(&log, &[3]).await;
    stop.send(()).unwrap();
    let count = publishing.join_next().await.unwrap().unwrap();
    let all = |log: &Vec<_>| log.len() as u64 >= count * u64::from(PARTITIONS);
    log.subscribe().wait_for(all).await.unwrap();
    third.stop().await;
    let log = log.borrow();
    for partition in 0..PARTITIONS {
        let of_it = log.iter().filter(|(_, it, _)| *it == partition);
        let worked: Vec<(usize, u64)> = of_it
            .map(|(worker, _, number)| (*worker, *number))
            .collect();
        let wrong = worked.windows(2).position(|pair| pair[0].1 > pair[1].1);
        let around = wrong.map(|at| &worked[at.saturating_sub(4)..worked.len().min(at + 5)]);
        assert!(
            wrong.is_none(),
            "partition {partition}, out of order: worker and number {around:?}"
        );
        let numbers: Vec<u64> = worked.iter().map(|(_, number)| *number).collect();
        let mut distinct = numbers.clone();
        distinct.dedup();
        assert_eq!(distinct, (1..=count).collect::<Vec<_>>(), "{partition}");
        // Only a leaver leaves something that it has fetched and not worked on, and nothing that it has.
        assert_eq!(numbers.len(), distinct.len(), "{partition}: repeats");
    }
}

/// Asks for deliveries and gives up at once; then how many consumers the broker has at partition 0.
async fn ask(consumer: &mut RabbitConsumer, queue: &RabbitQueue, channel: &Channel) -> u32 {
    assert!(consumer.receive(1).now_or_never().is_none());
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let name = queue.queue_name(live(0)).into();
    let declared = channel.queue_declare(name, passive, FieldTable::default());
    declared.await.unwrap().consumer_count()
}

#[tokio::test]
async fn who_goes_while_he_subscribes_passes_on_what_he_was_sent_in_its_order() {
    let settings = settings();
    let queue = open(&settings).await;
    let (_connection, channel) = stranger(&settings.url).await;
    let other = open(&settings).await;
    let mut goes = queue.consume(vec![0]).await.unwrap();
    let mut waits = other.consume(vec![0]).await.unwrap();
    // It is not asked again once its subscription stands, and so has seen nothing of it.
    let subscribed = async { while ask(&mut goes, &queue, &channel).await == 0 {} };
    let subscribed = tokio::time::timeout(std::time::Duration::from_mins(1), subscribed).await;
    assert!(subscribed.is_ok(), "its subscription never stood");
    // The broker does not count those that wait for the active one; this is plenty for two answers.
    for _ in 0..100 {
        ask(&mut waits, &other, &channel).await;
    }
    let batch = (1..=5).map(|number| edit(0, number, 10)).collect();
    let confirms = super::publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    drop(goes);
    assert_eq!(drain(&mut waits, 5).await, [1, 2, 3, 4, 5]);
}
