//! A page of the web: asked for, followed to where it leads, and read where there is room for it.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use url::Url;

use super::fetch::{Fetched, Fetcher};
use super::harvest::{Context, Found};
use super::platform::{self, Arrived};
use super::{blocking, pages};
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

/// Fetches and reads a page, or the one that it only leads on to; not where it is as it is known.
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
    let (mut url, mut known) = (start.clone(), known.cloned());
    for leads in 0..=LEADS_MAX {
        let Some(page) = fetcher.page(&url, known.as_ref()).await? else {
            return Ok(Visited::Same(None));
        };
        let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
        // Where one leads may change without it.
        let known = known.take();
        let read = move || {
            let state = State::of(&page);
            if known.is_some_and(|known| state.is(&known)) {
                return Ok((state, None));
            }
            let read = || platform::found(&page, asked.as_deref(), &context);
            Ok((state, Some(pages::with_room(read)?)))
        };
        let (state, arrived) = blocking(read).await?;
        match arrived {
            None => return Ok(Visited::Same(Some(state))),
            Some(Arrived::Found(found)) => {
                return Ok(Visited::Read(found, (leads == 0).then_some(state)));
            }
            Some(Arrived::LeadsTo(next)) => url = next,
        }
    }
    Err(Error::Fetch {
        link: start.to_string(),
        why: format!("it led on to another page more than {LEADS_MAX} times"),
    })
}
