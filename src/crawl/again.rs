//! A page that may have been visited before: asked on conditions, judged, and remembered.
//!
//! ```text
//! link ──> what is known ──conditions──> visit ──┬─ as it was ──────> nothing is written
//!                                                ├─ other ──────────> document
//!                                                └─ 404, 410 ──twice──> deleted
//! ```
//!
//! [`crate::logbook::page`] has the table. What is remembered of a page is saved after its document is.

use std::sync::Arc;

use url::Url;

use super::fetch::Fetcher;
use super::harvest::{Context, Found, Missed};
use super::visit::{self, State, Visited};
use super::{Skipped, keys_of, platform};
use crate::change::DocumentKey;
use crate::logbook::{Logbook, Missing, Page, Pages};
use crate::moment::readable;
use crate::source::Source;
use crate::{Error, Result};

/// Raised when pages are read otherwise than before, so that those that did not change are read anew.
const READER: u32 = 2;
/// Other links of one document that are looked at before it is deleted; with more it stays.
const LINKS_MAX: usize = 8;

/// Visits pages, as far as they are not known.
pub(crate) struct Again<'a, S> {
    pub(crate) source: &'a S,
    pub(crate) fetcher: &'a Fetcher,
    /// The platform that a person named.
    pub(crate) platform: Option<&'a str>,
    pub(crate) context: &'a Arc<Context>,
    /// Whether the context's root is a publication, and not the page itself.
    pub(crate) is_listed: bool,
}

