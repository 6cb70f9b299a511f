//! Publications of Medium and Substack on the loopback address.
//!
//! The pages are written here, with the structure that the platforms' own have: Medium's
//! `window.__APOLLO_STATE__` (`Post:<id>` with `content(…)`, `bodyModel`, `Paragraph:<id>` by
//! `__ref`, `isLockedPreviewOnly`, `clapCount`) and its `al:ios:url`, as the GraphQL
//! fragments of Medium's own scripts and public importers name them; its
//! feed and its sitemap index by days; Substack's `window._preloads = JSON.parse("…")` with
//! `post.body_html` and `post.audience`, its `/feed` and `/sitemap.xml`, as public importers name them. No page
//! that either platform served is kept here: a change of theirs is not seen by these tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};

use super::web::{self, allowed, serve, typed};
use super::*;
use crate::crawl::probe;
use crate::document::key_of_link;

const OPEN: &str = "0123456789ab";
const CLOSED: &str = "ba9876543210";
const REFUSED: &str = "00112233aabb";

/// A page of Medium: the beginning as markup, the whole post in the state.
fn medium(id: &str, locked: bool, claps: u64) -> String {
    let paragraph = |name: &str, fields: Value| {
        let mut whole = json!({"__typename": "Paragraph", "id": name, "markups": []});
        whole
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        whole
    };
    let state = json!({
        "ROOT_QUERY": {"__typename": "Query"},
        "User:u1": {"__typename": "User", "id": "u1", "name": "Ada Lovelace", "username": "ada"},
        format!("Post:{id}"): {
            "__typename": "Post", "id": id, "title": format!("Post {id}"), "isLocked": locked,
            "creator": {"__ref": "User:u1"}, "firstPublishedAt": 1_706_933_106_000_u64,
            "latestPublishedAt": 1_706_933_106_000_u64, "clapCount": claps,
            "postResponses": {"__typename": "PostResponses", "count": 3},
            "extendedPreviewContent": {"subtitle": "On looms"},
            "mediumUrl": format!("https://elsewhere.example/{id}"),
            "content({\"postMeteringOptions\":{}})": {
                "__typename": "PostContent", "isLockedPreviewOnly": locked,
                "bodyModel": {"__typename": "RichText", "paragraphs": [
                    {"__ref": "Paragraph:a"}, {"__ref": "Paragraph:b"}, {"__ref": "Paragraph:c"},
                ]},
            },
        },
        "Paragraph:a": paragraph("a", json!({"type": "H3", "text": format!("Post {id}")})),
        "Paragraph:b": paragraph("b", json!({"type": "P", "text": LONG.repeat(4)})),
        "Paragraph:c": paragraph("c", json!({
            "type": "PRE", "text": "fn weave() {\n    loom();\n}",
            "codeBlockMetadata": {"__typename": "CodeBlockMetadata", "mode": "EXPLICIT", "lang": "rust"},
        })),
    });
    let state = state.to_string().replace('<', "\\u003c");
    format!(
        "<!doctype html><html lang=en><head><title>Post {id} | Medium</title>\
         <meta property=\"al:ios:url\" content=\"medium://p/{id}\"><meta name=generator content=Medium>\
         </head><body><article><h1>Post {id}</h1><p>{LONG}</p></article>\
         <script>window.__APOLLO_STATE__ = {state}</script><script>window.main();</script></body></html>"
    )
}

const MEDIUM_FEED: &str = "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0' \
    xmlns:dc='http://purl.org/dc/elements/1.1/' \
    xmlns:content='http://purl.org/rss/1.0/modules/content/'><channel><title>The Loom</title>\
    <item><title><![CDATA[Refused]]></title>\
    <link>ORIGIN/refused-00112233aabb?source=rss----1---4</link><dc:creator><![CDATA[Ada]]></dc:creator>\
    <pubDate>Sat, 03 Feb 2024 04:05:06 GMT</pubDate><content:encoded><![CDATA[<p>LONG</p><p>LONG</p>\
    <p>LONG</p><p><a href='ORIGIN/x'>Continue reading on The Loom »</a></p>]]></content:encoded></item>\
    <item><title>Open</title><link>ORIGIN/open-0123456789ab?source=rss----1---4</link></item>\
    <item><title>Inside</title><link>http://169.254.169.254/inside-0123456789aa</link></item>\
    </channel></rss>";

/// With so many claps the refused post is shown.
const LET_IN: u64 = 100;

