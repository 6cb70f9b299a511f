//! The configured vector store.

use super::capture::patiently;
use crate::Result;
use crate::change::{DocumentKey, PointId};
use crate::config::Config;
use crate::database::Database;
use crate::feature::embed::Model;
use crate::folder::Folder;
use crate::vector::edge::EdgeStore;
use crate::vector::qdrant::{Edition, QdrantStore};
use crate::vector::{Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};

/// One of the stores, chosen by the settings.
#[derive(Debug)]
pub enum AnyStore {
    /// In the data folder.
    Edge(EdgeStore),
    /// A Qdrant server.
    Qdrant(Box<QdrantStore>),
}

impl AnyStore {
    /// The server's where the settings name one, otherwise the data folder's, whose database this is.
    pub(super) async fn open(
        config: &Config,
        folder: Option<(&Folder, Database)>,
        model: &Model,
    ) -> Result<Self> {
        if let Some((folder, database)) = folder.filter(|_| config.vector.url.is_empty()) {
            let store = EdgeStore::open(&folder.vectors(), database, model).await?;
            return Ok(Self::Edge(store));
        }
        let open = || QdrantStore::open(config.vector.settings(), model, Edition::Current);
        let store = patiently(config, open).await?;
        Ok(Self::Qdrant(Box::new(store)))
    }
}

impl VectorStore for AnyStore {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        match self {
            Self::Edge(store) => store.manifests(select).await,
            Self::Qdrant(store) => store.manifests(select).await,
        }
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        match self {
            Self::Edge(store) => store.points(select).await,
            Self::Qdrant(store) => store.points(select).await,
        }
    }

    async fn control(&self) -> Result<Control> {
        match self {
            Self::Edge(store) => store.control().await,
            Self::Qdrant(store) => store.control().await,
        }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        match self {
            Self::Edge(store) => store.write(writes).await,
            Self::Qdrant(store) => store.write(writes).await,
        }
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        match self {
            Self::Edge(store) => store.nearest(question).await,
            Self::Qdrant(store) => store.nearest(question).await,
        }
    }

    async fn counts(&self) -> Result<Counts> {
        match self {
            Self::Edge(store) => store.counts().await,
            Self::Qdrant(store) => store.counts().await,
        }
    }
}
