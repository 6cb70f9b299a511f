//! Medium: posts, authors and publications, on its own hosts and on theirs.
//!
//! ```text
//! medium.com/@user/slug-<id>, /publication/slug-<id>, /p/<id>, user.medium.com/slug-<id>  a post
//! medium.com/@user, medium.com/publication, user.medium.com                               posts
//! ```
//!
//! A page carries its post as JSON (`window.__APOLLO_STATE__`), paragraph by paragraph, with the
//! language of code and whether it is a preview for members only.

mod paragraphs;

use serde_json::Value;
use url::Url;

use super::embedded::{after, rfc3339, text};
use super::{Counts, Listing, Markup, Plan, Platform, Post, bare, beside, is_label, parts};
use crate::crawl::link::may_speak_for;
use crate::crawl::page::{self, Page};
use crate::document::kind;

pub(super) const PLATFORM: Platform = Platform {
    name: "medium",
    plan,
    identity: |url| post_id(url).map_or_else(|| bare(url).into(), |id| identity(url, id)),
    read,
};

const HOST: &str = "medium.com";
/// What stands before a page's state.
const STATE: &str = "window.__APOLLO_STATE__ = ";
/// What stands before the post's id in a page's head, for the apps.
const APP: &str = "medium://p/";
/// What first parts of a path stand for no author and no publication.
const OWN: [&str; 9] = [
    "m", "p", "tag", "topic", "search", "me", "about", "plans", "creators",
];

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let host = url.host_str().unwrap_or_default();
    let user = host
        .strip_suffix(".medium.com")
        .filter(|name| *name != "www");
    let is_main = matches!(host, HOST | "www.medium.com");
    if !(asked || is_main || user.is_some()) {
        return None;
    }
    if post_id(url).is_some() {
        return Some(Plan::Page(bare(url)));
    }
    let listed = |feed: &str, sitemaps: Vec<Url>| {
        Plan::Listing(Listing {
            home: bare(url),
            feeds: vec![beside(url, feed)],
            sitemaps,
            post: |url| post_id(url).map(|_| bare(url)),
        })
    };
    Some(match parts(url)[..] {
        ["feed", name] if is_main => listed(&format!("/feed/{name}"), Vec::new()),
        [name] if is_main && !OWN.contains(&name) => {
            listed(&format!("/feed/{name}"), sitemap_of(name))
        }
        [] | ["feed"] if !is_main => listed("/feed", vec![beside(url, "/sitemap/sitemap.xml")]),
        _ => Plan::Page(url.clone()),
    })
}

/// An author's own host has a sitemap of their posts; that of everybody is no use.
fn sitemap_of(name: &str) -> Vec<Url> {
    let user = name.strip_prefix('@').map(str::to_lowercase);
    let user = user.filter(|user| is_label(user));
    let link = user.map(|user| format!("https://{user}.{HOST}/sitemap/sitemap.xml"));
    link.and_then(|link| Url::parse(&link).ok())
        .into_iter()
        .collect()
}

/// The id with which a post's link ends: up to twelve hexadecimal digits behind its slug.
fn post_id(url: &Url) -> Option<&str> {
    let parts = parts(url);
    let last = parts.last()?;
    let (slug, id) = last.rsplit_once('-').unwrap_or(("", last));
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = (8..=12).contains(&id.len()) && id.bytes().all(is_hex);
    // A bare id stands behind `p`; elsewhere it would be a publication's name.
    let placed = !slug.is_empty() || parts.iter().rev().nth(1) == Some(&"p");
    (fits && placed).then_some(id)
}

fn read(page: &Markup<'_>, asked: bool) -> Option<Result<Post, String>> {
    let host = page.url.host_str().unwrap_or_default();
    let own = host == HOST || host.ends_with(".medium.com");
    if !(own || asked || page.html.contains(APP)) {
        return None;
    }
    let id = post_id(page.url).or_else(|| app_id(page.html))?;
    let state: Option<Value> = after(page.html, STATE);
    let post = state
        .as_ref()
        .and_then(|state| state.get(format!("Post:{id}")));
    Some(merged(page, id, post.zip(state.as_ref())))
}

fn app_id(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once(APP)?;
    let id = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    (!id.is_empty()).then_some(id)
}

