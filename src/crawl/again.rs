//! A page that may have been visited before: asked on conditions, judged, and remembered.
//!
//! ```text
//! link ──> what is known ──conditions──> visit ──┬─ as it was ──────> nothing is written
//!                                                ├─ other ──────────> document
//!                                                ├─ moved for good ──> document; the one of the old link goes
//!                                                └─ 404, 410 ──twice──> deleted, unless its feed has it
//! ```
//!
//! [`crate::logbook::page`] has the table. What is remembered of a page is saved after its document is.
//! What an answer deletes was made by a crawl of pages ([`made`]): what a folder or an export brought is theirs.

mod made;

use std::sync::Arc;

use url::Url;

use super::fetch::Fetcher;
use super::harvest::{Context, Found, Missed};
use super::visit::{self, Read, State, Visited};
use super::{Skipped, platform};
use crate::change::DocumentKey;
use crate::logbook::{Logbook, Missing, Page, Pages};
use crate::moment::readable;
use crate::source::Source;
use crate::{Error, Result};

/// Raised when pages are read otherwise than before, so that those that did not change are read anew.
const READER: u32 = 4;
/// Other links of one document that are looked at before it is deleted; with more it stays.
const LINKS_MAX: usize = 8;
/// The reader of what a feed had of a post: whatever the page says is read anew.
const PREVIEW: &str = "preview";
/// Why a post stays whose page is not there.
const FED: &str = "its page is gone; it stays, since its feed still has it";
/// Why one stays that only its feed ever had.
const UNASKED: &str = "its page is gone; it stays, since its feed could not be read";

/// Whether a feed has the text of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    Yes,
    No,
    /// It could not be read.
    Unknown,
}

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
    /// Visits one page, which is not gone while a feed has its text.
    ///
    /// # Errors
    /// [`Error::Fetch`], [`Error::Later`] and [`Error::TooLarge`] where nothing can be said of it, and
    /// [`Error::Gone`] where nothing is stored of it either.
    pub(crate) async fn page(&self, url: &Url, fed: Fed) -> Result<Found> {
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
            Ok(Visited::Read(read)) if self.is_listed && self.leads_home(url, &read.at) => {
                Err(Error::Fetch {
                    link: url.to_string(),
                    why: format!("it leads to {}, a home page and no post", read.at),
                })
            }
            Ok(Visited::Read(read)) => self.read(url, known, *read).await,
            Err(error @ Error::Gone { .. }) => self.missing(url, (known, fed), error).await,
            Err(error) => Err(error),
        }
    }

    async fn known(&self, url: &Url) -> Result<Option<Page>> {
        let link = Pages::Of(platform::canonical(url));
        Ok(self.source.pages(link, 1).await?.pop())
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
    async fn read(&self, url: &Url, known: Option<Page>, read: Read) -> Result<Found> {
        let document = match &read.found {
            Found::Document(document) | Found::Partial(document, _) => Some(document.key.clone()),
            _ => None,
        };
        let read = if read.is_shell {
            self.without_shell(known.as_ref(), read).await?
        } else {
            read
        };
        let Some(document) = document.filter(|_| !matches!(read.found, Found::Missed(_))) else {
            // It is there, and gave nothing: what is stored of it stays, and it is read again.
            return Ok(match known {
                Some(page) => remembered(read.found, self.seen(page, None)),
                None => read.found,
            });
        };
        let replaced = self
            .replaced(url, (known.as_ref(), &document), &read)
            .await?;
        let found = if replaced.is_empty() {
            read.found
        } else {
            Found::InPlaceOf(Box::new(read.found), replaced)
        };
        let mut page = known.unwrap_or_default();
        page.link = platform::canonical(url);
        page.document = Some(document);
        Ok(remembered(found, self.seen(page, read.state)))
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

    /// A page that is not there: its document stays until it was missing twice, and while a feed has it.
    async fn missing(
        &self,
        url: &Url,
        (known, fed): (Option<Page>, Fed),
        error: Error,
    ) -> Result<Found> {
        let mut page = known.unwrap_or_default();
        if page.document.is_none() {
            page.document = self.made_by_pages(url).await?;
        }
        let Some(document) = page.document.clone() else {
            return Err(error);
        };
        if page.link.is_empty() {
            page.link = platform::canonical(url);
            page.root.clone_from(&self.context.root);
        }
        if fed == Fed::Yes {
            // How long it is missing counts from when no feed has it any more.
            page.asked_ms = self.now_ms();
            page.missing_ms = None;
            let found = Found::Fed(kept(url, FED.to_owned(), document));
            return Ok(remembered(found, page));
        }
        if fed == Fed::Unknown && page.reader == PREVIEW {
            page.asked_ms = self.now_ms();
            let found = stays(url, UNASKED.to_owned(), document);
            return Ok(remembered(found, page));
        }
        let missing = page.missing(self.now_ms(), self.gone_after_ms());
        let held = self.holds(&page, &document).await?;
        if let Missing::Until(until) = missing {
            let until = readable(until);
            let why = format!("it is gone; its document is deleted if it still is after {until}");
            return Ok(remembered(stays(url, why, document), page));
        }
        let left_behind = self.left_behind(url, &document).await?;
        let found = if let Some(why) = held {
            let why = format!("it is gone; its document stays, since {why}");
            stays(url, why, document)
        } else {
            page.forget();
            Found::Gone(document)
        };
        let found = match left_behind {
            Some(own) => Found::InPlaceOf(Box::new(found), vec![own]),
            None => found,
        };
        Ok(remembered(found, page))
    }

    /// Why the document of a page that is gone stays, if it does.
    async fn holds(&self, page: &Page, document: &DocumentKey) -> Result<Option<String>> {
        if let Some(root) = self.brought_by(document).await? {
            return Ok(Some(format!("{root} brought it")));
        }
        let other = self.other(page, document).await?;
        Ok(other.map(|other| format!("{other} is not")))
    }

    /// Another link of the same document that is not known to be gone, be it the one that this led to. All
    /// of them are looked at, so that those that are missing too are counted from now on.
    async fn other(&self, own: &Page, document: &DocumentKey) -> Result<Option<String>> {
        let making = Pages::Making(document.clone());
        let mut pages = self.source.pages(making, LINKS_MAX + 2).await?;
        pages.retain(|page| page.link != own.link);
        let at = Url::parse(&own.at).map(|at| platform::canonical(&at));
        if let Some(at) = at.ok().filter(|at| *at != own.link)
            && pages.iter().all(|page| page.link != at)
        {
            pages.push(Page {
                link: at,
                root: own.root.clone(),
                document: Some(document.clone()),
                ..Page::default()
            });
        }
        let mut held = None;
        for (number, mut page) in pages.into_iter().enumerate() {
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

/// A page that is not there, and whose document stays.
fn stays(url: &Url, why: String, document: DocumentKey) -> Found {
    Found::Missed(kept(url, why, document))
}

fn kept(url: &Url, why: String, document: DocumentKey) -> Missed {
    Missed {
        skipped: Skipped::one(url.as_str(), why),
        key: Some(document),
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
