//! The configured vector store.

use crate::change::{DocumentKey, PointId};
use crate::database::Database;
use crate::feature::embed::Model;
use crate::folder::Folder;
use crate::vector::edge::{self, EdgeStore};
use crate::vector::{Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write};
use crate::{Error, Result};

/// One of the stores, chosen by the settings.
#[derive(Debug)]
pub enum AnyStore {
    /// In the data folder.
    Edge(EdgeStore),
}

impl AnyStore {
    /// Opens the one in the data folder, with a database of its own.
    pub(super) async fn open(folder: Option<&Folder>, model: &Model) -> Result<Self> {
        let Some(folder) = folder else {
            return Err(Error::Config {
                setting: "vector.url".into(),
                why: "it is not set, and the data folder is not ours".into(),
            });
        };
        let database = Database::open(&folder.database(), &[edge::SCHEMA])?;
        Self::within(folder, database, model).await
    }

    /// Opens the one in the data folder, beside whatever else its database holds.
    pub(super) async fn within(folder: &Folder, database: Database, model: &Model) -> Result<Self> {
        let store = EdgeStore::open(&folder.vectors(), database, model).await?;
        Ok(Self::Edge(store))
    }
}

impl VectorStore for AnyStore {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        match self {
            Self::Edge(store) => store.manifests(select).await,
        }
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        match self {
            Self::Edge(store) => store.points(select).await,
        }
    }

    async fn control(&self) -> Result<Control> {
        match self {
            Self::Edge(store) => store.control().await,
        }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        match self {
            Self::Edge(store) => store.write(writes).await,
        }
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        match self {
            Self::Edge(store) => store.nearest(question).await,
        }
    }

    async fn counts(&self) -> Result<Counts> {
        match self {
            Self::Edge(store) => store.counts().await,
        }
    }
}
