//! The change stream commands: a cursor over the log, unless the script says otherwise.

use std::time::Duration;

use bson::{Bson, Document, Timestamp, doc};

use super::log::{self, Entry};
use super::script::{Act, CURSOR_NOT_FOUND, On, Step};
use super::state::{Answer, State};

/// How long a getMore waits that does not say.
const MORE_WAIT_MS: u64 = 1000;

/// An open change stream.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    namespace: String,
    /// The token after which it goes on.
    after: String,
    batch_max: usize,
    last_batch: Vec<Entry>,
}

/// A change stream that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    pub(crate) resume_after: Option<String>,
    pub(crate) start_after: Option<String>,
    pub(crate) start_at: Option<Timestamp>,
    /// Everything after `$changeStream`.
    pub(crate) pipeline: Vec<Bson>,
}

impl Opened {
    pub(super) fn read(command: &Document) -> Option<Self> {
        let (first, pipeline) = command.get_array("pipeline").ok()?.split_first()?;
        let stage = first.as_document()?.get_document("$changeStream").ok()?;
        Some(Self {
            resume_after: log::data(stage.get("resumeAfter")),
            start_after: log::data(stage.get("startAfter")),
            start_at: stage.get_timestamp("startAtOperationTime").ok(),
            pipeline: pipeline.to_vec(),
        })
    }
}

impl State {
    pub(super) fn open(&mut self, command: &Document) -> Answer {
        let id = self.cursor_last + 1;
        match self.turn(On::Open) {
            Some(Act::Fail(failure)) => return Answer::Reply(self.refuse(failure)),
            Some(Act::Cut) => return Answer::Cut(self.start(id, command)),
            Some(other) => panic!("{other:?} is no step of an aggregate"),
            None => {}
        }
        self.cursor_last = id;
        Answer::Reply(self.start(id, command))
    }

    /// Opens a cursor at the place that was asked for; what is there already comes with the reply.
    fn start(&mut self, id: i64, command: &Document) -> Document {
        let opened = Opened::read(command).unwrap();
        let time = opened.start_at.map(log::before);
        let place = opened.resume_after.or(opened.start_after).or(time);
        let database = command.get_str("$db").unwrap();
        let collection = command.get_str("aggregate").unwrap_or("$cmd.aggregate");
        let size = command.get_document("cursor").unwrap().get("batchSize");
        let asked_max = size.and_then(|size| size.as_i64().or(size.as_i32().map(i64::from)));
        let asked_max = asked_max.map_or(usize::MAX, |max| usize::try_from(max).unwrap());
        let cursor = Cursor {
            namespace: format!("{database}.{collection}"),
            after: place.unwrap_or_else(|| self.log.end()),
            batch_max: self.setup.batch_max.min(asked_max),
            last_batch: Vec::new(),
        };
        self.cursors.insert(id, cursor);
        let batch = self.unheard(id);
        self.hand_out(id, "firstBatch", batch)
    }

    pub(super) fn more(&mut self, command: &Document, patient: bool) -> Answer {
        let id = command.get_i64("getMore").unwrap();
        let Some(cursor) = self.cursors.get(&id).cloned() else {
            return Answer::Reply(CURSOR_NOT_FOUND.reply());
        };
        let batch_of = |state: &mut Self, batch| state.hand_out(id, "nextBatch", batch);
        match self.turn(On::More) {
            Some(Act::Fail(failure)) => {
                self.cursors.remove(&id);
                Answer::Reply(self.refuse(failure))
            }
            Some(Act::StepDown) => Answer::Reply(self.elect()),
            Some(Act::Silence) => {
                self.silent.insert(self.primary);
                self.elect();
                Answer::Never
            }
            Some(Act::Idle) => {
                self.log.pass();
                Answer::Reply(batch_of(self, Vec::new()))
            }
            Some(Act::Again) => Answer::Reply(batch_of(self, cursor.last_batch)),
            Some(Act::Cut) => {
                let batch = self.unheard(id);
                let reply = batch_of(self, batch);
                self.cursors.remove(&id);
                Answer::Cut(reply)
            }
            Some(Act::Slow(gate)) => {
                let batch = self.unheard(id);
                Answer::Slow(gate, batch_of(self, batch))
            }
            step @ (Some(Act::Answer) | None) => {
                let batch = self.unheard(id);
                if step.is_none() && batch.is_empty() && patient {
                    let wait_ms = command.get("maxTimeMS").map_or(MORE_WAIT_MS, milliseconds);
                    return Answer::Wait(Duration::from_millis(wait_ms));
                }
                Answer::Reply(batch_of(self, batch))
            }
        }
    }

    /// The script's next step for this command; its commits are made.
    pub(super) fn turn(&mut self, on: On) -> Option<Act> {
        let at = self.script.iter().position(|step| step.on == on)?;
        let Step { commits, act, .. } = self.script.remove(at)?;
        for commit in commits {
            self.log.commit(commit);
        }
        Some(act)
    }

    /// What the cursor is yet to give, one batch of it.
    fn unheard(&self, id: i64) -> Vec<Entry> {
        let cursor = &self.cursors[&id];
        self.log.after(&cursor.after, cursor.batch_max)
    }

    /// The reply with this batch; the cursor goes on after it, or at the end of a log that has no more.
    fn hand_out(&mut self, id: i64, batch_name: &str, batch: Vec<Entry>) -> Document {
        let end = self.log.end();
        let cursor = self.cursors.get_mut(&id).unwrap();
        cursor.after = match batch.last() {
            Some(last) => last.token.clone(),
            None if self.log.after(&cursor.after, 1).is_empty() => end.max(cursor.after.clone()),
            None => cursor.after.clone(),
        };
        let documents: Vec<_> = batch.iter().map(|entry| entry.document.clone()).collect();
        let id = if batch.iter().any(Entry::ends_the_stream) {
            0
        } else {
            id
        };
        let reply = doc! {"ok": 1.0, "cursor": {
            "id": id, "ns": cursor.namespace.as_str(), batch_name: documents,
            "postBatchResumeToken": {"_data": cursor.after.as_str()},
        }};
        cursor.last_batch = batch;
        reply
    }
}

fn milliseconds(value: &Bson) -> u64 {
    let number = value.as_i64().or(value.as_i32().map(i64::from)).unwrap();
    number.cast_unsigned()
}
