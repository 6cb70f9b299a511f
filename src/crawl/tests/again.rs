//! Pages that are crawled again: what writes nothing, what deletes, and what never does.

use axum::http::StatusCode;

use super::scene::{Answer, DAY, HOUR, Scene, publication, publish};
use super::*;
use crate::Error;

#[tokio::test]
async fn a_page_that_is_not_modified_is_asked_on_its_etag_and_nothing_is_written() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    assert_eq!(counts(&scene.crawl("/a").await), (0, 1, 0));
    assert_eq!(scene.site.asked(), [("/a".to_owned(), true, 304)]);
    assert_eq!(scene.source.writes(), 0);
    scene.site.page("/a", "Two.", "\"2\"");
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    assert_eq!(scene.site.asked(), [("/a".to_owned(), true, 200)]);
    assert_eq!(counts(&scene.crawl("/a").await), (0, 1, 0));
    assert_eq!(scene.site.asked(), [("/a".to_owned(), true, 304)]);
}

#[tokio::test]
async fn equal_bytes_write_nothing_even_over_what_somebody_else_stored() {
    let scene = Scene::crawled("/a", "").await;
    // An edit by hand tells whether the page was read again: its own text would come back.
    let mut edited = scene.source.documents();
    edited[0].fields.insert("title".to_owned(), "Mine".into());
    crate::source::Source::save(&scene.source, edited.clone())
        .await
        .unwrap();
    scene.source.writes();
    assert_eq!(counts(&scene.crawl("/a").await), (0, 1, 0));
    assert_eq!(scene.site.asked(), [("/a".to_owned(), false, 200)]);
    assert_eq!(scene.source.writes(), 0);
    assert_eq!(scene.source.documents(), edited);
}

#[tokio::test]
async fn a_document_that_was_deleted_here_comes_back_though_its_page_is_as_it_was() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    let keys = scene.source.documents().into_iter().map(|one| one.key);
    let keys: Vec<_> = keys.collect();
    crate::source::Source::delete(&scene.source, keys)
        .await
        .unwrap();
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    assert_eq!(scene.site.asked(), [("/a".to_owned(), false, 200)]);
}

#[tokio::test]
async fn another_author_or_another_reader_reads_an_unchanged_page_again() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    let mut asked = request(&scene.link("/a"));
    asked.author = "Somebody Else".to_owned();
    let report = crawl(&scene.source, &asked, &scene.settings, &()).await;
    assert_eq!(counts(&report.unwrap()), (1, 0, 0));
    asked.as_kind = Some(crate::crawl::Kind::of("article"));
    let report = crawl(&scene.source, &asked, &scene.settings, &()).await;
    report.unwrap();
    let conditions: Vec<_> = scene.site.asked().iter().map(|asked| asked.1).collect();
    assert_eq!(conditions, [false, false]);
}

#[tokio::test]
async fn a_document_is_deleted_when_its_page_is_gone_twice_a_day_apart() {
    for status in [StatusCode::NOT_FOUND, StatusCode::GONE] {
        let scene = Scene::crawled("/a", "\"1\"").await;
        scene.site.status("/a", status);
        let report = scene.crawl("/a").await;
        assert_eq!(counts(&report), (0, 0, 0));
        let until = crate::moment::readable(1_000_000 + DAY);
        assert!(why(&report, "/a").ends_with(&until), "{report:?}");
        scene.clock.advance(DAY - 1);
        assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
        assert_eq!(scene.source.writes(), 0);
        scene.clock.advance(1);
        assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 1));
        assert_eq!(scene.source.documents(), []);
        // From now on it is as if it had never been stored.
        assert!(matches!(
            scene.try_crawl("/a").await,
            Err(Error::Gone { .. })
        ));
        scene.site.page("/a", "One.", "\"1\"");
        assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
    }
}

#[tokio::test]
async fn a_page_that_returns_forgets_that_it_was_gone() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    scene.site.status("/a", StatusCode::NOT_FOUND);
    scene.crawl("/a").await;
    scene.clock.advance(DAY);
    scene.site.page("/a", "One.", "\"1\"");
    assert_eq!(counts(&scene.crawl("/a").await), (0, 1, 0));
    scene.clock.advance(HOUR);
    scene.site.status("/a", StatusCode::NOT_FOUND);
    assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
    assert_eq!(scene.source.documents().len(), 1);
}

