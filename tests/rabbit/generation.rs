//! Changing the partition count of a broker: step by step, and while everything goes on.

mod flow;

use std::time::Duration;

use lapin::options::QueueDeclareOptions as Declare;
use lockstep::change::Barrier;
use lockstep::queue::{Generations as _, Turn};
use tokio::task::JoinSet;

use super::*;

/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// As capture is after a start with another count.
async fn asking_for(settings: &Settings, partitions: u32) -> RabbitQueue {
    let settings = Settings {
        partitions,
        ..settings.clone()
    };
    open(&settings).await
}

/// The barrier that is to be sent now.
async fn announced(queue: &RabbitQueue) -> Barrier {
    match queue.turn(false).await.unwrap() {
        Turn::End(barrier) => barrier,
        other => panic!("{other:?} is no end"),
    }
}

async fn send_end(queue: &RabbitQueue, barrier: &Barrier) {
    for lane in [Lane::Live, Lane::Backfill] {
        let batch = Outgoing::barrier(barrier, lane, queue.partitions());
        let confirms = publish(queue, batch).await.unwrap();
        assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    }
}

/// Settles what comes until so many ends were settled; the edits that came before, in order.
async fn settle_ends(consumer: &mut RabbitConsumer, count: usize) -> Vec<u64> {
    let (mut ends, mut numbers) = (0, Vec::new());
    while ends < count {
        let deliveries = consumer.receive(1).await.unwrap();
        if deliveries.is_empty() {
            // The queues are gone.
            break;
        }
        for delivery in &deliveries {
            match &delivery.message {
                Ok(Message::Barrier(Barrier::End { .. })) => ends += 1,
                _ => numbers.push(number(delivery)),
            }
        }
        let tags = deliveries.iter().map(|delivery| delivery.tag);
        consumer.settle(tags.collect()).await.unwrap();
    }
    numbers
}

async fn is_there(settings: &Settings, queue: &str) -> bool {
    let (_connection, channel) = stranger(&settings.url).await;
    let options = Declare {
        passive: true,
        ..Declare::default()
    };
    let name = format!("{}.{queue}", settings.name);
    let declared = channel.queue_declare(name.into(), options, FieldTable::default());
    declared.await.is_ok()
}

#[tokio::test]
async fn the_next_generation_begins_when_every_end_is_settled() {
    let settings = settings();
    let reader = open(&settings).await;
    let mut consumer = reader.consume(vec![0, 1]).await.unwrap();
    let writer = asking_for(&settings, 3).await;
    let confirms = publish(&writer, vec![edit(0, 1, 9), edit(1, 2, 9)]).await;
    assert!(confirms.unwrap().iter().all(is_confirmed));

    let end = announced(&writer).await;
    let (generation, partitions, next) = (1, 2, 3);
    assert_eq!(
        end,
        Barrier::End {
            generation,
            partitions,
            next
        }
    );
    let refused = publish(&writer, vec![edit(0, 3, 9)]).await.unwrap_err();
    assert!(refused.chain().contains("partition count"), "{refused:?}");
    send_end(&writer, &end).await;

    // Three of four are settled, then the last one is in hand: the next one waits for it.
    let mut seen = settle_ends(&mut consumer, 3).await;
    let last = consumer.receive(8).await.unwrap();
    let is_end = |it: &Delivery| matches!(it.message, Ok(Message::Barrier(Barrier::End { .. })));
    assert!(last.len() == 1 && is_end(&last[0]), "{last:?}");
    let mut turn = Box::pin(writer.turn(true));
    let early = tokio::time::timeout(Duration::from_secs(2), turn.as_mut()).await;
    assert!(early.is_err(), "{early:?} while an end is in hand");
    consumer.settle(vec![last[0].tag]).await.unwrap();
    assert_eq!(turn.await.unwrap(), Turn::Begun);
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);

    assert_eq!(writer.partitions(), 3);
    assert_eq!(writer.turn(false).await.unwrap(), Turn::Stays);
    for old in ["changes.1.0", "changes.1.1", "backfill.1.0", "backfill.1.1"] {
        assert!(!is_there(&settings, old).await, "{old} is still there");
    }
    // The reader is told, by an empty answer, and finds the next one.
    assert_eq!(consumer.receive(8).await.unwrap(), []);
    drop(consumer);
    assert_eq!(reader.current().await.unwrap(), 3);
    let mut consumer = reader.consume(vec![0, 1, 2]).await.unwrap();
    let confirms = publish(&writer, vec![edit(2, 3, 9)]).await.unwrap();
    assert!(confirms.iter().all(is_confirmed));
    assert_eq!(drain(&mut consumer, 1).await, [3]);
}

