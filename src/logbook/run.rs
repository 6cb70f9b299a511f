//! How the crawls of one link went, and when the next is due. Pure.

use serde::{Deserialize, Serialize};

use crate::crawl::{Kind, Report, Request};

/// The last crawl of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The link, in the one form that names it.
    pub link: String,
    /// What was asked for.
    pub request: Request,
    /// How often it is crawled, in seconds; none where a person asked.
    pub every_seconds: Option<u64>,
    /// When the last crawl began: milliseconds since 1970, UTC.
    pub started_ms: u64,
    /// When it ended; none while it is under way, and after a crash.
    pub finished_ms: Option<u64>,
    /// When the next one is due; none where nothing repeats it.
    pub next_ms: Option<u64>,
    /// What it did.
    pub counts: Counts,
    /// Why it failed, or the first thing that it left out.
    pub error: Option<String>,
    /// What a folder was read as when it last gave something; it stays that until a person says otherwise.
    pub read_as: Option<Kind>,
    /// Whether it brought nothing at all.
    pub has_failed: bool,
}

/// What a crawl did, in documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Written because they are new or differ.
    pub written: usize,
    /// Found as they are stored.
    pub unchanged: usize,
    /// Deleted because they vanished.
    pub deleted: usize,
    /// Left out, with a reason.
    pub failed: usize,
}

impl Counts {
    /// Those of a report.
    pub fn of(report: &Report) -> Self {
        Self {
            written: report.saved,
            unchanged: report.unchanged,
            deleted: report.deleted,
            failed: report.skipped.iter().map(|one| one.count).sum(),
        }
    }
}

impl Run {
    /// Whether it ended well at or after this time.
    pub fn is_done_since(&self, ms: u64) -> bool {
        !self.has_failed && self.finished_ms.is_some() && self.started_ms >= ms
    }
}
