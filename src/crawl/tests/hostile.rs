//! A site that means ill: each of its answers ends in time, with a clear reason, and within memory.
//!
//! What a page's markup does to its reader is in [`strange`](super::strange) and beside the readers. Time is
//! paused: whatever waits is woken at once, in the order of the clock.

mod bombs;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::web::{allowed, fetch, refusal, serve, typed};
use super::*;
use crate::Error;

const HTML: &str = "text/html; charset=utf-8";
const MIB: u64 = 1 << 20;

fn small() -> Settings {
    Settings {
        page_bytes_max: MIB,
        ..allowed()
    }
}

/// A body that goes on for as long as somebody reads, and how much of it was read.
fn endless(sent: Arc<AtomicUsize>) -> Body {
    let chunk = vec![b' '; 16 << 10];
    Body::from_stream(stream::repeat_with(move || {
        sent.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(chunk.clone())
    }))
}

#[tokio::test]
async fn redirects_that_loop_chase_or_lead_inside_end_with_the_reason() {
    let inside = [
        ("loopback", "http://[::1]/"),
        ("other", "http://127.0.0.2/"),
        ("number", "http://2130706434/"),
        ("hexadecimal", "http://0x7f.0.0.2/"),
        ("octal", "http://0177.0.0.2/"),
        ("mapped", "http://[::ffff:169.254.169.254]/"),
        ("metadata", "http://169.254.169.254/latest/meta-data/"),
        ("name", "http://localhost/"),
        ("translated", "http://[64:ff9b::a9fe:a9fe]/"),
        ("any", "http://0.0.0.0/"),
        ("carrier", "http://100.64.0.1/"),
    ];
    let lead = async move |Path(name): Path<String>| {
        let to = inside.iter().find(|(from, _)| *from == name);
        Redirect::temporary(to.unwrap().1)
    };
    let chase = async |Path(at): Path<u64>| Redirect::temporary(&format!("/chase/{}", at + 1));
    let router = Router::new()
        .route("/one", get(async || Redirect::permanent("/two")))
        .route("/two", get(async || Redirect::permanent("/one")))
        .route("/chase/{at}", get(chase))
        .route("/nowhere", get(async || StatusCode::FOUND))
        .route("/to/{name}", get(lead));
    let server = serve(router).await;
    let said = async |path: &str| refusal(&format!("{}{path}", server.origin), &allowed()).await;
    for path in ["/one", "/chase/0"] {
        let said = said(path).await;
        assert!(
            said.contains("redirected more than 5 times"),
            "{path}: {said}"
        );
    }
    assert!(said("/nowhere").await.contains("redirected to nowhere"));
    for (name, to) in inside {
        let said = said(&format!("/to/{name}")).await;
        assert!(said.contains("is a private address"), "{to}: {said}");
    }
}

#[tokio::test]
async fn a_body_that_unpacks_without_end_is_cut_off_whatever_packed_it() {
    let packed = |Path(encoding): Path<String>| {
        let body = match encoding.as_str() {
            "br" => bombs::brotli(),
            "zstd" => bombs::zstd(512),
            _ => unreachable!("nothing else is asked for"),
        };
        assert!(body.len() < 4_096, "it is small as it is sent");
        async move {
            (
                [
                    (header::CONTENT_TYPE, HTML.to_owned()),
                    (header::CONTENT_ENCODING, encoding),
                ],
                body,
            )
        }
    };
    let server = serve(Router::new().route("/as/{encoding}", get(packed))).await;
    for encoding in ["br", "zstd"] {
        let link = format!("{}/as/{encoding}", server.origin);
        let error = fetch(&Memory::default(), &link, &small())
            .await
            .unwrap_err();
        let limited =
            matches!(&error, Error::TooLarge { limit: MIB, bytes, .. } if *bytes < 2 * MIB);
        assert!(limited, "{encoding}: {error}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_the_limit_and_no_further() {
    let sent = Arc::new(AtomicUsize::new(0));
    let body = Arc::clone(&sent);
    let answer = async move || ([(header::CONTENT_TYPE, HTML)], endless(Arc::clone(&body)));
    let server = serve(Router::new().route("/", get(answer))).await;
    let error = fetch(&Memory::default(), &server.origin, &small())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: MIB, .. }),
        "{error}"
    );
    // What the sockets on the way hold is sent and not read.
    assert!(sent.load(Ordering::Relaxed) < 16 << 20);
}

#[tokio::test]
async fn of_a_robots_txt_of_50_mb_the_beginning_is_obeyed_and_the_rest_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let robots = async move || {
        let rules = "User-agent: *\nDisallow: /private\n".to_owned();
        let line = "Disallow: /x*y*z\n".repeat(1_000);
        let parts = std::iter::once(rules).chain(std::iter::repeat_n(line, 3_000));
        Body::from_stream(stream::iter(parts.map(move |part| {
            count.fetch_add(part.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(part)
        })))
    };
    let page = async || typed(HTML, html("T", "Text.").into_bytes());
    let router = Router::new()
        .route("/robots.txt", get(robots))
        .route("/open", get(page))
        .route("/private", get(page));
    let server = serve(router).await;
    let link = |path: &str| format!("{}{path}", server.origin);
    let report = fetch(&Memory::default(), &link("/open"), &allowed())
        .await
        .unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    let said = refusal(&link("/private"), &allowed()).await;
    assert!(said.contains("robots.txt forbids it"), "{said}");
    assert!(
        sent.load(Ordering::Relaxed) < 32 << 20,
        "twice what the sockets hold at most"
    );
}

