//! Public posts and articles of LinkedIn, on the loopback address and saved by hand.
//!
//! The pages are written here, with the structure that the platform's own have: JSON-LD of the type
//! `SocialMediaPosting` or `Article` with its `interactionStatistic`, and the commentary by its `data-test-id`, which
//! public readers of such pages name, too. No page that LinkedIn served is kept here, since its robots.txt lets no
//! program of ours ask for one: a change of its own is not seen by these tests.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use robotxt::Robots;
use serde_json::json;

use super::web::{allowed, refusal, serve, typed};
use super::*;
use crate::clock::Clock;
use crate::crawl::Manners;
use crate::document::key_of_link;

/// A public page of LinkedIn: JSON-LD and the commentary, others' posts below it.
fn linkedin(likes: u64) -> String {
    let linked = json!({
        "@context": "http://schema.org", "@type": "SocialMediaPosting",
        "datePublished": "2024-02-03T04:05:06.000Z", "articleBody": format!("{LONG} Briefly."),
        "author": {"@type": "Person", "name": "Ada Lovelace"},
        "interactionStatistic": [
            {"@type": "InteractionCounter", "interactionType": "http://schema.org/LikeAction",
                "userInteractionCount": likes},
            {"@type": "InteractionCounter", "interactionType": "http://schema.org/CommentAction",
                "userInteractionCount": 4},
        ],
    });
    format!(
        "<!doctype html><html lang=en><head><title>Ada on looms</title>\
         <script type=\"application/ld+json\">{linked}</script></head><body><main>\
         <p class=\"attributed-text-segment-list__content\" \
         data-test-id=\"main-feed-activity-card__commentary\">{LONG}<br>Briefly.</p></main>\
         <aside><p data-test-id=\"main-feed-activity-card__commentary\">Another's words.</p></aside>\
         </body></html>"
    )
}

/// A public article of LinkedIn: JSON-LD without the text, and markup with what stands around it.
fn pulse() -> String {
    let linked = json!({
        "@context": "http://schema.org", "@type": "Article", "headline": "On looms",
        "datePublished": "2024-02-03T04:05:06.000+00:00",
        "dateModified": "2024-02-04T04:05:06.000+00:00",
        "author": {"@type": "Person", "name": "Ada Lovelace"}, "commentCount": 3,
        "interactionStatistic": {"@type": "InteractionCounter",
            "interactionType": "http://schema.org/LikeAction", "userInteractionCount": 9},
    });
    let text = format!("<h2>Patterns</h2>{}", format!("<p>{LONG}</p>").repeat(4));
    format!(
        "<!doctype html><html lang=en><head><title>On looms | Ada Lovelace</title>\
         <script type=\"application/ld+json\">{linked}</script></head><body><nav><a href=/>Home</a></nav>\
         <main><article><h1>On looms</h1>{text}</article></main></body></html>"
    )
}

