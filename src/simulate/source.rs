//! A source in memory that hands out changes late, looks documents up too early or too late, groups
//! writes in transactions and loses its history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

mod checkpoint;
mod watch;

pub use watch::WatchModel;

use super::{Chaos, Plant};
use crate::change::{DocumentKey, Operation, Position, Time, Version};
use crate::clock::Clock;
use crate::document::{Document, Fields};
use crate::source::{Body, Checkpoint, Event, PAGE_BYTES, Reading, Source, check_names};
use crate::{Error, Result};

/// Documents, change log and checkpoint in memory.
#[derive(Debug, Clone)]
pub struct SourceModel {
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
    pub(super) documents: BTreeMap<DocumentKey, Fields>,
    pub(super) log: Vec<Logged>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Events before this place were left to a snapshot.
    pub(super) snapshot_from: usize,
    /// Events before this place are gone.
    pub(super) trimmed: usize,
    /// Edits are looked up when they are read, not kept as they were.
    pub(super) looks_up: bool,
    /// That history is gone is said at the first reading, and not when a watch is opened.
    tells_late: bool,
    /// A type that nobody may read by its documents.
    forbidden: Option<String>,
    /// By action, whether its next calls are answered.
    answers: BTreeMap<&'static str, VecDeque<bool>>,
    now: u64,
}

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) time: u64,
    pub(super) order: u32,
    pub(super) body: Body,
    committed_ms: u64,
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Stores a document.
    Save(Document),
    /// Gives one these fields.
    Amend(Document),
    /// Deletes one.
    Delete(DocumentKey),
    /// Drops a type.
    Drop(String),
    /// Replaces a whole type by these, without an event for each.
    Replace(String, Vec<Document>),
}

impl SourceModel {
    /// An empty source.
    pub fn new(chaos: Chaos, clock: Clock) -> Self {
        Self {
            shared: Arc::default(),
            chaos,
            clock,
        }
    }

    /// Looks edits up when they are read.
    pub fn look_up(&self) {
        self.state().looks_up = true;
    }

    /// Says that history is gone when it is read, as a router in front of shards does, and not before.
    pub fn tell_late(&self) {
        self.state().tells_late = true;
    }

    /// Refuses to read documents of this type, as a server does without the permission.
    pub fn forbid(&self, kind: &str) {
        self.state().forbidden = Some(kind.to_owned());
    }

    /// Says of the next calls of this action whether each is answered; those behind them are.
    pub fn answer(&self, action: &'static str, answers: &[bool]) {
        let answers = answers.iter().copied().collect();
        self.state().answers.insert(action, answers);
    }

    /// # Errors
    /// Where this call of the action is not to be answered.
    fn answered(&self, action: &'static str) -> Result<()> {
        let mut state = self.state();
        let next = state.answers.get_mut(action).and_then(VecDeque::pop_front);
        if next.unwrap_or(true) {
            return Ok(());
        }
        Err(Error::unavailable("source", action)("it is away"))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits these writes at one time; returns how many took effect.
    pub fn commit(&self, edits: Vec<Edit>) -> usize {
        let committed_ms = self.clock.now_ms();
        let mut state = self.state();
        state.now += 1;
        let (time, mut count) = (state.now, 0);
        for edit in edits {
            let Some(body) = state.apply(edit) else {
                continue;
            };
            let order = u32::try_from(count).unwrap_or(u32::MAX);
            tracing::trace!(time, order, ?body, "committed");
            state.log.push(Logged {
                time,
                order,
                body,
                committed_ms,
            });
            count += 1;
        }
        drop(state);
        self.shared.changed.notify_waiters();
        count
    }

    /// Forgets the log, as an oplog does that is too small.
    pub fn trim(&self) {
        let mut state = self.state();
        state.trimmed = state.log.len();
    }
}

impl State {
    fn apply(&mut self, edit: Edit) -> Option<Body> {
        match edit {
            Edit::Save(Document { key, fields }) => {
                let known = self.documents.insert(key.clone(), fields.clone()).is_some();
                let operation = if known {
                    Operation::Replace
                } else {
                    Operation::Insert
                };
                Some(Body::Edit {
                    key,
                    operation,
                    fields: Some(fields),
                })
            }
            Edit::Amend(given) => {
                let fields = self.documents.get_mut(&given.key)?;
                fields.extend(given.fields);
                Some(Body::Edit {
                    key: given.key,
                    operation: Operation::Update,
                    fields: Some(fields.clone()),
                })
            }
            Edit::Delete(key) => {
                self.documents.remove(&key)?;
                Some(Body::Edit {
                    key,
                    operation: Operation::Delete,
                    fields: None,
                })
            }
            Edit::Drop(kind) => {
                self.documents.retain(|key, _| key.kind != kind);
                Some(Body::Dropped { kind })
            }
            Edit::Replace(kind, documents) => {
                self.documents.retain(|key, _| key.kind != kind);
                self.documents
                    .extend(documents.into_iter().map(|new| (new.key, new.fields)));
                Some(Body::Replaced { kind })
            }
        }
    }

