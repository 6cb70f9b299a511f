//! Publishing, receiving, settling.

use lockstep::change::{Lane, Message};
use lockstep::queue::{Consumer, Depth, Outgoing, Queue};

use super::{
    LIVE, PARTITIONS, Subject, batch, change, consumer, is_confirmed, numbers, place, publish,
    receive, send, tags, watermark,
};

pub(crate) async fn a_message_comes_as_it_was_published<S: Subject>() {
    let subject = S::open().await;
    let place = place(1, Lane::Backfill);
    let messages = [Message::Change(change(7)), watermark()];
    let outgoing = |message| Outgoing { place, message };
    send(&subject, messages.clone().map(outgoing).to_vec()).await;
    let mut consumer = consumer(&subject).await;
    for message in messages {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!((delivery.place, delivery.attempt), (place, 1));
        assert_eq!(delivery.message, Ok(message));
        consumer.settle(vec![delivery.tag]).await.unwrap();
    }
}

pub(crate) async fn messages_of_a_place_come_in_their_order<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..30).await;
    publish(&subject, LIVE, 30..50).await;
    let got = receive(&mut consumer(&subject).await, 50).await;
    assert_eq!(numbers(&got), (0..50).collect::<Vec<_>>());
}

pub(crate) async fn a_consumer_gets_its_own_partitions_only<S: Subject>() {
    let subject = S::open().await;
    assert_eq!(subject.queue().partitions(), PARTITIONS);
    publish(&subject, LIVE, 0..3).await;
    publish(&subject, place(1, Lane::Live), 3..6).await;
    let mut second = subject.queue().consume(vec![1]).await.unwrap();
    assert_eq!(numbers(&receive(&mut second, 3).await), [3, 4, 5]);
    let mut first = subject.queue().consume(vec![0]).await.unwrap();
    assert_eq!(numbers(&receive(&mut first, 3).await), [0, 1, 2]);
}

pub(crate) async fn live_comes_first_and_backfill_one_in_eight<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, place(0, Lane::Backfill), 100..200).await;
    publish(&subject, LIVE, 0..64).await;
    let mut consumer = consumer(&subject).await;
    for limit in [1, 5, 64] {
        let mut got = Vec::new();
        while got.len() < 16 {
            let next = consumer.receive(limit.min(16 - got.len())).await.unwrap();
            got.extend(next);
        }
        let backfill = got.iter().filter(|it| it.place.lane == Lane::Backfill);
        let backfill = backfill.count();
        assert!((2..=3).contains(&backfill), "{backfill} of 16 at {limit}");
    }
}

pub(crate) async fn backfill_comes_when_there_is_nothing_live<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, place(0, Lane::Backfill), 0..20).await;
    let got = receive(&mut consumer(&subject).await, 20).await;
    assert_eq!(numbers(&got), (0..20).collect::<Vec<_>>());
}

pub(crate) async fn of_backfill_no_more_is_handed_out_at_once_than_a_live_change_can_wait_for<
    S: Subject,
>() {
    const BYTES_MAX: usize = 64 << 10;
    let subject = S::open().await;
    let sizes = [10_000; 12].into_iter().chain([200_000, 10_000, 10_000]);
    let sizes: Vec<usize> = sizes.collect();
    let mut batch = batch(place(0, Lane::Backfill), 0..15);
    for (outgoing, size) in batch.iter_mut().zip(&sizes) {
        let Message::Change(change) = &mut outgoing.message else {
            panic!("{outgoing:?} is no change")
        };
        let fields = serde_json::json!({"content": {"Content": "x".repeat(*size)}});
        change.fields = fields.as_object().cloned();
    }
    send(&subject, batch).await;
    let mut consumer = consumer(&subject).await;
    let mut all = Vec::new();
    while all.len() < sizes.len() {
        let got = consumer.receive(64).await.unwrap();
        let bytes: usize = sizes[all.len()..].iter().take(got.len()).sum();
        assert!(
            got.len() == 1 || bytes <= BYTES_MAX,
            "{} at once",
            got.len()
        );
        consumer.settle(tags(&got)).await.unwrap();
        all.extend(numbers(&got));
    }
    assert_eq!(all, (0..15).collect::<Vec<_>>());
}

pub(crate) async fn a_waiting_consumer_is_woken<S: Subject>() {
    let subject = S::open().await;
    let mut consumer = consumer(&subject).await;
    let (got, ()) = tokio::join!(receive(&mut consumer, 1), async {
        tokio::task::yield_now().await;
        publish(&subject, LIVE, 0..1).await;
    });
    assert_eq!(numbers(&got), [0]);
}

