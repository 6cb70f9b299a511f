//! Takes in what the seed's producers send to a queue of their own.
//!
//! ```text
//! plain queue ──> decode ──> publish to the key's partition, confirmed ──> acknowledged
//!                    └─no message of theirs──> parked ─────────────────────────┘
//! ```
//!
//! They know neither our partitions nor which fields are redacted, and a plain queue counts no attempts. So what they send is moved
//! to our queues first, where it is counted, parked and ordered like everything else.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::publish::Publisher;
use super::{declare, generation, parked, wire};
use crate::change::{Change, Lane, Message, Place};
use crate::clock::Clock;
use crate::queue::{Confirm, Outgoing};
use crate::{Error, Result};

/// Messages moved at once.
const BATCH: u16 = 100;

/// Moves messages until `shutdown`, each as `clean` leaves it.
///
/// # Errors
/// The first one; what was not acknowledged is still in the queue, so call it again after a pause.
pub(super) async fn run(
    publisher: &Arc<Publisher>,
    clock: &Clock,
    queue: &str,
    clean: &(impl Fn(&mut Change) + Sync),
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    generation::stays(&publisher.link).await?;
    let broker = &publisher.link.broker;
    let fault = |error| broker.fault("deliver what the seed's producers sent", error);
    let connection = broker.connect("intake").await?;
    declare::plain(broker, &connection, queue).await?;
    let channel = declare::channel(broker, &connection).await?;
    let qos = channel.basic_qos(BATCH, BasicQosOptions::default());
    qos.await.map_err(fault)?;
    // What has no version is ordered by arrival, so that two who move it would mix it up: a capture that was fenced
    // off and does not know it yet, say. The next one waits until it is gone.
    let options = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let consume = channel.basic_consume(
        queue.into(),
        "intake".into(),
        options,
        FieldTable::default(),
    );
    let mut deliveries = consume.await.map_err(fault)?;
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let first = tokio::select! {
            biased;
            () = shutdown.as_mut() => return Ok(()),
            first = deliveries.next() => first,
        };
        let Some(first) = first else {
            let why = "the subscription was cancelled: its queue is gone";
            return Err(Error::unavailable(broker.service(), "deliver")(why));
        };
        let mut batch = vec![first.map_err(fault)?];
        while batch.len() < usize::from(BATCH)
            && let Some(Some(next)) = deliveries.next().now_or_never()
        {
            batch.push(next.map_err(fault)?);
        }
        move_on(publisher, clock, clean, batch).await?;
    }
}

/// Publishes a batch, then acknowledges what was confirmed, unless something before it in its place was
/// not: that comes again, and has to come before it.
async fn move_on(
    publisher: &Arc<Publisher>,
    clock: &Clock,
    clean: &(impl Fn(&mut Change) + Sync),
    batch: Vec<Delivery>,
) -> Result<()> {
    let mut changes = Vec::with_capacity(batch.len());
    let mut moved = Vec::with_capacity(batch.len());
    for delivery in batch {
        match wire::decode(&delivery.properties, &delivery.data) {
            Ok(Message::Change(mut change)) => {
                if change.committed_ms == 0 {
                    change.committed_ms = clock.now_ms();
                }
                if let Some(why) = wire::unsendable(&change.key) {
                    set_aside(publisher, clock, &delivery, &why).await?;
                    continue;
                }
                clean(&mut change);
                changes.push(change);
                moved.push(delivery);
            }
            Ok(Message::Barrier(_)) => set_aside(publisher, clock, &delivery, "a barrier").await?,
            Err(unreadable) => set_aside(publisher, clock, &delivery, &unreadable.why).await?,
        }
    }
    // After all waiting: the count may have changed meanwhile.
    let partitions = publisher.link.topology.partitions();
    let place = |change| Outgoing::change(change, Lane::Live, partitions);
    let outgoing: Vec<_> = changes.into_iter().map(place).collect();
    let answers = publisher.publish(&outgoing).await?.await?;
    let places = outgoing.iter().map(|one| one.place);
    let (done, failed) = done(places.zip(answers));
    for (delivery, _) in moved.iter().zip(done).filter(|(_, done)| *done) {
        acknowledge(publisher, delivery).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// Which messages are done with, and the first error: none behind a failure in the same place.
fn done(answers: impl Iterator<Item = (Place, Confirm)>) -> (Vec<bool>, Option<Error>) {
    let (mut broken, mut first) = (HashSet::new(), None);
    let done = answers.map(|(place, confirm)| {
        if let Confirm::Failed(error) = confirm {
            broken.insert(place);
            first.get_or_insert(error);
        }
        !broken.contains(&place)
    });
    (done.collect(), first)
}

async fn set_aside(
    publisher: &Arc<Publisher>,
    clock: &Clock,
    delivery: &Delivery,
    why: &str,
) -> Result<()> {
    let place = Place {
        partition: 0,
        lane: Lane::Live,
    };
    let reason = (format!("a seed producer sent {why}"), 1);
    let received = (&delivery.properties, delivery.data.as_slice());
    let record = parked::unreadable(received, place, reason, clock.now_ms());
    let envelope = parked::encode(&record, delivery.data.clone());
    publisher.park(envelope).await?;
    acknowledge(publisher, delivery).await
}

async fn acknowledge(publisher: &Publisher, delivery: &Delivery) -> Result<()> {
    let acked = delivery.acker.ack(BasicAckOptions::default()).await;
    let fault = |error| publisher.link.broker.fault("settle", error);
    acked.map(drop).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_with_behind_a_failure_in_its_place() {
        let place = |partition| Place {
            partition,
            lane: Lane::Live,
        };
        let failed = || Confirm::Failed(Error::Stopped { part: "queue" });
        let answers = [
            (place(0), Confirm::Confirmed),
            (place(1), failed()),
            (place(1), Confirm::Confirmed),
            (place(0), Confirm::Confirmed),
        ];
        let (done, error) = done(answers.into_iter());
        assert_eq!(done, [true, false, false, true]);
        assert!(error.is_some());
    }
}
