//! Pages that are crawled again: what writes nothing, what deletes, and what never does.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::web::{Server, allowed, serve};
use super::*;
use crate::Error;
use crate::clock::Clock;
use crate::crawl::Manners;

const HOUR: u64 = 3_600_000;
pub(super) const DAY: u64 = 24 * HOUR;

/// What a site answers, and what it was asked.
#[derive(Clone, Default)]
pub(super) struct Site(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: Vec<(String, Answer)>,
    /// Path, whether on conditions, and the status.
    asked: Vec<(String, bool, u16)>,
}

#[derive(Clone)]
pub(super) enum Answer {
    Page {
        text: String,
        etag: &'static str,
    },
    Plain(&'static str, String),
    Status(StatusCode),
    /// The same as another, but for its status.
    Refused(StatusCode, Box<Answer>),
    Busy(StatusCode, String),
    To(String),
    ForNow(String),
}

impl Site {
    pub(super) async fn serve(&self) -> Server {
        let site = self.clone();
        let asked = async move |uri: Uri, headers: HeaderMap| answer(&site, &uri, &headers);
        serve(Router::new().fallback(asked)).await
    }

    pub(super) fn answer(&self, path: &str, answer: Answer) {
        let mut inner = self.0.lock().unwrap();
        inner.answers.retain(|(known, _)| known != path);
        inner.answers.push((path.to_owned(), answer));
    }

    pub(super) fn page(&self, path: &str, text: &str, etag: &'static str) {
        let text = text.to_owned();
        self.answer(path, Answer::Page { text, etag });
    }

    fn status(&self, path: &str, status: StatusCode) {
        self.answer(path, Answer::Status(status));
    }

    /// What was asked since the last call, without robots.txt.
    pub(super) fn asked(&self) -> Vec<(String, bool, u16)> {
        let mut asked = std::mem::take(&mut self.0.lock().unwrap().asked);
        asked.retain(|(path, ..)| path != "/robots.txt");
        asked
    }
}

fn answer(site: &Site, uri: &Uri, headers: &HeaderMap) -> Response {
    let mut inner = site.0.lock().unwrap();
    let known = inner.answers.iter().find(|(path, _)| path == uri.path());
    let answer = known.map_or(Answer::Status(StatusCode::NOT_FOUND), |(_, answer)| {
        answer.clone()
    });
    let wanted = headers.get(header::IF_NONE_MATCH);
    let response = response(answer, wanted);
    let status = response.status().as_u16();
    inner
        .asked
        .push((uri.path().to_owned(), wanted.is_some(), status));
    response
}

fn response(answer: Answer, wanted: Option<&HeaderValue>) -> Response {
    match answer {
        Answer::Page { etag, .. }
            if wanted.is_some_and(|wanted| !etag.is_empty() && wanted == etag) =>
        {
            StatusCode::NOT_MODIFIED.into_response()
        }
        Answer::Page { text, etag } => {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
            if !etag.is_empty() {
                headers.insert(header::ETAG, etag.parse().unwrap());
            }
            (headers, html("T", &text)).into_response()
        }
        Answer::Plain(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Answer::Status(status) => status.into_response(),
        Answer::Refused(status, as_another) => {
            let mut response = response(*as_another, None);
            *response.status_mut() = status;
            response
        }
        Answer::Busy(status, after) => (status, [(header::RETRY_AFTER, after)]).into_response(),
        Answer::To(to) => axum::response::Redirect::permanent(&to).into_response(),
        Answer::ForNow(to) => axum::response::Redirect::temporary(&to).into_response(),
    }
}

/// A site, a source and a time of a test's own.
pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) server: Server,
    pub(super) source: Memory,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let (site, clock) = (Site::default(), Clock::manual(1_000_000));
        Self {
            server: site.serve().await,
            site,
            source: Memory::default(),
            settings: Settings {
                manners: Manners::new(clock.clone()),
                ..allowed()
            },
            clock,
        }
    }

    pub(super) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.server.origin)
    }

    pub(super) async fn try_crawl(&self, path: &str) -> crate::Result<Report> {
        let link = self.link(path);
        crawl(&self.source, &request(&link), &self.settings, &()).await
    }

    pub(super) async fn crawl(&self, path: &str) -> Report {
        self.try_crawl(path).await.unwrap()
    }

    /// After the first crawl the author is stored too.
    pub(super) async fn crawled(path: &str, etag: &'static str) -> Self {
        let scene = Self::new().await;
        scene.site.page(path, "One.", etag);
        assert_eq!(counts(&scene.crawl(path).await), (1, 0, 0));
        scene.source.writes();
        scene.site.asked();
        scene
    }
}

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

/// A publication of Substack's form with these posts in its sitemap, and these pages.
pub(super) fn publish(scene: &Scene, listed: &[&str]) {
    let posts: Vec<_> = listed
        .iter()
        .map(|slug| {
            format!(
                "<url><loc>{}</loc></url>",
                scene.link(&format!("/p/{slug}"))
            )
        })
        .collect();
    let sitemap = format!("<urlset>{}</urlset>", posts.concat());
    scene
        .site
        .answer("/sitemap.xml", Answer::Plain("application/xml", sitemap));
}

pub(super) async fn publication(scene: &Scene) -> Report {
    let mut asked = request(&scene.link("/"));
    asked.as_kind = Some(crate::crawl::Kind::of("substack"));
    crawl(&scene.source, &asked, &scene.settings, &())
        .await
        .unwrap()
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
async fn what_is_remembered_of_a_page_is_saved_after_its_document() {
    let scene = Scene::new().await;
    scene.site.page("/a", "One.", "\"1\"");
    scene.source.refuse_saves(true);
    assert!(scene.try_crawl("/a").await.is_err());
    scene.source.refuse_saves(false);
    assert_eq!(counts(&scene.crawl("/a").await), (1, 0, 0));
}
