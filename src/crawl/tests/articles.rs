//! Articles as sites really serve them: in two forms, behind a refresh or a paywall, or as no article at all.

use axum::Router;
use axum::routing::get;

use super::web::{allowed, fetch, refusal, serve, typed};
use super::*;

const HTML: &str = "text/html; charset=utf-8";

/// A site that answers each path with a page.
fn site<const N: usize>(pages: [(&'static str, String); N]) -> Router {
    pages
        .into_iter()
        .fold(Router::new(), |router, (path, html)| {
            let answer = async move || typed(HTML, html.into_bytes());
            router.route(path, get(answer))
        })
}

fn with_head(head: &str) -> String {
    html("T", "Text.").replace("<head>", &format!("<head>{head}"))
}

#[tokio::test]
async fn the_form_of_a_page_for_phones_is_the_page_itself() {
    let amp = with_head("<link rel=canonical href='/a'>").replace("<html", "<html amp");
    let server = serve(site([
        ("/a", with_head("<link rel=amphtml href='/amp/a'>")),
        ("/amp/a", amp),
    ]))
    .await;
    let source = Memory::default();
    for path in ["/amp/a?utm_campaign=x", "/a?fbclid=y"] {
        let link = format!("{}{path}", server.origin);
        fetch(&source, &link, &allowed()).await.unwrap();
    }
    let links: Vec<_> = source
        .documents()
        .iter()
        .map(|document| document.fields["link"].clone())
        .collect();
    assert_eq!(links, [format!("{}/a", server.origin)]);
}

#[tokio::test]
async fn a_page_that_only_leads_on_is_followed_and_a_loop_of_them_ends() {
    let refresh = |to: &str| format!("<meta http-equiv=refresh content='0; url={to}'>");
    let server = serve(site([
        ("/old", refresh("/new")),
        ("/new", html("New", "Text.")),
        ("/one", refresh("/two")),
        ("/two", refresh("/one")),
        ("/inside", refresh("http://169.254.169.254/latest")),
    ]))
    .await;
    let source = Memory::default();
    let link = |path: &str| format!("{}{path}", server.origin);
    fetch(&source, &link("/old"), &allowed()).await.unwrap();
    assert_eq!(source.documents()[0].fields["link"], link("/new"));
    let said = refusal(&link("/one"), &allowed()).await;
    assert!(
        said.contains("led on to another page more than 3 times"),
        "{said}"
    );
    let said = refusal(&link("/inside"), &allowed()).await;
    assert!(said.contains("is a private address"), "{said}");
}

#[tokio::test]
async fn a_page_that_leads_only_readers_without_scripts_on_is_read_itself() {
    let hidden = "<noscript><meta http-equiv=refresh content='0; url=/plain'>\
        <meta name=robots content=noindex></noscript>";
    let server = serve(site([
        ("/app", with_head(hidden)),
        ("/plain", html("Plain", "Please enable scripts.")),
    ]))
    .await;
    let source = Memory::default();
    let link = format!("{}/app", server.origin);
    let report = fetch(&source, &link, &allowed()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let document = source.documents().remove(0);
    assert_eq!(document.fields["link"], link);
    assert!(content(&document, "Content").contains("Text."));
}

#[tokio::test]
async fn what_stands_before_a_paywall_is_stored_and_said_to_be_partial() {
    let data = r#"<script type="application/ld+json">
        {"@type":"NewsArticle","isAccessibleForFree":false}</script>"#;
    let server = serve(site([
        ("/paid", with_head(data)),
        ("/free", html("T", "Text.")),
    ]))
    .await;
    let source = Memory::default();
    let link = |path: &str| format!("{}{path}", server.origin);
    let report = fetch(&source, &link("/paid"), &allowed()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    assert!(why(&report, "/paid").contains("before its paywall"));
    assert_eq!(source.documents()[0].fields["partial"], true);
    let report = fetch(&source, &link("/free"), &allowed()).await.unwrap();
    assert!(report.skipped.is_empty(), "{report:?}");
}

#[tokio::test]
async fn what_only_calls_itself_a_page_says_what_is_wrong_and_stores_nothing() {
    let image = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 64]].concat();
    let server = serve(
        Router::new()
            .route("/image", get(async move || typed(HTML, image)))
            .route(
                "/document",
                get(async || typed(HTML, b"%PDF-1.7 ...".to_vec())),
            )
            .route(
                "/deep",
                get(async || typed(HTML, "<div>".repeat(100_000).into_bytes())),
            )
            .route(
                "/wide",
                get(async || typed(HTML, "<br>".repeat(200_000).into_bytes())),
            ),
    )
    .await;
    for (path, part) in [
        ("/image", "no text"),
        ("/document", "PDF"),
        ("/deep", "nested more than 512 deep"),
        ("/wide", "more than 25000 elements"),
    ] {
        let source = Memory::default();
        let link = format!("{}{path}", server.origin);
        let report = fetch(&source, &link, &allowed()).await.unwrap();
        assert!(why(&report, path).contains(part), "{path}: {report:?}");
        assert!(source.documents().is_empty());
    }
}

#[tokio::test]
async fn a_page_of_broken_utf_8_is_read_as_far_as_it_can_be() {
    let mut bytes = html("T", "Before").into_bytes();
    let at = bytes.windows(6).position(|word| word == b"Before").unwrap();
    bytes.splice(at + 6..at + 6, *b" \xc3\x28 after");
    let server = serve(Router::new().route("/a", get(async move || typed(HTML, bytes)))).await;
    let source = Memory::default();
    let link = format!("{}/a", server.origin);
    fetch(&source, &link, &allowed()).await.unwrap();
    let text = content(&source.documents()[0], "Content");
    assert!(text.contains("Before \u{fffd}( after"), "{text}");
}
