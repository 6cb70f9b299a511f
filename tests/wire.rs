//! The scripted server keeps the protocol: the official driver watches it and comes to the same end
//! as with a real one.

use std::time::Duration;

use bson::{Document, Timestamp, doc};
use mongodb::Client;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::{ChangeStreamEvent, ResumeToken};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;

use crate::support::wire::{
    AUTHENTICATION_FAILED, COLLECTION, CURSOR_KILLED, CURSOR_NOT_FOUND, DATABASE, Failure, Gate,
    HISTORY_LOST, NAMESPACE_NOT_FOUND, Scripted, Setup, Step, TOO_LARGE, UNAUTHORIZED, again, cut,
    cut_open, delete, drop_collection, events, fail, fail_open, idle, insert, replace, slow, split,
    step_down, time, transaction, update, update_of_what_is_gone,
};

type Stream = ChangeStream<ChangeStreamEvent<Document>>;

async fn client(url: &str) -> Client {
    let mut options = ClientOptions::parse(url).await.unwrap();
    options.server_selection_timeout = Some(Duration::from_secs(2));
    Client::with_options(options).unwrap()
}

async fn watch(server: &Scripted) -> Stream {
    let client = client(&server.url()).await;
    client.database(DATABASE).watch().await.unwrap()
}

/// The next events, as operation and `_id`.
async fn hear(stream: &mut Stream, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        if let Some(event) = stream.next_if_any().await.unwrap() {
            let key = event.document_key.unwrap_or_default();
            let id = key.get("_id").map(ToString::to_string);
            heard.push(format!(
                "{:?} {}",
                event.operation_type,
                id.unwrap_or_default()
            ));
        }
    }
    heard
}

/// The error at which the next event is missing.
async fn failure(stream: &mut Stream) -> Error {
    loop {
        match stream.next_if_any().await {
            Ok(None) => {}
            Ok(Some(event)) => panic!("{event:?}"),
            Err(error) => return error,
        }
    }
}

fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Command(command) => command.code,
        other => panic!("{other:?}"),
    }
}

fn token(stream: &Stream) -> String {
    let token = bson::serialize_to_document(&stream.resume_token().unwrap()).unwrap();
    token.get_str("_data").unwrap().to_owned()
}

fn resume_token(hex: &str) -> ResumeToken {
    bson::deserialize_from_document(doc! {"_data": hex}).unwrap()
}

/// Plays these steps between two inserts; a reader of the official driver hears all three.
async fn heard_through(setup: Setup, fault: Step) -> Scripted {
    let server = Scripted::with(setup, [events([insert(1)]), fault, events([insert(3)])]).await;
    let mut stream = watch(&server).await;
    let all = hear(&mut stream, 3).await;
    assert_eq!(all, ["Insert 1", "Insert 2", "Insert 3"]);
    assert!(server.is_through());
    let [_, again] = &server.opened()[..] else {
        panic!("{:?}", server.opened());
    };
    assert_eq!(again.resume_after.as_ref(), server.tokens().first());
    server
}

#[tokio::test]
async fn every_kind_of_event_is_read() {
    let all = [
        insert(1),
        replace(1),
        update(1),
        delete(1),
        update_of_what_is_gone(1),
        drop_collection(),
    ];
    let server = Scripted::start([events(all)]).await;
    let mut stream = watch(&server).await;
    let expected = "Insert 1, Replace 1, Update 1, Delete 1, Update 1, Drop ";
    assert_eq!(hear(&mut stream, 6).await.join(", "), expected);
    assert_eq!(token(&stream), server.tokens()[5]);
}

#[tokio::test]
async fn a_batch_is_as_large_as_the_setup_says_and_order_stays() {
    let setup = Setup {
        batch_max: 1,
        ..Setup::default()
    };
    let server = Scripted::with(
        setup,
        [events([transaction([insert(1), insert(2)]), insert(3)])],
    );
    let server = server.await;
    let mut stream = watch(&server).await;
    assert_eq!(
        hear(&mut stream, 3).await,
        ["Insert 1", "Insert 2", "Insert 3"]
    );
    assert_eq!(server.asked("getMore").len(), 3);
    assert!(server.tokens().is_sorted());
}

