//! The embedded store over the suite.

use std::path::Path;

use lockstep::Result;
use lockstep::database::Database;
use lockstep::feature::embed::Model;
use lockstep::vector::edge::{EdgeStore, SCHEMA};
use tempfile::TempDir;

use lockstep::vector::{VectorStore, Write};

use super::{DIMENSION, Subject, all_points, assert_same, at, key, nearest, point, write};

pub(crate) struct Edge {
    store: EdgeStore,
    folder: TempDir,
}

fn model() -> Model {
    Model {
        name: "test".to_owned(),
        digest: "00".repeat(32),
        dimension: DIMENSION,
        token_limit: 256,
    }
}

async fn try_open(folder: &Path, model: &Model) -> Result<EdgeStore> {
    let database = Database::open(&folder.join("lockstep.db"), &[SCHEMA])?;
    EdgeStore::open(&folder.join("vectors"), database, model).await
}

async fn open(folder: &Path) -> EdgeStore {
    try_open(folder, &model()).await.unwrap()
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

#[tokio::test]
async fn another_model_is_refused_and_both_are_named() {
    let subject = Edge::open().await;
    drop(subject.store);
    let longer = Model {
        name: "longer".to_owned(),
        dimension: DIMENSION + 1,
        ..model()
    };
    let other = Model {
        name: "other".to_owned(),
        digest: "ff".repeat(32),
        ..model()
    };
    for given in [longer, other] {
        let error = try_open(subject.folder.path(), &given).await.unwrap_err();
        let text = error.chain();
        assert!(text.contains("made with test (4 dimensions"), "{text}");
        assert!(text.contains(&given.name), "{text}");
        assert!(text.contains("--data"), "{text}");
    }
    open(subject.folder.path()).await;
}

#[tokio::test]
async fn a_damaged_or_missing_folder_is_named() {
    let subject = Edge::open().await;
    write(
        &subject,
        [Write::Upsert(vec![point(&key("a"), "one", at(1))])],
    )
    .await;
    drop(subject.store);
    let vectors = subject.folder.path().join("vectors");
    let segments = vectors.join("segments");
    let segment = segments.read_dir().unwrap().next().unwrap().unwrap().path();
    std::fs::write(segment.join("segment.json"), "{").unwrap();
    let damaged = try_open(subject.folder.path(), &model()).await.unwrap_err();
    std::fs::remove_dir_all(&vectors).unwrap();
    let missing = try_open(subject.folder.path(), &model()).await.unwrap_err();
    for error in [damaged, missing] {
        let text = error.chain();
        assert!(text.contains(&vectors.display().to_string()), "{text}");
        assert!(text.contains("--data"), "{text}");
    }
}

#[tokio::test]
async fn a_vector_of_another_dimension_is_refused_and_the_store_goes_on() {
    let subject = Edge::open().await;
    let good = point(&key("a"), "one", at(1));
    let mut wrong = point(&key("a"), "two", at(1));
    wrong.vector.pop();
    let upsert = Write::Upsert(vec![wrong]);
    assert!(subject.store().write(vec![upsert]).await.is_err());
    let mut question = nearest(0.0, 1);
    question.vector.pop();
    assert!(subject.store().nearest(question).await.is_err());
    write(&subject, [Write::Upsert(vec![good.clone()])]).await;
    assert_same(&all_points(&subject).await, &[good], "after a refusal");
}