/// State and markup together: text from where there is more of it.
fn merged(page: &Markup<'_>, id: &str, state: Option<(&Value, &Value)>) -> Result<Post, String> {
    let markup = page::kept(page.document, page.url);
    let told = state
        .map(|(post, state)| Told::new(post, state))
        .unwrap_or_default();
    let mut text = match markup {
        // What the markup has beside the post are names, claps and invitations.
        Ok(markup) if told.text.len() * 10 < markup.text.len() * 9 => markup,
        Ok(markup) => Page {
            text: told.text,
            ..markup
        },
        Err(why) if told.text.is_empty() => return Err(why),
        Err(_) => Page {
            text: told.text,
            ..Page::default()
        },
    };
    text.title = told.title.unwrap_or(text.title);
    text.subtitle = told.subtitle.unwrap_or(text.subtitle);
    text.byline = told.byline.or(text.byline);
    text.published_at = told.published_at.or(text.published_at);
    text.modified_at = told.modified_at.or(text.modified_at);
    text.partial = told.is_preview.unwrap_or(text.partial);
    Ok(Post {
        kind: kind::ARTICLES,
        identity: identity(page.url, id),
        link: link(page.url, text.canonical.as_ref(), told.link.as_deref()),
        page: text,
        counts: told.counts,
    })
}

/// One for all slugs and authors of a post. A page on another domain speaks for that domain alone.
fn identity(url: &Url, id: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    if host == HOST || host.ends_with(".medium.com") {
        format!("https://{HOST}/p/{id}")
    } else {
        beside(url, &format!("/p/{id}")).into()
    }
}

/// Its own word on where it is, as far as it stays on the host or among Medium's own.
fn link(url: &Url, canonical: Option<&Url>, told: Option<&str>) -> String {
    let is_own =
        |host: Option<&str>| host.is_some_and(|host| host == HOST || host.ends_with(".medium.com"));
    let told = told.and_then(|told| Url::parse(told).ok());
    let mut words = told.iter().chain(canonical);
    let may = |link: &&Url| {
        may_speak_for(url, link) || (is_own(link.host_str()) && is_own(url.host_str()))
    };
    bare(words.find(may).unwrap_or(url)).into()
}

/// What the state says of a post.
#[derive(Default)]
struct Told {
    title: Option<String>,
    subtitle: Option<String>,
    text: String,
    link: Option<String>,
    byline: Option<String>,
    published_at: Option<String>,
    modified_at: Option<String>,
    is_preview: Option<bool>,
    counts: Counts,
}

impl Told {
    fn new(post: &Value, state: &Value) -> Self {
        let title = text(post, "/title");
        let content = content(post, state);
        let preview = content.and_then(|content| content.get("isLockedPreviewOnly")?.as_bool());
        let locked = post.get("isLockedPreviewOnly").and_then(Value::as_bool);
        let creator = followed(post.get("creator"), state);
        let subtitles = [
            "/previewContent/subtitle",
            "/extendedPreviewContent/subtitle",
        ];
        let number = |path: &str| post.pointer(path).and_then(Value::as_u64);
        Self {
            text: content
                .and_then(|content| content.pointer("/bodyModel/paragraphs")?.as_array())
                .map(|list| list.iter().filter_map(|one| followed(Some(one), state)))
                .map(|list| paragraphs::markdown(list, title.as_deref()))
                .unwrap_or_default(),
            subtitle: subtitles.iter().find_map(|path| text(post, path)),
            link: text(post, "/mediumUrl"),
            byline: creator.and_then(|creator| text(creator, "/name")),
            published_at: post.get("firstPublishedAt").and_then(rfc3339),
            modified_at: post.get("latestPublishedAt").and_then(rfc3339),
            is_preview: preview.or(locked),
            counts: Counts {
                reactions: number("/clapCount"),
                comments: number("/postResponses/count"),
            },
            title,
        }
    }
}

/// The content of a post, whose key has the arguments of the query that asked for it.
fn content<'a>(post: &'a Value, state: &'a Value) -> Option<&'a Value> {
    let own = post.as_object()?.iter().find(|(name, value)| {
        (*name == "content" || name.starts_with("content(")) && value.get("bodyModel").is_some()
    });
    own.map(|(_, content)| content).or_else(|| {
        let viewer = followed(post.get("viewerEdge"), state)?;
        viewer.get("fullContent")
    })
}

/// The value itself, or the one that it refers to.
fn followed<'a>(value: Option<&'a Value>, state: &'a Value) -> Option<&'a Value> {
    let value = value?;
    match value.get("__ref").and_then(Value::as_str) {
        Some(name) => state.get(name),
        None => Some(value),
    }
}
