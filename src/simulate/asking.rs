//! What becomes of requests to read documents again, over models that else behave.

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{Chaos, Edit, QueueModel, SourceModel};
use crate::capture::{self, Ports, Request, Resync};
use crate::change::DocumentKey;
use crate::clock::Clock;
use crate::document::{Document, Fields};
use crate::{Recovery, Result};

fn key(kind: &str, id: usize) -> DocumentKey {
    DocumentKey::text(kind, &id.to_string())
}

async fn asked(requests: &mpsc::Sender<Request>, keys: Vec<DocumentKey>) -> Result<u64> {
    let (done, answer) = oneshot::channel();
    let what = Resync::Keys(keys);
    requests.send(Request { what, done }).await.unwrap();
    answer.await.unwrap()
}

/// Else one request would end capture, and stand to end the next one too.
#[tokio::test(start_paused = true)]
async fn one_that_the_source_refuses_is_answered_so_and_others_are_done_part_by_part() {
    let clock = Clock::manual(1_000_000);
    let source = SourceModel::new(Chaos::calm(), clock.clone());
    let queue = QueueModel::new(1, Chaos::calm(), clock.clone());
    let edits = (0..7).map(|id| {
        let fields = Fields::from_iter([("content".to_owned(), json!("text"))]);
        let key = key("posts", id);
        Edit::Save(Document { key, fields })
    });
    source.commit(edits.collect());
    source.forbid("mail");
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
        let refused = asked(&requests, vec![key("mail", 1)]).await.unwrap_err();
        assert_eq!(refused.recovery(), Recovery::Stop);
        let keys = (0..8).map(|id| key("posts", id)).collect();
        // One of them is not there, which is told as a delete.
        assert_eq!(asked(&requests, keys).await.unwrap(), 8);
        assert_eq!(asked(&requests, Vec::new()).await.unwrap(), 0);
        drop(stop);
    };
    let stopped = async {
        stopped.await.ok();
    };
    let (ran, ()) = tokio::join!(capture::run(ports, &settings, receiver, stopped), asking);
    ran.unwrap();
}
