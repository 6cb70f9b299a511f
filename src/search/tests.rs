use serde_json::json;

use super::*;
use crate::change::{Lane, Place};
use crate::still::{Letters, Still, version};
use crate::vector::Watermark;

#[test]
fn an_answer_is_as_old_as_its_slowest_queue_and_undated_until_all_have_settled() {
    let mut control = Control::default();
    assert_eq!(as_of_ms(&control, 2), None);
    for (lane, committed_ms) in [(Lane::Live, 9), (Lane::Backfill, 5)] {
        assert_eq!(as_of_ms(&control, 2), None);
        let mark = Watermark {
            version: Version::NONE,
            committed_ms,
        };
        control
            .watermarks
            .insert(Place { partition: 0, lane }, mark);
    }
    assert_eq!(as_of_ms(&control, 2), Some(5));
}

fn query(text: &str, limit: usize) -> Query {
    Query {
        text: text.to_owned(),
        limit,
        ..Query::default()
    }
}

#[test]
fn an_empty_question_and_a_limit_of_none_are_refused() {
    assert!(check(&query(" \n", 5)).is_err());
    assert!(check(&query("why", 0)).is_err());
    assert!(check(&query("why", LIMIT_MAX + 1)).is_err());
    assert!(check(&query("why", LIMIT_MAX)).is_ok());
}

fn key(id: &str) -> DocumentKey {
    DocumentKey::text("posts", id)
}

async fn found(still: &Still, query: &Query) -> Vec<String> {
    let answer = search(still, &Letters::new(), query, Standing::default()).await;
    let hits = answer.unwrap().hits;
    hits.iter().map(|hit| hit.key.entry_id()).collect()
}

#[tokio::test]
async fn more_is_asked_for_until_there_are_enough_documents() {
    let mut still = Still::default();
    // One document crowds the first questions out: its chunks are all nearer than the others.
    let many: Vec<String> = (0..500)
        .map(|number| format!("b{}", "\u{1}".repeat(number)))
        .collect();
    still.store(&key("large"), &json!({"content": many.join(" ")}));
    still.store(&key("other"), &json!({"content": "zzz"}));
    let answer = found(&still, &query("b", 2)).await;
    assert_eq!(answer.len(), 2);
    assert_eq!(found(&still, &query("b", 1)).await.len(), 1);
}

#[tokio::test]
async fn a_deleted_document_and_a_dropped_type_are_not_found() {
    let mut still = Still::default();
    still.store(&key("a"), &json!({"content": "same"}));
    still.store(
        &DocumentKey::text("articles", "b"),
        &json!({"content": "same"}),
    );
    assert_eq!(found(&still, &query("same", 5)).await, ["b", "a"]);
    let posts = Query {
        kinds: vec!["posts".to_owned()],
        ..query("same", 5)
    };
    assert_eq!(found(&still, &posts).await, ["a"]);
    still.manifests.get_mut(&key("a")).unwrap().deleted = true;
    assert_eq!(found(&still, &query("same", 5)).await, ["b"]);
    still
        .control
        .floors
        .insert("articles".to_owned(), version(5));
    assert!(found(&still, &query("same", 5)).await.is_empty());
}

#[tokio::test]
async fn an_author_is_found_by_name_whoever_made_the_id() {
    let mut still = Still::default();
    let ours = json!({"content": "same", "author_id": author_id("Ada Lovelace"), "author_full_name": "Ada Lovelace"});
    let theirs = json!({"content": "same", "author_id": "77", "author_full_name": "Alan Turing"});
    still.store(&key("ours"), &ours);
    still.store(&key("theirs"), &theirs);
    for (author, expected) in [
        ("ada lovelace", "ours"),
        ("ALAN turing", "theirs"),
        ("77", "theirs"),
    ] {
        let by = Query {
            author: Some(author.to_owned()),
            ..query("same", 5)
        };
        assert_eq!(found(&still, &by).await, [expected], "{author}");
    }
}

#[tokio::test]
async fn a_question_over_the_limit_is_cut_and_says_so() {
    let mut still = Still::default();
    still.store(&key("a"), &json!({"content": "one"}));
    let long = query("one two three four five six seven eight nine", 5);
    let standing = Standing {
        places: 2,
        parked: 3,
    };
    let answer = search(&still, &Letters::new(), &long, standing)
        .await
        .unwrap();
    assert!(answer.note.unwrap().contains("first 6 words"));
    assert_eq!(
        (answer.as_of_ms, answer.parked, answer.hits.len()),
        (None, 3, 1)
    );
}
