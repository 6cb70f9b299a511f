//! A queue full of changes, and a worker that empties it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lockstep::change::{Change, DocumentKey, Lane, Operation, Time, Version};
use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::document::Document;
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{self, Limits};
use lockstep::feature::worker::{self, Counters};
use lockstep::folder::Folder;
use lockstep::queue::sqlite::SqliteQueue;
use lockstep::queue::{Outgoing, Queue as _};
use lockstep::reindex::Alone;
use lockstep::source::sqlite::SqliteSource;
use lockstep::vector::edge::{self, EdgeStore};
use lockstep::{Error, Result};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

const PARTITIONS: u32 = 4;
/// Changes published at once.
const PUBLISHED: usize = 500;
/// Between two looks whether the queue is empty.
const LOOK: Duration = Duration::from_millis(2);

/// A data folder whose queue holds a change of each document, and nothing else does.
pub(crate) struct Backlog {
    data: TempDir,
    documents: usize,
}

/// What emptying the queue took.
pub(crate) struct Drained {
    pub(crate) seconds: f64,
    pub(crate) chunks: u64,
}

impl Backlog {
    pub(crate) async fn fill(documents: &[Document]) -> Result<Self> {
        let backlog = Self {
            data: temporary()?,
            documents: documents.len(),
        };
        let folder = Folder::open(backlog.data.path())?;
        let queue = SqliteQueue::open(database(&folder)?, PARTITIONS, Clock::system()).await?;
        for (slice, documents) in documents.chunks(PUBLISHED).enumerate() {
            let first = slice * PUBLISHED + 1;
            let changes = documents.iter().zip(first..).map(|(document, number)| {
                let version = Version::read(1, Time::from_sequence(number as u64));
                let (key, fields) = (document.key.clone(), document.fields.clone());
                let change = Change::new(key, version, Operation::Insert, Some(fields), 1);
                Outgoing::change(change, Lane::Live, PARTITIONS)
            });
            let changes: Vec<_> = changes.collect();
            queue.publish(&changes).await?.await?;
        }
        Ok(backlog)
    }

    pub(crate) fn path(&self) -> &Path {
        self.data.path()
    }

    /// From the start of a worker until everything is stored and settled.
    pub(crate) async fn drain<E: Embedder>(&self, embedder: &Arc<E>) -> Result<Drained> {
        drain(self.path(), embedder, self.documents, || {}).await
    }
}

/// The same of any folder; calls `look` now and then.
pub(crate) async fn drain<E: Embedder>(
    data: &Path,
    embedder: &Arc<E>,
    documents: usize,
    mut look: impl FnMut(),
) -> Result<Drained> {
    let (folder, clock, counters) = (Folder::open(data)?, Clock::system(), Counters::default());
    let database = database(&folder)?;
    let queue = SqliteQueue::open(database.clone(), PARTITIONS, clock.clone()).await?;
    let store = EdgeStore::open(&folder.vectors(), database, embedder.model()).await?;
    let editions = Alone::new(Arc::new(store), Arc::clone(embedder), prepare::FINGERPRINT);
    let ports = worker::Ports {
        queue: &queue,
        editions: &editions,
        clock: &clock,
        counters: &counters,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let settings = worker::Settings::default();
    let start = Instant::now();
    let working = worker::run(ports, &settings, |count| (0..count).collect(), async {
        // Dropped or sent, it means the same.
        drop(stopped.await);
    });
    let watching = async {
        while counters.stored.load(Ordering::Relaxed) < documents as u64
            || queue.depth().await?.live > 0
        {
            look();
            sleep(LOOK).await;
        }
        drop(stop);
        Ok::<_, Error>(start.elapsed().as_secs_f64())
    };
    let (seconds, ()) = tokio::try_join!(watching, working)?;
    Ok(Drained {
        seconds,
        chunks: counters.embedded.load(Ordering::Relaxed),
    })
}

fn database(folder: &Folder) -> Result<Database> {
    let schemas = [SqliteSource::SCHEMA, SqliteQueue::SCHEMA, edge::SCHEMA];
    Database::open(&folder.database(), &schemas)
}

pub(crate) fn temporary() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::unavailable("the bench", "make a folder"))
}

/// Every document so many times, each under an `_id` of its own.
pub(crate) fn copies(documents: &[Document], copies: usize) -> Vec<Document> {
    let copy = |copy: usize| {
        documents.iter().map(move |document| Document {
            key: DocumentKey::text(
                &document.key.kind,
                &format!("{} copy {copy}", document.key.id),
            ),
            fields: document.fields.clone(),
        })
    };
    (0..copies).flat_map(copy).collect()
}

/// Exactly the texts that a worker embeds for these documents.
pub(crate) fn texts(documents: &[Document], embedder: &impl Embedder) -> Result<Vec<String>> {
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let mut texts = Vec::new();
    for document in documents {
        let prepared = prepare::prepare(&document.key.kind, &document.fields, &limits, &count)?;
        texts.extend(prepared.chunks);
    }
    Ok(texts)
}

/// How many changes wait in this folder's queue.
pub(crate) async fn waiting(data: &Path) -> Result<usize> {
    let folder = Folder::open(data)?;
    let queue = SqliteQueue::open(database(&folder)?, PARTITIONS, Clock::system()).await?;
    Ok(usize::try_from(queue.depth().await?.live).unwrap_or(usize::MAX))
}
