//! What feeds and sitemaps name: each post once. Pure.

use std::collections::HashSet;

use url::Url;

use super::{POSTS_MAX, bounds};
use crate::crawl::feed::{self, Entry, Sitemap};
use crate::crawl::platform::Listing;

/// A post that is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) link: Url,
    pub(super) entry: Option<Entry>,
}

/// What feeds and sitemaps name.
pub(super) struct Gathered {
    post: fn(&Url) -> Option<Url>,
    pub(super) posts: Vec<Listed>,
    known: HashSet<Url>,
    sitemaps: Vec<(Url, usize)>,
    /// Whether a feed or sitemap could be read at all.
    pub(super) listed: bool,
    /// Whether every feed could be read.
    pub(super) has_all_feeds: bool,
    pub(super) failed: Vec<(Url, String)>,
    pub(super) left_out: usize,
}

impl Gathered {
    pub(super) fn new(listing: &Listing) -> Self {
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
            has_all_feeds: true,
            failed: Vec::new(),
            left_out: 0,
        }
    }

    pub(super) fn next_sitemap(&mut self) -> Option<(Url, usize)> {
        self.sitemaps.pop()
    }

    /// Takes a feed, with where it was in the end.
    pub(super) fn feed(&mut self, at: &Url, read: Result<Vec<u8>, String>) {
        match read.and_then(|bytes| bounds::entries(&bytes, at)) {
            Ok(entries) => {
                self.listed = true;
                for entry in entries {
                    let link = entry.link.clone();
                    self.add(&link, Some(entry));
                }
            }
            Err(why) => {
                self.has_all_feeds = false;
                self.failed.push((at.clone(), why));
            }
        }
    }

    /// Takes a sitemap, with where it was in the end. One may speak for that host alone, and an index may not lead
    /// to another.
    pub(super) fn sitemap(&mut self, at: &Url, depth: usize, read: Result<Vec<u8>, String>) {
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
    fn a_feed_that_would_take_the_stack_is_told_and_not_read() {
        let mut gathered = gathered();
        let at = url("https://a.example/feed");
        let groups = "<media:group>".repeat(1_000_000);
        let feed = format!(
            "<rss version='2.0' xmlns:media='http://search.yahoo.com/mrss/'><channel><item>{groups}"
        );
        gathered.feed(&at, Ok(feed.into_bytes()));
        assert!(!gathered.listed && !gathered.has_all_feeds);
        assert!(gathered.failed[0].1.contains("nested"));
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
