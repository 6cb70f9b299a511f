//! What was read of the change stream and not handed out yet: places, times, completeness. Pure.
//!
//! ```text
//! event of the stream ──> one or two events of the log ──> handed out by count and bytes
//! a rename of a to b  ──> Dropped a, Replaced b            (one time; a place only after both)
//! ```

use std::collections::{BTreeSet, VecDeque};

use bson::RawDocument;

use super::event::{Deed, told};
use super::place::Place;
use super::portion::Weighed;
use super::{Images, Settings};
use crate::Result;
use crate::change::{DocumentKey, Operation, Position, Time};
use crate::source::{Body, Event};

/// A batch is handed out when it has this many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// Events between the stream and who reads it.
#[derive(Debug)]
pub(super) struct Log {
    settings: Settings,
    is_sharded: bool,
    /// The collections that a drop of the database takes with it.
    kinds: BTreeSet<String>,
    /// After the last event that was handed out.
    here: (Position, Time),
    /// After the last event that was taken in.
    end: Place,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    invalidated: bool,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    bytes: usize,
    /// The document is to be read again before the event is handed out.
    unclear: bool,
}

impl Log {
    /// An empty log that begins at a place.
    pub(super) fn new(
        settings: Settings,
        is_sharded: bool,
        kinds: BTreeSet<String>,
        from: Place,
    ) -> Self {
        Self {
            settings,
            is_sharded,
            kinds,
            here: (from.position(), from.time()),
            end: from,
            waiting: VecDeque::new(),
            bytes: 0,
            invalidated: false,
        }
    }

    /// After the last event that was handed out.
    pub(super) fn here(&self) -> (Position, Time) {
        self.here.clone()
    }

    /// After the last event that was taken in.
    pub(super) fn end(&self) -> &Place {
        &self.end
    }

    /// The last event said that the stream ends.
    pub(super) fn was_invalidated(&self) -> bool {
        self.invalidated
    }