/// A server that takes every connection, and does this with each.
async fn bare<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    (origin, serving)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_drop_by_drop_is_left_after_the_time_for_one_page() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n"] {
        let (origin, _serving) = bare(move |mut stream| async move {
            let mut asked = [0; 1_024];
            let count = stream.read(&mut asked).await.unwrap_or_default();
            if asked[..count].starts_with(b"GET /robots.txt") {
                let missing =
                    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(missing.as_bytes()).await.unwrap();
                return;
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            // A header that never ends, or a body.
            while stream.write_all(b"a").await.is_ok() {
                sleep(Duration::from_secs(7)).await;
            }
        })
        .await;
        let begun = Instant::now();
        let said = refusal(&format!("{origin}/slow"), &allowed()).await;
        assert!(
            said.contains("did not answer") || said.contains("timed out"),
            "{said}"
        );
        assert!(
            begun.elapsed() <= Duration::from_secs(61),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_that_take_their_time_have_that_for_one_page_all_together() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let slow = async move |Path(at): Path<u64>| {
        count.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_secs(25)).await;
        Redirect::temporary(&format!("/slow/{}", at + 1))
    };
    let server = serve(Router::new().route("/slow/{at}", get(slow))).await;
    let begun = Instant::now();
    let said = refusal(&format!("{}/slow/0", server.origin), &allowed()).await;
    assert!(said.contains("did not answer"), "{said}");
    // Two that take 25 of 60 seconds each, and one that has 10.
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert!(
        begun.elapsed() < Duration::from_mins(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn headers_without_end_and_lengths_that_lie_are_told() {
    for (answer, part) in [
        (
            format!("HTTP/1.1 200 OK\r\n{}", "x-a: b\r\n".repeat(2_000_000)),
            "server",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\ncontent-type: text/html\r\n\r\nx"
                .to_owned(),
            "limit",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncontent-type: text/html\r\n\r\nshort"
                .to_owned(),
            "server",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: text/html\r\n\r\nno gzip"
                .to_owned(),
            "server",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"
                .to_owned(),
            "server",
        ),
        ("\0\u{1}\u{2}".to_owned(), "server"),
    ] {
        let begin = answer.chars().take(80).collect::<String>();
        let answer = Arc::new(answer);
        let (origin, _serving) = bare(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                let mut asked = [0; 1_024];
                let count = stream.read(&mut asked).await.unwrap_or_default();
                let robots = asked[..count].starts_with(b"GET /robots.txt");
                let missing =
                    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let answer = if robots { missing } else { answer.as_str() };
                // Who is told enough hangs up.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        })
        .await;
        let said = refusal(&format!("{origin}/page"), &allowed()).await;
        assert!(said.contains(part), "{begin}: {said}");
    }
}

#[tokio::test]
async fn of_a_page_with_10_000_links_none_is_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let links: Vec<_> = (0..10_000)
        .map(|at| format!("<li><a href=/{at}>Link {at}</a>"))
        .collect();
    let page =
        html("T", "Text.").replace("</main>", &format!("<ul>{}</ul></main>", links.concat()));
    let answer = async move || {
        count.fetch_add(1, Ordering::Relaxed);
        typed(HTML, page.into_bytes())
    };
    let server = serve(Router::new().route("/{*path}", get(answer))).await;
    let source = Memory::default();
    let link = format!("{}/page", server.origin);
    let report = fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    assert!(content(&source.documents()[0], "Content").contains(LONG));
    assert_eq!(asked.load(Ordering::Relaxed), 2, "robots.txt and the page");
}

/// A page whose header says one thing and whose bytes are another.
fn lying(name: &str) -> Response {
    let text = html("Größe", "Schöne Grüße.");
    let (latin, ..) = encoding_rs::WINDOWS_1252.encode(&text);
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let broken = [text.as_bytes(), b"<p>\xff\xfe\xc3\x28\xf0\x9f", &[0xc0; 4]].concat();
    let (kind, bytes) = match name {
        "image" => ("image/png", text.into_bytes()),
        "program" => ("application/octet-stream", text.into_bytes()),
        "unknown" => ("text/html; charset=klingon", text.into_bytes()),
        "odd" => ("TEXT/HTML ; Charset=\"UTF-8\" ; q=\"", text.into_bytes()),
        "latin" => ("text/html; charset=iso-8859-1", latin.into_owned()),
        "utf-16" => (
            "text/html; charset=utf-16",
            [&[0xff, 0xfe], &utf_16[..]].concat(),
        ),
        "not-utf-16" => ("text/html; charset=utf-16le", text.into_bytes()),
        "broken" => (HTML, broken),
        "zeros" => (HTML, vec![0; 100_000]),
        _ => unreachable!("nothing else is asked for"),
    };
    (
        HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]),
        bytes,
    )
        .into_response()
}

#[tokio::test]
async fn types_and_charsets_that_lie_give_the_text_or_the_reason() {
    let answer = async |Path(name): Path<String>| lying(&name);
    let server = serve(Router::new().route("/is/{name}", get(answer))).await;
    let link = |name: &str| format!("{}/is/{name}", server.origin);
    for name in ["unknown", "odd", "latin", "utf-16", "not-utf-16", "broken"] {
        let source = Memory::default();
        let report = fetch(&source, &link(name), &allowed()).await.unwrap();
        assert_eq!(counts(&report), (1, 0, 0), "{name}: {report:?}");
        let text = content(&source.documents()[0], "Content");
        assert!(text.starts_with("Schöne Grüße."), "{name}: {text}");
    }
    for (name, part) in [
        ("image", "image/png, not a page"),
        ("program", "octet-stream, not a page"),
    ] {
        let said = refusal(&link(name), &allowed()).await;
        assert!(said.contains(part), "{name}: {said}");
    }
    let source = Memory::default();
    let report = fetch(&source, &link("zeros"), &allowed()).await.unwrap();
    assert!(why(&report, "zeros").contains("no text"), "{report:?}");
    assert!(source.documents().is_empty());
}
