//! Deliveries that come again.

use std::time::Duration;

use lockstep::queue::{Consumer, Queue};
use tokio::time::Instant;

use super::{LIVE, Subject, consumer, numbers, publish, receive, tags};

pub(crate) async fn a_message_in_hand_is_not_handed_out_again<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..3).await;
    let mut consumer = consumer(&subject).await;
    assert_eq!(numbers(&receive(&mut consumer, 3).await), [0, 1, 2]);
    publish(&subject, LIVE, 3..4).await;
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [3]);
}

pub(crate) async fn what_a_dropped_consumer_had_comes_again<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..3).await;
    let mut first = consumer(&subject).await;
    receive(&mut first, 2).await;
    drop(first);
    let got = receive(&mut consumer(&subject).await, 3).await;
    assert_eq!(numbers(&got), [0, 1, 2]);
    let attempts: Vec<_> = got.iter().map(|delivery| delivery.attempt).collect();
    assert_eq!(attempts, [2, 2, 1]);
}

pub(crate) async fn every_attempt_is_counted_across_reopening<S: Subject>() {
    let mut subject = S::open().await;
    publish(&subject, LIVE, 0..1).await;
    for attempt in 1..4 {
        let mut consumer = consumer(&subject).await;
        assert_eq!(receive(&mut consumer, 1).await[0].attempt, attempt);
        drop(consumer);
        subject = subject.reopen().await;
    }
}

pub(crate) async fn a_message_received_before_comes_alone<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..2).await;
    let mut first = consumer(&subject).await;
    receive(&mut first, 2).await;
    drop(first);
    publish(&subject, LIVE, 2..6).await;
    let mut consumer = consumer(&subject).await;
    let mut seen = 0;
    while seen < 6 {
        let got = consumer.receive(10).await.unwrap();
        assert!(got.len() == 1 || got.iter().all(|it| it.attempt == 1));
        seen += got.len();
    }
}

pub(crate) async fn a_released_message_comes_again_uncounted<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..1).await;
    let mut consumer = consumer(&subject).await;
    for _ in 0..5 {
        let got = receive(&mut consumer, 1).await;
        assert_eq!((numbers(&got)[0], got[0].attempt), (0, 1));
        let release = consumer.release(tags(&got), Duration::ZERO);
        release.await.unwrap();
    }
}

pub(crate) async fn released_messages_come_in_their_old_order<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..5).await;
    let mut consumer = consumer(&subject).await;
    let mut back = tags(&receive(&mut consumer, 4).await);
    back.reverse();
    consumer.release(back, Duration::ZERO).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 5).await), [0, 1, 2, 3, 4]);
}

pub(crate) async fn a_released_message_rests_and_the_others_go_on<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..2).await;
    let mut consumer = consumer(&subject).await;
    let first = tags(&receive(&mut consumer, 1).await);
    let (start, pause) = (Instant::now(), Duration::from_secs(1));
    consumer.release(first, pause).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [1]);
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [0]);
    assert!(start.elapsed() >= pause);
}

pub(crate) async fn a_dropped_call_loses_nothing_and_charges_nobody<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..20).await;
    let mut consumer = consumer(&subject).await;
    let mut got = Vec::new();
    while got.len() < 20 {
        // Dropped where it first waits, with a greater limit than the call after it.
        let dropped = tokio::select! {
            biased;
            next = consumer.receive(8) => next.unwrap(),
            () = std::future::ready(()) => Vec::new(),
        };
        got.extend(dropped);
        if got.len() < 20 {
            got.extend(receive(&mut consumer, 1).await);
        }
    }
    assert_eq!(numbers(&got), (0..20).collect::<Vec<_>>());
    assert!(got.iter().all(|delivery| delivery.attempt == 1));
}

pub(crate) async fn two_consumers_of_a_partition_get_each_message_once<S: Subject>() {
    let subject = S::open().await;
    let mut first = consumer(&subject).await;
    let mut second = subject.queue().consume(vec![0]).await.unwrap();
    publish(&subject, LIVE, 0..40).await;
    // A queue may give all to one of them while it lives.
    let (mut a, mut b) = (Vec::new(), Vec::new());
    while a.len() + b.len() < 40 {
        tokio::select! {
            got = first.receive(1) => a.extend(numbers(&got.unwrap())),
            got = second.receive(1) => b.extend(numbers(&got.unwrap())),
        }
    }
    assert!(a.is_sorted() && b.is_sorted());
    let mut all = [a, b].concat();
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
}

pub(crate) async fn who_leaves_gets_what_was_fetched_and_then_nothing<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..20).await;
    let mut first = consumer(&subject).await;
    let mut all = Vec::new();
    let got = receive(&mut first, 4).await;
    all.extend(numbers(&got));
    first.settle(tags(&got)).await.unwrap();
    first.leave();
    loop {
        let got = first.receive(4).await.unwrap();
        if got.is_empty() {
            break;
        }
        all.extend(numbers(&got));
        first.settle(tags(&got)).await.unwrap();
    }
    publish(&subject, LIVE, 20..24).await;
    assert!(first.receive(4).await.unwrap().is_empty());
    drop(first);
    let mut second = consumer(&subject).await;
    while all.len() < 24 {
        let got = receive(&mut second, 1).await;
        assert!(got.iter().all(|one| one.attempt == 1));
        all.extend(numbers(&got));
        second.settle(tags(&got)).await.unwrap();
    }
    assert_eq!(all, (0..24).collect::<Vec<_>>());
}
