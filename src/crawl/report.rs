//! What a crawl says: how far it is, what it left out, and what it did.

use serde::{Deserialize, Serialize};

use crate::change::{DocumentKey, Version};

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What: a path or link, the first of its kind where `count` is above one.
    pub what: String,
    /// Why, for a person.
    pub why: String,
    /// How many there were.
    pub count: usize,
}

impl Skipped {
    pub(crate) fn one(what: &str, why: String) -> Self {
        Self {
            what: what.to_owned(),
            why,
            count: 1,
        }
    }
}

/// What a crawl did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Documents written because they are new or differ.
    pub saved: usize,
    /// Documents found as they are stored.
    pub unchanged: usize,
    /// Documents deleted because they vanished.
    pub deleted: usize,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Every document that was found, written or not, in order.
    pub keys: Vec<DocumentKey>,
    /// Everything that was written is at this version or below, where nobody waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// When a host asks to come again for the rest: milliseconds since 1970, UTC; none where it does not.
    #[serde(default)]
    pub later_ms: Option<u64>,
}

impl Report {
    /// Whether something was left out, and nothing else was brought.
    pub fn is_failure(&self) -> bool {
        !self.skipped.is_empty() && self.saved + self.unchanged + self.deleted == 0
    }
}

/// Hears how far a crawl has come. Calls are cheap and frequent.
pub trait Progress: Send + Sync {
    /// So many things are to be read; not called where that is not known.
    fn total(&self, things: usize);
    /// So many of them are done, with or without a document.
    fn done(&self, things: usize);
    /// One was left out.
    fn skipped(&self, skipped: &Skipped);
}

impl Progress for () {
    fn total(&self, _: usize) {}
    fn done(&self, _: usize) {}
    fn skipped(&self, _: &Skipped) {}
}
