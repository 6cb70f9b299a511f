//! What a scraper and a supervisor are told by the processes themselves.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use lockstep::folder::Endpoint;

use crate::support::binary::{self, Up};
use crate::support::process::Process;

/// Where nobody listens yet.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The answer's status and text.
pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}{path}"))
        .await
        .unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Asks until it is so.
pub(crate) async fn until(address: &str, path: &str, is_so: impl Fn(u16, &str) -> bool) -> String {
    let asking = async {
        loop {
            if let Ok(answer) = reqwest::get(format!("http://{address}{path}")).await {
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                if is_so(status, &text) {
                    return text;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, asking).await.unwrap()
}

#[tokio::test]
async fn one_process_tells_its_figures_and_that_it_works() {
    let data = tempfile::tempdir().unwrap();
    let pages = tempfile::tempdir().unwrap();
    std::fs::write(
        pages.path().join("note.md"),
        "# Engines\n\nSteam moves them.",
    )
    .unwrap();
    let address = free_address();
    let mut up = Up::start_with(data.path(), &[("LOCKSTEP_METRICS_LISTEN", &address)]);
    drop(up.client(data.path()).await);
    until(&address, "/readyz", |status, _| status == 200).await;
    assert_eq!(binary::crawl(data.path(), pages.path()).code, Some(0));
    assert_eq!(binary::run(data.path(), &["search", "steam"]).code, Some(0));
    let (status, text) = get(&address, "/metrics").await;
    assert_eq!(status, 200);
    let told = |line: &str| text.lines().any(|told| told.starts_with(line));
    for line in [
        "lockstep_feature_changes_total{outcome=\"stored\"} ",
        "lockstep_feature_texts_total{vector=\"embedded\"} 1",
        "lockstep_feature_stage_seconds_count{stage=\"embed\"} ",
        "lockstep_search_seconds_count{outcome=\"found\"} 1",
        "lockstep_queue_parked{} 0",
        "# EOF",
    ] {
        assert!(told(line), "{line} in {text}");
    }
    // What only a capture of services knows.
    assert!(!text.contains("lockstep_capture_lag_seconds"), "{text}");
    assert_eq!(get(&address, "/livez").await.0, 200);
    assert_eq!(
        get(&address, "/v1/search").await.0,
        404,
        "no command is answered here"
    );
}

#[tokio::test]
async fn half_a_request_holds_up_no_stop() {
    let data = tempfile::tempdir().unwrap();
    let figures = free_address();
    let settings = [("LOCKSTEP_METRICS_LISTEN", figures.clone())];
    let up = Process::start(data.path(), &["up"], &settings);
    up.until(&["lockstep is up at"]).await;
    let endpoint = Endpoint::find(data.path()).unwrap().unwrap();
    let api = endpoint.address.strip_prefix("http://").unwrap();
    let mut half = Vec::new();
    for address in [figures.as_str(), api] {
        let mut begun = TcpStream::connect(address).unwrap();
        begun.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
        half.push(begun);
        // One that came later is answered, so this one was taken. Both say the same.
        assert_eq!(get(address, "/livez").await, (200, "lockstep".to_owned()));
        assert_eq!(get(address, "/readyz").await, (200, "ready".to_owned()));
    }
    // Where a role had to be cut off, it would not end well.
    up.stop();
    drop(half);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let settings = [("LOCKSTEP_METRICS_LISTEN", address.clone())];
    let ended = binary::run_with(data.path(), &["up"], &settings);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.error.contains("metrics.listen") && ended.error.contains(&address),
        "{ended:?}"
    );
}
