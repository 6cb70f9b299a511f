//! Which platform a link belongs to, what is to be read there, and what a page of it says. Pure.
//!
//! ```text
//! link ──plan──> a page | the posts of a publication | a repository | a refusal with the way out
//! page ──read──> a post                (the platforms serve other people's domains too; then article)
//! ```
//!
//! A platform is one file with one [`Platform`] in it, and one line of [`PLATFORMS`]. The first whose
//! `plan` knows the link has it; `article`, the last, knows every link.

mod article;
mod embedded;
mod forge;
pub(crate) mod github;
mod linkedin;
mod medium;
mod saved;
mod substack;

use dom_query::Document as Tree;
use url::Url;

use super::encoding::decode;
use super::feed::Entry;
use super::fetch::Fetched;
use super::harvest::{Context, Found, Missed};
use super::link::{normalised, repository_link};
use super::page::{self, Opened, Page};
use super::{Settings, Skipped, pages};
use crate::document::{Article, Document, Fields, key_of_link, kind};

pub(crate) use linkedin::export;
pub(crate) use saved::saved;

/// Every platform, in the order in which they are asked.
const PLATFORMS: [Platform; 6] = [
    forge::PLATFORM,
    github::PLATFORM,
    linkedin::PLATFORM,
    medium::PLATFORM,
    substack::PLATFORM,
    article::PLATFORM,
];

/// The platform of the one export that is read from disk.
pub(crate) const LINKEDIN: &str = linkedin::PLATFORM.name;

/// The platform of a page that no other one made.
pub(crate) const WEB: &str = "web";

const BEHIND_A_PAYWALL: &str =
    "only the part before its paywall could be read; it is stored as `partial`";

/// With what a feed ends the beginning of a post that goes on elsewhere.
const CONTINUE: &str = "Continue reading on ";

/// One platform.
pub(crate) struct Platform {
    /// Its name, as documents and `--as` have it.
    pub(crate) name: &'static str,
    /// What a link of its own leads to; none where it is not its own. True where a person said that
    /// it is: then it may be on any domain.
    plan: fn(&Url, bool) -> Option<Plan>,
    /// What the `_id` of the document follows from that a link leads to.
    identity: fn(&Url) -> String,
    /// The post on a page, none where the platform did not make the page; an error says in words why
    /// there is nothing to keep. True as above.
    read: fn(&Markup<'_>, bool) -> Option<Result<Post, String>>,
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// A page, by the link under which it is one document.
    Page(Url),
    /// All posts of an author or a publication.
    Listing(Listing),
    /// A git repository.
    Repository(Url),
    /// Every repository and gist of an account.
    Account(github::Account),
    /// Nothing, with the reason and the way out.
    Refused(String),
}

/// Where the posts of an author or a publication are listed.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    /// The link of the author or publication.
    pub(crate) home: Url,
    /// RSS or Atom; the newest posts, also those that stand on other hosts.
    pub(crate) feeds: Vec<Url>,
    /// Sitemaps and indexes of them; their posts stand on the sitemap's own host.
    pub(crate) sitemaps: Vec<Url>,
    /// The link of a post under which it is read once; none for what is no post.
    pub(crate) post: fn(&Url) -> Option<Url>,
}

impl PartialEq for Listing {
    fn eq(&self, other: &Self) -> bool {
        (&self.home, &self.feeds, &self.sitemaps) == (&other.home, &other.feeds, &other.sitemaps)
    }
}

impl Eq for Listing {}

/// What became of a page that arrived.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Something, or why there is nothing.
    Found(Found),
    /// It only leads on.
    LeadsTo(Url),
}

/// An open page: nothing in it is too deep or too large for its readers.
pub(crate) struct Markup<'a> {
    /// As it arrived, with its scripts.
    pub(crate) html: &'a str,
    /// The same as a tree, which [`page::kept`] uses up.
    pub(crate) document: &'a Tree,
    /// Where it was in the end.
    pub(crate) url: &'a Url,
}

