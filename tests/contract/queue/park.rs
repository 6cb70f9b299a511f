//! Messages that are set aside.

use lockstep::change::{Lane, Operation, Version};
use lockstep::queue::{Consumer, Queue};

use super::{LIVE, Subject, change, consumer, numbers, place, publish, receive};

/// Publishes these edits and parks each for `reason`.
async fn park<S: Subject>(subject: &S, numbers: std::ops::Range<u32>, reason: &str) {
    let count = numbers.len();
    publish(subject, LIVE, numbers).await;
    let mut consumer = consumer(subject).await;
    for delivery in receive(&mut consumer, count).await {
        let park = consumer.park(delivery.tag, reason.to_owned());
        park.await.unwrap();
    }
}

pub(crate) async fn a_parked_message_tells_what_it_was<S: Subject>() {
    let subject = S::open().await;
    park(&subject, 7..8, "it is too long").await;
    let parked = subject.queue().parked(None, 10).await.unwrap().remove(0);
    let change = change(7);
    assert_eq!(
        (parked.id, parked.key),
        (change.message_id, Some(change.key))
    );
    assert_eq!(parked.version, change.version);
    assert_eq!(parked.operation, Some(Operation::Insert));
    assert_eq!((parked.place, parked.attempts), (LIVE, 1));
    assert_eq!(parked.reason, "it is too long");
    let depth = subject.queue().depth().await.unwrap();
    assert_eq!((depth.live, depth.parked), (0, 1));
}

pub(crate) async fn a_repeat_replaces_what_was_parked<S: Subject>() {
    let subject = S::open().await;
    park(&subject, 7..8, "first").await;
    park(&subject, 7..8, "second").await;
    let parked = subject.queue().parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].reason, "second");
}

pub(crate) async fn parked_messages_are_paged_by_id_and_forgotten<S: Subject>() {
    let subject = S::open().await;
    park(&subject, 0..7, "reason").await;
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = subject.queue().parked(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        ids.extend(page.iter().map(|parked| parked.id));
    }
    assert_eq!(ids.len(), 7);
    assert!(ids.is_sorted());
    subject.queue().forget(ids[1..].to_vec()).await.unwrap();
    subject.queue().forget(ids[1..].to_vec()).await.unwrap();
    let left = subject.queue().parked(None, 10).await.unwrap();
    assert_eq!((left.len(), left[0].id), (1, ids[0]));
}

pub(crate) async fn parked_messages_are_there_after_reopening<S: Subject>() {
    let subject = S::open().await;
    park(&subject, 0..2, "reason").await;
    let subject = subject.reopen().await;
    assert_eq!(subject.queue().parked(None, 10).await.unwrap().len(), 2);
    publish(&subject, LIVE, 2..3).await;
    let got = receive(&mut consumer(&subject).await, 1).await;
    assert_eq!(numbers(&got), [2]);
}

pub(crate) async fn bytes_that_are_no_message_are_delivered_and_parked<S: Subject>() {
    let subject = S::open().await;
    let place = place(1, Lane::Backfill);
    if !subject.inject(place, b"{\"change\": 5").await {
        return;
    }
    let mut consumer = consumer(&subject).await;
    let delivery = receive(&mut consumer, 1).await.remove(0);
    let why = delivery.message.unwrap_err().why;
    assert!(!why.is_empty());
    consumer.park(delivery.tag, why.clone()).await.unwrap();
    let parked = subject.queue().parked(None, 10).await.unwrap().remove(0);
    assert_eq!((parked.key, parked.operation), (None, None));
    assert_eq!((parked.version, parked.place), (Version::NONE, place));
    assert_eq!(parked.reason, why);
}
