//! Pages that stand elsewhere, or that are read otherwise than when they were stored: what takes the place of
//! what, and what does not.

use std::path::PathBuf;

use axum::http::StatusCode;

use super::scene::{Answer, DAY, Scene, publication, publish};
use super::*;
use crate::Error;
use crate::crawl::reconcile::join_roots;
use crate::document::CRAWL_ROOT;
use crate::source::Source as _;

/// The paths of the stored links.
fn paths(scene: &Scene) -> Vec<String> {
    let documents = scene.source.documents().into_iter();
    let origin = scene.link("");
    let mut paths: Vec<_> = documents
        .map(|one| one.fields["link"].as_str().unwrap().replace(&origin, ""))
        .collect();
    paths.sort();
    paths
}

fn to(path: &str) -> Answer {
    Answer::To(path.to_owned())
}

#[tokio::test]
async fn what_moved_for_good_leaves_nothing_under_its_old_link_nor_under_those_on_the_way() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    scene.site.page("/b", "One.", "\"1\"");
    scene.site.answer("/a", to("/b"));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 1));
    assert_eq!(paths(&scene), ["/b"]);
    assert_eq!(counts(&scene.crawl("/a").await), (0, 1, 0));
    scene.site.page("/c", "One.", "\"1\"");
    scene.site.answer("/b", to("/c"));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 1));
    assert_eq!(paths(&scene), ["/c"]);
}

#[tokio::test]
async fn what_is_elsewhere_for_now_or_for_a_home_page_stays_where_it_is_stored() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    scene.site.page("/b", "Two.", "\"1\"");
    scene.site.answer("/a", Answer::ForNow("/b".to_owned()));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    scene.site.page("/", "The home page.", "");
    scene.site.answer("/a", to("/"));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    assert_eq!(paths(&scene), ["/", "/a", "/b"]);
}

#[tokio::test]
async fn a_document_that_another_page_makes_or_a_folder_brought_stays_when_its_page_moves() {
    let scene = Scene::new().await;
    let own = html("T", "One.").replace("<head>", "<head><link rel=canonical href='/a'>");
    for path in ["/a", "/x"] {
        let page = Answer::Plain("text/html", own.clone());
        scene.site.answer(path, page);
        scene.crawl(path).await;
    }
    assert_eq!(paths(&scene), ["/a"]);
    scene.site.page("/b", "One.", "\"1\"");
    scene.site.answer("/a", to("/b"));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));

    let scene = Scene::crawled("/a", "").await;
    bring(&scene, "file:///srv/book").await;
    scene.site.page("/b", "One.", "\"1\"");
    scene.site.answer("/a", to("/b"));
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    assert_eq!(paths(&scene), ["/a", "/b"]);
}

/// As if the stored documents had been brought by something else than their pages, too.
async fn bring(scene: &Scene, root: &str) {
    let mut documents = scene.source.documents();
    for document in &mut documents {
        let stored = document.fields.clone();
        document.fields.insert(CRAWL_ROOT.to_owned(), root.into());
        join_roots(Some(&stored), document);
    }
    scene.source.save(documents).await.unwrap();
    scene.source.writes();
}

#[tokio::test]
async fn what_an_export_brought_is_not_deleted_by_a_page_that_is_gone_for_strangers() {
    let scene = Scene::crawled("/a", "").await;
    bring(&scene, "linkedin-export:ada/shares").await;
    scene
        .site
        .answer("/a", Answer::Status(StatusCode::NOT_FOUND));
    for _ in 0..3 {
        let report = scene.crawl("/a").await;
        assert_eq!(counts(&report), (0, 0, 0));
        scene.clock.advance(DAY);
    }
    let report = scene.crawl("/a").await;
    let said = why(&report, "/a");
    assert!(
        said.contains("linkedin-export:ada/shares brought it"),
        "{said}"
    );
    // Nor is it where no page of it was ever read.
    scene.source.forget_pages();
    for _ in 0..3 {
        let gone = scene.try_crawl("/a").await;
        assert!(matches!(gone, Err(Error::Gone { .. })), "{gone:?}");
        scene.clock.advance(DAY);
    }
    assert_eq!(scene.source.writes(), 0);
}

