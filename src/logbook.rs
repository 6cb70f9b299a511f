//! What the crawl remembers of every page and of every link, so that it can come again.
//!
//! ```text
//! page: what was asked, its ETag and hash, the document it made, since when it is missing
//! run:  what was crawled, for whom, when, when next, how it went, and the last times before
//! claim: who crawls a link at this moment
//! rooted: which documents a crawl found before
//! ```
//!
//! [`page`] says when a page is read again and when its document is deleted. Nothing here is in
//! the index, and no write here is a change of a document.

pub mod page;
pub mod run;

use std::future::Future;

use crate::Result;
use crate::change::DocumentKey;

pub use page::{Missing, Page};
pub use run::{Counts, Ended, Run};

/// The whole name of a document, by which pages are found.
pub(crate) fn name_of(key: &DocumentKey) -> String {
    format!("{}/{}", key.kind, key.id)
}

/// Which pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pages {
    /// The one of this link.
    Of(String),
    /// Those whose document this is.
    Making(DocumentKey),
    /// Those that were found under this root, after this link.
    Under(String, Option<String>),
    /// All, after this link.
    After(Option<String>),
}

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// The one of this link.
    Of(String),
    /// Those after this link.
    After(Option<String>),
}

/// Keeps what the crawl remembers.
///
/// - A save replaces what was there under the link. It survives the end of the process when it returns;
///   a power cut may take the last ones, whose pages are then read once more.
/// - Answers are in the order of links, at most `limit`; each is one consistent read.
/// - Concurrent callers are served; dropping a future leaves its write done or not done.
/// - A claim is exclusive: of several who ask at once one gets it. It ends at its time by the
///   clocks of those who ask, so that a crawl that died keeps nobody out for longer.
pub trait Logbook: Send + Sync + 'static {
    /// Reads pages.
    fn pages(&self, which: Pages, limit: usize) -> impl Future<Output = Result<Vec<Page>>> + Send;

    /// Saves pages.
    fn save_pages(&self, pages: Vec<Page>) -> impl Future<Output = Result<()>> + Send;

    /// Reads runs.
    fn runs(&self, which: Runs, limit: usize) -> impl Future<Output = Result<Vec<Run>>> + Send;

    /// Saves a run.
    fn save_run(&self, run: Run) -> impl Future<Output = Result<()>> + Send;

    /// The documents of a type that were found under any of these roots, as [`crate::document::crawl_roots`] tells, each
    /// once and in any order. A document that the caller saved before is among them.
    fn rooted(
        &self,
        kind: &str,
        roots: &[String],
    ) -> impl Future<Output = Result<Vec<DocumentKey>>> + Send;

    /// Takes the link for `owner` from now until then, or keeps it for as long, if it is free now
    /// or the owner's already; whether it is now. An end at or before now gives it back.
    fn claim(
        &self,
        link: &str,
        owner: &str,
        from_until_ms: (u64, u64),
    ) -> impl Future<Output = Result<bool>> + Send;
}
