//! Writes of points.

use lockstep::change::{PointId, Version};
use lockstep::document::Fields;
use lockstep::vector::{Entry, Point, VectorStore, Write};
use serde_json::json;
use uuid::Uuid;

use super::{
    Subject, all_manifests, all_points, assert_same, at, contents, fields, key, manifest, point,
    tombstone, unit, write,
};

fn raise(points: &[(&Point, i64)], to: u32, metadata: &Fields) -> Write {
    Write::Raise {
        key: key("a"),
        stamp: at(to).into(),
        metadata: metadata.clone(),
        points: points
            .iter()
            .map(|(point, rank)| Entry {
                id: point.id,
                rank: *rank,
            })
            .collect(),
    }
}

fn sweep(id: &str, version: Version, keep: &[&Point]) -> Write {
    Write::Sweep {
        key: key(id),
        stamp: version.into(),
        keep: keep.iter().map(|point| point.id).collect(),
    }
}

pub(crate) async fn a_point_comes_back_as_it_was_written<S: Subject>(subject: S) {
    let whole = Point {
        rank: i64::MIN,
        content: "fn main() {}\n\u{1F980}\u{0}".to_owned(),
        metadata: fields(json!({
            "id": 1, "type": "mine", "content": null, "version": [2], "rank": "r", "key": {"a": 1.5},
            "null": null, "list": [null, {"b": []}], "big": u64::MAX, "small": i64::MIN, "": "",
            "a.b": {"$oid": "65f0a1b2c3d4e5f6a7b8c9d0"}, "author_id": "é",
        })),
        vector: vec![0.5, -0.5, 0.5, -0.5],
        ..point(&key("a"), "x", at(u32::MAX))
    };
    let bare = Point {
        rank: i64::MAX,
        content: String::new(),
        metadata: Fields::new(),
        ..point(&key("b"), "y", Version::NONE)
    };
    write(&subject, [Write::Upsert(vec![whole.clone(), bare.clone()])]).await;
    let subject = subject.reopen().await;
    let mut expected = [whole, bare];
    expected.sort_by_key(|point| point.id);
    assert_same(&all_points(&subject).await, &expected, "as written");
}

pub(crate) async fn raising_gives_version_rank_and_metadata_and_nothing_else<S: Subject>(
    subject: S,
) {
    let (a, b) = (
        point(&key("a"), "one", at(1)),
        point(&key("a"), "two", at(1)),
    );
    write(&subject, [Write::Upsert(vec![a.clone(), b.clone()])]).await;
    let metadata = fields(json!({"link": "https://example.org", "content": "taken"}));
    write(&subject, [raise(&[(&a, -5), (&b, 7)], 2, &metadata)]).await;
    let mut expected = [(a, -5), (b, 7)].map(|(point, rank)| Point {
        stamp: at(2).into(),
        rank,
        metadata: metadata.clone(),
        ..point
    });
    expected.sort_by_key(|point| point.id);
    assert_same(&all_points(&subject).await, &expected, "raised");
}

pub(crate) async fn raising_makes_no_points<S: Subject>(subject: S) {
    let (there, absent) = (
        point(&key("a"), "one", at(1)),
        point(&key("a"), "two", at(1)),
    );
    write(&subject, [Write::Upsert(vec![there.clone()])]).await;
    let raise = raise(&[(&absent, 1), (&there, 2)], 2, &Fields::new());
    write(&subject, [raise]).await;
    let found = all_points(&subject).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].stamp), (there.id, at(2).into()));
}

pub(crate) async fn raising_leaves_points_of_other_keys<S: Subject>(subject: S) {
    let other = point(&key("b"), "one", at(1));
    write(&subject, [Write::Upsert(vec![other.clone()])]).await;
    write(&subject, [raise(&[(&other, 1)], 2, &Fields::new())]).await;
    assert_same(&all_points(&subject).await, &[other], "not raised");
}

pub(crate) async fn sweeping_spares_the_kept_the_newer_and_the_others<S: Subject>(subject: S) {
    let (a, b) = (key("a"), key("b"));
    let kept = point(&a, "kept", at(1));
    let points = vec![
        kept.clone(),
        point(&a, "older", at(1)),
        point(&a, "equal", at(2)),
        point(&a, "newer", at(3)),
        point(&a, "unversioned", Version::NONE),
        point(&b, "other", at(1)),
    ];
    write(&subject, [Write::Upsert(points)]).await;
    let unknown = point(&a, "unknown", at(1));
    write(&subject, [sweep("a", at(2), &[&kept, &unknown])]).await;
    assert_eq!(contents(&subject).await, ["kept", "newer", "other"]);
    write(&subject, [sweep("c", at(9), &[])]).await;
    write(&subject, [sweep("b", at(1), &[])]).await;
    assert_eq!(contents(&subject).await, ["kept", "newer"]);
    write(&subject, [sweep("a", Version::NONE, &[])]).await;
    assert_eq!(contents(&subject).await, ["kept", "newer"]);
}

