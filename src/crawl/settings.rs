//! The limits of a crawl.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::address::Guard;
use super::browser::Browser;
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
    /// Seconds for the answers of one page with its redirects, the pauses that hosts want aside: after one that a host
    /// asked for they count anew. The robots.txt of each host has the same again. 60.
    pub fetch_seconds_max: u64,
    /// Seconds that a crawl waits at once for a host that wants a pause (`Retry-After`, crawl delay). 60:
    /// what is longer is for the next crawl. Other crawls that ask the host before this one are no pause.
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
    /// When a page is opened in a browser. Where what was fetched says too little.
    pub browser: Browser,
    /// The browser's program. The Chromium or Chrome that is found.
    pub browser_path: Option<PathBuf>,
    /// What all crawls of the process share: whom they ask when, and by which clock.
    #[serde(skip)]
    pub manners: Manners,
    /// The token that is shown to GitHub, for what is private and for more requests an hour. None.
    #[serde(skip)]
    pub github_token: Token,
    /// The GitHub that the token is for; it is shown to no other host.
    pub github_url: String,
    /// Where clones are kept from one crawl to the next, up to `clone_bytes_max` all together; not at
    /// all where it is not set.
    #[serde(skip)]
    pub clones: Option<PathBuf>,
    /// Where clones and the browser's profile live while they are used; set by the owner of the data folder.
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
            browser: Browser::Auto,
            browser_path: None,
            manners: Manners::default(),
            github_token: Token::default(),
            github_url: "https://github.com".to_owned(),
            clones: None,
            tmp: std::env::temp_dir(),
        }
    }
}

/// A password; it is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// This text; none where it is empty.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(none)"
        } else {
            "(hidden)"
        })
    }
}

impl Settings {
    /// The token for a link, none unless it is one of the GitHub that the token is for, and private to
    /// those on the way: over TLS, or on a host that was allowed by name.
    pub(crate) fn github_token_for(&self, url: &Url) -> Option<&str> {
        let own = Url::parse(&self.github_url).ok()?;
        let is_main = own.host_str() == Some("github.com");
        let is_part = matches!(
            url.host_str(),
            Some("www.github.com" | "gist.github.com" | "api.github.com")
        );
        let is_own =
            own.origin() == url.origin() || (is_main && is_part && url.scheme() == "https");
        let is_closed = url.scheme() == "https" || self.guard().allows(url.host_str()?);
        (is_own && is_closed && !self.github_token.0.is_empty()).then_some(&self.github_token.0)
    }

    /// These, with every page opened in a browser where that is asked for.
    pub(crate) fn with_browser(&self, always: bool) -> Self {
        let mut settings = self.clone();
        if always {
            settings.browser = Browser::Always;
        }
        settings
    }

    pub(crate) fn guard(&self) -> Guard {
        Guard::new(self.allow_private, &self.allow_hosts)
    }
}

/// Whether this can be the address of a GitHub: a host's, and nothing more.
pub(crate) fn is_github(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let is_web = matches!(url.scheme(), "http" | "https");
        is_web && url.as_str().trim_end_matches('/') == url.origin().ascii_serialization()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_github_is_named_by_its_host_alone() {
        for text in [
            "https://github.com",
            "https://git.example.org:8443/",
            "http://127.0.0.1:1",
        ] {
            assert!(is_github(text), "{text}");
        }
        for text in [
            "",
            "github.com",
            "ftp://github.com",
            "https://a:b@c.d",
            "https://c.d/e",
        ] {
            assert!(!is_github(text), "{text}");
        }
    }

    #[test]
    fn the_token_is_for_one_github_and_goes_nowhere_else_and_is_not_shown() {
        let settings = Settings {
            github_token: Token::new("hush"),
            ..Settings::default()
        };
        let shown = |settings: &Settings, link: &str| {
            let url = Url::parse(link).unwrap();
            settings.github_token_for(&url).is_some()
        };
        for link in [
            "https://github.com/a/b",
            "https://gist.github.com/a.git",
            "https://api.github.com/users/a",
        ] {
            assert!(shown(&settings, link), "{link}");
        }
        for link in [
            "http://github.com/a/b",
            "http://api.github.com/users/a",
            "https://github.com.evil.example/a",
            "https://github.com:8443/a/b",
            "https://raw.githubusercontent.com/a",
            "https://gitlab.com/a/b",
        ] {
            assert!(!shown(&settings, link), "{link}");
        }
        let own = Settings {
            github_url: "https://git.example.org".to_owned(),
            ..settings.clone()
        };
        assert!(shown(&own, "https://git.example.org/a/b"));
        assert!(!shown(&own, "https://api.github.com/users/a"));
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
