use serde_json::json;

use super::*;
use crate::change::{Lane, Place};
use crate::document::author_id;
use crate::still::{Letters, Still, version};
use crate::vector::Watermark;

#[test]
fn an_answer_is_as_old_as_its_slowest_queue_and_undated_until_all_have_settled() {
    let mut control = Control::default();
    let as_of_ms = |control: &Control| control.settled(1).and_then(Watermark::as_of_ms);
    for (lane, sequence) in [(Lane::Live, 9), (Lane::Backfill, 5)] {
        assert_eq!(as_of_ms(&control), None);
        let mark = Watermark {
            version: version(sequence),
            committed_ms: sequence,
        };
        let partition = 0;
        control.watermarks.insert(Place { partition, lane }, mark);
        // A queue of a generation with more partitions stands still for ever.
        let partition = 3;
        control
            .watermarks
            .insert(Place { partition, lane }, Watermark::default());
    }
    assert_eq!(as_of_ms(&control), Some(5));
    let lane = Lane::Live;
    let unknown = Watermark {
        version: version(4),
        committed_ms: 0,
    };
    control
        .watermarks
        .insert(Place { partition: 0, lane }, unknown);
    assert_eq!(as_of_ms(&control), None);
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
    assert!(query(" \n", 5).check().is_err());
    assert!(query("why", 0).check().is_err());
    assert!(query("why", LIMIT_MAX + 1).check().is_err());
    assert!(query("why", LIMIT_MAX).check().is_ok());
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
    let query = |text: &str, limit| Query {
        mode: Mode::Dense,
        ..query(text, limit)
    };
    let posts = Query {
        kinds: vec!["posts".to_owned()],
        ..query("same", 5)
    };
    assert_eq!(found(&still, &query("same", 5)).await, ["b", "a"]);
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
async fn who_is_stored_is_found_by_the_id_and_by_the_name_at_once() {
    let mut still = Still::default();
    for (id, author_id, name) in [
        ("renamed", "7", "Ada King"),
        ("theirs", "77", "Ada Lovelace"),
        ("other", "8", "Alan Turing"),
    ] {
        let fields = json!({"content": "same", "author_id": author_id, "author_full_name": name});
        still.store(&key(id), &fields);
    }
    let by = Query {
        author: Some("Ada Lovelace".to_owned()),
        author_id: Some("7".to_owned()),
        ..query("same", 5)
    };
    let mut ids = found(&still, &by).await;
    ids.sort();
    assert_eq!(ids, ["renamed", "theirs"]);
    let nobody = Query {
        author: Some("Nobody".to_owned()),
        author_id: Some("9".to_owned()),
        ..by
    };
    let note = answered(&still, &nobody).await.note.unwrap();
    assert_eq!(note, "no document has the author `Nobody`");
}

#[tokio::test]
async fn a_question_over_the_limit_is_cut_and_says_so() {
    let mut still = Still::default();
    still.store(&key("a"), &json!({"content": "one"}));
    let long = query("one two three four five six seven eight nine", 5);
    let standing = Standing {
        partitions: 1,
        parked: Some(3),
    };
    let answer = search(&still, &Letters::new(), &long, standing)
        .await
        .unwrap();
    assert!(answer.note.unwrap().contains("first 6 words"));
    assert_eq!(
        (answer.as_of_ms, answer.parked, answer.hits.len()),
        (None, Some(3), 1)
    );
}

async fn answered(still: &Still, query: &Query) -> Answer {
    let answer = search(still, &Letters::new(), query, Standing::default()).await;
    answer.unwrap()
}

/// Three documents; the letters of "harbour" are near those of "b", its words are not.
fn shelf() -> Still {
    let mut still = Still::default();
    let documents = [
        (
            "a",
            json!({"content": "anchor chain", "platform": "web", "link": "https://example.org/one",
            "published_at": "2024-01-31"}),
        ),
        (
            "b",
            json!({"content": "harbours", "platform": "medium", "link": "https://example.org/two"}),
        ),
        (
            "c",
            json!({"content": "chain", "platform": "medium", "language": "en-GB"}),
        ),
    ];
    for (id, fields) in documents {
        still.store(&key(id), &fields);
    }
    still
}

#[tokio::test]
async fn a_word_is_found_whatever_its_meaning_is_taken_for() {
    let still = shelf();
    let words = Query {
        mode: Mode::Words,
        ..query("the harbour", 5)
    };
    let answer = answered(&still, &words).await;
    assert_eq!(
        (answer.hits.len(), answer.hits[0].key.entry_id()),
        (1, "b".to_owned())
    );
    assert!(answer.hits[0].passages[0].cosine.is_none());
    let both = Query {
        mode: Mode::Hybrid,
        ..query("chains", 5)
    };
    let answer = answered(&still, &both).await;
    assert_eq!(answer.mode, Mode::Hybrid);
    assert_eq!(answer.hits.len(), 3, "every document has some meaning");
    assert_eq!(
        answer.hits[2].key.entry_id(),
        "b",
        "and the one without the word comes last"
    );
    assert!(
        answer
            .hits
            .iter()
            .all(|hit| hit.passages[0].cosine.is_some() && hit.score < 1.0 / 30.0)
    );
}

#[tokio::test]
async fn a_search_is_narrowed_by_everything_that_documents_say() {
    let still = shelf();
    let found = async |change: &dyn Fn(&mut Query)| {
        let mut query = query("chain", 5);
        change(&mut query);
        let mut ids = found(&still, &query).await;
        ids.sort();
        ids.concat()
    };
    let one = |text: &str| vec![text.to_owned()];
    assert_eq!(found(&|query| query.platforms = one("Medium")).await, "bc");
    assert_eq!(found(&|query| query.languages = one("en")).await, "c");
    assert_eq!(
        found(&|query| query.link = Some("https://example.org/t".into())).await,
        "b"
    );
    assert_eq!(
        found(&|query| query.link = Some("https://example.org/".into())).await,
        "ab"
    );
    assert_eq!(
        found(&|query| query.since = Some("2024-01-31".into())).await,
        "a"
    );
    assert_eq!(
        found(&|query| query.until = Some("2024-01-30".into())).await,
        ""
    );
    assert_eq!(
        found(&|query| query.until = Some("2024-01-31".into())).await,
        "a"
    );
}

#[tokio::test]
async fn a_condition_that_no_document_meets_is_named() {
    let still = shelf();
    let note = async |change: &dyn Fn(&mut Query)| {
        let mut query = query("chain", 5);
        change(&mut query);
        answered(&still, &query).await.note
    };
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let nonsense = note(&|query| query.kinds = list(&["nonsense"]))
        .await
        .unwrap();
    assert_eq!(nonsense, "no document has the type `nonsense`");
    // Also where others were found beside it.
    let beside = note(&|query| query.kinds = list(&["posts", "nonsense"]))
        .await
        .unwrap();
    assert_eq!(beside, nonsense);
    let author = note(&|query| query.author = Some("Nobody".into()))
        .await
        .unwrap();
    assert_eq!(author, "no document has the author `Nobody`");
    let two = |query: &mut Query| {
        query.platforms = list(&["blog"]);
        query.since = Some("2030-01-01".into());
    };
    let both = note(&two).await.unwrap();
    assert_eq!(
        both,
        "no document has the platform `blog`, nor a date in that range"
    );
    // Each is met by some document, only not by one and the same.
    let apart = |query: &mut Query| {
        query.platforms = list(&["web"]);
        query.languages = list(&["en"]);
    };
    assert_eq!(note(&apart).await, None);
    assert_eq!(note(&|_| {}).await, None);
}

#[tokio::test]
async fn a_rare_origin_is_found_behind_all_that_is_near_and_nothing_is_claimed_of_what_was_not_looked_at()
 {
    let mut still = Still::default();
    // More passages than a question looks at, and all nearer.
    let near: Vec<String> = (0..20_100).map(|number| format!("{number:05}")).collect();
    let near = json!({"content": near.join(" "), "link": "https://common.example/a"});
    still.store(&key("near"), &near);
    let rare = json!({"content": "zzz", "link": "https://rare.example/a"});
    still.store(&key("rare"), &rare);
    let mut asked = Query {
        mode: Mode::Dense,
        link: Some("https://rare.example".to_owned()),
        ..query("00000", 5)
    };
    let answer = answered(&still, &asked).await;
    let ids: Vec<_> = answer.hits.iter().map(|hit| hit.key.entry_id()).collect();
    assert_eq!(ids, ["rare"]);
    let looked = "only the nearest 20000 passages were looked at; narrow the question";
    assert_eq!(answer.note.as_deref(), Some(looked));
    // It may be there, for all that was seen.
    asked.link = Some("https://rarer.example".to_owned());
    let answer = answered(&still, &asked).await;
    assert!(answer.hits.is_empty());
    assert_eq!(answer.note.as_deref(), Some(looked));
    // Here everything was.
    asked.link = Some("https://rarer.example/".to_owned());
    let answer = answered(&still, &asked).await;
    let nobody = "no document has a link like `https://rarer.example/`";
    assert_eq!(answer.note.as_deref(), Some(nobody));
}

#[tokio::test]
async fn a_passage_stands_among_its_neighbours_once() {
    let mut still = Still::default();
    still.store(
        &key("a"),
        &json!({"content": "one two three four five six seven"}),
    );
    let asked = Query {
        mode: Mode::Words,
        ..query("three", 1)
    };
    let answer = answered(&still, &asked).await;
    let passages = &answer.hits[0].passages;
    assert_eq!(passages.len(), 1);
    assert_eq!(
        (&*passages[0].content, &*passages[0].text),
        ("three", "two three four")
    );
    let asked = Query {
        text: "three five".into(),
        ..asked
    };
    let answer = answered(&still, &asked).await;
    let texts: Vec<_> = answer.hits[0]
        .passages
        .iter()
        .map(|one| &*one.text)
        .collect();
    assert_eq!(texts, ["two three four five six"]);
}

#[tokio::test]
async fn a_diverse_answer_begins_with_the_best_and_is_as_long() {
    let mut still = Still::default();
    for (id, content) in [("a", "tide"), ("b", "tide"), ("c", "tide"), ("d", "~~~~")] {
        still.store(&key(id), &json!({"content": content}));
    }
    let mut asked = Query {
        mode: Mode::Dense,
        ..query("tide", 2)
    };
    let plain = found(&still, &asked).await;
    assert!(!plain.contains(&"d".to_owned()), "{plain:?}");
    asked.diverse = true;
    let diverse = found(&still, &asked).await;
    assert_eq!((&diverse[0], diverse.len()), (&plain[0], 2));
}
