//! Substack: posts and publications, on its own hosts and on theirs.
//!
//! ```text
//! name.substack.com/p/slug, open.substack.com/pub/name/p/slug, substack.com/home/post/p-1   a post
//! name.substack.com, /archive, substack.com/@name                                          posts
//! ```
//!
//! A page carries its post as JSON (`window._preloads`), also where its markup is built by a script. What stands
//! below a post, as its comments do, is read as the post.

use serde_json::Value;
use url::Url;

use super::embedded::{after, text};
use super::{Counts, Listing, Markup, Plan, Platform, Post, bare, beside, is_label, parts};
use crate::crawl::page::{self, Page};
use crate::document::kind;

pub(super) const PLATFORM: Platform = Platform {
    name: "substack",
    plan,
    identity: |url| post_link(url).unwrap_or_else(|| bare(url)).into(),
    read,
};

/// A page's state, and the call whose argument it is: JSON in a text of JSON.
const STATE: &str = "window._preloads";
const CALL: &str = "JSON.parse(";
/// The hosts of all publications together.
const COMMON: [&str; 3] = ["substack.com", "www.substack.com", "open.substack.com"];
/// What stands there before a post's number.
const BY_NUMBER: &str = "https://substack.com/home/post/p-";
/// Why a page that has comments alone is not read as the post.
const BELOW: &str = "it stands below a post and has not its text: give the post's own link";

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let host = url.host_str().unwrap_or_default();
    let is_common = COMMON.contains(&host);
    if !(asked || is_common || host.ends_with(".substack.com")) {
        return None;
    }
    if let Some(link) = post_link(url) {
        return Some(Plan::Page(link));
    }
    let parts = parts(url);
    match (host, &parts[..]) {
        ("substack.com" | "www.substack.com", [name]) if name.starts_with('@') => {
            let name = name.trim_start_matches('@').to_lowercase();
            let home = format!("https://{name}.substack.com/");
            Some(listing(
                &Url::parse(&home).ok().filter(|_| is_label(&name))?,
            ))
        }
        _ if is_common => Some(Plan::Page(bare(url))),
        (_, [] | ["archive" | "feed"]) => Some(listing(&beside(url, "/"))),
        _ => Some(Plan::Page(url.clone())),
    }
}

/// The one link of a post, whatever leads to it and whatever of it stands below; none for what is no post.
fn post_link(url: &Url) -> Option<Url> {
    let host = url.host_str().unwrap_or_default();
    let parts = parts(url);
    match (host, &parts[..]) {
        ("open.substack.com", ["pub", name, "p", slug, ..]) if is_label(name) => {
            Url::parse(&format!("https://{name}.substack.com/p/{slug}")).ok()
        }
        (host, ["home", "post", id, ..]) if COMMON.contains(&host) => {
            let number = id.strip_prefix("p-")?;
            Url::parse(&format!("{BY_NUMBER}{number}")).ok()
        }
        (host, ["p", slug, ..]) if !COMMON.contains(&host) => {
            Some(beside(url, &format!("/p/{slug}")))
        }
        _ => None,
    }
}

fn listing(home: &Url) -> Plan {
    Plan::Listing(Listing {
        home: home.clone(),
        feeds: vec![beside(home, "/feed")],
        sitemaps: vec![beside(home, "/sitemap.xml")],
        post: |url| post_link(url).filter(|_| matches!(parts(url)[..], ["p", ..])),
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
    let is_below = matches!(parts(page.url)[..], ["p", _, _, ..]);
    let mut text_of = match (page::kept(page.document, page.url), told) {
        (_, Err(_)) if is_below => return Err(BELOW.to_owned()),
        // What the markup has beside the post are names, buttons and comments; below it there is nothing else.
        (Ok(markup), Ok(told)) if !is_below && told.text.len() * 10 < markup.text.len() * 9 => {
            markup
        }
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
    // A post has one place on its publication's host.
    let link = told_link(page, post)
        .or_else(|| post_link(page.url))
        .unwrap_or_else(|| bare(page.url));
    Ok(Post {
        kind: kind::ARTICLES,
        identity: link.to_string(),
        link: link.into(),
        page: text_of,
        counts: Counts {
            reactions: number("/reaction_count"),
            comments: number("/comment_count"),
        },
    })
}

/// The post's link on its publication's host, where it was read by its number on the host of all.
///
/// That host serves all names below it, so that the state's word counts: of the post with this number, where a script
/// says it and no text of a writer, and for such a name alone. A domain of a publication's own speaks for itself.
fn told_link(page: &Markup<'_>, post: &Value) -> Option<Url> {
    let asked = post_link(page.url)?;
    let number = asked.as_str().strip_prefix(BY_NUMBER)?;
    let (before, _) = page.html.split_once(STATE)?;
    let is_said = before.trim_end().ends_with("<script>");
    let is_same = post.get("id").and_then(Value::as_u64)?.to_string() == number;
    let told = Url::parse(&text(post, "/canonical_url")?).ok()?;
    let name = told.host_str()?.strip_suffix(".substack.com")?;
    let expected = format!("https://{name}.substack.com/p/{}", text(post, "/slug")?);
    let names_one = is_label(name) && !COMMON.contains(&told.host_str()?);
    (is_said && is_same && names_one && told.as_str() == expected).then_some(told)
}

fn bylines(post: &Value) -> Option<String> {
    let authors = post.get("publishedBylines")?.as_array()?;
    let names: Vec<String> = authors
        .iter()
        .filter_map(|one| text(one, "/name"))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}
