//! What events look like when they are large, late, repeated, or of something that is gone.

use std::future::Future;

use bson::doc;
use futures_util::future::join_all;
use lockstep::Error;
use lockstep::clock::Clock;
use lockstep::source::mongo::{Images, MongoSource, MongoWatch, Settings};
use lockstep::source::{Body, Event, Source as _, Watch as _};

use super::{Reader, at, open, said};
use crate::support::wire::{
    DATABASE, Gate, Scripted, Setup, Step, TOO_LARGE, again, cut, delete, drop_collection,
    drop_database, events, fail, idle, insert, replace, slow, slow_find, split, step_down, time,
    transaction, update, update_of_what_is_gone,
};

#[tokio::test]
async fn every_edit_is_told_as_it_was() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source).await;
    server.play([events([insert(1), replace(1), update(1), delete(1)])]);
    let expected = [
        "insert 1 first",
        "replace 1 replaced",
        "update 1 edited",
        "delete 1 -",
    ];
    assert_eq!(reader.said(4).await, expected);
}

#[tokio::test]
async fn a_null_lookup_is_an_edit_without_fields_whose_delete_follows() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source).await;
    server.play([events([update_of_what_is_gone(1), delete(1)])]);
    assert_eq!(reader.said(2).await, ["update 1 -", "delete 1 -"]);
}

#[tokio::test]
async fn a_drop_is_told_in_its_place() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source).await;
    server.play([events([insert(1), drop_collection(), insert(2)])]);
    let heard = reader.events(3).await;
    let kind = "articles".to_owned();
    assert_eq!(heard[1].body, Body::Dropped { kind });
    assert_eq!(said(&heard[2]), "insert 2 first");
}

/// Fragments that come in one batch, in batches of their own, and over a fault between them.
#[tokio::test]
async fn fragments_become_one_event_and_no_position_lies_between_them() {
    let mut readings = Vec::new();
    for batch_max in [1, 2, 100] {
        readings.push(joined_over(batch_max, None));
        for batches in 1..4 {
            readings.push(joined_over(batch_max, Some((batches, cut([])))));
            readings.push(joined_over(batch_max, Some((batches, step_down([])))));
        }
    }
    join_all(readings).await;
}

/// A server that sends a fragment again has broken the event; it is read once more from its start.
#[tokio::test]
async fn fragments_that_do_not_follow_each_other_are_read_again() {
    let setup = Setup {
        batch_max: 1,
        ..Setup::default()
    };
    let (server, source) = open(setup).await;
    let mut reader = Reader::new(source).await;
    server.play([events([insert(1), split(update(1))]), events([]), again()]);
    assert_eq!(reader.said(2).await, ["insert 1 first", "update 1 edited"]);
}

/// A database that is dropped ends its stream; the next one starts after the end.
#[tokio::test]
async fn a_dropped_database_is_watched_on() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source).await;
    server.play([events([insert(1), drop_database()]), events([insert(2)])]);
    let heard = reader.events(3).await;
    let kind = "articles".to_owned();
    assert_eq!(heard[1].body, Body::Dropped { kind });
    assert_eq!(said(&heard[2]), "insert 2 first");
    let (opened, tokens) = (server.opened(), server.tokens());
    assert_eq!(opened.last().unwrap().start_after, Some(tokens[2].clone()));
}

/// By its time where nothing has been read, by the server's token everywhere else.
#[tokio::test]
async fn a_watch_starts_where_it_is_told() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source.clone()).await;
    let first = server.opened().pop().unwrap();
    assert!(
        first.start_at > Some(time(0)) && first.start_at < Some(time(1)),
        "{first:?}"
    );
    assert_eq!((first.start_after, first.resume_after), (None, None));
    server.commit([insert(1)]);
    let event = reader.event().await.unwrap();
    drop(source.watch(Some(event.position)).await.unwrap());
    let second = server.opened().pop().unwrap();
    assert_eq!(second.start_after, server.tokens().pop());
    assert_eq!((second.start_at, second.resume_after), (None, None));
}

