use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::change::{Change, DocumentKey, Lane, Message, Operation, Place, Time, Version};
use crate::clock::Clock;
use crate::database::Database;
use crate::queue::Consumer as _;
use crate::queue::sqlite::SqliteQueue;
use crate::simulate::{Chaos, QueueModel};

const PLACES: u32 = 2;
const BATCHES: usize = 40;
const SECOND: Duration = Duration::from_secs(1);
const ROOM: Room = Room {
    sent: 4,
    held: 12,
    bytes: usize::MAX,
};

fn edit(partition: u32, number: u64) -> Outgoing {
    let key = DocumentKey::text("posts", &number.to_string());
    let version = Version::read(1, Time::from_sequence(number));
    let change = Change::new(key, version, Operation::Delete, None, 0);
    Outgoing {
        place: Place {
            partition,
            lane: Lane::Live,
        },
        message: Message::Change(change),
    }
}

fn change(outgoing: &Outgoing) -> &Change {
    match &outgoing.message {
        Message::Change(change) => change,
        Message::Barrier(_) => panic!("no change"),
    }
}

/// Batches of up to four messages to any place, some of them empty; numbered through.
fn batches(chaos: &Chaos) -> Vec<Vec<Outgoing>> {
    let mut numbers = 0_u64..;
    let mut edit = || {
        let partition = u32::from(chaos.luck(50));
        edit(partition, numbers.next().unwrap())
    };
    let batch = |_| (0..chaos.below(5)).map(|_| edit()).collect();
    (0..BATCHES).map(batch).collect()
}

/// Hands in all batches whenever there is room; what a new session does after an error, too. The most
/// batches and messages that were on their way at once.
async fn carry(queue: &QueueModel, chaos: &Chaos, batches: &[Vec<Outgoing>]) -> (usize, usize) {
    let (mut pipeline, mut pushed) = (Pipeline::new(queue, ROOM, None), 0);
    let (mut followed, mut most) = (0, (0, 0));
    while followed < batches.len() {
        if pushed < batches.len() && pipeline.has_room() && chaos.luck(70) {
            pipeline.push(batches[pushed].clone(), pushed);
            pushed += 1;
            continue;
        }
        if pipeline.is_empty() {
            continue;
        }
        // Dropped at every step, as a turn of capture drops it.
        let moved_on = poll_fn(|context| {
            let polled = pin!(pipeline.confirmed()).poll(context);
            let ways = pipeline.line.iter().map(|part| part.state.on_its_way());
            let ways: Vec<usize> = ways.filter(|messages| *messages > 0).collect();
            most = most.max((ways.len(), ways.iter().sum()));
            polled
        });
        match timeout(SECOND, moved_on).await {
            Ok(Ok(then)) => {
                assert_eq!(then, followed, "batches are confirmed in turn");
                for change in batches[then].iter().map(change) {
                    assert!(queue.has_taken(&change.key, change.version), "{change:?}");
                }
                followed += 1;
            }
            Ok(Err(_)) => {
                assert!(pipeline.is_empty());
                pushed = followed;
            }
            // It pauses before it tries again.
            Err(_) => {}
        }
    }
    most
}

/// What stands in a place: of each number its last message, in order.
async fn standing(queue: &QueueModel, partition: u32) -> Vec<u64> {
    let mut consumer = queue.consume(vec![partition]).await.unwrap();
    let mut numbers = Vec::new();
    while queue.depth().await.unwrap().live > 0 {
        let receive = timeout(SECOND, consumer.receive(64));
        let Ok(deliveries) = receive.await else {
            break;
        };
        let deliveries = deliveries.unwrap();
        for delivery in &deliveries {
            let Ok(Message::Change(change)) = &delivery.message else {
                panic!("{delivery:?}")
            };
            let number = change.version.time.sequence();
            numbers.retain(|other| *other != number);
            numbers.push(number);
        }
        let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
        consumer.settle(tags).await.unwrap();
    }
    numbers
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_all_is_taken_and_of_every_message_the_last_is_in_order() {
    let mut most = (0, 0);
    for seed in 0..400 {
        let chaos = Chaos::new(seed, None);
        let queue = QueueModel::new(PLACES, chaos.clone(), Clock::manual(0));
        let batches = batches(&chaos);
        most = most.max(carry(&queue, &chaos, &batches).await);
        chaos.set_faults(false);
        for partition in 0..PLACES {
            let sent = batches.iter().flatten();
            let sent = sent.filter(|it| it.place.partition == partition);
            let sent: Vec<u64> = sent.map(|it| change(it).version.time.sequence()).collect();
            assert_eq!(standing(&queue, partition).await, sent, "seed {seed}");
        }
    }
    // Several batches at once, or nothing of this was tried; and no more than the window.
    assert!(most.0 > 1 && most.1 < ROOM.sent + 4, "{most:?}");
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_what_is_in_hand_and_one_batch_may_always_come() {
    let queue = QueueModel::new(PLACES, Chaos::calm(), Clock::manual(0));
    let room = Room { bytes: 1, ..ROOM };
    let mut pipeline = Pipeline::new(&queue, room, None);
    pipeline.push(vec![edit(0, 0)], ());
    assert!(!pipeline.has_room());
    pipeline.confirmed().await.unwrap();
    assert!(pipeline.has_room());
}

#[tokio::test]
async fn what_trying_again_cannot_mend_ends_the_session_and_everything_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::open(&home.path().join("queue.db"), &[SqliteQueue::SCHEMA]).unwrap();
    let queue = SqliteQueue::open(database, PLACES, Clock::manual(0));
    let queue = queue.await.unwrap();
    let mut pipeline = Pipeline::new(&queue, ROOM, None);
    pipeline.push(vec![edit(0, 0), edit(PLACES, 1)], ());
    pipeline.push(vec![edit(0, 2)], ());
    let error = pipeline.confirmed().await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(pipeline.is_empty() && pipeline.has_room());
}