#[tokio::test]
async fn watching_starts_after_a_token_at_a_time_or_at_the_end() {
    let server = Scripted::start([]).await;
    server.commit([insert(1), insert(2), insert(3)]);
    let client = client(&server.url()).await;
    let database = client.database(DATABASE);
    let first = resume_token(&server.tokens()[0]);

    let mut stream = database.watch().resume_after(first.clone()).await.unwrap();
    assert_eq!(hear(&mut stream, 2).await, ["Insert 2", "Insert 3"]);
    let mut stream = database.watch().start_after(first).await.unwrap();
    assert_eq!(hear(&mut stream, 2).await, ["Insert 2", "Insert 3"]);
    let third: Timestamp = time(3);
    let stream = database.watch().start_at_operation_time(third);
    assert_eq!(hear(&mut stream.await.unwrap(), 1).await, ["Insert 3"]);

    let mut stream = database.watch().await.unwrap();
    server.commit([insert(4)]);
    assert_eq!(hear(&mut stream, 1).await, ["Insert 4"]);
    let opened = server.opened();
    assert_eq!(opened[1].start_after.as_ref(), server.tokens().first());
    assert_eq!(opened[2].start_at, Some(third));
    assert_eq!((&opened[3].resume_after, opened[3].start_at), (&None, None));
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_a_commit() {
    let server = Scripted::start([]).await;
    let client = client(&server.url()).await;
    let collection = client.database(DATABASE).collection::<Document>(COLLECTION);
    let stream = collection.watch().max_await_time(Duration::from_mins(1));
    let mut stream = stream.await.unwrap();
    let (heard, ()) = tokio::join!(hear(&mut stream, 1), async {
        tokio::task::yield_now().await;
        server.commit([insert(1)]);
    });
    assert_eq!(heard, ["Insert 1"]);
}

#[tokio::test]
async fn the_token_moves_on_while_nothing_happens() {
    let server = Scripted::start([idle(), idle(), events([insert(1)])]).await;
    let mut stream = watch(&server).await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        assert!(stream.next_if_any().await.unwrap().is_none());
        tokens.push(token(&stream));
    }
    assert!(tokens[0] < tokens[1]);
    assert_eq!(hear(&mut stream, 1).await, ["Insert 1"]);
    assert!(tokens[1] < token(&stream));
}

#[tokio::test]
async fn lost_history_is_said_on_aggregate_and_on_get_more() {
    let server = Scripted::start([fail(HISTORY_LOST)]).await;
    let mut stream = watch(&server).await;
    server.play([fail_open(HISTORY_LOST)]);
    assert_eq!(code(&failure(&mut stream).await), 286);
    let client = client(&server.url()).await;
    let refused = client.database(DATABASE).watch().await;
    assert_eq!(code(&refused.unwrap_err()), 286);
}

#[tokio::test]
async fn errors_without_label_end_the_stream() {
    for failure_of in [TOO_LARGE, Failure::new(8000, "Unlabelled")] {
        let server = Scripted::start([fail(failure_of)]).await;
        let mut stream = watch(&server).await;
        failure(&mut stream).await;
        assert_eq!(server.opened().len(), 1);
    }
}

#[tokio::test]
async fn the_driver_resumes_on_the_new_primary_after_a_step_down() {
    let setup = Setup {
        members: 2,
        ..Setup::default()
    };
    let server = heard_through(setup, step_down([insert(2)])).await;
    let members: Vec<_> = server
        .asked("aggregate")
        .iter()
        .map(|it| it.member)
        .collect();
    assert_eq!(members, [0, 1]);
}

#[tokio::test]
async fn the_driver_resumes_after_a_cut_in_mid_reply() {
    heard_through(Setup::default(), cut([insert(2)])).await;
}

#[tokio::test]
async fn the_driver_resumes_after_a_killed_cursor() {
    for killed in [CURSOR_NOT_FOUND, CURSOR_KILLED.resumable()] {
        let script = [events([insert(1)]), fail(killed), events([insert(2)])];
        let server = Scripted::start(script).await;
        let mut stream = watch(&server).await;
        assert_eq!(hear(&mut stream, 2).await, ["Insert 1", "Insert 2"]);
        assert_eq!(
            server.opened()[1].resume_after,
            Some(server.tokens()[0].clone())
        );
    }
}

#[tokio::test]
async fn a_repeated_batch_has_the_same_tokens() {
    let server = Scripted::start([events([insert(1)]), again()]).await;
    let mut stream = watch(&server).await;
    assert_eq!(hear(&mut stream, 1).await, ["Insert 1"]);
    let first = token(&stream);
    assert_eq!(hear(&mut stream, 1).await, ["Insert 1"]);
    assert_eq!(first, token(&stream));
}

