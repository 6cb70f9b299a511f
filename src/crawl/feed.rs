//! Feeds and sitemaps to the links of posts. Pure.
//!
//! ```text
//! RSS, Atom, JSON feed ──> entries: link, and what a reader of the feed sees
//! sitemap              ──> pages
//! index of sitemaps    ──> sitemaps
//! ```

use std::panic::catch_unwind;

use feed_rs::model::Entry as FeedEntry;
use url::Url;

/// Sitemaps hold no more by their protocol; what is beyond is not read.
const LINKS_MAX: usize = 50_000;

/// A post of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where the post is.
    pub(crate) link: Url,
    /// Its title.
    pub(crate) title: String,
    /// Its whole markup, where the feed has it.
    pub(crate) markup: Option<String>,
    /// Who wrote it.
    pub(crate) byline: Option<String>,
    /// When it was published, RFC 3339.
    pub(crate) published_at: Option<String>,
    /// When it was changed last, RFC 3339.
    pub(crate) modified_at: Option<String>,
}

/// What a sitemap names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sitemap {
    /// Pages.
    Pages(Vec<Url>),
    /// Further sitemaps.
    Index(Vec<Url>),
}

/// Reads a feed; an error says in words what it is instead.
pub(crate) fn entries(bytes: &[u8], address: &Url) -> Result<Vec<Entry>, String> {
    // A reader that fails on one strange feed must not end the crawl of the others.
    let read = catch_unwind(|| feed_rs::parser::parse(bytes));
    let feed = read
        .map_err(|_| "the reader failed on it".to_owned())?
        .map_err(|error| format!("it is no feed: {error}"))?;
    let entries = feed.entries.into_iter().take(LINKS_MAX);
    Ok(entries
        .filter_map(|entry| self::entry(entry, address))
        .collect())
}

fn entry(entry: FeedEntry, address: &Url) -> Option<Entry> {
    let is_own = |relation: Option<&str>| relation.is_none_or(|relation| relation == "alternate");
    let mut links = entry.links.iter();
    let link = links.find(|link| is_own(link.rel.as_deref()))?;
    Some(Entry {
        link: address.join(&link.href).ok()?,
        title: entry.title.map(|title| title.content).unwrap_or_default(),
        markup: entry.content.and_then(|content| content.body),
        byline: entry.authors.into_iter().find_map(|person| person.name),
        published_at: entry.published.map(|time| time.to_rfc3339()),
        modified_at: entry.updated.map(|time| time.to_rfc3339()),
    })
}

/// Reads a sitemap or an index of sitemaps; an error says in words what it is instead.
///
/// `loc` is all that is looked at, and only the one of the protocol: those of pictures and videos
/// have a prefix.
pub(crate) fn sitemap(bytes: &[u8]) -> Result<Sitemap, String> {
    let text = String::from_utf8_lossy(bytes);
    let links = text.split("<loc>").skip(1).take(LINKS_MAX);
    let links = links.filter_map(|rest| rest.split("</loc>").next());
    let links = links.filter_map(|link| Url::parse(&plain(link)).ok());
    if text.contains("<sitemapindex") {
        Ok(Sitemap::Index(links.collect()))
    } else if text.contains("<urlset") {
        Ok(Sitemap::Pages(links.collect()))
    } else {
        Err("it is no sitemap".to_owned())
    }
}

/// Text of XML as it is meant: without the marks of CDATA, or with its entities resolved.
fn plain(text: &str) -> String {
    let text = text.trim();
    let data = text.strip_prefix("<![CDATA[");
    if let Some(data) = data.and_then(|data| data.strip_suffix("]]>")) {
        return data.trim().to_owned();
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn rss_and_atom_name_posts_with_what_they_say_of_them() {
        let rss = "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/' \
            xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><title>F</title>\
            <item><title><![CDATA[One & two]]></title><link>https://a.example/1?source=rss</link>\
            <dc:creator><![CDATA[Ada]]></dc:creator><pubDate>Sat, 03 Feb 2024 04:05:06 GMT</pubDate>\
            <content:encoded><![CDATA[<p>Text.</p>]]></content:encoded></item></channel></rss>";
        let found = entries(rss.as_bytes(), &url("https://a.example/feed")).unwrap();
        assert_eq!(found[0].link, url("https://a.example/1?source=rss"));
        assert_eq!(found[0].title, "One & two");
        assert_eq!(found[0].markup.as_deref(), Some("<p>Text.</p>"));
        assert_eq!(
            found[0].published_at.as_deref(),
            Some("2024-02-03T04:05:06+00:00")
        );
        let atom = "<feed xmlns='http://www.w3.org/2005/Atom'><title>F</title><id>f</id>\
            <updated>2024-02-03T04:05:06Z</updated><entry><title>One</title><id>1</id>\
            <link rel='self' href='/api/1'/><link href='/1'/><updated>2024-02-03T04:05:06Z</updated>\
            <author><name>Ada</name></author></entry></feed>";
        let found = entries(atom.as_bytes(), &url("https://a.example/feed")).unwrap();
        assert_eq!(found[0].link, url("https://a.example/1"));
        assert_eq!(found[0].byline.as_deref(), Some("Ada"));
        assert_eq!(
            found[0].modified_at.as_deref(),
            Some("2024-02-03T04:05:06+00:00")
        );
    }

    #[test]
    fn what_is_no_feed_says_so() {
        for bytes in ["", "<html></html>", "<rss", "{}", "\u{0}"] {
            let said = entries(bytes.as_bytes(), &url("https://a.example/"));
            assert!(said.is_err() || said.unwrap().is_empty(), "{bytes:?}");
        }
    }

    #[test]
    fn a_sitemap_names_pages_an_index_names_sitemaps_and_pictures_count_for_nothing() {
        let pages = "<urlset><url><loc> https://a.example/p/1?a=1&amp;b=2 </loc>\
            <image:image><image:loc>https://a.example/1.png</image:loc></image:image></url>\
            <url><loc><![CDATA[https://a.example/p/2]]></loc></url><url><loc>nowhere</loc></url></urlset>";
        let expected = ["https://a.example/p/1?a=1&b=2", "https://a.example/p/2"].map(url);
        assert_eq!(
            sitemap(pages.as_bytes()),
            Ok(Sitemap::Pages(expected.to_vec()))
        );
        let index =
            "<sitemapindex><sitemap><loc>https://a.example/s.xml</loc></sitemap></sitemapindex>";
        let expected = vec![url("https://a.example/s.xml")];
        assert_eq!(sitemap(index.as_bytes()), Ok(Sitemap::Index(expected)));
        assert!(sitemap(b"<html>").is_err());
    }
}
