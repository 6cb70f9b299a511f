//! Pages over HTTP, within limits on bytes, time, redirects and addresses, as robots.txt allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode};
use robotxt::{AccessResult, Robots};
use url::{Origin, Url};

use super::Settings;
use super::address::Guard;
use crate::{Error, Result};

/// The name by which robots.txt knows us.
const AGENT: &str = "lockstep";
/// Redirects followed for one page; more is a loop or a chase.
const REDIRECTS_MAX: usize = 5;
/// Hosts whose robots.txt are remembered.
const HOSTS_MAX: usize = 256;
/// Bytes read of a robots.txt, as RFC 9309 asks at least.
const ROBOTS_BYTES_MAX: u64 = 512 * 1024;

/// What a body may be.
struct Kinds {
    what: &'static str,
    media: &'static [&'static str],
}

const PAGES: Kinds = Kinds {
    what: "a page",
    media: &["text/html", "application/xhtml+xml", "text/plain"],
};

const LISTS: Kinds = Kinds {
    what: "a feed or sitemap",
    media: &[
        "application/rss+xml",
        "application/atom+xml",
        "application/feed+json",
        "application/json",
        "application/xml",
        "text/xml",
        "text/plain",
        // Some serve feeds as pages; whoever reads it sees what it is.
        "text/html",
    ],
};

/// A page as it arrived.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Where it was in the end, after redirects.
    pub(crate) url: Url,
    /// Its bytes, decompressed.
    pub(crate) bytes: Vec<u8>,
    /// The charset that the header names.
    pub(crate) charset: Option<String>,
}

/// Asks for pages.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    page_bytes_max: u64,
    /// What the hosts' robots.txt say, by origin: asked once for all pages of one crawl.
    robots: Mutex<HashMap<Origin, Arc<Robots>>>,
}

