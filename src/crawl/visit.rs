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
use super::manners::Turn;
use super::platform::{self, Arrived};
use super::reading::blocking;
use super::{Browser, Skipped, pages};
use crate::document::Fields;
use crate::logbook::Page;
use crate::{Error, Result};

/// Pages that may lead on to the next one by a meta element; more is a loop or a chase.
const LEADS_MAX: usize = 3;

/// What a visit came to.
pub(crate) enum Visited {
    /// What the page says.
    Read(Box<Read>),
    /// The page is as it is known; a state where the server sent it all the same.
    Same(Option<State>),
}

/// A page that was read.
pub(crate) struct Read {
    /// What it says.
    pub(crate) found: Found,
    /// Its state; none where it only led on to another, and where a script may change what it says.
    pub(crate) state: Option<State>,
    /// Where it was in the end.
    pub(crate) at: Url,
    /// The links on the way there, where each has moved for good; else none.
    pub(crate) moved_from: Vec<Url>,
    /// Whether its text may be missing, since a browser could not open it.
    pub(crate) is_shell: bool,
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
        let turn = admitted(start, fetcher).await?;
        let (found, at) = in_browser((start, turn), asked, fetcher, context).await?;
        return Ok(Visited::Read(Box::new(Read {
            found,
            state: None,
            at,
            moved_from: Vec::new(),
            is_shell: false,
        })));
    }
    let mut read = match fetched(start, asked, fetcher, known, context).await? {
        (Visited::Read(read), true) => read,
        (visited, _) => return Ok(visited),
    };
    // What a script builds may change while the page that has the script does not, and a browser that may not be used
    // today may be tomorrow.
    read.state = None;
    if context.settings.browser == Browser::Never {
        return Ok(Visited::Read(read));
    }
    let failed = match admitted(&read.at, fetcher).await {
        // That its host wants a pause is no answer to the page.
        Err(error) => Some(error),
        Ok(turn) => match in_browser((&read.at, turn), asked, fetcher, context).await {
            Ok((seen, at)) if letters(&seen) > letters(&read.found) => {
                (read.found, read.at) = (seen, at);
                None
            }
            Ok(_) => None,
            Err(error @ Error::Later { .. }) => return Err(error),
            Err(error) => Some(error),
        },
    };
    if let Some(error) = failed {
        read.found = with_note(read.found, &read.at, &error);
        read.is_shell = true;
    }
    Ok(Visited::Read(read))
}

/// Visits without a browser; and whether the page says too little.
async fn fetched(
    start: &Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    known: Option<&Page>,
    context: &Arc<Context>,
) -> Result<(Visited, bool)> {
    let (mut url, mut known) = (start.clone(), known.cloned());
    for leads in 0..=LEADS_MAX {
        let Some(page) = fetcher.page(&url, known.as_ref()).await? else {
            return Ok((Visited::Same(None), false));
        };
        let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
        // Where one leads may change without it.
        let known = known.take();
        let at = page.url.clone();
        let moved_from = Some(page.moved_from.clone()).filter(|_| leads == 0);
        let read = move || {
            let state = State::of(&page);
            if known.is_some_and(|known| state.is(&known)) {
                return Ok((state, None, false));
            }
            let read = || platform::found(&page, asked.as_deref(), &context);
            let arrived = pages::with_room(read)?;
            let little =
                matches!(&arrived, Arrived::Found(found) if says_too_little(&page.bytes, found));
            Ok((state, Some(arrived), little))
        };
        let (state, arrived, little) = blocking(read).await?;
        match arrived {
            None => return Ok((Visited::Same(Some(state)), false)),
            Some(Arrived::Found(found)) => {
                let read = Read {
                    found,
                    state: (leads == 0).then_some(state),
                    at,
                    moved_from: moved_from.unwrap_or_default(),
                    is_shell: false,
                };
                return Ok((Visited::Read(Box::new(read)), little));
            }
            Some(Arrived::LeadsTo(next)) => url = next,
        }
    }
    Err(Error::Fetch {
        link: start.to_string(),
        why: format!("it led on to another page more than {LEADS_MAX} times"),
    })
}

/// Waits until a page may be opened as it may be fetched.
async fn admitted(url: &Url, fetcher: &Fetcher) -> Result<Turn> {
    fetcher.permit(url).await?;
    fetcher.turn(url).await
}

/// What a browser shows, and where. It follows by itself where a page leads.
async fn in_browser(
    (url, turn): (&Url, Turn),
    asked: Option<&str>,
    fetcher: &Fetcher,
    context: &Arc<Context>,
) -> Result<(Found, Url)> {
    let page = fetcher.window.open(url).await?;
    drop(turn);
    // A script may have gone on to another host.
    fetcher.permit(&page.url).await?;
    let at = page.url.clone();
    let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
    let read = move || platform::found(&page, asked.as_deref(), &context);
    match blocking(move || pages::with_room(read)).await? {
        Arrived::Found(found) => Ok((found, at)),
        Arrived::LeadsTo(to) => Err(Error::Fetch {
            link: url.to_string(),
            why: format!("it only leads on to {to}"),
        }),
    }
}

fn letters(found: &Found) -> usize {
    match found {
        Found::Document(document) | Found::Partial(document, _) => letters_of(&document.fields),
        _ => 0,
    }
}

/// The letters of an article's or a post's text.
pub(crate) fn letters_of(fields: &Fields) -> usize {
    let content = fields.get("content");
    let text = content.and_then(|content| content.get("Content")?.as_str());
    text.map_or(0, |text| text.chars().count())
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
