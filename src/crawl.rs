//! Link to documents: reads pages, folders and repositories, and brings the source up to date.
//!
//! ```text
//! argument ──target──> listing ─feed, sitemap─┐
//!                      page ────────fetch──────┴─> platform ─> post ──────────┐
//!                      archive ─────zip──────> platform ─> post, article ─────┤
//!                      folder ──────walk─────> encoding ─> page ─> article ───┤
//!                      repository ──git──────> sift ─> bundle ─> repository ──┤
//!                                                                             v
//!                             source <──save what differs, delete what vanished── reconcile
//! ```
//!
//! - An unchanged document is not written, so nothing downstream hears of it.
//! - A document is deleted only when its folder or repository was walked whole and it was not
//!   there; what is there and cannot be read keeps what is stored of it.
//! - The `_id` of a document follows from its link alone ([`key_of_link`]).
//! - Memory is bounded: documents pass through in batches.

mod address;
mod archive;
mod bundle;
mod encoding;
mod feed;
mod fetch;
mod git;
mod harvest;
mod link;
mod listing;
mod page;
mod pages;
mod platform;
mod reconcile;
mod repository;
mod settings;
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

pub use page::{Page, extract};
pub use settings::Settings;
pub use target::{Kind, kinds};

use crate::change::{DocumentKey, Version};
use crate::document::{Repository, key_of_link, kind};
use crate::source::Source;
use crate::{Error, Result, author};
use harvest::{Context, Found, Harvest};
use link::{normalised, repository_link};
use target::Target;
use write::Writer;

/// What to crawl, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A link or a path.
    pub target: String,
    /// Whose it is: a full name, or the id of somebody who is stored.
    pub author: String,
    /// What to read it as, instead of the automatic choice.
    pub as_kind: Option<Kind>,
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
/// [`Error::Config`] for an argument that names nothing, [`Error::Fetch`] and [`Error::TooLarge`]
/// when the one page or repository cannot be read, and the source's own. One bad page of many is no
/// error but a [`Skipped`].
pub async fn crawl<S: Source>(
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
        settings: settings.clone(),
        author: author.user,
        root,
    };
    let mut writer = Writer::new(source, progress);
    if author.is_new {
        writer.add(context.author.document()).await?;
    }
    let platform = request.as_kind.as_ref().and_then(Kind::platform);
    let platform = platform.as_deref();
    match target {
        Target::Page(url) => read_page(writer, (url, platform), context).await,
        Target::Listing(listing) => {
            Box::pin(read_listing(writer, (listing, platform), context)).await
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
            read_head(writer, path, repository, context).await
        }
        Target::Remote(url) => {
            let clone = git::clone(&url, settings).await?;
            let github = url
                .host_str()
                .is_some_and(|host| host.ends_with("github.com"));
            let platform = if github { "github" } else { "git" };
            let repository = described(platform, Path::new(url.path()), &context.root);
            read_head(writer, clone.path().to_owned(), repository, context).await
        }
    }
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
        key_of_link(kind::REPOSITORIES, &repository_link(&link)),
    ]
}

/// Reads one page of the web.
async fn read_page<S: Source, P: Progress>(
    mut writer: Writer<'_, S, P>,
    (url, platform): (Url, Option<&str>),
    context: Context,
) -> Result<Report> {
    writer.keep_root();
    let fetcher = fetch::Fetcher::new(&context.settings)?;
    let found = visit::page(url, platform, &fetcher, &Arc::new(context)).await?;
    writer.take(found).await?;
    writer.finish(None).await
}

/// Reads all posts of an author or a publication.
async fn read_listing<S: Source, P: Progress>(
    mut writer: Writer<'_, S, P>,
    listing: (platform::Listing, Option<&str>),
    context: Context,
) -> Result<Report> {
    writer.keep_root();
    let fetcher = fetch::Fetcher::new(&context.settings)?;
    listing::read(listing, &fetcher, &mut writer, context).await?;
    writer.finish(None).await
}

/// Reads an export, each section of which is complete.
async fn read_archive<S: Source, P: Progress>(
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

async fn read_head<S: Source, P: Progress>(
    mut writer: Writer<'_, S, P>,
    path: PathBuf,
    repository: Repository,
    context: Context,
) -> Result<Report> {
    let root = context.root.clone();
    pour(&mut writer, move |out| {
        git::head(&path, &repository, &context, out)
    })
    .await?;
    writer.finish(Some(&root)).await
}

fn described(platform: &'static str, path: &Path, link: &str) -> Repository {
    Repository {
        platform,
        name: repository::name_of(path),
        link: link.to_owned(),
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
async fn pour<S: Source, P: Progress>(
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
