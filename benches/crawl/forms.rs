//! What a site that means ill answers, in every form that is known.
//!
//! Markup that costs its reader is in `benches/fuzz/hostile.rs`; here it is what comes over HTTP.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lockstep::{Error, Result};

use crate::bombs;

/// What the product reads of one page at most.
const LIMIT: usize = 16 << 20;
const PATIENCE_SECONDS: u64 = 60;
const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "application/xml";

/// A form: what is answered at one path. Elsewhere the site is like any other.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    /// The patience of who crawls it.
    pub(crate) seconds: u64,
    path: &'static str,
    answer: fn() -> Answer,
}

/// What is sent for one request.
pub(crate) struct Answer {
    pub(crate) begin: Vec<u8>,
    pub(crate) then: Then,
}

/// What is sent behind it.
pub(crate) enum Then {
    Ends,
    /// The same without end.
    Again(Vec<u8>),
    /// The same without end, and slowly.
    Drips(&'static str),
}

impl Form {
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let form = FORMS.iter().find(|form| form.name == name);
        form.ok_or_else(|| Error::malformed("a form", format!("there is none called {name}")))
    }

    /// Whether its site is crawled as a publication, rather than one page of it.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.path, FEED | SITEMAP)
    }

    /// What is crawled.
    pub(crate) fn target(&self, origin: &str) -> String {
        let path = if self.is_listed() { "" } else { PAGE };
        format!("{origin}{path}")
    }

    pub(crate) fn answer(&self, path: &str) -> Answer {
        match path {
            _ if path == self.path => (self.answer)(),
            PAGE => whole(HTML, "", sentences(8)),
            _ => plain("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        }
    }
}

const PAGE: &str = "/page";
const ROBOTS: &str = "/robots.txt";
const FEED: &str = "/feed";
const SITEMAP: &str = "/sitemap.xml";

/// Every form.
pub(crate) static FORMS: [Form; 40] = [
    form("a small page", PAGE, || whole(HTML, "", sentences(8))),
    form("a bomb of gzip", PAGE, || {
        packed("gzip", gzip(&blanks(), 256))
    }),
    form("a bomb of brotli", PAGE, || packed("br", bombs::brotli())),
    form("a bomb of zstd", PAGE, || {
        packed("zstd", bombs::zstd(8_192))
    }),
    form("a bomb of gzip in gzip", PAGE, || packed("gzip", nested())),
    form("a bomb of gzip in gzip, named twice", PAGE, || {
        packed("gzip, gzip", nested())
    }),
    form("a bomb of gzip as robots.txt", ROBOTS, || {
        packed("gzip", gzip(&blanks(), 256))
    }),
    form("a body without end", PAGE, || endless(HTML, "", " ")),
    form("text without end", PAGE, || endless(HTML, "<p>", SENTENCE)),
    form("headers without end", PAGE, || Answer {
        then: Then::Again(b"x-a: b\r\n".repeat(1_000)),
        ..plain("HTTP/1.1 200 OK\r\n")
    }),
    form("one header without end", PAGE, || Answer {
        then: Then::Again(vec![b'a'; 8_192]),
        ..plain("HTTP/1.1 200 OK\r\nx-a: ")
    }),
    form("a chunk whose header has no end", PAGE, || Answer {
        then: Then::Again(vec![b'a'; 8_192]),
        ..plain("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;")
    }),
    form("a length of 1 TB", PAGE, || Answer {
        then: Then::Again(blanks()),
        ..plain(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1000000000000\r\n\r\n",
        )
    }),
    slow("a header that comes drop by drop", || Answer {
        then: Then::Drips("a"),
        ..plain("HTTP/1.1 200 OK\r\nx-a: ")
    }),
    slow("a body that comes drop by drop", || Answer {
        then: Then::Drips(" "),
        ..whole(HTML, "", Vec::new())
    }),
    form(
        "redirects that loop, each with a body without end",
        PAGE,
        || Answer {
            then: Then::Again(blanks()),
            ..plain("HTTP/1.1 302 Found\r\nlocation: /page\r\nconnection: close\r\n\r\n")
        },
    ),
    form("10,000 links", PAGE, || {
        let links: Vec<_> = (0..10_000)
            .map(|at| format!("<li><a href=/{at}>Link {at}</a>"))
            .collect();
        whole(
            HTML,
            "",
            [sentences(8), links.concat().into_bytes()].concat(),
        )
    }),
    form("100,000 open tags", PAGE, || {
        whole(HTML, "", b"<div>".repeat(100_000))
    }),
    form("16 MiB of sentences", PAGE, || {
        whole(HTML, "", filled("<p>", SENTENCE, "</p>"))
    }),
    form("16 MiB of broken UTF-8", PAGE, || {
        whole(HTML, "", vec![0xff; LIMIT])
    }),
    form("16 MiB of letters that grow as UTF-8", PAGE, || {
        whole("text/html; charset=windows-1252", "", vec![0x80; LIMIT])
    }),
    form("16 MiB of UTF-16", PAGE, || {
        let words = b"a\0 \0".repeat(LIMIT / 4);
        whole("text/html; charset=utf-16le", "", words)
    }),
    form("16 MiB of null characters", PAGE, || {
        whole(HTML, "", vec![0; LIMIT])
    }),
    form(
        "a page without end that is an image by its header",
        PAGE,
        || endless("image/png", "<p>", " "),
    ),
    form("an image that is a page by its header", PAGE, || {
        whole(HTML, "", noise())
    }),
    form("a robots.txt of 50 MB", ROBOTS, || {
        whole(
            "text/plain",
            "",
            b"Disallow: /x*y*z\n".repeat(50_000_000 / 17),
        )
    }),
    form("a robots.txt of one line without end", ROBOTS, || {
        endless("text/plain", "User-agent: *\nDisallow: /x", "*")
    }),
    form("a feed of 16 MiB, 100 long posts", FEED, || posts(100)),
    form("a feed of 16 MiB, 9,000 posts", FEED, || posts(9_000)),
    form("a feed of 16 MiB of empty posts", FEED, || {
        whole(XML, "", filled(RSS, "<item/>", "</channel></rss>"))
    }),
    form("a feed of 16 MiB of empty posts in JSON", FEED, || {
        let begin = "{\"version\":\"https://jsonfeed.org/version/1\",\"title\":\"\",\"items\":[";
        whole("application/json", "", filled(begin, "{},", "{}]}"))
    }),
    form("a feed of groups within groups", FEED, || {
        let begin = format!("{RSS}<item>");
        whole(XML, "", filled(&begin, "<media:group>", ""))
    }),
    form("a feed of groups behind a quote in a comment", FEED, || {
        let begin = format!("{RSS}<!DOCTYPE rss [<!-- ' -->]><item>");
        whole(XML, "", filled(&begin, "<media:group>", ""))
    }),
    form("a feed of attributes", FEED, || {
        let begin = format!("{RSS}<item ");
        whole(XML, "", filled(&begin, "a='' ", "/></channel></rss>"))
    }),
    form("a feed of broken UTF-8", FEED, || {
        whole(
            XML,
            "",
            [RSS.as_bytes(), &vec![0xff; LIMIT - RSS.len()]].concat(),
        )
    }),
    form("a feed without end", FEED, || {
        endless(XML, RSS, "<item><link>/p/1</link></item>")
    }),
    form("a sitemap of 16 MiB", SITEMAP, || {
        let mut map = String::from("<urlset>");
        for at in 0.. {
            // It is no post, so that what is measured is the list.
            let post = format!("<url><loc>http://127.0.0.1/about/the-loom/{at}</loc></url>");
            if map.len() + post.len() > LIMIT {
                break;
            }
            map.push_str(&post);
        }
        whole(XML, "", map.into_bytes())
    }),
    form("a sitemap of 16 MiB of tags", SITEMAP, || {
        whole(XML, "", filled("<urlset>", "<loc>", ""))
    }),
    form("a sitemap of broken UTF-8", SITEMAP, || {
        whole(XML, "", vec![0xff; LIMIT])
    }),
    form("a sitemap without end", SITEMAP, || {
        endless(XML, "<urlset>", "<loc>x</loc>")
    }),
];

const RSS: &str = "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/' \
    xmlns:media='http://search.yahoo.com/mrss/'><channel>";
const SENTENCE: &str = "Some words, with commas, and a stop. ";

const fn form(name: &'static str, path: &'static str, answer: fn() -> Answer) -> Form {
    Form {
        name,
        seconds: PATIENCE_SECONDS,
        path,
        answer,
    }
}

const fn slow(name: &'static str, answer: fn() -> Answer) -> Form {
    Form {
        seconds: 3,
        ..form(name, PAGE, answer)
    }
}

fn plain(text: &str) -> Answer {
    Answer {
        begin: text.as_bytes().to_vec(),
        then: Then::Ends,
    }
}

/// A body that ends with its connection; `header` is a line more of the head, or nothing.
fn whole(kind: &str, header: &str, body: Vec<u8>) -> Answer {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{header}connection: close\r\n\r\n");
    Answer {
        begin: [head.into_bytes(), body].concat(),
        then: Then::Ends,
    }
}

fn packed(encoding: &str, body: Vec<u8>) -> Answer {
    whole(HTML, &format!("content-encoding: {encoding}\r\n"), body)
}

fn endless(kind: &str, begin: &str, part: &str) -> Answer {
    Answer {
        then: Then::Again(part.repeat(8_192 / part.len()).into_bytes()),
        ..whole(kind, "", begin.as_bytes().to_vec())
    }
}

/// As much as is read, or a little less.
fn filled(begin: &str, part: &str, end: &str) -> Vec<u8> {
    let room = LIMIT - begin.len() - end.len();
    [begin, &part.repeat(room / part.len()), end]
        .concat()
        .into_bytes()
}

/// A feed with so many posts, whose pages are not there.
fn posts(count: usize) -> Answer {
    // The markup around a text takes less than 200 bytes.
    let text = SENTENCE.repeat((LIMIT / count - 200) / SENTENCE.len());
    let item = |at: usize| {
        format!(
            "<item><title>Post</title><link>/p/{at}</link><content:encoded><![CDATA[<p>{text}</p>]]>\
             </content:encoded></item>"
        )
    };
    let items: Vec<_> = (0..count).map(item).collect();
    let feed = format!("{RSS}{}</channel></rss>", items.concat());
    whole(XML, "", feed.into_bytes())
}

fn sentences(count: usize) -> Vec<u8> {
    let sentence =
        "This paragraph says enough, with commas, clauses and a full stop, to be a text.";
    let text = format!("<p>{sentence}</p>").repeat(count);
    format!("<html lang=en><title>A page</title><main>{text}</main>").into_bytes()
}

/// What no encoding makes sense of.
fn noise() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; LIMIT];
    random.fill(&mut bytes);
    bytes
}

fn blanks() -> Vec<u8> {
    vec![b' '; 1 << 20]
}

fn nested() -> Vec<u8> {
    gzip(&gzip(&blanks(), 256), 1)
}

fn gzip(part: &[u8], times: usize) -> Vec<u8> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..times {
        // Memory takes whatever is written to it.
        packing.write_all(part).ok();
    }
    packing.finish().unwrap_or_default()
}