pub(crate) async fn what_is_confirmed_is_there_after_reopening<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..10).await;
    let subject = subject.reopen().await;
    let got = receive(&mut consumer(&subject).await, 10).await;
    assert_eq!(numbers(&got), (0..10).collect::<Vec<_>>());
}

pub(crate) async fn what_is_settled_is_gone_for_good<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..10).await;
    let mut first = consumer(&subject).await;
    let got = receive(&mut first, 10).await;
    let settled = tags(&got).into_iter().filter(|tag| *tag != got[4].tag);
    first.settle(settled.collect()).await.unwrap();
    drop(first);
    let subject = subject.reopen().await;
    publish(&subject, LIVE, 10..11).await;
    let got = receive(&mut consumer(&subject).await, 2).await;
    assert_eq!(numbers(&got), [4, 10]);
}

pub(crate) async fn settling_again_is_harmless<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..2).await;
    let mut consumer = consumer(&subject).await;
    let got = receive(&mut consumer, 2).await;
    consumer.settle(vec![got[0].tag]).await.unwrap();
    consumer.settle(vec![got[0].tag, got[0].tag]).await.unwrap();
    assert_eq!(subject.queue().depth().await.unwrap().live, 1);
}

pub(crate) async fn concurrent_publishers_keep_their_own_order<S: Subject>() {
    let subject = S::open().await;
    let one = |start: u32| {
        let subject = &subject;
        async move {
            for number in start..start + 20 {
                publish(subject, LIVE, number..=number).await;
            }
        }
    };
    tokio::join!(one(0), one(100));
    let got = numbers(&receive(&mut consumer(&subject).await, 40).await);
    let (low, high): (Vec<_>, Vec<_>) = got.into_iter().partition(|number| *number < 100);
    assert_eq!(low, (0..20).collect::<Vec<_>>());
    assert_eq!(high, (100..120).collect::<Vec<_>>());
}

pub(crate) async fn depth_counts_changes_that_are_not_settled<S: Subject>() {
    let subject = S::open().await;
    publish(&subject, LIVE, 0..3).await;
    publish(&subject, place(1, Lane::Backfill), 3..5).await;
    let barrier = Outgoing {
        place: LIVE,
        message: watermark(),
    };
    send(&subject, vec![barrier]).await;
    // The barrier is one more, as long as it waits in a backend that counts it.
    let barriers = u64::from(S::COUNTS_BARRIERS);
    let is = |found: &Depth, live: u64, backfill: u64| {
        let live = live..=live + barriers;
        assert!(live.contains(&found.live), "{found:?}");
        assert_eq!((found.backfill, found.parked), (backfill, 0));
    };
    is(&subject.queue().depth().await.unwrap(), 3, 2);
    let mut consumer = consumer(&subject).await;
    let got = receive(&mut consumer, 5).await;
    is(&subject.queue().depth().await.unwrap(), 3, 2);
    consumer.settle(tags(&got)).await.unwrap();
    is(&subject.queue().depth().await.unwrap(), 0, 0);
}

pub(crate) async fn nothing_published_is_nothing_confirmed<S: Subject>() {
    let subject = S::open().await;
    let answers = subject.queue().publish(&[]).await.unwrap();
    assert!(answers.await.unwrap().is_empty());
}

pub(crate) async fn a_batch_stands_behind_those_before_it_whose_answers_nobody_awaited<
    S: Subject,
>() {
    let subject = S::open().await;
    let mut answers = Vec::new();
    for first in (0..200).step_by(20) {
        let batch = batch(LIVE, first..first + 20);
        answers.push(subject.queue().publish(&batch).await.unwrap());
    }
    // The last ones first: each has its own.
    for answers in answers.into_iter().rev() {
        let confirms = answers.await.unwrap();
        assert!(confirms.len() == 20 && confirms.iter().all(is_confirmed));
    }
    let mut consumer = consumer(&subject).await;
    let got = receive(&mut consumer, 200).await;
    assert_eq!(numbers(&got), (0..200).collect::<Vec<_>>());
}

pub(crate) async fn what_was_published_comes_though_its_answers_were_dropped<S: Subject>() {
    let subject = S::open().await;
    drop(subject.queue().publish(&batch(LIVE, 0..20)).await.unwrap());
    publish(&subject, LIVE, 20..21).await;
    let mut consumer = consumer(&subject).await;
    let got = receive(&mut consumer, 21).await;
    assert_eq!(numbers(&got), (0..21).collect::<Vec<_>>());
}