impl Fetcher {
    /// A fetcher under these limits. Proxies of the environment are not used: behind one, nobody
    /// could tell which address is asked.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let guard = settings.guard();
        let client = Client::builder()
            .user_agent(user_agent(settings.contact.as_deref()))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(guard.clone())
            .timeout(Duration::from_secs(settings.fetch_seconds_max))
            .no_proxy()
            .build()
            .map_err(Error::unavailable("HTTP client", "start"))?;
        Ok(Self {
            client,
            guard,
            page_bytes_max: settings.page_bytes_max,
            robots: Mutex::default(),
        })
    }

    /// Fetches one page.
    ///
    /// # Errors
    /// [`Error::Fetch`] says what stands against it, [`Error::TooLarge`] names the limit.
    pub(crate) async fn page(&self, start: &Url) -> Result<Fetched> {
        self.get(start, &PAGES).await
    }

    /// Fetches a feed or a sitemap, as [`Fetcher::page`] fetches a page.
    pub(crate) async fn list(&self, start: &Url) -> Result<Fetched> {
        self.get(start, &LISTS).await
    }

    async fn get(&self, start: &Url, kinds: &Kinds) -> Result<Fetched> {
        let fail = |why: String| Error::Fetch {
            link: start.to_string(),
            why,
        };
        let mut url = start.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.guard.permit(&url).map_err(fail)?;
            self.obey(&url).await.map_err(fail)?;
            match self.step(&url).await.map_err(fail)? {
                Step::Moved(next) => url = next,
                Step::Arrived(response) => {
                    let charset = accept(&response, kinds).map_err(fail)?;
                    let bytes = read(response, self.page_bytes_max, start).await?;
                    return Ok(Fetched {
                        url,
                        bytes,
                        charset,
                    });
                }
            }
        }
        Err(fail(format!(
            "it was redirected more than {REDIRECTS_MAX} times"
        )))
    }

    /// Asks an interface for programs, to which robots.txt does not apply; follows no redirect.
    ///
    /// # Errors
    /// Why there is no answer. What the answer is worth is for the caller to judge.
    pub(crate) async fn ask(&self, url: &Url, headers: HeaderMap) -> Result<Response, String> {
        self.guard.permit(url)?;
        let request = self.client.get(url.clone()).headers(headers);
        request.send().await.map_err(said)
    }

    /// The body of such an answer, within the limit for pages.
    pub(crate) async fn body(&self, response: Response, link: &Url) -> Result<Vec<u8>> {
        read(response, self.page_bytes_max, link).await
    }

    /// A name and password as a header has them.
    pub(crate) fn basic(&self, url: &Url, name: &str, password: &str) -> Option<HeaderValue> {
        let request = self.client.get(url.clone());
        let request = request.basic_auth(name, Some(password)).build().ok()?;
        request.headers().get(AUTHORIZATION).cloned()
    }

    /// Asks the host's robots.txt; one that cannot be read forbids everything, a missing one nothing.
    async fn obey(&self, url: &Url) -> Result<(), String> {
        let known = |robots: &Mutex<HashMap<_, Arc<Robots>>>| {
            let robots = robots.lock().unwrap_or_else(PoisonError::into_inner);
            robots.get(&url.origin()).cloned()
        };
        let robots = if let Some(robots) = known(&self.robots) {
            robots
        } else {
            let robots = Arc::new(self.ask_robots(url).await?);
            let mut known = self.robots.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= HOSTS_MAX {
                known.clear();
            }
            known.insert(url.origin(), Arc::clone(&robots));
            robots
        };
        if robots.is_url_allowed(url) {
            Ok(())
        } else {
            Err("its host's robots.txt forbids it".to_owned())
        }
    }

    async fn ask_robots(&self, url: &Url) -> Result<Robots, String> {
        let mut at = robotxt::robots_url(url).map_err(|error| error.to_string())?;
        for _ in 0..=REDIRECTS_MAX {
            self.guard.permit(&at)?;
            match self.step(&at).await? {
                Step::Moved(next) => at = next,
                Step::Arrived(response) => {
                    let status = response.status();
                    if status.is_success() {
                        let bytes = read(response, ROBOTS_BYTES_MAX, &at)
                            .await
                            .map_err(|error| error.chain())?;
                        return Ok(Robots::from_access(AccessResult::Successful(&bytes), AGENT));
                    }
                    if status.is_server_error() {
                        return Err(format!(
                            "its host's robots.txt answered {status}: try later"
                        ));
                    }
                    break;
                }
            }
        }
        Ok(Robots::allow_all())
    }

    async fn step(&self, url: &Url) -> Result<Step, String> {
        let response = self.client.get(url.clone()).send().await.map_err(said)?;
        if !response.status().is_redirection() {
            return Ok(Step::Arrived(response));
        }
        let to = response
            .headers()
            .get(LOCATION)
            .and_then(|to| to.to_str().ok());
        let next = to.and_then(|to| url.join(to).ok());
        next.map(Step::Moved)
            .ok_or_else(|| "it was redirected to nowhere".to_owned())
    }
}

enum Step {
    Moved(Url),
    Arrived(Response),
}

/// Judges status and type; returns the charset.
fn accept(response: &Response, kinds: &Kinds) -> Result<Option<String>, String> {
    match response.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            return Err("it is gone: delete it here with `lockstep delete <link>`".to_owned());
        }
        status => return Err(format!("the server answered {status}")),
    }
    let Some(kind) = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
    else {
        return Ok(None);
    };
    let kind = kind.to_ascii_lowercase();
    let (media, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    if !kinds.media.contains(&media.trim()) {
        return Err(format!("it is {}, not {}", media.trim(), kinds.what));
    }
    let charset = parameters
        .split(';')
        .find_map(|part| part.trim().strip_prefix("charset="));
    Ok(charset.map(str::to_owned))
}

/// Reads a body up to a limit that counts decompressed bytes, holding never more than it.
async fn read(mut response: Response, limit: u64, link: &Url) -> Result<Vec<u8>> {
    let too_large = |bytes| Error::TooLarge {
        thing: link.to_string(),
        bytes,
        limit,
    };
    if let Some(length) = response.content_length().filter(|length| *length > limit) {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| Error::Fetch {
            link: link.to_string(),
            why: said(error),
        })?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        let length = bytes.len() as u64 + chunk.len() as u64;
        if length > limit {
            return Err(too_large(length));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What a client error says, with its causes and without the address, which is named already.
fn said(error: reqwest::Error) -> String {
    Error::unavailable("server", "answer")(error.without_url()).chain()
}

pub(crate) fn user_agent(contact: Option<&str>) -> String {
    let contact = contact
        .map(|contact| format!(" (+{contact})"))
        .unwrap_or_default();
    format!("{AGENT}/{}{contact}", env!("CARGO_PKG_VERSION"))
}
