//! The HTTP API, a file a resource; what each takes and gives is described to `openapi` beside it.

pub(super) mod authors;
pub(super) mod crawl;
pub(super) mod documents;
pub(super) mod export;
pub(super) mod parked;
pub(super) mod search;
pub(super) mod seed;
pub(super) mod status;

use crate::Error;
use crate::command::{Handler, Reporter, Request, Response};

use super::problem::Problem;

/// Asks what a command asks, and takes the one answer that it has.
async fn ask<H: Handler, T>(
    handler: &H,
    request: Request,
    take: impl FnOnce(Response) -> Option<T>,
) -> Result<T, Problem> {
    let (report, _) = Reporter::new();
    own(handler.handle(request, report).await?, take)
}

/// The one answer that a command has.
fn own<T>(answer: Response, take: impl FnOnce(Response) -> Option<T>) -> Result<T, Problem> {
    let other = || Error::malformed("the answer", "it is another command's");
    Ok(take(answer).ok_or_else(other)?)
}

/// Text that says something.
fn said(name: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::bad(format!("{name}: it is empty")));
    }
    Ok(())
}
