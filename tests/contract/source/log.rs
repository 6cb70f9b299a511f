//! The change log.

use std::time::Duration;

use lockstep::Error;
use lockstep::capture::SnapshotPlan;
use lockstep::change::{DocumentKey, Operation, Version};
use lockstep::document::Document;
use lockstep::source::{Body, Checkpoint, Checkpoints, Source, Watch};

use super::{Subject, article, edits, fields, said};

async fn save<S: Subject>(subject: &S, id: &str, text: &str) {
    let documents = vec![article(id, text)];
    Source::save(subject.source(), documents).await.unwrap();
}

pub(crate) async fn every_edit_is_an_event_in_order<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let documents = vec![article("b", "1"), article("a", "1"), article("b", "2")];
    Source::save(subject.source(), documents).await.unwrap();
    let keys = vec![DocumentKey::text("articles", "a")];
    assert_eq!(subject.source().delete(keys).await.unwrap(), 1);
    let events = edits(&mut watch, 4).await;
    let heard: Vec<_> = events.iter().map(said).collect();
    let expected = [
        ("b", Operation::Insert, Some(fields("1"))),
        ("a", Operation::Insert, Some(fields("1"))),
        ("b", Operation::Replace, Some(fields("2"))),
        ("a", Operation::Delete, None),
    ];
    assert_eq!(heard, expected.map(|(id, op, f)| (id.to_owned(), op, f)));
    assert!(events.is_sorted_by(|a, b| a.time <= b.time));
}

pub(crate) async fn deleting_what_is_not_there_is_no_event<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let keys = vec![DocumentKey::text("articles", "none")];
    assert_eq!(subject.source().delete(keys).await.unwrap(), 0);
    save(&subject, "a", "1").await;
    assert_eq!(said(&edits(&mut watch, 1).await[0]).0, "a");
}

pub(crate) async fn giving_a_document_fields_is_an_update_of_all_of_it<S: Subject>() {
    let subject = S::open().await;
    save(&subject, "a", "1").await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let given = |id: &str| Document {
        key: DocumentKey::text("articles", id),
        fields: [("author".to_owned(), "Ada".into())].into_iter().collect(),
    };
    let batch = vec![given("none"), given("a")];
    subject.source().amend(batch).await.unwrap();
    let mut expected = fields("1");
    expected.insert("author".to_owned(), "Ada".into());
    let (id, operation, heard) = said(&edits(&mut watch, 1).await[0]);
    assert_eq!((id.as_str(), operation), ("a", Operation::Update));
    assert_eq!(heard, Some(expected));
}

pub(crate) async fn watching_from_a_position_continues_after_it<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    for id in ["a", "b", "c"] {
        save(&subject, id, "1").await;
    }
    let events = edits(&mut watch, 3).await;
    let from = Some(events[0].position.clone());
    let mut again = subject.source().watch(from).await.unwrap();
    assert_eq!(edits(&mut again, 2).await, events[1..]);
}

pub(crate) async fn watching_from_nowhere_starts_at_the_end<S: Subject>() {
    let subject = S::open().await;
    save(&subject, "before", "1").await;
    let mut watch = subject.source().watch(None).await.unwrap();
    save(&subject, "after", "1").await;
    assert_eq!(said(&edits(&mut watch, 1).await[0]).0, "after");
}

pub(crate) async fn here_is_what_was_handed_out<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    save(&subject, "a", "1").await;
    save(&subject, "b", "1").await;
    let event = edits(&mut watch, 1).await.remove(0);
    assert_eq!(watch.here(), (event.position, event.time));
    assert!(edits(&mut watch, 1).await[0].time > event.time);
}

pub(crate) async fn a_dropped_call_loses_no_event<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    for number in 0..20 {
        save(&subject, &number.to_string(), "1").await;
    }
    let mut heard = Vec::new();
    while heard.len() < 20 {
        // Dropped where it first waits, then asked again.
        let dropped = tokio::select! {
            biased;
            next = watch.next(3) => next.unwrap(),
            () = std::future::ready(()) => Vec::new(),
        };
        let next = if dropped.is_empty() {
            watch.next(3).await.unwrap()
        } else {
            dropped
        };
        heard.extend(next.iter().filter(|it| it.body != Body::Idle).map(said));
    }
    let ids: Vec<_> = heard.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

pub(crate) async fn a_waiting_watch_is_woken_by_a_save<S: Subject>() {
    let subject = S::open().await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let (events, ()) = tokio::join!(edits(&mut watch, 1), async {
        tokio::task::yield_now().await;
        save(&subject, "a", "1").await;
    });
    assert_eq!(said(&events[0]).0, "a");
}

pub(crate) async fn a_quiet_source_says_so<S: Subject>() {
    let subject = S::open().await;
    save(&subject, "a", "1").await;
    let mut watch = subject.source().watch(None).await.unwrap();
    let here = watch.here();
    let quiet = tokio::time::timeout(Duration::from_mins(1), watch.next(10));
    let event = quiet.await.unwrap().unwrap().remove(0);
    assert_eq!(event.body, Body::Idle);
    assert!(event.time >= here.1);
    assert_eq!(watch.here(), (event.position, event.time));
}

pub(crate) async fn positions_hold_after_reopening<S: Subject>() {
    let subject = S::open().await;
    let start = subject.source().watch(None).await.unwrap().here().0;
    save(&subject, "a", "1").await;
    let subject = subject.reopen().await;
    save(&subject, "b", "1").await;
    let mut watch = subject.source().watch(Some(start)).await.unwrap();
    let events = edits(&mut watch, 2).await;
    assert_eq!(
        (said(&events[0]).0, said(&events[1]).0),
        ("a".into(), "b".into())
    );
}

pub(crate) async fn lost_history_is_said_to_a_new_watch_and_to_an_open_one<S: Subject>() {
    let subject = S::open().await;
    let mut open = subject.source().watch(None).await.unwrap();
    let start = open.here().0;
    save(&subject, "a", "1").await;
    subject.lose_history().await;
    let new = subject.source().watch(Some(start)).await.err().unwrap();
    assert!(matches!(new, Error::HistoryLost { .. }), "{new}");
    let open = open.next(10).await.unwrap_err();
    assert!(matches!(open, Error::HistoryLost { .. }), "{open}");
    // From its end the source can be watched as before.
    let mut watch = subject.source().watch(None).await.unwrap();
    save(&subject, "b", "1").await;
    assert_eq!(said(&edits(&mut watch, 1).await[0]).0, "b");
}

pub(crate) async fn the_checkpoint_is_the_last_one_saved<S: Subject>() {
    let subject = S::open().await;
    assert_eq!(subject.source().load().await.unwrap(), None);
    let position = subject.source().watch(None).await.unwrap().here().0;
    let mut checkpoint = Checkpoint {
        epoch: 1,
        position,
        snapshot: SnapshotPlan::all(["articles".to_owned()], Version::NONE),
        kinds: ["articles".to_owned()].into(),
        watched: None,
        resets: 2,
    };
    let save = |checkpoint: &Checkpoint| Checkpoints::save(subject.source(), checkpoint.clone());
    save(&checkpoint).await.unwrap();
    checkpoint.snapshot = SnapshotPlan::default();
    checkpoint.epoch = 2;
    save(&checkpoint).await.unwrap();
    let subject = subject.reopen().await;
    assert_eq!(subject.source().load().await.unwrap(), Some(checkpoint));
}