/// Whoever captures after a crash goes on, to the count that was wanted when it began.
#[tokio::test]
async fn a_crash_at_any_point_resumes_the_change() {
    let settings = settings();
    let reader = open(&settings).await;
    let end = announced(&asking_for(&settings, 3).await).await;
    // Announced and not sent; asked for another count meanwhile.
    let second = asking_for(&settings, 1).await;
    assert_eq!(announced(&second).await, end);
    send_end(&second, &end).await;
    drop(second);
    // Sent, and settled by one.
    let mut consumer = reader.consume(vec![0]).await.unwrap();
    settle_ends(&mut consumer, 1).await;
    drop(consumer);
    let third = asking_for(&settings, 1).await;
    assert_eq!(announced(&third).await, end);
    send_end(&third, &end).await;
    // All are settled, the repeated ones too; and nobody was there to see it.
    let mut consumer = reader.consume(vec![0, 1]).await.unwrap();
    settle_ends(&mut consumer, 7).await;
    drop(third);
    let fourth = asking_for(&settings, 1).await;
    assert_eq!(announced(&fourth).await, end);
    send_end(&fourth, &end).await;
    let (turn, _) = tokio::join!(fourth.turn(true), settle_ends(&mut consumer, 4));
    assert_eq!((turn.unwrap(), fourth.partitions()), (Turn::Begun, 3));
    // And on to the count that is wanted now.
    let (generation, partitions, next) = (2, 3, 1);
    assert_eq!(
        announced(&fourth).await,
        Barrier::End {
            generation,
            partitions,
            next
        }
    );
}

/// One whose process was away meanwhile sends nothing into queues that nobody reads.
#[tokio::test]
async fn who_missed_the_change_publishes_nothing_until_it_has_looked() {
    let settings = settings();
    let (reader, late) = (open(&settings).await, open(&settings).await);
    let writer = asking_for(&settings, 3).await;
    send_end(&writer, &announced(&writer).await).await;
    let mut consumer = reader.consume(vec![0, 1]).await.unwrap();
    let (turn, _) = tokio::join!(writer.turn(true), settle_ends(&mut consumer, 4));
    assert_eq!(turn.unwrap(), Turn::Begun);
    let refused = publish(&late, vec![edit(0, 1, 9)]).await.unwrap_err();
    assert!(refused.chain().contains("next generation"), "{refused:?}");
    assert!(!is_there(&settings, "changes.1.0").await);
    assert_eq!(late.current().await.unwrap(), 3);
    let confirms = publish(&late, vec![edit(0, 1, 9)]).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
}

/// A search asks how much is parked, and publishes and consumes nothing.
#[tokio::test]
async fn who_only_counts_goes_on_to_the_queues_of_today() {
    let settings = settings();
    let (reader, searcher) = (open(&settings).await, open(&settings).await);
    searcher.depth().await.unwrap();
    let writer = asking_for(&settings, 3).await;
    send_end(&writer, &announced(&writer).await).await;
    let mut consumer = reader.consume(vec![0, 1]).await.unwrap();
    let (turn, _) = tokio::join!(writer.turn(true), settle_ends(&mut consumer, 4));
    assert_eq!(turn.unwrap(), Turn::Begun);
    drop(consumer);
    assert_eq!(writer.turn(false).await.unwrap(), Turn::Stays);
    assert!(!is_there(&settings, "changes.1.0").await);
    searcher.depth().await.unwrap();
    assert_eq!(searcher.partitions(), 3);
}

/// One that has no share sees no end; its queues go all the same.
#[tokio::test]
async fn who_consumes_nothing_is_told_too() {
    let settings = settings();
    let (reader, idle) = (open(&settings).await, open(&settings).await);
    let mut nothing = idle.consume(Vec::new()).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(5), nothing.receive(1)).await;
    assert!(waiting.is_err(), "{waiting:?} before the count has changed");
    let writer = asking_for(&settings, 3).await;
    send_end(&writer, &announced(&writer).await).await;
    let mut consumer = reader.consume(vec![0, 1]).await.unwrap();
    let (turn, _) = tokio::join!(writer.turn(true), settle_ends(&mut consumer, 4));
    assert_eq!(turn.unwrap(), Turn::Begun);
    let told = tokio::time::timeout(PATIENCE, nothing.receive(1)).await;
    assert_eq!(told.unwrap().unwrap(), []);
    drop(nothing);
    assert_eq!(idle.current().await.unwrap(), 3);
}

/// The end is fetched by one that then has to give its partition up: its acknowledgement waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_counts_though_its_partition_is_changing_hands() {
    let settings = settings();
    let (first, sharing) = open(&settings).await.shared();
    let writer = asking_for(&settings, 3).await;
    let mut roles = JoinSet::new();
    roles.spawn(async move { sharing.run(std::future::pending()).await.unwrap() });
    let mut consumer = first.consume(vec![0, 1]).await.unwrap();
    let confirms = publish(&writer, vec![edit(0, 1, 9), edit(1, 2, 9)]).await;
    assert!(confirms.unwrap().iter().all(is_confirmed));
    // It has all partitions, and the ends of both in hand.
    drain(&mut consumer, 2).await;
    send_end(&writer, &announced(&writer).await).await;
    let mut ends = Vec::new();
    while ends.len() < 4 {
        let deliveries = consumer.receive(8).await.unwrap();
        ends.extend(deliveries.iter().map(|delivery| delivery.tag));
    }
    // A second one joins: the first begins to drain one partition, in which nothing is left but that.
    let (second, sharing) = open(&settings).await.shared();
    roles.spawn(async move { sharing.run(std::future::pending()).await.unwrap() });
    let mut other = second.consume(vec![0, 1]).await.unwrap();
    let joined = Duration::from_secs(6);
    let none = async { tokio::join!(consumer.receive(8), other.receive(8)) };
    let none = tokio::time::timeout(joined, none).await;
    assert!(none.is_err(), "{none:?}: the ends are in hand");
    consumer.settle(ends).await.unwrap();
    let turn = tokio::time::timeout(PATIENCE, writer.turn(true)).await;
    assert_eq!(turn.unwrap().unwrap(), Turn::Begun);
}
