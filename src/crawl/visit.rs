//! A page of the web: asked for, followed to where it leads, and read where there is room for it.
//!
//! ```text
//! link ──fetch──> platform ──leads on──┐ found ──says too little──> browser ──> platform ──> found, if it is more
//!           ▲──────────────────────────┘
//! ```

use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

use super::browser::says_too_little;
use super::fetch::{Fetched, Fetcher};
use super::harvest::{Context, Found};
use super::platform::{self, Arrived};
use super::{Browser, Skipped, blocking, pages};
use crate::logbook::Page;
use crate::{Error, Result};

/// Pages that may lead on to the next one by a meta element; more is a loop or a chase.
const LEADS_MAX: usize = 3;

/// What a visit came to.
pub(crate) enum Visited {
    /// What the page says, and its state; none where it only led on to another.
    Read(Found, Option<State>),
    /// The page is as it is known; a state where the server sent it all the same.
    Same(Option<State>),
}

/// What tells one state of a page from another.
pub(crate) struct State {
    pub(crate) at: String,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    pub(crate) hash: String,
}

impl State {
    fn of(page: &Fetched) -> Self {
        let digest = Sha256::digest(&page.bytes);
        Self {
            at: page.url.to_string(),
            etag: page.etag.clone(),
            last_modified: page.last_modified.clone(),
            hash: format!("{digest:x}"),
        }
    }

    fn is(&self, known: &Page) -> bool {
        known.at == self.at && known.hash.as_ref() == Some(&self.hash)
    }
}

/// Fetches and reads a page, or the one that it only leads on to; not where it is as it is known. In a browser
/// where that is wanted or needed.
///
/// # Errors
/// [`Error::Fetch`], [`Error::Gone`], [`Error::Later`] and [`Error::TooLarge`] where there is no page to
/// read.
pub(crate) async fn page(
    start: &Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    known: Option<&Page>,
    context: &Arc<Context>,
) -> Result<Visited> {
    if context.settings.browser == Browser::Always {
        let seen = in_browser(start, asked, fetcher, context).await?;
        return Ok(Visited::Read(seen, None));
    }
    let (found, at) = match fetched(start, asked, fetcher, known, context).await? {
        (Visited::Read(found, _), Some(at)) if context.settings.browser == Browser::Auto => {
            (found, at)
        }
        (visited, _) => return Ok(visited),
    };
    let found = match in_browser(&at, asked, fetcher, context).await {
        Ok(seen) if letters(&seen) > letters(&found) => seen,
        Ok(_) => found,
        Err(error) => with_note(found, &at, &error),
    };
    // What a script builds may change while the page that has the script does not.
    Ok(Visited::Read(found, None))
}

/// Visits without a browser; and where the page was, where it says too little.
async fn fetched(
    start: &Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    known: Option<&Page>,
    context: &Arc<Context>,
) -> Result<(Visited, Option<Url>)> {
    let (mut url, mut known) = (start.clone(), known.cloned());
    for leads in 0..=LEADS_MAX {
        let Some(page) = fetcher.page(&url, known.as_ref()).await? else {
            return Ok((Visited::Same(None), None));
        };
        let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
        // Where one leads may change without it.
        let known = known.take();
        let read = move || {
            let state = State::of(&page);
            if known.is_some_and(|known| state.is(&known)) {
                return Ok((state, None, None));
            }
            let read = || platform::found(&page, asked.as_deref(), &context);
            let arrived = pages::with_room(read)?;
            let little =
                matches!(&arrived, Arrived::Found(found) if says_too_little(&page.bytes, found));
            Ok((state, Some(arrived), little.then_some(page.url)))
        };
        let (state, arrived, little) = blocking(read).await?;
        match arrived {
            None => return Ok((Visited::Same(Some(state)), None)),
            Some(Arrived::Found(found)) => {
                let state = (leads == 0).then_some(state);
                return Ok((Visited::Read(found, state), little));
            }
            Some(Arrived::LeadsTo(next)) => url = next,
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
    let turn = fetcher.turn(url).await?;
    let page = fetcher.window.open(url).await?;
    drop(turn);
    // A script may have gone on to another host.
    fetcher.permit(&page.url).await?;
    let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
    let read = move || platform::found(&page, asked.as_deref(), &context);
    match blocking(move || pages::with_room(read)).await? {
        Arrived::Found(found) => Ok(found),
        Arrived::LeadsTo(to) => Err(Error::Fetch {
            link: url.to_string(),
            why: format!("it only leads on to {to}"),
        }),
    }
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
