//! Folders that older programs have left.

use std::fs;
use std::path::Path;

use lockstep::vector::lexical::of_question;
use lockstep::vector::{By, Nearest, Only, Point, Stamp, Write, only};
use qdrant_edge::{
    Distance, EdgeConfig, EdgeShard, EdgeVectorParamsBuilder, PointInsertOperations,
    PointOperations, PointStruct, ScrollRequest, UpdateOperation, Vectors, WithPayloadInterface,
    WithVector,
};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::super::reads::{find, steps};
use super::super::{
    all_manifests, all_points, assert_same, at, key, manifest, nearest, point, put_manifest, write,
};
use super::{Edge, Subject};

/// A new folder with what one of format 2 holds.
async fn format_2() -> Edge {
    let folder = Edge::open().await.close();
    let file = Connection::open(folder.path().join("lockstep.db")).unwrap();
    let rows = include_str!("../../../fixtures/vectors-format-2.sql");
    file.execute_batch(rows).unwrap();
    drop(file);
    Edge::on(folder).await
}

#[tokio::test]
async fn a_folder_of_format_2_is_read_as_the_first_revision_of_its_versions() {
    let subject = format_2().await;
    let stamps: Vec<_> = all_manifests(&subject)
        .await
        .iter()
        .map(|it| it.stamp)
        .collect();
    assert_eq!(stamps, [Stamp::from(at(2)), Stamp::from(at(3))]);
    let points = all_points(&subject).await;
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].stamp, Stamp::from(at(2)));
    assert_eq!(points[0].metadata.len(), 2, "{:?}", points[0].metadata);
}

#[tokio::test]
async fn a_folder_of_format_2_is_written_on() {
    let subject = format_2().await;
    let point = all_points(&subject).await.remove(0);
    let later = Stamp {
        digest: 7,
        ..at(2).into()
    };
    let raise = Write::Raise {
        key: key("a"),
        stamp: later,
        metadata: point.metadata.clone(),
        points: vec![lockstep::vector::Entry {
            id: point.id,
            rank: 5,
        }],
    };
    write(&subject, [raise]).await;
    put_manifest(&subject, manifest(&key("a"), later, &[&point])).await;
    let collect = Write::Collect {
        key: key("b"),
        version: at(3),
    };
    write(&subject, [collect]).await;
    let subject = subject.reopen().await;
    let found = all_manifests(&subject).await;
    assert_eq!(found, [manifest(&key("a"), later, &[&point])]);
    let raised = Point {
        stamp: later,
        rank: 5,
        ..point
    };
    assert_eq!(all_points(&subject).await, [raised]);
}

const TEXTS: [&str; 3] = ["A tide.", "A queue of messages.", "Nothing."];

/// A folder whose vectors have neither words nor labels, as a program of format 3 has left them.
async fn format_3() -> (TempDir, Vec<Point>) {
    let subject = Edge::open().await;
    for (text, id) in TEXTS.into_iter().zip(["a", "b", "c"]) {
        let point = point(&key(id), text, at(1));
        let manifest = manifest(&key(id), at(1), &[&point]);
        let manifest = Write::Manifest(Box::new(manifest));
        write(&subject, [Write::Upsert(vec![point]), manifest]).await;
    }
    let points = all_points(&subject).await;
    let folder = subject.close();
    strip(&folder.path().join("vectors"));
    (folder, points)
}

/// Makes a folder anew without what format 4 has added.
fn strip(vectors: &Path) {
    let whole = EdgeShard::load(vectors, None).unwrap();
    let (records, _) = whole
        .scroll(ScrollRequest {
            offset: None,
            limit: Some(100),
            filter: None,
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: WithVector::Selector(vec!["dense".to_owned()]),
            order_by: None,
        })
        .unwrap();
    drop(whole);
    fs::remove_dir_all(vectors).unwrap();
    fs::create_dir(vectors).unwrap();
    let dense = EdgeVectorParamsBuilder::new(super::DIMENSION, Distance::Cosine).build();
    let config = EdgeConfig::builder().vector("dense", dense).build();
    let bare = EdgeShard::new(vectors, config).unwrap();
    let points = records.into_iter().map(|record| {
        let mut payload = record.payload.unwrap().0;
        payload.shift_remove("labels").unwrap();
        let vectors = Vectors(record.vector.unwrap());
        PointStruct::new(record.id, vectors, Value::Object(payload)).into()
    });
    let upsert = PointInsertOperations::PointsList(points.collect());
    let upsert = PointOperations::UpsertPoints(upsert);
    bare.update(UpdateOperation::PointOperation(upsert))
        .unwrap();
}

/// That everything is there, and is found by words, meaning and labels.
async fn assert_whole(subject: &Edge, points: &[Point], when: &str) {
    assert_same(&all_points(subject).await, points, when);
    let by_words = Nearest {
        by: By::Words(of_question("queues and tides")),
        only: Only::default().and(vec![only::author("a")]),
        limit: 10,
    };
    let mut found = steps(&find(subject, by_words).await);
    found.sort();
    assert_eq!(found, ["a", "b"], "{when}");
    assert_eq!(find(subject, nearest(30.0, 10)).await.len(), 3, "{when}");
    let left = fs::read_dir(subject.folder.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.starts_with("vectors.")).collect();
    assert_eq!(left, [""; 0], "{when}");
}

#[tokio::test]
async fn a_folder_of_format_3_gets_its_words_from_what_is_stored() {
    let (folder, points) = format_3().await;
    let subject = Edge::on(folder).await;
    assert_whole(&subject, &points, "at its opening").await;
    assert_eq!(all_manifests(&subject).await.len(), 3);
    let again = subject.reopen().await;
    assert_whole(&again, &points, "after a crash").await;
    let last = point(&key("d"), "another tide", at(2));
    write(&again, [Write::Upsert(vec![last])]).await;
    assert_eq!(find(&again, nearest(30.0, 10)).await.len(), 4);
}

#[tokio::test]
async fn a_copy_that_was_cut_off_is_made_anew_or_comes_to_its_end() {
    let (folder, points) = format_3().await;
    let beside = |name: &str| folder.path().join(name);
    // While it was copied.
    fs::create_dir_all(beside("vectors.new").join("segments/half")).unwrap();
    let whole = Edge::on(folder).await;
    assert_whole(&whole, &points, "cut off while copying").await;
    let folder = whole.close();
    let beside = |name: &str| folder.path().join(name);
    // Between the two renames.
    fs::rename(beside("vectors"), beside("vectors.new")).unwrap();
    fs::create_dir_all(beside("vectors.old").join("segments/whole")).unwrap();
    let whole = Edge::on(folder).await;
    assert_whole(&whole, &points, "cut off between the renames").await;
    let folder = whole.close();
    // Before the old one was gone.
    fs::create_dir_all(folder.path().join("vectors.old/segments/whole")).unwrap();
    let whole = Edge::on(folder).await;
    assert_whole(&whole, &points, "cut off at the end").await;
}
