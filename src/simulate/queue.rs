//! A queue in memory that nacks, returns, repeats, loses answers, lets keys overtake each other and
//! hands a message to a second consumer while the first still has it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

mod consumer;
mod generation;
mod shelf;

pub use consumer::ConsumerModel;

use super::{Chaos, Plant};
use crate::change::{Barrier, Change, DocumentKey, Lane, Message, Operation, Place, Version};
use crate::clock::Clock;
use crate::queue::{Confirm, Delivery, Depth, Outgoing, Parked, Queue, Tag, Unreadable, content};
use crate::{Error, Result};
use shelf::Shelf;

/// Partitions, lanes and parked messages in memory.
#[derive(Debug, Clone)]
pub struct QueueModel {
    shared: Arc<Shared>,
    chaos: Chaos,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// What the checker looks at.
#[derive(Debug, Default)]
pub(super) struct State {
    generation: generation::Generation,
    /// By generation and place.
    places: BTreeMap<(u32, Place), VecDeque<Row>>,
    pub(super) parked: Shelf,
    /// What producers sent while a generation ends: it waits outside.
    outside: Vec<Change>,
    /// Places that hand nothing out until then.
    held: BTreeMap<Place, Instant>,
    /// Every change that was ever taken in.
    pub(super) accepted: HashSet<(DocumentKey, Version)>,
    /// Changes settled since the checker looked last.
    pub(super) settled: Vec<(DocumentKey, Version, Operation)>,
    /// Barriers settled since the checker looked last.
    pub(super) passed: Vec<Barrier>,
    /// Changes taken in since the checker looked last.
    pub(super) taken: Vec<Change>,
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
    /// It was released, and rests until then or until that consumer is dropped.
    rests: Option<(u64, Instant)>,
}

impl QueueModel {
    /// An empty queue.
    pub fn new(partitions: u32, chaos: Chaos, clock: Clock) -> Self {
        let queue = Self {
            shared: Arc::default(),
            chaos,
            clock,
        };
        queue.state().generation = generation::Generation::first(partitions);
        queue
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
        let mut state = self.state();
        let at = (state.generation.number, place);
        state
            .places
            .entry(at)
            .or_default()
            .push_back(Row::new(message));
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Hands nothing of a place out for so long.
    pub(super) fn hold(&self, place: Place, time: Duration) {
        self.state().held.insert(place, Instant::now() + time);
    }

    /// Hands out what was held.
    pub(super) fn let_go(&self) {
        self.state().held.clear();
        self.shared.changed.notify_waiters();
    }

    /// Takes in what a producer sends that is not ours.
    pub(super) fn produce(&self, change: Change) {
        self.state().produce(change);
        self.shared.changed.notify_waiters();
    }

    /// Takes back the parked messages that have no version, but those that would be parked again.
    pub(super) fn unpark_strays(&self, is_poison: impl Fn(&Change) -> bool) -> Vec<Change> {
        self.state().parked.take_strays(is_poison)
    }

    /// Whether this change was ever taken in.
    pub fn has_taken(&self, key: &DocumentKey, version: Version) -> bool {
        self.state().accepted.contains(&(key.clone(), version))
    }

    /// The bug of replaying what was parked: the old body at a new version.
    pub(super) fn replay_parked(&self, version: Version) {
        let mut state = self.state();
        let parked: Vec<_> = state.parked.bodies().cloned().collect();
        let partitions = state.generation.partitions;
        for change in parked {
            let change = Change { version, ..change };
            state.accept(Outgoing::change(change, Lane::Live, partitions));
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
            rests: None,
        }
    }

    fn bytes(&self) -> usize {
        self.message.as_ref().map_or(0, content)
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
            self.taken.push(change.clone());
        }
        self.places
            .entry((self.generation.number, outgoing.place))
            .or_default()
            .push_back(Row::new(Ok(outgoing.message)));
    }

