//! Repositories elsewhere: one, or all that an account has.
//!
//! ```text
//! account ──API──> links ──┐
//! link ────────────────────┴──locate──> clone ──> state ──> documents, under the link where it is
//! ```

use std::path::{Path, PathBuf};

use url::Url;

use super::bring::{described, read_state};
use super::fetch::Fetcher;
use super::harvest::{Context, Found};
use super::link::repository_link;
use super::platform::github::Account;
use super::reading::blocking;
use super::write::Writer;
use super::{Progress, Report, Skipped, account, clone, locate, platform};
use crate::document::{Repository, kind};
use crate::logbook::Logbook;
use crate::source::Source;
use crate::{Error, Result};

/// Reads one repository, of the default branch or of the one that is named.
pub(crate) async fn repository<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    asked: (&Url, Option<&str>),
    context: &Context,
) -> Result<Report> {
    let fetcher = Fetcher::new(&context.settings)?;
    let roots = read(&mut writer, asked, &fetcher, context).await?;
    writer.finish_as(&roots, kind::REPOSITORIES).await
}

/// Reads all that an account has, each under its own link; what cannot be read keeps what is stored.
pub(crate) async fn account<S: Source + Logbook, P: Progress>(
    mut writer: Writer<'_, S, P>,
    account: &Account,
    context: &Context,
) -> Result<Report> {
    let fetcher = Fetcher::new(&context.settings)?;
    let held = account::held(account, &fetcher, &context.settings).await?;
    for list in held.cut {
        let why = "there is more in this list than is read of it".to_owned();
        writer
            .take(Found::Unseen(Skipped::one(list.as_str(), why)))
            .await?;
    }
    let total = held.places.len();
    writer.take(Found::Total(total)).await?;
    let mut roots = Vec::new();
    for (done, url) in held.places.into_iter().enumerate() {
        match read(&mut writer, (&url, None), &fetcher, context).await {
            // The others stand on the same host.
            Err(error @ Error::Later { until_ms, .. }) => {
                let (what, why, count) = (url.to_string(), error.to_string(), total - done);
                writer.miss(Skipped { what, why, count });
                writer.later(until_ms);
                break;
            }
            Ok(read) => roots.extend(read),
            Err(Error::Fetch { link, why }) => writer.miss(Skipped::one(&link, why)),
            Err(error @ Error::TooLarge { .. }) => {
                writer.miss(Skipped::one(url.as_str(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    // Nobody asked for these links: what their own crawls brought as pages is theirs.
    writer.finish_walk(&roots, &[kind::REPOSITORIES]).await
}

/// Fetches a repository and reads what it has committed; returns the roots that were read whole. Nobody else asks its
/// host until the clone is there.
///
/// One that has moved for good is stored under its new link, and what was stored under the old one goes.
async fn read<S: Source + Logbook, P: Progress>(
    writer: &mut Writer<'_, S, P>,
    (url, reference): (&Url, Option<&str>),
    fetcher: &Fetcher,
    context: &Context,
) -> Result<Vec<String>> {
    let settings = &context.settings;
    let (place, mut turn) = locate::locate(url, fetcher, settings).await?;
    let cloned = clone::fetch(&place, &mut turn, reference, settings).await;
    // What is here now is read without asking anybody.
    drop(turn);
    let clone = cloned?;
    // What is elsewhere for now is still the one that was asked for.
    let own = if place.has_moved { &place.url } else { url };
    let platform = platform::of_repository(&place.url, settings);
    let state = (clone.path(), Some(clone::STATE.to_owned()));
    stored(writer, state, (own, platform), context).await?;
    let limit = settings.clone_bytes_max;
    blocking(move || {
        clone.keep(limit);
        Ok(())
    })
    .await?;
    let mut roots = roots(own);
    if place.has_moved {
        let to = repository_link(own);
        let why = format!("it has moved to {to}, and is stored under that link");
        writer.miss(Skipped::one(&repository_link(url), why));
        roots.extend(self::roots(url));
    }
    Ok(roots)
}

/// Stores a state of the repository that is at this link, under the one identity of all spellings of it.
pub(crate) async fn stored<S: Source + Logbook, P: Progress>(
    writer: &mut Writer<'_, S, P>,
    state: (PathBuf, Option<String>),
    (own, platform): (&Url, &'static str),
    context: &Context,
) -> Result<()> {
    let link = repository_link(own);
    let repository = Repository {
        identity: platform::repository_identity(own),
        ..described(platform, Path::new(own.path()), &link)
    };
    let context = Context {
        root: link,
        ..context.clone()
    };
    read_state(writer, state, repository, &context).await
}

/// Under what the crawls of a link found things: the identity of the repository, and the link as it is spelled, under
/// which pages are found and earlier versions found repositories.
pub(crate) fn roots(url: &Url) -> Vec<String> {
    let mut roots = vec![platform::repository_identity(url), repository_link(url)];
    roots.dedup();
    roots
}
