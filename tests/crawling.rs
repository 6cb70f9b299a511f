//! Crawling again, by lists and by the schedule, through the program.

mod spelled;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use lockstep::command::{History, Request, Response as Answer};
use lockstep::crawl::{self, schedule::Watch};
use lockstep::telemetry::Counted;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::app::{App, config};
use crate::support::binary::{Ended, assert_clean, program, run, run_with};
use crate::support::process::Process;

const LOOM: &str = "The analytical engine weaves algebraic patterns just as the loom weaves flowers and \
    leaves, and whoever feeds it with cards may have any pattern that an equation can describe.";

/// A site that counts what it is asked, and holds the answer of one path back.
#[derive(Clone, Default)]
pub(crate) struct Site(Arc<Inner>);

#[derive(Default)]
struct Inner {
    asked: Mutex<HashMap<String, usize>>,
    gone: Mutex<Vec<String>>,
    held: Mutex<Option<String>>,
    arrived: Notify,
}

pub(crate) struct Served {
    pub(crate) site: Site,
    pub(crate) origin: String,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let site = Site::default();
        let router = Router::new().fallback(answer).with_state(site.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, router).into_future());
        Self {
            site,
            origin,
            _serving: serving,
        }
    }

    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// How often this was asked since the last call.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let mut asked = self.site.0.asked.lock().unwrap();
        asked.remove(path).unwrap_or_default()
    }

    fn hold(&self, path: Option<&str>) {
        *self.site.0.held.lock().unwrap() = path.map(str::to_owned);
    }

    fn remove(&self, path: &str) {
        self.site.0.gone.lock().unwrap().push(path.to_owned());
    }
}

async fn answer(State(site): State<Site>, uri: Uri) -> Response {
    let (path, inner) = (uri.path().to_owned(), &site.0);
    *inner.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
    inner.arrived.notify_one();
    let is_held = inner.held.lock().unwrap().as_ref() == Some(&path);
    if is_held {
        return std::future::pending().await;
    }
    if path == "/robots.txt" || inner.gone.lock().unwrap().contains(&path) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let body = format!("<p>On {path}.</p><p>{LOOM}</p>").repeat(3);
    let page = format!("<html lang=en><head><title>On {path}</title></head><body><main>{body}");
    Html(page).into_response()
}

fn allowed() -> [(&'static str, String); 1] {
    [("LOCKSTEP_CRAWL_ALLOW_HOSTS", "127.0.0.1".to_owned())]
}

/// A list in a folder of its own: a data folder holds nothing else.
fn list(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.txt");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn crawl_list(data: &Path, path: &Path, more: &[&str]) -> Ended {
    let path = path.to_str().unwrap();
    let arguments = ["crawl", "--links", path, "--author", "Ada Lovelace"];
    run_with(data, &[&arguments, more].concat(), &allowed())
}

fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn outcomes(lines: &[Value]) -> Vec<(u64, String)> {
    let mut outcomes: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let number = line.get("line")?.as_u64()?;
            Some((number, line["outcome"].as_str()?.to_owned()))
        })
        .collect();
    outcomes.sort();
    outcomes
}

