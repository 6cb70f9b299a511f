//! Pages on disk and from the web to documents; a folder is read by several threads, in order.

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use url::Url;

use super::encoding::decode;
use super::harvest::{Context, Found, Harvest, Missed};
use super::page::{self, Opened};
use super::platform::{self, Markup, Post};
use super::target::is_page;
use super::walk::{Step, steps};
use super::{Skipped, link, sift};
use crate::document::{key_of_link, kind};
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
    let (mut files, mut is_empty) = (Vec::new(), true);
    for step in steps(root, false) {
        is_empty &= matches!(step, Step::Failed(_));
        match step {
            Step::File(path, bytes) if is_page(&path) => files.push((path, bytes)),
            Step::File(..) => {}
            Step::Passed(path, why) => {
                harvest.send(Found::Missed(missed(&path, why)));
            }
            Step::Failed(why) => harvest.send(Found::Unseen(Skipped::one(context.root(), why))),
        }
    }
    if is_empty {
        harvest.send(holds_nothing(context));
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
                        .map(|(path, bytes)| on_disk(path, *bytes, context, article))
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

/// A folder in which there is nothing at all: a volume that is not mounted looks like that.
pub(crate) fn holds_nothing(context: &Context) -> Found {
    let why = "it holds nothing, as a volume that is not mounted; what is stored of it stays";
    Found::Unseen(Skipped::one(context.root(), why.to_owned()))
}

/// Reads one page from disk, as its platform has it where its own link names one.
///
/// In a folder every page is an article: which type one was of that cannot be read any more, nobody could say.
pub(crate) fn file(path: &Path, bytes: u64, context: &Context) -> Found {
    on_disk(path, bytes, context, |page, context| {
        let own = page::own_link(page.document, page.url);
        own.filter(|own| link::may_speak_for(page.url, own))
            .and_then(|own| platform::saved(page, &own, context))
            .unwrap_or_else(|| article(page, context))
    })
}

/// Reads an open page from disk as an article.
fn article(page: &Markup<'_>, context: &Context) -> Result<Found, String> {
    let read = page::kept(page.document, page.url)?;
    let link = link::own(page.url, read.canonical.as_ref());
    let post = Post::article(page.url.to_string(), link, read);
    post.document("file", context).map(Found::Document)
}

/// Opens one page from disk and reads it; one that is too large costs nothing.
fn on_disk(
    path: &Path,
    bytes: u64,
    context: &Context,
    reader: impl Fn(&Markup<'_>, &Context) -> Result<Found, String>,
) -> Found {
    let limit = context.settings.page_bytes_max;
    let held = match sift::by_size(bytes, limit) {
        Some(why) => Err(why),
        None => contents(path, limit).map_err(|error| error.to_string()),
    };
    let found = held.and_then(|bytes| {
        let address = file_url(path).ok_or("its path makes no link")?;
        let html = decode(&bytes, None);
        caught(|| match page::open(&html, &address)? {
            Opened::Page(document) => {
                let page = Markup {
                    html: &html,
                    document: &document,
                    url: &address,
                };
                reader(&page, context)
            }
            Opened::LeadsTo(to) => Err(format!("it only leads on to {to}")),
        })
    });
    found.unwrap_or_else(|why| Found::Missed(missed(path, why)))
}

/// Reads an open page of the web as an article, under the link that it may call its own.
pub(crate) fn fetched(page: &Markup<'_>) -> Result<Post, String> {
    let read = page::kept(page.document, page.url)?;
    let link = link::own(page.url, read.canonical.as_ref());
    Ok(Post::article(link.clone(), link, read))
}

/// Runs a reader of markup: one that fails on one strange page must not end the crawl of the others.
pub(crate) fn caught<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
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
