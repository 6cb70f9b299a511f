//! A Qdrant server over the suite: that of `LOCKSTEP_TEST_QDRANT_URL`, otherwise one of the tests' own
//! that speaks its protocol.

use lockstep::feature::embed::Model;
use lockstep::vector::qdrant::{QdrantStore, Settings};
use qdrant_client::Qdrant;
use tokio::runtime::Builder;
use uuid::Uuid;

use super::{DIMENSION, Subject, suite};
use crate::support::qdrant::Server;
use crate::support::services;

pub(crate) struct Served {
    store: QdrantStore,
    settings: Settings,
    /// What is removed at the end; nothing of a server that ends itself.
    _collections: Option<Collections>,
    _server: Option<Server>,
}

/// The collections of one test on a server that stays.
struct Collections(Settings);

impl Drop for Collections {
    fn drop(&mut self) {
        let settings = self.0.clone();
        // On a thread of its own, since a runtime cannot wait within another.
        let removing = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(remove(&settings));
        });
        removing.join().ok();
    }
}

async fn remove(settings: &Settings) {
    let client = Qdrant::from_url(&settings.url).skip_compatibility_check();
    let client = client.build().unwrap();
    let all = client.list_collections().await.unwrap().collections;
    for one in all
        .iter()
        .filter(|one| one.name.starts_with(&settings.name))
    {
        client.delete_collection(&one.name).await.unwrap();
    }
}

pub(crate) fn model() -> Model {
    Model {
        name: "test".to_owned(),
        digest: "00".repeat(32),
        dimension: DIMENSION,
        token_limit: 256,
    }
}

impl Subject for Served {
    type Store = QdrantStore;

    async fn open() -> Self {
        let (server, url) = if let Some(url) = services::url(services::QDRANT) {
            (None, url)
        } else {
            let server = Server::start().await;
            let url = server.url();
            (Some(server), url)
        };
        let settings = Settings {
            name: format!("test{}", Uuid::new_v4().simple()),
            ..Settings::new(url)
        };
        let store = QdrantStore::open(settings.clone(), &model(), 1).await;
        Self {
            store: store.unwrap(),
            _collections: server.is_none().then(|| Collections(settings.clone())),
            settings,
            _server: server,
        }
    }

    fn store(&self) -> &QdrantStore {
        &self.store
    }

    async fn reopen(self) -> Self {
        let store = QdrantStore::open(self.settings.clone(), &model(), 1).await;
        Self {
            store: store.unwrap(),
            ..self
        }
    }
}

suite!(Served);
