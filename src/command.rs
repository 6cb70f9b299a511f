//! What people ask for, and what they get: the same questions and answers in process and over HTTP.
//!
//! ```text
//! command line ──Request──┬─ in process ──────────────> Commands ──> rooms
//!                         └─ HTTP ──> running process ──> Commands    │
//! command line <─────────── Progress …, Response ─────────────────────┘
//! ```

mod answer;
mod ask;
mod commands;
mod crawling;
mod library;
mod parked;
mod reindex;
mod services;
mod settle;
mod status;

use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Result, crawl, search};

pub use answer::{
    Deleted, Dropped, ParkedList, ParkedMessage, Pending, Response, Resynced, Retried, Status,
};
pub use commands::{About, Commands, Rooms};
pub use crawling::{History, Linked, Started};
pub use library::{Held, Library};
pub use reindex::{Driving, Edition, Filling, Reindex, Reindexed};
pub use services::{Queues, Services, Stance};

/// One question. Its JSON is `{"<command>": {<arguments>}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Reads a page, a file, a folder or a repository into the source.
    Crawl {
        /// What, and whose; a path is one of the machine that crawls, absolute when it is sent to
        /// another process.
        #[serde(flatten)]
        what: crawl::Request,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Begins a list of links, or goes on with it where its last run was interrupted.
    LinksStart {
        /// The list's name: the path of its file.
        list: String,
        /// Whether to begin anew in any case.
        #[serde(default)]
        anew: bool,
    },
    /// Reads one link of a list into the source, without waiting for the index.
    CrawlLink {
        /// What, and whose.
        #[serde(flatten)]
        what: crawl::Request,
        /// Not where it was crawled at or after this time: milliseconds since 1970, UTC.
        since_ms: u64,
    },
    /// Ends a list of links: its next run begins anew.
    LinksEnd {
        /// The list's name.
        list: String,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Lists when each link was crawled, how that went, and when it is next.
    CrawlList {
        /// One link, of which every crawl is told whose end is kept; none for all links.
        #[serde(default)]
        link: Option<String>,
    },
    /// Finds text by meaning.
    Search(search::Query),
    /// Deletes a document from the source, and so from the index.
    Delete {
        /// Its link or id.
        target: String,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Counts what is there and what is on its way.
    Status {},
    /// Lists messages that were set aside.
    ParkedList {},
    /// Shows one message that was set aside.
    ParkedShow {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Reads the documents of parked messages again and sends them as changes.
    ParkedRetry {
        /// One message's id; none for all.
        #[serde(default)]
        id: Option<String>,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Forgets parked messages.
    ParkedDrop {
        /// One message's id; none for all.
        #[serde(default)]
        id: Option<String>,
    },
    /// Says where a document stands.
    Explain {
        /// Its link or id.
        target: String,
    },
    /// Lists the authors.
    AuthorList {},
    /// Gives an author another name.
    AuthorRename {
        /// A name or an id.
        author: String,
        /// The name from now on.
        name: String,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Deletes an author.
    AuthorDelete {
        /// A name or an id.
        author: String,
        /// Their documents too; without, an author who has some stays.
        #[serde(default)]
        documents: bool,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Compares the whole source with the whole index.
    Verify {
        /// Embeds every text again and compares the vectors too.
        #[serde(default)]
        vectors: bool,
        /// Sends the documents that differ again.
        #[serde(default)]
        repair: bool,
    },
    /// Reads documents again and sends them as changes.
    Resync {
        /// A link, an id, or a type.
        target: String,
        /// Whether to answer only when the index has caught up.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Fills a new edition of the index beside the old one, and switches.
    Reindex(Reindex),
}

fn yes() -> bool {
    true
}

impl Request {
    /// Whether the answer is of the index, which therefore should have caught up.
    pub fn reads_index(&self) -> bool {
        matches!(self, Self::Search(_) | Self::Verify { .. })
    }

    /// Whether something in the index is to change.
    pub fn changes_index(&self) -> bool {
        match self {
            Self::Crawl { .. }
            | Self::CrawlLink { .. }
            | Self::LinksEnd { .. }
            | Self::Delete { .. }
            | Self::ParkedRetry { .. }
            | Self::Resync { .. }
            | Self::AuthorRename { .. }
            | Self::AuthorDelete { .. }
            | Self::Verify { repair: true, .. }
            | Self::Reindex(Reindex::Run { .. } | Reindex::Drop) => true,
            Self::Search(_)
            | Self::LinksStart { .. }
            | Self::CrawlList { .. }
            | Self::Status {}
            | Self::ParkedList {}
            | Self::ParkedShow { .. }
            | Self::ParkedDrop { .. }
            | Self::Explain { .. }
            | Self::AuthorList {}
            | Self::Reindex(Reindex::DryRun)
            | Self::Verify { .. } => false,
        }
    }

    /// Whether it brings something in, so that there need be nothing yet.
    pub fn brings_in(&self) -> bool {
        matches!(
            self,
            Self::Crawl { .. } | Self::CrawlLink { .. } | Self::LinksStart { .. }
        )
    }

    /// The same, answered only when the index has caught up.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        if let Self::Crawl { wait, .. }
        | Self::LinksEnd { wait, .. }
        | Self::Delete { wait, .. }
        | Self::ParkedRetry { wait, .. }
        | Self::AuthorRename { wait, .. }
        | Self::AuthorDelete { wait, .. }
        | Self::Resync { wait, .. }
        | Self::Reindex(Reindex::Run { wait, .. }) = &mut self
        {
            *wait = true;
        }
        self
    }
}

/// How far a long command has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, as "reading".
    pub stage: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, where known.
    pub total: Option<u64>,
}

/// Tells whoever waits how far a command has come; only the latest word counts.
#[derive(Debug, Clone)]
pub struct Reporter(watch::Sender<Progress>);

impl Reporter {
    /// A reporter and its reader.
    pub fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(sender), receiver)
    }

    /// Says it.
    pub fn say(&self, stage: &str, done: u64, total: Option<u64>) {
        self.0.send_replace(Progress {
            stage: stage.to_owned(),
            done,
            total,
        });
    }
}

/// Answers requests: [`Commands`] in process, a client over HTTP.
///
/// Cancel safe as far as its parts are: what was stored stays stored, nothing is half done.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request, saying how far it has come.
    fn handle(
        &self,
        request: Request,
        report: Reporter,
    ) -> impl Future<Output = Result<Response>> + Send;
}
