//! Somebody who asks for what is gone, all the time, and must not find it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use lockstep::change::Time;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::search::{self, Query, Standing};
use lockstep::vector::qdrant::QdrantStore;
use lockstep::vector::{Select, VectorStore as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::book::{Book, key};

/// Documents that are looked at before a search.
const LOOKED_AT: usize = 40;

/// Between two searches at most: the store is in this process, and has the workers to serve.
const PAUSE_MS: u64 = 100;

/// How much was asked.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) searches: u32,
    /// Of them, for a text of a document whose delete was settled.
    pub(super) deleted: u32,
    /// Passages of documents whose last write was settled.
    pub(super) checked: u32,
}

/// The searcher at work.
pub(super) struct Searcher {
    stop: watch::Sender<bool>,
    searching: JoinSet<Tally>,
}

impl Searcher {
    pub(super) fn start(
        store: &Arc<QdrantStore>,
        embedder: HashEmbedder,
        book: &Arc<Mutex<Book>>,
        random: Rng,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut searching = JoinSet::new();
        let (store, book) = (Arc::clone(store), Arc::clone(book));
        searching.spawn(async move {
            let mut eyes = Eyes {
                store,
                embedder,
                book,
                random,
                tally: Tally::default(),
            };
            while !*stopped.borrow() {
                Box::pin(eyes.look()).await;
                let pause = Duration::from_millis(eyes.random.u64(0..=PAUSE_MS));
                tokio::time::sleep(pause).await;
            }
            eyes.tally
        });
        Self { stop, searching }
    }

    pub(super) async fn stop(mut self) -> Tally {
        self.stop.send_replace(true);
        self.searching.join_next().await.unwrap().unwrap()
    }
}

struct Eyes {
    store: Arc<QdrantStore>,
    embedder: HashEmbedder,
    book: Arc<Mutex<Book>>,
    random: Rng,
    tally: Tally,
}

impl Eyes {
    /// Sees what is settled, then searches for something that is gone.
    async fn look(&mut self) {
        let latest = self.book.lock().unwrap().latest(LOOKED_AT * 8);
        let looked_at = self.random.choose_multiple(latest, LOOKED_AT);
        let settled = self.settled(&looked_at).await;
        let gone = {
            let book = self.book.lock().unwrap();
            let gone = looked_at
                .iter()
                .filter_map(|one| book.gone(*one, *settled.get(one)?));
            self.random.choice(gone.collect::<Vec<_>>())
        };
        let Some((text, is_deleted)) = gone else {
            return;
        };
        let query = Query {
            text,
            limit: 10,
            ..Query::default()
        };
        let standing = Standing::default();
        let answer = search::search(self.store.as_ref(), &self.embedder, &query, standing);
        let answer = Box::pin(answer).await;
        self.tally.searches += 1;
        self.tally.deleted += u32::from(is_deleted);
        let book = self.book.lock().unwrap();
        for hit in answer.unwrap().hits {
            for (document, settled) in &settled {
                if key(*document) == hit.key {
                    for passage in &hit.passages {
                        book.check(*document, *settled, &passage.content);
                        self.tally.checked += 1;
                    }
                }
            }
        }
    }

    /// Up to which time each of these documents is settled.
    async fn settled(&self, documents: &[usize]) -> HashMap<usize, Time> {
        let keys = documents.iter().map(|one| key(*one)).collect();
        // Floors first: one that is raised meanwhile is only not counted.
        let control = self.store.control().await.unwrap();
        let manifests = self.store.manifests(Select::Of(keys)).await.unwrap();
        let mut settled = HashMap::new();
        for document in documents {
            let key = key(*document);
            let floor = control.floors.get(&key.kind).map(|floor| floor.time);
            let manifest = manifests.iter().find(|manifest| manifest.key == key);
            let time = manifest
                .map(|manifest| manifest.stamp.version.time)
                .max(floor);
            settled.extend(time.map(|time| (*document, time)));
        }
        settled
    }
}