#[tokio::test]
async fn a_document_stays_while_the_page_that_its_old_link_led_to_is_there() {
    let scene = Scene::new().await;
    scene.site.page("/new", "One.", "\"1\"");
    scene.site.answer("/old", to("/new"));
    scene.crawl("/old").await;
    scene.site.answer("/old", Answer::Status(StatusCode::GONE));
    scene.crawl("/old").await;
    scene.clock.advance(DAY);
    let report = scene.crawl("/old").await;
    assert_eq!(counts(&report), (0, 0, 0));
    assert!(why(&report, "/old").contains("/new is not"), "{report:?}");
}

#[tokio::test]
async fn a_listed_post_that_leads_to_the_home_page_is_neither_stored_as_that_nor_deleted() {
    let scene = Scene::new().await;
    for slug in ["one", "two"] {
        scene.site.page(&format!("/p/{slug}"), slug, "\"1\"");
    }
    publish(&scene, &["one", "two", "three"]);
    scene.site.page("/", "The home page.", "");
    scene.site.answer("/p/three", to("/"));
    let report = publication(&scene).await;
    assert_eq!(counts(&report), (2, 0, 0));
    assert!(why(&report, "/p/three").contains("a home page and no post"));
    scene.site.answer("/p/two", to("/"));
    for _ in 0..3 {
        let report = publication(&scene).await;
        assert_eq!(counts(&report), (0, 1, 0));
        assert!(why(&report, "/p/two").contains("a home page and no post"));
        scene.clock.advance(DAY);
    }
    assert_eq!(paths(&scene), ["/p/one", "/p/two"]);
}

#[tokio::test]
async fn what_a_page_made_before_it_led_elsewhere_for_now_goes_with_it_unless_another_makes_it() {
    for another in [false, true] {
        let scene = Scene::crawled("/a", "\"1\"").await;
        scene.site.page("/b", "Two.", "\"1\"");
        let for_now = Answer::ForNow("/b".to_owned());
        scene.site.answer("/a", for_now);
        assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
        if another {
            let own = html("T", "One.").replace("<head>", "<head><link rel=canonical href='/a'>");
            scene.site.answer("/x", Answer::Plain("text/html", own));
            scene.crawl("/x").await;
        }
        scene.site.status("/a", StatusCode::GONE);
        assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
        assert_eq!(paths(&scene), ["/a", "/b"]);
        scene.clock.advance(DAY);
        let report = scene.crawl("/a").await;
        assert!(why(&report, "/a").contains("/b is not"), "{report:?}");
        let left = if another {
            vec!["/a", "/b"]
        } else {
            vec!["/b"]
        };
        let deleted = usize::from(!another);
        assert_eq!(counts(&report), (0, 0, deleted), "{another}");
        assert_eq!(paths(&scene), left);
        assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
    }
}

#[tokio::test]
async fn lists_that_moved_to_another_host_speak_for_that_one() {
    let mut scene = Scene::new().await;
    scene.settings.allow_private = true;
    let here = scene.link("");
    let there = here.replace("127.0.0.1", "localhost");
    for path in ["/feed", "/sitemap.xml"] {
        let moved = to(&format!("{there}/moved{path}"));
        scene.site.answer(path, moved);
    }
    let feed = "<feed xmlns='http://www.w3.org/2005/Atom'><title>F</title><id>f</id>\
        <updated>2024-02-03T04:05:06Z</updated><entry><title>T</title><id>1</id><link href='/p/one'/>\
        <updated>2024-02-03T04:05:06Z</updated></entry></feed>";
    let feed = Answer::Plain("application/atom+xml", feed.to_owned());
    scene.site.answer("/moved/feed", feed);
    let sitemap = format!(
        "<urlset><url><loc>{there}/p/two</loc></url><url><loc>{here}/p/three</loc></url></urlset>"
    );
    let sitemap = Answer::Plain("application/xml", sitemap);
    scene.site.answer("/moved/sitemap.xml", sitemap);
    for path in ["/p/one", "/p/two", "/p/three"] {
        scene.site.page(path, path, "");
    }
    assert_eq!(counts(&publication(&scene).await), (2, 0, 0));
    let read = ["/p/one", "/p/two"].map(|path| format!("{there}{path}"));
    assert_eq!(paths(&scene), read);
}

