//! Accounts, listed by an API on the loopback address. Its answers have the fields that GitHub's
//! documentation names: `full_name`, `owner.login`, `fork`, `clone_url`; of a gist `id`, `git_pull_url`,
//! `owner.login`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::shelf::{HUSH, Shelf, github, has_git, on_github, repository};
use super::web::serve;
use super::*;
use crate::clock::Clock;
use crate::crawl::Manners;

/// An address that no answer may send us to.
const TRAP: &str = "http://169.254.169.254/x.git";

fn entry(name: &str, fork: bool) -> Value {
    let (owner, _) = name.split_once('/').unwrap();
    json!({"full_name": name, "fork": fork, "owner": {"login": owner}, "clone_url": TRAP})
}

fn gist(id: &str) -> Value {
    json!({"id": id, "owner": {"login": "ada"}, "git_pull_url": TRAP})
}

/// The page of a list that is asked for, and whether the token came with it.
fn page(list: &[Value], uri: &Uri) -> Response {
    let asked: Query<HashMap<String, usize>> = {
        let query = uri.query().unwrap_or_default();
        let numbers = query.split('&').filter(|pair| pair.contains("page="));
        let numbers = numbers.collect::<Vec<_>>().join("&");
        Query::try_from_uri(&format!("/?{numbers}").parse().unwrap()).unwrap()
    };
    let (size, page) = (asked["per_page"], asked["page"]);
    let entries: Vec<_> = list.iter().skip((page - 1) * size).take(size).collect();
    axum::Json(entries).into_response()
}

