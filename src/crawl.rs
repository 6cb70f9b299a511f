//! Link to documents: reads pages, folders and repositories, and brings the source up to date.
//!
//! ```text
//! argument ──target──> page ────────fetch──┐
//!                      folder ──────walk───┼─> encoding ─> page ─> article ───┐
//!                      repository ──git────┴─> sift ─> bundle ─> repository ──┤
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
mod bundle;
mod encoding;
mod fetch;
mod git;
mod harvest;
mod link;
mod page;
mod pages;
mod reconcile;
mod repository;
mod settings;
mod sift;
mod target;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use url::Url;

pub use page::{Page, extract};
pub use settings::Settings;
pub use target::Kind;

use crate::change::DocumentKey;
use crate::document::{Repository, User, key_of_link, kind};
use crate::source::Source;
use crate::{Error, Result};
use harvest::{Context, Found, Harvest};
use link::{normalised, repository_link};
use pages::Arrived;
use target::Target;
use write::Writer;

/// What to crawl, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A link or a path.
    pub target: String,
    /// The full name of the person who wrote it.
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
    let author = User::new(&request.author).ok_or_else(|| Error::Config {
        setting: "author".to_owned(),
        why: "a crawl needs the author's full name".to_owned(),
    })?;
    let (target, root) = {
        let (text, kind) = (request.target.clone(), request.as_kind);
        blocking(move || resolve(Target::parse(&text, kind, target::look)?)).await?
    };
    let context = Context {
        settings: settings.clone(),
        author,
        root,
    };
    let mut writer = Writer::new(source, progress);
    writer.add(context.author.document()).await?;
    match target {
        Target::Page(url) => {
            writer.keep_root();
            let fetcher = fetch::Fetcher::new(settings)?;
            let found = fetched(&fetcher, url, &context).await?;
            writer.take(found).await?;
            writer.finish(None).await
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

/// Pages that may lead on to the next one by a meta element; more is a loop or a chase.
const LEADS_MAX: usize = 3;

/// Fetches a page, and the one that it only leads on to.
async fn fetched(fetcher: &fetch::Fetcher, start: Url, context: &Context) -> Result<Found> {
    let mut url = start.clone();
    for _ in 0..=LEADS_MAX {
        let page = fetcher.page(&url).await?;
        let context = context.clone();
        let arrived =
            blocking(move || pages::with_room(|| pages::fetched(&page, &context))).await?;
        match arrived {
            Arrived::Found(found) => return Ok(found),
            Arrived::LeadsTo(next) => url = next,
        }
    }
    Err(Error::Fetch {
        link: start.to_string(),
        why: format!("it led on to another page more than {LEADS_MAX} times"),
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
        key_of_link(kind::ARTICLES, &normalised(&link)),
        key_of_link(kind::REPOSITORIES, &repository_link(&link)),
    ]
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
            let root = normalised(&url);
            (Target::Page(url), root)
        }
        Target::Remote(url) => {
            let root = repository_link(&url);
            (Target::Remote(url), root)
        }
        Target::File(path) => absolute(path).map(|(path, link)| (Target::File(path), link))?,
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