/// With a fault after so many batches.
async fn joined_over(batch_max: usize, fault: Option<(usize, Step)>) {
    let setup = Setup {
        members: 2,
        batch_max,
        ..Setup::default()
    };
    let (server, source) = open(setup).await;
    let mut reader = Reader::new(source.clone()).await;
    let start = reader.position.clone();
    server.play([events([insert(1), split(update(2)), insert(3)])]);
    if let Some((batches, fault)) = fault {
        server.play((1..batches).map(|_| events([])));
        server.play([fault]);
    }
    let heard = reader.events(3).await;
    let words: Vec<_> = heard.iter().map(said).collect();
    assert_eq!(
        words,
        ["insert 1 first", "update 2 edited", "insert 3 first"]
    );
    let times: Vec<_> = heard.iter().map(|event| event.time).collect();
    assert_eq!(times, [1, 2, 3].map(|n| at(time(n))));

    // Every position handed out leads to all that came after it, whole.
    let positions = heard.iter().map(|event| event.position.clone());
    for (n, position) in [start].into_iter().chain(positions).enumerate().take(3) {
        let mut again = Reader::after(source.clone(), Some(position)).await;
        assert_eq!(again.said(3 - n).await, words[n..]);
    }
}

/// The watch is asked where it stands while only half of an event has come.
#[tokio::test]
async fn half_an_event_does_not_move_the_position() {
    let setup = Setup {
        batch_max: 1,
        ..Setup::default()
    };
    let (server, source) = open(setup).await;
    let gate = Gate::new();
    let mut watch = source.watch(None).await.unwrap();
    let start = watch.here();
    server.play([events([split(update(1))]), slow(&gate, [])]);
    quiet_until(&mut watch, gate.reached()).await;
    assert_eq!(watch.here().1, start.1);
    let mut again = Reader::after(source, Some(watch.here().0)).await;
    assert_eq!(again.said(1).await, ["update 1 edited"]);
    gate.open();
    let events = watch.next(10).await.unwrap();
    assert_eq!(said(&events[0]), "update 1 edited");
}

/// Reads nothing but silence until then, and leaves a call under way.
async fn quiet_until(watch: &mut MongoWatch, then: impl Future<Output = ()>) {
    let quiet = async {
        loop {
            let events = watch.next(1).await.unwrap();
            assert!(
                events.iter().all(|event| event.body == Body::Idle),
                "{events:?}"
            );
        }
    };
    tokio::select! {
        () = quiet => {}
        () = then => {}
    }
}

#[tokio::test]
async fn events_of_one_time_stand_together_and_only_the_last_may_be_complete() {
    for batch_max in [1, 2, 100] {
        let setup = Setup {
            batch_max,
            ..Setup::default()
        };
        let (server, source) = open(setup).await;
        let mut reader = Reader::new(source).await;
        let together = transaction([insert(1), insert(2), split(update(1)), delete(2)]);
        server.play([events([together, insert(3)])]);
        let heard = reader.events(5).await;
        let words: Vec<_> = heard.iter().map(said).collect();
        let expected = [
            "insert 1 first",
            "insert 2 first",
            "update 1 edited",
            "delete 2 -",
            "insert 3 first",
        ];
        assert_eq!(words, expected);
        assert!(heard[..4].iter().all(|event| event.time == at(time(1))));
        assert!(heard[..3].iter().all(|event| !event.complete), "{heard:#?}");
    }
}

