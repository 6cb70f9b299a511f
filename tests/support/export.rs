//! What a data folder holds, without what two histories of the same documents may differ in.

use std::collections::BTreeMap;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use lockstep::change::{DocumentKey, PointId};
use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::document::Fields;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::feature::embed::{Embedder, Model};
use lockstep::feature::prepare;
use lockstep::folder::Folder;
use lockstep::queue::sqlite::SqliteQueue;
use lockstep::reindex::{Configured, Edition, Editions as _, Opening};
use lockstep::source::Source as _;
use lockstep::source::sqlite::SqliteSource;
use lockstep::vector::edge::{self, EdgeEditions, EdgeStore, Unreadable};
use lockstep::vector::{Point, Select, VectorStore as _};
use lockstep::{Error, Result};

const PAGE_SIZE: usize = 256;
const DIMENSION: usize = 384;

/// One document of the index: its text, its metadata and its points in their order.
type Indexed = (String, Fields, Vec<PointId>);

/// Source and index of a folder that no process has.
pub(crate) struct Export {
    documents: BTreeMap<DocumentKey, Fields>,
    index: BTreeMap<DocumentKey, Indexed>,
    points: BTreeMap<PointId, Point>,
}

/// The rooms of a data folder.
pub(crate) struct Rooms {
    pub(crate) source: SqliteSource,
    pub(crate) store: Arc<EdgeStore>,
    _folder: Folder,
}

/// A model that is known by name and embeds nothing.
struct Named(Model);

impl Embedder for Named {
    fn model(&self) -> &Model {
        &self.0
    }

    fn token_count(&self, _: &str) -> usize {
        unreachable!("nothing is prepared")
    }

    async fn embed(&self, _: Vec<String>) -> Result<Vec<Vec<f32>>> {
        unreachable!("nothing is embedded")
    }
}

impl Rooms {
    /// Opens the folder with the model of its vectors.
    pub(crate) async fn open(data: &Path, model: &Model) -> Result<Self> {
        let folder = Folder::open(data)?;
        let schemas = [SqliteSource::SCHEMA, SqliteQueue::SCHEMA, edge::SCHEMA];
        let database = Database::open(&folder.database(), &schemas)?;
        let configured = Configured {
            edition: Edition {
                number: 0,
                model: model.clone(),
                pipeline: prepare::FINGERPRINT.to_owned(),
                recipe: serde_json::Value::Null,
            },
            embedder: Arc::new(Named(model.clone())),
        };
        let none = |_: serde_json::Value| -> Opening<'_, Named> {
            Box::pin(ready(Err(Error::Stopped { part: "the test" })))
        };
        let (vectors, refuse) = (folder.vectors(), Unreadable::Refuse);
        let editions =
            EdgeEditions::open(database.clone(), &vectors, configured, &none, refuse).await?;
        let open = editions.open().await?;
        Ok(Self {
            source: SqliteSource::new(database, Clock::system()),
            store: open.current.store,
            _folder: folder,
        })
    }
}

/// The hash embedder's model, as the program runs it.
pub(crate) fn hash_model() -> Model {
    HashEmbedder::new(DIMENSION).model().clone()
}

impl Export {
    pub(crate) async fn of(data: &Path) -> Self {
        Self::of_model(data, &hash_model()).await
    }

    pub(crate) async fn of_model(data: &Path, model: &Model) -> Self {
        let rooms = Rooms::open(data, model).await.unwrap();
        Self {
            documents: documents(&rooms.source).await,
            index: index(&rooms.store).await,
            points: points(&rooms.store).await,
        }
    }

    /// The texts of all points.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.points.values().map(|point| point.content.as_str())
    }

    /// Fails at the first difference; versions and the values of ranks aside.
    pub(crate) fn assert_equal(&self, other: &Self) {
        assert_eq!(self.documents, other.documents);
        assert_eq!(self.index, other.index);
        let ids = |export: &Self| export.points.keys().copied().collect::<Vec<_>>();
        assert_eq!(ids(self), ids(other));
        for (one, two) in self.points.values().zip(other.points.values()) {
            assert_eq!(
                (&one.key, &one.content, &one.metadata),
                (&two.key, &two.content, &two.metadata)
            );
            assert_eq!(one.vector.len(), two.vector.len());
            let values = one.vector.iter().zip(&two.vector);
            let farthest = values.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(farthest < 1e-5, "{}: {farthest}", one.content);
        }
        let named: usize = self.index.values().map(|(_, _, points)| points.len()).sum();
        assert_eq!(named, self.points.len());
    }
}

async fn documents(source: &SqliteSource) -> BTreeMap<DocumentKey, Fields> {
    let mut documents = BTreeMap::new();
    for kind in source.kinds().await.unwrap() {
        let mut after = None;
        loop {
            let page = source.page(&kind, after, PAGE_SIZE).await.unwrap().found;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.clone());
            documents.extend(page.into_iter().map(|found| (found.key, found.fields)));
        }
    }
    documents
}

async fn index(store: &EdgeStore) -> BTreeMap<DocumentKey, Indexed> {
    let (mut index, mut after) = (BTreeMap::new(), None);
    loop {
        let limit = PAGE_SIZE;
        let page = store.manifests(Select::After { after, limit }).await;
        let page = page.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for manifest in page.into_iter().filter(|manifest| !manifest.deleted) {
            assert!(manifest.points.is_sorted_by_key(|entry| entry.rank));
            let points = manifest.points.iter().map(|entry| entry.id).collect();
            index.insert(manifest.key, (manifest.text, manifest.metadata, points));
        }
    }
    index
}

/// Every point of the index.
pub(crate) async fn points(store: &EdgeStore) -> BTreeMap<PointId, Point> {
    let (mut points, mut after) = (BTreeMap::new(), None);
    loop {
        let limit = PAGE_SIZE;
        let page = store.points(Select::After { after, limit }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        points.extend(page.into_iter().map(|point| (point.id, point)));
    }
    points
}
