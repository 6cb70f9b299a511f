//! Pages of platforms that lead on, ask to be left out, or would take readers of markup without end.

use std::fmt::Write as _;

use axum::Router;
use axum::routing::get;

use super::posts::substack;
use super::web::{Server, allowed, serve, typed};
use super::*;

/// Markup as it stands in a text of a script.
fn escaped(markup: &str) -> String {
    markup.replace("</", "<\\u002F")
}

/// A page of Substack with this at the beginning of its body.
fn begun(slug: &str, markup: &str) -> String {
    substack(slug, "everyone", 1).replace("<body>", &format!("<body>{markup}"))
}

/// A publication of these posts, named by its sitemap.
async fn publication<const N: usize>(posts: [(&'static str, String); N]) -> Server {
    let named: Vec<&str> = posts.iter().map(|(slug, _)| *slug).collect();
    let sitemap = async move |headers: axum::http::HeaderMap| {
        let host = headers["host"].to_str().unwrap();
        let mut text = "<urlset>".to_owned();
        for slug in named {
            write!(text, "<url><loc>http://{host}/p/{slug}</loc></url>").unwrap();
        }
        typed("application/xml", (text + "</urlset>").into_bytes())
    };
    let mut router = Router::new().route("/sitemap.xml", get(sitemap));
    for (slug, html) in posts {
        let answer = async move || typed("text/html", html.into_bytes());
        router = router.route(&format!("/p/{slug}"), get(answer));
    }
    serve(router).await
}

#[tokio::test]
async fn a_listed_post_is_followed_to_where_it_leads_and_a_hostile_one_costs_nothing() {
    let refresh = "<meta http-equiv=refresh content='0; url=/p/new'>".to_owned();
    let hidden = substack("hidden", "everyone", 1)
        .replace("<head>", "<head><meta name=robots content=noindex>");
    let long = "<h3>Part</h3>".repeat(2_000) + "<h2>";
    let server = publication([
        ("old", refresh),
        ("new", substack("new", "everyone", 1)),
        ("deep", begun("deep", &"<div>".repeat(100_000))),
        ("wide", begun("wide", &"<br>".repeat(200_000))),
        ("nested", begun("nested", &"<div>".repeat(400))),
        (
            "inside",
            substack("inside", "everyone", 1).replace("<h2>", &"<ul><li>".repeat(15_000)),
        ),
        (
            "long",
            substack("long", "everyone", 1).replace("<h2>", &escaped(&long)),
        ),
        ("hidden", hidden),
    ])
    .await;
    let source = Memory::default();
    let request = asked(&server.origin, "substack");
    let report = crawl(&source, &request, &allowed(), &()).await.unwrap();
    for (path, part) in [
        ("/p/deep", "nested more than 512 deep"),
        ("/p/wide", "more than 25000 elements"),
        ("/p/inside", "nested more than 512 deep"),
        ("/p/hidden", "asks not to be indexed"),
    ] {
        assert!(why(&report, path).contains(part), "{path}: {report:?}");
    }
    let mut links: Vec<_> = source
        .documents()
        .iter()
        .map(|document| document.fields["link"].as_str().unwrap().to_owned())
        .collect();
    links.sort();
    let link = |slug: &str| format!("{}/p/{slug}", server.origin);
    assert_eq!(links, [link("long"), link("nested"), link("new")]);
}

#[tokio::test]
async fn a_hostile_page_that_is_said_to_be_of_linkedin_is_refused() {
    let deep = "<div>".repeat(100_000).into_bytes();
    let router = Router::new().route(
        "/posts/a-activity-1",
        get(async move || typed("text/html", deep)),
    );
    let server = serve(router).await;
    let source = Memory::default();
    let request = asked(&format!("{}/posts/a-activity-1", server.origin), "linkedin");
    let report = crawl(&source, &request, &allowed(), &()).await.unwrap();
    assert!(why(&report, "/posts/a-activity-1").contains("nested more than 512 deep"));
    assert!(source.documents().is_empty());
}
