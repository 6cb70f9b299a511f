//! What becomes of a collection that is watched, then not, then again.

use lockstep::capture::{self, Ports};
use lockstep::change::{Barrier, Change, Message};
use lockstep::clock::Clock;
use lockstep::database::Database;
use lockstep::document::Document;
use lockstep::queue::sqlite::SqliteQueue;
use lockstep::queue::{Consumer as _, Queue as _};
use lockstep::source::Source as _;
use tokio::sync::{mpsc, oneshot};

use crate::contract::source::article;
use crate::support::mongo::Home;

/// One partition of an embedded queue, since the order of everything is looked at.
async fn queue(folder: &tempfile::TempDir) -> SqliteQueue {
    let path = folder.path().join("lockstep.db");
    let database = Database::open(&path, &[SqliteQueue::SCHEMA]).unwrap();
    SqliteQueue::open(database, 1, Clock::manual(5_000))
        .await
        .unwrap()
}

fn note(id: &str) -> Document {
    let mut note = article(id, "1");
    "notes".clone_into(&mut note.key.kind);
    note
}

/// Captures these collections until the end of the last one's snapshot has come through the queue, or this article and a
/// watermark above it, so that the saved position is behind it.
async fn captured(home: &Home, kinds: &[&str], last: &str) -> Vec<Message> {
    let folder = tempfile::tempdir().unwrap();
    let queue = &queue(&folder).await;
    let mut home = home.clone();
    home.settings.kinds = kinds.iter().map(ToString::to_string).collect();
    let source = home.open().await;
    let lease = source.acquire("test").await.unwrap();
    let clock = Clock::manual(5_000);
    let ports = Ports {
        source: &source,
        checkpoints: &lease,
        queue,
        clock: &clock,
    };
    let settings = capture::Settings {
        kinds: home.settings.kinds.clone(),
        ..capture::Settings::default()
    };
    let (_nobody_asks, requests) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async { drop(stopped.await) };
    let received = async {
        let mut consumer = queue.consume(vec![0]).await.unwrap();
        let mut messages: Vec<Message> = Vec::new();
        while !is_over(&messages, last) {
            let deliveries = consumer.receive(1).await.unwrap();
            let tags = deliveries.iter().map(|delivery| delivery.tag).collect();
            messages.extend(deliveries.into_iter().filter_map(|one| one.message.ok()));
            consumer.settle(tags).await.unwrap();
        }
        drop(stop);
        messages
    };
    let (ran, messages) = tokio::join!(capture::run(ports, &settings, requests, until), received);
    ran.unwrap();
    lease.release().await.unwrap();
    messages
}

fn is_over(messages: &[Message], last: &str) -> bool {
    let newest = messages.iter().find_map(|message| match message {
        Message::Change(change) if change.key == article(last, "").key => Some(change.version),
        _ => None,
    });
    messages.iter().any(|message| match message {
        Message::Barrier(Barrier::Floor { kind, .. }) => kind == last,
        Message::Barrier(Barrier::Watermark { version, .. }) => {
            newest.is_some_and(|newest| newest < *version)
        }
        _ => false,
    })
}

fn notes(messages: &[Message]) -> Vec<&Change> {
    let changes = messages.iter().filter_map(|message| match message {
        Message::Change(change) if change.key.kind == "notes" => Some(change),
        _ => None,
    });
    changes.collect()
}

#[tokio::test]
async fn what_nobody_watched_meanwhile_is_read_and_what_is_gone_is_found() {
    let home = Home::new();
    let source = home.open().await;
    let documents = vec![article("a", "1"), note("gone"), note("stays")];
    source.save(documents).await.unwrap();
    let first = captured(&home, &["articles", "notes"], "notes").await;
    let known = notes(&first);
    assert_eq!(known.len(), 2);
    let newest = known.iter().map(|change| change.version).max().unwrap();

    source.delete(vec![note("gone").key]).await.unwrap();
    let documents = vec![note("new"), article("b", "1")];
    source.save(documents).await.unwrap();
    let narrow = captured(&home, &["articles"], "b").await;
    assert_eq!(notes(&narrow), [] as [&Change; 0]);

    let wide = captured(&home, &["articles", "notes"], "notes").await;
    let ids: Vec<_> = notes(&wide).iter().map(|change| &change.key).collect();
    assert_eq!(ids, [&note("new").key, &note("stays").key]);
    let Some(Message::Barrier(Barrier::Floor { version, .. })) = wide.last() else {
        panic!("{wide:?}");
    };
    assert!(newest < *version, "what is gone is below the floor");
    assert!(notes(&wide).iter().all(|change| *version < change.version));
    // Nobody was told that everything up to here is in the index.
    let told = |message: &Message| matches!(message, Message::Barrier(Barrier::Watermark { .. }));
    assert!(!wide.iter().any(told), "{wide:?}");

    // What is known to be watched is not read again.
    source.save(vec![article("c", "1")]).await.unwrap();
    let same = captured(&home, &["articles", "notes"], "c").await;
    assert_eq!(notes(&same), [] as [&Change; 0]);
}
