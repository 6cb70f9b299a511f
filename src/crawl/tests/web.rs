//! Pages from a real server on the loopback address.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::Error;

pub(super) struct Server {
    pub(super) origin: String,
    _serving: JoinSet<std::io::Result<()>>,
}

pub(super) async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(axum::serve(listener, router).into_future());
    Server {
        origin,
        _serving: serving,
    }
}

/// Settings under which the server's own address may be asked and no other private one.
pub(super) fn allowed() -> Settings {
    Settings {
        allow_hosts: vec!["127.0.0.1".to_owned()],
        ..Settings::default()
    }
}

pub(super) async fn fetch(
    source: &Memory,
    link: &str,
    settings: &Settings,
) -> crate::Result<Report> {
    crawl(source, &request(link), settings, &()).await
}

pub(super) async fn refusal(link: &str, settings: &Settings) -> String {
    fetch(&Memory::default(), link, settings)
        .await
        .unwrap_err()
        .to_string()
}

fn page(title: &str) -> (HeaderMap, Vec<u8>) {
    typed(
        "text/html; charset=utf-8",
        html(title, "Text.").into_bytes(),
    )
}

pub(super) fn typed(kind: &str, bytes: Vec<u8>) -> (HeaderMap, Vec<u8>) {
    (
        HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, kind.parse().unwrap())]),
        bytes,
    )
}

#[tokio::test]
async fn a_page_is_stored_under_the_link_that_it_calls_its_own() {
    let head = "<head><link rel=canonical href='/own'>";
    let body = html("T", "Text.").replace("<head>", head);
    let router = Router::new()
        .route(
            "/moved",
            get(|| async { Redirect::permanent("/page?utm_source=x#part") }),
        )
        .route(
            "/page",
            get(async move || typed("text/html", body.into_bytes())),
        );
    let (server, source) = (serve(router).await, Memory::default());
    for path in ["/page", "/moved"] {
        let link = format!("{}{path}", server.origin);
        fetch(&source, &link, &allowed()).await.unwrap();
    }
    let documents = source.documents();
    assert_eq!(documents.len(), 1, "both addresses are one page");
    assert_eq!(
        documents[0].fields["link"],
        format!("{}/own", server.origin)
    );
    assert_eq!(documents[0].fields["platform"], "web");
}

#[tokio::test]
async fn a_page_cannot_speak_for_another_host() {
    let head = "<head><link rel=canonical href='https://example.org/theirs'>";
    let body = html("T", "Text.").replace("<head>", head);
    let router = Router::new().route(
        "/a",
        get(async move || typed("text/html", body.into_bytes())),
    );
    let (server, source) = (serve(router).await, Memory::default());
    let link = format!("{}/a", server.origin);
    fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(source.documents()[0].fields["link"], link);
}

