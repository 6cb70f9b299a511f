//! The rooms of the services mode: documents in MongoDB, changes in RabbitMQ.
//!
//! ```text
//! command ──reads──> MongoDB, RabbitMQ, index         read again ──asks──> the active capture
//! ```
//!
//! Capture and workers are other processes, or roles of this one that know nothing of the commands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::capture::{queue_settings, source_settings};
use super::control::is_carried;
use super::embedder::AnyEmbedder;
use super::patience::patiently;
use super::store::{AnyEditions, AnyStore};
use super::{REQUESTS_MAX, embedder};
use crate::capture::Request;
use crate::clock::Clock;
use crate::command::{About, Commands, Driving, Rooms};
use crate::config::Config;
use crate::database::Database;
use crate::feature::worker::Counters;
use crate::folder::Folder;
use crate::metrics::Metrics;
use crate::queue::rabbit::RabbitQueue;
use crate::shutdown::{Roles, requested};
use crate::source::mongo::MongoSource;
use crate::source::{Checkpoint, Checkpoints};
use crate::vector::edge::{self, Unreadable};
use crate::{Error, Result};

/// The backends of the services mode.
#[derive(Debug)]
pub(super) struct Services;

/// The position as capture saved it; only capture saves it.
#[derive(Debug)]
pub(super) struct Saved(MongoSource);

impl Checkpoints for Saved {
    async fn load(&self) -> Result<Option<Checkpoint>> {
        self.0.checkpoint().await
    }

    async fn save(&self, _: Checkpoint) -> Result<()> {
        Err(Error::Refused {
            service: "capture".into(),
            why: "its position is saved under its lease".into(),
            fix: "ask for `lockstep position reset`".into(),
        })
    }
}

impl Rooms for Services {
    type Source = MongoSource;
    type Checkpoints = Saved;
    type Queue = RabbitQueue;
    type Store = AnyStore;
    type Embedder = AnyEmbedder;
    type Editions = AnyEditions;

    const SHARED: bool = true;

    async fn count(source: &MongoSource) -> Result<BTreeMap<String, u64>> {
        source.counts().await
    }

    async fn is_carried(saved: &Saved) -> Result<()> {
        is_carried(&saved.0.standing().await?)
    }
}

/// Whether the settings name services; then they name both that are needed.
///
/// # Errors
/// [`Error::Config`] for one without the other.
pub(super) fn are_set(config: &Config) -> Result<bool> {
    let (source, queue) = (config.source.url.is_set(), config.queue.url.is_set());
    let missing = |setting: &str, other: &str| Error::Config {
        setting: setting.into(),
        why: format!("{other} is set, and only both together say where changes come from and go"),
    };
    match (source, queue) {
        (true, false) => Err(missing("queue.url", "source.url")),
        (false, true) => Err(missing("source.url", "queue.url")),
        (both, _) => Ok(both),
    }
}

/// The folder of an index that lies in it, held for this process; none where the index is a service.
pub(super) fn index_folder(config: &Config) -> Result<Option<Folder>> {
    if config.vector.url.is_empty() {
        return Folder::open(&config.data).map(Some);
    }
    Ok(None)
}

/// What a worker works with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) queue: Arc<RabbitQueue>,
    pub(super) editions: Arc<AnyEditions>,
    pub(super) embedder: Arc<AnyEmbedder>,
    /// The configured model's name.
    model: String,
    pub(super) counters: Arc<Counters>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
}

