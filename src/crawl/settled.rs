//! What a folder is read as: what it was read as before, and only at first what most of its files are.
//!
//! ```text
//! a person's word ──> the last crawl's record ──> what is stored of it ──> what most of its files are
//! ```
//!
//! One file too many must not turn pages into source code, whose crawl would take all of them for vanished.

use super::{Kind, Request};
use crate::Result;
use crate::document::kind;
use crate::logbook::{Logbook, Run};

/// What a folder is to be read as, none for what is no folder; `looks` is what most of its files are.
///
/// # Errors
/// The source's own.
pub(crate) async fn kind<L: Logbook>(
    source: &L,
    request: &Request,
    (link, looks): (&str, Option<Kind>),
    known: Option<&Run>,
) -> Result<Option<Kind>> {
    // Only a repository has branches and tags: naming one is a word, too.
    let word = request.as_kind.is_some() || request.reference.is_some();
    let Some(looks) = looks.as_ref().filter(|_| !word) else {
        return Ok(looks);
    };
    let before = match known.and_then(|run| run.read_as.clone()) {
        Some(before) => Some(before),
        None => stored(source, link).await?,
    };
    let Some(before) = before else {
        return Ok(Some(looks.clone()));
    };
    if before != *looks {
        tracing::info!(link, "a folder looks otherwise now, and is read as before");
    }
    Ok(Some(before))
}

/// What the documents say that are stored of a folder.
async fn stored<L: Logbook>(source: &L, link: &str) -> Result<Option<Kind>> {
    let roots = [link.to_owned()];
    for (kind, read_as) in [
        (kind::ARTICLES, Kind::Pages),
        (kind::REPOSITORIES, Kind::Repository),
    ] {
        if !source.rooted(kind, &roots).await?.is_empty() {
            return Ok(Some(read_as));
        }
    }
    Ok(None)
}