/// A server that goes back, by one event, a batch, or within a transaction.
#[tokio::test]
async fn a_repeated_token_is_the_same_position_at_the_same_time() {
    let one = vec![insert(1)];
    let two = vec![insert(1), update(1)];
    let together = vec![transaction([insert(1), update(1), insert(2)])];
    for repeated in [one, two, together] {
        let (server, source) = open(Setup::default()).await;
        let mut reader = Reader::new(source).await;
        server.play([events(repeated), again(), events([insert(9)])]);
        let mut first: Vec<Event> = Vec::new();
        loop {
            let event = reader.event().await.unwrap();
            if said(&event) == "insert 9 first" {
                break;
            }
            let earlier = first.iter().find(|it| it.body == event.body);
            if let Some(earlier) = earlier {
                let (place, time) = (&event.position, event.time);
                assert_eq!(
                    (place, time),
                    (&earlier.position, earlier.time),
                    "{event:?}"
                );
            } else {
                first.push(event);
            }
        }
    }
}

#[tokio::test]
async fn a_quiet_server_moves_the_position_on() {
    let (server, source) = open(Setup::default()).await;
    let mut watch = source.watch(None).await.unwrap();
    let (position, time) = watch.here();
    server.play((0..20).map(|_| idle()));
    let event = loop {
        let event = watch.next(10).await.unwrap().remove(0);
        assert_eq!(event.body, Body::Idle);
        assert_eq!(watch.here(), (event.position.clone(), event.time));
        if event.time > time {
            break event;
        }
    };
    assert!(event.complete && event.position != position, "{event:?}");
    server.play([events([insert(1)])]);
    let mut reader = Reader::after(source, Some(event.position)).await;
    assert_eq!(reader.said(1).await, ["insert 1 first"]);
}

#[tokio::test]
async fn a_call_dropped_during_a_slow_reply_loses_nothing() {
    let (server, source) = open(Setup::default()).await;
    let mut watch = source.watch(None).await.unwrap();
    let gate = Gate::new();
    server.play([slow(&gate, [insert(1), insert(2)])]);
    for _ in 0..3 {
        quiet_until(&mut watch, gate.reached()).await;
    }
    gate.open();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let events = watch.next(1).await.unwrap();
        heard.extend(events.iter().filter(|it| it.body != Body::Idle).map(said));
    }
    assert_eq!(heard, ["insert 1 first", "insert 2 first"]);
}

/// A document whose event holds none is read again.
#[tokio::test]
async fn a_call_dropped_during_a_slow_look_up_does_not_ask_anew() {
    let setup = Setup {
        stored: vec![doc! { "_id": 1, "text": "read again" }],
        ..Setup::default()
    };
    let server = Scripted::with(setup, []).await;
    let mut settings = Settings::new(server.url(), DATABASE);
    settings.images = Images::WhenAvailable;
    let source = MongoSource::open(settings, Clock::manual(0)).await.unwrap();
    let mut watch = source.watch(None).await.unwrap();
    let gate = Gate::new();
    server.play([events([update_of_what_is_gone(1)]), slow_find(&gate)]);
    quiet_until(&mut watch, gate.reached()).await;
    let asked = server.asked("find").len();
    gate.open();
    let event = loop {
        let event = watch.next(1).await.unwrap().remove(0);
        if event.body != Body::Idle {
            break event;
        }
    };
    assert_eq!(said(&event), "update 1 read again");
    assert_eq!(server.asked("find").len(), asked);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_named_with_the_way_out() {
    let (server, source) = open(Setup::default()).await;
    let mut reader = Reader::new(source).await;
    server.play([fail(TOO_LARGE)]);
    let error = reader.event().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.chain().contains("6.0.9"), "{}", error.chain());
}

/// A server before 6.0.9 does not know the stage that splits; a later one is asked for it.
#[tokio::test]
async fn large_events_are_asked_to_be_split() {
    let (server, source) = open(Setup::default()).await;
    drop(source.watch(None).await.unwrap());
    let opened = server.opened();
    let stages = opened.last().unwrap().pipeline.iter();
    let mut stages = stages.map(|stage| stage.as_document().unwrap().keys().next().unwrap());
    assert_eq!(stages.next_back().unwrap(), "$changeStreamSplitLargeEvent");
}