    fn time_at(&self, at: usize) -> Time {
        let before = at.checked_sub(1).and_then(|last| self.log.get(last));
        Time::from_sequence(before.map_or(0, |logged| logged.time))
    }

    /// The event at a place, as a reader sees it now.
    fn event(&self, at: usize, claims_complete: bool) -> Option<Event> {
        let logged = self.log.get(at)?;
        let mut body = logged.body.clone();
        if let Body::Edit {
            key,
            fields: fields @ Some(_),
            ..
        } = &mut body
            && self.looks_up
        {
            *fields = self.documents.get(key).cloned();
        }
        Some(Event {
            position: place(at + 1),
            time: Time::from_sequence(logged.time),
            complete: claims_complete,
            committed_ms: logged.committed_ms,
            body,
        })
    }
}

fn place(at: usize) -> Position {
    Position((at as u64).to_be_bytes().to_vec())
}

pub(super) fn index(position: &Position) -> usize {
    position
        .0
        .iter()
        .fold(0, |at, byte| at << 8 | usize::from(*byte))
}

impl Source for SourceModel {
    type Watch = WatchModel;

    async fn save(&self, documents: Vec<Document>) -> Result<()> {
        self.chaos.step("source", "save").await?;
        for document in documents {
            self.commit(vec![Edit::Save(document)]);
        }
        self.chaos.step("source", "save").await
    }

    async fn amend(&self, fields: Vec<Document>) -> Result<()> {
        check_names(&fields)?;
        self.chaos.step("source", "amend").await?;
        for given in fields {
            self.commit(vec![Edit::Amend(given)]);
        }
        self.chaos.step("source", "amend").await
    }

    async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        self.chaos.step("source", "delete").await?;
        let count = keys
            .into_iter()
            .map(|key| self.commit(vec![Edit::Delete(key)]))
            .sum();
        self.chaos.step("source", "delete").await?;
        Ok(count)
    }

    async fn read(&self, keys: Vec<DocumentKey>) -> Result<Reading<Vec<Option<Fields>>>> {
        self.chaos.step("source", "read").await?;
        self.answered("read")?;
        let forbidden = self.state().forbidden.clone();
        if let Some(key) = keys
            .iter()
            .find(|key| Some(&key.kind) == forbidden.as_ref())
        {
            return Err(Error::Refused {
                service: "source".to_owned(),
                why: format!("{} may not be read", key.kind),
                fix: "allow it".to_owned(),
            });
        }
        let read_ms = self.clock.now_ms();
        let reading = {
            let state = self.state();
            let mut bytes = 0;
            let found = keys.iter().map_while(|key| {
                let has_room = bytes < PAGE_BYTES;
                let fields = state.documents.get(key).filter(|_| has_room);
                bytes += fields.map_or(0, size);
                has_room.then(|| fields.cloned())
            });
            let found = found.collect();
            Reading {
                time: Time::from_sequence(state.now),
                read_ms,
                found,
            }
        };
        self.chaos.step("source", "read").await?;
        Ok(reading)
    }

    async fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reading<Vec<Document>>> {
        self.chaos.step("source", "page").await?;
        let read_ms = self.clock.now_ms();
        let mut reading = {
            let state = self.state();
            let found = state
                .documents
                .iter()
                .filter(|(key, _)| {
                    key.kind == kind && after.as_ref().is_none_or(|after| key.id > *after)
                })
                .take(limit)
                .map(|(key, fields)| Document {
                    key: key.clone(),
                    fields: fields.clone(),
                })
                .collect();
            Reading {
                time: Time::from_sequence(state.now),
                read_ms,
                found,
            }
        };
        self.chaos.step("source", "page").await?;
        if self.chaos.has(Plant::PageTimeTooLate) {
            reading.time = Time::from_sequence(self.state().now);
        }
        if self.chaos.has(Plant::PageTimeTooEarly) {
            reading.time = Time::default();
        }
        Ok(reading)
    }

    async fn kinds(&self) -> Result<Vec<String>> {
        self.chaos.step("source", "list types").await?;
        let mut kinds: Vec<_> = self
            .state()
            .documents
            .keys()
            .map(|key| key.kind.clone())
            .collect();
        kinds.dedup();
        Ok(kinds)
    }

    async fn watch(&self, from: Option<Position>) -> Result<WatchModel> {
        self.chaos.step("source", "watch").await?;
        let state = self.state();
        let at = from.map_or(state.log.len(), |position| index(&position));
        if at < state.trimmed && !state.tells_late {
            return Err(Error::HistoryLost {
                why: format!("event {at} is gone"),
            });
        }
        Ok(WatchModel::new(self.clone(), at))
    }
}

/// Bytes of a document, as text.
fn size(fields: &Fields) -> usize {
    serde_json::to_string(fields).map_or(0, |text| text.len())
}

/// The version that an event of the log has, whoever numbers it.
pub(super) fn version(logged: &Logged) -> Version {
    Version {
        epoch: 1,
        time: Time::from_sequence(logged.time),
        order: logged.order,
    }
}
