//! Pages whose text is built by a script: opened in a headless Chromium that sees the network through us alone.
//!
//! ```text
//! page that says too little ──> Chromium ──every request──> proxy ──Guard──> the web
//!                                  │  ▲
//!                     settle, scroll  └──devtools, over two pipes
//!                                  └──> HTML, as if it had been fetched
//! ```
//!
//! - What the browser connects to has passed the same [`Guard`] as our own requests, on every hop.
//! - A browser lives as long as the crawl that needed it, and no longer than our process (`process`).
//! - Everything has a bound: time and bytes of a page, bytes of all that it loads, scrolls, the script's memory.

mod devtools;
mod need;
mod process;
mod proxy;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use url::Url;

use super::address::Guard;
use super::fetch::{Fetched, user_agent};
use super::manners::Manners;
use super::{Settings, delay};
use crate::{Error, Result};
use devtools::{Answer, DevTools, Session};
pub(crate) use need::says_too_little;
use process::Process;
use proxy::Proxy;

/// When a page is opened in a browser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Browser {
    /// Where what was fetched says too little and has scripts.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How often a page is scrolled to its end, as the seed's crawler did.
const SCROLLS_MAX: usize = 5;
/// Between two looks at a page, and how many alike make it settled: a second.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS_ALIKE: usize = 4;
/// Looks at most until the next step is taken: five seconds, as long as the seed's crawler waited for each scroll.
const LOOKS_MAX: usize = 20;
/// The same for a page that has not loaded all it wants: twenty seconds, then it is looked at as it is.
const LOOKS_LOADING_MAX: usize = 80;
/// How long a browser may take to start; a cold disk takes some seconds.
const START: Duration = Duration::from_mins(1);
/// How often what a page may have in bytes, all that it loads may have.
const LOADS_FACTOR: u64 = 4;

/// What stops a script from waiting for a person.
const NO_DIALOGS: &str = "window.alert = window.confirm = window.prompt = window.print = () => {}";

/// Where pages are opened: one after the other, in a browser that is started for the first of them.
pub(crate) struct Window {
    options: Options,
    running: Mutex<Option<Running>>,
}

impl Window {
    /// A window under these limits; nothing is started yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            options: Options {
                program: settings.browser_path.clone(),
                tmp: settings.tmp.clone(),
                guard: settings.guard(),
                contact: settings.contact.clone(),
                manners: settings.manners.clone(),
                page_bytes_max: settings.page_bytes_max,
                seconds_max: settings.fetch_seconds_max,
            },
            running: Mutex::default(),
        }
    }

    /// Opens a page and gives what a reader would see of it, as if that had been fetched.
    ///
    /// # Errors
    /// [`Error::Config`] with the command that installs a browser, where there is none; [`Error::Unavailable`] where
    /// it does not start; [`Error::Gone`], [`Error::Later`], [`Error::Fetch`] and [`Error::TooLarge`] as a fetch has them.
    pub(crate) async fn open(&self, url: &Url) -> Result<Fetched> {
        let mut running = self.running.lock().await;
        let browser = match running.take() {
            Some(browser) => browser,
            None => Running::start(self.options.clone()).await?,
        };
        let page = browser.page(url).await;
        // One that failed may be busy with that page for ever: it ends here, and the next page has a new one.
        let is_answered = matches!(page, Ok(_) | Err(Error::Gone { .. } | Error::Later { .. }));
        if is_answered {
            *running = Some(browser);
        }
        page
    }
}

/// What a browser is started with.
#[derive(Debug, Clone)]
struct Options {
    /// The program; found by its usual names where it is not given.
    program: Option<PathBuf>,
    /// Where its profile lives while it runs.
    tmp: PathBuf,
    guard: Guard,
    contact: Option<String>,
    /// Whose clock tells when a host may be asked again.
    manners: Manners,
    page_bytes_max: u64,
    seconds_max: u64,
}

/// A running browser.
struct Running {
    options: Options,
    tools: Mutex<DevTools>,
    proxy: Proxy,
    _process: Process,
}

impl Running {
    async fn start(options: Options) -> Result<Self> {
        let program = process::find(options.program.as_deref()).await?;
        let proxy = Proxy::start(options.guard.clone()).await?;
        let agent = user_agent(options.contact.as_deref());
        let mut process = Process::start(&program, &options.tmp, proxy.address(), &agent)?;
        // What is outside of ASCII or a sign of JSON takes up to six bytes for one there.
        let most = options
            .page_bytes_max
            .saturating_mul(6)
            .saturating_add(1 << 20);
        let mut tools = process.tools(most)?;
        let deny = json!({"behavior": "deny"});
        let started = timeout(START, tools.browser("Browser.setDownloadBehavior", deny)).await;
        let started = started.unwrap_or_else(|_| Err(format!("it said nothing for {START:?}")));
        if let Err(why) = started {
            return Err(Error::unavailable("Chromium", "start")(
                process.last_words(why),
            ));
        }
        Ok(Self {
            options,
            tools: Mutex::new(tools),
            proxy,
            _process: process,
        })
    }

