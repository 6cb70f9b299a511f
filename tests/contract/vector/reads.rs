//! Readings: selecting, searching, counting.

use lockstep::change::{DocumentKey, PointId};
use lockstep::vector::{
    Counts, Entry, Near, Nearest, Only, Point, Select, VectorStore, Write, only,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Subject, all_points, assert_same, at, fields, key, manifest, nearest, point, put_manifest,
    tombstone, unit, write,
};

pub(crate) async fn what_is_not_there_is_left_out<S: Subject>(subject: S) {
    let there = point(&key("a"), "one", at(1));
    let absent = point(&key("a"), "two", at(1));
    let manifest = manifest(&key("a"), at(1), &[&there]);
    write(&subject, [Write::Upsert(vec![there.clone()])]).await;
    put_manifest(&subject, manifest.clone()).await;
    let store = subject.store();
    let points = Select::Of(vec![absent.id, there.id]);
    assert_same(&store.points(points).await.unwrap(), &[there], "points");
    let manifests = Select::Of(vec![key("b"), key("a")]);
    assert_eq!(store.manifests(manifests).await.unwrap(), [manifest]);
    assert!(store.points(Select::Of(vec![])).await.unwrap().is_empty());
    let none = store.manifests(Select::Of(vec![])).await.unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn points_are_paged_in_the_order_of_their_ids<S: Subject>(subject: S) {
    let mut expected: Vec<_> = (0..25)
        .map(|number| point(&key("a"), &number.to_string(), at(1)))
        .collect();
    let lowest = Point {
        id: PointId(Uuid::nil()),
        ..point(&key("b"), "lowest", at(1))
    };
    let highest = Point {
        id: PointId(Uuid::max()),
        ..point(&key("b"), "highest", at(1))
    };
    expected.extend([lowest, highest]);
    write(&subject, [Write::Upsert(expected.clone())]).await;
    expected.sort_by_key(|point| point.id);
    let mut found = Vec::new();
    loop {
        let after = found.last().map(|point: &Point| point.id);
        let select = Select::After { after, limit: 10 };
        let page = subject.store().points(select).await.unwrap();
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_same(&found, &expected, "paged");
    // A place that holds nothing is a place all the same.
    let between = Uuid::from_u128(1);
    let select = Select::After {
        after: Some(PointId(between)),
        limit: 2,
    };
    let found = subject.store().points(select).await.unwrap();
    assert_same(&found, &expected[1..3], "after an unknown id");
}

pub(crate) async fn manifests_are_paged_by_type_then_id<S: Subject>(subject: S) {
    let keys = [("b", "a"), ("a", "b"), ("a", "B"), ("aa", "a"), ("a", "é")];
    let mut expected: Vec<_> = keys
        .iter()
        .map(|(kind, id)| DocumentKey::text(*kind, id))
        .collect();
    expected.push(DocumentKey::from_json("a", &json!(5)).unwrap());
    for key in &expected {
        put_manifest(&subject, manifest(key, at(1), &[])).await;
    }
    expected.sort();
    let mut found: Vec<DocumentKey> = Vec::new();
    loop {
        let after = found.last().cloned();
        let select = Select::After { after, limit: 2 };
        let page = subject.store().manifests(select).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|manifest| manifest.key));
    }
    assert_eq!(found, expected);
    let select = Select::After {
        after: Some(DocumentKey::text("a", "zzz")),
        limit: 1,
    };
    let found = subject.store().manifests(select).await.unwrap();
    assert_eq!(found[0].key.kind, "a", "an é comes after every z");
}

/// As a floor reads what it voids.
pub(crate) async fn a_type_that_is_not_stored_is_empty_from_its_beginning<S: Subject>(subject: S) {
    for kind in ["articles", "posts", "repositories"] {
        let after = Some(DocumentKey {
            kind: kind.to_owned(),
            id: String::new(),
        });
        let select = Select::After { after, limit: 7 };
        assert_eq!(subject.store().manifests(select).await.unwrap(), []);
    }
}