impl<S: Source + Logbook> Again<'_, S> {
    /// Visits one page.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Later`] and [`Error::TooLarge`] where nothing can be said of it, and
    /// [`Error::Gone`] where nothing is stored of it either.
    pub(crate) async fn page(&self, url: &Url) -> Result<Found> {
        let known = self.known(url).await?;
        let is_usable = match &known {
            Some(page) => self.is_usable(page).await?,
            None => false,
        };
        let usable = known.as_ref().filter(|_| is_usable);
        let visited = visit::page(url, self.platform, self.fetcher, usable, self.context).await;
        match visited {
            Ok(Visited::Same(state)) => {
                let page = known.ok_or_else(|| unasked(url))?;
                let document = page.document.clone().ok_or_else(|| unasked(url))?;
                let page = match state {
                    Some(state) => self.seen(page, Some(state)),
                    None => seen(page, self.now_ms()),
                };
                Ok(remembered(Found::Same(document), page))
            }
            Ok(Visited::Read(found, state)) => Ok(self.read(url, known, found, state)),
            Err(error @ Error::Gone { .. }) => self.missing(url, known, error).await,
            Err(error) => Err(error),
        }
    }

    async fn known(&self, url: &Url) -> Result<Option<Page>> {
        let link = Pages::Of(platform::canonical(url));
        Ok(self.source.pages(link, 1).await?.pop())
    }

    /// The document that this page made when it was read before, while it is stored.
    ///
    /// # Errors
    /// What the source says.
    pub(crate) async fn made(&self, url: &Url) -> Result<Option<DocumentKey>> {
        let Some(key) = self.known(url).await?.and_then(|page| page.document) else {
            return Ok(None);
        };
        let stored = self.source.read(vec![key.clone()]).await?.found;
        Ok(stored.into_iter().flatten().next().map(|_| key))
    }

    /// Whether the page need not be read where it is as it was: its document is there, and the same
    /// reader would make it.
    async fn is_usable(&self, page: &Page) -> Result<bool> {
        let Some(key) = &page.document else {
            return Ok(false);
        };
        if page.reader != self.reader() {
            return Ok(false);
        }
        let stored = self.source.read(vec![key.clone()]).await?.found;
        Ok(stored.iter().any(Option::is_some))
    }

    fn reader(&self) -> String {
        let (version, author) = (env!("CARGO_PKG_VERSION"), self.context.author.id());
        let platform = self.platform.unwrap_or("automatic");
        format!("{READER} {version} {platform} {author}")
    }

    fn now_ms(&self) -> u64 {
        self.context.settings.manners.clock().now_ms()
    }

    fn gone_after_ms(&self) -> u64 {
        let hours = self.context.settings.gone_after_hours;
        hours.saturating_mul(3_600_000)
    }

    /// What a page says, with what is remembered of it.
    fn read(&self, url: &Url, known: Option<Page>, found: Found, state: Option<State>) -> Found {
        let document = match &found {
            Found::Document(document) | Found::Partial(document, _) => Some(document.key.clone()),
            _ => None,
        };
        let Some(document) = document else {
            // It is there, and gave nothing: what is stored of it stays, and it is read again.
            return match known {
                Some(page) => remembered(found, self.seen(page, None)),
                None => found,
            };
        };
        let mut page = known.unwrap_or_default();
        page.link = platform::canonical(url);
        page.document = Some(document);
        remembered(found, self.seen(page, state))
    }

    fn seen(&self, mut page: Page, state: Option<State>) -> Page {
        page.reader = self.reader();
        if self.is_listed || page.root.is_empty() {
            page.root.clone_from(&self.context.root);
        }
        let (at, etag, last_modified, hash) = match state {
            Some(state) => (state.at, state.etag, state.last_modified, Some(state.hash)),
            None => (String::new(), None, None, None),
        };
        page.at = at;
        page.etag = etag;
        page.last_modified = last_modified;
        page.hash = hash;
        seen(page, self.now_ms())
    }

    /// A page that is not there: its document stays until it was missing twice.
    async fn missing(&self, url: &Url, known: Option<Page>, error: Error) -> Result<Found> {
        let mut page = known.unwrap_or_default();
        if page.document.is_none() {
            page.document = self.stored(url).await?;
        }
        let Some(document) = page.document.clone() else {
            return Err(error);
        };
        if page.link.is_empty() {
            page.link = platform::canonical(url);
            page.root.clone_from(&self.context.root);
        }
        let missing = page.missing(self.now_ms(), self.gone_after_ms());
        let other = self.other(&page.link, &document).await?;
        let why = match (missing, other) {
            (Missing::Gone, None) => {
                page.forget();
                return Ok(remembered(Found::Gone(document), page));
            }
            (Missing::Gone, Some(other)) => {
                format!("it is gone; its document stays, since {other} is not")
            }
            (Missing::Until(until), _) => format!(
                "it is gone; its document is deleted if it still is after {}",
                readable(until)
            ),
        };
        let missed = Missed {
            skipped: Skipped::one(url.as_str(), why),
            key: Some(document),
        };
        Ok(remembered(Found::Missed(missed), page))
    }

    /// The document that a page made before pages were remembered.
    async fn stored(&self, url: &Url) -> Result<Option<DocumentKey>> {
        let keys = keys_of(url.as_str());
        let stored = self.source.read(keys.clone()).await?.found;
        let mut found = keys.into_iter().zip(stored);
        Ok(found.find_map(|(key, stored)| stored.map(|_| key)))
    }

    /// Another link of the same document that is not known to be gone. All of them are looked at, so
    /// that those that are missing too are counted from now on.
    async fn other(&self, link: &str, document: &DocumentKey) -> Result<Option<String>> {
        let making = Pages::Making(document.clone());
        let pages = self.source.pages(making, LINKS_MAX + 2).await?;
        let mut held = None;
        for (number, mut page) in pages
            .into_iter()
            .filter(|page| page.link != link)
            .enumerate()
        {
            let Ok(url) = Url::parse(&page.link) else {
                continue;
            };
            if number >= LINKS_MAX {
                return Ok(Some(page.link));
            }
            match self.fetcher.page(&url, Some(&page)).await {
                Ok(_) => {
                    page = seen(page, self.now_ms());
                    self.source.save_pages(vec![page.clone()]).await?;
                }
                Err(Error::Gone { .. }) => {
                    let missing = page.missing(self.now_ms(), self.gone_after_ms());
                    self.source.save_pages(vec![page.clone()]).await?;
                    if missing == Missing::Gone {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error.chain(), "another link of a document");
                }
            }
            held = Some(page.link);
        }
        Ok(held)
    }
}

fn seen(mut page: Page, now_ms: u64) -> Page {
    page.seen(now_ms);
    page
}

fn remembered(found: Found, page: Page) -> Found {
    Found::Visited(Box::new(found), Box::new(page))
}

fn unasked(url: &Url) -> Error {
    Error::malformed(
        url.as_str(),
        "it is as it was, though nothing was known of it",
    )
}