async fn medium_publication(claps: Arc<AtomicU64>) -> web::Server {
    let origin = |headers: &HeaderMap| format!("http://{}", headers["host"].to_str().unwrap());
    let xml = |text: String| typed("text/xml; charset=utf-8", text.into_bytes());
    let feed = move |headers: HeaderMap| async move {
        xml(MEDIUM_FEED
            .replace("ORIGIN", &origin(&headers))
            .replace("LONG", LONG))
    };
    let index = move |headers: HeaderMap| async move {
        let at = origin(&headers);
        xml(format!(
            "<sitemapindex><sitemap><loc>{at}/sitemap/posts/2024/posts-2024-02-03.xml</loc></sitemap>\
             </sitemapindex>"
        ))
    };
    let day = move |headers: HeaderMap| async move {
        let at = origin(&headers);
        xml(format!(
            "<urlset><url><loc>{at}/open-{OPEN}</loc><lastmod>2024-02-03</lastmod></url>\
             <url><loc>{at}/closed-{CLOSED}</loc></url><url><loc>{at}/about</loc></url></urlset>"
        ))
    };
    let page = |html: String| typed("text/html; charset=utf-8", html.into_bytes());
    let router = Router::new()
        .route("/feed", get(feed))
        .route("/sitemap/sitemap.xml", get(index))
        .route("/sitemap/posts/2024/posts-2024-02-03.xml", get(day))
        .route(
            "/{post}",
            get(async move |path: axum::extract::Path<String>| {
                let claps = claps.load(Ordering::Relaxed);
                match path.rsplit_once('-').map(|(_, id)| id) {
                    Some(OPEN) => page(medium(OPEN, false, claps)).into_response(),
                    Some(CLOSED) => page(medium(CLOSED, true, claps)).into_response(),
                    Some(REFUSED) if claps >= LET_IN => {
                        page(medium(REFUSED, false, claps)).into_response()
                    }
                    Some(REFUSED) => StatusCode::FORBIDDEN.into_response(),
                    _ => StatusCode::NOT_FOUND.into_response(),
                }
            }),
        );
    serve(router).await
}

fn titled<'a>(documents: &'a [Document], title: &str) -> &'a Document {
    let mut found = documents
        .iter()
        .filter(|one| one.fields["content"]["Title"] == title);
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{title} is not among {documents:?}"));
    assert!(found.next().is_none(), "{title} is there twice");
    one
}

#[tokio::test]
async fn a_post_that_its_page_gave_stays_whole_when_the_page_fails_for_once() {
    let claps = Arc::new(AtomicU64::new(LET_IN));
    let server = medium_publication(Arc::clone(&claps)).await;
    let source = Memory::default();
    let crawl = async || {
        let request = asked(&server.origin, "medium");
        crawl(&source, &request, &allowed(), &()).await.unwrap()
    };
    crawl().await;
    let before = source.documents();
    let whole = titled(&before, &format!("Post {REFUSED}"));
    assert_eq!(whole.fields.get("partial"), None);
    claps.store(5, Ordering::Relaxed);
    let report = crawl().await;
    assert!(why(&report, REFUSED).contains("403"), "{report:?}");
    let after = source.documents();
    assert_eq!(
        titled(&after, &format!("Post {REFUSED}")).fields,
        whole.fields
    );
}

#[tokio::test]
async fn a_publication_of_medium_is_read_by_feed_and_sitemap_each_post_once() {
    let claps = Arc::new(AtomicU64::new(5));
    let server = medium_publication(Arc::clone(&claps)).await;
    let source = Memory::default();
    let crawl = async || {
        let request = asked(&server.origin, "medium");
        crawl(&source, &request, &allowed(), &()).await.unwrap()
    };
    let report = crawl().await;
    assert_eq!(counts(&report), (3, 0, 0));
    assert!(why(&report, "inside-0123456789aa").contains("private address"));

    let documents = source.documents();
    let open = titled(&documents, &format!("Post {OPEN}"));
    assert_eq!(open.fields["platform"], "medium");
    assert_eq!(
        open.fields["link"],
        format!("{}/open-{OPEN}", server.origin)
    );
    assert_eq!(open.fields["byline"], "Ada Lovelace");
    assert_eq!(open.fields["published_at"], "2024-02-03T04:05:06Z");
    let facts = ["partial", "reaction_count", "comment_count"].map(|name| open.fields.get(name));
    assert_eq!(facts, [None, Some(&json!(5)), Some(&json!(3))]);
    let text = content(open, "Content");
    assert!(
        text.contains("```rust\nfn weave() {\n    loom();\n}\n```"),
        "{text}"
    );
    assert!(!text.contains(OPEN), "the title is no text: {text}");
    let closed = titled(&documents, &format!("Post {CLOSED}"));
    assert_eq!(closed.fields["partial"], true);
    let refused = titled(&documents, "Refused");
    assert_eq!(refused.fields["partial"], true);
    assert!(content(refused, "Content").contains(LONG));

    assert_eq!(counts(&crawl().await), (0, 3, 0));
    claps.store(6, Ordering::Relaxed);
    assert_eq!(counts(&crawl().await), (2, 1, 0));
    let after = source.documents();
    let after = titled(&after, &format!("Post {OPEN}"));
    assert_eq!((&after.key, content(after, "Content")), (&open.key, text));
}