/// A feed of posts whose beginning it has.
fn feed(scene: &Scene, slugs: &[&str]) {
    let item = |slug: &&str| {
        let link = scene.link(&format!("/p/{slug}"));
        format!(
            "<item><title>T</title><link>{link}</link><content:encoded>\
             <![CDATA[<p>As the feed has it. {LONG}</p><p>{LONG}</p>]]></content:encoded></item>"
        )
    };
    let items: Vec<_> = slugs.iter().map(item).collect();
    let feed = format!(
        "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'><channel>\
         <title>F</title>{}</channel></rss>",
        items.concat()
    );
    let feed = Answer::Plain("application/rss+xml", feed);
    scene.site.answer("/feed", feed);
}

fn text(scene: &Scene) -> String {
    content(&scene.source.documents()[0], "Content")
}

#[tokio::test]
async fn a_preview_gives_way_to_its_page_though_that_is_as_it_was() {
    let scene = Scene::new().await;
    scene.site.page("/p/one", "The page.", "\"1\"");
    feed(&scene, &["one"]);
    publication(&scene).await;
    let keys = scene.source.documents().into_iter().map(|one| one.key);
    scene.source.delete(keys.collect()).await.unwrap();
    let failure = Answer::Status(StatusCode::INTERNAL_SERVER_ERROR);
    scene.site.answer("/p/one", failure.clone());
    for _ in 0..2 {
        publication(&scene).await;
        assert!(text(&scene).starts_with("As the feed has it."));
    }
    scene.site.page("/p/one", "The page.", "\"1\"");
    assert_eq!(counts(&publication(&scene).await), (1, 0, 0));
    assert!(text(&scene).starts_with("The page."), "{}", text(&scene));
    // From now on a feed does not take its place.
    scene.site.answer("/p/one", failure);
    assert_eq!(counts(&publication(&scene).await), (0, 0, 0));
    assert!(text(&scene).starts_with("The page."));
}

#[tokio::test]
async fn a_preview_does_not_take_the_place_of_what_is_stored_without_a_page() {
    for root in ["https://example.org/", "linkedin-export:ada/articles"] {
        let scene = Scene::new().await;
        scene.site.page("/p/one", "The page.", "\"1\"");
        feed(&scene, &["one"]);
        publication(&scene).await;
        bring(&scene, root).await;
        scene.source.forget_pages();
        let failure = Answer::Status(StatusCode::INTERNAL_SERVER_ERROR);
        scene.site.answer("/p/one", failure);
        assert_eq!(counts(&publication(&scene).await), (0, 0, 0), "{root}");
        assert!(text(&scene).starts_with("The page."), "{root}");
    }
}

#[tokio::test]
async fn a_preview_does_not_take_the_place_of_what_another_page_of_its_post_gave() {
    for (fed, listed) in [
        (vec!["one"], vec!["same"]),
        (vec!["one", "same"], vec![]),
        // Both are of one batch, so that nothing is stored yet when the second fails.
        (vec!["same", "one"], vec![]),
    ] {
        let scene = Scene::new().await;
        feed(&scene, &fed);
        publish(&scene, &listed);
        let failure = StatusCode::INTERNAL_SERVER_ERROR;
        scene.site.status("/p/one", failure);
        let own = html("T", "The page.");
        let own = own.replace("<head>", "<head><link rel=canonical href='/p/one'>");
        let own = Answer::Plain("text/html", own);
        scene.site.answer("/p/same", own);
        for crawl in 1..=3 {
            publication(&scene).await;
            assert_eq!(scene.source.documents().len(), 1);
            let text = text(&scene);
            assert!(text.starts_with("The page."), "crawl {crawl} of {fed:?}");
        }
    }
}

