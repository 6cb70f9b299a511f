//! LinkedIn: public posts and articles by link, and a member's own data export.
//!
//! ```text
//! linkedin.com/posts/…activity-<id>…, /feed/update/urn:li:activity:<id>   a post
//! linkedin.com/pulse/<slug>                                               an article
//! anything else                                                           for members only: refused
//! the ZIP of "Get a copy of your data"                                    everything, see `export`
//! ```
//!
//! Nothing is read behind a login. A public page carries its post as JSON-LD and as markup. LinkedIn's robots.txt lets
//! in whom it names and nobody else, so that a link is mostly refused, and a page that was saved by hand is read.

pub(crate) mod export;

use dom_query::Document as Tree;
use serde_json::Value;
use url::Url;

use super::embedded::text;
use super::{Counts, Markup, Plan, Platform, Post, bare, beside, parts};
use crate::crawl::page::{self, Linked, Page};
use crate::document::kind;

pub(super) const PLATFORM: Platform = Platform {
    name: "linkedin",
    plan,
    identity,
    read,
};

/// The host that has what those of all languages have.
const HOST: &str = "www.linkedin.com";
/// What to do instead.
const WAY_OUT: &str = "LinkedIn shows this to members only: ask it for a copy of your data (Settings, Data \
     privacy) and crawl the ZIP, or save the page of a public post or article in a browser and crawl the file";
/// What to do where LinkedIn lets no program in.
const WAY_AROUND: &str = "ask LinkedIn for a copy of your data (Settings, Data privacy) and crawl the ZIP, or save the \
     page in a browser and crawl the file";
/// What a post is called in a page's JSON-LD.
const KINDS: [&str; 4] = [
    "SocialMediaPosting",
    "DiscussionForumPosting",
    "Article",
    "VideoObject",
];
/// The text of a post in a public page.
const COMMENTARY: &str = "[data-test-id='main-feed-activity-card__commentary']";

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    if !(asked || is_own(url)) {
        return None;
    }
    if let Some(article) = article(url) {
        return Some(Plan::Page(article));
    }
    Some(match parts(url)[..] {
        ["posts", _] | ["feed", "update", _] | ["embed", "feed", "update", _] => {
            Plan::Page(bare(url))
        }
        _ => Plan::Refused(WAY_OUT.to_owned()),
    })
}

/// What to do about a link that robots.txt forbids, where it is LinkedIn's.
pub(super) fn way_around(url: &Url) -> Option<&'static str> {
    is_own(url).then_some(WAY_AROUND)
}

fn is_own(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "linkedin.com" || host.ends_with(".linkedin.com")
}

/// The one link of an article, whatever language its host is for; none for what is no article.
fn article(url: &Url) -> Option<Url> {
    let parts = parts(url);
    let ["pulse", slug] = parts[..] else {
        return None;
    };
    let path = format!("/pulse/{slug}");
    if is_own(url) {
        Url::parse(&format!("https://{HOST}{path}")).ok()
    } else {
        Some(beside(url, &path))
    }
}

/// What a link or path names: `activity:<number>`, `share:<number>` or `ugcPost:<number>`.
fn urn(path: &str) -> Option<String> {
    let path = path.replace("%3A", ":").replace("%3a", ":");
    for (before, kind) in [
        ("urn:li:activity:", "activity"),
        ("urn:li:share:", "share"),
        ("urn:li:ugcPost:", "ugcPost"),
        ("-activity-", "activity"),
        ("-share-", "share"),
        ("-ugcPost-", "ugcPost"),
    ] {
        let Some((_, rest)) = path.rsplit_once(before) else {
            continue;
        };
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
        if let Some(digits) = digits.filter(|digits| !digits.is_empty()) {
            return Some(format!("{kind}:{digits}"));
        }
    }
    None
}

/// One for all links of a post or an article. A page on another domain speaks for that domain alone.
fn identity(url: &Url) -> String {
    if let Some(article) = article(url) {
        return article.into();
    }
    match urn(url.path()).filter(|_| is_own(url)) {
        Some(urn) => format!("https://{HOST}/feed/update/urn:li:{urn}"),
        None => bare(url).into(),
    }
}

fn read(page: &Markup<'_>, asked: bool) -> Option<Result<Post, String>> {
    (asked || is_own(page.url)).then(|| post(page))
}

