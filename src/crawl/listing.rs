//! The posts of an author or a publication: listed by feed and sitemap, read one after the other.
//!
//! ```text
//! feeds, sitemaps ──> Gathered: each post once ──page──> platform ──> document
//!                                              └─refused─> what its feed has of it
//! ```
//!
//! One request at a time, since all posts stand on one host or few. A post that is not listed any
//! more is not deleted for that: feeds have the newest posts only, and sitemaps lag. It is asked again
//! itself, as often as its deletion needs, and goes when its page is gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use url::{Origin, Url};

use super::again::Again;
use super::feed::{self, Entry, Sitemap};
use super::fetch::Fetcher;
use super::harvest::{Context, Found, Missed};
use super::platform::{self, Listing};
use super::reading::blocking;
use super::write::Writer;
use super::{Progress, Skipped, pages};
use crate::logbook::{Logbook, Pages};
use crate::source::Source;
use crate::{Error, Result};

/// Posts read of one listing; more is no person's work.
const POSTS_MAX: usize = 10_000;
/// Pages that are remembered of one listing, read at once.
const PAGES: usize = 200;
/// Sitemaps read of one listing: two for each day of a year.
const SITEMAPS_MAX: usize = 732;

/// Reads all posts of a listing.
///
/// # Errors
/// [`Error::Fetch`] when nothing at all could be listed. One bad post of many is a [`Skipped`].
pub(crate) async fn read<S: Source + Logbook, P: Progress>(
    (listing, platform): (Listing, Option<&str>),
    fetcher: &Fetcher,
    (source, writer): (&S, &mut Writer<'_, S, P>),
    context: Context,
) -> Result<()> {
    let gathered = gather(&listing, fetcher).await?;
    for (link, why) in gathered.failed {
        writer
            .take(unread(Skipped::one(link.as_str(), why)))
            .await?;
    }
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
    let mut resting: HashMap<Origin, Skipped> = HashMap::new();
    for post in posts {
        let host = post.link.origin();
        if let Some(left) = resting.get_mut(&host) {
            left.count += 1;
            continue;
        }
        match one(post, &again).await {
            Ok(found) => writer.take(found).await?,
            // Nearly all of the others stand on the same host; those that do not are read.
            Err(error @ Error::Later { until_ms, .. }) => {
                resting.insert(host, Skipped::one(listing.home.as_str(), error.to_string()));
                writer.later(until_ms);
            }
            Err(error) => return Err(error),
        }
    }
    for left in resting.into_values() {
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
/// post stays as it is when the page fails for once.
async fn one<S: Source + Logbook>(post: Listed, again: &Again<'_, S>) -> Result<Found> {
    let (found, why) = match again.page(&post.link).await {
        Ok(found) => match missed(&found).map(str::to_owned) {
            Some(why) => (Some(found), why),
            None => return Ok(found),
        },
        Err(Error::Fetch { why, .. }) => (None, why),
        Err(error @ (Error::TooLarge { .. } | Error::Gone { .. })) => (None, error.to_string()),
        Err(error) => return Err(error),
    };
    let made = again.made(&post.link).await?;
    let entry = post.entry.filter(|entry| entry.markup.is_some());
    let Some(entry) = entry.filter(|_| made.is_none()) else {
        let missed = || {
            let missed = platform::missed(&post.link, why);
            let key = made.or(missed.key);
            Found::Missed(Missed { key, ..missed })
        };
        return Ok(found.unwrap_or_else(missed));
    };
    let asked = again.platform.map(str::to_owned);
    let context = Arc::clone(again.context);
    let link = post.link.clone();
    let read = blocking(move || {
        pages::with_room(|| platform::of_entry(&link, entry, asked.as_deref(), &context))
    });
    match read.await? {
        Ok(preview) => again.preview(&post.link, preview, found).await,
        Err(_) => Ok(found.unwrap_or_else(|| Found::Missed(platform::missed(&post.link, why)))),
    }
}

/// Why a page gave nothing, if it did not.
fn missed(found: &Found) -> Option<&str> {
    match found {
        Found::Missed(missed) => Some(&missed.skipped.why),
        Found::Visited(found, _) => match &**found {
            Found::Missed(missed) => Some(&missed.skipped.why),
            _ => None,
        },
        _ => None,
    }
}

async fn gather(listing: &Listing, fetcher: &Fetcher) -> Result<Gathered> {
    let mut gathered = Gathered::new(listing);
    for at in &listing.feeds {
        let read = text_of(fetcher, at).await?;
        gathered.feed(at, read);
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
        let read = text_of(fetcher, &at).await?;
        gathered.sitemap(&at, depth, read);
    }
    if gathered.listed {
        return Ok(gathered);
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

/// The bytes of a feed or sitemap, or in words why not.
async fn text_of(fetcher: &Fetcher, at: &Url) -> Result<Result<Vec<u8>, String>> {
    match fetcher.list(at).await {
        Ok(list) => Ok(Ok(list.bytes)),
        Err(Error::Fetch { why, .. }) => Ok(Err(why)),
        Err(Error::Gone { status, .. }) => Ok(Err(format!("it is gone ({status})"))),
        Err(error @ Error::TooLarge { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// A post that is to be read.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    link: Url,
    entry: Option<Entry>,
}

/// What feeds and sitemaps name. Pure.
struct Gathered {
    post: fn(&Url) -> Option<Url>,
    posts: Vec<Listed>,
    known: HashSet<Url>,
    sitemaps: Vec<(Url, usize)>,
    /// Whether a feed or sitemap could be read at all.
    listed: bool,
    failed: Vec<(Url, String)>,
    left_out: usize,
}

impl Gathered {
    fn new(listing: &Listing) -> Self {
        Self {
            post: listing.post,
            posts: Vec::new(),
            known: HashSet::new(),
            sitemaps: listing
                .sitemaps
                .iter()
                .rev()
                .map(|at| (at.clone(), 0))
                .collect(),
            listed: false,
            failed: Vec::new(),
            left_out: 0,
        }
    }

    fn next_sitemap(&mut self) -> Option<(Url, usize)> {
        self.sitemaps.pop()
    }

    fn feed(&mut self, at: &Url, read: Result<Vec<u8>, String>) {
        match read.and_then(|bytes| feed::entries(&bytes, at)) {
            Ok(entries) => {
                self.listed = true;
                for entry in entries {
                    let link = entry.link.clone();
                    self.add(&link, Some(entry));
                }
            }
            Err(why) => self.failed.push((at.clone(), why)),
        }
    }

    /// Takes a sitemap. One may speak for its own host alone, and an index may not lead to another.
    fn sitemap(&mut self, at: &Url, depth: usize, read: Result<Vec<u8>, String>) {
        let is_own = |link: &Url| link.host() == at.host();
        match read.and_then(|bytes| feed::sitemap(&bytes)) {
            Ok(Sitemap::Pages(links)) => {
                self.listed = true;
                links
                    .into_iter()
                    .filter(is_own)
                    .for_each(|link| self.add(&link, None));
            }
            Ok(Sitemap::Index(links)) if depth == 0 => {
                self.listed = true;
                let links = links.into_iter().filter(is_own).rev();
                self.sitemaps.extend(links.map(|link| (link, depth + 1)));
            }
            Ok(Sitemap::Index(_)) => {
                let why = "an index of sitemaps within another".to_owned();
                self.failed.push((at.clone(), why));
            }
            Err(why) => self.failed.push((at.clone(), why)),
        }
    }

    /// Each post once, however often and with whatever parameters it is named.
    fn add(&mut self, link: &Url, entry: Option<Entry>) {
        let Some(link) = (self.post)(link) else {
            return;
        };
        if self.known.contains(&link) {
            return;
        }
        if self.posts.len() == POSTS_MAX {
            self.left_out += 1;
            return;
        }
        self.known.insert(link.clone());
        self.posts.push(Listed { link, entry });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn gathered() -> Gathered {
        let post = |url: &Url| {
            let mut bare = url.clone();
            bare.set_query(None);
            url.path().starts_with("/p/").then_some(bare)
        };
        Gathered::new(&Listing {
            home: url("https://a.example/"),
            feeds: Vec::new(),
            sitemaps: vec![
                url("https://a.example/1.xml"),
                url("https://a.example/2.xml"),
            ],
            post,
        })
    }

    fn pages(links: &[String]) -> Vec<u8> {
        let links: Vec<_> = links
            .iter()
            .map(|link| format!("<loc>{link}</loc>"))
            .collect();
        format!("<urlset>{}</urlset>", links.concat()).into_bytes()
    }

    #[test]
    fn a_post_is_listed_once_and_pages_of_other_hosts_and_kinds_are_not() {
        let mut gathered = gathered();
        let at = url("https://a.example/1.xml");
        let links = [
            "https://a.example/p/1?r=x",
            "https://a.example/p/1",
            "https://a.example/about",
            "https://b.example/p/2",
            "https://a.example/p/3",
        ];
        gathered.sitemap(&at, 0, Ok(pages(&links.map(str::to_owned))));
        let found: Vec<_> = gathered
            .posts
            .iter()
            .map(|post| post.link.as_str())
            .collect();
        assert_eq!(found, ["https://a.example/p/1", "https://a.example/p/3"]);
        assert!(gathered.listed && gathered.failed.is_empty());
    }

    #[test]
    fn indexes_are_followed_in_order_once_deep_and_on_their_own_host() {
        let mut gathered = gathered();
        let (at, depth) = gathered.next_sitemap().unwrap();
        assert_eq!((at.as_str(), depth), ("https://a.example/1.xml", 0));
        let index = b"<sitemapindex><loc>https://a.example/a.xml</loc><loc>https://b.example/b.xml\
            </loc><loc>https://a.example/c.xml</loc></sitemapindex>";
        gathered.sitemap(&at, depth, Ok(index.to_vec()));
        let mut next = || gathered.next_sitemap().map(|(at, _)| at.path().to_owned());
        let order: Vec<_> = std::iter::from_fn(&mut next).collect();
        assert_eq!(order, ["/a.xml", "/c.xml", "/2.xml"]);
        gathered.sitemap(&at, 1, Ok(index.to_vec()));
        assert!(gathered.next_sitemap().is_none());
        assert_eq!(gathered.failed.len(), 1);
    }

    #[test]
    fn a_listing_without_an_end_is_cut_and_counted() {
        let mut gathered = gathered();
        let at = url("https://a.example/1.xml");
        let links: Vec<_> = (0..POSTS_MAX + 7)
            .map(|n| format!("https://a.example/p/{n}"))
            .collect();
        gathered.sitemap(&at, 0, Ok(pages(&links)));
        assert_eq!((gathered.posts.len(), gathered.left_out), (POSTS_MAX, 7));
    }
}
