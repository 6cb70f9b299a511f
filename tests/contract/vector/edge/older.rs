//! Folders that older programs have left.

use lockstep::vector::{Point, Stamp, Write};
use rusqlite::Connection;

use super::super::{all_manifests, all_points, at, key, manifest, put_manifest, write};
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
