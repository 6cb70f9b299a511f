//! Pages over HTTP, within limits on bytes, time, redirects and addresses, as robots.txt allows, when
//! it is the host's turn.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::{Client, Response, StatusCode};
use robotxt::{AccessResult, Robots};
use tokio::time::Instant;
use url::Url;

use super::address::Guard;
use super::browser::Window;
use super::manners::{Manners, Turn};
use super::{Settings, delay, platform};
use crate::logbook::Page;
use crate::{Error, Result};
use answer::{Kinds, LISTS, PAGES, accept, beginning, busy, named, read, said, spent};

/// The name by which robots.txt knows us.
const AGENT: &str = "lockstep";
/// Redirects followed for one page; more is a loop or a chase.
const REDIRECTS_MAX: usize = 5;
/// How often one address is asked that asks for patience.
const ATTEMPTS_MAX: usize = 3;
/// Bytes read of a robots.txt, as RFC 9309 asks at least; what is behind them says nothing.
const ROBOTS_BYTES_MAX: usize = 512 * 1024;

/// A page as it arrived.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Where it was in the end, after redirects.
    pub(crate) url: Url,
    /// The links on the way there, from the one that was asked on, where each said that it has moved for good;
    /// else none.
    pub(crate) moved_from: Vec<Url>,
    /// Its bytes, decompressed.
    pub(crate) bytes: Vec<u8>,
    /// The charset that the header names.
    pub(crate) charset: Option<String>,
    /// What the server calls this state of it.
    pub(crate) etag: Option<String>,
    /// When the server says that it changed.
    pub(crate) last_modified: Option<String>,
}

/// Why nothing arrived.
enum Stop {
    Why(String),
    /// The host of this link, which may have been led to, asks to come again at this time.
    Later(Box<Url>, u64),
    /// It is not there, with this status.
    Gone(StatusCode),
}

impl Stop {
    fn of(self, start: &Url) -> Error {
        let link = start.to_string();
        match self {
            Self::Why(why) => Error::Fetch { link, why },
            // The link names the host that is to rest.
            Self::Later(at, until_ms) if at.origin() != start.origin() => Error::Later {
                link: at.to_string(),
                until_ms,
            },
            Self::Later(_, until_ms) => Error::Later { link, until_ms },
            Self::Gone(status) => Error::Gone {
                link,
                status: status.as_u16(),
            },
        }
    }
}

/// Asks for pages.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    page_bytes_max: u64,
    /// For one page with its redirects, anew after each pause that a host asked for; and again for each robots.txt.
    time: Duration,
    /// Pages that need a browser are opened there.
    pub(crate) window: Window,
    wait_ms_max: u64,
    manners: Manners,
}

