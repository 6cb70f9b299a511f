//! What is known of one page, and what an answer to it means. Pure.
//!
//! | the page was | the answer | the page is | its document |
//! |---|---|---|---|
//! | never seen | 200 | seen | written |
//! | seen | 304, or 200 with the same bytes | seen | untouched |
//! | seen | 200 with other bytes | seen | written if it differs |
//! | seen | 404, 410 | missing since now | untouched |
//! | missing for less than `crawl.gone_after_hours` | 404, 410 | missing since then | untouched |
//! | missing for as long or longer | 404, 410 | forgotten | deleted, unless another link of it is not gone |
//! | anything | 404, 410, while a feed has its text | not missing: it counts from when no feed has it | untouched |
//! | missing | 200, 304 | seen: the first 404 is forgotten | as if it had been seen |
//! | seen | 301, 308 on the whole way to one that is read | seen | written under its new link; that of the old one is deleted |
//! | any | a listed one that leads to a home page | as it was | untouched |
//! | any | 5xx, 429, a timeout, a refusal by robots.txt, any other failure | as it was | untouched |
//!
//! A page is asked on conditions (`If-None-Match`, `If-Modified-Since`), and its bytes are compared,
//! only while its document is stored, the same reader would read it for the same author, and it stands
//! where it stood: what a redirect leads to elsewhere is another page.

use serde::{Deserialize, Serialize};

use crate::change::DocumentKey;

/// What is known of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// The link that is asked.
    pub link: String,
    /// The link of the publication it was found under, or its own.
    pub root: String,
    /// Where it stood in the end, after redirects.
    pub at: String,
    /// What the server called this state of it.
    pub etag: Option<String>,
    /// When the server says that it changed, as it said it.
    pub last_modified: Option<String>,
    /// SHA-256 of its bytes, decompressed, in hex; none where they do not decide alone.
    pub hash: Option<String>,
    /// What read it, and for whom: otherwise read, the same bytes make another document.
    pub reader: String,
    /// The document that it made.
    pub document: Option<DocumentKey>,
    /// When an answer told last whether it is there: milliseconds since 1970, UTC.
    pub asked_ms: u64,
    /// When it was there last.
    pub seen_ms: u64,
    /// When it was first answered with 404 or 410; none while it is there.
    pub missing_ms: Option<u64>,
}

/// What it means that a page is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It may come back; its document goes if it is still missing at this time.
    Until(u64),
    /// It is gone for good.
    Gone,
}

impl Page {
    /// The page is there.
    pub fn seen(&mut self, now_ms: u64) {
        self.asked_ms = now_ms;
        self.seen_ms = now_ms;
        self.missing_ms = None;
    }

    /// The page is not there.
    pub fn missing(&mut self, now_ms: u64, gone_after_ms: u64) -> Missing {
        let first = *self.missing_ms.get_or_insert(now_ms);
        let is_second = first < now_ms || self.asked_ms > first;
        self.asked_ms = now_ms;
        let until = first.saturating_add(gone_after_ms);
        // Twice, however short the time between may be set.
        if is_second && now_ms >= until {
            Missing::Gone
        } else {
            Missing::Until(until)
        }
    }

    /// Nothing is left of it but that it was missing.
    pub fn forget(&mut self) {
        self.document = None;
        self.hash = None;
        self.etag = None;
        self.last_modified = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_page_is_gone_when_it_is_missing_twice_a_day_apart() {
        let mut page = Page::default();
        assert_eq!(page.missing(10, DAY), Missing::Until(10 + DAY));
        assert_eq!(page.missing(11, DAY), Missing::Until(10 + DAY));
        assert_eq!(page.missing(9 + DAY, DAY), Missing::Until(10 + DAY));
        assert_eq!(page.missing(10 + DAY, DAY), Missing::Gone);
    }

    #[test]
    fn a_page_that_returns_forgets_its_first_404() {
        let mut page = Page::default();
        page.missing(10, DAY);
        page.seen(20);
        assert_eq!(page.missing(20 + DAY, DAY), Missing::Until(20 + 2 * DAY));
    }

    #[test]
    fn one_404_is_never_enough() {
        let mut page = Page::default();
        assert_eq!(page.missing(10, 0), Missing::Until(10));
        assert_eq!(page.missing(11, 0), Missing::Gone);
    }

    #[test]
    fn a_clock_that_went_back_deletes_nothing() {
        let mut page = Page::default();
        page.missing(10 * DAY, DAY);
        assert_eq!(page.missing(DAY, DAY), Missing::Until(11 * DAY));
    }
}