    /// Whether nothing is to be handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether another event may be taken in, when at most `limit` are handed out next.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        self.waiting.len() <= limit && self.bytes < BATCH_BYTES
    }

    /// Takes in one event of the stream.
    pub(super) fn event(&mut self, raw: &RawDocument) -> Result<()> {
        let told = told(raw)?;
        // A stream that was resumed goes on with a later time; should it not, ours still does.
        let time = told.time.max(self.end.time());
        let place = Place::named(told.token, time)?;
        if place.is_within(&self.end) {
            // The server went back. It was taken in, and must not come again at a later time.
            return Ok(());
        }
        self.invalidated = told.deed == Deed::Invalidated;
        let (bodies, unclear) = self.bodies(told.deed);
        self.complete_before(time);
        let last = bodies.len().saturating_sub(1);
        for (index, body) in bodies.into_iter().enumerate() {
            // What shares an event of the stream has no place of its own: a reading that begins
            // between them begins before the first.
            let position = if index == last { &place } else { &self.end }.position();
            let bytes = if index == last {
                raw.as_bytes().len()
            } else {
                0
            };
            self.bytes += bytes;
            let event = Event {
                position,
                time,
                complete: false,
                committed_ms: told.committed_ms,
                body,
            };
            self.waiting.push_back(Waiting {
                event,
                bytes,
                unclear,
            });
        }
        self.end = place;
        Ok(())
    }

    /// What happened, in our words; and whether the document has to be read again.
    fn bodies(&mut self, deed: Deed) -> (Vec<Body>, bool) {
        match deed {
            Deed::Edited {
                key,
                operation,
                fields,
            } => {
                if !self.kinds.contains(&key.kind) {
                    self.kinds.insert(key.kind.clone());
                }
                // On shards, half of a change of the shard key. And where the server keeps images,
                // none does not mean deleted.
                let unclear = if operation == Operation::Delete {
                    self.is_sharded
                } else {
                    fields.is_none() && self.settings.images != Images::UpdateLookup
                };
                let edit = Body::Edit {
                    key,
                    operation,
                    fields,
                };
                (vec![edit], unclear)
            }
            Deed::Dropped { kind } => (self.dropped(kind).into_iter().collect(), false),
            Deed::Renamed { from, to } => {
                let mut bodies: Vec<_> = self.dropped(from).into_iter().collect();
                if self.settings.watches(&to) {
                    self.kinds.insert(to.clone());
                    bodies.push(Body::Replaced { kind: to });
                }
                (bodies, false)
            }
            Deed::DatabaseDropped => {
                let kinds = std::mem::take(&mut self.kinds).into_iter();
                (kinds.map(|kind| Body::Dropped { kind }).collect(), false)
            }
            Deed::Invalidated | Deed::Other => (Vec::new(), false),
        }
    }

    fn dropped(&mut self, kind: String) -> Option<Body> {
        self.kinds.remove(&kind);
        self.settings
            .watches(&kind)
            .then_some(Body::Dropped { kind })
    }

    /// Nothing more has happened up to a time that is certain, or at least up to the last event's.
    pub(super) fn nothing(
        &mut self,
        token: Option<&RawDocument>,
        certain: Option<Time>,
        now_ms: u64,
    ) -> Result<()> {
        // Without a token the place stays at the last event's, and so does its time.
        let mut time = self.end.time();
        if let Some(token) = token {
            time = certain.unwrap_or_default().max(time);
            self.end = Place::named(token, time)?;
        }
        if let Some(tail) = self.waiting.back_mut() {
            tail.event.complete = true;
        }
        let event = Event {
            position: self.end.position(),
            time,
            complete: true,
            committed_ms: now_ms,
            body: Body::Idle,
        };
        self.waiting.push_back(Waiting {
            event,
            bytes: 0,
            unclear: false,
        });
        Ok(())
    }

    /// A later time shows that the one before it is complete.
    fn complete_before(&mut self, time: Time) {
        if let Some(tail) = self.waiting.back_mut()
            && tail.event.time < time
        {
            tail.event.complete = true;
        }
    }

    /// The documents that are to be read again, in order; none while there is enough before them to be handed out.
    pub(super) fn unclear(&self) -> Vec<DocumentKey> {
        let is_first = self.waiting.front().is_some_and(|first| first.unclear);
        if !is_first && self.bytes >= BATCH_BYTES {
            return Vec::new();
        }
        let unclear = self.waiting.iter().filter(|waiting| waiting.unclear);
        unclear.filter_map(|waiting| key(&waiting.event)).collect()
    }

    /// The first ones of [`Log::unclear`] as they are now.
    pub(super) fn clear_up(&mut self, found: Vec<Option<Weighed>>) {
        let unclear = self.waiting.iter_mut().filter(|waiting| waiting.unclear);
        for (waiting, now) in unclear.zip(found) {
            waiting.unclear = false;
            let (now, bytes) = now.unzip();
            let bytes = bytes.unwrap_or_default();
            waiting.bytes += bytes;
            self.bytes += bytes;
            if let Body::Edit {
                operation, fields, ..
            } = &mut waiting.event.body
            {
                if now.is_some() && *operation == Operation::Delete {
                    *operation = Operation::Update;
                }
                *fields = now;
            }
        }
    }

    /// The next events: at most `limit`, none that is unclear, and not many more bytes than a batch should have.
    pub(super) fn hand_out(&mut self, limit: usize) -> Vec<Event> {
        let count = limit.max(1).min(self.waiting.len());
        let (mut events, mut bytes) = (Vec::with_capacity(count), 0);
        while events.len() < count
            && let Some(next) = self.waiting.front()
            && !next.unclear
            && (events.is_empty() || bytes + next.bytes <= BATCH_BYTES)
            && let Some(next) = self.waiting.pop_front()
        {
            bytes += next.bytes;
            events.push(next.event);
        }
        if let Some(last) = events.last() {
            self.here = (last.position.clone(), last.time);
        }
        self.bytes -= bytes;
        events
    }
}

fn key(event: &Event) -> Option<DocumentKey> {
    match &event.body {
        Body::Edit { key, .. } => Some(key.clone()),
        Body::Dropped { .. } | Body::Replaced { .. } | Body::Idle => None,
    }
}

#[cfg(test)]
mod tests;
