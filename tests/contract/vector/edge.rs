//! The embedded store over the suite.

use std::path::Path;

use lockstep::database::Database;
use lockstep::feature::embed::Model;
use lockstep::vector::edge::{EdgeStore, SCHEMA};
use tempfile::TempDir;

use super::{DIMENSION, Subject};

pub(crate) struct Edge {
    store: EdgeStore,
    folder: TempDir,
}

async fn open(folder: &Path) -> EdgeStore {
    let model = Model {
        name: "test".to_owned(),
        digest: "00".repeat(32),
        dimension: DIMENSION,
        token_limit: 256,
    };
    let database = Database::open(&folder.join("lockstep.db"), &[SCHEMA]).unwrap();
    let vectors = folder.join("vectors");
    EdgeStore::open(&vectors, database, &model).await.unwrap()
}

impl Subject for Edge {
    type Store = EdgeStore;

    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let store = open(folder.path()).await;
        Self { store, folder }
    }

    fn store(&self) -> &EdgeStore {
        &self.store
    }

    async fn reopen(self) -> Self {
        let Self { store, folder } = self;
        drop(store);
        let store = open(folder.path()).await;
        Self { store, folder }
    }
}

super::suite!(Edge);