impl Parts {
    /// Opens them; the index in `folder` where the settings name no server for it.
    pub(super) async fn open(config: &Config, folder: Option<&Folder>) -> Result<Self> {
        let clock = Clock::system();
        let configured = embedder::configured(config).await?;
        let model = configured.edition.model.name.clone();
        let embedder = Arc::clone(&configured.embedder);
        let folder = folder.map(|folder| {
            // What is acknowledged to the broker has to be there after a power cut as well.
            let database = Database::open(&folder.database(), &[edge::SCHEMA])?.synced();
            Ok::<_, Error>((folder, database))
        });
        let folder = folder.transpose()?;
        let refuse = Unreadable::Refuse;
        let editions = AnyEditions::open(config, folder, configured, refuse).await?;
        let queue = patiently(config, || {
            RabbitQueue::open(queue_settings(config), clock.clone())
        });
        let counters = Arc::<Counters>::default();
        Ok(Self {
            queue: Arc::new(queue.await?),
            editions: Arc::new(editions),
            embedder,
            model,
            metrics: Arc::new(Metrics::new(Arc::clone(&counters))),
            counters,
            clock,
        })
    }

    /// What answers commands, with the role that passes requests on to the active capture.
    pub(super) async fn commands(
        &self,
        config: &Config,
        roles: &mut Roles,
        address: Option<String>,
    ) -> Result<Arc<Commands<Services>>> {
        let open = || MongoSource::open(source_settings(config), self.clock.clone());
        let source = patiently(config, open).await?;
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let (asking, stop) = (source.clone(), requested(roles.shutdown()));
        roles.start("asking", async move {
            tokio::select! {
                biased;
                () = stop => {}
                () = ask(&asking, asked) => {}
            }
            Ok(())
        });
        let temporary = Temporary::new(config);
        let clones = temporary.path();
        roles.keep(temporary);
        Ok(Arc::new(Commands {
            checkpoints: Arc::new(Saved(source.clone())),
            source: Arc::new(source),
            queue: Arc::clone(&self.queue),
            editions: Arc::clone(&self.editions),
            embedder: Arc::clone(&self.embedder),
            driving: Driving::default(),
            requests,
            clock: self.clock.clone(),
            types: Arc::clone(&config.types),
            crawling: config.crawling(clones),
            metrics: Arc::clone(&self.metrics),
            counters: Arc::clone(&self.counters),
            about: About {
                data: config.data.clone(),
                address,
                model: self.model.clone(),
            },
        }))
    }
}

/// Where clones are put, of this process alone; removed when it is dropped.
///
/// It lies in the data folder: what is kept of a clone is moved there and back, which works within one file
/// system alone. Not in its `tmp`, which another process that has the folder empties.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// Its name; it is made when something is put there.
    pub(super) fn new(config: &Config) -> Self {
        let name = format!("{}{}", Folder::TEMPORARY_OF_ONE, Uuid::new_v4().simple());
        Self(config.data.join(name))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Mostly nothing was put there.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Passes requests on, each as soon as it comes, until nobody can ask any more.
async fn ask(source: &MongoSource, mut requests: mpsc::Receiver<Request>) {
    let mut asking = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(request) = requests.recv() => asking.push(pass(source, request)),
            Some(()) = asking.next() => {}
            else => return std::future::pending().await,
        }
    }
}

async fn pass(source: &MongoSource, request: Request) {
    let asked = source.ask(&request.what).await;
    if let Err(error) = &asked {
        tracing::warn!(error = %error.chain(), "capture did not do what it was asked for");
    }
    // Whoever asked may have gone; it is done all the same.
    drop(request.done.send(asked));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_takes_the_folder_leaves_alone_what_another_clones_there() {
        let data = tempfile::tempdir().unwrap();
        let config = Config {
            data: data.path().to_owned(),
            ..Config::default()
        };
        let (ours, theirs) = (Temporary::new(&config), Temporary::new(&config));
        assert_ne!(ours.path(), theirs.path());
        std::fs::create_dir_all(ours.path().join("clone-a/git")).unwrap();
        // Also where it is the first to take it.
        let folder = Folder::open(data.path()).unwrap();
        assert!(ours.path().join("clone-a/git").exists());
        let gone = ours.path();
        drop(ours);
        assert!(!gone.exists());
        drop(folder);
    }
}
