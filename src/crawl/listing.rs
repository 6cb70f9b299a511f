//! The posts of an author or a publication: listed by feed and sitemap, read one after the other.
//!
//! ```text
//! feeds, sitemaps ──> Gathered: each post once ──page──> platform ──> document
//!                                              └─refused─> what its feed has of it
//! ```
//!
//! One request at a time, since all posts stand on one host or few. A post that is not listed any
//! more is not deleted for that: feeds have the newest posts only, and sitemaps lag. It is asked again
//! itself, as often as its deletion needs, and goes when its page is gone. A host that wants a long pause is
//! left alone, with what else is there of it, and the others are read.

mod bounds;
mod gathered;
mod resting;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use url::Url;

use super::again::{Again, Fed};
use super::fetch::Fetcher;
use super::harvest::{Context, Found, Missed};
use super::platform::{self, Listing};
use super::reading::blocking;
use super::write::Writer;
use super::{Progress, Skipped, pages};
use crate::change::DocumentKey;
use crate::logbook::{Logbook, Pages};
use crate::source::Source;
use crate::{Error, Result};
use gathered::{Gathered, Listed};
use resting::Resting;

/// Posts read of one listing; more is no person's work.
const POSTS_MAX: usize = 10_000;
/// Pages that are remembered of one listing, read at once.
const PAGES: usize = 200;
/// Sitemaps read of one listing: two for each day of a year.
const SITEMAPS_MAX: usize = 732;