#[tokio::test]
async fn private_addresses_are_refused_directly_by_name_and_by_redirect() {
    let router = Router::new()
        .route("/page", get(async || page("T")))
        .route(
            "/to-name",
            get(|headers: HeaderMap| async move {
                let host = headers["host"]
                    .to_str()
                    .unwrap()
                    .replace("127.0.0.1", "localhost");
                Redirect::temporary(&format!("http://{host}/page"))
            }),
        )
        .route(
            "/to-metadata",
            get(async || Redirect::temporary("http://169.254.169.254/latest")),
        )
        .route(
            "/to-file",
            get(async || Redirect::temporary("file:///etc/passwd")),
        );
    let server = serve(router).await;
    let link = |path: &str| format!("{}{path}", server.origin);
    let private = "is a private address";
    assert!(
        refusal(&link("/page"), &Settings::default())
            .await
            .contains(private)
    );
    let by_name = link("/page").replace("127.0.0.1", "localhost");
    assert!(
        refusal(&by_name, &Settings::default())
            .await
            .contains(private)
    );
    for path in ["/to-name", "/to-metadata"] {
        let said = refusal(&link(path), &allowed()).await;
        assert!(said.contains(private), "{path}: {said}");
    }
    assert!(
        refusal(&link("/to-file"), &allowed())
            .await
            .contains("file links")
    );
    let everything = Settings {
        allow_private: true,
        ..Settings::default()
    };
    assert!(
        fetch(&Memory::default(), &link("/to-name"), &everything)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_also_when_it_unpacks_to_it() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = Arc::new(bomb.finish().unwrap());
    assert!(bomb.len() < 1 << 20, "the bomb itself is within the limit");
    let router = Router::new()
        .route(
            "/bomb",
            get(async move || {
                let (mut headers, ()) = (typed("text/html", Vec::new()).0, ());
                headers.insert("content-encoding", "gzip".parse().unwrap());
                (headers, bomb.as_ref().clone())
            }),
        )
        .route(
            "/large",
            get(async || typed("text/html", vec![b' '; 2 << 20])),
        );
    let server = serve(router).await;
    let settings = Settings {
        page_bytes_max: 1 << 20,
        ..allowed()
    };
    for path in ["/bomb", "/large"] {
        let link = format!("{}{path}", server.origin);
        let error = fetch(&Memory::default(), &link, &settings)
            .await
            .unwrap_err();
        let limited = matches!(&error, Error::TooLarge { limit, bytes, .. }
            if *limit == 1 << 20 && *bytes < 4 << 20);
        assert!(limited, "{path}: {error}");
    }
}

#[tokio::test]
async fn robots_txt_is_obeyed() {
    let rules = "User-agent: lockstep\nDisallow: /private\n\nUser-agent: *\nDisallow: /\n";
    let router = Router::new()
        .route("/robots.txt", get(async move || rules))
        .route("/open", get(async || page("Open")))
        .route("/private", get(async || page("Private")))
        .route("/moved", get(async || Redirect::permanent("/private")));
    let server = serve(router).await;
    let link = |path: &str| format!("{}{path}", server.origin);
    assert!(
        fetch(&Memory::default(), &link("/open"), &allowed())
            .await
            .is_ok()
    );
    for path in ["/private", "/moved"] {
        let said = refusal(&link(path), &allowed()).await;
        assert!(said.contains("robots.txt forbids it"), "{path}: {said}");
    }
}

#[tokio::test]
async fn what_is_gone_broken_endless_or_no_page_says_so_and_deletes_nothing() {
    let router = Router::new()
        .route("/gone", get(async || StatusCode::GONE))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY))
        .route("/loop", get(async || Redirect::temporary("/loop")))
        .route("/image", get(async || typed("image/png", vec![0; 8])));
    let server = serve(router).await;
    for (path, part) in [
        ("/gone", "it is gone"),
        ("/missing", "it is gone"),
        ("/broken", "502"),
        ("/loop", "redirected more than 5 times"),
        ("/image", "image/png, not a page"),
    ] {
        let said = refusal(&format!("{}{path}", server.origin), &allowed()).await;
        assert!(said.contains(part), "{path}: {said}");
    }
}

#[tokio::test]
async fn a_host_whose_robots_txt_fails_is_left_alone() {
    let router = Router::new()
        .route(
            "/robots.txt",
            get(async || StatusCode::INTERNAL_SERVER_ERROR),
        )
        .route("/page", get(async || page("T")));
    let server = serve(router).await;
    let said = refusal(&format!("{}/page", server.origin), &allowed()).await;
    assert!(said.contains("robots.txt answered 500"), "{said}");
}

#[tokio::test]
async fn an_empty_page_keeps_what_was_stored_of_it() {
    let asked = Arc::new(AtomicBool::new(false));
    let answer = async move || {
        if asked.swap(true, Ordering::Relaxed) {
            typed("text/html", Vec::new())
        } else {
            page("T")
        }
    };
    let (server, source) = (
        serve(Router::new().route("/page", get(answer))).await,
        Memory::default(),
    );
    let link = format!("{}/page", server.origin);
    let report = fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    let report = fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(counts(&report), (0, 0, 0));
    assert_eq!(why(&report, "/page"), "it has no main text");
    assert_eq!(source.documents().len(), 1);
}