fn history(data: &Path) -> History {
    let ended = run(data, &["crawl", "--list", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_crawled_line_by_line_and_a_bad_line_stops_no_other() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    served.remove("/gone");
    let text = format!(
        "# the articles\n{}\nnowhere-at-all\n{}   Charles Babbage\n\n{}\n",
        served.link("/one"),
        served.link("/two"),
        served.link("/gone"),
    );
    let (_folder, path) = list(&text);
    let ended = crawl_list(data.path(), &path, &["--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = lines(&ended);
    let wanted = [(2, "done"), (3, "bad_line"), (4, "done"), (6, "failed")];
    assert_eq!(
        outcomes(&told),
        wanted.map(|(line, word)| (line, word.to_owned()))
    );
    let summary = &told.last().unwrap()["summary"];
    assert_eq!(summary["written"], 2, "{summary}");
    assert_eq!(
        (&summary["failed"], &summary["bad_lines"]),
        (&1.into(), &1.into())
    );
    // The index has them when the command has ended, each under its author.
    let asked = [
        "search",
        "patterns of the loom",
        "--author",
        "Charles Babbage",
        "--json",
    ];
    let found = run(data.path(), &asked).out;
    assert!(
        found.contains("On /two") && !found.contains("On /one"),
        "{found}"
    );
    // It came to its end: again means everything again, of which nothing changed.
    let again = crawl_list(data.path(), &path, &[]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.out.contains("line 3: failed nowhere-at-all"),
        "{again:?}"
    );
    let summary = "3 links: 2 done, 1 failed, 1 bad lines (0 written, 2 unchanged, 0 deleted)";
    assert!(again.out.contains(summary), "{again:?}");
    let crawls = history(data.path()).crawls;
    assert_eq!(crawls.len(), 3, "{crawls:?}");
    let gone = crawls
        .iter()
        .find(|run| run.link.ends_with("/gone"))
        .unwrap();
    assert!(
        gone.has_failed && gone.error.as_ref().unwrap().contains("404"),
        "{gone:?}"
    );
    let shown = run(data.path(), &["crawl", "--list"]).out;
    assert!(
        shown.contains("0 written, 1 unchanged, 0 deleted, 0 failed"),
        "{shown}"
    );
    assert_clean(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_run_was_killed_goes_on_with_what_is_not_done() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let links: Vec<_> = ["/1", "/2", "/3", "/4"]
        .map(|path| served.link(path))
        .into();
    let (_folder, path) = list(&links.join("\n"));
    served.hold(Some("/3"));
    let mut child = {
        let mut command = program(data.path());
        command
            .args([
                "crawl",
                "--links",
                path.to_str().unwrap(),
                "--author",
                "Ada",
            ])
            .envs(allowed())
            .env("LOCKSTEP_CRAWL_LINKS_AT_ONCE", "1")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    // One link at a time: the two before are done.
    while served.asked("/3") == 0 {
        served.site.0.arrived.notified().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let asked = |path: &str| served.asked(path);
    assert_eq!((asked("/1"), asked("/2"), asked("/4")), (1, 1, 0));
    served.hold(None);
    let arguments = [
        "crawl",
        "--links",
        path.to_str().unwrap(),
        "--author",
        "Ada",
        "--json",
    ];
    let ended = run_with(data.path(), &arguments, &allowed());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = outcomes(&lines(&ended));
    let wanted = [
        (1, "done_before"),
        (2, "done_before"),
        (3, "done"),
        (4, "done"),
    ];
    assert_eq!(told, wanted.map(|(line, word)| (line, word.to_owned())));
    let counts = ["/1", "/2", "/3", "/4"].map(|path| served.asked(path));
    assert_eq!(counts, [0, 0, 1, 1]);
    assert_eq!(history(data.path()).crawls.len(), 4);
    assert_clean(data.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_does_between_two_crawls_is_what_the_index_does() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.crawl.allow_hosts = vec!["127.0.0.1".to_owned()];
    config.crawl.gone_after_hours = 0;
    let app = App::start_with(config).await;
    let crawl = async || {
        let what = crawl::Request {
            target: served.link("/looms"),
            author: "Ada Lovelace".to_owned(),
            ..crawl::Request::default()
        };
        match app.ask(Request::Crawl { what, wait: true }).await.unwrap() {
            Answer::Crawl(report) => (report.saved, report.unchanged, report.deleted),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(crawl().await, (1, 0, 0));
    let before = app.status().await.counted;
    assert_eq!(crawl().await, (0, 1, 0));
    let after = app.status().await.counted;
    // Not even looked at.
    let of = |counted: Counted| (counted.texts_embedded, counted.texts_kept);
    assert_eq!(of(after), of(before));
    served.remove("/looms");
    assert_eq!(crawl().await, (0, 0, 0));
    assert_eq!(app.titles("patterns of the loom").await, ["On /looms"]);
    assert_eq!(crawl().await, (0, 0, 1));
    assert_eq!(
        app.titles("patterns of the loom").await,
        Vec::<String>::new()
    );
    assert!(app.verify().await.clean);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_crawls_what_is_watched_and_stops_within_its_grace_though_a_page_never_ends() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.crawl.allow_hosts = vec!["127.0.0.1".to_owned()];
    // Another host's name, so that the one that never ends holds nobody up.
    let endless = Served::start().await;
    endless.hold(Some("/endless"));
    let watch = |target| Watch {
        request: crawl::Request {
            target,
            author: "Ada Lovelace".to_owned(),
            ..crawl::Request::default()
        },
        every: std::time::Duration::from_hours(24),
    };
    config.crawl.watch = vec![
        watch(endless.link("/endless")),
        watch(served.link("/looms")),
    ];
    let app = App::start_with(config).await;
    let crawls = loop {
        let asked = Request::CrawlList { link: None };
        let Answer::CrawlList(history) = app.ask(asked).await.unwrap() else {
            panic!("no history");
        };
        let done = history.crawls.iter().any(|run| run.finished_ms.is_some());
        if done && history.crawls.len() == 2 {
            break history.crawls;
        }
        served.site.0.arrived.notified().await;
        served.site.0.arrived.notify_one();
    };
    let run = crawls
        .iter()
        .find(|run| run.link.ends_with("/looms"))
        .unwrap();
    assert_eq!((run.counts.written, run.every_seconds), (1, Some(86_400)));
    assert!(run.next_ms.unwrap() >= run.started_ms + 86_400_000);
    // A role that has to be aborted takes the whole grace period, which is longer.
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(15), app.stop());
    stopped.await.unwrap();
    assert_eq!((served.asked("/looms"), endless.asked("/endless")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_of_the_file_is_kept_until_a_signal_and_needs_something_to_watch() {
    let served = Served::start().await;
    let data = tempfile::tempdir().unwrap();
    let refused = run(data.path(), &["crawl", "--schedule"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.error.contains("[[crawl.watch]]"), "{refused:?}");
    let file = format!(
        "[[crawl.watch]]\nlink = \"{}\"\nauthor = \"Ada\"\nevery = \"1d\"\n",
        served.link("/looms")
    );
    std::fs::write(data.path().join("lockstep.toml"), file).unwrap();
    let schedule = Process::start(data.path(), &["crawl", "--schedule"], &allowed());
    schedule.until(&["crawled by the schedule"]).await;
    let second = run(data.path(), &["crawl", "--schedule"]);
    assert!(
        second.error.contains("keeps the schedule already"),
        "{second:?}"
    );
    schedule.stop();
    assert_eq!(served.asked("/looms"), 1);
    let crawls = history(data.path()).crawls;
    assert_eq!(crawls[0].counts.written, 1, "{crawls:?}");
    // Not due for a day: a restart crawls nothing, and the index has what was crawled.
    let again = Process::start(data.path(), &["up"], &allowed());
    again.until(&["lockstep is up"]).await;
    assert_eq!(history(data.path()).crawls, crawls);
    again.stop();
    assert_eq!(served.asked("/looms"), 0);
    assert_clean(data.path());
}
