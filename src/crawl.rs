//! Link to documents: reads pages, folders and repositories, and brings the source up to date.
//!
//! ```text
//! argument ──target──> listing ─feed, sitemap─┐
//!                      page ────────fetch──────┴─> platform ─> post ──────────┐
//!                       └─says too little──browser──┘                         │
//!                      archive ─────zip──────> platform ─> post, article ─────┤
//!                      folder ──────walk─────> encoding ─> page ─> article ───┤
//! account ──API──────> repository ──git──────> sift ─> bundle ─> repository ──┤
//!                                                                             v
//!                             source <──save what differs, delete what vanished── reconcile
//! ```
//!
//! - An unchanged document is not written, so nothing downstream hears of it.
//! - A document is deleted only when its folder or repository was walked whole and it was not
//!   there, or when its page was answered with 404 or 410 twice, a day apart ([`crate::logbook::page`]);
//!   what is there and cannot be read keeps what is stored of it.
//! - Pages are asked on conditions; one that is as it was is not read again.
//! - No link is crawled twice at once, and no host is asked twice at once.
//! - The `_id` of a document follows from its link alone ([`key_of_link`]).
//! - Memory is bounded: documents pass through in batches.

mod account;
mod address;
mod again;
mod archive;
mod attributes;
mod browser;
mod bundle;
mod clone;
mod delay;
mod denial;
mod encoding;
mod feed;
mod fetch;
mod git;
mod harvest;
mod link;
pub mod links;
mod listing;
mod locate;
mod manners;
mod page;
mod pages;
mod platform;
mod probe;
mod reconcile;
mod record;
mod remote;
mod repository;
pub mod schedule;
mod settings;
mod settled;
mod sift;
mod target;
mod visit;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use url::Url;

pub use browser::Browser;
pub use manners::Manners;
pub use page::{Page, extract};
pub use probe::probe;
pub(crate) use settings::is_github;
pub use settings::{Settings, Token};
pub use target::{Kind, examine, kinds};

use crate::change::{DocumentKey, Version};
use crate::document::{Repository, key_of_link, kind};
use crate::logbook::Logbook;
use crate::source::Source;
use crate::{Error, Result, author};
use again::Again;
use harvest::{Context, Found, Harvest};
use link::{normalised, repository_link};
use target::Target;
use write::Writer;

/// What to crawl, and whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A link or a path.
    pub target: String,
    /// Whose it is: a full name, or the id of somebody who is stored.
    pub author: String,
    /// What to read it as, instead of the automatic choice.
    pub as_kind: Option<Kind>,
    /// Whether pages are opened in a browser, whatever the settings say.
    #[serde(default)]
    pub browser: bool,
    /// The branch, tag or commit of a repository, instead of the one that is checked out.
    #[serde(default)]
    pub reference: Option<String>,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What: a path or link, the first of its kind where `count` is above one.
    pub what: String,
    /// Why, for a person.
    pub why: String,
    /// How many there were.
    pub count: usize,
}

impl Skipped {
    fn one(what: &str, why: String) -> Self {
        Self {
            what: what.to_owned(),
            why,
            count: 1,
        }
    }
}

/// What a crawl did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Documents written because they are new or differ.
    pub saved: usize,
    /// Documents found as they are stored.
    pub unchanged: usize,
    /// Documents deleted because they vanished.
    pub deleted: usize,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Every document that was found, written or not, in order.
    pub keys: Vec<DocumentKey>,
    /// Everything that was written is at this version or below, where nobody waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// When a host asks to come again for the rest: milliseconds since 1970, UTC; none where it does not.
    #[serde(default)]
    pub later_ms: Option<u64>,
}

impl Report {
    /// Whether something was left out, and nothing else was brought.
    pub fn is_failure(&self) -> bool {
        !self.skipped.is_empty() && self.saved + self.unchanged + self.deleted == 0
    }
}

/// Hears how far a crawl has come. Calls are cheap and frequent.
pub trait Progress: Send + Sync {
    /// So many things are to be read; not called where that is not known.
    fn total(&self, things: usize);
    /// So many of them are done, with or without a document.
    fn done(&self, things: usize);
    /// One was left out.
    fn skipped(&self, skipped: &Skipped);
}

impl Progress for () {
    fn total(&self, _: usize) {}
    fn done(&self, _: usize) {}
    fn skipped(&self, _: &Skipped) {}
}

