//! Hosts that ask for patience.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::time::sleep;

use super::scene::{Answer, Scene, Site};
use super::web::{allowed, fetch, serve, typed};
use super::*;
use crate::Error;
use crate::clock::Clock;
use crate::crawl::{Kind, Manners};
use crate::logbook::{Logbook as _, Runs};

fn robots(scene: &Scene, rules: &str) {
    let rules = Answer::Plain("text/plain", rules.to_owned());
    scene.site.answer("/robots.txt", rules);
}

fn publish(scene: &Scene, posts: usize) {
    let post = |number| {
        scene
            .site
            .page(&format!("/p/{number}"), &format!("Post {number}."), "");
        format!(
            "<url><loc>{}</loc></url>",
            scene.link(&format!("/p/{number}"))
        )
    };
    let posts: Vec<_> = (0..posts).map(post).collect();
    let sitemap = format!("<urlset>{}</urlset>", posts.concat());
    scene
        .site
        .answer("/sitemap.xml", Answer::Plain("application/xml", sitemap));
}

async fn publication(scene: &Scene) -> Report {
    let mut asked = request(&scene.link("/"));
    asked.as_kind = Some(Kind::of("substack"));
    crawl(&scene.source, &asked, &scene.settings, &())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_crawl_delay_is_kept_between_all_requests_of_a_listing_and_of_the_next_crawl() {
    let scene = Scene::new().await;
    robots(&scene, "User-agent: *\nCrawl-delay: 10\n");
    publish(&scene, 3);
    let start = scene.clock.now_ms();
    assert_eq!(publication(&scene).await.saved, 3);
    let requests = scene.site.asked().len() as u64;
    assert!(requests >= 4, "a sitemap and three posts");
    assert_eq!(scene.clock.now_ms() - start, (requests - 1) * 10_000);
    scene.crawl("/p/0").await;
    assert_eq!(scene.clock.now_ms() - start, requests * 10_000);
}

#[tokio::test]
async fn a_delay_beyond_our_patience_leaves_the_rest_for_later_and_says_when() {
    let mut scene = Scene::new().await;
    scene.settings.wait_seconds_max = 9;
    publish(&scene, 3);
    // Known before the first request, so that feed and sitemap are far apart already.
    robots(&scene, "User-agent: *\nCrawl-delay: 10\n");
    let link = scene.link("/");
    let mut asked = request(&link);
    asked.as_kind = Some(Kind::of("substack"));
    let refused = crawl(&scene.source, &asked, &scene.settings, &()).await;
    let Err(Error::Later { until_ms, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(until_ms, scene.clock.now_ms() + 10_000);
}

#[tokio::test]
async fn a_host_that_is_busy_is_asked_again_when_it_says_in_seconds_or_as_a_date() {
    for status in [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        let scene = Scene::new().await;
        let start = scene.clock.now_ms();
        scene
            .site
            .answer("/a", Answer::Busy(status, "20".to_owned()));
        let refused = scene.try_crawl("/a").await;
        assert!(matches!(refused, Err(Error::Later { .. })), "{refused:?}");
        // Three times, and each pause was kept but the last.
        assert_eq!(scene.site.asked().len(), 3);
        assert_eq!(scene.clock.now_ms() - start, 40_000);
        scene.site.page("/a", "One.", "");
        assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
        assert_eq!(scene.clock.now_ms() - start, 60_000);
    }
    let scene = Scene::new().await;
    let date = "Thu, 01 Jan 1970 00:17:10 GMT".to_owned();
    let status = StatusCode::TOO_MANY_REQUESTS;
    scene.site.answer("/a", Answer::Busy(status, date));
    let refused = scene.try_crawl("/a").await;
    let Err(Error::Later { until_ms, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(until_ms, 1_030_000);
}

/// Time is paused: whatever waits is woken at once, in the order of the clock.
#[tokio::test(start_paused = true)]
async fn who_comes_again_when_told_to_has_all_the_time_for_an_answer() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let slow = async move || {
        let before = count.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_secs(40)).await;
        if before == 0 {
            let pause = [(header::RETRY_AFTER, "30")];
            return (StatusCode::SERVICE_UNAVAILABLE, pause).into_response();
        }
        typed("text/html", html("T", "One.").into_bytes()).into_response()
    };
    let server = serve(Router::new().route("/slow", get(slow))).await;
    let settings = Settings {
        manners: Manners::new(Clock::manual(1_000_000)),
        ..allowed()
    };
    let link = format!("{}/slow", server.origin);
    let report = fetch(&Memory::default(), &link, &settings).await;
    assert_eq!(counts(&report.unwrap()), (1, 0, 0));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_pause_beyond_our_patience_is_no_wait_and_the_history_says_when_to_come_again() {
    let scene = Scene::new().await;
    let busy = Answer::Busy(StatusCode::TOO_MANY_REQUESTS, "3600".to_owned());
    scene.site.answer("/a", busy);
    let start = scene.clock.now_ms();
    let error = scene.try_crawl("/a").await.unwrap_err().to_string();
    assert!(error.contains("is to be asked again after"), "{error}");
    assert_eq!((scene.site.asked().len(), scene.clock.now_ms()), (1, start));
    // Nor is another page of it asked meanwhile.
    scene.site.page("/b", "One.", "");
    assert!(scene.try_crawl("/b").await.is_err());
    assert_eq!(scene.site.asked(), []);
    let runs = scene.source.runs(Runs::After(None), 9).await.unwrap();
    assert!(
        runs.iter()
            .all(|run| run.has_failed && run.counts.failed == 1)
    );
    assert!(
        runs[0]
            .error
            .as_ref()
            .unwrap()
            .contains("1970-01-01 01:16:40")
    );
    scene.clock.advance(3_600_000);
    assert_eq!(counts(&scene.crawl("/b").await), (1, 0, 0));
}

#[tokio::test]
async fn a_listing_whose_host_gets_busy_keeps_what_it_has_and_counts_the_rest() {
    let scene = Scene::new().await;
    publish(&scene, 4);
    let busy = Answer::Busy(StatusCode::TOO_MANY_REQUESTS, "3600".to_owned());
    scene.site.answer("/p/2", busy);
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (2, 0, 0));
    let left = report.skipped.last().unwrap();
    assert_eq!(left.count, 2, "{report:?}");
    assert_eq!(report.later_ms, Some(scene.clock.now_ms() + 3_600_000));
}

#[tokio::test]
async fn while_one_host_of_a_listing_rests_the_posts_of_others_are_read() {
    let scene = Scene::new().await;
    let other = Site::default();
    let elsewhere = other.serve().await;
    other.page("/p/other", "Elsewhere.", "");
    scene.site.page("/p/first", "First.", "");
    let busy = Answer::Busy(StatusCode::TOO_MANY_REQUESTS, "3600".to_owned());
    scene.site.answer("/p/busy", busy);
    let links = [
        scene.link("/p/first"),
        scene.link("/p/busy"),
        scene.link("/p/left"),
        format!("{}/p/other", elsewhere.origin),
    ];
    let listed = links.map(|link| format!("<url><loc>{link}</loc></url>"));
    let sitemap = format!("<urlset>{}</urlset>", listed.concat());
    let sitemap = Answer::Plain("application/xml", sitemap);
    scene.site.answer("/sitemap.xml", sitemap);
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (2, 0, 0), "{report:?}");
    assert_eq!(report.skipped.last().unwrap().count, 2, "{report:?}");
    assert_eq!(other.asked().len(), 1);
}

fn sitemap(links: &[String]) -> Answer {
    let listed = links
        .iter()
        .map(|link| format!("<url><loc>{link}</loc></url>"));
    let listed: Vec<_> = listed.collect();
    let sitemap = format!("<urlset>{}</urlset>", listed.concat());
    Answer::Plain("application/xml", sitemap)
}

/// A publication whose sitemap is an index of these, of which the first names one post and the second says
/// that its host is busy for so long.
fn index(scene: &Scene, lists: &[String], seconds: &str) {
    let lists = lists.iter().map(|link| format!("<loc>{link}</loc>"));
    let lists: Vec<_> = lists.collect();
    let index = format!("<sitemapindex>{}</sitemapindex>", lists.concat());
    let index = Answer::Plain("application/xml", index);
    scene.site.answer("/sitemap.xml", index);
    scene.site.page("/p/one", "One.", "");
    let first = sitemap(&[scene.link("/p/one")]);
    scene.site.answer("/1.xml", first);
    let busy = Answer::Busy(StatusCode::TOO_MANY_REQUESTS, seconds.to_owned());
    scene.site.answer("/2.xml", busy);
}

#[tokio::test]
async fn a_host_that_gets_busy_while_it_is_listed_leaves_what_is_listed_by_then_to_be_read() {
    let scene = Scene::new().await;
    let lists = ["/1.xml", "/2.xml", "/3.xml"].map(|path| scene.link(path));
    index(&scene, &lists, "20");
    let start = scene.clock.now_ms();
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let left = report.skipped.last().unwrap();
    assert!(left.why.contains("/2.xml: its host is to be asked again"));
    assert_eq!(left.count, 2, "{report:?}");
    let asked = scene.site.asked();
    assert!(asked.iter().all(|(path, ..)| path != "/3.xml"), "{asked:?}");
    assert_eq!(report.later_ms, Some(start + 60_000));
}

#[tokio::test]
async fn while_one_host_rests_the_lists_of_others_are_read_with_their_posts() {
    let scene = Scene::new().await;
    let other = Site::default();
    let elsewhere = other.serve().await;
    let there = |path: &str| format!("{}{path}", elsewhere.origin);
    other.answer("/4.xml", sitemap(&[there("/p/other")]));
    other.page("/p/other", "Elsewhere.", "");
    let [one, two, three] = ["/1.xml", "/2.xml", "/3.xml"].map(|path| scene.link(path));
    index(&scene, &[one, two, three, there("/4.xml")], "3600");
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let link = scene.source.documents()[0].fields["link"].clone();
    assert_eq!(link, there("/p/other"));
    let left = report.skipped.iter().rev().take(2).map(|left| left.count);
    assert_eq!(left.collect::<Vec<_>>(), [1, 2], "{report:?}");
    assert_eq!(report.later_ms, Some(scene.clock.now_ms() + 3_600_000));
}

#[tokio::test]
async fn the_host_rests_that_a_post_led_to_and_not_the_one_that_led_there() {
    let scene = Scene::new().await;
    let other = Site::default();
    let elsewhere = other.serve().await;
    let busy = Answer::Busy(StatusCode::TOO_MANY_REQUESTS, "3600".to_owned());
    other.answer("/p/busy", busy);
    let there = |path: &str| format!("{}{path}", elsewhere.origin);
    scene.site.answer("/p/first", Answer::To(there("/p/busy")));
    let second = Answer::ForNow(there("/p/second"));
    scene.site.answer("/p/second", second);
    scene.site.page("/p/third", "Third.", "");
    let posts = ["/p/first", "/p/second", "/p/third"].map(|path| scene.link(path));
    let posts = [&posts[..], &[there("/p/own")]].concat();
    scene.site.answer("/sitemap.xml", sitemap(&posts));
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let left = report.skipped.last().unwrap();
    assert!(left.why.starts_with(&there("/p/busy")), "{report:?}");
    assert_eq!(left.count, 3, "{report:?}");
    assert_eq!(other.asked().len(), 1);
    assert_eq!(report.later_ms, Some(scene.clock.now_ms() + 3_600_000));
}

#[tokio::test]
async fn a_host_that_breaks_off_every_answer_is_left_alone_after_a_few_and_asked_later() {
    let scene = Scene::new().await;
    publish(&scene, 9);
    for number in 0..9 {
        scene.site.answer(&format!("/p/{number}"), Answer::Cut);
    }
    let report = publication(&scene).await;
    let asked = scene.site.asked();
    let posts = asked.iter().filter(|(path, ..)| path.starts_with("/p/"));
    assert_eq!(posts.count(), 5);
    assert_eq!(report.later_ms, Some(scene.clock.now_ms() + 600_000));
    let rest = report.skipped.iter().find(|left| left.count > 1);
    assert_eq!(rest.map(|left| left.count), Some(4));
}