/// Keys as sources make them: most of a page shares its first letters, some of it very many.
pub(crate) async fn keys_that_begin_alike_are_paged_in_their_order<S: Subject>(subject: S) {
    let path = "https://example.org/one/rather/long/path/that/all/of/them/share";
    let ids = (0..40_u32).flat_map(|number| {
        [
            json!({"$oid": format!("65f0a1b2c3d4e5f6a7b8c9{:02x}", number * 5)}),
            json!({"$oid": format!("65f0a1{number:02x}c3d4e5f6a7b8c9d0")}),
            json!(format!("{path}/{number}")),
            json!(number),
        ]
    });
    let mut expected: Vec<_> = ids
        .map(|id| DocumentKey::from_json("posts", &id).unwrap())
        .collect();
    // Written in an order that is not theirs.
    expected.sort_by_key(DocumentKey::hash);
    let writes = expected.iter().map(|key| {
        let manifest = manifest(key, at(1), &[]);
        Write::Manifest(Box::new(manifest))
    });
    write(&subject, writes.collect::<Vec<_>>()).await;
    expected.sort();
    let mut found: Vec<DocumentKey> = Vec::new();
    loop {
        let after = found.last().cloned();
        let select = Select::After { after, limit: 7 };
        let page = subject.store().manifests(select).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 7);
        found.extend(page.into_iter().map(|manifest| manifest.key));
    }
    assert_eq!(found, expected);
}

pub(crate) async fn ids_that_look_alike_stay_apart<S: Subject>(subject: S) {
    let of = |kind: &str, id: Value| DocumentKey::from_json(kind, &id).unwrap();
    let keys = [
        of("posts", json!(5)),
        of("posts", json!("5")),
        of("articles", json!(5)),
        of("posts", json!({"$numberLong": "5"})),
        of("posts", json!("{\"$numberInt\":\"5\"}")),
    ];
    for key in &keys {
        let point = point(key, "same text", at(1));
        let manifest = manifest(key, at(1), &[&point]);
        let points = Write::Upsert(vec![point]);
        write(&subject, [points, Write::Manifest(Box::new(manifest))]).await;
    }
    for (gone, key) in (1..).zip(&keys) {
        let delete = [
            Write::Manifest(Box::new(tombstone(key, at(2)))),
            Write::Sweep {
                key: key.clone(),
                stamp: at(2).into(),
                keep: Vec::new(),
            },
        ];
        write(&subject, delete).await;
        let points = all_points(&subject).await;
        assert_eq!(points.len(), keys.len() - gone);
        assert!(points.iter().all(|point| point.key != *key));
        let counts = subject.store().counts().await.unwrap();
        assert_eq!(counts.tombstones, gone as u64);
    }
}

/// Points at 0, 10, ... degrees, whose types and authors alternate.
pub(super) async fn fan<S: Subject>(subject: &S) -> Vec<Point> {
    let authors = ["a", "b", "c"];
    let points: Vec<_> = (0_u8..18)
        .map(|step| {
            let kind = ["articles", "posts"][usize::from(step) % 2];
            let author = authors[usize::from(step) % 3];
            let document = DocumentKey::text(kind, &step.to_string());
            Point {
                metadata: fields(json!({"author_id": author, "nested": {"author_id": "b"}})),
                vector: unit(f32::from(step) * 10.0),
                ..point(&document, "text", at(1))
            }
        })
        .collect();
    write(subject, [Write::Upsert(points.clone())]).await;
    points
}

pub(super) async fn find<S: Subject>(subject: &S, question: Nearest) -> Vec<Near> {
    subject.store().nearest(question).await.unwrap()
}

pub(super) fn steps(found: &[Near]) -> Vec<String> {
    let step = |near: &Near| near.point.key.entry_id();
    found.iter().map(step).collect()
}

pub(crate) async fn the_nearest_come_first_with_their_cosine<S: Subject>(subject: S) {
    assert!(find(&subject, nearest(0.0, 5)).await.is_empty());
    let points = fan(&subject).await;
    let found = find(&subject, nearest(42.0, 4)).await;
    assert_eq!(steps(&found), ["4", "5", "3", "6"]);
    for (near, degrees) in found.iter().zip([2.0_f32, 8.0, 12.0, 18.0]) {
        assert!((near.score - degrees.to_radians().cos()).abs() < 1e-4);
    }
    let whole = Point {
        vector: Vec::new(),
        ..points[4].clone()
    };
    assert_eq!(found[0].point, whole, "everything but the vector");
    let found = find(&subject, nearest(170.0, 100)).await;
    assert_eq!(found.len(), points.len());
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    let worst = found.last().unwrap().score;
    assert!(
        (worst - 170.0_f32.to_radians().cos()).abs() < 1e-4,
        "below 0"
    );
    assert!(find(&subject, nearest(0.0, 0)).await.is_empty());
}

