//! Which stored documents are a page's own, and which of them its answer takes the place of.
//!
//! | the page | the document that it made before |
//! |---|---|
//! | moved for good (301, 308 on the whole way) to one that is stored under its own link | goes, as do those of the links on the way, unless another page makes it |
//! | moved for now, or says another canonical link | stays |
//! | leads to a home page, as sites do with what they no longer have | stays |
//! | is read for the first time after what its feed had of it was stored | goes where it has another key |
//! | is an empty shell whose script no browser ran | stays as it is |
//! | is gone for good, and led elsewhere when it was there last | goes, unless another page makes it |

use url::Url;

use super::{Again, FED, LINKS_MAX, PREVIEW, remembered};
use crate::Result;
use crate::change::DocumentKey;
use crate::crawl::harvest::{Found, Missed};
use crate::crawl::link::is_home;
use crate::crawl::visit::{Read, letters_of};
use crate::crawl::{Skipped, keys_of, platform};
use crate::document::{Fields, crawl_roots, kind};
use crate::logbook::{Logbook, Page, Pages};
use crate::source::{Source, read_all};

/// Of the letters that are stored, what a page has without its script must be one in so many to be no shell.
const SHELL_ONE_IN: usize = 2;

impl<S: Source + Logbook> Again<'_, S> {
    /// The document of a post that what its feed has of it must not take the place of: whatever is stored
    /// under its link, but for what the feed had of it before.
    ///
    /// # Errors
    /// What the source says.
    pub(crate) async fn made(&self, url: &Url) -> Result<Option<DocumentKey>> {
        let known = self.known(url).await?;
        let has_preview = known.as_ref().is_some_and(|page| page.reader == PREVIEW);
        let of_page = known.and_then(|page| page.document);
        let is_preview = match &of_page {
            Some(key) if has_preview => self.is_preview(key).await?,
            _ => false,
        };
        let keys = of_page.into_iter().chain(keys_of(url.as_str()));
        let keys: Vec<_> = keys.filter(|key| key.kind != kind::REPOSITORIES).collect();
        let stored = read_all(self.source, keys.clone()).await?;
        let mut stored = keys.into_iter().zip(stored);
        let made = stored.find(|(_, fields)| {
            let fields = fields.as_ref();
            fields.is_some_and(|fields| !(is_preview && is_of_pages(fields)))
        });
        Ok(made.map(|(key, _)| key))
    }

    /// Whether feeds alone made a document, and no other page of the same post.
    async fn is_preview(&self, key: &DocumentKey) -> Result<bool> {
        let making = Pages::Making(key.clone());
        let pages = self.source.pages(making, LINKS_MAX + 1).await?;
        Ok(pages.iter().all(|page| page.reader == PREVIEW))
    }

    /// What a feed has of a post whose page gave nothing, as something that the page itself replaces as soon
    /// as it gives something: `tried` is what the page came to. That the page is gone is told.
    ///
    /// # Errors
    /// What the source says.
    pub(crate) async fn preview(
        &self,
        url: &Url,
        found: Found,
        tried: Option<Found>,
    ) -> Result<Found> {
        let (Found::Document(document) | Found::Partial(document, _)) = &found else {
            return Ok(found);
        };
        let key = document.key.clone();
        let (known, is_gone) = match tried {
            Some(Found::Visited(tried, page)) => (Some(*page), matches!(*tried, Found::Fed(_))),
            _ => (self.known(url).await?, false),
        };
        let found = match found {
            Found::Document(document) if is_gone => {
                Found::Partial(document, Skipped::one(url.as_str(), FED.to_owned()))
            }
            found => found,
        };
        let root = self.context.root.clone();
        let page = Page {
            link: platform::canonical(url),
            root,
            document: Some(key),
            reader: PREVIEW.to_owned(),
            at: String::new(),
            etag: None,
            last_modified: None,
            hash: None,
            ..known.unwrap_or_default()
        };
        Ok(remembered(found, page))
    }

    /// Whether a link leads to a home page that it is not itself, be it the publication's.
    pub(super) fn leads_home(&self, url: &Url, at: &Url) -> bool {
        let is_root = |url: &Url| is_home(url) || platform::canonical(url) == self.context.root;
        is_root(at) && platform::canonical(url) != platform::canonical(at)
    }

    /// The document under a page's own link, where a crawl of pages made it.
    pub(super) async fn made_by_pages(&self, url: &Url) -> Result<Option<DocumentKey>> {
        let keys = keys_of(url.as_str());
        let stored = read_all(self.source, keys.clone()).await?;
        let mut stored = keys.into_iter().zip(stored);
        let made = stored.find(|(key, fields)| {
            let fields = fields.as_ref().filter(|_| key.kind != kind::REPOSITORIES);
            fields.is_some_and(is_of_pages)
        });
        Ok(made.map(|(key, _)| key))
    }

    /// The document under the own link of a page that is gone for good, where the page made another one when it was
    /// there last, and no other page makes this one.
    pub(super) async fn left_behind(
        &self,
        url: &Url,
        document: &DocumentKey,
    ) -> Result<Option<DocumentKey>> {
        let own = self.made_by_pages(url).await?;
        let Some(own) = own.filter(|own| own != document) else {
            return Ok(None);
        };
        let making = Pages::Making(own.clone());
        let pages = self.source.pages(making, 2).await?;
        let link = platform::canonical(url);
        let is_alone = pages.iter().all(|page| page.link == link);
        Ok(is_alone.then_some(own))
    }

    /// What brought a stored document, if it was no crawl of pages.
    pub(super) async fn brought_by(&self, key: &DocumentKey) -> Result<Option<String>> {
        let stored = self.source.read(vec![key.clone()]).await?.found;
        let fields = stored.into_iter().flatten().next();
        let fields = fields.filter(|fields| !is_of_pages(fields));
        let other = |fields: Fields| {
            let root = crawl_roots(&fields).find(|root| !is_web(root));
            root.map(str::to_owned)
        };
        let root = fields.map(other);
        Ok(root.map(|root| root.unwrap_or_else(|| "another program".to_owned())))
    }

    /// The documents that go when the one that a page makes now is stored.
    pub(super) async fn replaced(
        &self,
        url: &Url,
        (known, now): (Option<&Page>, &DocumentKey),
        read: &Read,
    ) -> Result<Vec<DocumentKey>> {
        let mut moved_from = &read.moved_from[..];
        if self.leads_home(url, &read.at) {
            moved_from = &[];
        }
        let mut own: Vec<String> = moved_from.iter().map(platform::canonical).collect();
        own.push(platform::canonical(url));
        // What a page made that stood elsewhere is that one's, and may be there still.
        let is_own = |page: &&Page| {
            let at = Url::parse(&page.at).map(|at| platform::canonical(&at));
            let has_moved = !moved_from.is_empty() && at.is_ok_and(|at| own.contains(&at));
            has_moved || page.reader == PREVIEW
        };
        let of_page = known.filter(is_own).and_then(|page| page.document.clone());
        let mut before: Vec<_> = of_page.into_iter().collect();
        for link in moved_from {
            before.extend(self.made_by_pages(link).await?);
        }
        before.retain(|key| key != now);
        let mut replaced = Vec::new();
        for key in before {
            let making = Pages::Making(key.clone());
            let pages = self.source.pages(making, own.len() + 1).await?;
            let is_last = pages.iter().all(|page| own.contains(&page.link));
            if is_last && !replaced.contains(&key) && self.brought_by(&key).await?.is_none() {
                replaced.push(key);
            }
        }
        Ok(replaced)
    }

    /// A page that no browser could open, unless what is stored of it says much more.
    pub(super) async fn without_shell(&self, known: Option<&Page>, read: Read) -> Result<Read> {
        let Found::Partial(document, skipped) = &read.found else {
            return Ok(read);
        };
        let of_page = known.and_then(|page| page.document.clone());
        let mut keys = vec![document.key.clone()];
        keys.extend(of_page.filter(|key| *key != document.key));
        let stored = read_all(self.source, keys.clone()).await?;
        let has = letters_of(&document.fields).saturating_mul(SHELL_ONE_IN);
        let mut stored = keys.into_iter().zip(stored);
        let fuller =
            stored.find(|(_, stored)| stored.as_ref().is_some_and(|it| letters_of(it) > has));
        let Some((key, _)) = fuller else {
            return Ok(read);
        };
        let why = format!("{}; what is stored of it says more, and stays", skipped.why);
        let found = Found::Missed(Missed {
            skipped: Skipped::one(&skipped.what, why),
            key: Some(key),
        });
        Ok(Read { found, ..read })
    }
}

fn is_web(root: &str) -> bool {
    root.starts_with("https://") || root.starts_with("http://")
}

/// Whether crawls of pages of the web alone made a document: what folders, repositories and exports brought has
/// another root, too.
fn is_of_pages(fields: &Fields) -> bool {
    let mut roots = crawl_roots(fields).peekable();
    roots.peek().is_some() && roots.all(is_web)
}
