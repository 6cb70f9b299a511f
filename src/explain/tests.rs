use serde_json::json;

use super::*;
use crate::Error;
use crate::feature::types::Types;
use crate::still::{self, Letters, Still};

fn key(id: &str) -> DocumentKey {
    DocumentKey::text("posts", id)
}

fn in_order() -> Still {
    let mut still = Still::default();
    let fields = json!({"link": "https://example.org/a", "content": "one two"});
    still.store(&key("a"), &fields);
    still.store(&key("b"), &json!({"content": "one three"}));
    still
}

async fn explained(still: &Still, id: &str) -> Explanation {
    explain(&ports(still, &Letters::new()), &key(id))
        .await
        .unwrap()
}

fn ports<'a>(still: &'a Still, embedder: &'a Letters) -> Ports<'a, Still, Still, Still, Letters> {
    Ports {
        source: still,
        queue: still,
        store: still,
        embedder,
        prepare: &still::prepare,
        types: Types::seed(),
    }
}

#[tokio::test]
async fn a_document_in_order_is_told_with_its_points() {
    let found = explained(&in_order(), "a").await;
    let indexed = found.indexed.unwrap();
    assert_eq!(
        (indexed.chunks, indexed.stored, found.orphans),
        (2, 2, Some(0))
    );
    assert!(found.in_source && indexed.current && found.differences.is_empty());
    assert!(
        found.verdict.contains("is indexed at version"),
        "{}",
        found.verdict
    );
}

#[tokio::test]
async fn a_missing_point_is_told_and_only_the_newest_parked_change() {
    let mut still = in_order();
    still.points.remove(&PointId::new(&key("a"), "two", 0));
    let found = explained(&still, "a").await;
    assert_eq!(found.indexed.unwrap().stored, 1);
    assert!(
        found.verdict.contains("lockstep resync posts/a"),
        "{}",
        found.verdict
    );
    still.park(&key("b"), 9);
    still.park(&key("a"), 7);
    still.park(&key("a"), 6);
    let found = explained(&still, "a").await;
    assert_eq!(found.parked.unwrap().version, still::version(7));
    assert!(found.verdict.contains("poison"), "{}", found.verdict);
}

#[tokio::test]
async fn points_of_a_deleted_document_are_its_orphans_and_nobody_elses() {
    let mut still = in_order();
    still.documents.remove(&key("a"));
    still.manifests.get_mut(&key("a")).unwrap().deleted = true;
    let found = explained(&still, "a").await;
    assert_eq!(found.orphans, Some(2));
    assert!(
        found.verdict.contains("2 points of it wait"),
        "{}",
        found.verdict
    );
    assert_eq!(explained(&still, "b").await.orphans, Some(0));
}

#[tokio::test]
async fn a_document_is_found_by_type_and_id_by_link_and_by_id_wherever_it_is() {
    let mut still = in_order();
    still.manifests.remove(&key("a"));
    still.documents.remove(&key("b"));
    still.park(&key("c"), 1);
    let embedder = Letters::new();
    let ports = ports(&still, &embedder);
    for (text, id) in [
        ("posts/a", "a"),
        ("https://example.org/a#top", "a"),
        ("a", "a"),
        ("posts/b", "b"),
        (" b ", "b"),
        ("posts/c", "c"),
        ("c", "c"),
    ] {
        assert_eq!(find_key(&ports, text).await.unwrap(), key(id), "{text}");
    }
    for text in ["d", "posts/d", "https://example.org/d"] {
        let error = find_key(&ports, text).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{text}");
    }
}

#[tokio::test]
async fn ids_that_look_alike_are_listed_so_that_each_can_be_named() {
    let mut still = Still::default();
    let number = DocumentKey::from_json("posts", &json!(5)).unwrap();
    still.store(&key("5"), &json!({"content": "text"}));
    still.store(&number, &json!({"content": "number"}));
    let embedder = Letters::new();
    let ports = ports(&still, &embedder);
    for text in ["5", "posts/5"] {
        assert_eq!(find_keys(&ports, text).await.unwrap().len(), 2, "{text}");
        assert!(find_key(&ports, text).await.is_err(), "{text}");
    }
    for key in [key("5"), number] {
        let text = format!("posts/{}", key.id);
        assert_eq!(find_key(&ports, &text).await.unwrap(), key);
    }
}