/// What a page of a platform says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Post {
    /// The type: `articles` or `posts`.
    pub(crate) kind: &'static str,
    /// What the `_id` follows from: one for all links of the post.
    pub(crate) identity: String,
    /// The link, for people.
    pub(crate) link: String,
    /// Text and what is known of it.
    pub(crate) page: Page,
    /// Reactions and comments, where they are told. They change by themselves, and are metadata.
    pub(crate) counts: Counts,
}

/// How often others reacted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) reactions: Option<u64>,
    pub(crate) comments: Option<u64>,
}

/// What `--as` may name beside pages and repositories.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PLATFORMS.iter().map(|platform| platform.name)
}

/// What a link of the web leads to; `asked` is the platform that a person named.
pub(crate) fn plan(url: &Url, asked: Option<&str>) -> Plan {
    let mut platforms = PLATFORMS
        .iter()
        .filter(|one| asked.is_none_or(|name| name == one.name));
    platforms
        .find_map(|platform| (platform.plan)(url, asked.is_some()))
        .unwrap_or_else(|| Plan::Page(url.clone()))
}

/// A link without what does not tell documents apart, as the platform of its host has it.
pub(crate) fn canonical(url: &Url) -> String {
    match plan(url, None) {
        Plan::Page(url) => normalised(&url),
        _ => normalised(url),
    }
}

/// What the `_id` of a repository follows from; GitHub does not tell capitals apart.
pub(crate) fn repository_identity(url: &Url) -> String {
    let link = repository_link(url);
    if github::is_own(url) {
        link.to_lowercase()
    } else {
        link
    }
}

/// The platform that a repository is said to be of.
pub(crate) fn of_repository(url: &Url, settings: &Settings) -> &'static str {
    let own = Url::parse(&settings.github_url).ok();
    let is_named = own.is_some_and(|own| own.origin() == url.origin());
    if is_named || github::is_own(url) {
        github::PLATFORM.name
    } else {
        forge::PLATFORM.name
    }
}

/// Reads a page that arrived: as the platform has it that made it, else as any article.
///
/// Runs where there is room for readers of markup, see [`pages::with_room`].
pub(crate) fn found(page: &Fetched, asked: Option<&str>, context: &Context) -> Arrived {
    let html = decode(&page.bytes, page.charset.as_deref());
    let read = pages::caught(|| match page::open(&html, &page.url)? {
        Opened::LeadsTo(to) => Ok(Arrived::LeadsTo(to)),
        Opened::Page(document) => {
            let page = Markup {
                html: &html,
                document: &document,
                url: &page.url,
            };
            let (platform, post) = read(&page, asked)?;
            post.found(platform, page.url, context).map(Arrived::Found)
        }
    });
    read.unwrap_or_else(|why| Arrived::Found(Found::Missed(missed(&page.url, why))))
}

fn read(page: &Markup<'_>, asked: Option<&str>) -> Result<(&'static str, Post), String> {
    of_platform(page, asked).unwrap_or_else(|| Ok((WEB, pages::fetched(page)?)))
}

/// What the platform has of a page that made it, if any did.
fn of_platform(
    page: &Markup<'_>,
    asked: Option<&str>,
) -> Option<Result<(&'static str, Post), String>> {
    PLATFORMS.iter().find_map(|platform| {
        let post = (platform.read)(page, asked == Some(platform.name))?;
        Some(post.map(|post| (platform.name, post)))
    })
}

/// Said of a link that its host's robots.txt forbids, with the way out where there is one.
pub(crate) fn forbidden(url: &Url) -> String {
    let why = "its host's robots.txt forbids it";
    match linkedin::way_around(url) {
        Some(way) => format!("{why}: {way}"),
        None => why.to_owned(),
    }
}