#[tokio::test]
async fn failures_of_other_kinds_delete_nothing_however_often_and_long() {
    let scene = Scene::crawled("/a", "\"1\"").await;
    for status in [401, 403, 500, 502, 503] {
        scene
            .site
            .status("/a", StatusCode::from_u16(status).unwrap());
        for _ in 0..3 {
            assert!(scene.try_crawl("/a").await.is_err());
            scene.clock.advance(2 * DAY);
        }
    }
    scene.site.answer("/a", Answer::To("/a".to_owned()));
    assert!(scene.try_crawl("/a").await.is_err());
    scene.clock.advance(2 * DAY);
    let rules = "User-agent: *\nDisallow: /\n".to_owned();
    scene
        .site
        .answer("/robots.txt", Answer::Plain("text/plain", rules));
    for _ in 0..3 {
        let refused = scene.try_crawl("/a").await.unwrap_err().to_string();
        assert!(refused.contains("robots.txt forbids it"), "{refused}");
        scene.clock.advance(2 * DAY);
    }
    assert_eq!(scene.source.writes(), 0);
    assert_eq!(scene.source.documents().len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_answer_deletes_nothing() {
    let Scene {
        site,
        server,
        source,
        clock,
        settings,
    } = Scene::crawled("/a", "\"1\"").await;
    let link = format!("{}/a", server.origin);
    drop((server, site));
    for _ in 0..3 {
        clock.advance(2 * DAY);
        let failed = crawl(&source, &request(&link), &settings, &()).await;
        assert!(matches!(failed, Err(Error::Fetch { .. })), "{failed:?}");
    }
    assert_eq!(source.documents().len(), 1);
}

#[tokio::test]
async fn a_document_stays_while_another_link_of_it_is_not_gone() {
    let scene = Scene::new().await;
    scene.site.page("/new", "One.", "\"1\"");
    scene.site.answer("/old", Answer::To("/new".to_owned()));
    scene.crawl("/old").await;
    assert_eq!(counts(&scene.crawl("/new").await), (0, 1, 0));
    assert_eq!(scene.source.documents().len(), 1);
    scene.site.status("/old", StatusCode::GONE);
    scene.crawl("/old").await;
    scene.clock.advance(DAY);
    let report = scene.crawl("/old").await;
    assert_eq!(counts(&report), (0, 0, 0));
    assert!(why(&report, "/old").contains("/new is not"), "{report:?}");
    // The other link is looked at along with it: once both are gone for a day, so is the document.
    scene.site.status("/new", StatusCode::GONE);
    assert_eq!(counts(&scene.crawl("/old").await), (0, 0, 0));
    scene.clock.advance(DAY);
    assert_eq!(counts(&scene.crawl("/old").await), (0, 0, 1));
}

#[tokio::test]
async fn what_a_redirect_leads_to_elsewhere_is_another_page() {
    let scene = Scene::new().await;
    scene.site.page("/1", "One.", "\"same\"");
    scene.site.page("/2", "Two.", "\"same\"");
    scene.site.answer("/latest", Answer::To("/1".to_owned()));
    scene.crawl("/latest").await;
    scene.site.answer("/latest", Answer::To("/2".to_owned()));
    assert_eq!(counts(&scene.crawl("/latest").await), (1, 0, 0));
    assert_eq!(scene.source.documents().len(), 2);
}

#[tokio::test]
async fn a_page_stored_before_pages_were_remembered_is_deleted_by_the_same_rule() {
    let scene = Scene::crawled("/a", "").await;
    scene.source.forget_pages();
    scene.site.status("/a", StatusCode::GONE);
    assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 0));
    scene.clock.advance(DAY);
    assert_eq!(counts(&scene.crawl("/a").await), (0, 0, 1));
}

#[tokio::test]
async fn a_post_that_left_the_list_is_deleted_when_its_page_is_gone_and_stays_while_it_is_there() {
    let scene = Scene::new().await;
    for slug in ["one", "two", "three"] {
        scene.site.page(&format!("/p/{slug}"), slug, "\"1\"");
    }
    publish(&scene, &["one", "two", "three"]);
    assert_eq!(publication(&scene).await.saved, 3);
    publish(&scene, &["one"]);
    scene.site.status("/p/three", StatusCode::NOT_FOUND);
    scene.site.asked();
    // What was looked at within the day is not asked again for being off the list.
    assert_eq!(counts(&publication(&scene).await), (0, 1, 0));
    let asked: Vec<_> = scene
        .site
        .asked()
        .into_iter()
        .map(|asked| asked.0)
        .collect();
    assert!(asked.iter().all(|path| !path.ends_with("two")), "{asked:?}");
    scene.clock.advance(DAY);
    assert_eq!(counts(&publication(&scene).await), (0, 2, 0));
    scene.clock.advance(DAY);
    assert_eq!(counts(&publication(&scene).await), (0, 2, 1));
    assert_eq!(scene.source.documents().len(), 2);
}

#[tokio::test]
async fn a_listing_that_breaks_off_remembers_most_of_the_pages_that_it_has_asked() {
    let scene = Scene::new().await;
    let slugs: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let listed: Vec<_> = slugs.iter().map(String::as_str).collect();
    let path = |slug: &str| format!("/p/{slug}");
    for slug in &listed {
        scene.site.page(&path(slug), slug, "\"1\"");
    }
    publish(&scene, &listed);
    assert_eq!(publication(&scene).await.saved, 40);
    for slug in &listed {
        scene.site.status(&path(slug), StatusCode::NOT_FOUND);
    }
    scene.site.page("/p/39", "Another text.", "\"2\"");
    scene.source.refuse_saves(true);
    let again = asked(&scene.link("/"), "substack");
    let broken = crawl(&scene.source, &again, &scene.settings, &()).await;
    assert!(broken.is_err(), "{broken:?}");
    scene.source.refuse_saves(false);
    scene.clock.advance(DAY);
    // Those of the one whole batch are missing for the second time.
    assert_eq!(counts(&publication(&scene).await), (1, 0, 32));
}

#[tokio::test]
async fn what_is_remembered_of_a_page_is_saved_after_its_document() {
    let scene = Scene::new().await;
    scene.site.page("/a", "One.", "\"1\"");
    scene.source.refuse_saves(true);
    assert!(scene.try_crawl("/a").await.is_err());
    scene.source.refuse_saves(false);
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
}