pub(crate) async fn writes_of_one_call_take_effect_in_their_order<S: Subject>(subject: S) {
    let (before, after) = (
        point(&key("a"), "before", at(1)),
        point(&key("a"), "after", at(1)),
    );
    let boxed = |manifest| Write::Manifest(Box::new(manifest));
    let collect = |id: &str| Write::Collect {
        key: key(id),
        version: at(1),
    };
    let calls = [
        Write::Upsert(vec![before]),
        boxed(tombstone(&key("gone"), at(1))),
        collect("gone"),
        collect("stays"),
        sweep("a", at(1), &[]),
        boxed(tombstone(&key("stays"), at(1))),
        raise(&[(&after, 9)], 3, &Fields::new()),
        Write::Upsert(vec![after.clone()]),
        raise(&[(&after, 8)], 2, &Fields::new()),
    ];
    write(&subject, calls).await;
    let found = all_points(&subject).await;
    assert_eq!(found.len(), 1);
    let found = (found[0].id, found[0].rank, found[0].stamp.version);
    assert_eq!(found, (after.id, 8, at(2)));
    let manifests = all_manifests(&subject).await;
    assert_eq!(manifests, [tombstone(&key("stays"), at(1))]);
}

pub(crate) async fn a_plan_done_twice_is_a_plan_done_once<S: Subject>(subject: S) {
    let old = point(&key("a"), "old", at(1));
    let kept = point(&key("a"), "kept", at(1));
    write(&subject, [Write::Upsert(vec![old, kept.clone()])]).await;
    let new = point(&key("a"), "new", at(2));
    let manifest = manifest(&key("a"), at(2), &[&kept, &new]);
    let plan = [
        raise(&[(&kept, kept.rank)], 2, &manifest.metadata),
        Write::Upsert(vec![new.clone()]),
        Write::Manifest(Box::new(manifest.clone())),
        sweep("a", at(2), &[&kept, &new]),
    ];
    write(&subject, plan.clone()).await;
    let once = all_points(&subject).await;
    let subject = subject.reopen().await;
    write(&subject, plan).await;
    assert_same(&all_points(&subject).await, &once, "done twice");
    assert_eq!(once.len(), 2);
    assert_eq!(all_manifests(&subject).await, [manifest]);
}

pub(crate) async fn a_point_given_twice_in_one_write_is_stored_as_if_one_by_one<S: Subject>(
    subject: S,
) {
    let first = point(&key("a"), "one", at(1));
    let ranked = |rank, version| Point {
        rank,
        stamp: Version::into(version),
        ..first.clone()
    };
    let points = vec![ranked(1, at(1)), ranked(2, at(2)), ranked(3, at(1))];
    write(&subject, [Write::Upsert(points)]).await;
    assert_same(&all_points(&subject).await, &[ranked(2, at(2))], "newest");
}

pub(crate) async fn an_empty_call_does_nothing<S: Subject>(subject: S) {
    write(&subject, []).await;
    let writes = [
        Write::Upsert(Vec::new()),
        raise(&[], 9, &Fields::new()),
        sweep("a", at(9), &[]),
        Write::Acted(Uuid::nil()),
    ];
    write(&subject, writes).await;
    assert!(all_points(&subject).await.is_empty());
    assert!(all_manifests(&subject).await.is_empty());
}

pub(crate) async fn everything_written_is_there_after_reopening<S: Subject>(subject: S) {
    let mut subject = subject;
    let mut expected = Vec::new();
    for round in 1..=3 {
        let text = format!("round {round}");
        let point = Point {
            vector: unit(10.0),
            ..point(&key("a"), &text, at(round))
        };
        let manifest = manifest(&key("a"), at(round), &[&point]);
        expected.push(point.clone());
        let manifest_write = Write::Manifest(Box::new(manifest.clone()));
        write(&subject, [Write::Upsert(vec![point]), manifest_write]).await;
        subject = subject.reopen().await;
        expected.sort_by_key(|point| point.id);
        assert_same(&all_points(&subject).await, &expected, &text);
        assert_eq!(all_manifests(&subject).await, [manifest]);
    }
    write(&subject, [sweep("a", at(3), &[])]).await;
    let subject = subject.reopen().await;
    assert!(all_points(&subject).await.is_empty());
}

pub(crate) async fn of_concurrent_writers_the_newest_wins<S: Subject>(subject: S) {
    let store = subject.store();
    let writer = |number: u32| {
        let version = at(number * 7 % 16);
        let point = Point {
            id: PointId(Uuid::nil()),
            ..point(&key("a"), &version.to_string(), version)
        };
        let manifest = manifest(&key("a"), version, &[&point]);
        let writes = vec![
            Write::Upsert(vec![point]),
            Write::Manifest(Box::new(manifest)),
        ];
        store.write(writes)
    };
    for outcome in futures_util::future::join_all([1, 9, 3, 14, 6].map(writer)).await {
        outcome.unwrap();
    }
    // 7 x 9 modulo 16 is 15, the newest.
    let found = all_points(&subject).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].content, at(15).to_string());
    assert_eq!(all_manifests(&subject).await[0].stamp.version, at(15));
}
