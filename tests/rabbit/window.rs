//! Capture's window over a real broker that refuses or disappears in the middle of it.

use lockstep::capture::{self, Ports};
use lockstep::document::Document;
use lockstep::simulate::{Chaos, Edit, SourceModel};
use lockstep::source::{Checkpoints, Source as _, Watch as _};
use tokio::sync::{mpsc, oneshot, watch};

use super::*;
use crate::support::proxy::Proxy;

/// Documents of every test, each edited in turns.
const KEYS: usize = 7;
/// Changes on their way; four batches.
const WINDOW: usize = 40;
/// The number of the last message of a place.
const END: u64 = 1_000_000;

/// A source that was read to its end, and then was edited so often.
async fn edited(times: usize, clock: &Clock) -> SourceModel {
    let source = SourceModel::new(Chaos::calm(), clock.clone());
    let (_, checkpoint) = capture::afresh(&source, 1, ["articles".to_owned()].into())
        .await
        .unwrap();
    Checkpoints::save(&source, checkpoint).await.unwrap();
    for number in 0..times {
        let fields = serde_json::json!({"content": {"Content": "x".repeat(500)}, "n": number});
        let document = Document {
            key: DocumentKey::text("articles", &(number % KEYS).to_string()),
            fields: fields.as_object().cloned().unwrap(),
        };
        source.commit(vec![Edit::Save(document)]);
    }
    source
}

/// Captures until all that is there is confirmed, and the position saved; `news` says when to look.
async fn captured(source: &SourceModel, queue: &RabbitQueue, mut news: watch::Receiver<usize>) {
    let clock = Clock::manual(5_000);
    let settings = capture::Settings {
        window: WINDOW,
        ..capture::Settings::default()
    };
    let ports = Ports {
        source,
        checkpoints: source,
        queue,
        clock: &clock,
    };
    let (_nobody_asks, requests) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async { drop(stopped.await) };
    let (end, _) = source.watch(None).await.unwrap().here();
    let (ran, ()) = tokio::join!(capture::run(ports, &settings, requests, until), async {
        // Watermarks go on coming, so there is always a next look.
        while source.load().await.unwrap().unwrap().position != end {
            news.changed().await.unwrap();
        }
        drop(stop);
    });
    ran.unwrap();
}

/// Receives until the end mark of every place; of each change the last time that it came, in order.
async fn folded(queue: &RabbitQueue, received: &watch::Sender<usize>) -> Vec<Vec<u64>> {
    let mut places = vec![Vec::new(); PARTITIONS as usize];
    let mut consumer = queue.consume((0..PARTITIONS).collect()).await.unwrap();
    while !places.iter().all(|place| place.contains(&END)) {
        let deliveries = consumer.receive(16).await.unwrap();
        for delivery in &deliveries {
            // Watermarks come in between, and pages of the first snapshot in the other lane.
            let is_live = delivery.place.lane == Lane::Live;
            if is_live && matches!(delivery.message, Ok(Message::Change(_))) {
                let place = &mut places[delivery.place.partition as usize];
                place.retain(|other| *other != number(delivery));
                place.push(number(delivery));
            }
        }
        let tags = deliveries.iter().map(|delivery| delivery.tag);
        consumer.settle(tags.collect()).await.unwrap();
        received.send_modify(|count| *count += deliveries.len());
    }
    places
}

/// The end mark of every place, whatever is refused meanwhile.
async fn mark_the_end(queue: &RabbitQueue) {
    let mut rest: Vec<_> = (0..PARTITIONS).map(|place| edit(place, END, 10)).collect();
    while !rest.is_empty() {
        let confirms = publish(queue, rest.clone()).await.unwrap();
        rest = left(rest, &confirms);
    }
}

/// Everything came, and every place has its last messages in the order of the source.
fn assert_in_order(places: &[Vec<u64>], count: usize) {
    let mut all: Vec<u64> = places.iter().flatten().copied().collect();
    all.sort_unstable();
    all.truncate(count);
    assert_eq!(all, (1..).take(count).collect::<Vec<_>>());
    for place in places {
        assert!(place.is_sorted(), "{place:?}");
    }
}

#[tokio::test]
async fn refusals_in_the_middle_of_the_window_keep_the_order_of_every_key() {
    const CHANGES: usize = 120;
    let _alone = broker::alone().await;
    let broker = Broker::start();
    let settings = settings_at(broker.url());
    let queue = open(&settings).await;
    let full = format!("^{}$", queue.queue_name(live(0)).replace('.', "\\."));
    let limit = r#"{"max-length": 5}"#;
    broker.control(&["set_policy", "--apply-to", "queues", "full", &full, limit]);
    let source = edited(CHANGES, &Clock::manual(5_000)).await;
    let (received, news) = watch::channel(0);
    let (places, ()) = tokio::join!(folded(&queue, &received), async {
        captured(&source, &queue, news).await;
        mark_the_end(&queue).await;
    });
    assert_in_order(&places, CHANGES);
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_the_window_loses_and_reorders_nothing() {
    const CHANGES: usize = 600;
    let settings = settings();
    let queue = open(&settings).await;
    let (_, address) = settings.url.rsplit_once('@').unwrap();
    let proxy = Proxy::start(address.to_owned()).await;
    let mut through = settings.clone();
    through.url = format!("amqp://guest:guest@{}", proxy.address());
    // In the middle of messages that are on their way, and again among those that are repeated.
    proxy.cut_after([100_000, 60_000]);
    let source = edited(CHANGES, &Clock::manual(5_000)).await;
    let (received, news) = watch::channel(0);
    let (places, ()) = tokio::join!(folded(&queue, &received), async {
        captured(&source, &open(&through).await, news).await;
        mark_the_end(&queue).await;
    });
    assert_in_order(&places, CHANGES);
    assert_eq!(proxy.cuts_to_come(), 0, "it was never cut");
}
