//! Link to documents: reads pages, folders and repositories, and brings the source up to date.
//!
//! ```text
//! argument ──target──> listing ─feed, sitemap─┐
//!                      page ────────fetch──────┴─> platform ─> post ──────────┐
//!                       └─says too little──browser──┘                         │
//!                      archive ─────zip──────> platform ─> post, article ─────┤
//!                      folder ──────walk─────> encoding ─> page ─> article ───┤
//! account ──API──────> repository ──git──────> sift ─> bundle ─> repository ──┤
//!                                                                             v
//!                             source <──save what differs, delete what vanished── reconcile
//! ```
//!
//! - An unchanged document is not written, so nothing downstream hears of it.
//! - A document is deleted only when its folder or repository was walked whole and it was not
//!   there, or when its page was answered with 404 or 410 twice, a day apart ([`crate::logbook::page`]);
//!   what is there and cannot be read keeps what is stored of it.
//! - Pages are asked on conditions; one that is as it was is not read again.
//! - No link is crawled twice at once, and no host is asked twice at once.
//! - The `_id` of a document follows from its link alone ([`key_of_link`]).
//! - Memory is bounded: documents pass through in batches.

mod account;
mod address;
mod again;
mod archive;
mod attributes;
mod bring;
mod browser;
mod bundle;
mod clone;
mod delay;
mod denial;
mod encoding;
mod feed;
mod fetch;
mod git;
mod harvest;
mod link;
pub mod links;
mod listing;
mod locate;
mod manners;
mod page;
mod pages;
mod place;
mod platform;
mod probe;
mod reading;
mod reconcile;
mod record;
mod remote;
mod report;
mod repository;
pub mod schedule;
mod settings;
mod settled;
mod sift;
mod target;
mod visit;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use url::Url;

pub use browser::Browser;
pub use manners::Manners;
pub use page::{Page, extract};
pub use probe::probe;
pub use report::{Progress, Report, Skipped};
pub(crate) use settings::is_github;
pub use settings::{Settings, Token};
pub use target::{Kind, examine, kinds};

use crate::Result;
use crate::change::DocumentKey;
use crate::document::{key_of_link, kind};
use crate::logbook::Logbook;
use crate::source::Source;

/// What to crawl, and whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// A link or a path.
    pub target: String,
    /// Whose it is: a full name, or the id of somebody who is stored.
    pub author: String,
    /// What to read it as, instead of the automatic choice.
    pub as_kind: Option<Kind>,
    /// Whether pages are opened in a browser, whatever the settings say.
    #[serde(default)]
    pub browser: bool,
    /// The branch, tag or commit of a repository, instead of the one that is checked out.
    #[serde(default)]
    pub reference: Option<String>,
}

/// Crawls what the request names and brings the source up to date with it.
///
/// Cancel safe: what was saved stays saved, and crawling again goes on from there.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for an argument that names nothing, [`Error::Fetch`](crate::Error::Fetch), [`Error::Gone`](crate::Error::Gone),
/// [`Error::Later`](crate::Error::Later) and [`Error::TooLarge`](crate::Error::TooLarge) when the one page or repository cannot be read, or is
/// being crawled, and the source's own. One bad page of many is no error but a [`Skipped`].
pub async fn crawl<S: Source + Logbook>(
    source: &S,
    request: &Request,
    settings: &Settings,
    progress: &impl Progress,
) -> Result<Report> {
    let crawled = record::crawl(source, (request, None), settings, progress).await?;
    Ok(crawled.unwrap_or_default())
}

/// The one form of a request's link under which its crawls are recorded.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for an argument that names nothing.
pub async fn named(request: &Request) -> Result<String> {
    Ok(place::placed(request).await?.1)
}

/// The keys that a link or path may have been stored under, whether or not it is there any more.
pub fn keys_of(text: &str) -> Vec<DocumentKey> {
    let link = match Url::parse(text) {
        Ok(url) => url,
        Err(_) => match std::path::absolute(text)
            .ok()
            .as_deref()
            .and_then(pages::file_url)
        {
            Some(url) => url,
            None => return Vec::new(),
        },
    };
    vec![
        key_of_link(kind::ARTICLES, &platform::identity(&link)),
        key_of_link(kind::POSTS, &platform::identity(&link)),
        key_of_link(kind::REPOSITORIES, &platform::repository_identity(&link)),
    ]
}
