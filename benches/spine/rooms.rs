//! The rooms in this process, as `lockstep up` puts them together, so that each can be timed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lockstep::capture;
use lockstep::change::DocumentKey;
use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::document::{Document, kind};
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{self, Limits};
use lockstep::feature::worker::{self, Counters};
use lockstep::folder::Folder;
use lockstep::queue::sqlite::SqliteQueue;
use lockstep::reindex::Alone;
use lockstep::search::{self, Answer, Query, Standing};
use lockstep::shutdown::{Roles, requested};
use lockstep::source::Source as _;
use lockstep::source::sqlite::SqliteSource;
use lockstep::vector::edge::{self, EdgeStore};
use lockstep::{Error, Result};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::timing::{Known, Timed};

const PARTITIONS: u32 = 4;
/// How long a stop waits.
const GRACE: Duration = Duration::from_secs(20);

/// Everything but the door.
pub(crate) struct Rooms<E: Embedder> {
    pub(crate) store: Arc<Timed<EdgeStore>>,
    pub(crate) embedder: Arc<Timed<E>>,
    source: Arc<SqliteSource>,
    counters: Arc<Counters>,
    roles: Roles,
    /// Nobody asks anything; dropped, capture would stop.
    _requests: mpsc::Sender<capture::Request>,
}

impl<E: Embedder> Rooms<E> {
    pub(crate) async fn open(data: &Path, embedder: E) -> Result<Self> {
        let folder = Folder::open(data)?;
        let (clock, database) = (Clock::system(), database(&folder)?);
        let source = Arc::new(SqliteSource::new(database.clone(), clock.clone()));
        let queue = SqliteQueue::open(database.clone(), PARTITIONS, clock.clone()).await?;
        let store = EdgeStore::open(&folder.vectors(), database, embedder.model()).await?;
        let (requests, asked) = mpsc::channel(1);
        let mut rooms = Self {
            store: Arc::new(Timed::new(store)),
            embedder: Arc::new(Timed::new(embedder)),
            source,
            counters: Arc::default(),
            roles: Roles::new(),
            _requests: requests,
        };
        rooms.start(Arc::new(queue), clock, asked);
        Ok(rooms)
    }

    fn start(
        &mut self,
        queue: Arc<SqliteQueue>,
        clock: Clock,
        asked: mpsc::Receiver<capture::Request>,
    ) {
        let (source, sent, time) = (self.source.clone(), queue.clone(), clock.clone());
        let stop = requested(self.roles.shutdown());
        self.roles.start("capture", async move {
            let ports = capture::Ports {
                source: source.as_ref(),
                checkpoints: source.as_ref(),
                queue: sent.as_ref(),
                clock: &time,
            };
            capture::run(ports, &capture::Settings::default(), asked, stop).await
        });
        let (store, embedder) = (self.store.clone(), self.embedder.clone());
        let counters = self.counters.clone();
        let stop = requested(self.roles.shutdown());
        self.roles.start("feature", async move {
            let ports = worker::Ports {
                queue: queue.as_ref(),
                editions: &Alone::new(store, embedder, prepare::FINGERPRINT),
                clock: &clock,
                counters: counters.as_ref(),
            };
            let settings = worker::Settings::default();
            worker::run(ports, &settings, |count| (0..count).collect(), stop).await
        });
    }

    pub(crate) async fn save(&self, documents: Vec<Document>) -> Result<()> {
        self.source.save(documents).await
    }

    /// Asks with a question whose vector is known already.
    pub(crate) async fn search(&self, question: &Known, text: &str) -> Result<Answer> {
        let query = Query {
            text: text.to_owned(),
            limit: 10,
            ..Query::default()
        };
        search::search(self.store.as_ref(), question, &query, Standing::default()).await
    }

    /// Waits until so many changes are stored.
    pub(crate) async fn stored(&self, changes: usize) -> Result<()> {
        while self.counters.stored.load(Ordering::Relaxed) < changes as u64
            || self.store.counts_now().await? < changes as u64
        {
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    pub(crate) fn embedded(&self) -> u64 {
        self.counters.embedded.load(Ordering::Relaxed)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.roles.stop(GRACE).await
    }
}

fn database(folder: &Folder) -> Result<Database> {
    let schemas = [SqliteSource::SCHEMA, SqliteQueue::SCHEMA, edge::SCHEMA];
    Database::open(&folder.database(), &schemas)
}

/// Every document of a folder that nobody has open, people aside.
pub(crate) async fn documents(data: &Path) -> Result<Vec<Document>> {
    let folder = Folder::open(data)?;
    crate::book::all(&SqliteSource::new(database(&folder)?, Clock::system())).await
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

/// Embeds in slices as large as those of the worker.
pub(crate) async fn embed_all(embedder: &impl Embedder, texts: Vec<String>) -> Result<()> {
    for slice in texts.chunks(256) {
        embedder.embed(slice.to_vec()).await?;
    }
    Ok(())
}

/// The same document under another `_id`.
pub(crate) fn copy_of(document: &Document, copy: usize) -> Document {
    let id = format!("{} copy {copy}", document.key.id);
    Document {
        key: DocumentKey::text(&document.key.kind, &id),
        fields: document.fields.clone(),
    }
}

/// A post of one chunk.
pub(crate) fn post(id: &str, text: &str) -> Result<Document> {
    let fields = serde_json::json!({
        "platform": "bench", "link": format!("https://example.org/{id}"),
        "content": {"Content": text}, "author_full_name": "Rust Authors",
    });
    match fields {
        Value::Object(fields) => Ok(Document {
            key: DocumentKey::text(kind::POSTS, id),
            fields,
        }),
        _ => Err(Error::malformed("a post", "it is no object")),
    }
}
