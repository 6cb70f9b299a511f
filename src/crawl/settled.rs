//! What a folder is read as: what it was read as before, and only at first what most of its files are.
//!
//! ```text
//! a person's word ──> the last crawl's record ──> what is stored of it ──> what most of its files are
//! ```
//!
//! One file too many must not turn pages into source code, whose crawl would take all of them for vanished.

use serde_json::Value;

use super::{Kind, Request};
use crate::Result;
use crate::document::{CRAWL_ROOT, kind};
use crate::logbook::Run;
use crate::source::Source;

/// Documents a page when looking for what is stored; few, since one may have 12 MiB.
const PAGE_DOCUMENTS: usize = 16;

/// What a folder is to be read as, none for what is no folder; `looks` is what most of its files are.
///
/// # Errors
/// The source's own.
pub(crate) async fn kind<S: Source>(
    source: &S,
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
async fn stored<S: Source>(source: &S, link: &str) -> Result<Option<Kind>> {
    for (kind, read_as) in [
        (kind::ARTICLES, Kind::Pages),
        (kind::REPOSITORIES, Kind::Repository),
    ] {
        let mut after = None;
        loop {
            let page = source.page(kind, after, PAGE_DOCUMENTS).await?.found;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.clone());
            let mut roots = page.iter().map(|document| document.fields.get(CRAWL_ROOT));
            if roots.any(|root| root.and_then(Value::as_str) == Some(link)) {
                return Ok(Some(read_as));
            }
        }
    }
    Ok(None)
}