impl Fetcher {
    /// A fetcher under these limits. Proxies of the environment are not used: behind one, nobody
    /// could tell which address is asked.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let guard = settings.guard();
        let time = Duration::from_secs(settings.fetch_seconds_max);
        let client = Client::builder()
            .user_agent(user_agent(settings.contact.as_deref()))
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(guard.clone())
            .timeout(time)
            .no_proxy()
            .build()
            .map_err(Error::unavailable("HTTP client", "start"))?;
        Ok(Self {
            client,
            guard,
            page_bytes_max: settings.page_bytes_max,
            time,
            window: Window::new(settings),
            wait_ms_max: settings.wait_seconds_max.saturating_mul(1_000),
            manners: settings.manners.clone(),
        })
    }

    /// Fetches one page; none where the server says that it is as it is known.
    ///
    /// # Errors
    /// [`Error::Gone`] for what is not there, [`Error::Later`] with a link of the host that asks for more
    /// patience than we have, [`Error::Fetch`] says what else stands against it, [`Error::TooLarge`] names
    /// the limit.
    pub(crate) async fn page(&self, start: &Url, known: Option<&Page>) -> Result<Option<Fetched>> {
        self.get(start, &PAGES, known).await
    }

    /// Fetches a feed or a sitemap, as [`Fetcher::page`] fetches a page.
    pub(crate) async fn list(&self, start: &Url) -> Result<Fetched> {
        let list = self.get(start, &LISTS, None).await?;
        list.ok_or_else(|| Stop::Why("it was not asked on conditions".to_owned()).of(start))
    }

    /// Judges a link as before every request: by its address, and by its host's robots.txt.
    ///
    /// # Errors
    /// As [`Fetcher::page`].
    pub(crate) async fn permit(&self, url: &Url) -> Result<()> {
        let fail = |stop: Stop| stop.of(url);
        self.guard.permit(url).map_err(|why| fail(Stop::Why(why)))?;
        self.obey(url).await.map_err(fail)
    }

    /// Waits for the host's turn; nobody else asks it while the turn is held.
    ///
    /// # Errors
    /// [`Error::Later`] where it wants a longer pause than we wait.
    pub(crate) async fn turn(&self, url: &Url) -> Result<Turn> {
        let turn = self.manners.turn(url, self.wait_ms_max).await;
        turn.map_err(|until_ms| Stop::Later(Box::new(url.clone()), until_ms).of(url))
    }

    async fn get(
        &self,
        start: &Url,
        kinds: &Kinds,
        known: Option<&Page>,
    ) -> Result<Option<Fetched>> {
        let fail = |stop: Stop| stop.of(start);
        let (mut url, mut moved_from, mut is_for_good) = (start.clone(), Vec::new(), true);
        let mut left = self.time;
        for _ in 0..=REDIRECTS_MAX {
            self.guard
                .permit(&url)
                .map_err(|why| fail(Stop::Why(why)))?;
            self.obey(&url).await.map_err(fail)?;
            // What is known holds for where it stood; elsewhere is another page.
            let known = known.filter(|known| known.at == url.as_str());
            let asked = self.ask_in_turn(&url, &conditions(known), &mut left).await;
            let (response, mut turn) = asked.map_err(fail)?;
            match step(response, &url, known.is_some()).map_err(fail)? {
                Step::Moved(next, for_good) => {
                    moved_from.push(std::mem::replace(&mut url, next));
                    // What is elsewhere for now may be back tomorrow.
                    is_for_good &= for_good;
                }
                Step::Same => return Ok(None),
                Step::Arrived(response) => {
                    let charset = accept(&response, kinds).map_err(fail)?;
                    let (etag, last_modified) =
                        (named(&response, &ETAG), named(&response, &LAST_MODIFIED));
                    let bytes = read(response, self.page_bytes_max, start).await;
                    turn.ends(!matches!(bytes, Err(Error::Fetch { .. })));
                    let bytes = bytes?;
                    return Ok(Some(Fetched {
                        url,
                        moved_from: Some(moved_from).filter(|_| is_for_good).unwrap_or_default(),
                        bytes,
                        charset,
                        etag,
                        last_modified,
                    }));
                }
            }
        }
        Err(fail(Stop::Why(format!(
            "it was redirected more than {REDIRECTS_MAX} times"
        ))))
    }

    /// Asks an interface for programs, to which robots.txt does not apply, when it is its host's turn; follows no
    /// redirect. Nobody else asks the host while the turn is held.
    ///
    /// # Errors
    /// [`Error::Later`] for a host that asked for more patience than we have, [`Error::Fetch`] for none that answers.
    /// What an answer is worth is for the caller to judge: also one that says that there were too many requests.
    pub(crate) async fn query(&self, url: &Url, headers: &HeaderMap) -> Result<(Response, Turn)> {
        let fail = |stop: Stop| stop.of(url);
        self.guard.permit(url).map_err(|why| fail(Stop::Why(why)))?;
        let (mut asked, mut left) = (0, self.time);
        loop {
            let (response, turn) = self.ask(url, headers, &mut left).await.map_err(fail)?;
            asked += 1;
            let now_ms = self.manners.clock().now_ms();
            let Some(until_ms) = spent(&response, now_ms) else {
                return Ok((response, turn));
            };
            self.manners.leave_until(url, until_ms);
            if asked == ATTEMPTS_MAX || until_ms.saturating_sub(now_ms) > self.wait_ms_max {
                return Ok((response, turn));
            }
            left = self.time;
        }
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
    async fn obey(&self, url: &Url) -> Result<(), Stop> {
        let robots = match self.manners.robots(url) {
            Some(robots) => robots,
            None => self.ask_robots(url).await?,
        };
        if robots.is_url_allowed(url) {
            Ok(())
        } else {
            Err(Stop::Why(platform::forbidden(url)))
        }
    }

    async fn ask_robots(&self, url: &Url) -> Result<Arc<Robots>, Stop> {
        let mut at = robotxt::robots_url(url).map_err(|error| Stop::Why(error.to_string()))?;
        let (mut robots, mut delay_ms, mut left) = (Robots::allow_all(), 0, self.time);
        for _ in 0..=REDIRECTS_MAX {
            self.guard.permit(&at).map_err(Stop::Why)?;
            let asked = self.ask_in_turn(&at, &HeaderMap::new(), &mut left).await;
            let (response, _turn) = asked?;
            match step(response, &at, false)? {
                Step::Moved(next, _) => at = next,
                Step::Same => break,
                Step::Arrived(response) => {
                    let status = response.status();
                    if status.is_success() {
                        let bytes = beginning(response, ROBOTS_BYTES_MAX)
                            .await
                            .map_err(Stop::Why)?;
                        robots = Robots::from_access(AccessResult::Successful(&bytes), AGENT);
                        delay_ms = delay::of_robots(&bytes, AGENT);
                    } else if status.is_server_error() {
                        return Err(Stop::Why(format!(
                            "its host's robots.txt answered {status}: try later"
                        )));
                    }
                    break;
                }
            }
        }
        let robots = Arc::new(robots);
        self.manners.learn(url, Arc::clone(&robots), delay_ms);
        Ok(robots)
    }

    /// Asks when it is the host's turn, and again where it asks for patience; nobody else asks it while
    /// the turn is held.
    async fn ask_in_turn(
        &self,
        url: &Url,
        headers: &HeaderMap,
        left: &mut Duration,
    ) -> Result<(Response, Turn), Stop> {
        let mut until_ms = 0;
        for _ in 0..ATTEMPTS_MAX {
            let (response, turn) = self.ask(url, headers, left).await?;
            let now_ms = self.manners.clock().now_ms();
            let Some(until) = busy(&response, now_ms) else {
                return Ok((response, turn));
            };
            self.manners.leave_until(url, until);
            until_ms = until;
            // Who comes again when told to finds another answer, which may take as long as any.
            *left = self.time;
        }
        Err(Stop::Later(Box::new(url.clone()), until_ms))
    }

    /// Asks once, when it is the host's turn. The answer comes within the time that is left, and takes from it.
    async fn ask(
        &self,
        url: &Url,
        headers: &HeaderMap,
        left: &mut Duration,
    ) -> Result<(Response, Turn), Stop> {
        let turn = self.manners.turn(url, self.wait_ms_max).await;
        let mut turn = turn.map_err(|until_ms| Stop::Later(Box::new(url.clone()), until_ms))?;
        let request = self.client.get(url.clone()).headers(headers.clone());
        let begun = Instant::now();
        let response = request.timeout(*left).send().await;
        *left = left.saturating_sub(begun.elapsed());
        turn.ends(response.is_ok());
        let response = response.map_err(|error| Stop::Why(said(error)))?;
        Ok((response, turn))
    }
}

