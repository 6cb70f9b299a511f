use bson::{RawDocumentBuf, Timestamp, rawdoc};
use serde_json::json;

use super::*;

fn log(change: impl FnOnce(&mut Settings), is_sharded: bool) -> Log {
    let mut settings = Settings::new("mongodb://localhost", "twin");
    change(&mut settings);
    let kinds = ["articles", "posts"].map(str::to_owned).into();
    Log::new(settings, is_sharded, kinds, Place::after_time(at(1)))
}

fn plain() -> Log {
    log(|_| {}, false)
}

fn at(increment: u32) -> Time {
    Time {
        seconds: 7,
        increment,
    }
}

fn raw(operation: &str, increment: u32, token: &str, more: &RawDocumentBuf) -> RawDocumentBuf {
    let mut raw = rawdoc! {
        "_id": { "_data": token },
        "operationType": operation,
        "clusterTime": Timestamp { time: 7, increment },
        "ns": { "db": "twin", "coll": "articles" },
    };
    for field in more {
        let (name, value) = field.unwrap();
        raw.append(name, value);
    }
    raw
}

fn insert(increment: u32, token: &str) -> RawDocumentBuf {
    let more = rawdoc! { "documentKey": { "_id": token }, "fullDocument": { "_id": token } };
    raw("insert", increment, token, &more)
}

fn rename(from: &str, to: &str) -> RawDocumentBuf {
    rawdoc! {
        "_id": { "_data": "r" }, "operationType": "rename",
        "clusterTime": Timestamp { time: 7, increment: 2 },
        "ns": { "db": "twin", "coll": from }, "to": { "db": "twin", "coll": to },
    }
}

fn shapes(log: &mut Log) -> Vec<(Time, bool)> {
    let events = log.hand_out(usize::MAX);
    events.iter().map(|it| (it.time, it.complete)).collect()
}

fn bodies(log: &mut Log) -> Vec<Body> {
    let events = log.hand_out(usize::MAX);
    events.into_iter().map(|event| event.body).collect()
}

fn dropped(kind: &str) -> Body {
    let kind = kind.to_owned();
    Body::Dropped { kind }
}

fn replaced(kind: &str) -> Body {
    let kind = kind.to_owned();
    Body::Replaced { kind }
}

#[test]
fn an_event_is_complete_when_a_later_time_or_a_quiet_moment_follows() {
    let mut log = plain();
    for (increment, token) in [(2, "a"), (3, "b"), (3, "c")] {
        log.event(&insert(increment, token)).unwrap();
    }
    let expected = [(at(2), true), (at(3), false), (at(3), false)];
    assert_eq!(shapes(&mut log), expected);
    log.event(&insert(4, "d")).unwrap();
    let quiet = rawdoc! { "_data": "q" };
    log.nothing(Some(&quiet), Some(at(9)), 0).unwrap();
    assert_eq!(shapes(&mut log), [(at(4), true), (at(9), true)]);
}

#[test]
fn a_quiet_moment_never_takes_the_time_back() {
    let mut log = plain();
    log.event(&insert(5, "a")).unwrap();
    let quiet = rawdoc! { "_data": "q" };
    log.nothing(Some(&quiet), Some(at(4)), 0).unwrap();
    log.nothing(Some(&quiet), None, 0).unwrap();
    log.nothing(None, Some(at(9)), 0).unwrap();
    log.event(&insert(3, "b")).unwrap();
    let times: Vec<_> = shapes(&mut log).into_iter().map(|shape| shape.0).collect();
    assert_eq!(times, [at(5); 5]);
}

#[test]
fn a_repeated_event_is_taken_in_once() {
    let mut log = plain();
    for token in ["a", "a", "b"] {
        log.event(&insert(2, token)).unwrap();
    }
    assert_eq!(bodies(&mut log).len(), 2);
}

#[test]
fn a_rename_is_two_events_and_a_place_only_after_both() {
    let mut log = plain();
    let before = log.here().0;
    log.event(&rename("articles", "posts")).unwrap();
    let events = log.hand_out(1);
    assert_eq!(
        (&events[0].body, &events[0].position),
        (&dropped("articles"), &before)
    );
    assert_eq!(log.here().0, before);
    let events = log.hand_out(1);
    assert_eq!(events[0].body, replaced("posts"));
    assert_eq!(events[0].position, log.end().position());
}

#[test]
fn out_is_the_rename_of_a_temporary_collection_and_replaces_its_target() {
    let mut log = plain();
    log.event(&rename("tmp.agg_out.5", "posts")).unwrap();
    assert_eq!(bodies(&mut log), [replaced("posts")]);
    let mut log = self::log(|settings| settings.kinds = vec!["articles".into()], false);
    log.event(&rename("articles", "posts")).unwrap();
    assert_eq!(bodies(&mut log), [dropped("articles")]);
}