/// Crawls what the request names and brings the source up to date with it.
///
/// Cancel safe: what was saved stays saved, and crawling again goes on from there.
///
/// # Errors
/// [`Error::Config`] for an argument that names nothing, [`Error::Fetch`], [`Error::Gone`],
/// [`Error::Later`] and [`Error::TooLarge`] when the one page or repository cannot be read, or is
/// being crawled, and the source's own. One bad page of many is no error but a [`Skipped`].
pub async fn crawl<S: Source + Logbook>(
    source: &S,
    request: &Request,
    settings: &Settings,
    progress: &impl Progress,
) -> Result<Report> {
    let crawled = record::crawl(source, (request, None), settings, progress).await?;
    Ok(crawled.unwrap_or_default())
}

/// The one form of a request's link under which its crawls are recorded.
///
/// # Errors
/// [`Error::Config`] for an argument that names nothing.
pub async fn named(request: &Request) -> Result<String> {
    Ok(placed(request).await?.0)
}

/// The same, and what a folder looks like.
async fn placed(request: &Request) -> Result<(String, Option<Kind>)> {
    let (text, kind) = (request.target.clone(), request.as_kind.clone());
    let resolved = blocking(move || resolve(Target::parse(&text, kind, target::look)?));
    let (target, link) = resolved.await?;
    Ok((link, target.kind()))
}

/// Crawls, whoever else does.
async fn brought<S: Source + Logbook>(
    source: &S,
    request: &Request,
    settings: &Settings,
    progress: &impl Progress,
) -> Result<Report> {
    let author = author::or_new(source, &request.author).await?;
    let (target, root) = {
        let (text, kind) = (request.target.clone(), request.as_kind.clone());
        blocking(move || resolve(Target::parse(&text, kind, target::look)?)).await?
    };
    let context = Context {
        settings: settings.with_browser(request.browser),
        author: author.user,
        root,
    };
    check(request.reference.as_deref(), &target)?;
    let mut writer = Writer::new(source, progress);
    if author.is_new {
        writer.add(context.author.document()).await?;
    }
    let platform = request.as_kind.as_ref().and_then(Kind::platform);
    let platform = platform.as_deref();
    match target {
        Target::Page(url) => read_page(writer, source, (&url, platform), context).await,
        Target::Listing(listing) => {
            Box::pin(read_listing(writer, source, (listing, platform), context)).await
        }
        Target::File(path) => {
            writer.keep_root();
            let found = blocking(move || {
                pages::with_room(|| one_file(&path, &context)).and_then(|found| found)
            })
            .await?;
            writer.take(found).await?;
            writer.finish(None).await
        }
        Target::Archive(path) => read_archive(writer, path, context).await,
        Target::Folder(path) => {
            let root = context.root.clone();
            pour(&mut writer, move |out| pages::folder(&path, &context, out)).await?;
            writer.finish(Some(&root)).await
        }
        Target::Source(path) => {
            let root = context.root.clone();
            pour(&mut writer, move |out| {
                repository::folder(&path, &context, out)
            })
            .await?;
            writer.finish(Some(&root)).await
        }
        Target::Checkout(path) => {
            let repository = described("git", &path, &context.root);
            let state = (path, request.reference.clone());
            read_state(&mut writer, state, repository, &context).await?;
            writer.finish(Some(&context.root)).await
        }
        Target::Remote(url) => {
            let reference = request.reference.as_deref();
            Box::pin(remote::repository(writer, (&url, reference), &context)).await
        }
        Target::Account(account) => Box::pin(remote::account(writer, &account, &context)).await,
    }
}

/// A state of a repository can be chosen by a name that a state can have, and of nothing else.
fn check(reference: Option<&str>, target: &Target) -> Result<()> {
    let Some(name) = reference else { return Ok(()) };
    let why = match target {
        Target::Checkout(_) | Target::Remote(_) if git::is_reference(name) => return Ok(()),
        Target::Checkout(_) | Target::Remote(_) => "no branch, tag or commit can have this name",
        _ => "only one repository has branches and tags: leave --ref out, or give its own link",
    };
    Err(Error::Config {
        setting: format!("--ref {name}"),
        why: why.to_owned(),
    })
}

/// The keys that a link or path may have been stored under, whether or not it is there any more.
pub fn keys_of(text: &str) -> Vec<DocumentKey> {
    let link = match Url::parse(text) {
        Ok(url) => url,
        Err(_) => match std::path::absolute(text)
            .ok()
            .as_deref()
            .and_then(pages::file_url)
        {
            Some(url) => url,
            None => return Vec::new(),
        },
    };
    vec![
        key_of_link(kind::ARTICLES, &platform::identity(&link)),
        key_of_link(kind::POSTS, &platform::identity(&link)),
        key_of_link(kind::REPOSITORIES, &platform::repository_identity(&link)),
    ]
}