#[tokio::test]
async fn a_page_on_another_host_cannot_take_the_place_of_a_post_of_medium() {
    let server = medium_publication(Arc::default()).await;
    let source = Memory::default();
    let link = format!("{}/open-{OPEN}?source=friends", server.origin);
    crawl(&source, &request(&link), &allowed(), &())
        .await
        .unwrap();
    let document = source.documents().remove(0);
    assert_eq!(
        document.fields["platform"], "medium",
        "it is known without being named"
    );
    let theirs = key_of_link("articles", &format!("https://medium.com/p/{OPEN}"));
    assert_ne!(document.key, theirs);
    assert_eq!(
        document.fields["link"],
        format!("{}/open-{OPEN}", server.origin)
    );
}

/// What Substack puts below a text that is not said in it.
const INVITING: &str = "<div class=\"subscription-widget-wrap\"><div class=\"subscription-widget\"><p \
    class=\"cta-caption\">Thanks for reading!</p></div></div><p class=\"button-wrapper\"><a \
    class=\"button primary\" href=\"/share\"><span>Share</span></a></p>";

/// A page of Substack whose markup is built by a script alone.
pub(super) fn substack(slug: &str, audience: &str, reactions: u64) -> String {
    let state = json!({
        "isEU": false, "pub": {"name": "Letters", "subdomain": "ada"},
        "post": {
            "id": 12, "slug": slug, "title": format!("Letter {slug}"), "subtitle": "On \"looms\"",
            "type": "newsletter", "audience": audience, "post_date": "2024-02-03T04:05:06.000Z",
            "body_html": format!("<h2>Patterns</h2><p>{LONG}</p><p>{LONG}</p><p>{LONG}</p>{INVITING}"),
            "reaction_count": reactions, "comment_count": 2, "wordcount": 90,
            "canonical_url": "https://elsewhere.example/p/other",
            "publishedBylines": [{"id": 1, "name": "Ada Lovelace", "handle": "ada"}],
        },
    });
    let inside = serde_json::to_string(&state.to_string())
        .unwrap()
        .replace("</", "<\\u002F");
    format!(
        "<!doctype html><html lang=en><head><title>Letter {slug}</title></head><body><div id=entry>\
         </div><script>window._preloads        = JSON.parse({inside})</script></body></html>"
    )
}

async fn substack_publication(reactions: Arc<AtomicU64>) -> web::Server {
    let origin = |headers: &HeaderMap| format!("http://{}", headers["host"].to_str().unwrap());
    let feed = move |headers: HeaderMap| async move {
        let at = origin(&headers);
        let text = format!(
            "<rss version='2.0'><channel><title>Letters</title><item><title>One</title>\
             <link>{at}/p/one?utm_campaign=rss</link></item></channel></rss>"
        );
        typed("application/xml", text.into_bytes())
    };
    let sitemap = move |headers: HeaderMap| async move {
        let at = origin(&headers);
        let text = format!(
            "<urlset><url><loc>{at}/archive</loc></url><url><loc>{at}/p/one</loc></url>\
             <url><loc>{at}/p/paid</loc></url></urlset>"
        );
        typed("application/xml", text.into_bytes())
    };
    let post = async move |path: axum::extract::Path<String>| {
        let audience = if *path == "paid" {
            "only_paid"
        } else {
            "everyone"
        };
        let html = substack(&path, audience, reactions.load(Ordering::Relaxed));
        typed("text/html; charset=utf-8", html.into_bytes())
    };
    let router = Router::new()
        .route("/feed", get(feed))
        .route("/sitemap.xml", get(sitemap))
        .route("/p/{slug}", get(post));
    serve(router).await
}

