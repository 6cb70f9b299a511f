//! Hands requests to the rooms that answer them.

use crate::change::DocumentKey;
use crate::{Error, Result, search, verify};

use super::answer::{Crawled, Response};
use super::commands::{Commands, Rooms};
use super::Reporter;

impl<R: Rooms> Commands<R> {
    pub(super) async fn crawl(&self, _link: &str, _author: &str, _report: &Reporter) -> Result<Crawled> {
        Err(Error::Stopped { part: "crawl" })
    }

    pub(super) async fn search(&self, query: &search::Query) -> Result<search::Answer> {
        let depth = self.queue.depth().await?;
        let standing = search::Standing {
            places: 2 * usize::try_from(self.queue.partitions()).unwrap_or(usize::MAX / 2),
            parked: depth.parked,
        };
        search::search(self.store.as_ref(), self.embedder.as_ref(), query, standing).await
    }

    pub(super) async fn verify(&self, _options: verify::Options, _report: &Reporter) -> Result<Response> {
        Err(Error::Stopped { part: "verify" })
    }

    pub(super) async fn explain(&self, _target: &str) -> Result<Response> {
        Err(Error::Stopped { part: "explain" })
    }

    pub(super) async fn find(&self, target: &str) -> Result<Vec<DocumentKey>> {
        Err(Error::NotFound { what: target.to_owned() })
    }
}