fn names(source: &Memory) -> Vec<String> {
    let documents = source.documents().into_iter();
    let mut names: Vec<_> = documents
        .map(|one| one.fields["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gives_its_own_repositories_and_gists_and_no_forks() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/engine", "fn engine() {}\n");
    repository(&folder, "ada/fork", "fn fork() {}\n");
    repository(&folder, "ada/private-notes", "fn notes() {}\n");
    repository(&folder, "byron/private-poems", "fn poems() {}\n");
    repository(&folder, "gist/aa5a315d61ae9438b18d.git", "fn gist() {}\n");
    let shelf = Shelf::new(&folder, Some(HUSH));
    let public = [
        entry("ada/engine", false),
        entry("ada/fork", true),
        entry("ada/gone", false),
    ];
    let seen = [
        entry("ada/engine", false),
        entry("ada/private-notes", false),
        entry("byron/private-poems", false),
    ];
    let gists = [gist("aa5a315d61ae9438b18d")];
    let is_told = |headers: &HeaderMap| {
        headers
            .get("authorization")
            .is_some_and(|it| it == "Bearer hush")
    };
    let router = shelf
        .router()
        .route(
            "/api/v3/users/ada/repos",
            get(async move |uri: Uri| page(&public, &uri)),
        )
        .route(
            "/api/v3/users/ada/gists",
            get(async move |uri: Uri| page(&gists, &uri)),
        )
        .route(
            "/api/v3/user/repos",
            get(async move |uri: Uri, headers: HeaderMap| {
                if is_told(&headers) {
                    page(&seen, &uri)
                } else {
                    StatusCode::UNAUTHORIZED.into_response()
                }
            }),
        );
    let server = serve(router).await;
    let request = on_github(&server, "ada?tab=repositories");
    let open = vec!["aa5a315d61ae9438b18d", "engine"];
    let all = vec!["aa5a315d61ae9438b18d", "engine", "private-notes"];
    for (token, expected) in [("", open), ("hush", all)] {
        let source = Memory::default();
        let settings = github(&server, token, &tmp);
        let report = crawl(&source, &request, &settings, &()).await.unwrap();
        assert_eq!(names(&source), expected);
        assert!(why(&report, "ada/gone").starts_with("there is no repository"));
        let again = crawl(&source, &request, &settings, &()).await.unwrap();
        assert_eq!(counts(&again), (0, expected.len(), 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_leaves_what_was_crawled_as_a_page_under_a_repositorys_link() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/engine", "fn engine() {}\n");
    let all = [entry("ada/engine", false)];
    let page_of = async || axum::response::Html(html("Engine", "What it is for."));
    let router = Shelf::new(&folder, None)
        .router()
        .route("/ada/engine", get(page_of))
        .route(
            "/api/v3/users/ada/repos",
            get(async move |uri: Uri| page(&all, &uri)),
        )
        .route("/api/v3/users/ada/gists", get(async || "[]"));
    let server = serve(router).await;
    let (source, settings) = (Memory::default(), github(&server, "", &tmp));
    let as_pages = Request {
        as_kind: Some(Kind::Pages),
        ..on_github(&server, "ada/engine")
    };
    let report = crawl(&source, &as_pages, &settings, &()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    let account = on_github(&server, "ada");
    let report = crawl(&source, &account, &settings, &()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    let kinds = source.documents().into_iter().map(|one| one.key.kind);
    assert_eq!(kinds.collect::<Vec<_>>(), ["articles", "repositories"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_to_its_last_page() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/last", "fn last() {}\n");
    let mut all: Vec<_> = (0..200)
        .map(|number| entry(&format!("ada/fork-{number}"), true))
        .collect();
    all.push(entry("ada/last", false));
    let router = Shelf::new(&folder, None)
        .router()
        .route(
            "/api/v3/users/ada/repos",
            get(async move |uri: Uri| page(&all, &uri)),
        )
        .route("/api/v3/users/ada/gists", get(async || "[]"));
    let server = serve(router).await;
    let source = Memory::default();
    let settings = github(&server, "", &tmp);
    crawl(&source, &on_github(&server, "ada"), &settings, &())
        .await
        .unwrap();
    assert_eq!(names(&source), ["last"]);
}

#[tokio::test]
async fn an_account_that_cannot_be_listed_says_why_and_when_it_can() {
    let spent = async || {
        let headers = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1700000000"),
        ];
        (StatusCode::FORBIDDEN, headers)
    };
    let slower = async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "60")]);
    let router = axum::Router::new()
        .route("/api/v3/users/busy/repos", get(spent))
        .route("/api/v3/users/fast/repos", get(slower))
        .route("/api/v3/users/odd/repos", get(async || "<p>hello</p>"));
    let server = serve(router).await;
    let tmp = tempfile::tempdir().unwrap();
    let said = async |path: &str, token: &str| {
        let mut settings = github(&server, token, &tmp);
        settings.wait_seconds_max = 9;
        let source = Memory::default();
        let crawled = crawl(&source, &on_github(&server, path), &settings, &()).await;
        crawled.unwrap_err().to_string()
    };
    let busy = said("busy", "").await;
    let when = "try again after Tue, 14 Nov 2023 22:13:20 GMT";
    assert!(
        busy.starts_with(&format!("{}/busy: ", server.origin)),
        "{busy}"
    );
    assert!(
        busy.contains(when) && busy.contains("set crawl.github_token"),
        "{busy}"
    );
    assert!(said("busy", "hush").await.ends_with(when));
    assert!(said("fast", "hush").await.ends_with("try again in 60 s"));
    assert!(
        said("nobody", "")
            .await
            .contains("there is nobody of this name")
    );
    assert!(said("odd", "").await.contains("answered with no list"));
}

#[tokio::test]
async fn an_interface_with_no_requests_left_is_asked_again_when_it_has_some() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let spent_once = async move || {
        let spent = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1030"),
        ];
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => (StatusCode::FORBIDDEN, spent).into_response(),
            _ => "[]".into_response(),
        }
    };
    let router = axum::Router::new()
        .route("/api/v3/users/ada/repos", get(spent_once))
        .route("/api/v3/users/ada/gists", get(async || "[]"));
    let server = serve(router).await;
    let tmp = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_000_000);
    let mut settings = github(&server, "", &tmp);
    settings.manners = Manners::new(clock.clone());
    let source = Memory::default();
    let all = crawl(&source, &on_github(&server, "ada"), &settings, &()).await;
    assert_eq!(counts(&all.unwrap()), (0, 0, 0));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(clock.now_ms(), 1_030_000);
}

/// What a host says that lets every clone begin and breaks it off.
async fn cut(_: Bytes) -> Response {
    let kind = "application/x-git-upload-pack-result";
    let parts = [Err::<Bytes, _>(std::io::Error::other("cut"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_breaks_off_every_clone_is_left_alone_after_a_few_and_asked_later() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names: Vec<_> = (0..7)
        .map(|number| format!("ada/engine-{number}"))
        .collect();
    for name in &names {
        repository(&folder, name, "fn engine() {}\n");
    }
    let all: Vec<_> = names.iter().map(|name| entry(name, false)).collect();
    let shelf = Shelf::new(&folder, None);
    let router = shelf
        .router()
        .route("/ada/{name}/git-upload-pack", post(cut))
        .route(
            "/api/v3/users/ada/repos",
            get(async move |uri: Uri| page(&all, &uri)),
        )
        .route("/api/v3/users/ada/gists", get(async || "[]"));
    let server = serve(router).await;
    let mut settings = github(&server, "", &tmp);
    settings.manners = Manners::new(Clock::manual(1_000_000));
    let source = Memory::default();
    let request = on_github(&server, "ada");
    let report = crawl(&source, &request, &settings, &()).await.unwrap();
    let mut asked = shelf.asked();
    asked.dedup();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(report.later_ms, Some(1_600_000));
    let left = report.skipped.last().unwrap();
    assert_eq!(left.count, 2, "{report:?}");
}
