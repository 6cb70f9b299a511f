//! Searches by words, and what narrows a search of either sort.

use lockstep::change::DocumentKey;
use lockstep::vector::lexical::{self, of_question, of_text};
use lockstep::vector::{By, Entry, Moment, Nearest, Only, Point, Write, only};
use serde_json::{Value, json};

use super::reads::{fan, find, steps};
use super::{Subject, at, fields, key, nearest, point, write};

const TEXTS: [&str; 5] = [
    "Tides follow the moon, and a queue follows its messages.",
    "A queue of messages, and another queue.",
    "Messages are read from a queue by whoever consumes them.",
    "Messages wait.",
    "Nothing of that sort stands here.",
];

/// One document for each text, in one type.
async fn library<S: Subject>(subject: &S) -> Vec<Point> {
    let points: Vec<_> = (0..)
        .zip(TEXTS)
        .map(|(number, text): (u32, _)| point(&key(&number.to_string()), text, at(1)))
        .collect();
    write(subject, [Write::Upsert(points.clone())]).await;
    points
}

fn asked(text: &str, limit: usize) -> Nearest {
    Nearest {
        by: By::Words(of_question(text)),
        only: Only::default(),
        limit,
    }
}

async fn found<S: Subject>(subject: &S, text: &str) -> Vec<String> {
    steps(&find(subject, asked(text, 10)).await)
}

pub(crate) async fn texts_are_found_by_their_words_the_rarer_the_nearer<S: Subject>(subject: S) {
    assert_eq!(found(&subject, "tide").await, [""; 0], "in an empty store");
    let points = library(&subject).await;
    // Only one has the rare word; of the others the one that says the common word twice is nearer.
    assert_eq!(
        found(&subject, "the tides and their queues").await,
        ["0", "1", "2"]
    );
    assert_eq!(found(&subject, "message").await.len(), 4);
    assert_eq!(found(&subject, "unheard").await, [""; 0]);
    assert_eq!(
        found(&subject, "the and of").await,
        [""; 0],
        "no words at all"
    );
    let best = find(&subject, asked("tide queue", 1)).await;
    let whole = Point {
        vector: Vec::new(),
        ..points[0].clone()
    };
    assert_eq!(best[0].point, whole, "everything but the vector");
    assert!(find(&subject, asked("tide", 0)).await.is_empty());
}

pub(crate) async fn every_store_gives_the_scores_of_bm25<S: Subject>(subject: S) {
    library(&subject).await;
    for text in [
        "tides",
        "a queue of messages",
        "messages wait for nothing",
        "moon moon tide",
    ] {
        let words = of_question(text);
        let scores = lexical::scores(&words, &TEXTS.map(of_text));
        let near = find(&subject, asked(text, 10)).await;
        assert_eq!(
            near.len(),
            scores.iter().filter(|score| **score > 0.0).count(),
            "{text}"
        );
        assert!(near.is_sorted_by(|a, b| a.score >= b.score));
        for near in near {
            let number: usize = near.point.key.entry_id().parse().unwrap();
            let difference = (near.score - scores[number]).abs();
            assert!(
                difference < 1e-4,
                "{text}: {} is not {}",
                near.score,
                scores[number]
            );
        }
    }
}

pub(crate) async fn words_are_narrowed_as_meanings_are<S: Subject>(subject: S) {
    // All eighteen have the same text.
    fan(&subject).await;
    let ask = async |kinds: &[&str], authors: &[&str], limit| {
        let authors = authors.iter().map(|id| only::author(id)).collect();
        let only = Only::of_kinds(kinds.iter().copied()).and(authors);
        let question = Nearest {
            only,
            ..asked("texts", limit)
        };
        let near = find(&subject, question).await;
        assert!(
            near.iter()
                .all(|near| kinds.is_empty() || kinds.contains(&near.point.key.kind.as_str()))
        );
        near.len()
    };
    assert_eq!(ask(&[], &[], 100).await, 18);
    assert_eq!(ask(&["posts"], &[], 100).await, 9);
    assert_eq!(ask(&["posts"], &[], 4).await, 4);
    assert_eq!(ask(&[], &["b"], 100).await, 6);
    assert_eq!(ask(&["articles"], &["b", "c"], 100).await, 6);
    assert_eq!(ask(&["post"], &[], 100).await, 0);
    assert_eq!(ask(&[], &["B"], 100).await, 0);
}