/// Reads all posts of a listing.
///
/// # Errors
/// [`Error::Fetch`] when nothing at all could be listed, [`Error::Later`] where that is since a host rests. One bad
/// post of many is a [`Skipped`].
pub(crate) async fn read<S: Source + Logbook, P: Progress>(
    (listing, platform): (Listing, Option<&str>),
    fetcher: &Fetcher,
    (source, writer): (&S, &mut Writer<'_, S, P>),
    context: Context,
) -> Result<()> {
    let (gathered, lists) = gather(&listing, fetcher).await?;
    for (link, why) in gathered.failed {
        writer
            .take(unread(Skipped::one(link.as_str(), why)))
            .await?;
    }
    left_out(lists, writer).await?;
    if gathered.left_out > 0 {
        let why = format!("a listing is read up to {POSTS_MAX} posts");
        let count = gathered.left_out;
        let what = listing.home.to_string();
        writer.take(unread(Skipped { what, why, count })).await?;
    }
    let context = Arc::new(context);
    let again = Again {
        source,
        fetcher,
        platform,
        context: &context,
        is_listed: true,
    };
    let unlisted = unlisted(&again, &gathered.posts).await?;
    let mut posts = gathered.posts;
    posts.extend(unlisted);
    let total = posts.len();
    writer.take(Found::Total(total)).await?;
    // A short pause that a list asked for may be over: whether a post's host rests, the post tells.
    let mut resting = Resting::new(&listing.home);
    for post in posts {
        if resting.leaves_out(&post.link) {
            continue;
        }
        let found = one(post, &again, (&*writer, gathered.has_all_feeds)).await;
        match found {
            Ok(found) => writer.take(found).await?,
            Err(error) => resting.take(error)?,
        }
    }
    left_out(resting, writer).await
}

/// Tells what was left out since its host rests, and until when.
async fn left_out<S: Source + Logbook, P: Progress>(
    resting: Resting,
    writer: &mut Writer<'_, S, P>,
) -> Result<()> {
    if let Some(until_ms) = resting.until_ms() {
        writer.later(until_ms);
    }
    for left in resting.left() {
        writer.take(unread(left)).await?;
    }
    Ok(())
}

/// The posts that were found here before and are not listed now, each not sooner than another look at
/// it can tell whether it is gone for good.
async fn unlisted<S: Source + Logbook>(
    again: &Again<'_, S>,
    listed: &[Listed],
) -> Result<Vec<Listed>> {
    let listed = listed.iter().map(|post| platform::canonical(&post.link));
    let listed: HashSet<String> = listed.collect();
    let settings = &again.context.settings;
    let now_ms = settings.manners.clock().now_ms();
    let quiet_ms = settings.gone_after_hours.saturating_mul(3_600_000);
    let (mut posts, mut after) = (Vec::new(), None);
    loop {
        let under = Pages::Under(again.context.root.clone(), after);
        let page = again.source.pages(under, PAGES).await?;
        let Some(last) = page.last() else {
            return Ok(posts);
        };
        after = Some(last.link.clone());
        let is_due = page.into_iter().filter(|page| {
            let is_quiet = now_ms.saturating_sub(page.asked_ms) < quiet_ms;
            page.document.is_some() && !is_quiet && !listed.contains(&page.link)
        });
        let links = is_due.filter_map(|page| Url::parse(&page.link).ok());
        posts.extend(links.map(|link| Listed { link, entry: None }));
        if posts.len() >= POSTS_MAX {
            posts.truncate(POSTS_MAX);
            return Ok(posts);
        }
    }
}

/// Something of a listing that is no document.
fn unread(skipped: Skipped) -> Found {
    Found::Missed(Missed { skipped, key: None })
}

/// Reads one post: its page, or else what its feed has of it. That is often a part only, so what is stored of the
/// post, or is about to be, stays as it is when the page fails for once, or is gone while the feed still has the post.
async fn one<S: Source + Logbook, P: Progress>(
    post: Listed,
    again: &Again<'_, S>,
    (writer, has_all_feeds): (&Writer<'_, S, P>, bool),
) -> Result<Found> {
    let entry = post.entry.filter(|entry| entry.markup.is_some());
    let fed = match &entry {
        Some(_) => Fed::Yes,
        None if has_all_feeds => Fed::No,
        None => Fed::Unknown,
    };
    let (found, why) = match again.page(&post.link, fed).await {
        Ok(found) => match missed(&found).map(str::to_owned) {
            Some(why) => (Some(found), why),
            None => return Ok(found),
        },
        Err(Error::Fetch { why, .. }) => (None, why),
        Err(error @ (Error::TooLarge { .. } | Error::Gone { .. })) => (None, error.to_string()),
        Err(error) => return Err(error),
    };
    let made = again.made(&post.link).await?;
    let missed = |key: Option<DocumentKey>| {
        let missed = platform::missed(&post.link, why);
        let key = key.or(missed.key);
        Found::Missed(Missed { key, ..missed })
    };
    let Some(entry) = entry.filter(|_| made.is_none()) else {
        return Ok(found.unwrap_or_else(|| missed(made)));
    };
    let asked = again.platform.map(str::to_owned);
    let context = Arc::clone(again.context);
    let link = post.link.clone();
    let read = blocking(move || {
        pages::with_room(|| platform::of_entry(&link, entry, asked.as_deref(), &context))
    });
    let Ok(preview) = read.await? else {
        return Ok(found.unwrap_or_else(|| missed(None)));
    };
    match writer.pending(&preview) {
        // Another page of the post gave it just now, which no read shows yet.
        Some(key) => Ok(found.unwrap_or_else(|| missed(Some(key)))),
        None => again.preview(&post.link, preview, found).await,
    }
}

/// Why a page gave nothing, if it did not.
fn missed(found: &Found) -> Option<&str> {
    match found {
        Found::Missed(missed) | Found::Fed(missed) => Some(&missed.skipped.why),
        Found::Visited(found, _) => self::missed(found),
        _ => None,
    }
}

/// What is listed, and what was left out since its host rests: the rest of a listing is no reason to give up what
/// there is of it.
async fn gather(listing: &Listing, fetcher: &Fetcher) -> Result<(Gathered, Resting)> {
    let mut gathered = Gathered::new(listing);
    let mut resting = Resting::new(&listing.home);
    for at in &listing.feeds {
        match text_of(fetcher, at, &mut resting).await? {
            Some((at, read)) => {
                gathered = taken(gathered, move |gathered| gathered.feed(&at, read)).await?;
            }
            None => gathered.has_all_feeds = false,
        }
    }
    let mut asked = 0;
    while let Some((at, depth)) = gathered.next_sitemap() {
        if asked == SITEMAPS_MAX {
            gathered
                .failed
                .push((at, format!("a listing is read up to {asked} sitemaps")));
            break;
        }
        asked += 1;
        if let Some((at, read)) = text_of(fetcher, &at, &mut resting).await? {
            let take = move |gathered: &mut Gathered| gathered.sitemap(&at, depth, read);
            gathered = taken(gathered, take).await?;
        }
    }
    if let Some(later) = resting.error().filter(|_| gathered.posts.is_empty()) {
        return Err(later);
    }
    if gathered.listed {
        return Ok((gathered, resting));
    }
    let mut failed = gathered.failed.into_iter();
    let first = failed.next().map(|(link, why)| format!("{link}: {why}"));
    Err(Error::Fetch {
        link: listing.home.to_string(),
        why: format!(
            "its posts are not listed anywhere: {}",
            first.unwrap_or_else(|| "it has no feed".to_owned())
        ),
    })
}

/// Takes a list where that holds up nobody: one of 16 MiB takes its time.
async fn taken(
    mut gathered: Gathered,
    take: impl FnOnce(&mut Gathered) + Send + 'static,
) -> Result<Gathered> {
    let read = move || {
        take(&mut gathered);
        Ok(gathered)
    };
    blocking(read).await
}

/// The bytes of a feed or sitemap, or in words why not, with where it was in the end; none while its host rests.
async fn text_of(
    fetcher: &Fetcher,
    at: &Url,
    resting: &mut Resting,
) -> Result<Option<(Url, Result<Vec<u8>, String>)>> {
    if resting.leaves_out(at) {
        return Ok(None);
    }
    let why = match fetcher.list(at).await {
        Ok(list) => return Ok(Some((list.url, Ok(list.bytes)))),
        Err(Error::Fetch { why, .. }) => why,
        Err(Error::Gone { status, .. }) => format!("it is gone ({status})"),
        Err(error @ Error::TooLarge { .. }) => error.to_string(),
        Err(error) => {
            resting.take(error)?;
            return Ok(None);
        }
    };
    Ok(Some((at.clone(), Err(why))))
}