/// What an answer means for what is asked next; `is_known` says whether it was asked on conditions.
fn step(response: Response, url: &Url, is_known: bool) -> Result<Step, Stop> {
    let status = response.status();
    if is_known && status == StatusCode::NOT_MODIFIED {
        return Ok(Step::Same);
    }
    if !status.is_redirection() {
        return Ok(Step::Arrived(response));
    }
    let for_good = matches!(
        status,
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT
    );
    let to = named(&response, &LOCATION);
    let next = to.and_then(|to| url.join(&to).ok());
    next.map(|next| Step::Moved(next, for_good))
        .ok_or_else(|| Stop::Why("it was redirected to nowhere".to_owned()))
}

enum Step {
    /// Where to, and whether for good.
    Moved(Url, bool),
    /// It is as it is known.
    Same,
    Arrived(Response),
}

/// The conditions under which a page is wanted: only if it is not as it is known.
fn conditions(known: Option<&Page>) -> HeaderMap {
    let Some(known) = known else {
        return HeaderMap::new();
    };
    // Where there is both, the server goes by the ETag (RFC 9110).
    let named = [
        (IF_NONE_MATCH, known.etag.as_deref()),
        (IF_MODIFIED_SINCE, known.last_modified.as_deref()),
    ];
    // It came as a header, and is one again.
    let header = |(name, value): (HeaderName, Option<&str>)| {
        Some((name, HeaderValue::try_from(value?).ok()?))
    };
    named.into_iter().filter_map(header).collect()
}

pub(crate) fn user_agent(contact: Option<&str>) -> String {
    let contact = contact
        .map(|contact| format!(" (+{contact})"))
        .unwrap_or_default();
    format!("{AGENT}/{}{contact}", env!("CARGO_PKG_VERSION"))
}
