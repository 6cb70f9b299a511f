//! Receiving from the model.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{QueueModel, Row, State};
use crate::Result;
use crate::change::{Change, Lane, Message, Operation, Place, Version};
use crate::queue::{BACKFILL_BYTES, Consumer, Delivery, Parked, Tag};
use crate::simulate::Plant;

/// A generation and a place of it.
type From = (u32, Place);

/// A consumer of the model.
#[derive(Debug)]
pub struct ConsumerModel {
    queue: QueueModel,
    id: u64,
    generation: u32,
    partitions: Vec<u32>,
    leaves: bool,
}

impl ConsumerModel {
    pub(super) fn new(
        queue: QueueModel,
        (id, generation): (u64, u32),
        partitions: Vec<u32>,
    ) -> Self {
        Self {
            queue,
            id,
            generation,
            partitions,
            leaves: false,
        }
    }

    fn take(&self, limit: usize) -> Vec<Delivery> {
        let chaos = &self.queue.chaos;
        let mut state = self.queue.state();
        if chaos.fault(2) {
            // A connection is lost: what others have in hand comes again while they work on it.
            state
                .places
                .values_mut()
                .flatten()
                .for_each(|row| row.hand = None);
        }
        let overtake = chaos.fault(50);
        let ignores_barriers = chaos.has(Plant::BarrierOvertakes);
        let ready = |state: &State, lane| -> VecDeque<(From, usize)> {
            let places = self
                .partitions
                .iter()
                .map(|&partition| (self.generation, Place { partition, lane }));
            places
                .flat_map(|from| {
                    let ready = state.ready(from, overtake, ignores_barriers);
                    ready.into_iter().map(move |at| (from, at))
                })
                .collect()
        };
        let (live, backfill) = (ready(&state, Lane::Live), ready(&state, Lane::Backfill));
        let limit = if overtake {
            1 + chaos.below(limit)
        } else {
            limit
        };
        let State {
            places, received, ..
        } = &mut *state;
        let bytes = |(from, at): (From, usize)| {
            let row = places.get(&from).and_then(|rows| rows.get(at));
            row.map_or(0, Row::bytes)
        };
        let mut choices = merge((live, backfill), limit, bytes, received);
        if overtake && choices.len() > 1 {
            let first = chaos.below(choices.len());
            choices.rotate_left(first);
        }
        // What was received before comes alone.
        let fresh = choices
            .iter()
            .take_while(|(from, at)| state.attempts(*from, *at) == 0);
        choices.truncate(fresh.count().max(1));
        choices
            .iter()
            .filter_map(|(from, at)| state.hand_out(self.id, *from, *at))
            .collect()
    }

    fn soonest(&self) -> Option<Instant> {
        let state = self.queue.state();
        let ours = |(generation, place): &From| {
            *generation == self.generation && self.partitions.contains(&place.partition)
        };
        let places = state.places.iter().filter(|(from, _)| ours(from));
        let rested = places
            .flat_map(|(_, rows)| rows)
            .filter(|row| row.hand.is_none())
            .filter_map(|row| row.rests.map(|(_, until)| until));
        let held = state.held.values().copied();
        let now = Instant::now();
        rested.chain(held).filter(|until| *until > now).min()
    }
}

/// Where a message stands.
type Seat = (From, usize);

/// Live first, backfill one in eight, and of that so many bytes or one message.
fn merge(
    (mut live, mut backfill): (VecDeque<Seat>, VecDeque<Seat>),
    limit: usize,
    bytes: impl Fn(Seat) -> usize,
    received: &mut u64,
) -> Vec<Seat> {
    let (mut merged, mut backfill_bytes) = (Vec::new(), 0_usize);
    while merged.len() < limit && !(live.is_empty() && backfill.is_empty()) {
        *received += 1;
        let turn = received.is_multiple_of(8) || live.is_empty();
        let next = if turn { backfill.pop_front() } else { None };
        if let Some(next) = next {
            let bytes = bytes(next).max(1);
            if backfill_bytes > 0 && backfill_bytes + bytes > BACKFILL_BYTES as usize {
                backfill.clear();
                continue;
            }
            backfill_bytes += bytes;
        }
        merged.extend(next.or_else(|| live.pop_front()));
    }
    merged
}

