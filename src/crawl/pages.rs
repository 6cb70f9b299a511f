//! Pages on disk and from the web to documents; a folder is read by several threads, in order.

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use url::Url;

use super::encoding::decode;
use super::fetch::Fetched;
use super::harvest::{Context, Found, Harvest, Missed};
use super::link::{may_speak_for, normalised};
use super::page::{self, Page, Read as Outcome};
use super::target::is_page;
use super::walk::{Step, steps};
use super::{Skipped, sift};
use crate::document::{Article, Document, key_of_link, kind};
use crate::{Error, Result};

/// Threads that read pages; more gain nothing, since embedding is far slower.
const THREADS_MAX: usize = 4;
/// Pages a thread reads before they are handed on.
const SLICE: usize = 8;
/// Stack of a reading thread: the readers of markup recurse as deep as a page nests.
const STACK_BYTES: usize = 16 << 20;

/// Reads every page below a folder and hands documents on in the order of the walk.
///
/// Blocks; returns early when nobody listens any more.
pub(crate) fn folder(root: &Path, context: &Context, harvest: &Harvest) -> Result<()> {
    let mut files = Vec::new();
    for step in steps(root, false) {
        match step {
            Step::File(path, bytes) if is_page(&path) => files.push((path, bytes)),
            Step::File(..) => {}
            Step::Passed(path, why) => {
                harvest.send(Found::Missed(missed(&path, why)));
            }
            Step::Failed(why) => harvest.send(Found::Unseen(Skipped::one(context.root(), why))),
        }
    }
    harvest.send(Found::Total(files.len()));
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(THREADS_MAX);
    for batch in files.chunks(threads * SLICE) {
        for found in read_batch(batch, context)? {
            harvest.send(found);
        }
        if harvest.is_closed() {
            break;
        }
    }
    Ok(())
}

fn read_batch(batch: &[(PathBuf, u64)], context: &Context) -> Result<Vec<Found>> {
    thread::scope(|scope| {
        let readers: Vec<_> = batch
            .chunks(SLICE)
            .map(|slice| {
                let read = || {
                    slice
                        .iter()
                        .map(|(path, bytes)| file(path, *bytes, context))
                };
                thread::Builder::new()
                    .name("read-page".to_owned())
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, move || read().collect::<Vec<_>>())
                    .map_err(Error::unavailable("thread", "start"))
            })
            .collect::<Result<_>>()?;
        let mut found = Vec::with_capacity(batch.len());
        for reader in readers {
            let read = reader.join();
            found.extend(read.map_err(|_| Error::Stopped {
                part: "the page reader",
            })?);
        }
        Ok(found)
    })
}

/// Reads one page from disk; one that is too large costs nothing.
pub(crate) fn file(path: &Path, bytes: u64, context: &Context) -> Found {
    let limit = context.settings.page_bytes_max;
    let read = match sift::by_size(bytes, limit) {
        Some(why) => Err(why),
        None => contents(path, limit).map_err(|error| error.to_string()),
    };
    let outcome = read.and_then(|bytes| {
        let address = file_url(path).ok_or("its path makes no link")?;
        let page = match extract(&bytes, None, &address)? {
            Outcome::Page(page) => *page,
            Outcome::LeadsTo(to) => return Err(format!("it only leads on to {to}")),
        };
        let link = page
            .canonical
            .as_ref()
            .map_or_else(|| address.to_string(), normalised);
        article(page, "file", (address.to_string(), link), context)
    });
    match outcome {
        Ok(document) => Found::Document(document),
        Err(why) => Found::Missed(missed(path, why)),
    }
}

/// What became of a page that arrived from the web.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Something, or why there is nothing.
    Found(Found),
    /// It only leads on.
    LeadsTo(Url),
}

/// Reads one page that arrived from the web.
pub(crate) fn fetched(page: &Fetched, context: &Context) -> Arrived {
    let outcome = match extract(&page.bytes, page.charset.as_deref(), &page.url) {
        Ok(Outcome::LeadsTo(to)) => return Arrived::LeadsTo(to),
        Ok(Outcome::Page(read)) => Ok(*read),
        Err(why) => Err(why),
    };
    let partial = outcome.as_ref().is_ok_and(|read| read.partial);
    let document = outcome.and_then(|read| {
        let canonical = read
            .canonical
            .as_ref()
            .filter(|link| may_speak_for(&page.url, link));
        let link = normalised(canonical.unwrap_or(&page.url));
        article(read, "web", (link.clone(), link), context)
    });
    Arrived::Found(match document {
        Ok(document) if partial => Found::Partial(
            document,
            Skipped::one(page.url.as_str(), BEHIND_A_PAYWALL.to_owned()),
        ),
        Ok(document) => Found::Document(document),
        Err(why) => Found::Missed(Missed {
            skipped: Skipped::one(page.url.as_str(), why),
            key: Some(key_of_link(kind::ARTICLES, &normalised(&page.url))),
        }),
    })
}

const BEHIND_A_PAYWALL: &str =
    "only the part before its paywall could be read; it is stored as `partial`";

fn extract(bytes: &[u8], charset: Option<&str>, address: &Url) -> Result<Outcome, String> {
    let html = decode(bytes, charset);
    sift::page(&html)?;
    // A reader that fails on one strange page must not end the crawl of the others.
    catch_unwind(AssertUnwindSafe(|| page::read(&html, address)))
        .unwrap_or_else(|_| Err("the reader failed on it".to_owned()))
}

/// Does something on a thread with room for readers of markup; waits for it.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("read-page".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(Error::unavailable("thread", "start"))?
            .join()
            .map_err(|_| Error::Stopped {
                part: "the page reader",
            })
    })
}

fn article(
    page: Page,
    platform: &'static str,
    (identity, link): (String, String),
    context: &Context,
) -> Result<Document, String> {
    let limit = context.settings.repository_bytes_max;
    if let Some(why) = sift::by_size(page.text.len() as u64, limit) {
        return Err(format!("its main text has {why}"));
    }
    let article = Article {
        platform,
        identity,
        link,
        title: page.title,
        subtitle: page.subtitle,
        text: page.text,
        language: page.language,
        byline: page.byline,
        published_at: page.published_at,
        modified_at: page.modified_at,
        partial: page.partial,
    };
    Ok(article.document(&context.author, context.root()))
}

/// A page that is there and gave nothing: what is stored of it stays.
fn missed(path: &Path, why: String) -> Missed {
    Missed {
        skipped: Skipped::one(&path.display().to_string(), why),
        key: file_url(path).map(|url| key_of_link(kind::ARTICLES, url.as_str())),
    }
}

/// The link of an absolute path.
pub(crate) fn file_url(path: &Path) -> Option<Url> {
    Url::from_file_path(path).ok()
}

/// A file's bytes, one more than `limit` at most, should it grow while it is read.
pub(crate) fn contents(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