#[tokio::test]
async fn a_public_article_of_linkedin_is_one_article_by_all_its_links() {
    let article = async || typed("text/html; charset=utf-8", pulse().into_bytes());
    let server = serve(Router::new().route("/pulse/looms-ada-x1", get(article))).await;
    let source = Memory::default();
    let link = format!("{}/pulse/looms-ada-x1", server.origin);
    let crawl_it = async |form: &str| {
        let request = asked(&format!("{link}{form}"), "linkedin");
        let report = crawl(&source, &request, &allowed(), &()).await.unwrap();
        counts(&report)
    };
    assert_eq!(crawl_it("?trk=article").await, (1, 0, 0));
    assert_eq!(crawl_it("/").await, (0, 1, 0));
    let document = source.documents().remove(0);
    assert_eq!(document.key, key_of_link("articles", &link));
    assert_eq!(content(&document, "Title"), "On looms");
    let text = content(&document, "Content");
    assert!(
        text.contains("## Patterns") && text.contains(LONG) && !text.contains("Home"),
        "{text}"
    );
    for (name, value) in [
        ("platform", json!("linkedin")),
        ("link", json!(link)),
        ("byline", json!("Ada Lovelace")),
        ("published_at", json!("2024-02-03T04:05:06.000+00:00")),
        ("modified_at", json!("2024-02-04T04:05:06.000+00:00")),
        ("reaction_count", json!(9)),
        ("comment_count", json!(3)),
    ] {
        assert_eq!(document.fields[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_page_that_was_saved_by_hand_is_read_as_its_platform_has_it_and_stays_its_own_document() {
    let folder = tempfile::tempdir().unwrap();
    let post = "https://www.linkedin.com/posts/ada_looms-activity-712-AbCd";
    let article = "https://de.linkedin.com/pulse/looms-ada-x1/";
    let profile = "https://www.linkedin.com/in/ada";
    for (name, html, own, kind, platform, link) in [
        ("post.html", linkedin(7), post, "posts", "linkedin", post),
        (
            "article.html",
            pulse(),
            article,
            "articles",
            "linkedin",
            "https://www.linkedin.com/pulse/looms-ada-x1",
        ),
        (
            "profile.html",
            pulse(),
            profile,
            "articles",
            "file",
            profile,
        ),
    ] {
        let source = Memory::default();
        let path = folder.path().join(name);
        let head = format!("<head><link rel=canonical href=\"{own}\">");
        fs::write(&path, html.replace("<head>", &head)).unwrap();
        assert_eq!(counts(&crawl_path(&source, &path).await), (1, 0, 0));
        let document = source.documents().remove(0);
        let at = url::Url::from_file_path(path.canonicalize().unwrap()).unwrap();
        assert_eq!(document.key, key_of_link(kind, at.as_str()), "{name}");
        assert_eq!(document.fields["platform"], platform, "{name}");
        assert_eq!(document.fields["link"], link, "{name}");
        let is_counted = document.fields.contains_key("reaction_count");
        assert_eq!(is_counted, platform == "linkedin", "{name}");
        assert!(content(&document, "Content").contains(LONG), "{name}");
        assert_eq!(counts(&crawl_path(&source, &path).await), (0, 1, 0));
    }
    let source = Memory::default();
    crawl_path(&source, folder.path()).await;
    let documents = source.documents();
    let is_article = |document: &Document| document.key.kind == "articles";
    assert!(!documents.is_empty() && documents.iter().all(is_article));
}

#[tokio::test]
async fn a_saved_page_that_is_of_another_type_now_leaves_nothing_of_the_one_before() {
    let own = "https://www.linkedin.com/posts/ada_looms-activity-712-AbCd";
    let head = format!("<head><link rel=canonical href=\"{own}\">");
    let post = linkedin(7).replace("<head>", &head);
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("looms.html");
    for (html, kind, deleted) in [
        (pulse(), "articles", 0),
        (post.clone(), "posts", 1),
        // Another page of the type is the same document.
        (post.replace("Briefly.", "At length."), "posts", 0),
        (pulse(), "articles", 1),
    ] {
        fs::write(&path, html).unwrap();
        assert_eq!(counts(&crawl_path(&source, &path).await), (1, 0, deleted));
        let documents = source.documents();
        assert!(documents.iter().all(|document| document.key.kind == kind));
    }
    // What a folder found of it is the folder's, which goes on reading it so.
    crawl_path(&source, folder.path()).await;
    fs::write(&path, post).unwrap();
    assert_eq!(counts(&crawl_path(&source, &path).await), (1, 0, 0));
    let documents = source.documents();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].fields["crawl_root"], root(folder.path()));
    // A page that gives nothing says nothing of what it was.
    fs::write(&path, "<html><body></body></html>").unwrap();
    assert_eq!(counts(&crawl_path(&source, &path).await), (0, 0, 0));
    assert_eq!(source.documents(), documents);
}

/// The link that a folder's pages are found under.
fn root(folder: &Path) -> String {
    let link = url::Url::from_file_path(folder.canonicalize().unwrap());
    link.unwrap().into()
}

#[tokio::test]
async fn a_link_that_linkedin_forbids_is_refused_with_the_ways_that_are_left() {
    let settings = Settings {
        manners: Manners::new(Clock::manual(1_000_000)),
        ..Settings::default()
    };
    let link = "https://www.linkedin.com/posts/ada_looms-activity-712-AbCd";
    let url = url::Url::parse(link).unwrap();
    let robots = Arc::new(Robots::disallow_all());
    settings.manners.learn(&url, robots, 0);
    let said = refusal(link, &settings).await;
    for part in [
        "robots.txt forbids it",
        "copy of your data",
        "crawl the file",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_public_post_of_linkedin_is_a_post_whose_counts_are_metadata() {
    let likes = Arc::new(AtomicU64::new(7));
    let shown = Arc::clone(&likes);
    let post = async move || {
        let html = linkedin(shown.load(Ordering::Relaxed));
        typed("text/html; charset=utf-8", html.into_bytes())
    };
    let wall = async || typed("text/html", b"<html><body>Sign in</body></html>".to_vec());
    let router = Router::new()
        .route("/posts/ada_looms-activity-712-AbCd", get(post))
        .route("/posts/hidden-activity-713-AbCd", get(wall));
    let server = serve(router).await;
    let source = Memory::default();
    let link = format!(
        "{}/posts/ada_looms-activity-712-AbCd?utm_source=share",
        server.origin
    );
    let crawl_it = async || crawl(&source, &asked(&link, "linkedin"), &allowed(), &()).await;
    assert_eq!(counts(&crawl_it().await.unwrap()), (1, 0, 0));
    let document = source.documents().remove(0);
    assert_eq!(document.key.kind, "posts");
    assert_eq!(content(&document, "Content"), format!("{LONG}\nBriefly."));
    assert_eq!(document.fields["platform"], "linkedin");
    assert_eq!(document.fields["reaction_count"], 7);
    assert_eq!(document.fields["comment_count"], 4);
    likes.store(8, Ordering::Relaxed);
    assert_eq!(counts(&crawl_it().await.unwrap()), (1, 0, 0));
    assert_eq!(
        source.documents()[0].fields["content"],
        document.fields["content"]
    );

    let hidden = format!("{}/posts/hidden-activity-713-AbCd", server.origin);
    let report = crawl(&source, &asked(&hidden, "linkedin"), &allowed(), &())
        .await
        .unwrap();
    assert!(why(&report, "hidden-activity-713-AbCd").contains("copy of your data"));
    let profile = request("https://www.linkedin.com/in/ada");
    let said = crawl(&source, &profile, &allowed(), &())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("members only") && said.contains("copy of your data"),
        "{said}"
    );
}
