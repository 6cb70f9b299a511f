//! What only the embedded queue promises.

use std::time::Duration;

use super::*;
use crate::change::{Barrier, Change, DocumentKey, Operation, Time, Version};
use crate::queue::Consumer;

const LIVE: Place = Place {
    partition: 0,
    lane: Lane::Live,
};

async fn fresh() -> (tempfile::TempDir, SqliteQueue) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lockstep.db");
    let database = Database::open(&path, &[SqliteQueue::SCHEMA]).unwrap();
    let queue = SqliteQueue::open(database, 1, Clock::manual(1)).await;
    (home, queue.unwrap())
}

fn barriers(count: u64) -> Vec<Outgoing> {
    let barrier = |number| Outgoing {
        place: LIVE,
        message: Message::Barrier(Barrier::watermark(1, Time::from_sequence(number), number)),
    };
    (0..count).map(barrier).collect()
}

fn edit(number: u64) -> Outgoing {
    let key = DocumentKey::text("posts", &number.to_string());
    let version = Version::read(1, Time::from_sequence(number));
    let change = Change::new(key, version, Operation::Delete, None, 0);
    Outgoing {
        place: LIVE,
        message: Message::Change(change),
    }
}

#[tokio::test]
async fn a_place_that_is_not_there_fails_alone() {
    let (_home, queue) = fresh().await;
    let mut batch = barriers(2);
    batch[0].place.partition = 5;
    let confirms = queue.publish(&batch).await.unwrap().await.unwrap();
    assert!(matches!(
        confirms[..],
        [Confirm::Failed(_), Confirm::Confirmed]
    ));
    assert!(queue.consume(vec![5]).await.is_err());
}

#[tokio::test]
async fn a_barrier_is_never_parked() {
    let (_home, queue) = fresh().await;
    queue.publish(&barriers(1)).await.unwrap().await.unwrap();
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    let tag = consumer.receive(1).await.unwrap()[0].tag;
    assert!(consumer.park(tag, "no".to_owned()).await.is_err());
    consumer.release(vec![tag], Duration::ZERO).await.unwrap();
    assert_eq!(consumer.receive(1).await.unwrap()[0].tag, tag);
}

#[tokio::test]
async fn a_consumer_that_goes_while_taking_leaves_everything_behind() {
    let (_home, queue) = fresh().await;
    let batch: Vec<_> = (0..20).map(edit).collect();
    queue.publish(&batch).await.unwrap().await.unwrap();
    for _ in 0..5 {
        let mut gone = queue.consume(vec![0]).await.unwrap();
        tokio::select! {
            biased;
            _ = gone.receive(4) => {}
            () = std::future::ready(()) => {}
        }
    }
    let (mut seen, mut consumer) = (0, queue.consume(vec![0]).await.unwrap());
    while seen < 20 {
        seen += consumer.receive(20).await.unwrap().len();
    }
}