#[tokio::test]
async fn a_slow_reply_comes_when_its_gate_is_opened() {
    let gate = Gate::new();
    let server = Scripted::start([slow(&gate, [insert(1)])]).await;
    let mut stream = watch(&server).await;
    let (heard, ()) = tokio::join!(hear(&mut stream, 1), async {
        gate.reached().await;
        gate.open();
    });
    assert_eq!(heard, ["Insert 1"]);
}

#[tokio::test]
async fn a_split_event_comes_in_numbered_fragments() {
    let server = Scripted::start([events([split(update(1))])]).await;
    let client = client(&server.url()).await;
    let stream = client.database(DATABASE).watch().await.unwrap();
    let mut stream = stream.with_type::<Document>();
    let mut fragments = Vec::new();
    while fragments.len() < 3 {
        fragments.extend(stream.next_if_any().await.unwrap());
    }
    let mut joined = Document::new();
    for (fragment, number) in fragments.into_iter().zip(1_i32..) {
        let said = fragment.get_document("splitEvent").unwrap();
        assert_eq!(said, &doc! {"fragment": number, "of": 3});
        joined.extend(fragment);
    }
    assert_eq!(
        joined.get_document("fullDocument").unwrap(),
        &doc! {"_id": 1, "text": "edited"}
    );
    assert_eq!(joined.get_timestamp("clusterTime").unwrap(), time(1));
}

#[tokio::test]
async fn refusals_reach_the_driver() {
    let with = async |setup, user| {
        let server = Scripted::with(setup, []).await;
        let client = client(&server.url_of(user)).await;
        client.database(DATABASE).watch().await.unwrap_err()
    };
    let refusing = |refusal| Setup {
        refuses: vec![refusal],
        ..Setup::default()
    };
    let standalone = Setup {
        standalone: true,
        ..Setup::default()
    };
    assert_eq!(code(&with(standalone, "").await), 40573);
    for (failure, expected) in [(UNAUTHORIZED, 13), (NAMESPACE_NOT_FOUND, 26)] {
        let error = with(refusing(("aggregate", failure)), "").await;
        assert_eq!(code(&error), expected);
    }
    let login = with(
        refusing(("saslStart", AUTHENTICATION_FAILED)),
        "ada:secret@",
    )
    .await;
    assert!(
        matches!(*login.kind, ErrorKind::Authentication { .. }),
        "{login:?}"
    );
    let old = Setup {
        wire_version: 6,
        ..Setup::default()
    };
    let old = with(old, "").await;
    assert!(
        matches!(*old.kind, ErrorKind::ServerSelection { .. }),
        "{old:?}"
    );
}

/// Insert 2 falls into a cut connection, and the aggregate that resumes is cut off too.
async fn cut_twice(retry_reads: bool) -> (Scripted, Stream) {
    let server = Scripted::start([events([insert(1)])]).await;
    let mut options = ClientOptions::parse(server.url()).await.unwrap();
    options.retry_reads = Some(retry_reads);
    let client = Client::with_options(options).unwrap();
    let mut stream = client.database(DATABASE).watch().await.unwrap();
    assert_eq!(hear(&mut stream, 1).await, ["Insert 1"]);
    server.play([cut([insert(2)]), cut_open(), events([insert(3)])]);
    (server, stream)
}

/// A flaw of driver 3.9 that the server finds out: the retried aggregate has no token any more, and
/// starts at the end. Whoever watches for every event has to turn retried reads off.
#[tokio::test]
async fn a_driver_that_retries_reads_loses_what_a_second_cut_hides() {
    let (server, mut stream) = cut_twice(true).await;
    assert_eq!(hear(&mut stream, 1).await, ["Insert 3"]);
    assert_eq!(server.opened()[2].resume_after, None);
}

#[tokio::test]
async fn a_driver_that_does_not_retry_reads_says_that_it_could_not_resume() {
    let (server, mut stream) = cut_twice(false).await;
    let error = failure(&mut stream).await;
    assert!(matches!(*error.kind, ErrorKind::Io(_)), "{error:?}");
    assert_eq!(server.opened().len(), 2);
    assert_eq!(token(&stream), server.tokens()[0]);
}
