use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::still::{Letters, Still, version};

fn still() -> Still {
    let mut still = Still::default();
    for (kind, id) in [
        ("posts", "b"),
        ("posts", "a"),
        ("articles", "c"),
        ("articles", "d"),
    ] {
        let text = format!("the text of {id} is long enough");
        still.store(&DocumentKey::text(kind, id), &json!({"content": text}));
    }
    still
}

async fn exported(still: Still, what: What) -> (Vec<(String, Value)>, Summary) {
    let index = Index {
        number: 1,
        store: Arc::new(still),
        embedder: Arc::new(Letters::new()),
        held: None,
    };
    let selection = Selection {
        what,
        ..Selection::default()
    };
    let wanted = Wanted::new(selection, None);
    let mut export = Export::new(&index, wanted, About::default());
    let mut written = String::new();
    while let Some(lines) = export.next().await.unwrap() {
        written.push_str(&String::from_utf8(lines).unwrap());
    }
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = format!("{}/{}", line["type"].as_str()?, line["entry_id"].as_str()?);
        Some((key, line))
    };
    let lines = written.lines().map(|text| line(text).unwrap()).collect();
    (lines, export.summary())
}

fn keys(lines: &[(String, Value)]) -> Vec<&str> {
    lines.iter().map(|(key, _)| key.as_str()).collect()
}

#[tokio::test]
async fn documents_come_in_the_order_of_their_keys() {
    let (lines, summary) = exported(still(), What::Documents).await;
    assert_eq!(
        keys(&lines),
        ["articles/c", "articles/d", "posts/a", "posts/b"]
    );
    let two = PerType {
        documents: 2,
        lines: 2,
    };
    let by_type = BTreeMap::from([("articles".to_owned(), two), ("posts".to_owned(), two)]);
    assert_eq!((summary.documents, summary.by_type), (4, by_type));
}

#[tokio::test]
async fn a_tombstone_and_what_is_below_a_floor_are_in_no_export() {
    for what in What::ALL {
        let mut still = still();
        let deleted = DocumentKey::text("posts", "a");
        still.manifests.get_mut(&deleted).unwrap().deleted = true;
        still
            .control
            .floors
            .insert("articles".to_owned(), version(5));
        let (lines, summary) = exported(still, what).await;
        assert!(!lines.is_empty() && keys(&lines).iter().all(|key| *key == "posts/b"));
        assert_eq!(summary.documents, 1, "{what:?}");
    }
}

#[tokio::test]
async fn a_point_that_no_manifest_names_is_in_no_export_and_a_vector_only_in_one() {
    let mut still = still();
    let (id, point) = still.points.iter().next().unwrap();
    let (named, mut orphan) = (*id, point.clone());
    orphan.id = PointId::new(&orphan.key, "nobody's", 0);
    orphan.content = "nobody's".to_owned();
    still.points.insert(orphan.id, orphan);
    let (lines, _) = exported(still, What::Vectors).await;
    let of = |line: &Value| line["chunk"].as_str().unwrap().to_owned();
    assert!(lines.iter().any(|(_, line)| of(line) == named.to_string()));
    assert!(lines.iter().all(|(_, line)| line["content"] != "nobody's"));
    assert!(lines.iter().all(|(_, line)| line["vector"].is_array()));
    let (lines, _) = exported(self::still(), What::Chunks).await;
    assert!(lines.iter().all(|(_, line)| line.get("vector").is_none()));
}

#[tokio::test]
async fn a_document_that_is_never_whole_ends_the_export() {
    let mut still = still();
    still.points.pop_first();
    let index = Index {
        number: 1,
        store: Arc::new(still),
        embedder: Arc::new(Letters::new()),
        held: None,
    };
    let selection = Selection {
        what: What::Chunks,
        ..Selection::default()
    };
    let mut export = Export::new(&index, Wanted::new(selection, None), About::default());
    let failed = loop {
        match export.next().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(
        matches!(failed, Err(Error::Unavailable { .. })),
        "{failed:?}"
    );
}

#[test]
fn an_export_says_of_its_time_what_holds_although_clocks_differ() {
    let settled = |committed_ms| {
        Some(Watermark {
            committed_ms,
            ..Watermark::default()
        })
    };
    assert_eq!(as_of_ms(None), None);
    assert_eq!(as_of_ms(settled(5)), Some(0));
    assert_eq!(as_of_ms(settled(60_000)), Some(50_000));
}
