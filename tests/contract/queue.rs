//! What every queue promises, as facts that run over each of them.
//!
//! A backend joins with a [`Subject`] and one line: `suite!(Subject);`.

mod again;
mod barrier;
mod carry;
mod model;
mod park;
mod rabbit;
mod sqlite;

use lockstep::change::{
    Barrier, Change, DocumentKey, Lane, Message, Operation, Place, Time, Version,
};
use lockstep::queue::{Confirm, Consumer, Delivery, Outgoing, Queue};

/// Partitions of every queue under test.
pub(crate) const PARTITIONS: u32 = 2;

/// A backend under test.
pub(crate) trait Subject: Sized {
    /// Its queue.
    type Queue: Queue;

    /// True where [`Depth`](lockstep::queue::Depth) counts barriers that wait as changes, because the
    /// backend counts messages and does not look into them.
    const COUNTS_BARRIERS: bool = false;

    /// An empty queue of [`PARTITIONS`] partitions.
    async fn open() -> Self;

    /// The queue.
    fn queue(&self) -> &Self::Queue;

    /// Ends every process that uses the queue and opens it again on what it kept.
    async fn reopen(self) -> Self;

    /// Puts bytes that are no message into a place; false when the backend cannot hold such.
    async fn inject(&self, place: Place, bytes: &[u8]) -> bool;
}

/// Runs every fact over a backend.
macro_rules! suite {
    ($subject:ty) => {
        $crate::contract::queue::facts! { $subject;
            carry: a_message_comes_as_it_was_published,
            carry: messages_of_a_place_come_in_their_order,
            carry: a_consumer_gets_its_own_partitions_only,
            carry: live_comes_first_and_backfill_one_in_eight,
            carry: backfill_comes_when_there_is_nothing_live,
            carry: of_backfill_no_more_is_handed_out_at_once_than_a_live_change_can_wait_for,
            carry: a_waiting_consumer_is_woken,
            carry: what_is_confirmed_is_there_after_reopening,
            carry: what_is_settled_is_gone_for_good,
            carry: settling_again_is_harmless,
            carry: concurrent_publishers_keep_their_own_order,
            carry: depth_counts_changes_that_are_not_settled,
            carry: nothing_published_is_nothing_confirmed,
            carry: a_batch_stands_behind_those_before_it_whose_answers_nobody_awaited,
            carry: what_was_published_comes_though_its_answers_were_dropped,
            again: a_message_in_hand_is_not_handed_out_again,
            again: what_a_dropped_consumer_had_comes_again,
            again: every_attempt_is_counted_across_reopening,
            again: a_message_received_before_comes_alone,
            again: a_released_message_comes_again_uncounted,
            again: released_messages_come_in_their_old_order,
            again: a_released_message_rests_and_the_others_go_on,
            again: a_dropped_call_loses_nothing_and_charges_nobody,
            again: two_consumers_of_a_partition_get_each_message_once,
            again: who_leaves_gets_what_was_fetched_and_then_nothing,
            barrier: a_barrier_waits_for_all_before_it,
            barrier: a_barrier_waits_for_what_was_released_and_for_a_dropped_consumer,
            barrier: a_barrier_waits_for_what_consumers_dropped_one_after_the_other_had,
            park: a_parked_message_tells_what_it_was,
            park: a_repeat_replaces_what_was_parked,
            park: parked_messages_are_paged_by_id_and_forgotten,
            park: parked_messages_are_there_after_reopening,
            park: bytes_that_are_no_message_are_delivered_and_parked,
        }
    };
}
pub(crate) use suite;

/// One test for each fact.
macro_rules! facts {
    ($subject:ty; $($room:ident: $fact:ident,)*) => {
        $(
            #[tokio::test]
            async fn $fact() {
                $crate::contract::queue::$room::$fact::<$subject>().await;
            }
        )*
    };
}
pub(crate) use facts;

/// The edit number `number`, of a document of its own.
fn change(number: u32) -> Change {
    let key = DocumentKey::text("articles", &number.to_string());
    let version = Version {
        epoch: 1,
        time: Time::from_sequence(u64::from(number)),
        order: 0,
    };
    let fields = serde_json::json!({"content": {"Content": "text"}, "n": number});
    let fields = fields.as_object().cloned();
    Change::new(key, version, Operation::Insert, fields, 1_000)
}

fn place(partition: u32, lane: Lane) -> Place {
    Place { partition, lane }
}

const LIVE: Place = Place {
    partition: 0,
    lane: Lane::Live,
};

/// Publishes these edits to a place.
async fn publish<S: Subject>(subject: &S, place: Place, numbers: impl Iterator<Item = u32>) {
    send(subject, batch(place, numbers)).await;
}

/// These edits, for a place.
fn batch(place: Place, numbers: impl Iterator<Item = u32>) -> Vec<Outgoing> {
    let outgoing = |number| Outgoing {
        place,
        message: Message::Change(change(number)),
    };
    numbers.map(outgoing).collect()
}

async fn send<S: Subject>(subject: &S, batch: Vec<Outgoing>) {
    let count = batch.len();
    let confirms = subject.queue().publish(&batch).await.unwrap();
    let confirms = confirms.await.unwrap();
    assert_eq!(confirms.len(), count);
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
}

fn is_confirmed(confirm: &Confirm) -> bool {
    matches!(confirm, Confirm::Confirmed)
}

fn watermark() -> Message {
    Message::Barrier(Barrier::watermark(1, Time::from_sequence(9), 1_000))
}

async fn consumer<S: Subject>(subject: &S) -> <S::Queue as Queue>::Consumer {
    let partitions = (0..PARTITIONS).collect();
    subject.queue().consume(partitions).await.unwrap()
}

/// Receives `count` messages, however many calls it takes.
async fn receive(consumer: &mut impl Consumer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        let limit = count - all.len();
        let next = consumer.receive(limit).await.unwrap();
        assert!(!next.is_empty() && next.len() <= limit);
        all.extend(next);
    }
    all
}

/// The numbers of the edits.
fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
    let number = |delivery: &Delivery| match &delivery.message {
        Ok(Message::Change(change)) => change.version.time.sequence(),
        other => panic!("{other:?} is no change"),
    };
    deliveries.iter().map(number).collect()
}

fn tags(deliveries: &[Delivery]) -> Vec<lockstep::queue::Tag> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}
