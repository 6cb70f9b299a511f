//! What is crawled: arguments to a request, to a list, or to the schedule.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args};
use url::Url;

use super::{Wait, absolute, full_name, whole};
use crate::command::Request;
use crate::crawl::{self, Kind};
use crate::{Error, Result};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["link", "links", "list", "schedule"])))]
pub(in crate::cli) struct Crawl {
    /// A URL or a path
    link: Option<String>,
    /// Whose work it is; with --links, of the lines that name nobody
    #[arg(long, value_name = "NAME", required_unless_present_any = ["links", "list", "schedule"])]
    author: Option<String>,
    /// Read it as this, instead of what it looks like
    #[arg(long = "as", value_name = "KIND", conflicts_with_all = ["list", "schedule"], value_parser = PossibleValuesParser::new(crawl::kinds()))]
    as_kind: Option<String>,
    /// The branch, tag or commit of a repository, instead of its default branch
    #[arg(long = "ref", value_name = "NAME", conflicts_with_all = ["links", "list", "schedule"])]
    reference: Option<String>,
    /// Open pages in a headless Chromium, so that text is there which scripts build
    #[arg(long, conflicts_with_all = ["links", "list", "schedule"])]
    browser: bool,
    /// Every link of a file, one a line, an author after it where --author is not theirs; goes on where
    /// the last run of it was interrupted
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) links: Option<PathBuf>,
    /// With --links: begin anew, also where the last run of the file was interrupted
    #[arg(long, requires = "links")]
    pub(in crate::cli) anew: bool,
    /// When each link was crawled last, how that went, and when it is next; of one link its last ten crawls
    #[arg(long, value_name = "LINK", num_args = 0..=1, default_missing_value = "")]
    list: Option<String>,
    /// Crawl the links of [[crawl.watch]] at their intervals, until it is stopped
    #[arg(long)]
    pub(in crate::cli) schedule: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Crawl {
    pub(super) fn request(self) -> Result<Request> {
        if let Some(link) = &self.list {
            let link = Some(link.clone()).filter(|link| !link.is_empty());
            let link = link.map(crawled).transpose()?;
            return Ok(Request::CrawlList { link });
        }
        let missing = |what: &str| Error::Config {
            setting: what.into(),
            why: "it is missing".into(),
        };
        let what = crawl::Request {
            target: absolute(self.link.clone().ok_or_else(|| missing("link"))?)?,
            author: self.author()?.ok_or_else(|| missing("--author"))?,
            as_kind: self.kind(),
            reference: self.reference.clone(),
            browser: self.browser,
        };
        Ok(Request::Crawl {
            what,
            wait: self.waits(),
        })
    }

    /// The one author, if any is given.
    pub(in crate::cli) fn author(&self) -> Result<Option<String>> {
        self.author.as_deref().map(full_name).transpose()
    }

    pub(in crate::cli) fn kind(&self) -> Option<Kind> {
        self.as_kind.as_deref().map(Kind::of)
    }

    pub(in crate::cli) fn waits(&self) -> bool {
        !self.wait.no_wait
    }
}

/// What a crawl is on record under: a path that is gone had a whole one, too.
fn crawled(link: String) -> Result<String> {
    if Url::parse(&link).is_ok() {
        absolute(link)
    } else {
        whole(&link)
    }
}
