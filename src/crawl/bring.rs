//! One crawl, by what its target is: each kind of target has its reader, and all have one writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::again::{Again, Fed};
use super::harvest::{Context, Found};
use super::place::placed;
use super::reading::{blocking, pour};
use super::target::{Kind, Target};
use super::write::Writer;
use super::{Progress, Report, Request, Settings};
use super::{archive, fetch, git, listing, pages, platform, remote, repository};
use crate::document::{Repository, kind};
use crate::logbook::Logbook;
use crate::source::Source;
use crate::{Error, Result, author};

/// Crawls, whoever else does.
pub(crate) async fn brought<S: Source + Logbook>(
    source: &S,
    request: &Request,
    settings: &Settings,
    progress: &impl Progress,
) -> Result<Report> {
    let author = author::or_new(source, &request.author).await?;
    let (target, root) = placed(request).await?;
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
        Target::File(path) => read_file(writer, path, context).await,
        Target::Archive(path) => read_archive(writer, path, context).await,
        Target::Folder(path) => {
            let root = context.root.clone();
            pour(&mut writer, move |out| pages::folder(&path, &context, out)).await?;
            writer.finish_as(&[root], kind::ARTICLES).await
        }
        Target::Source(path) => {
            let root = context.root.clone();
            pour(&mut writer, move |out| {
                repository::folder(&path, &context, out)
            })
            .await?;
            writer.finish_as(&[root], kind::REPOSITORIES).await
        }
        Target::Checkout(path) => {
            let repository = described("git", &path, &context.root);
            let state = (path, request.reference.clone());
            read_state(&mut writer, state, repository, &context).await?;
            writer.finish_as(&[context.root], kind::REPOSITORIES).await
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

/// Reads one page on disk. What it was when it was read as another type goes.
async fn read_file<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    path: PathBuf,
    context: Context,
) -> Result<Report> {
    writer.keep_root();
    let root = context.root.clone();
    let read = move || pages::with_room(|| one_file(&path, &context)).and_then(|found| found);
    let found = blocking(read).await?;
    let kind = match &found {
        Found::Document(document) | Found::Partial(document, _) => Some(document.key.kind.clone()),
        _ => None,
    };
    writer.take(found).await?;
    match kind {
        Some(kind) => writer.finish_as(&[root], &kind).await,
        None => writer.finish().await,
    }
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
    writer.take(again.page(url, Fed::No).await?).await?;
    writer.finish().await
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
    writer.finish().await
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
    writer
        .finish_walk(&roots, &[kind::ARTICLES, kind::POSTS])
        .await
}

/// Reads a committed state: of a branch or tag, else the one that is checked out.
pub(crate) async fn read_state<S: Source + Logbook, P: Progress>(
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

pub(crate) fn described(platform: &'static str, path: &Path, link: &str) -> Repository {
    Repository {
        platform,
        name: repository::name_of(path),
        link: link.to_owned(),
        identity: link.to_owned(),
    }
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
