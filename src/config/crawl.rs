//! The settings of what is read from outside.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, wide};
use crate::crawl;
use crate::crawl::schedule::{Plan, Watch};

/// What is read from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crawl {
    /// Largest page, in bytes, after decompression.
    pub page_bytes_max: u64,
    /// Largest source file that is stored, in bytes.
    pub file_bytes_max: u64,
    /// Largest stored document of a repository, in bytes; a larger one is stored in parts.
    pub repository_bytes_max: u64,
    /// Longest wait for one page with its redirects, in seconds.
    pub fetch_seconds_max: u64,
    /// Longest wait for a host that wants a pause, in seconds; past it, it is for the next crawl.
    pub wait_seconds_max: u64,
    /// Hours between two answers that a page is not there, before its document is deleted.
    pub gone_after_hours: u64,
    /// Links of a list, or of the schedule, that are crawled at once.
    pub links_at_once: usize,
    /// By how much an interval of the schedule may be longer, in hundredths of it.
    pub jitter_percent: u64,
    /// Links that are crawled again and again; made of `[[crawl.watch]]` when all is read.
    #[serde(skip)]
    pub watch: Vec<Watch>,
    /// Longest wait for one clone, in seconds.
    pub clone_seconds_max: u64,
    /// Largest clone on disk, in bytes.
    pub clone_bytes_max: u64,
    /// Where the owner of a visited host can complain: a link or address; empty for none.
    pub contact: String,
    /// Whether private, loopback and link-local addresses may be asked.
    pub allow_private: bool,
    /// Hosts that may be asked though their addresses are private.
    pub allow_hosts: Vec<String>,
    /// When a page is opened in a browser.
    pub browser: crawl::Browser,
    /// The browser's program; empty for the Chromium or Chrome that is found.
    pub browser_path: String,
    /// The token that is shown to GitHub; empty for none.
    pub github_token: Secret,
    /// The GitHub that the token is for.
    pub github_url: String,
}

impl Default for Crawl {
    fn default() -> Self {
        // The reasons stand beside the limits, in the crawl room.
        let limits = crawl::Settings::default();
        Self {
            page_bytes_max: limits.page_bytes_max,
            file_bytes_max: limits.file_bytes_max,
            repository_bytes_max: limits.repository_bytes_max,
            fetch_seconds_max: limits.fetch_seconds_max,
            wait_seconds_max: limits.wait_seconds_max,
            gone_after_hours: limits.gone_after_hours,
            // Hides the slowness of one host from the others; each is asked one thing at a time anyway.
            links_at_once: 4,
            // Spreads links that were added together, without anybody noticing the difference.
            jitter_percent: 10,
            watch: Vec::new(),
            clone_seconds_max: limits.clone_seconds_max,
            clone_bytes_max: limits.clone_bytes_max,
            contact: limits.contact.unwrap_or_default(),
            allow_private: limits.allow_private,
            allow_hosts: limits.allow_hosts,
            browser: limits.browser,
            browser_path: String::new(),
            github_token: Secret::default(),
            github_url: limits.github_url,
        }
    }
}

impl Crawl {
    /// The limits, as the crawl room takes them; clones and the browser's profile are put into `tmp`.
    pub fn settings(&self, tmp: PathBuf) -> crawl::Settings {
        crawl::Settings {
            page_bytes_max: self.page_bytes_max,
            file_bytes_max: self.file_bytes_max,
            repository_bytes_max: self.repository_bytes_max,
            fetch_seconds_max: self.fetch_seconds_max,
            wait_seconds_max: self.wait_seconds_max,
            gone_after_hours: self.gone_after_hours,
            clone_seconds_max: self.clone_seconds_max,
            clone_bytes_max: self.clone_bytes_max,
            contact: Some(self.contact.clone()).filter(|contact| !contact.is_empty()),
            allow_private: self.allow_private,
            allow_hosts: self.allow_hosts.clone(),
            browser: self.browser,
            browser_path: Some(PathBuf::from(&self.browser_path))
                .filter(|path| !path.as_os_str().is_empty()),
            manners: crawl::Manners::default(),
            github_token: crawl::Token::new(self.github_token.expose()),
            github_url: self.github_url.clone(),
            clones: None,
            tmp,
        }
    }

    /// What is crawled again and again.
    pub fn plan(&self, seed: u64) -> Plan {
        Plan {
            watches: self.watch.clone(),
            at_once: self.links_at_once,
            jitter_percent: self.jitter_percent,
            seed,
        }
    }

    /// Settings of a range, each with its least and greatest value.
    pub(super) fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        vec![
            ("crawl.page_bytes_max", self.page_bytes_max, 1, 1 << 30),
            ("crawl.file_bytes_max", self.file_bytes_max, 1, 1 << 30),
            (
                "crawl.repository_bytes_max",
                self.repository_bytes_max,
                1,
                1 << 30,
            ),
            ("crawl.fetch_seconds_max", self.fetch_seconds_max, 1, 3_600),
            ("crawl.wait_seconds_max", self.wait_seconds_max, 0, 86_400),
            ("crawl.gone_after_hours", self.gone_after_hours, 0, 87_600),
            ("crawl.links_at_once", wide(self.links_at_once), 1, 256),
            ("crawl.jitter_percent", self.jitter_percent, 0, 100),
            ("crawl.clone_seconds_max", self.clone_seconds_max, 1, 86_400),
            ("crawl.clone_bytes_max", self.clone_bytes_max, 1, 1 << 40),
        ]
    }

    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let is_wrong = !crawl::is_github(&self.github_url);
        let why = || "it should be as https://github.com".to_owned();
        is_wrong.then(|| ("crawl.github_url", why()))
    }
}
