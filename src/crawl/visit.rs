//! A page of the web: asked for, followed to where it leads, and read where there is room for it.
//!
//! ```text
//! link ──fetch──> platform ──leads on──┐ found ──says too little──> browser ──> platform ──> found, if it is more
//!           ▲──────────────────────────┘
//! ```

use std::sync::Arc;

use url::Url;

use super::browser::says_too_little;
use super::fetch::{Fetched, Fetcher};
use super::harvest::{Context, Found};
use super::platform::{self, Arrived};
use super::{Browser, Skipped, blocking, pages};
use crate::{Error, Result};

/// Pages that may lead on to the next one by a meta element; more is a loop or a chase.
const LEADS_MAX: usize = 3;

/// Fetches and reads a page, or the one that it only leads on to; in a browser where that is wanted or needed.
///
/// # Errors
/// [`Error::Fetch`] and [`Error::TooLarge`] where there is no page to read.
pub(crate) async fn page(
    start: Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    context: &Arc<Context>,
) -> Result<Found> {
    if context.settings.browser == Browser::Always {
        return in_browser(&start, asked, fetcher, context).await;
    }
    let (found, at) = fetched(start, asked, fetcher, context).await?;
    let Some(at) = at.filter(|_| context.settings.browser != Browser::Never) else {
        return Ok(found);
    };
    Ok(match in_browser(&at, asked, fetcher, context).await {
        Ok(seen) if letters(&seen) > letters(&found) => seen,
        Ok(_) => found,
        Err(error) => with_note(found, &at, &error),
    })
}

/// What was found, and where it was where it says too little.
async fn fetched(
    start: Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    context: &Arc<Context>,
) -> Result<(Found, Option<Url>)> {
    let mut url = start.clone();
    for _ in 0..=LEADS_MAX {
        let page = fetcher.page(&url).await?;
        match read(page, asked, context).await? {
            (Arrived::Found(found), little) => return Ok((found, little)),
            (Arrived::LeadsTo(next), _) => url = next,
        }
    }
    Err(Error::Fetch {
        link: start.to_string(),
        why: format!("it led on to another page more than {LEADS_MAX} times"),
    })
}

/// What a browser shows. It follows by itself where a page leads.
async fn in_browser(
    url: &Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    context: &Arc<Context>,
) -> Result<Found> {
    fetcher.permit(url).await?;
    let page = fetcher.window.open(url).await?;
    // A script may have gone on to another host.
    fetcher.permit(&page.url).await?;
    match read(page, asked, context).await?.0 {
        Arrived::Found(found) => Ok(found),
        Arrived::LeadsTo(to) => Err(Error::Fetch {
            link: url.to_string(),
            why: format!("it only leads on to {to}"),
        }),
    }
}

async fn read(
    page: Fetched,
    asked: Option<&str>,
    context: &Arc<Context>,
) -> Result<(Arrived, Option<Url>)> {
    let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
    let read = move || {
        let arrived = platform::found(&page, asked.as_deref(), &context);
        let little =
            matches!(&arrived, Arrived::Found(found) if says_too_little(&page.bytes, found));
        (arrived, little.then_some(page.url))
    };
    blocking(move || pages::with_room(read)).await
}

fn letters(found: &Found) -> usize {
    match found {
        Found::Document(document) | Found::Partial(document, _) => {
            let content = document.fields.get("content");
            let text = content.and_then(|content| content.get("Content")?.as_str());
            text.map_or(0, |text| text.chars().count())
        }
        _ => 0,
    }
}

/// What was found all the same, and why there may be more.
fn with_note(found: Found, at: &Url, error: &Error) -> Found {
    let note = format!(
        "its text may be built by a script, which was not run: {}",
        error.chain()
    );
    match found {
        Found::Missed(mut missed) => {
            missed.skipped.why = format!("{}; {note}", missed.skipped.why);
            Found::Missed(missed)
        }
        Found::Document(document) => Found::Partial(document, Skipped::one(at.as_str(), note)),
        other => other,
    }
}
