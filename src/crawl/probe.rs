//! One page as a crawl reads it, without a fetch before it and a source behind it.

use url::Url;

use super::Settings;
use super::fetch::Fetched;
use super::harvest::{Context, Found};
use super::platform::{self, Arrived};
use crate::document::{Document, User};

/// Reads bytes that arrived from `url` and stores nothing: what a crawl would store of them, or in words why nothing.
///
/// `charset` is what the header said, `asked` the platform that a person named. Needs a stack of 16 MiB.
///
/// # Errors
/// Says why there is nothing to store; a page that only leads on is one that has nothing.
pub fn probe(
    bytes: Vec<u8>,
    charset: Option<&str>,
    url: &Url,
    asked: Option<&str>,
) -> Result<Document, String> {
    let page = Fetched {
        url: url.clone(),
        moved_from: Vec::new(),
        bytes,
        charset: charset.map(str::to_owned),
        etag: None,
        last_modified: None,
    };
    let context = Context {
        settings: Settings::default(),
        author: User::known("probe".to_owned(), "Probe".to_owned()),
        root: url.to_string(),
    };
    match platform::found(&page, asked, &context) {
        Arrived::LeadsTo(to) => Err(format!("it only leads on to {to}")),
        Arrived::Found(Found::Document(document) | Found::Partial(document, _)) => Ok(document),
        Arrived::Found(Found::Missed(missed)) => Err(missed.skipped.why),
        Arrived::Found(Found::Unseen(skipped)) => Err(skipped.why),
        // Only what was visited before, or holds several things, is anything else.
        Arrived::Found(_) => Err("it is no page".to_owned()),
    }
}
