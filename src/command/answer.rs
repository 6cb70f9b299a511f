//! The answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::Version;
use crate::queue::Parked;
use crate::telemetry::Counted;
use crate::{author, crawl, explain, search, verify};

use super::reindex::{Edition, Filling, Reindexed};
use super::{History, Linked, Services, Started};

/// The answer to a request. Its JSON is `{"<command>": {<answer>}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// What a crawl changed in the source.
    Crawl(crawl::Report),
    /// Where a list of links begins.
    LinksStart(Started),
    /// What became of one link of a list.
    CrawlLink(Linked),
    /// The list has ended.
    LinksEnd {},
    /// How the crawls went.
    CrawlList(History),
    /// What a search found.
    Search(search::Answer),
    /// What was deleted.
    Delete(Deleted),
    /// What is there and on its way.
    Status(Box<Status>),
    /// What was set aside.
    ParkedList(ParkedList),
    /// One message that was set aside.
    ParkedShow(Box<ParkedMessage>),
    /// What is tried again.
    ParkedRetry(Retried),
    /// How many were forgotten.
    ParkedDrop(Dropped),
    /// Where a document stands.
    Explain(Box<explain::Explanation>),
    /// Who is there.
    AuthorList(author::List),
    /// Who has another name.
    AuthorRename(author::Renamed),
    /// Who is gone.
    AuthorDelete(author::Deleted),
    /// Whether source and index agree.
    Verify(Box<verify::Report>),
    /// What was sent again.
    Resync(Resynced),
    /// What became of a new edition.
    Reindex(Box<Reindexed>),
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The documents, as `type/id`.
    pub documents: Vec<String>,
    /// Everything that was deleted is at this version or below, where nobody waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// What is there and on its way; counts of a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version that answers.
    pub version: String,
    /// The data folder.
    pub data: String,
    /// Where the running process answers; none when no process runs.
    pub address: Option<String>,
    /// The embedding model, or the configured backend where none is loaded.
    pub model: String,
    /// The edition of the index that is searched.
    #[serde(default)]
    pub index: Edition,
    /// The edition that is being filled.
    #[serde(default)]
    pub reindex: Option<Filling>,
    /// Documents of the source, by type.
    pub documents: BTreeMap<String, u64>,
    /// Documents that the index holds.
    pub indexed: u64,
    /// Stored vectors.
    pub points: u64,
    /// Remembered deletes.
    pub tombstones: u64,
    /// Changes on their way.
    pub pending: Pending,
    /// Seconds between the commit of the oldest change that is pending and now; 0 without any.
    pub lag_seconds: f64,
    /// Messages set aside.
    pub parked: u64,
    /// What this process has done since it started.
    pub counted: Counted,
    /// How the services stand; none where none is set.
    #[serde(default)]
    pub services: Option<Services>,
}

/// Changes on their way to the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Changes in the source's log that are not known to be settled.
    pub logged: u64,
    /// Whether there are more of them than were counted.
    pub logged_more: bool,
    /// Changes in the queue.
    pub queued: u64,
}

impl Pending {
    /// The best single figure: what stands in the queue stands in the log too, until the position
    /// is saved, so the two are not added.
    pub fn changes(&self) -> u64 {
        self.logged.max(self.queued)
    }
}

/// What was set aside.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParkedList {
    /// The messages, by id.
    pub messages: Vec<ParkedMessage>,
    /// Whether there are more than are listed.
    pub more: bool,
}

/// One message that was set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParkedMessage {
    /// The document as `type/id`; none for bytes that are no message.
    pub document: Option<String>,
    /// The message.
    #[serde(flatten)]
    pub message: Parked,
}

/// What is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Documents that were read again and sent.
    pub documents: u64,
    /// Messages that name no document or have no version, so that nothing can be read again.
    pub unreadable: u64,
}

/// How many messages were forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Their number.
    pub messages: u64,
}

/// What was sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resynced {
    /// Documents that were read again and sent; none where a whole type is.
    pub documents: Option<u64>,
}
