//! Documents in `MongoDB`, and their changes by its change streams.
//!
//! ```text
//! connect ──> Server ──┬── stream, event, split ──> watch
//!                      ├── read, page              (each at a cluster time obtained before)
//!                      ├── save, delete            (majority, journalled)
//!                      └── lease ──> checkpoints, requests   (in the state database)
//! ```
//!
//! The time of an event is its cluster time. Content is never older than its version: a read waits
//! for a cluster time that was obtained before it. Positions are kept by a [`Lease`]: one capture is
//! active, and others stand by.

mod connect;
mod event;
mod fault;
mod id;
mod json;
mod lease;
mod legible;
mod log;
mod logbook;
mod place;
mod portion;
mod read;
mod request;
mod split;
mod standing;
mod stream;
mod watch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use connect::Uninitiated;
pub use lease::Lease;
pub use request::Asked;
pub use standing::Standing;
pub use watch::MongoWatch;

use serde::{Deserialize, Serialize};

use super::{Reading, Source};
use crate::Result;
use crate::change::{DocumentKey, Position};
use crate::clock::Clock;
use crate::document::{Document, Fields};
use connect::Server;

/// Which stream is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// That of the database; it is invalidated when the database is dropped, and opened anew.
    #[default]
    Database,
    /// That of the whole cluster, filtered to the database; needs a permission on all databases.
    Cluster,
}

/// Where the content of an update comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// The document is looked up when the event is sent, and may be newer than the event.
    #[default]
    UpdateLookup,
    /// The image that the server kept; where it kept none, the document is read again.
    WhenAvailable,
    /// The image that the server kept; without one the stream stops and says so.
    Required,
}

/// How `MongoDB` is read.
#[derive(Clone)]
pub struct Settings {
    /// Connection string; its credentials are never shown.
    pub url: String,
    /// The database that is watched.
    pub database: String,
    /// The collections that are watched; empty: every one but the system's and our own.
    pub kinds: Vec<String>,
    /// Which stream is opened.
    pub scope: Scope,
    /// Where the content of an update comes from.
    pub images: Images,
    /// The database that holds positions and requests.
    pub state_database: String,
    /// How long a capture that no longer answers keeps others from taking over.
    pub lease: Duration,
}

impl Settings {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: database.into(),
            kinds: Vec::new(),
            scope: Scope::default(),
            images: Images::default(),
            state_database: "lockstep".to_owned(),
            lease: Duration::from_secs(15),
        }
    }

    /// Whether documents of this collection are ours to send.
    fn watches(&self, kind: &str) -> bool {
        if !self.kinds.is_empty() {
            return self.kinds.iter().any(|watched| watched == kind);
        }
        let ours = self.database == self.state_database && OUR_COLLECTIONS.contains(&kind);
        !ours && !TEMPORARY.iter().any(|prefix| kind.starts_with(prefix))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("database", &self.database)
            .field("kinds", &self.kinds)
            .field("scope", &self.scope)
            .field("images", &self.images)
            .field("state_database", &self.state_database)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// The collections of the state database.
const OUR_COLLECTIONS: [&str; 5] = [
    lease::POSITIONS,
    request::REQUESTS,
    logbook::PAGES,
    logbook::RUNS,
    logbook::CLAIMS,
];

/// Collections that are the server's own; `$out` fills a temporary one and renames it.
const TEMPORARY: [&str; 2] = ["system.", "tmp.agg_out."];

/// A database as a source. Clones share the connections.
#[derive(Debug, Clone)]
pub struct MongoSource {
    server: Arc<Server>,
}

impl MongoSource {
    /// Connects, and asks whether capture can work here.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] with the fix: a standalone server, wrong credentials, a missing
    /// permission, an unsupported version; [`crate::Error::Unavailable`] where nobody answers.
    pub async fn open(settings: Settings, clock: Clock) -> Result<Self> {
        let server = Arc::new(connect::connect(settings, clock).await?);
        Ok(Self { server })
    }

    /// Its hosts and its database, for people: nothing in it lets anybody in.
    pub fn name(&self) -> String {
        let Settings { database, .. } = &self.server.settings;
        format!("{}, database {database}", self.server.service)
    }

    /// The watched collections that are there, with or without documents.
    pub async fn collections(&self) -> Result<Vec<String>> {
        self.server.collections().await
    }

    /// How many documents each watched collection has, as the server's statistics say.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for kind in self.server.collections().await? {
            let count = self.server.count(&kind).await?;
            counts.insert(kind, count);
        }
        Ok(counts)
    }

    /// How long the position stays within the server's log if nothing moves it: from the log's first
    /// entry to the position. None where the log may not be read, as on a sharded cluster.
    pub async fn oplog_window(&self, position: &Position) -> Result<Option<Duration>> {
        let time = place::Place::read(position)?.time();
        Ok(self.server.oplog_start().await.map(|first| {
            Duration::from_secs(u64::from(time.seconds.saturating_sub(first.seconds)))
        }))
    }
}

/// What a capture will need, asked for without changing anything.
impl MongoSource {
    /// Whether the state database may be written.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] for a missing permission.
    pub async fn may_keep_state(&self) -> Result<()> {
        self.server.try_state().await
    }

    /// The server's clock, in milliseconds since 1970.
    pub async fn now_ms(&self) -> Result<u64> {
        self.server.clock_ms().await
    }

    /// How far the server's log reaches back from now; none where it may not be read.
    pub async fn log_reach(&self) -> Option<Duration> {
        let (first, now) = (
            self.server.oplog_start().await?,
            self.server.now().await.ok()?,
        );
        let seconds = now.seconds.saturating_sub(first.seconds);
        Some(Duration::from_secs(u64::from(seconds)))
    }
}

impl Source for MongoSource {
    type Watch = MongoWatch;

    async fn save(&self, documents: Vec<Document>) -> Result<()> {
        self.server.save(documents).await
    }

    async fn amend(&self, fields: Vec<Document>) -> Result<()> {
        self.server.amend(fields).await
    }

    async fn delete(&self, keys: Vec<DocumentKey>) -> Result<usize> {
        self.server.delete(keys).await
    }

    async fn read(&self, keys: Vec<DocumentKey>) -> Result<Reading<Vec<Option<Fields>>>> {
        let Reading {
            time,
            read_ms,
            found,
        } = self.server.read(&keys).await?;
        let found = found.into_iter().map(|it| it.map(|(fields, _)| fields));
        Ok(Reading {
            time,
            read_ms,
            found: found.collect(),
        })
    }

    async fn page(
        &self,
        kind: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Reading<Vec<Document>>> {
        self.server.page(kind, after, limit).await
    }

    fn watched(&self) -> Option<BTreeSet<String>> {
        let kinds = &self.server.settings.kinds;
        (!kinds.is_empty()).then(|| kinds.iter().cloned().collect())
    }

    async fn kinds(&self) -> Result<Vec<String>> {
        let mut filled = BTreeSet::new();
        for kind in self.server.collections().await? {
            if self.server.has_documents(&kind).await? {
                filled.insert(kind);
            }
        }
        Ok(filled.into_iter().collect())
    }

    async fn watch(&self, from: Option<Position>) -> Result<MongoWatch> {
        MongoWatch::open(self.server.clone(), from).await
    }
}
