//! What becomes of requests to read documents again, over models that behave but for what a test tells them.

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{Chaos, Edit, QueueModel, SourceModel};
use crate::capture::{self, Ports, Request, Resync};
use crate::change::DocumentKey;
use crate::clock::Clock;
use crate::document::{Document, Fields};
use crate::source::PAGE_BYTES;
use crate::{Recovery, Result};

type Asking = mpsc::Sender<Request>;

fn key(kind: &str, id: usize) -> DocumentKey {
    DocumentKey::text(kind, &id.to_string())
}

/// Of the first so many posts.
fn posts(count: usize) -> Resync {
    Resync::Keys((0..count).map(|id| key("posts", id)).collect())
}

async fn asked(requests: &Asking, what: Resync) -> Result<u64> {
    let (done, answer) = oneshot::channel();
    requests.send(Request { what, done }).await.unwrap();
    answer.await.unwrap()
}

/// A source of seven posts, captured in parts of three documents for as long as somebody asks.
async fn captured(asking: impl AsyncFnOnce(&SourceModel, &Asking)) {
    let clock = Clock::manual(1_000_000);
    let source = SourceModel::new(Chaos::calm(), clock.clone());
    let queue = QueueModel::new(1, Chaos::calm(), clock.clone());
    let edits = (0..7).map(|id| {
        let fields = Fields::from_iter([("content".to_owned(), json!("text"))]);
        let key = key("posts", id);
        Edit::Save(Document { key, fields })
    });
    source.commit(edits.collect());
    let ports = Ports {
        source: &source,
        checkpoints: &source,
        queue: &queue,
        clock: &clock,
    };
    let settings = capture::Settings {
        page_size: 3,
        ..capture::Settings::default()
    };
    let (requests, receiver) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let asking = async {
        asking(&source, &requests).await;
        drop(stop);
    };
    let stopped = async {
        stopped.await.ok();
    };
    let running = Box::pin(capture::run(ports, &settings, receiver, stopped));
    let (ran, ()) = tokio::join!(running, asking);
    ran.unwrap();
}

/// Else one request would end capture, and stand to end the next one too.
#[tokio::test(start_paused = true)]
async fn one_that_the_source_refuses_is_answered_so_and_others_are_done_part_by_part() {
    captured(async |source: &SourceModel, requests: &Asking| {
        source.forbid("mail");
        let mail = Resync::Keys(vec![key("mail", 1)]);
        let refused = asked(requests, mail).await.unwrap_err();
        assert_eq!(refused.recovery(), Recovery::Stop);
        // One of them is not there, which is told as a delete.
        assert_eq!(asked(requests, posts(8)).await.unwrap(), 8);
        assert_eq!(asked(requests, posts(0)).await.unwrap(), 0);
    })
    .await;
}

/// Else those that one read does not answer would be left out, though they are counted.
#[tokio::test(start_paused = true)]
async fn one_of_large_documents_is_done_by_as_many_reads_as_they_take() {
    captured(async |source: &SourceModel, requests: &Asking| {
        let text = json!("x".repeat(PAGE_BYTES / 2));
        let edits = (0..7).map(|id| {
            let fields = Fields::from_iter([("content".to_owned(), text.clone())]);
            let key = key("posts", id);
            Edit::Save(Document { key, fields })
        });
        source.commit(edits.collect());
        assert_eq!(asked(requests, posts(7)).await.unwrap(), 7);
    })
    .await;
}

/// Else whoever asked would be told that capture has ended, while it goes on.
#[tokio::test(start_paused = true)]
async fn one_that_a_session_fails_over_is_done_whole_by_the_next_that_opens() {
    captured(async |source: &SourceModel, requests: &Asking| {
        // Its second part is not read, and then the checkpoint is not loaded.
        source.answer("read", &[true, false]);
        source.answer("load the checkpoint", &[false]);
        assert_eq!(asked(requests, posts(7)).await.unwrap(), 7);
    })
    .await;
}

/// It is answered for what stands in the checkpoint, and the next session has read an older one.
#[tokio::test(start_paused = true)]
async fn one_of_a_type_that_was_not_saved_is_begun_anew_until_it_is() {
    captured(async |source: &SourceModel, requests: &Asking| {
        // By the session that took it, and by the one that it was handed on to.
        source.answer("save the checkpoint", &[false, false]);
        let mail = Resync::Kind("mail".to_owned());
        assert_eq!(asked(requests, mail).await.unwrap(), 0);
        let saved = source.state().checkpoint.clone();
        assert!(saved.unwrap().kinds.contains("mail"));
    })
    .await;
}
