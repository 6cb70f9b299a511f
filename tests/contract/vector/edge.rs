//! The embedded store over the suite, which reopens it as after the end of its process.

mod older;
mod rebuild;

use std::fs;
use std::path::Path;
use std::time::Duration;

use lockstep::database::Database;
use lockstep::feature::embed::Model;
use lockstep::vector::edge::{EdgeStore, SCHEMA, Upkeep};
use lockstep::vector::{By, VectorStore, Write};
use lockstep::{Recovery, Result};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::copy;

use super::{
    DIMENSION, Subject, all_manifests, all_points, assert_same, at, key, manifest, nearest, point,
    write,
};

/// Flushed only when its log is full, or when it is closed.
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
    let upkeep = Upkeep {
        log_age: Duration::MAX,
        ..Upkeep::default()
    };
    EdgeStore::open_with(&folder.join("vectors"), database, model, upkeep).await
}

async fn open(folder: &Path) -> EdgeStore {
    try_open(folder, &model()).await.unwrap()
}

impl Edge {
    /// What is in the files at this moment: all that the end of the process would leave.
    async fn files(&self) -> TempDir {
        // Whatever flush a write has brought about is over when the next one is answered.
        self.store.write(Vec::new()).await.unwrap();
        let copy = TempDir::new().unwrap();
        copy::folder(self.folder.path(), copy.path());
        copy
    }

    async fn on(folder: TempDir) -> Self {
        let store = open(folder.path()).await;
        Self { store, folder }
    }

    /// Ends the store as it should end.
    fn close(self) -> TempDir {
        let Self { store, folder } = self;
        drop(store);
        folder
    }
}

/// Effects in the log.
fn logged(folder: &Path) -> i64 {
    let file = Connection::open(folder.join("lockstep.db")).unwrap();
    file.query_row("SELECT count(*) FROM vector_log", [], |row| row.get(0))
        .unwrap()
}

impl Subject for Edge {
    type Store = EdgeStore;

    async fn open() -> Self {
        Self::on(TempDir::new().unwrap()).await
    }

    fn store(&self) -> &EdgeStore {
        &self.store
    }

    async fn reopen(self) -> Self {
        let copy = self.files().await;
        Self::on(copy).await
    }
}

super::suite!(Edge);

#[tokio::test]
async fn another_dimension_is_refused_and_another_model_of_the_same_is_not() {
    let subject = Edge::open().await;
    let folder = subject.close();
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
    let error = try_open(folder.path(), &longer).await.unwrap_err();
    let text = error.chain();
    assert!(text.contains("made with test (4 dimensions"), "{text}");
    assert!(text.contains("longer (5 dimensions"), "{text}");
    assert!(text.contains("`lockstep reindex`"), "{text}");
    drop(try_open(folder.path(), &other).await.unwrap());
    open(folder.path()).await;
}

#[tokio::test]
async fn a_damaged_or_missing_folder_is_named() {
    let subject = Edge::open().await;
    write(
        &subject,
        [Write::Upsert(vec![point(&key("a"), "one", at(1))])],
    )
    .await;
    let folder = subject.close();
    let vectors = folder.path().join("vectors");
    let segments = vectors.join("segments");
    let segment = segments.read_dir().unwrap().next().unwrap().unwrap().path();
    fs::write(segment.join("segment.json"), "{").unwrap();
    let damaged = try_open(folder.path(), &model()).await.unwrap_err();
    fs::remove_dir_all(&vectors).unwrap();
    let missing = try_open(folder.path(), &model()).await.unwrap_err();
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
    question.by = By::Meaning(vec![1.0]);
    assert!(subject.store().nearest(question).await.is_err());
    write(&subject, [Write::Upsert(vec![good.clone()])]).await;
    assert_same(&all_points(&subject).await, &[good], "after a refusal");
}

/// Points of one document, each of another version.
fn numbered(numbers: std::ops::Range<u32>) -> Vec<lockstep::vector::Point> {
    let mut points: Vec<_> = numbers
        .map(|number| point(&key("a"), &number.to_string(), at(number)))
        .collect();
    points.sort_by_key(|point| point.id);
    points
}

#[tokio::test]
async fn what_was_answered_and_not_flushed_is_there_after_a_crash() {
    let subject = Edge::open().await;
    let (a, b) = (
        point(&key("a"), "one", at(1)),
        point(&key("b"), "two", at(1)),
    );
    let names_a = manifest(&key("a"), at(1), &[&a]);
    let writes = [
        Write::Upsert(vec![a.clone(), b]),
        Write::Manifest(Box::new(names_a.clone())),
        Write::Sweep {
            key: key("b"),
            stamp: at(1).into(),
            keep: Vec::new(),
        },
    ];
    write(&subject, writes).await;
    assert_eq!(logged(subject.folder.path()), 3);
    let crashed = subject.reopen().await;
    assert_same(
        &all_points(&crashed).await,
        std::slice::from_ref(&a),
        "after a crash",
    );
    assert_eq!(all_manifests(&crashed).await, [names_a]);
    // Closed, it needs no log.
    let folder = crashed.close();
    assert_eq!(logged(folder.path()), 0);
    let closed = Edge::on(folder).await;
    assert_same(&all_points(&closed).await, &[a], "after closing");
}

