//! What was given back to the broker, and barriers behind it.

use lockstep::change::Barrier;

use super::*;

fn watermark(sequence: u64) -> Outgoing {
    let barrier = Barrier::watermark(1, Time::from_sequence(sequence), 1_000);
    Outgoing {
        place: live(0),
        message: Message::Barrier(barrier),
    }
}

#[tokio::test]
async fn a_barrier_that_nobody_fetched_does_not_overtake_one_that_was_given_back() {
    let queue = open(&settings()).await;
    let barriers = [watermark(10), watermark(20)];
    let mut batch: Vec<_> = (0..3).map(|number| edit(0, number, 10)).collect();
    batch.push(barriers[0].clone());
    publish(&queue, batch).await.unwrap();
    let mut gone = queue.consume(vec![0]).await.unwrap();
    // Alone, and behind it everything is fetched at once; one of that is handed out.
    let first = gone.receive(10).await.unwrap();
    gone.settle(vec![first[0].tag]).await.unwrap();
    assert_eq!(gone.receive(1).await.unwrap().len(), 1);
    drop(gone);
    // Ready when the other one is gone, so that nobody fetches what is published now.
    let mut consumer = queue.consume(vec![0]).await.unwrap();
    publish(&queue, vec![barriers[1].clone()]).await.unwrap();
    let mut passed = Vec::new();
    while passed.len() < barriers.len() {
        let deliveries = consumer.receive(10).await.unwrap();
        let messages = deliveries
            .iter()
            .filter_map(|one| one.message.as_ref().ok());
        passed.extend(
            messages
                .filter(|one| matches!(one, Message::Barrier(_)))
                .cloned(),
        );
        let tags = deliveries.iter().map(|delivery| delivery.tag);
        consumer.settle(tags.collect()).await.unwrap();
    }
    assert_eq!(passed, barriers.map(|one| one.message));
}
