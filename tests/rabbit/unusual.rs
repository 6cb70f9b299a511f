//! Messages that are too large, or that the broker gave up itself.

use futures_util::StreamExt as _;
use lapin::options::BasicRejectOptions;

use super::*;

#[tokio::test]
async fn what_is_too_large_is_parked_without_its_body_and_holds_up_nobody() {
    let mut settings = settings();
    settings.message_bytes_max = 10_000;
    let queue = open(&settings).await;
    let batch = vec![edit(0, 0, 10), edit(0, 1, 20_000), edit(0, 2, 10)];
    let Message::Change(large) = batch[1].message.clone() else {
        panic!()
    };
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    assert_eq!(drain(&mut consumer, 2).await, [0, 2]);
    let parked = queue.parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(
        (parked[0].key.as_ref(), parked[0].version),
        (Some(&large.key), large.version)
    );
    assert_eq!((parked[0].place, parked[0].attempts), (live(0), 0));
    assert!(
        parked[0].reason.contains("limit of 10000"),
        "{}",
        parked[0].reason
    );
}

#[tokio::test]
async fn a_document_of_an_endless_id_is_parked_without_its_key_and_holds_up_nobody() {
    let queue = open(&settings()).await;
    // More than a frame of the protocol holds, and escaped twice on its way.
    let (mut long, change) = (edit(0, 1, 10), |edit: &Outgoing| match &edit.message {
        Message::Change(change) => change.clone(),
        Message::Barrier(_) => panic!("an edit is a change"),
    });
    let mut endless = change(&long);
    endless.key = DocumentKey::text("articles", &"\"é".repeat(10_000));
    long.message = Message::Change(endless.clone());
    let confirms = publish(&queue, vec![edit(0, 0, 10), long, edit(0, 2, 10)]).await;
    assert!(confirms.unwrap().iter().all(is_confirmed));
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    assert_eq!(drain(&mut consumer, 2).await, [0, 2]);
    let parked = queue.parked(None, 10).await.unwrap();
    let [parked] = &parked[..] else {
        panic!("{parked:?}");
    };
    let kept = (parked.id, parked.key.as_ref(), parked.version);
    assert_eq!(kept, (endless.message_id, None, endless.version));
    assert!(parked.reason.contains("_id"), "{}", parked.reason);
}

#[tokio::test]
async fn more_than_a_broker_sends_at_once_are_listed() {
    // A quorum queue sends 2,000 messages to who does not say how many it wants.
    const COUNT: u64 = 2_100;
    let mut settings = settings();
    settings.message_bytes_max = 1;
    let queue = open(&settings).await;
    let batch = (0..COUNT).map(|number| edit(0, number, 10)).collect();
    let confirms = publish(&queue, batch).await.unwrap();
    assert!(confirms.iter().all(is_confirmed));
    let parked = queue.parked(None, usize::MAX).await.unwrap();
    assert_eq!(parked.len() as u64, COUNT);
}

#[tokio::test]
async fn who_leaves_gives_nothing_back_that_another_process_would_be_given_as_failed_before() {
    const COUNT: u64 = 40;
    let settings = settings();
    let (first, second) = (open(&settings).await, open(&settings).await);
    let batch = (0..COUNT).map(|number| edit(0, number, 10)).collect();
    publish(&first, batch).await.unwrap();
    let mut consumer = first.consume(vec![0]).await.unwrap();
    let mut worked = Vec::new();
    // By then more is fetched than was asked for.
    while worked.len() < 10 {
        worked.extend(worked_on(&mut consumer, 4).await);
    }
    consumer.leave();
    loop {
        let rest = worked_on(&mut consumer, 4).await;
        if rest.is_empty() {
            break;
        }
        worked.extend(rest);
    }
    drop(consumer);
    let mut consumer = second.consume(vec![0]).await.unwrap();
    while (worked.len() as u64) < COUNT {
        worked.extend(worked_on(&mut consumer, 4).await);
    }
    assert_eq!(worked, (0..COUNT).collect::<Vec<_>>());
}

/// Receives and settles; all of it comes for the first time.
async fn worked_on(consumer: &mut RabbitConsumer, limit: usize) -> Vec<u64> {
    let deliveries = consumer.receive(limit).await.unwrap();
    for one in &deliveries {
        assert_eq!(one.attempt, 1, "of {}", number(one));
    }
    let tags = deliveries.iter().map(|one| one.tag).collect();
    consumer.settle(tags).await.unwrap();
    deliveries.iter().map(number).collect()
}

#[tokio::test]
async fn what_the_broker_takes_no_more_of_is_learned_and_parked() {
    // The old default of the broker is eight times ours.
    let mut settings = settings();
    settings.message_bytes_max = usize::MAX;
    let queue = open(&settings).await;
    let large = || vec![edit(0, 0, 10), edit(0, 1, (128 << 20) + 1)];
    let first = publish(&queue, large()).await;
    assert!(first.is_err() || !first.unwrap().iter().all(is_confirmed));
    let confirms = publish(&queue, large()).await.unwrap();
    assert!(confirms.iter().all(is_confirmed), "{confirms:?}");
    assert_eq!(queue.parked(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_broker_gave_up_is_listed_with_its_reason() {
    let settings = settings();
    let queue = open(&settings).await;
    publish(&queue, vec![edit(1, 7, 10)]).await.unwrap();
    let (connection, channel) = stranger(&settings.url).await;
    let (name, none) = (queue.queue_name(live(1)), FieldTable::default());
    let options = BasicConsumeOptions::default();
    let mut deliveries = channel
        .basic_consume(name.clone().into(), "thief".into(), options, none)
        .await
        .unwrap();
    let delivery = deliveries.next().await.unwrap().unwrap();
    delivery
        .reject(BasicRejectOptions { requeue: false })
        .await
        .unwrap();
    drop((deliveries, channel, connection));
    // The broker moves it in its own time.
    let parked = loop {
        let parked = queue.parked(None, 10).await.unwrap();
        if let Some(parked) = parked.into_iter().next() {
            break parked;
        }
        tokio::task::yield_now().await;
    };
    let Message::Change(change) = edit(1, 7, 10).message else {
        panic!()
    };
    assert_eq!(
        (parked.id, parked.key),
        (change.message_id, Some(change.key))
    );
    assert_eq!((parked.version, parked.place), (change.version, live(1)));
    assert!(
        parked.reason.contains("rejected") && parked.reason.contains(&name),
        "{}",
        parked.reason
    );
    assert!(parked.parked_ms > 0);
    queue.forget(vec![parked.id]).await.unwrap();
    assert!(queue.parked(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_listings_at_once_both_see_everything() {
    let queue = open(&settings()).await;
    let batch = (0..30).map(|it| edit(0, it, 10)).collect();
    publish(&queue, batch).await.unwrap();
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    let mut parked = 0;
    while parked < 30 {
        for delivery in consumer.receive(30).await.unwrap() {
            consumer
                .park(delivery.tag, "reason".to_owned())
                .await
                .unwrap();
            parked += 1;
        }
    }
    let list = async || queue.parked(None, 100).await.unwrap().len();
    let (a, b, c) = tokio::join!(list(), list(), list());
    assert_eq!([a, b, c], [30, 30, 30]);
}