#[tokio::test]
async fn a_log_that_the_engine_has_already_changes_nothing() {
    let subject = Edge::open().await;
    let points = numbered(0..40);
    write(&subject, [Write::Upsert(points.clone())]).await;
    let sweep = Write::Sweep {
        key: key("a"),
        stamp: at(9).into(),
        keep: Vec::new(),
    };
    write(&subject, [sweep]).await;
    let again = point(&key("a"), "3", at(50));
    write(&subject, [Write::Upsert(vec![again.clone()])]).await;
    let mut expected: Vec<_> = points
        .into_iter()
        .filter(|one| one.stamp.version > at(9))
        .collect();
    expected.push(again);
    expected.sort_by_key(|point| point.id);
    // The crash comes after the flush, and before the log is emptied.
    let before = subject.files().await;
    let flushed = subject.close();
    fs::remove_dir_all(before.path().join("vectors")).unwrap();
    fs::create_dir(before.path().join("vectors")).unwrap();
    copy::folder(
        &flushed.path().join("vectors"),
        &before.path().join("vectors"),
    );
    assert_eq!(logged(before.path()), 51);
    let crashed = Edge::on(before).await;
    assert_same(
        &all_points(&crashed).await,
        &expected,
        "replayed over itself",
    );
    let twice = crashed.reopen().await;
    assert_same(&all_points(&twice).await, &expected, "replayed twice");
}

#[tokio::test]
async fn a_full_log_is_emptied_by_a_flush() {
    let subject = Edge::open().await;
    let points = numbered(0..1500);
    write(&subject, [Write::Upsert(points.clone())]).await;
    let last = point(&key("b"), "last", at(1));
    write(&subject, [Write::Upsert(vec![last.clone()])]).await;
    assert_eq!(logged(subject.folder.path()), 1);
    let crashed = subject.reopen().await;
    let mut expected = [points, vec![last]].concat();
    expected.sort_by_key(|point| point.id);
    assert_same(&all_points(&crashed).await, &expected, "after a crash");
}

#[tokio::test]
async fn a_failed_flush_refuses_every_later_write_and_loses_none() {
    let subject = Edge::open().await;
    let vectors = subject.folder.path().join("vectors");
    let (segments, aside) = (vectors.join("segments"), vectors.join("aside"));
    let points = numbered(0..1500);
    write(&subject, [Write::Upsert(points[..1].to_vec())]).await;
    fs::rename(&segments, &aside).unwrap();
    // Answered; then the log is full, and the flush that follows has nowhere to go.
    write(&subject, [Write::Upsert(points[1..].to_vec())]).await;
    for _ in 0..2 {
        let upsert = Write::Upsert(vec![point(&key("b"), "refused", at(1))]);
        let error = subject.store().write(vec![upsert]).await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Stop);
        let text = error.chain();
        assert!(text.contains("could not write"), "{text}");
        assert!(
            text.contains("nothing that was confirmed is lost"),
            "{text}"
        );
    }
    assert_same(&all_points(&subject).await, &points, "still read");
    let copy = TempDir::new().unwrap();
    fs::rename(&aside, &segments).unwrap();
    copy::folder(subject.folder.path(), copy.path());
    let crashed = Edge::on(copy).await;
    assert_same(&all_points(&crashed).await, &points, "after starting again");
}

#[tokio::test]
async fn what_a_failed_transaction_left_in_memory_is_logged_before_anything_rests_on_it() {
    let subject = Edge::open().await;
    let one = point(&key("a"), "one", at(1));
    let database = Connection::open(subject.folder.path().join("lockstep.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON vector_manifest
                  BEGIN SELECT RAISE(ABORT, 'refused'); END";
    database.execute_batch(refuse).unwrap();
    let names_it = || Write::Manifest(Box::new(manifest(&key("a"), at(1), &[&one])));
    let writes = vec![Write::Upsert(vec![one.clone()]), names_it()];
    assert!(subject.store().write(writes).await.is_err());
    assert_eq!(logged(subject.folder.path()), 0);
    database.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(database);
    // The point is read back, found there, and not written again.
    assert_same(
        &all_points(&subject).await,
        std::slice::from_ref(&one),
        "read back",
    );
    write(&subject, [names_it()]).await;
    let crashed = subject.reopen().await;
    assert_same(&all_points(&crashed).await, &[one], "after a crash");
    assert_eq!(all_manifests(&crashed).await.len(), 1);
}
