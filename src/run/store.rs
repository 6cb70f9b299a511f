//! The configured index: its editions, and the store of one.

use std::sync::Arc;

use super::embedder::{self, AnyEmbedder};
use super::patience::patiently;
use crate::Result;
use crate::change::{DocumentKey, PointId};
use crate::config::Config;
use crate::database::Database;
use crate::folder::Folder;
use crate::reindex::{
    Configured, Edition, Editions, Event, Index, Opening, Register, Searched, Standing,
};
use crate::vector::edge::{EdgeEditions, EdgeStore, Unreadable};
use crate::vector::qdrant::{QdrantEditions, QdrantStore};
use crate::vector::{Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};

/// One of the stores, chosen by the settings.
#[derive(Debug)]
pub enum AnyStore {
    /// In the data folder.
    Edge(Arc<EdgeStore>),
    /// A Qdrant server.
    Qdrant(Arc<QdrantStore>),
}

/// The editions of an index, kept where the settings say.
#[derive(Debug)]
pub enum AnyEditions {
    /// In the data folder.
    Edge(EdgeEditions<AnyEmbedder>),
    /// On a Qdrant server.
    Qdrant(QdrantEditions<AnyEmbedder>),
}

impl AnyEditions {
    /// The server's where the settings name one, otherwise the data folder's, whose database this is.
    pub(super) async fn open(
        config: &Config,
        folder: Option<(&Folder, Database)>,
        configured: Configured<AnyEmbedder>,
        unreadable: Unreadable,
    ) -> Result<Self> {
        let opening = config.clone();
        let opener = move |recipe| -> Opening<'static, AnyEmbedder> {
            let config = opening.clone();
            Box::pin(async move { embedder::of_recipe(&config, recipe).await })
        };
        if let Some((folder, database)) = folder.filter(|_| config.vector.url.is_empty()) {
            let vectors = folder.vectors();
            let opener = |recipe| -> Opening<'_, AnyEmbedder> { opener(recipe) };
            let editions =
                EdgeEditions::open(database, &vectors, configured, &opener, unreadable).await?;
            return Ok(Self::Edge(editions));
        }
        let editions = QdrantEditions::new(config.vector.settings(), configured, opener);
        patiently(config, || editions.start()).await?;
        Ok(Self::Qdrant(editions))
    }

    /// Whether documents of the types that are watched can be stored: what a worker asks before it takes any.
    pub(super) async fn may_store(&self, config: &Config) -> Result<()> {
        let Self::Qdrant(editions) = self else {
            return Ok(());
        };
        patiently(config, || editions.may_store(&config.source.collections)).await
    }
}

fn edge(index: Index<EdgeStore, AnyEmbedder>) -> Index<AnyStore, AnyEmbedder> {
    index.map(|store| Arc::new(AnyStore::Edge(store)), |embedder| embedder)
}

fn qdrant(index: Index<QdrantStore, AnyEmbedder>) -> Index<AnyStore, AnyEmbedder> {
    index.map(
        |store| Arc::new(AnyStore::Qdrant(store)),
        |embedder| embedder,
    )
}

impl Editions for AnyEditions {
    type Store = AnyStore;
    type Embedder = AnyEmbedder;

    async fn open(&self) -> Result<Standing<AnyStore, AnyEmbedder>> {
        Ok(match self {
            Self::Edge(editions) => editions.open().await?.map(edge),
            Self::Qdrant(editions) => editions.open().await?.map(qdrant),
        })
    }

    async fn searched(&self) -> Result<Searched<AnyStore, AnyEmbedder>> {
        Ok(match self {
            Self::Edge(editions) => editions.searched().await?.map(edge),
            Self::Qdrant(editions) => editions.searched().await?.map(qdrant),
        })
    }

    fn configured(&self) -> Edition {
        match self {
            Self::Edge(editions) => editions.configured(),
            Self::Qdrant(editions) => editions.configured(),
        }
    }

    async fn begin(&self) -> Result<bool> {
        match self {
            Self::Edge(editions) => editions.begin().await,
            Self::Qdrant(editions) => editions.begin().await,
        }
    }

    async fn change(&self, from: &Register, event: Event) -> Result<bool> {
        match self {
            Self::Edge(editions) => editions.change(from, event).await,
            Self::Qdrant(editions) => editions.change(from, event).await,
        }
    }

    async fn remove(&self, number: u32) -> Result<()> {
        match self {
            Self::Edge(editions) => editions.remove(number).await,
            Self::Qdrant(editions) => editions.remove(number).await,
        }
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
