//! Public posts of LinkedIn on the loopback address.
//!
//! The page is written here, with the structure that the platform's own has: JSON-LD of the type
//! `SocialMediaPosting` with its `interactionStatistic`, and the commentary by its `data-test-id`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::web::{allowed, serve, typed};
use super::*;

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
