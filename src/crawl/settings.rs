//! The limits of a crawl.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::Guard;
use super::manners::Manners;

/// The limits of a crawl; every default is safe for pages of strangers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Bytes of one page, decompressed. 16 MiB: ten times the largest article seen.
    pub page_bytes_max: u64,
    /// Bytes of one source file. 1 MiB: what is larger was not written by hand.
    pub file_bytes_max: u64,
    /// Bytes of one stored document. 12 MiB, so that none meets MongoDB's limit of 16 MB.
    pub repository_bytes_max: u64,
    /// Seconds for one page with its redirects' bodies. 60.
    pub fetch_seconds_max: u64,
    /// Seconds that a crawl waits at once for a host that wants a pause (`Retry-After`, crawl delay). 60:
    /// what is longer is for the next crawl.
    pub wait_seconds_max: u64,
    /// Hours between two answers that a page is not there, before its document is deleted. 24: a site
    /// that was broken for an afternoon loses nothing.
    pub gone_after_hours: u64,
    /// Seconds for one clone. 600.
    pub clone_seconds_max: u64,
    /// Bytes of one clone on disk. 2 GiB.
    pub clone_bytes_max: u64,
    /// Where the owner of a visited host can complain: a link or address for the user agent.
    pub contact: Option<String>,
    /// Whether private, loopback and link-local addresses may be asked. No.
    pub allow_private: bool,
    /// Hosts that may be asked though their addresses are private. None.
    pub allow_hosts: Vec<String>,
    /// What all crawls of the process share: whom they ask when, and by which clock.
    #[serde(skip)]
    pub manners: Manners,
    /// Where clones live while they are read; set by the owner of the data folder.
    #[serde(skip)]
    pub tmp: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_bytes_max: 16 << 20,
            file_bytes_max: 1 << 20,
            repository_bytes_max: 12 << 20,
            fetch_seconds_max: 60,
            wait_seconds_max: 60,
            gone_after_hours: 24,
            clone_seconds_max: 600,
            clone_bytes_max: 2 << 30,
            contact: None,
            allow_private: false,
            allow_hosts: Vec::new(),
            manners: Manners::default(),
            tmp: std::env::temp_dir(),
        }
    }
}

impl Settings {
    pub(crate) fn guard(&self) -> Guard {
        Guard::new(self.allow_private, &self.allow_hosts)
    }
}
