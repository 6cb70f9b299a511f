//! Crawls of lists of links, and what is remembered of all crawls.
//!
//! ```text
//! start of a list ──> since when ──> each link, unless it was crawled since ──> end of the list
//! ```
//!
//! A list that did not come to its end goes on under the time of its first start.

use serde::{Deserialize, Serialize};
use url::Url;

use super::commands::{Commands, Rooms};
use super::settle::Until;
use super::{Reporter, Response};
use crate::logbook::{Logbook as _, Run, Runs};
use crate::{Error, Result, crawl};

/// What the names of lists begin with among the runs, so that they are none of a link.
const LIST: &str = "links:";
/// Runs that a history shows at most, and how many are read at once.
const RUNS_MAX: usize = 10_000;
const PAGE: usize = 200;

/// Where a list of links begins or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Links crawled at or after this time are done: milliseconds since 1970, UTC.
    pub since_ms: u64,
    /// Whether an earlier run of the list did not come to its end.
    pub is_resumed: bool,
}

/// What became of one link of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// Whether it had been crawled since then, so that nothing was done.
    pub was_done: bool,
    /// What the crawl changed.
    pub report: crawl::Report,
}

/// How the last crawls of every link went, or of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// By link.
    pub crawls: Vec<Run>,
    /// Whether there are more than are listed.
    pub more: bool,
    /// Whether one link was asked for.
    #[serde(default)]
    pub is_of_one: bool,
}

impl<R: Rooms> Commands<R> {
    /// Begins a list, or goes on with it.
    pub(super) async fn start_links(&self, list: &str, anew: bool) -> Result<Response> {
        let link = format!("{LIST}{list}");
        let known = self.source.runs(Runs::Of(link.clone()), 1).await?.pop();
        let open = known.filter(|run| run.finished_ms.is_none() && !anew);
        if let Some(run) = open {
            return Ok(Response::LinksStart(Started {
                since_ms: run.started_ms,
                is_resumed: true,
            }));
        }
        let since_ms = self.crawling.manners.clock().now_ms();
        let run = Run {
            link,
            started_ms: since_ms,
            ..Run::default()
        };
        self.source.save_run(run).await?;
        Ok(Response::LinksStart(Started {
            since_ms,
            is_resumed: false,
        }))
    }

    /// The list came to its end: next time it begins anew.
    pub(super) async fn end_links(
        &self,
        list: &str,
        wait: bool,
        report: &Reporter,
    ) -> Result<Response> {
        self.wait(wait, Until::Edits, report).await?;
        let link = format!("{LIST}{list}");
        if let Some(mut run) = self.source.runs(Runs::Of(link), 1).await?.pop() {
            run.finished_ms = Some(self.crawling.manners.clock().now_ms());
            self.source.save_run(run).await?;
        }
        Ok(Response::LinksEnd {})
    }

    /// Crawls a link unless that was done since then.
    pub(super) async fn crawl_link(
        &self,
        what: &crawl::Request,
        since_ms: u64,
        report: &Reporter,
    ) -> Result<Response> {
        let link = crawl::named(what).await?;
        let known = self.source.runs(Runs::Of(link), 1).await?.pop();
        let is_asked = |run: &Run| {
            // However it was spelled: the record is of this link.
            let target = run.request.target.clone();
            let asked = crawl::Request {
                target,
                ..what.clone()
            };
            run.request == asked && run.is_done_since(since_ms)
        };
        if known.as_ref().is_some_and(is_asked) {
            return Ok(Response::CrawlLink(Linked {
                was_done: true,
                ..Linked::default()
            }));
        }
        let report = self.crawl(what, report).await?;
        Ok(Response::CrawlLink(Linked {
            was_done: false,
            report,
        }))
    }

    /// How the last crawls went, of every link or of one.
    pub(super) async fn history(&self, link: Option<&str>) -> Result<Response> {
        match link {
            Some(link) => self.history_of(link).await,
            None => self.histories().await,
        }
    }

    async fn history_of(&self, link: &str) -> Result<Response> {
        let what = crawl::Request {
            target: link.to_owned(),
            ..crawl::Request::default()
        };
        // What is there no more has no name now, and its crawls are on record all the same.
        let names = [
            crawl::named(&what).await.ok(),
            Url::from_file_path(link).ok().map(String::from),
            Some(link.to_owned()),
        ];
        let names = names.into_iter().flatten();
        for name in names.filter(|name| !name.starts_with(LIST)) {
            let crawls = self.source.runs(Runs::Of(name), 1).await?;
            if !crawls.is_empty() {
                return Ok(Response::CrawlList(History {
                    crawls,
                    more: false,
                    is_of_one: true,
                }));
            }
        }
        Err(Error::NotFound {
            what: format!("a crawl of {link}"),
        })
    }

    async fn histories(&self) -> Result<Response> {
        let (mut history, mut after) = (History::default(), None);
        loop {
            let runs = self.source.runs(Runs::After(after), PAGE).await?;
            let Some(last) = runs.last() else {
                return Ok(Response::CrawlList(history));
            };
            after = Some(last.link.clone());
            let links = runs.into_iter().filter(|run| !run.link.starts_with(LIST));
            history.crawls.extend(links);
            if history.crawls.len() > RUNS_MAX {
                history.crawls.truncate(RUNS_MAX);
                history.more = true;
                return Ok(Response::CrawlList(history));
            }
        }
    }
}