#[tokio::test]
async fn a_publication_of_substack_is_read_from_its_state_and_paid_posts_are_partial() {
    let server = substack_publication(Arc::default()).await;
    let source = Memory::default();
    let single = format!("{}/p/one?r=1a&utm_source=share#comments", server.origin);
    crawl(&source, &request(&single), &allowed(), &())
        .await
        .unwrap();
    assert_eq!(source.documents().len(), 1);
    let whole = asked(&format!("{}/archive", server.origin), "substack");
    let report = crawl(&source, &whole, &allowed(), &()).await.unwrap();
    assert_eq!(
        counts(&report),
        (1, 1, 0),
        "the one that was there stays one: {report:?}"
    );
    let documents = source.documents();
    let one = titled(&documents, "Letter one");
    assert_eq!(one.fields["platform"], "substack");
    assert_eq!(one.fields["link"], format!("{}/p/one", server.origin));
    assert_eq!(one.fields["content"]["Subtitle"], "On \"looms\"");
    assert_eq!(one.fields["published_at"], "2024-02-03T04:05:06.000Z");
    let expected = format!("## Patterns\n\n{LONG}\n\n{LONG}\n\n{LONG}");
    assert_eq!(content(one, "Content"), expected);
    assert!(why(&report, "/p/paid").contains("before its paywall"));
    assert_eq!(one.fields.get("partial"), None);
    assert_eq!(titled(&documents, "Letter paid").fields["partial"], true);
}

/// What is stored of a page of Substack at this link.
fn probed(html: &str, link: &str) -> Result<Document, String> {
    let url = url::Url::parse(link).unwrap();
    probe(html.as_bytes().to_vec(), None, &url, None)
}

#[test]
fn a_post_that_is_read_by_its_number_is_its_publications_where_that_is_sure() {
    let numbered = "https://substack.com/home/post/p-12";
    let own = "https://ada.substack.com/p/one";
    let page = |told: &str| {
        substack("one", "everyone", 0).replace("https://elsewhere.example/p/other", told)
    };
    let stored = |html: &str, at: &str| {
        let document = probed(html, at).unwrap();
        let link = document.fields["link"].as_str().unwrap().to_owned();
        assert_eq!(document.key, key_of_link("articles", &link));
        link
    };
    assert_eq!(stored(&page(own), &format!("{numbered}?source=queue")), own);
    for told in [
        "https://letters.example.org/p/one",
        "https://ada.substack.com/p/another",
        "http://ada.substack.com/p/one",
        "https://ada.substack.com:8443/p/one",
        "https://open.substack.com/p/one",
        "https://substack.com/p/one",
        "https://ada.substack.com/",
        "no link",
    ] {
        assert_eq!(stored(&page(told), numbered), numbered, "{told}");
    }
    let another = "https://substack.com/home/post/p-13";
    assert_eq!(stored(&page(own), another), another);
    let elsewhere = "https://letters.example.org/p/one";
    assert_eq!(stored(&page(own), elsewhere), elsewhere);
    // A writer's words in the page look like the script, and are none.
    let written = page(own).replace("<script>", "<p>");
    assert_eq!(stored(&written, numbered), numbered);
}

#[test]
fn what_stands_below_a_post_is_the_post_and_not_its_comments() {
    let link = "https://letters.example.org/p/one";
    let below = format!("{link}/comments");
    let comments = format!("<main>{}</main>", "<p>A comment. LONG</p>".repeat(20));
    let comments = comments.replace("LONG", LONG);
    let html = substack("one", "everyone", 0).replace("<div id=entry></div>", &comments);
    let document = probed(&html, &below).unwrap();
    assert_eq!(document.fields["link"], link);
    assert_eq!(document.key, key_of_link("articles", link));
    let text = content(&document, "Content");
    assert!(
        text.starts_with("## Patterns") && !text.contains("A comment."),
        "{text}"
    );
    let said = probed(&html.replace("body_html", "no_html"), &below).unwrap_err();
    assert!(said.contains("below a post"), "{said}");
}

#[tokio::test]
async fn a_publication_that_lists_its_posts_nowhere_says_so() {
    let server = serve(Router::new()).await;
    let request = asked(&server.origin, "substack");
    let said = crawl(&Memory::default(), &request, &allowed(), &())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("not listed anywhere") && said.contains("/feed: it is gone"),
        "{said}"
    );
}