pub(crate) async fn the_nearest_are_narrowed_before_they_are_counted<S: Subject>(subject: S) {
    fan(&subject).await;
    let ask = async |kinds: &[&str], authors: &[&str]| {
        let authors = authors.iter().map(|id| only::author(id)).collect();
        let question = Nearest {
            only: Only::of_kinds(kinds.iter().copied()).and(authors),
            ..nearest(1.0, 3)
        };
        steps(&find(&subject, question).await)
    };
    assert_eq!(ask(&[], &[]).await, ["0", "1", "2"]);
    assert_eq!(ask(&["posts"], &[]).await, ["1", "3", "5"]);
    assert_eq!(ask(&[], &["b"]).await, ["1", "4", "7"]);
    assert_eq!(ask(&["articles"], &["b"]).await, ["4", "10", "16"]);
    assert_eq!(
        ask(&["posts", "articles"], &["b", "c"]).await,
        ["1", "2", "4"]
    );
    assert_eq!(ask(&["post"], &[]).await, [""; 0]);
    assert_eq!(ask(&[], &["B"]).await, [""; 0]);
}

pub(crate) async fn what_was_deleted_is_not_near<S: Subject>(subject: S) {
    let points = fan(&subject).await;
    let sweep = Write::Sweep {
        key: points[0].key.clone(),
        stamp: at(1).into(),
        keep: Vec::new(),
    };
    write(&subject, [sweep]).await;
    assert_eq!(steps(&find(&subject, nearest(0.0, 2)).await), ["1", "2"]);
    let subject = subject.reopen().await;
    assert_eq!(steps(&find(&subject, nearest(0.0, 2)).await), ["1", "2"]);
}

pub(crate) async fn what_was_raised_is_found_by_its_new_author<S: Subject>(subject: S) {
    let points = fan(&subject).await;
    let raise = Write::Raise {
        key: points[0].key.clone(),
        stamp: at(2).into(),
        metadata: fields(json!({"author_id": "new"})),
        points: vec![Entry {
            id: points[0].id,
            rank: 1,
        }],
    };
    write(&subject, [raise]).await;
    let by = |author: &str| Nearest {
        only: Only::default().and(vec![only::author(author)]),
        ..nearest(0.0, 1)
    };
    assert_eq!(steps(&find(&subject, by("new")).await), ["0"]);
    assert_eq!(steps(&find(&subject, by("a")).await), ["3"]);
    let moved = Point {
        stamp: at(2).into(),
        vector: unit(90.0),
        ..points[3].clone()
    };
    write(&subject, [Write::Upsert(vec![moved])]).await;
    assert_eq!(steps(&find(&subject, by("a")).await), ["6"]);
}

pub(crate) async fn documents_tombstones_and_points_are_counted<S: Subject>(subject: S) {
    let empty = subject.store().counts().await.unwrap();
    assert_eq!(empty, Counts::default());
    let points = fan(&subject).await;
    let named = manifest(&points[0].key, at(1), &[&points[0]]);
    put_manifest(&subject, named.clone()).await;
    put_manifest(&subject, manifest(&key("x"), at(1), &[])).await;
    put_manifest(&subject, tombstone(&key("y"), at(1))).await;
    write(&subject, [Write::Upsert(points)]).await;
    let counts = |documents, tombstones, points| Counts {
        documents,
        tombstones,
        points,
    };
    let found = subject.store().counts().await.unwrap();
    assert_eq!(found, counts(2, 1, 18));
    let sweep = Write::Sweep {
        key: named.key.clone(),
        stamp: at(2).into(),
        keep: Vec::new(),
    };
    let gone = Write::Manifest(Box::new(tombstone(&named.key, at(2))));
    write(&subject, [gone, sweep]).await;
    let subject = subject.reopen().await;
    let found = subject.store().counts().await.unwrap();
    assert_eq!(found, counts(1, 2, 17));
}
