//! The scripted server's change log, and the resume tokens that name its places.
//!
//! ```text
//! commit ──> one cluster time, an entry for each event or fragment ──> after(token)
//! ```
//!
//! A token is hex that sorts as the log does: `82`, seconds, increment, kind, place in the
//! transaction, collection, fragment. One without a collection is a mere time and sorts before every
//! event of that time.

use bson::{Bson, DateTime, Document, Timestamp, doc};

use super::event::Commit;

/// The time of the log before anything was committed; each commit is one second later.
const START_SECONDS: u32 = 1_700_000_000;
/// Stands for the collection's UUID.
const COLLECTION: &str = "5A1004C0FFEE00C0FFEE00C0FFEE00C0FFEE00";

#[derive(Debug)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    now: Timestamp,
}

/// One document of the change stream.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) token: String,
    time: Timestamp,
    pub(crate) document: Document,
}

impl Entry {
    /// After an invalidate a cursor has nothing to give.
    pub(crate) fn ends_the_stream(&self) -> bool {
        self.document
            .get_str("operationType")
            .is_ok_and(|it| it == "invalidate")
    }
}

/// The time of the n-th commit, from 1; a quiet second counts as one.
pub(crate) fn time(n: u32) -> Timestamp {
    Timestamp {
        time: START_SECONDS + n,
        increment: 1,
    }
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            now: time(0),
        }
    }

    /// The time of the last commit.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Time passes and nothing happens.
    pub(crate) fn pass(&mut self) {
        self.now.time += 1;
    }

    /// Everything of one commit has one time.
    pub(crate) fn commit(&mut self, commit: Commit) {
        self.pass();
        for (place, fragments) in commit.events.into_iter().enumerate() {
            let split = fragments.len() > 1;
            for (fragment, mut document) in fragments.into_iter().enumerate() {
                let token = event_token(self.now, place, split.then_some(fragment));
                document.insert("_id", doc! {"_data": token.as_str()});
                if fragment == 0 {
                    document.insert("clusterTime", self.now);
                    let wall_ms = i64::from(self.now.time) * 1000;
                    document.insert("wallTime", DateTime::from_millis(wall_ms));
                }
                self.entries.push(Entry {
                    token,
                    time: self.now,
                    document,
                });
            }
        }
    }

    /// At most `limit` entries after this place.
    pub(crate) fn after(&self, token: &str, limit: usize) -> Vec<Entry> {
        let later = self
            .entries
            .iter()
            .filter(|entry| entry.token.as_str() > token);
        later.take(limit).cloned().collect()
    }

    /// The place after all that was committed.
    pub(crate) fn end(&self) -> String {
        let Timestamp { time, increment } = self.now;
        let increment = increment + 1;
        time_token(Timestamp { time, increment })
    }

    /// The tokens of everything that was committed.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let tokens = self.entries.iter().map(|entry| entry.token.clone());
        tokens.collect()
    }

    /// The times of everything that was committed.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.entries.iter().map(|entry| entry.time).collect()
    }
}

/// The place before every event of this time.
pub(crate) fn before(time: Timestamp) -> String {
    prefix(time)
}

fn prefix(Timestamp { time, increment }: Timestamp) -> String {
    format!("82{time:08X}{increment:08X}")
}

/// A time that was reached: version 2, kind 0, place 0, no collection.
fn time_token(time: Timestamp) -> String {
    prefix(time) + "2B0429296E04"
}

fn event_token(time: Timestamp, place: usize, fragment: Option<usize>) -> String {
    let fragment = fragment.map(small).unwrap_or_default();
    let place = small(place);
    format!(
        "{}2B042C0100{place}6E{COLLECTION}{fragment}04",
        prefix(time)
    )
}

/// A small number in the notation of an index key.
fn small(number: usize) -> String {
    match number {
        0 => "29".to_owned(),
        number => format!("2B{:02X}", 2 * number),
    }
}

/// The hex of a token as it stands in a command or an event.
pub(crate) fn data(token: Option<&Bson>) -> Option<String> {
    let token = token?.as_document().unwrap();
    Some(token.get_str("_data").unwrap().to_owned())
}