#[tokio::test]
async fn a_preview_stays_while_its_feed_has_it_though_there_is_no_page() {
    let scene = Scene::new().await;
    feed(&scene, &["one"]);
    assert_eq!(counts(&publication(&scene).await), (1, 0, 0));
    for day in 2..=5 {
        scene.clock.advance(DAY);
        let report = publication(&scene).await;
        assert_eq!(counts(&report), (0, 1, 0), "on day {day}: {report:?}");
        let said = why(&report, "/p/one");
        assert!(said.contains("its feed still has it"), "{said}");
    }
    // Nobody knows whether a feed that cannot be read still has it.
    publish(&scene, &[]);
    let failure = StatusCode::INTERNAL_SERVER_ERROR;
    scene.site.status("/feed", failure);
    for day in 6..=8 {
        scene.clock.advance(DAY);
        let report = publication(&scene).await;
        assert_eq!(counts(&report), (0, 0, 0), "on day {day}: {report:?}");
        let said = why(&report, "/p/one");
        assert!(said.contains("could not be read"), "{said}");
    }
    assert_eq!(scene.source.documents().len(), 1);
    // From here on it is missing as any other page.
    let empty = "<rss version='2.0'><channel><title>F</title></channel></rss>".to_owned();
    let empty = Answer::Plain("application/rss+xml", empty);
    scene.site.answer("/feed", empty);
    for deleted in [0, 1, 0] {
        scene.clock.advance(DAY);
        assert_eq!(counts(&publication(&scene).await), (0, 0, deleted));
    }
    assert_eq!(scene.source.documents(), []);
}

#[tokio::test]
async fn what_a_page_gave_stays_while_its_feed_has_it_though_the_page_is_gone() {
    let scene = Scene::new().await;
    scene.site.page("/p/one", "The page.", "\"1\"");
    feed(&scene, &["one"]);
    assert_eq!(counts(&publication(&scene).await), (1, 0, 0));
    scene.site.status("/p/one", StatusCode::GONE);
    let missed = async |day: u32| {
        scene.clock.advance(DAY);
        let report = publication(&scene).await;
        assert_eq!(counts(&report), (0, 0, 0), "on day {day}: {report:?}");
        assert!(text(&scene).starts_with("The page."), "on day {day}");
        why(&report, "/p/one").to_owned()
    };
    for day in 2..=5 {
        let said = missed(day).await;
        assert!(said.contains("its feed still has it"), "{said}");
    }
    // A feed that fails for once does not make up for the days before.
    publish(&scene, &["one"]);
    let failure = StatusCode::INTERNAL_SERVER_ERROR;
    scene.site.status("/feed", failure);
    let said = missed(6).await;
    assert!(said.contains("is deleted if it still is after"), "{said}");
    feed(&scene, &["one"]);
    missed(7).await;
    scene.site.page("/p/one", "The page.", "\"1\"");
    scene.site.asked();
    assert_eq!(counts(&publication(&scene).await), (0, 1, 0));
    let asked = scene.site.asked();
    let page = ("/p/one".to_owned(), true, 304);
    assert!(asked.contains(&page), "{asked:?}");
}

#[tokio::test]
async fn an_empty_shell_does_not_take_the_place_of_text_when_no_browser_opens_it() {
    let mut scene = Scene::crawled("/a", "").await;
    let stored = text(&scene);
    scene.settings.browser_path = Some(PathBuf::from("/nowhere/chromium"));
    let shell = format!(
        "<html><head><title>T</title></head><body><main id=root><p>Loading, one moment, please.</p></main>\
         <script>{}</script></body></html>",
        "build();".repeat(500)
    );
    scene.site.answer("/a", Answer::Plain("text/html", shell));
    let report = scene.crawl("/a").await;
    assert_eq!(counts(&report), (0, 0, 0), "{report:?}");
    let said = why(&report, "/a");
    assert!(said.contains("what is stored of it says more"), "{said}");
    assert_eq!(text(&scene), stored);
    // Where nothing is stored, it is better than nothing.
    let keys = scene.source.documents().into_iter().map(|one| one.key);
    scene.source.delete(keys.collect()).await.unwrap();
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
}
