//! Platforms through the program: what is collected is found, and counts alone embed nothing.
//!
//! The pages are written here, with the structure of the platforms' own; `src/crawl/tests/posts.rs` and
//! `src/crawl/tests/export.rs` say where that comes from and test the platforms one by one.

mod repository;
mod scheduled;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::Html;
use axum::routing::get;
use lockstep::command::{Request, Response};
use lockstep::crawl;
use lockstep::search::Answer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::app::{App, config};
use crate::support::binary::{Ended, assert_clean, run, run_with};

const LOOM: &str = "The analytical engine weaves algebraic patterns just as the loom weaves flowers and \
    leaves, and whoever feeds it with cards may have any pattern that an equation can describe.";

struct Server {
    origin: String,
    _serving: JoinSet<std::io::Result<()>>,
}

async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(axum::serve(listener, router).into_future());
    Server {
        origin,
        _serving: serving,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_and_comments_that_change_alone_embed_nothing() {
    let likes = Arc::new(AtomicU64::new(1));
    let shown = Arc::clone(&likes);
    let page = async move || {
        let linked = json!({
            "@type": "SocialMediaPosting", "articleBody": LOOM, "author": {"name": "Ada Lovelace"},
            "datePublished": "2024-02-03T04:05:06.000Z", "commentCount": shown.load(Ordering::Relaxed),
            "interactionStatistic": {"interactionType": "http://schema.org/LikeAction",
                "userInteractionCount": shown.load(Ordering::Relaxed)},
        });
        Html(format!(
            "<html><head><script type=\"application/ld+json\">{linked}</script></head><body>\
             <p data-test-id=\"main-feed-activity-card__commentary\">{LOOM}</p></body></html>"
        ))
    };
    let server = serve(Router::new().route("/posts/ada-activity-7-x", get(page))).await;
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path());
    config.crawl.allow_hosts = vec!["127.0.0.1".to_owned()];
    let app = App::start_with(config).await;
    let crawl = async || {
        let what = crawl::Request {
            target: format!("{}/posts/ada-activity-7-x", server.origin),
            author: "Ada Lovelace".to_owned(),
            as_kind: Some(crawl::Kind::of("linkedin")),
            browser: false,
            reference: None,
        };
        match app.ask(Request::Crawl { what, wait: true }).await.unwrap() {
            Response::Crawl(report) => (report.saved, report.unchanged),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(crawl().await, (1, 0));
    let before = app.status().await.counted.texts_embedded;
    assert!(before > 0);
    assert_eq!(crawl().await, (0, 1));
    likes.store(9, Ordering::Relaxed);
    assert_eq!(crawl().await, (1, 0), "the counts are stored");
    assert_eq!(app.status().await.counted.texts_embedded, before);
    assert!(app.verify().await.clean);
    app.stop().await;
}

async fn letters() -> Server {
    let sitemap = async |headers: HeaderMap| {
        let at = format!("http://{}", headers[header::HOST].to_str().unwrap());
        let posts = ["looms", "gardens"].map(|slug| format!("<url><loc>{at}/p/{slug}</loc></url>"));
        let text = format!("<urlset>{}</urlset>", posts.concat());
        ([(header::CONTENT_TYPE, "application/xml")], text)
    };
    let post = async |Path(slug): Path<String>| {
        let text = match slug.as_str() {
            "looms" => LOOM,
            _ => {
                "Tomatoes want sun, water in the morning, and a trellis before they grow too tall."
            }
        };
        let body = format!("<p>{text}</p>").repeat(3);
        let state = json!({"post": {
            "slug": slug, "title": format!("On {slug}"), "audience": "everyone", "body_html": body,
        }});
        let state = serde_json::to_string(&state.to_string())
            .unwrap()
            .replace("</", "<\\u002F");
        Html(format!(
            "<html lang=en><head><title>On {slug}</title></head><body><div id=entry></div>\
             <script>window._preloads        = JSON.parse({state})</script></body></html>"
        ))
    };
    let router = Router::new()
        .route("/sitemap.xml", get(sitemap))
        .route("/p/{slug}", get(post));
    serve(router).await
}

fn titles(ended: &Ended) -> Vec<String> {
    let answer: Answer = serde_json::from_str(&ended.out).unwrap();
    let titles = answer
        .hits
        .into_iter()
        .map(|hit| hit.title.unwrap_or_default());
    titles.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_is_collected_found_and_a_post_deleted_by_a_link_with_tracking() {
    let server = letters().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let allowed = [("LOCKSTEP_CRAWL_ALLOW_HOSTS", "127.0.0.1".to_owned())];
    let home = [
        "crawl",
        &server.origin,
        "--as",
        "substack",
        "--author",
        "Ada Lovelace",
    ];
    let ended = run_with(data, &home, &allowed);
    assert!(
        ended.out.contains("2 saved, 0 unchanged, 0 deleted"),
        "{ended:?}"
    );
    assert!(ended.out.contains("/feed: it is gone"), "{ended:?}");
    let asked = [
        "search",
        "patterns of the loom",
        "--author",
        "Ada Lovelace",
        "--json",
    ];
    assert_eq!(titles(&run(data, &asked))[0], "On looms");
    let shared = format!("{}/p/looms?r=1a&utm_campaign=post", server.origin);
    let again = run_with(
        data,
        &["crawl", &shared, "--author", "Ada Lovelace"],
        &allowed,
    );
    assert!(again.out.contains("0 saved, 1 unchanged"), "{again:?}");
    let refused = run(data, &["crawl", &shared, "--author", "Ada Lovelace"]);
    assert!(refused.error.contains("private address"), "{refused:?}");
    let link = format!("{}/p/looms", server.origin);
    assert_eq!(run(data, &["delete", &link]).code, Some(0));
    assert_eq!(titles(&run(data, &asked)), ["On gardens"]);
    assert_clean(data);
}

#[test]
fn a_linkedin_export_is_collected_and_found() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("Basic_LinkedInDataExport_05-10-2026.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("Shares.csv", zip::write::SimpleFileOptions::default())
        .unwrap();
    let update = "https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A";
    write!(
        zip,
        "Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility\n\
         2026-05-07 16:41:18,{update}1,\"{LOOM}\",,,PUBLIC\n\
         2026-05-08 16:41:18,{update}2,Tomatoes want sun.,,,PUBLIC\n"
    )
    .unwrap();
    zip.finish().unwrap();
    let home = tempfile::tempdir().unwrap();
    let export = path.to_str().unwrap();
    let ended = run(home.path(), &["crawl", export, "--author", "Ada Lovelace"]);
    assert!(
        ended.out.contains("2 saved, 0 unchanged, 0 deleted"),
        "{ended:?}"
    );
    let asked = [
        "search",
        "patterns of the loom",
        "--type",
        "posts",
        "--json",
    ];
    let answer: Answer = serde_json::from_str(&run(home.path(), &asked).out).unwrap();
    let link = "https://www.linkedin.com/feed/update/urn:li:share:1";
    assert_eq!(answer.hits[0].link.as_deref(), Some(link));
    let again = run(home.path(), &["crawl", export, "--author", "ada lovelace"]);
    assert!(again.out.contains("0 saved, 2 unchanged"), "{again:?}");
    assert_clean(home.path());
}
