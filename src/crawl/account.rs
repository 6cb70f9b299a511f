//! All that an account of GitHub has: asked of its API, then read one after the other.

use std::collections::BTreeSet;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use url::Url;

use super::Settings;
use super::denial::{self, Asked};
use super::fetch::Fetcher;
use super::platform::github::{Account, PAGE};
use crate::{Error, Result};

/// Pages read of one list: ten thousand repositories.
const PAGES_MAX: usize = 100;

/// What an account has.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Where everything is cloned from.
    pub(crate) places: BTreeSet<Url>,
    /// Lists that go on after what was read of them.
    pub(crate) cut: Vec<Url>,
}

/// Asks for everything that the account has.
///
/// # Errors
/// [`Error::Fetch`] when the API does not answer: half of a list would pass for all of it.
pub(crate) async fn held(
    account: &Account,
    fetcher: &Fetcher,
    settings: &Settings,
) -> Result<Held> {
    let mut held = Held::default();
    for list in account.lists(settings.github_token_for(&account.home).is_some()) {
        let mut page = 1;
        loop {
            let mut at = list.clone();
            at.query_pairs_mut().append_pair("page", &page.to_string());
            let entries = entries(account, &at, fetcher, settings).await?;
            let places = entries.iter().filter_map(|entry| account.held(entry));
            held.places.extend(places);
            if entries.len() < PAGE {
                break;
            }
            if page == PAGES_MAX {
                held.cut.push(list);
                break;
            }
            page += 1;
        }
    }
    Ok(held)
}

/// One page of a list.
async fn entries(
    account: &Account,
    at: &Url,
    fetcher: &Fetcher,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let fail = |why: String| Error::Fetch {
        link: account.home.to_string(),
        why,
    };
    let accept = HeaderValue::from_static("application/vnd.github+json");
    let mut headers = HeaderMap::from_iter([(ACCEPT, accept)]);
    let token = settings.github_token_for(at);
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| fail("crawl.github_token is no token".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    // Held until all of it is here.
    let (response, _turn) = fetcher
        .query(at, &headers)
        .await
        .map_err(|error| match error {
            Error::Fetch { why, .. } => fail(why),
            error => error,
        })?;
    if !response.status().is_success() {
        let asked = Asked {
            thing: "nobody of this name",
            with_token: token.is_some(),
        };
        let why = denial::why(response.status(), response.headers(), asked);
        return Err(fail(why));
    }
    let bytes = fetcher.body(response, at).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| fail(format!("{at} answered with no list: {error}")))
}