    async fn page(&self, url: &Url) -> Result<Fetched> {
        let fail = |why: String| Error::Fetch {
            link: url.to_string(),
            why,
        };
        let limit = self.options.page_bytes_max;
        self.proxy.begin(limit.saturating_mul(LOADS_FACTOR));
        let seconds = self.options.seconds_max;
        let mut tools = self.tools.lock().await;
        let seen = timeout(Duration::from_secs(seconds), open(&mut tools, url, limit)).await;
        let seen = seen.map_err(|_| fail(format!("the browser was not done in {seconds} s")))?;
        let seen = seen.map_err(|why| fail(self.refusal(url, &why)))?;
        if seen.html.len() as u64 > limit {
            return Err(Error::TooLarge {
                thing: url.to_string(),
                bytes: seen.html.len() as u64,
                limit,
            });
        }
        let at = Url::parse(&seen.address).map_err(|error| fail(error.to_string()))?;
        self.options
            .guard
            .permit(&at)
            .map_err(|why| fail(self.refusal(&at, &why)))?;
        if let Some(answer) = seen.answer.filter(|answer| answer.status >= 400) {
            return Err(self.refused(&at, &answer));
        }
        Ok(Fetched {
            url: at,
            moved_from: Vec::new(),
            bytes: seen.html.into_bytes(),
            charset: Some("utf-8".to_owned()),
            etag: None,
            last_modified: None,
        })
    }

    /// What it means that a server answered so; our proxy answers for what it refuses.
    fn refused(&self, at: &Url, answer: &Answer) -> Error {
        let (link, status) = (at.to_string(), answer.status);
        if let Some(why) = self.proxy.refusal(at.host_str().unwrap_or_default()) {
            return Error::Fetch { link, why };
        }
        let manners = &self.options.manners;
        let now_ms = manners.clock().now_ms();
        if let Some(until_ms) = delay::busy(status, answer.retry_after.as_deref(), now_ms) {
            manners.leave_until(at, until_ms);
            return Error::Later { link, until_ms };
        }
        match status {
            404 | 410 => Error::Gone { link, status },
            _ => Error::Fetch {
                link,
                why: format!("the server answered {status}"),
            },
        }
    }

    /// What our proxy said of it, if it said anything, is the reason; the browser only knows that it failed.
    fn refusal(&self, url: &Url, why: &str) -> String {
        let refused = self.proxy.refusal(url.host_str().unwrap_or_default());
        refused.unwrap_or_else(|| format!("the browser could not open it: {why}"))
    }
}

async fn open(tools: &mut DevTools, url: &Url, most: u64) -> Result<Seen, String> {
    let (page, context) = tools.open().await?;
    tools.page(&page, "Page.enable", json!({})).await?;
    // What a page sends could be larger than any message that is read.
    let heard = json!({"maxPostDataSize": 0});
    tools.page(&page, "Network.enable", heard).await?;
    let script = json!({"source": NO_DIALOGS});
    tools
        .page(&page, "Page.addScriptToEvaluateOnNewDocument", script)
        .await?;
    let to = json!({"url": url.as_str()});
    let arrived = tools.page(&page, "Page.navigate", to).await?;
    if let Some(why) = arrived.get("errorText").and_then(Value::as_str) {
        // A refusal without a body is an error of the browser's.
        let answer = tools.answer(&page).await?.ok_or(why)?;
        return Ok(Seen {
            html: String::new(),
            address: url.to_string(),
            answer: Some(answer),
        });
    }
    let mut height = settle(tools, &page, LOOKS_LOADING_MAX).await?;
    for _ in 0..SCROLLS_MAX {
        let end = "window.scrollTo(0, document.documentElement.scrollHeight)";
        tools.evaluate::<Value>(&page, end).await?;
        let now = settle(tools, &page, LOOKS_MAX).await?;
        if now == height {
            break;
        }
        height = now;
    }
    // One more than may be, so that it can be told.
    let most = most.saturating_add(1);
    let mut seen: Seen = tools.evaluate(&page, &format!("({SEEN})({most})")).await?;
    seen.answer = tools.answer(&page).await?;
    let context = json!({"browserContextId": context});
    tools
        .browser("Target.disposeBrowserContext", context)
        .await?;
    Ok(seen)
}

/// What is to be seen of a page.
#[derive(Debug, Deserialize)]
struct Seen {
    html: String,
    address: String,
    #[serde(skip)]
    answer: Option<Answer>,
}

/// Takes no more of a page than this many characters.
const SEEN: &str = "most => ({
    html: ('<!doctype html>' + (document.documentElement?.outerHTML ?? '')).slice(0, most),
    address: location.href,
})";

/// How a page stands: its height, its letters, and whether it is loaded.
const STANDING: &str =
    "[document.documentElement?.scrollHeight ?? 0, document.body?.innerText.length ?? 0,
    document.readyState === 'complete']";

/// Waits until a page is loaded and grows no more, or for long enough; returns its height.
async fn settle(tools: &mut DevTools, page: &Session, looks: usize) -> Result<u64, String> {
    let (mut before, mut alike) = ((0, 0, false), 0);
    for _ in 0..looks {
        let now: (u64, u64, bool) = tools.evaluate(page, STANDING).await?;
        alike = if now.2 && now == before { alike + 1 } else { 0 };
        before = now;
        if alike >= LOOKS_ALIKE {
            break;
        }
        sleep(LOOK).await;
    }
    Ok(before.0)
}