pub(crate) async fn what_was_swept_or_replaced_has_no_words<S: Subject>(subject: S) {
    let points = library(&subject).await;
    let sweep = Write::Sweep {
        key: points[0].key.clone(),
        stamp: at(1).into(),
        keep: Vec::new(),
    };
    // The same id with another text, as no chunker makes it: what is stored last is found.
    let replaced = Point {
        content: "A lighthouse.".to_owned(),
        stamp: at(2).into(),
        ..points[1].clone()
    };
    let older = Point {
        content: "An anchor.".to_owned(),
        ..points[1].clone()
    };
    write(
        &subject,
        [
            sweep,
            Write::Upsert(vec![replaced]),
            Write::Upsert(vec![older]),
        ],
    )
    .await;
    let subject = subject.reopen().await;
    assert_eq!(found(&subject, "tides").await, [""; 0]);
    assert_eq!(found(&subject, "queue").await, ["2"]);
    assert_eq!(found(&subject, "lighthouse").await, ["1"]);
    assert_eq!(found(&subject, "anchor").await, [""; 0]);
}

pub(crate) async fn a_raised_point_keeps_its_words_and_is_found_by_its_new_labels<S: Subject>(
    subject: S,
) {
    let points = library(&subject).await;
    let raise = Write::Raise {
        key: points[0].key.clone(),
        stamp: at(2).into(),
        metadata: fields(json!({"author_id": "new"})),
        points: vec![Entry {
            id: points[0].id,
            rank: 7,
        }],
    };
    write(&subject, [raise]).await;
    let by = async |label: String| {
        let question = Nearest {
            only: Only::default().and(vec![label]),
            ..asked("tide", 10)
        };
        steps(&find(&subject, question).await)
    };
    assert_eq!(by(only::author("new")).await, ["0"]);
    assert_eq!(by(only::author("a")).await, [""; 0]);
    assert_eq!(by(only::platform("blog")).await, [""; 0]);
}

pub(crate) async fn words_and_labels_are_there_after_reopening<S: Subject>(subject: S) {
    library(&subject).await;
    let subject = subject.reopen().await;
    assert_eq!(found(&subject, "tides").await, ["0"]);
    let question = |label: String| Nearest {
        only: Only::default().and(vec![label]),
        ..asked("tides", 10)
    };
    assert_eq!(
        find(&subject, question(only::platform("BLOG"))).await.len(),
        1
    );
    assert_eq!(
        find(&subject, question(only::platform("web"))).await.len(),
        0
    );
}

pub(crate) async fn everything_that_narrows_does_so_in_the_store<S: Subject>(subject: S) {
    let documents = [
        (
            "a",
            json!({"author_full_name": "Ada Lovelace", "platform": "Medium", "language": "en-GB",
            "link": "https://medium.com/@ada/one", "published_at": "2024-05-31T22:00:00Z"}),
        ),
        (
            "b",
            json!({"owner_full_name": "ada  lovelace", "platform": "github",
            "link": "https://github.com/ada/engine", "modified_at": "2023-01-01"}),
        ),
        (
            "c",
            json!({"author_id": "c", "platform": "medium", "language": "de",
            "link": "https://medium.com/@carl/two", "published_at": 1_717_200_000_000_i64}),
        ),
        ("d", json!({"published_at": "soon"})),
    ];
    let points = documents.map(|(id, metadata): (&str, Value)| Point {
        metadata: fields(metadata),
        ..point(&DocumentKey::text("posts", id), "the same text", at(1))
    });
    write(&subject, [Write::Upsert(points.to_vec())]).await;
    let any = |label: String| Only::default().and(vec![label]);
    let seconds = |text: &str| Moment::of(text).map(|moment| moment.seconds);
    let dated = |since: &str, until: &str| Only {
        since: seconds(since),
        until: Moment::of(until).map(Moment::end),
        ..Only::default()
    };
    let cases = [
        (Only::default(), "abcd"),
        (any(only::name("ADA lovelace")), "ab"),
        (any(only::platform("medium")), "ac"),
        (any(only::language("en")), "a"),
        (any(only::language("EN-gb")), "a"),
        (any(only::link("https://medium.com/").unwrap()), "ac"),
        (any(only::link("https://medium.com/@carl/t").unwrap()), "c"),
        (
            Only::default().and(vec![only::platform("github"), only::language("de")]),
            "bc",
        ),
        (
            any(only::platform("medium")).and(vec![only::language("de")]),
            "c",
        ),
        (dated("2024-06-01", ""), "c"),
        (dated("2024-05-31T22:00:00Z", "2024-05-31"), "a"),
        (dated("", "2024-05-31"), "ab"),
        (dated("2025-01-01", ""), ""),
    ];
    for (only, expected) in cases {
        for question in [asked("text", 10), nearest(30.0, 10)] {
            let question = Nearest {
                only: only.clone(),
                ..question
            };
            let mut found = steps(&find(&subject, question).await);
            found.sort();
            assert_eq!(found.concat(), expected, "{only:?}");
        }
    }
}