impl Consumer for ConsumerModel {
    async fn receive(&mut self, limit: usize) -> Result<Vec<Delivery>> {
        self.queue.chaos.step("queue", "deliver").await?;
        loop {
            let queue = self.queue.clone();
            let changed = queue.shared.changed.notified();
            // Nothing is fetched before it is handed out.
            if self.leaves || queue.generation() != self.generation {
                return Ok(Vec::new());
            }
            let deliveries = self.take(limit);
            if !deliveries.is_empty() {
                if self.queue.chaos.has(Plant::SettleBeforeStore) {
                    let mut state = self.queue.state();
                    for delivery in &deliveries {
                        state.settle(delivery.tag);
                    }
                }
                return Ok(deliveries);
            }
            let later = self
                .soonest()
                .unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(later) => {}
            }
        }
    }

    fn leave(&mut self) {
        self.leaves = true;
    }

    async fn settle(&mut self, tags: Vec<Tag>) -> Result<()> {
        self.queue.chaos.step("queue", "settle").await?;
        {
            let mut state = self.queue.state();
            for tag in tags {
                state.settle(tag);
            }
        }
        self.queue.shared.changed.notify_waiters();
        self.queue.chaos.step("queue", "settle").await
    }

    async fn release(&mut self, tags: Vec<Tag>, pause: Duration) -> Result<()> {
        self.queue
            .chaos
            .step("queue", "take a message back")
            .await?;
        let mut state = self.queue.state();
        for row in state.places.values_mut().flatten() {
            if row.hand.is_some_and(|(_, tag)| tags.contains(&tag)) {
                row.hand = None;
                row.attempts -= 1;
                row.rests = Some((self.id, Instant::now() + pause));
            }
        }
        drop(state);
        self.queue.shared.changed.notify_waiters();
        Ok(())
    }

    async fn park(&mut self, tag: Tag, reason: String) -> Result<()> {
        self.queue.chaos.step("queue", "park").await?;
        {
            let mut state = self.queue.state();
            let parked_ms = self.queue.clock.now_ms();
            if let Some(((_, place), row)) = state.take(tag) {
                let change = match row.message {
                    Ok(Message::Change(change)) => Some(change),
                    _ => None,
                };
                let parked = parked(change.as_ref(), place, reason, (row.attempts, parked_ms));
                tracing::trace!(?tag, key = ?parked.key, version = %parked.version, "parked");
                state.parked.put(parked, change);
            }
        }
        self.queue.shared.changed.notify_waiters();
        self.queue.chaos.step("queue", "park").await
    }
}

fn parked(
    change: Option<&Change>,
    place: Place,
    reason: String,
    (attempts, parked_ms): (u32, u64),
) -> Parked {
    Parked {
        id: change.map_or(Uuid::nil(), |change| change.message_id),
        key: change.map(|change| change.key.clone()),
        version: change.map_or(Version::NONE, |change| change.version),
        operation: change.map(|change: &Change| -> Operation { change.operation }),
        place,
        reason,
        attempts,
        parked_ms,
    }
}

impl Drop for ConsumerModel {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if self.queue.chaos.has(Plant::HandOverSettles) {
            let rows = state.places.values().flatten();
            let in_hand = rows.filter_map(|row| row.hand.filter(|(id, _)| *id == self.id));
            let tags: Vec<_> = in_hand.map(|(_, tag)| tag).collect();
            for tag in tags {
                state.settle(tag);
            }
        }
        for row in state.places.values_mut().flatten() {
            if row.hand.is_some_and(|(consumer, _)| consumer == self.id) {
                row.hand = None;
            }
            // As with a broker, which knows nothing of a message that rests: it has its place again, and
            // was received once more.
            if row.rests.take_if(|(id, _)| *id == self.id).is_some() {
                row.attempts += 1;
            }
        }
        drop(state);
        self.queue.shared.changed.notify_waiters();
    }
}