/// Reads one page of the web.
async fn read_page<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    source: &S,
    (url, platform): (&Url, Option<&str>),
    context: Context,
) -> Result<Report> {
    writer.keep_root();
    let again = Again {
        source,
        fetcher: &fetch::Fetcher::new(&context.settings)?,
        platform,
        context: &Arc::new(context),
        is_listed: false,
    };
    writer.take(again.page(url).await?).await?;
    writer.finish(None).await
}

/// Reads all posts of an author or a publication.
async fn read_listing<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    source: &S,
    listing: (platform::Listing, Option<&str>),
    context: Context,
) -> Result<Report> {
    writer.keep_root();
    let fetcher = fetch::Fetcher::new(&context.settings)?;
    listing::read(listing, &fetcher, (source, &mut writer), context).await?;
    writer.finish(None).await
}

/// Reads an export, each section of which is complete.
async fn read_archive<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    path: PathBuf,
    context: Context,
) -> Result<Report> {
    let (at, author) = (path.clone(), context.author.id().to_owned());
    let sections = blocking(move || archive::sections(&at)).await?;
    pour(&mut writer, move |out| archive::read(&path, &context, out)).await?;
    let roots = sections.into_iter();
    let roots: Vec<_> = roots.map(|one| archive::root(&author, one)).collect();
    writer.finish_all(&roots).await
}

/// Reads a committed state: of a branch or tag, else the one that is checked out.
async fn read_state<S: Source + Logbook, P: Progress>(
    writer: &mut Writer<'_, S, P>,
    (path, reference): (PathBuf, Option<String>),
    repository: Repository,
    context: &Context,
) -> Result<()> {
    let context = context.clone();
    pour(writer, move |out| {
        git::state(
            (path.as_path(), reference.as_deref()),
            &repository,
            &context,
            out,
        )
    })
    .await
}

fn described(platform: &'static str, path: &Path, link: &str) -> Repository {
    Repository {
        platform,
        name: repository::name_of(path),
        link: link.to_owned(),
        identity: link.to_owned(),
    }
}

/// Makes paths absolute, and says which link everything is found under.
fn resolve(target: Target) -> Result<(Target, String)> {
    let absolute = |path: PathBuf| {
        let fail = |why: String| Error::Fetch {
            link: path.display().to_string(),
            why,
        };
        let whole = path
            .canonicalize()
            .map_err(|error| fail(error.to_string()))?;
        let link = pages::file_url(&whole).ok_or_else(|| fail("its path makes no link".into()))?;
        Ok::<_, Error>((whole, link.to_string()))
    };
    Ok(match target {
        Target::Page(url) => {
            let root = platform::canonical(&url);
            (Target::Page(url), root)
        }
        Target::Listing(listing) => {
            let root = normalised(&listing.home);
            (Target::Listing(listing), root)
        }
        Target::Account(account) => {
            let root = normalised(&account.home);
            (Target::Account(account), root)
        }
        Target::Remote(url) => {
            let root = repository_link(&url);
            (Target::Remote(url), root)
        }
        Target::File(path) => absolute(path).map(|(path, link)| (Target::File(path), link))?,
        Target::Archive(path) => {
            absolute(path).map(|(path, link)| (Target::Archive(path), link))?
        }
        Target::Folder(path) => absolute(path).map(|(path, link)| (Target::Folder(path), link))?,
        Target::Source(path) => absolute(path).map(|(path, link)| (Target::Source(path), link))?,
        Target::Checkout(path) => {
            absolute(path).map(|(path, link)| (Target::Checkout(path), link))?
        }
    })
}

fn one_file(path: &Path, context: &Context) -> Result<Found> {
    let limit = context.settings.page_bytes_max;
    let metadata = path.metadata().map_err(|error| Error::Fetch {
        link: path.display().to_string(),
        why: error.to_string(),
    })?;
    if metadata.len() > limit {
        return Err(Error::TooLarge {
            thing: path.display().to_string(),
            bytes: metadata.len(),
            limit,
        });
    }
    Ok(pages::file(path, metadata.len(), context))
}

/// Runs a reader on a thread of its own and takes what it hands on.
async fn pour<S: Source + Logbook, P: Progress>(
    writer: &mut Writer<'_, S, P>,
    read: impl FnOnce(&Harvest) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (harvest, mut found) = Harvest::channel();
    let reading = spawn_blocking(move || read(&harvest));
    while let Some(found) = found.recv().await {
        writer.take(found).await?;
    }
    reading
        .await
        .map_err(|_| Error::Stopped { part: "the reader" })?
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|_| Error::Stopped { part: "the reader" })?
}
