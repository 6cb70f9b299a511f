//! What capture and workers tell of themselves.

use super::{Place, article};
use crate::metrics::{free_address, get, until};
use crate::support::qdrant::Server;

#[tokio::test]
async fn capture_and_worker_tell_their_figures_and_whether_they_can_work() {
    let mut place = Place::new();
    let store = Server::start().await;
    place.settings.push(("LOCKSTEP_VECTOR_URL", store.url()));
    let start = |command: &str| {
        let address = free_address();
        let mut settings = place.settings.clone();
        settings.push(("LOCKSTEP_METRICS_LISTEN", address.clone()));
        let process = crate::support::process::Process::start(place.data(), &[command], &settings);
        (process, address)
    };
    let (_capture, captures) = start("capture");
    let (_worker, works) = start("feature");
    let (_standby, stands_by) = start("capture");
    let articles = place.database().await.collection("articles");
    articles.insert_one(article("one", "Steam.")).await.unwrap();
    for address in [&captures, &works, &stands_by] {
        until(address, "/readyz", |status, _| status == 200).await;
    }
    let stored = "lockstep_feature_changes_total{outcome=\"stored\"} 1";
    let text = until(&works, "/metrics", |_, text| text.contains(stored)).await;
    assert!(
        text.contains("lockstep_queue_pending{lane=\"live\"}"),
        "{text}"
    );
    let mut actives = Vec::new();
    for address in [&captures, &stands_by] {
        let (_, text) = get(address, "/metrics").await;
        let active = "lockstep_capture_active{} ";
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(active))
            .unwrap();
        actives.push(line.to_owned());
    }
    actives.sort();
    assert_eq!(actives, ["0.0", "1.0"], "one captures and one stands by");
}