#[test]
fn a_dropped_database_drops_what_is_left_of_it() {
    let mut log = plain();
    log.event(&raw("drop", 2, "a", &rawdoc! {})).unwrap();
    log.event(&raw("dropDatabase", 3, "b", &rawdoc! {}))
        .unwrap();
    assert!(!log.was_invalidated());
    log.event(&raw("invalidate", 3, "c", &rawdoc! {})).unwrap();
    assert!(log.was_invalidated());
    assert_eq!(bodies(&mut log), [dropped("articles"), dropped("posts")]);
}

#[test]
fn on_shards_a_delete_is_read_again_and_may_be_none() {
    let gone = |token| {
        raw(
            "delete",
            2,
            token,
            &rawdoc! { "documentKey": { "_id": token } },
        )
    };
    let mut log = log(|_| {}, true);
    for token in ["moved", "gone"] {
        log.event(&gone(token)).unwrap();
    }
    let keys = ["moved", "gone"].map(|id| DocumentKey::text("articles", id));
    assert_eq!(log.unclear(), keys);
    let now = json!({"a": 1}).as_object().cloned();
    log.clear_up(vec![now.clone().map(|now| (now, 9)), None]);
    assert!(log.unclear().is_empty());
    let [moved, deleted] = keys;
    let edit = |key, operation, fields| Body::Edit {
        key,
        operation,
        fields,
    };
    let expected = [
        edit(moved, Operation::Update, now),
        edit(deleted, Operation::Delete, None),
    ];
    assert_eq!(bodies(&mut log), expected);
    let mut one_member = plain();
    one_member.event(&gone("gone")).unwrap();
    assert!(one_member.unclear().is_empty());
}

#[test]
fn where_the_server_keeps_images_a_missing_one_is_read_again() {
    let more = || rawdoc! { "documentKey": { "_id": "a" } };
    let mut kept = log(|it| it.images = Images::WhenAvailable, false);
    kept.event(&raw("update", 2, "a", &more())).unwrap();
    assert_eq!(kept.unclear().len(), 1);
    // With a lookup, none means deleted since.
    let mut looked_up = plain();
    looked_up.event(&raw("update", 2, "a", &more())).unwrap();
    assert!(looked_up.unclear().is_empty());
}

#[test]
fn what_was_read_again_counts_and_what_was_not_is_not_handed_out() {
    let large = || Some((serde_json::Map::new(), BATCH_BYTES));
    let mut log = log(|it| it.images = Images::WhenAvailable, false);
    let update = |increment, token| {
        let more = rawdoc! { "documentKey": { "_id": "a" } };
        raw("update", increment, token, &more)
    };
    for (increment, token) in [(2, "a"), (3, "b"), (4, "c"), (5, "d")] {
        log.event(&update(increment, token)).unwrap();
    }
    assert!(log.has_room(10));
    // As much of it as one read answers.
    assert_eq!(log.unclear().len(), 4);
    log.clear_up(vec![large(), large()]);
    assert!(!log.has_room(10));
    // Others are read when these are gone.
    assert!(log.unclear().is_empty());
    assert_eq!(log.hand_out(10).len(), 1);
    assert_eq!(log.hand_out(10).len(), 1);
    assert!(log.hand_out(10).is_empty());
    assert_eq!(log.unclear().len(), 2);
    log.clear_up(vec![None, large()]);
    assert_eq!(log.hand_out(10).len(), 1);
    assert_eq!(log.hand_out(10).len(), 1);
    assert!(log.is_empty() && log.has_room(0));
}

#[test]
fn a_batch_is_bounded_in_bytes_and_holds_at_least_one() {
    let mut log = plain();
    let text = "x".repeat(BATCH_BYTES / 2 - 1_000);
    let large = |increment: i32, text: &str| {
        let full = rawdoc! { "_id": increment, "text": text };
        let more = rawdoc! { "documentKey": { "_id": increment }, "fullDocument": full };
        raw(
            "insert",
            u32::try_from(increment).unwrap(),
            &increment.to_string(),
            &more,
        )
    };
    for increment in 2..5 {
        assert!(log.has_room(10) || increment == 4);
        log.event(&large(increment, &text)).unwrap();
    }
    assert!(!log.has_room(10));
    assert_eq!(log.hand_out(10).len(), 2);
    assert_eq!(log.hand_out(10).len(), 1);
    log.event(&large(5, &"x".repeat(BATCH_BYTES * 2))).unwrap();
    assert_eq!(log.hand_out(10).len(), 1);
    assert!(log.has_room(0));
}
