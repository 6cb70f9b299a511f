//! Brokers that die, fill up, or forget a queue.

use std::pin::pin;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;

use super::*;

#[tokio::test]
async fn what_was_confirmed_before_a_broker_was_killed_is_there_in_order() {
    let _alone = broker::alone().await;
    let mut broker = Broker::start();
    let settings = settings_at(broker.url());
    let queue = open(&settings).await;
    broker.register_queues();
    let mut old = queue.consume(vec![0]).await.unwrap();
    let batch =
        |range: std::ops::Range<u64>| range.map(|it| edit(0, it, 1_000)).collect::<Vec<_>>();
    let confirms = publish(&queue, batch(0..500)).await.unwrap();
    assert!(confirms.iter().all(is_confirmed));
    let in_hand = old.receive(1).await.unwrap().remove(0);

    // Killed while these are on their way.
    let mut rest = batch(500..3_000);
    {
        let mut publishing = pin!(publish(&queue, rest.clone()));
        tokio::select! {
            biased;
            early = &mut publishing => panic!("it was too quick to be killed: {early:?}"),
            () = tokio::task::yield_now() => broker.kill(),
        }
        if let Ok(confirms) = publishing.await {
            rest = left(rest, &confirms);
        }
    }
    assert!(!rest.is_empty());
    assert!(matches!(
        old.receive(1).await.unwrap_err().recovery(),
        lockstep::Recovery::Retry(_)
    ));
    broker.restart();
    let confirms = publish(&queue, rest).await.unwrap();
    assert!(confirms.iter().all(is_confirmed));

    // What is void settles nothing: the message comes again, counted.
    assert!(old.settle(vec![in_hand.tag]).await.is_err());
    drop(old);
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    let first = consumer.receive(1).await.unwrap().remove(0);
    assert_eq!((number(&first), first.attempt), (0, 2));
    consumer.settle(vec![first.tag]).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2_999 {
        let Ok(deliveries) = consumer.receive(64).await else {
            // A broker that just came back may fail once more: a worker consumes anew.
            consumer = queue.consume(vec![0]).await.unwrap();
            continue;
        };
        for number in deliveries.iter().map(number) {
            if !seen.contains(&number) {
                seen.push(number);
            }
        }
        let tags = deliveries.iter().map(|delivery| delivery.tag);
        // What could not be settled comes again.
        consumer.settle(tags.collect()).await.ok();
    }
    assert_eq!(seen, (1..3_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_queue_fails_its_messages_and_takes_them_in_order_once_there_is_room() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let settings = settings_at(broker.url());
    let queue = open(&settings).await;
    let full = format!("^{}$", queue.queue_name(live(0)).replace('.', "\\."));
    let limit = r#"{"max-length": 5}"#;
    broker.control(&["set_policy", "--apply-to", "queues", "full", &full, limit]);
    // The limit is soft: of these some more than that may still be taken, or be refused already.
    let filler = (1_000..1_010).map(|it| edit(0, it, 10)).collect();
    let confirms = publish(&queue, filler).await.unwrap();
    assert!(confirms.iter().any(is_confirmed));
    let batch: Vec<_> = (0..40)
        .map(|it| edit(u32::from(it % 2 == 1), it, 10))
        .collect();
    let confirms = publish(&queue, batch.clone()).await.unwrap();
    let of = |partition: usize| confirms.iter().skip(partition).step_by(2);
    assert!(of(1).all(is_confirmed), "the other place is not held up");
    let failed = of(0).find_map(|confirm| match confirm {
        Confirm::Failed(error) => Some(error),
        Confirm::Confirmed => None,
    });
    let failed = failed.expect("it was over its limit");
    assert!(
        matches!(failed.recovery(), lockstep::Recovery::Retry(_)),
        "{failed:?}"
    );

    // What followed the failed ones may have been taken: it goes again behind them, so that of every
    // message the last that comes is in order.
    let mut rest = left(batch, &confirms);
    let end = 2_000;
    let retry = async {
        for last in [None, Some(edit(0, end, 10))] {
            rest.extend(last);
            while !rest.is_empty() {
                let confirms = publish(&queue, rest.clone()).await.unwrap();
                rest = left(std::mem::take(&mut rest), &confirms);
            }
        }
    };
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    let receive = async {
        let mut seen = Vec::new();
        while seen.last() != Some(&end) {
            for delivery in consumer.receive(64).await.unwrap() {
                let number = number(&delivery);
                seen.retain(|other| *other != number);
                seen.push(number);
                consumer.settle(vec![delivery.tag]).await.unwrap();
            }
        }
        seen
    };
    let (mut seen, ()) = tokio::join!(receive, retry);
    seen.retain(|number| !(1_000..1_010).contains(number));
    let expected = (0..40).step_by(2).chain([end]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_blocked_publisher_waits_and_goes_on() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let queue = open(&settings_at(broker.url())).await;
    publish(&queue, vec![edit(0, 0, 10)]).await.unwrap();
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let mut publishing = pin!(publish(&queue, vec![edit(0, 1, 10)]));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut publishing).await;
    assert!(early.is_err(), "{early:?}");
    broker.control(&["set_vm_memory_high_watermark", "0.5"]);
    assert!(publishing.await.unwrap().iter().all(is_confirmed));
}

#[tokio::test]
async fn a_queue_that_is_gone_fails_its_message_and_is_declared_anew() {
    let settings = settings();
    let queue = open(&settings).await;
    publish(&queue, vec![edit(0, 0, 10)]).await.unwrap();
    let (_connection, channel) = stranger(&settings.url).await;
    let name = queue.queue_name(live(0));
    channel
        .queue_delete(name.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    // The broker confirms many at once, and what it returned is handed out with any of them.
    let batch: Vec<_> = (0..400)
        .map(|number| edit(number % 2, number.into(), 10))
        .collect();
    let (one, other) = batch.split_at(50);
    let (first, second) = (
        queue.publish(one).await.unwrap(),
        queue.publish(other).await.unwrap(),
    );
    // In their order, as capture does: when the first one is heard of, nobody has looked at the second.
    let mut confirms = first.await.unwrap();
    confirms.extend(second.await.unwrap());
    let lost = confirms.iter().step_by(2);
    assert_eq!(lost.filter(|confirm| is_confirmed(confirm)).count(), 0);
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
}

#[tokio::test]
async fn the_queue_of_the_seeds_consumers_is_declared_anew_when_it_is_gone() {
    let mut settings = settings();
    let name = format!("{}-default", settings.name);
    settings.seed_consumers = Some(name.clone());
    let queue = open(&settings).await;
    publish(&queue, vec![edit(0, 0, 10)]).await.unwrap();
    let (_connection, channel) = stranger(&settings.url).await;
    let options = QueueDeleteOptions::default();
    let deleted = channel.queue_delete(name.clone().into(), options);
    deleted.await.unwrap();
    let error = publish(&queue, vec![edit(0, 1, 10)]).await.unwrap_err();
    let retried = matches!(error.recovery(), lockstep::Recovery::Retry(_));
    assert!(retried && error.chain().contains(&name), "{error:?}");
    let confirms = publish(&queue, vec![edit(0, 1, 10)]).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    let deleted = channel.queue_delete(name.into(), QueueDeleteOptions::default());
    assert_eq!(deleted.await.unwrap(), 1, "it has its copy");
}

#[tokio::test]
async fn a_connection_that_was_given_up_is_closed_although_answers_are_awaited_on_it() {
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let mut settings = settings_at(broker.url());
    let name = format!("{}-default", settings.name);
    settings.seed_consumers = Some(name.clone());
    let queue = open(&settings).await;
    let unheard = queue.publish(&[edit(0, 0, 10)]).await.unwrap();
    let (_connection, channel) = stranger(&settings.url).await;
    let deleted = channel.queue_delete(name.into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    publish(&queue, vec![edit(0, 1, 10)]).await.unwrap_err();
    // Only the stranger's is left.
    let closed = async {
        while broker.connections("running") > 1 {
            tokio::task::yield_now().await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_mins(1), closed).await;
    assert!(closed.is_ok(), "it stays open");
    drop(unheard);
}

#[tokio::test]
async fn a_dropped_publish_leaves_the_next_one_its_own_answers() {
    let settings = settings();
    let queue = open(&settings).await;
    publish(&queue, vec![edit(1, 0, 10)]).await.unwrap();
    let (_connection, channel) = stranger(&settings.url).await;
    let name = queue.queue_name(live(0));
    channel
        .queue_delete(name.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    for polls in 1..6 {
        // All of these are returned, whenever their answers come.
        let dropped = publish(&queue, (0..9).map(|it| edit(0, it, 10)).collect());
        let polled = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            // On a busy machine it may be done before it is dropped.
            _ = dropped => {}
            () = polled => {}
        }
        let batch: Vec<_> = (0..9).map(|it| edit(1, it, 10)).collect();
        let mut confirms = publish(&queue, batch.clone()).await.unwrap();
        if !confirms.iter().all(is_confirmed) {
            // Something was returned by then, and nobody knows what: it goes again, by a channel of its own.
            confirms = publish(&queue, batch).await.unwrap();
        }
        assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    }
}

#[tokio::test]
async fn more_parked_messages_than_can_be_listed_are_refused_and_not_made_more() {
    const MANY: u32 = 65_536;
    let settings = settings();
    let queue = open(&settings).await;
    let (_connection, channel) = stranger(&settings.url).await;
    let parked = format!("{}.parked", settings.name);
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let mut last = None;
    for _ in 0..MANY {
        let (none, options) = (ShortString::default(), BasicPublishOptions::default());
        let properties = BasicProperties::default();
        let sent = channel.basic_publish(none, parked.as_str().into(), options, b"x", properties);
        last = Some(sent.await.unwrap());
    }
    last.unwrap().await.unwrap();
    channel.wait_for_confirms().await.unwrap();
    for _ in 0..2 {
        let refused = queue.parked(None, 10).await.unwrap_err().to_string();
        assert!(refused.contains("purge the queue"), "{refused}");
    }
    let deleted = channel.queue_delete(parked.into(), QueueDeleteOptions::default());
    assert_eq!(deleted.await.unwrap(), MANY);
}