fn post(page: &Markup<'_>) -> Result<Post, String> {
    let linked = Linked::read(page.document);
    let told = linked.of_type(&KINDS);
    let own = article(page.url);
    let is_article = own.is_some();
    let body =
        told.and_then(|told| text(told, "/articleBody").or_else(|| text(told, "/description")));
    let (kind, read) = if is_article {
        let read = page::kept(page.document, page.url).ok();
        (kind::ARTICLES, longer(read, body))
    } else {
        (kind::POSTS, longer(commentary(page.document), body))
    };
    let mut read = read.ok_or_else(|| WAY_OUT.to_owned())?;
    let told = told.unwrap_or(&Value::Null);
    let names = ["/headline", "/name"]
        .iter()
        .find_map(|path| text(told, path));
    if is_article {
        read.title = names.unwrap_or(read.title);
    }
    read.byline = text(told, "/author/name").or(read.byline);
    read.published_at = text(told, "/datePublished").or(read.published_at);
    read.modified_at = text(told, "/dateModified").or(read.modified_at);
    Ok(Post {
        kind,
        link: own.unwrap_or_else(|| bare(page.url)).into(),
        identity: identity(page.url),
        page: read,
        counts: counts(told),
    })
}

/// The text of the first post of a page; those below it are others.
fn commentary(document: &Tree) -> Option<Page> {
    let first = document.select_single(COMMENTARY);
    // Line breaks are elements, and would be lost.
    let parts = first.nodes().first()?.descendants_it().map(|node| {
        if node.has_name("br") {
            "\n".to_owned()
        } else if node.is_text() {
            node.text().to_string()
        } else {
            String::new()
        }
    });
    let text = parts.collect::<String>().trim().to_owned();
    (!text.is_empty()).then(|| Page {
        text,
        ..Page::default()
    })
}

/// Markup, unless the bare text has much more.
fn longer(read: Option<Page>, body: Option<String>) -> Option<Page> {
    match (read, body) {
        (Some(read), Some(body)) if read.text.len() * 10 < body.len() * 9 => {
            Some(Page { text: body, ..read })
        }
        (None, Some(text)) => Some(Page {
            text,
            ..Page::default()
        }),
        (read, _) => read,
    }
}

fn counts(told: &Value) -> Counts {
    let statistics = match told.get("interactionStatistic") {
        Some(Value::Array(list)) => &list[..],
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let of = |action: &str| {
        let one = statistics.iter().find(|one| {
            let kind = one.get("interactionType");
            let kind = kind.and_then(|kind| kind.get("@type").unwrap_or(kind).as_str());
            kind.is_some_and(|kind| kind.ends_with(action))
        })?;
        one.get("userInteractionCount")?.as_u64()
    };
    Counts {
        reactions: of("LikeAction"),
        comments: of("CommentAction").or_else(|| told.get("commentCount")?.as_u64()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_post_is_named_by_every_form_of_its_link() {
        for (path, expected) in [
            (
                "/posts/ada_looms-activity-7123456789012345678-AbCd",
                Some("activity:7123456789012345678"),
            ),
            ("/feed/update/urn:li:share:712", Some("share:712")),
            (
                "/feed/update/urn%3Ali%3AugcPost%3A745/",
                Some("ugcPost:745"),
            ),
            ("/posts/ada_looms-activity-", None),
            ("/pulse/looms-ada", None),
        ] {
            assert_eq!(urn(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn an_article_whose_name_reads_like_that_of_a_post_is_an_article() {
        let url = |text: &str| Url::parse(text).unwrap();
        let link = "https://www.linkedin.com/pulse/sports-activity-2024-ada";
        assert_eq!(identity(&url(link)), link);
        let elsewhere = "https://example.org/pulse/looms-ada";
        assert_eq!(identity(&url(&format!("{elsewhere}/?a=1"))), elsewhere);
    }

    #[test]
    fn counts_are_read_in_the_forms_that_are_out_there() {
        let told = json!({"commentCount": 2, "interactionStatistic": [
            {"interactionType": "http://schema.org/LikeAction", "userInteractionCount": 7},
        ]});
        let expected = Counts {
            reactions: Some(7),
            comments: Some(2),
        };
        assert_eq!(counts(&told), expected);
        let told = json!({"interactionStatistic":
            {"interactionType": {"@type": "https://schema.org/CommentAction"}, "userInteractionCount": 3}});
        let expected = Counts {
            reactions: None,
            comments: Some(3),
        };
        assert_eq!(counts(&told), expected);
    }
}