    /// Whether nothing waits and nobody has anything in hand.
    pub(super) fn is_empty(&self) -> bool {
        self.outside.is_empty() && self.places.values().all(VecDeque::is_empty)
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

    /// The places in a lane's rows that may be handed out, in order.
    fn ready(&self, at: (u32, Place), overtake: bool, ignores_barriers: bool) -> Vec<usize> {
        let Some(rows) = self.places.get(&at) else {
            return Vec::new();
        };
        let now = Instant::now();
        if self.held.get(&at.1).is_some_and(|until| *until > now) {
            return Vec::new();
        }
        let mut seen: HashSet<&DocumentKey> = HashSet::new();
        let mut ready = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let free = row.hand.is_none() && row.rests.is_none_or(|(_, until)| until <= now);
            let barrier = matches!(row.message, Ok(Message::Barrier(_)));
            let first_of_key = row.key().is_none_or(|key| seen.insert(key));
            let passed = !barrier || at == 0 || ignores_barriers;
            if free && passed && (first_of_key || !overtake) {
                ready.push(at);
            }
        }
        ready
    }

    fn hand_out(&mut self, consumer: u64, from: (u32, Place), at: usize) -> Option<Delivery> {
        self.tags += 1;
        let tag = Tag(self.tags);
        let row = self.places.get_mut(&from)?.get_mut(at)?;
        row.hand = Some((consumer, tag));
        // Whoever dies with it in hand is charged once.
        row.rests = None;
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
            place: from.1,
            attempt: row.attempts,
            message,
        })
    }

    fn attempts(&self, from: (u32, Place), at: usize) -> u32 {
        self.places
            .get(&from)
            .and_then(|rows| rows.get(at))
            .map_or(0, |row| row.attempts)
    }

    fn take(&mut self, tag: Tag) -> Option<((u32, Place), Row)> {
        self.places.iter_mut().find_map(|(from, rows)| {
            let at = rows
                .iter()
                .position(|row| row.hand.is_some_and(|(_, held)| held == tag))?;
            rows.remove(at).map(|row| (*from, row))
        })
    }

    fn settle(&mut self, tag: Tag) {
        let Some(((generation, place), row)) = self.take(tag) else {
            return;
        };
        match row.message {
            Ok(Message::Change(change)) => {
                tracing::trace!(?tag, key = %change.key, version = %change.version, "settled");
                self.settled
                    .push((change.key, change.version, change.operation));
            }
            Ok(Message::Barrier(Barrier::End { .. })) => self.generation.ended(generation, place),
            Ok(Message::Barrier(barrier)) => self.passed.push(barrier),
            Err(_) => {}
        }
    }
}

impl Queue for QueueModel {
    type Consumer = ConsumerModel;
    type Answers = BoxFuture<'static, Result<Vec<Confirm>>>;

    fn partitions(&self) -> u32 {
        self.state().generation.partitions
    }

    async fn publish(&self, batch: &[Outgoing]) -> Result<Self::Answers> {
        self.chaos.step("queue", "publish").await?;
        self.state().generation.takes(batch)?;
        let confirms = batch.iter().map(|it| self.accept(it.clone())).collect();
        self.shared.changed.notify_waiters();
        let chaos = self.chaos.clone();
        let answers = async move {
            chaos.step("queue", "confirm").await?;
            Ok(confirms)
        };
        Ok(answers.boxed())
    }

    async fn consume(&self, partitions: Vec<u32>) -> Result<ConsumerModel> {
        self.chaos.step("queue", "consume").await?;
        let mut state = self.state();
        state.consumers += 1;
        let named = (state.consumers, state.generation.number);
        Ok(ConsumerModel::new(self.clone(), named, partitions))
    }

    async fn parked(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Parked>> {
        self.chaos.step("queue", "list parked messages").await?;
        if self.chaos.has(Plant::ParkedHoldNothingBack) && self.chaos.luck(50) {
            return Ok(Vec::new());
        }
        let state = self.state();
        Ok(state
            .parked
            .all()
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
            state.parked.remove(id);
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth> {
        self.chaos.step("queue", "count").await?;
        let state = self.state();
        let count = |lane| {
            let rows = state
                .places
                .iter()
                .filter(|((_, place), _)| place.lane == lane);
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
