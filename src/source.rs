//! Where documents live, and where every change of them can be read again in order.
//!
//! ```text
//! save, amend, delete ──> documents ──> page, read      (each with the time it was read at)
//!                    └──> change log ──> watch          (from a position)
//! ```

pub mod mongo;
pub mod sqlite;

use std::collections::BTreeSet;
use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::capture::SnapshotPlan;
use crate::change::{DocumentKey, Operation, Position, Time};
use crate::document::{Document, Fields};
use crate::{Error, Result};

/// One entry of the change log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The place after this event: watching from here continues with the next one.
    pub position: Position,
    /// When it was committed, on the source's own clock. Several events may share one time, and
    /// then stand next to each other, in the same order at every reading.
    pub time: Time,
    /// True where no later event has this time, as far as the source can tell; false is always
    /// safe. A position is saved only after such an event, so that a replay numbers alike.
    pub complete: bool,
    /// The same as wall-clock time: milliseconds since 1970, UTC; for people, never for order.
    pub committed_ms: u64,
    /// What happened.
    pub body: Body,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A document was stored or deleted.
    Edit {
        /// The document.
        key: DocumentKey,
        /// What happened to it; never [`Operation::Snapshot`].
        operation: Operation,
        /// Its fields. None for a delete, and for an edit whose document was deleted before it was
        /// looked up: then the delete's own event is on the way.
        fields: Option<Fields>,
    },
    /// Every document of the type is gone at once: a drop, a rename away, a dropped database.
    Dropped {
        /// The type.
        kind: String,
    },
    /// The type was replaced by documents that no event names: a rename or `$out` into it.
    Replaced {
        /// The type.
        kind: String,
    },
    /// Nothing happened; the position moved on. Never between two events of one time.
    Idle,
}

/// What a read of documents found, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading<T> {
    /// A time at which what was read was true, or an earlier one: content is never older than its
    /// time says.
    pub time: Time,
    /// Wall clock of the read: milliseconds since 1970, UTC.
    pub read_ms: u64,
    /// What was read.
    pub found: T,
}

/// Stores documents and remembers every change of them.
///
/// - A save or delete is durable when it returns, together with its event; an error leaves unknown
///   whether it happened, and the caller may repeat it.
/// - Concurrent callers are served; writes of one key take effect one after the other.
/// - Dropping a future may leave its write done or not done, never half done.
pub trait Source: Send + Sync + 'static {
    /// An open reading of the change log.
    type Watch: Watch;

    /// Stores the documents, inserting or replacing each; one event each, in this order. Storing what
    /// is there already may be no event.
    fn save(&self, documents: Vec<Document>) -> impl Future<Output = Result<()>> + Send;

    /// Gives documents these fields and leaves all that is in them beside: what others write meanwhile, and what a
    /// read cannot show of them. One that is gone stays gone. One event for each that is there, in this order; giving
    /// what is there already may be no event.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] for a field's name that a source would read as a path: with a dot, or
    /// beginning with `$`.
    fn amend(&self, fields: Vec<Document>) -> impl Future<Output = Result<()>> + Send;

    /// Deletes the documents; one event for each that was there. Returns how many were.
    fn delete(&self, keys: Vec<DocumentKey>) -> impl Future<Output = Result<usize>> + Send;

    /// Reads documents again: the first of `keys`, and as many behind it as an answer of some megabytes holds; in
    /// their order, none where there is no such document. So at least one is answered where any is asked for. The
    /// rest is for the next call, at a time of its own; [`read_all`] makes as many as it takes.
    fn read(
        &self,
        keys: Vec<DocumentKey>,
    ) -> impl Future<Output = Result<Reading<Vec<Option<Fields>>>>> + Send;

    /// The next `limit` documents of a type after this `_id`, in an order of ids that does not
    /// change; an empty page is the end. Each page is one consistent read at its own time, which is
    /// never before a time that a watch showed earlier.
    fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Reading<Vec<Document>>>> + Send;

    /// The types that have documents, sorted.
    fn kinds(&self) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// The types whose changes a watch shows; none where it shows those of every type.
    fn watched(&self) -> Option<BTreeSet<String>> {
        None
    }

    /// Opens the change log after this position, or at its end. A `Dropped` type, like every
    /// edit, is an event; nothing between position and end is skipped.
    ///
    /// # Errors
    /// [`crate::Error::HistoryLost`] when the source no longer has all changes after `from`.
    fn watch(&self, from: Option<Position>) -> impl Future<Output = Result<Self::Watch>> + Send;
}

