//! Barriers: whoever receives one has passed it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use lockstep::change::Message;
use lockstep::queue::{Consumer, Delivery, Outgoing};

use super::{LIVE, Subject, consumer, publish, receive, send, tags, watermark};

/// Two edits, then a barrier, then one edit more.
async fn filled<S: Subject>() -> S {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..2).await;
    send(
        &subject,
        vec![Outgoing {
            place: LIVE,
            message: watermark(),
        }],
    )
    .await;
    publish(&subject, LIVE, 2..3).await;
    subject
}

fn is_barrier(delivery: &Delivery) -> bool {
    matches!(delivery.message, Ok(Message::Barrier(_)))
}

/// Receives until there is a barrier; everything before it is returned unsettled.
async fn until_barrier(consumer: &mut impl Consumer, held: &mut Vec<Delivery>) -> Delivery {
    loop {
        for delivery in consumer.receive(1).await.unwrap() {
            if is_barrier(&delivery) {
                return delivery;
            }
            held.push(delivery);
            let last = held.last().map(|delivery| delivery.tag);
            consumer.settle(last.into_iter().collect()).await.unwrap();
        }
    }
}

pub(crate) async fn a_barrier_waits_for_all_before_it<S: Subject>() {
    let subject = filled::<S>().await;
    let mut consumer = consumer(&subject).await;
    let edits = receive(&mut consumer, 2).await;
    assert!(!edits.iter().any(is_barrier));
    consumer.settle(tags(&edits[..1])).await.unwrap();
    // One is still in hand: whatever comes now, it is not the barrier.
    {
        let mut early = pin!(consumer.receive(10));
        if let Poll::Ready(early) = poll_fn(|cx| Poll::Ready(early.as_mut().poll(cx))).await {
            assert!(!early.unwrap().iter().any(is_barrier));
        }
    }
    consumer
        .park(edits[1].tag, "reason".to_owned())
        .await
        .unwrap();
    let mut held = Vec::new();
    let barrier = until_barrier(&mut consumer, &mut held).await;
    consumer.settle(vec![barrier.tag]).await.unwrap();
}

pub(crate) async fn a_barrier_waits_for_what_was_released_and_for_a_dropped_consumer<S: Subject>() {
    let subject = filled::<S>().await;
    let mut first = consumer(&subject).await;
    let edits = receive(&mut first, 2).await;
    first
        .release(tags(&edits[..1]), Duration::ZERO)
        .await
        .unwrap();
    drop(first);
    let mut second = consumer(&subject).await;
    let mut held = Vec::new();
    until_barrier(&mut second, &mut held).await;
    let again = held
        .iter()
        .filter(|delivery| edits.iter().any(|e| e.message == delivery.message));
    assert_eq!(again.count(), 2, "both edits come before the barrier");
}

pub(crate) async fn a_barrier_waits_for_what_consumers_dropped_one_after_the_other_had<
    S: Subject,
>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..3).await;
    let message = watermark();
    let place = LIVE;
    send(&subject, vec![Outgoing { place, message }]).await;
    let mut first = consumer(&subject).await;
    // The first one alone: behind it a consumer may fetch more at once, the barrier among it.
    let edit = receive(&mut first, 1).await;
    first.settle(tags(&edit)).await.unwrap();
    let mut edits = Vec::new();
    while edits.len() < 2 {
        edits.extend(first.receive(10).await.unwrap());
    }
    drop(first);
    let mut second = consumer(&subject).await;
    receive(&mut second, 1).await;
    drop(second);
    let mut third = consumer(&subject).await;
    let mut held = Vec::new();
    until_barrier(&mut third, &mut held).await;
    let is_again = |edit: &Delivery| held.iter().any(|held| held.message == edit.message);
    assert!(
        edits.iter().all(is_again),
        "both edits come before the barrier"
    );
}
