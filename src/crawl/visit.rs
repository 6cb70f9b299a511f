//! A page of the web: asked for, followed to where it leads, and read where there is room for it.

use std::sync::Arc;

use url::Url;

use super::fetch::Fetcher;
use super::harvest::{Context, Found};
use super::platform::{self, Arrived};
use super::{blocking, pages};
use crate::{Error, Result};

/// Pages that may lead on to the next one by a meta element; more is a loop or a chase.
const LEADS_MAX: usize = 3;

/// Fetches and reads a page, or the one that it only leads on to.
///
/// # Errors
/// [`Error::Fetch`] and [`Error::TooLarge`] where there is no page to read.
pub(crate) async fn page(
    start: Url,
    asked: Option<&str>,
    fetcher: &Fetcher,
    context: &Arc<Context>,
) -> Result<Found> {
    let mut url = start.clone();
    for _ in 0..=LEADS_MAX {
        let page = fetcher.page(&url).await?;
        let (asked, context) = (asked.map(str::to_owned), Arc::clone(context));
        let read = move || platform::found(&page, asked.as_deref(), &context);
        match blocking(move || pages::with_room(read)).await? {
            Arrived::Found(found) => return Ok(found),
            Arrived::LeadsTo(next) => url = next,
        }
    }
    Err(Error::Fetch {
        link: start.to_string(),
        why: format!("it led on to another page more than {LEADS_MAX} times"),
    })
}
