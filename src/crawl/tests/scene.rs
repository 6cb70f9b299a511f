//! A site whose answers a test changes, with a source and a time of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::web::{Server, allowed, serve};
use super::*;
use crate::clock::Clock;
use crate::crawl::Manners;

pub(super) const HOUR: u64 = 3_600_000;
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
    /// Its body breaks off.
    Cut,
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

    pub(super) fn status(&self, path: &str, status: StatusCode) {
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
        Answer::Cut => {
            let parts = [Ok("<html>"), Err(std::io::Error::other("cut"))];
            let body = Body::from_stream(futures_util::stream::iter(parts));
            ([(header::CONTENT_TYPE, "text/html")], body).into_response()
        }
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
