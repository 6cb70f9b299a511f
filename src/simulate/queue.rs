//! A queue in memory that nacks, returns, repeats, loses answers, lets keys overtake each other and
//! hands a message to a second consumer while the first still has it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Chaos, Plant};
use crate::change::{Change, DocumentKey, Lane, Message, Operation, Place, Version};
use crate::clock::Clock;
use crate::queue::{Confirm, Consumer, Delivery, Depth, Outgoing, Parked, Queue, Tag, Unreadable};
use crate::{Error, Result};

/// Partitions, lanes and parked messages in memory.
#[derive(Debug, Clone)]
pub struct QueueModel {
    shared: Arc<Shared>,
    chaos: Chaos,
    clock: Clock,
    partitions: u32,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// What the checker looks at.
#[derive(Debug, Default)]
pub(super) struct State {
    places: BTreeMap<Place, VecDeque<Row>>,
    parked: BTreeMap<Uuid, (Parked, Option<Change>)>,
    /// Every change that was ever taken in.
    pub(super) accepted: HashSet<(DocumentKey, Version)>,
    /// Changes settled since the checker looked last.
    pub(super) settled: Vec<(DocumentKey, Version)>,
    tags: u64,
    consumers: u64,
    received: u64,
}

#[derive(Debug, Clone)]
struct Row {
    message: Result<Message, Unreadable>,
    attempts: u32,
    /// The consumer and the tag under which it is in hand.
    hand: Option<(u64, Tag)>,
    not_before: Option<Instant>,
}

impl QueueModel {
    /// An empty queue.
    pub fn new(partitions: u32, chaos: Chaos, clock: Clock) -> Self {
        Self {
            shared: Arc::default(),
            chaos,
            clock,
            partitions,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts bytes into a place that are no message.
    pub fn garbage(&self, place: Place) {
        let message = Err(Unreadable {
            why: "no JSON".to_owned(),
        });
        self.state()
            .places
            .entry(place)
            .or_default()
            .push_back(Row::new(message));
        self.shared.changed.notify_waiters();
    }

    /// The bug of replaying what was parked: the old body at a new version.
    pub(super) fn replay_parked(&self, version: Version) {
        let mut state = self.state();
        let parked: Vec<_> = state
            .parked
            .values()
            .filter_map(|(_, body)| body.clone())
            .collect();
        for change in parked {
            let change = Change { version, ..change };
            state.accept(Outgoing::change(change, Lane::Live, self.partitions));
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    fn accept(&self, outgoing: Outgoing) -> Confirm {
        let refuse = || {
            Confirm::Failed(Error::unavailable("queue", "confirm a message")(
                "it was refused",
            ))
        };
        let refused = self.chaos.fault(3);
        if refused && !self.chaos.has(Plant::RefusedTakenForConfirmed) {
            return refuse();
        }
        if !refused {
            let mut state = self.state();
            if self.chaos.fault(3) {
                state.accept(outgoing.clone());
            }
            state.accept(outgoing);
        }
        if self.chaos.fault(3) {
            refuse()
        } else {
            Confirm::Confirmed
        }
    }
}

impl Row {
    fn new(message: Result<Message, Unreadable>) -> Self {
        Self {
            message,
            attempts: 0,
            hand: None,
            not_before: None,
        }
    }

    fn key(&self) -> Option<&DocumentKey> {
        match &self.message {
            Ok(Message::Change(change)) => Some(&change.key),
            _ => None,
        }
    }
}

impl State {
    fn accept(&mut self, outgoing: Outgoing) {
        tracing::trace!(?outgoing, "accepted");
        if let Message::Change(change) = &outgoing.message {
            self.accepted.insert((change.key.clone(), change.version));
        }
        self.places
            .entry(outgoing.place)
            .or_default()
            .push_back(Row::new(Ok(outgoing.message)));
    }

    /// Whether nothing waits and nobody has anything in hand.
    pub(super) fn is_empty(&self) -> bool {
        self.places.values().all(VecDeque::is_empty)
    }

    /// What waits or is in hand, for a person.
    pub(super) fn waiting(&self) -> Vec<String> {
        let rows = self
            .places
            .iter()
            .flat_map(|(place, rows)| rows.iter().map(move |row| (place, row)));
        rows.map(|(place, row)| format!("{place:?} {row:?}"))
            .collect()
    }

    /// The documents of parked messages.
    pub(super) fn parked_keys(&self) -> HashSet<DocumentKey> {
        self.parked
            .values()
            .filter_map(|(parked, _)| parked.key.clone())
            .collect()
    }

    /// The places in a lane's rows that may be handed out, in order.
    fn ready(&self, place: Place, overtake: bool, ignores_barriers: bool) -> Vec<usize> {
        let Some(rows) = self.places.get(&place) else {
            return Vec::new();
        };
        let now = Instant::now();
        let mut seen: HashSet<&DocumentKey> = HashSet::new();
        let mut ready = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let free = row.hand.is_none() && row.not_before.is_none_or(|from| from <= now);
            let barrier = matches!(row.message, Ok(Message::Barrier(_)));
            let first_of_key = row.key().is_none_or(|key| seen.insert(key));
            let passed = !barrier || at == 0 || ignores_barriers;
            if free && passed && (first_of_key || !overtake) {
                ready.push(at);
            }
        }
        ready
    }

    fn hand_out(&mut self, consumer: u64, place: Place, at: usize) -> Option<Delivery> {
        self.tags += 1;
        let tag = Tag(self.tags);
        let row = self.places.get_mut(&place)?.get_mut(at)?;
        row.hand = Some((consumer, tag));
        row.attempts += 1;
        let message = row.message.clone();
        tracing::trace!(
            ?tag,
            consumer,
            attempt = row.attempts,
            ?message,
            "handed out"
        );
        Some(Delivery {
            tag,
            place,
            attempt: row.attempts,
            message,
        })
    }

    fn attempts(&self, place: Place, at: usize) -> u32 {
        self.places
            .get(&place)
            .and_then(|rows| rows.get(at))
            .map_or(0, |row| row.attempts)
    }

    fn take(&mut self, tag: Tag) -> Option<(Place, Row)> {
        self.places.iter_mut().find_map(|(place, rows)| {
            let at = rows
                .iter()
                .position(|row| row.hand.is_some_and(|(_, held)| held == tag))?;
            rows.remove(at).map(|row| (*place, row))
        })
    }

    fn settle(&mut self, tag: Tag) {
        if let Some((
            _,
            Row {
                message: Ok(Message::Change(change)),
                ..
            },
        )) = self.take(tag)
        {
            tracing::trace!(?tag, key = %change.key, version = %change.version, "settled");
            self.settled.push((change.key, change.version));
        }
    }
}

impl Queue for QueueModel {
    type Consumer = ConsumerModel;

    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn publish(&self, batch: Vec<Outgoing>) -> Result<Vec<Confirm>> {
        self.chaos.step("queue", "publish").await?;
        let mut confirms = Vec::with_capacity(batch.len());
        for outgoing in batch {
            confirms.push(self.accept(outgoing));
        }
        self.shared.changed.notify_waiters();
        self.chaos.step("queue", "publish").await?;
        Ok(confirms)
    }

    async fn consume(&self, partitions: Vec<u32>) -> Result<ConsumerModel> {
        self.chaos.step("queue", "consume").await?;
        let mut state = self.state();
        state.consumers += 1;
        Ok(ConsumerModel {
            queue: self.clone(),
            id: state.consumers,
            partitions,
        })
    }

    async fn parked(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Parked>> {
        self.chaos.step("queue", "list parked messages").await?;
        if self.chaos.has(Plant::ParkedHoldNothingBack) {
            return Ok(Vec::new());
        }
        let state = self.state();
        let found = state.parked.values().map(|(parked, _)| parked);
        Ok(found
            .filter(|parked| after.is_none_or(|after| parked.id > after))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn forget(&self, ids: Vec<Uuid>) -> Result<()> {
        self.chaos.step("queue", "forget parked messages").await?;
        let mut state = self.state();
        for id in ids {
            tracing::trace!(%id, "forgotten");
            state.parked.remove(&id);
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth> {
        self.chaos.step("queue", "count").await?;
        let state = self.state();
        let count = |lane| {
            let rows = state.places.iter().filter(|(place, _)| place.lane == lane);
            rows.flat_map(|(_, rows)| rows)
                .filter(|row| row.key().is_some())
                .count() as u64
        };
        let (live, backfill) = (count(Lane::Live), count(Lane::Backfill));
        Ok(Depth {
            live,
            backfill,
            parked: state.parked.len() as u64,
        })
    }
}

/// A consumer of the model.
#[derive(Debug)]
pub struct ConsumerModel {
    queue: QueueModel,
    id: u64,
    partitions: Vec<u32>,
}

impl ConsumerModel {
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
        state.received += 1;
        let backfill_first = state.received.is_multiple_of(8);
        let overtake = chaos.fault(50);
        let mut choices: Vec<(Place, usize)> = Vec::new();
        for lane in lanes(backfill_first) {
            for &partition in &self.partitions {
                let place = Place { partition, lane };
                let ready = state.ready(place, overtake, chaos.has(Plant::BarrierOvertakes));
                choices.extend(ready.into_iter().map(|at| (place, at)));
            }
        }
        let limit = if overtake {
            1 + chaos.below(limit)
        } else {
            limit
        };
        if overtake && choices.len() > 1 {
            let first = chaos.below(choices.len());
            choices.rotate_left(first);
        }
        // What was received before comes alone.
        let fresh = choices
            .iter()
            .take_while(|(place, at)| state.attempts(*place, *at) == 0);
        choices.truncate(fresh.count().clamp(1, limit));
        choices
            .iter()
            .filter_map(|(place, at)| state.hand_out(self.id, *place, *at))
            .collect()
    }

    fn soonest(&self) -> Option<Instant> {
        let state = self.queue.state();
        let rows = state.places.values().flatten();
        rows.filter(|row| row.hand.is_none())
            .filter_map(|row| row.not_before)
            .min()
    }
}

fn lanes(backfill_first: bool) -> [Lane; 2] {
    if backfill_first {
        [Lane::Backfill, Lane::Live]
    } else {
        [Lane::Live, Lane::Backfill]
    }
}

impl Consumer for ConsumerModel {
    async fn receive(&mut self, limit: usize) -> Result<Vec<Delivery>> {
        self.queue.chaos.step("queue", "deliver").await?;
        loop {
            let queue = self.queue.clone();
            let changed = queue.shared.changed.notified();
            let deliveries = self.take(limit);
            if !deliveries.is_empty() {
                if self.queue.chaos.has(Plant::SettleBeforeStore) {
                    let mut state = self.queue.state();
                    deliveries
                        .iter()
                        .for_each(|delivery| state.settle(delivery.tag));
                }
                return Ok(deliveries);
            }
            let later = self
                .soonest()
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep_until(later) => {}
            }
        }
    }

    async fn settle(&mut self, tags: Vec<Tag>) -> Result<()> {
        self.queue.chaos.step("queue", "settle").await?;
        {
            let mut state = self.queue.state();
            tags.into_iter().for_each(|tag| state.settle(tag));
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
                row.not_before = Some(Instant::now() + pause);
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
            if let Some((place, row)) = state.take(tag) {
                let change = match row.message {
                    Ok(Message::Change(change)) => Some(change),
                    _ => None,
                };
                let parked = parked(change.as_ref(), place, reason, (row.attempts, parked_ms));
                tracing::trace!(?tag, key = ?parked.key, version = %parked.version, "parked");
                state.parked.insert(parked.id, (parked, change));
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
        for row in state.places.values_mut().flatten() {
            if row.hand.is_some_and(|(consumer, _)| consumer == self.id) {
                row.hand = None;
            }
        }
        drop(state);
        self.queue.shared.changed.notify_waiters();
    }
}