/// An answer of [`Source::read`] ends behind the document with which it has so many bytes, as do the pages of some
/// sources.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// All of these documents, by as many reads as that takes: for those who hold as much in memory anyway.
///
/// # Errors
/// What the source says, and an answer of none where one is always read.
pub async fn read_all<S: Source>(
    source: &S,
    mut keys: Vec<DocumentKey>,
) -> Result<Vec<Option<Fields>>> {
    let mut all = Vec::with_capacity(keys.len());
    loop {
        let found = source.read(keys.clone()).await?.found;
        progressed(keys.len(), found.len())?;
        keys.drain(..found.len().min(keys.len()));
        all.extend(found);
        if keys.is_empty() {
            return Ok(all);
        }
    }
}

/// Refuses an answer of [`Source::read`] that has none of the documents asked for: who reads the rest next would ask
/// for the same for ever.
pub(crate) fn progressed(asked: usize, answered: usize) -> Result<()> {
    if answered == 0 && asked > 0 {
        let why = format!("it has none of {asked} documents asked for, and one is always read");
        return Err(Error::malformed("the source's answer", why));
    }
    Ok(())
}

/// Refuses names of fields that a source would read as paths: for [`Source::amend`].
pub(crate) fn check_names(fields: &[Document]) -> Result<()> {
    let mut names = fields.iter().flat_map(|document| document.fields.keys());
    match names.find(|name| name.contains('.') || name.starts_with('$')) {
        None => Ok(()),
        Some(path) => {
            let why = "a field to be given has no dot in its name and does not begin with $";
            Err(Error::malformed(format!("the name {path}"), why))
        }
    }
}

/// An open reading of the change log.
pub trait Watch: Send {
    /// Where the reading stands and the source's time there: everything at or before it was handed
    /// out, and an edit after it has a later time.
    fn here(&self) -> (Position, Time);

    /// The next events, at most `limit` and at least one; waits until there is one. Now and then
    /// a [`Body::Idle`] while nothing happens.
    ///
    /// Cancel safe: events that were not handed out are handed out by the next call.
    ///
    /// # Errors
    /// [`crate::Error::HistoryLost`] when the log was trimmed past the reading. After any error
    /// the watch is opened anew from the last position handed out.
    fn next(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Event>>> + Send;
}

/// How far capture has come; saved as one, so that a restart finds position and snapshot agreeing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The epoch that versions carry.
    pub epoch: u32,
    /// Every change before it is confirmed by the queue.
    pub position: Position,
    /// The types whose snapshots are under way or to come, in order.
    pub snapshot: SnapshotPlan,
    /// Every type that was ever sent: those that vanish in a gap are found by it.
    pub kinds: BTreeSet<String>,
    /// The types whose changes the position speaks of, none for every type: of those that are watched since, nobody
    /// knows what happened before.
    #[serde(default)]
    pub watched: Option<BTreeSet<String>>,
    /// Resets for lost history since the last snapshot that came to its end.
    pub resets: u32,
}

/// Keeps the checkpoint of capture.
///
/// A save is durable when it returns, or at the latest together with the next durable write of the
/// source: losing the last saves replays changes and loses none.
pub trait Checkpoints: Send + Sync + 'static {
    /// The last saved checkpoint, if there is one.
    fn load(&self) -> impl Future<Output = Result<Option<Checkpoint>>> + Send;

    /// Saves it over the last one.
    fn save(&self, checkpoint: Checkpoint) -> impl Future<Output = Result<()>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_none_ends_a_reading_that_would_ask_for_the_same_again() {
        assert!(progressed(0, 0).is_ok());
        assert!(progressed(2, 1).is_ok());
        let error = progressed(2, 0).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
}
