//! Substack: posts and publications, on its own hosts and on theirs.
//!
//! ```text
//! name.substack.com/p/slug, open.substack.com/pub/name/p/slug, substack.com/home/post/p-1   a post
//! name.substack.com, /archive, substack.com/@name                                          posts
//! ```
//!
//! A page carries its post as JSON (`window._preloads`), also where its markup is built by a script.

use serde_json::Value;
use url::Url;

use super::embedded::{after, text};
use super::{Counts, Listing, Markup, Plan, Platform, Post, bare, beside, is_label, parts};
use crate::crawl::page::{self, Page};
use crate::document::kind;

pub(super) const PLATFORM: Platform = Platform {
    name: "substack",
    plan,
    identity: |url| bare(url).into(),
    read,
};

/// A page's state, and the call whose argument it is: JSON in a text of JSON.
const STATE: &str = "window._preloads";
const CALL: &str = "JSON.parse(";

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let host = url.host_str().unwrap_or_default();
    let parts = parts(url);
    match (host, &parts[..]) {
        ("open.substack.com", ["pub", name, "p", slug]) if is_label(name) => {
            let link = format!("https://{name}.substack.com/p/{slug}");
            Some(Plan::Page(Url::parse(&link).ok()?))
        }
        ("substack.com" | "www.substack.com", [name]) if name.starts_with('@') => {
            let name = name.trim_start_matches('@').to_lowercase();
            let home = format!("https://{name}.substack.com/");
            Some(listing(
                &Url::parse(&home).ok().filter(|_| is_label(&name))?,
            ))
        }
        ("substack.com" | "www.substack.com" | "open.substack.com", _) => {
            Some(Plan::Page(bare(url)))
        }
        _ if !asked && !host.ends_with(".substack.com") => None,
        (_, ["p", ..]) => Some(Plan::Page(bare(url))),
        (_, [] | ["archive" | "feed"]) => Some(listing(&beside(url, "/"))),
        _ => Some(Plan::Page(url.clone())),
    }
}

fn listing(home: &Url) -> Plan {
    Plan::Listing(Listing {
        home: home.clone(),
        feeds: vec![beside(home, "/feed")],
        sitemaps: vec![beside(home, "/sitemap.xml")],
        post: |url| matches!(parts(url)[..], ["p", _]).then(|| bare(url)),
    })
}

fn read(page: &Markup<'_>, _: bool) -> Option<Result<Post, String>> {
    let state = state(page.html)?;
    let post = state
        .get("post")
        .filter(|post| post.get("slug").is_some())?;
    Some(merged(page, post))
}

fn state(html: &str) -> Option<Value> {
    let (_, rest) = html.split_once(STATE)?;
    // The blanks around the sign vary.
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let inner: String = after(rest.starts_with(CALL).then_some(rest)?, CALL)?;
    serde_json::from_str(&inner).ok()
}

/// State and markup together: text from where there is more of it.
fn merged(page: &Markup<'_>, post: &Value) -> Result<Post, String> {
    let title = text(post, "/title");
    let body = text(post, "/body_html").unwrap_or_default();
    let told = page::whole(&body, page.url);
    let mut text_of = match (page::kept(page.document, page.url), told) {
        // What the markup has beside the post are names, buttons and comments.
        (Ok(markup), Ok(told)) if told.text.len() * 10 < markup.text.len() * 9 => markup,
        (Ok(markup), Ok(told)) => Page {
            text: told.text,
            ..markup
        },
        (Ok(markup), Err(_)) => markup,
        (Err(_), told) => told?,
    };
    text_of.title = title.unwrap_or(text_of.title);
    text_of.subtitle = text(post, "/subtitle").unwrap_or(text_of.subtitle);
    text_of.byline = bylines(post).or(text_of.byline);
    text_of.published_at = text(post, "/post_date").or(text_of.published_at);
    text_of.modified_at = text(post, "/updated_at").or(text_of.modified_at);
    if let Some(audience) = text(post, "/audience") {
        text_of.partial = audience != "everyone";
    }
    let number = |path: &str| post.pointer(path).and_then(Value::as_u64);
    // The host is the publication's own, and a post has one place on it.
    let link: String = bare(page.url).into();
    Ok(Post {
        kind: kind::ARTICLES,
        identity: link.clone(),
        link,
        page: text_of,
        counts: Counts {
            reactions: number("/reaction_count"),
            comments: number("/comment_count"),
        },
    })
}

fn bylines(post: &Value) -> Option<String> {
    let authors = post.get("publishedBylines")?.as_array()?;
    let names: Vec<String> = authors
        .iter()
        .filter_map(|one| text(one, "/name"))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}
