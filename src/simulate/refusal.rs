//! What a text costs that one model refuses, over models that else behave.

use std::time::Duration;

use serde_json::json;

use super::{Chaos, EditionsModel, QueueModel};
use crate::change::{Change, DocumentKey, Lane, Operation, Time, Version};
use crate::clock::Clock;
use crate::document::Fields;
use crate::feature::worker::{self, Counters, Offload};
use crate::queue::{Outgoing, Queue as _};

fn change(id: &str, sequence: u64, text: &str) -> Outgoing {
    let key = DocumentKey::text("posts", id);
    let version = Version::read(1, Time::from_sequence(sequence));
    let fields = Fields::from_iter([("content".to_owned(), json!(text))]);
    let change = Change::new(key, version, Operation::Update, Some(fields), 0);
    Outgoing::change(change, Lane::Live, 1)
}

/// Else the old text would be found until somebody retries it.
#[tokio::test(start_paused = true)]
async fn what_the_next_editions_model_refuses_is_in_the_searched_one_and_parked() {
    let clock = Clock::manual(1_000_000);
    let queue = QueueModel::new(1, Chaos::calm(), clock.clone());
    let editions = EditionsModel::new(Chaos::calm());
    assert!(editions.begin_now());
    editions.embedder(2).unwrap().refuse("poison");
    let batch = [
        change("a", 1, "this is poison"),
        change("b", 2, "this is well"),
    ];
    queue.publish(&batch).await.unwrap().await.unwrap();
    let ports = worker::Ports {
        queue: &queue,
        editions: &editions,
        clock: &clock,
        counters: &Counters::default(),
    };
    let settings = worker::Settings {
        offload: Offload::Inline,
        ..worker::Settings::default()
    };
    let shutdown = tokio::time::sleep(Duration::from_hours(1));
    worker::run(ports, &settings, |_| vec![0], shutdown)
        .await
        .unwrap();
    let held = |number| -> Vec<String> {
        let store = editions.store(number).unwrap();
        let state = store.state();
        state.manifests.keys().map(DocumentKey::entry_id).collect()
    };
    assert_eq!(
        (held(1), held(2)),
        (vec!["a".into(), "b".into()], vec!["b".to_owned()])
    );
    assert_eq!(queue.depth().await.unwrap().parked, 1);
}