/// A post whose page could not be read, as its feed has it: a preview, where the platform has any.
///
/// Runs where there is room for readers of markup.
pub(crate) fn of_entry(
    link: &Url,
    entry: Entry,
    asked: Option<&str>,
    context: &Context,
) -> Result<Found, String> {
    let markup = entry.markup.unwrap_or_default();
    let read = pages::caught(|| page::whole(&markup, link))?;
    let platform = PLATFORMS.iter().find(|one| match asked {
        Some(name) => one.name == name,
        None => (one.plan)(link, false).is_some(),
    });
    let platform = platform.unwrap_or(&article::PLATFORM);
    let page = Page {
        title: entry.title,
        subtitle: String::new(),
        byline: entry.byline,
        published_at: entry.published_at,
        modified_at: entry.modified_at,
        // Medium's feed has the beginning of what is for members.
        partial: markup.contains(CONTINUE),
        ..read
    };
    let post = Post::article((platform.identity)(link), link.to_string(), page);
    post.found(platform.name, link, context)
}

impl Post {
    /// An article of which no counts are known.
    pub(crate) fn article(identity: String, link: String, page: Page) -> Self {
        Self {
            kind: kind::ARTICLES,
            identity,
            link,
            page,
            counts: Counts::default(),
        }
    }

    /// The post as a document of its type.
    pub(crate) fn document(
        self,
        platform: &'static str,
        context: &Context,
    ) -> Result<Document, String> {
        let limit = context.settings.repository_bytes_max;
        let page = self.page;
        if let Some(why) = super::sift::by_size(page.text.len() as u64, limit) {
            return Err(format!("its main text has {why}"));
        }
        let extra = self.counts.fields();
        if self.kind == kind::POSTS {
            let note = crate::document::Post {
                platform,
                identity: self.identity,
                link: self.link,
                text: page.text,
                byline: page.byline,
                published_at: page.published_at,
                modified_at: page.modified_at,
                extra,
            };
            return Ok(note.document(&context.author, context.root()));
        }
        let article = Article {
            platform,
            identity: self.identity,
            link: self.link,
            title: page.title,
            subtitle: page.subtitle,
            text: page.text,
            language: page.language,
            byline: page.byline,
            published_at: page.published_at,
            modified_at: page.modified_at,
            partial: page.partial,
            extra,
        };
        Ok(article.document(&context.author, context.root()))
    }

    /// The post as something that a reader came by at `url`; that it is cut short is said, too.
    fn found(self, platform: &'static str, url: &Url, context: &Context) -> Result<Found, String> {
        let partial = self.page.partial;
        let document = self.document(platform, context)?;
        Ok(if partial {
            let why = BEHIND_A_PAYWALL.to_owned();
            Found::Partial(document, Skipped::one(url.as_str(), why))
        } else {
            Found::Document(document)
        })
    }
}

impl Counts {
    fn fields(self) -> Fields {
        let named = [
            ("reaction_count", self.reactions),
            ("comment_count", self.comments),
        ];
        let known = named
            .into_iter()
            .filter_map(|(name, count)| Some((name.to_owned(), count?.into())));
        known.collect()
    }
}

/// A page that is there and gave nothing: what is stored of it stays.
pub(crate) fn missed(url: &Url, why: String) -> Missed {
    Missed {
        skipped: Skipped::one(url.as_str(), why),
        key: Some(key_of_link(kind::ARTICLES, &identity(url))),
    }
}

/// What the `_id` of a page follows from, as the platform of its host has it.
pub(crate) fn identity(url: &Url) -> String {
    let owner = PLATFORMS
        .iter()
        .find(|one| (one.plan)(url, false).is_some());
    owner.map_or_else(|| normalised(url), |owner| (owner.identity)(url))
}

/// A link without query and fragment, where the platform needs neither.
fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The parts of a link's path that are not empty.
fn parts(url: &Url) -> Vec<&str> {
    let parts = url.path_segments().into_iter().flatten();
    parts.filter(|part| !part.is_empty()).collect()
}

/// Another place on the same host.
fn beside(url: &Url, path: &str) -> Url {
    let mut url = bare(url);
    url.set_path(path);
    url
}

/// Whether a name can stand before a domain.
fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() < 64 && name.bytes().all(fits)
}

#[cfg(test)]
mod tests;
