//! How the crawls of one link went, and when the next is due. Pure.

use serde::{Deserialize, Serialize};

use crate::crawl::{Kind, Report, Request};

/// Crawls of a link of which it is kept how they ended.
const ENDED_MAX: usize = 10;

/// The last crawl of a link, and how those before it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The link, in the one form that names it.
    pub link: String,
    /// What was asked for.
    pub request: Request,
    /// How often it is crawled, in seconds; none where a person asked.
    pub every_seconds: Option<u64>,
    /// When the last crawl began: milliseconds since 1970, UTC.
    pub started_ms: u64,
    /// When it ended; none while it is under way, and after a crash.
    pub finished_ms: Option<u64>,
    /// When the next one is due; none where nothing repeats it.
    pub next_ms: Option<u64>,
    /// What it did.
    pub counts: Counts,
    /// Why it failed, or the first thing that it left out.
    pub error: Option<String>,
    /// What a folder was read as when it last gave something; it stays that until a person says otherwise.
    pub read_as: Option<Kind>,
    /// Whether it brought nothing at all.
    pub has_failed: bool,
    /// How the last crawls ended, the newest first: ten at most, and those that came to no end are none of them.
    pub ended: Vec<Ended>,
}

/// How one crawl of a link ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// When it began: milliseconds since 1970, UTC.
    pub started_ms: u64,
    /// When it ended.
    pub finished_ms: u64,
    /// What it did.
    pub counts: Counts,
    /// Why it failed, or the first thing that it left out.
    pub error: Option<String>,
    /// Whether it brought nothing at all.
    pub has_failed: bool,
}

/// What a crawl did, in documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Written because they are new or differ.
    pub written: usize,
    /// Found as they are stored.
    pub unchanged: usize,
    /// Deleted because they vanished.
    pub deleted: usize,
    /// Left out, with a reason.
    pub failed: usize,
}

impl Counts {
    /// Those of a report.
    pub fn of(report: &Report) -> Self {
        Self {
            written: report.saved,
            unchanged: report.unchanged,
            deleted: report.deleted,
            failed: report.skipped.iter().map(|one| one.count).sum(),
        }
    }
}

impl Run {
    /// It is crawled from now on.
    pub(crate) fn begins(&mut self, now_ms: u64) {
        // Records of earlier versions say of their last crawl only, and in themselves, how it ended.
        if self.ended.is_empty()
            && let Some(finished_ms) = self.finished_ms
        {
            self.keep(finished_ms);
        }
        self.started_ms = now_ms;
        self.finished_ms = None;
    }

    /// It has ended, as its counts and its error say.
    pub(crate) fn ends(&mut self, now_ms: u64) {
        self.finished_ms = Some(now_ms);
        self.keep(now_ms);
    }

    fn keep(&mut self, finished_ms: u64) {
        let ended = Ended {
            started_ms: self.started_ms,
            finished_ms,
            counts: self.counts,
            error: self.error.clone(),
            has_failed: self.has_failed,
        };
        self.ended.insert(0, ended);
        self.ended.truncate(ENDED_MAX);
    }

    /// Whether it ended well at or after this time.
    pub fn is_done_since(&self, ms: u64) -> bool {
        !self.has_failed && self.finished_ms.is_some() && self.started_ms >= ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ends_are_kept_the_newest_first_and_no_more_than_ten() {
        let mut run = Run::default();
        for crawl in 1..=12 {
            run.begins(crawl * 10);
            run.counts.written = usize::try_from(crawl).unwrap();
            run.error = (crawl == 12).then(|| "no".to_owned());
            run.ends(crawl * 10 + 1);
        }
        // One that comes to no end leaves all that is known of those before.
        run.begins(130);
        let kept: Vec<_> = run.ended.iter().map(|one| one.started_ms).collect();
        assert_eq!(kept, [120, 110, 100, 90, 80, 70, 60, 50, 40, 30]);
        let newest = &run.ended[0];
        assert_eq!((newest.finished_ms, newest.counts.written), (121, 12));
        assert_eq!(newest.error.as_deref(), Some("no"));
        assert_eq!(run.finished_ms, None);
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read_and_its_last_crawl_is_the_first_that_is_kept() {
        let record = r#"{"link":"https://a.example/","request":{"target":"https://a.example/",
            "author":"Ada","as_kind":null},"every_seconds":null,"started_ms":10,"finished_ms":11,
            "next_ms":null,"counts":{"written":1,"unchanged":0,"deleted":0,"failed":0},
            "error":"no","read_as":null,"has_failed":true}"#;
        let mut run: Run = serde_json::from_str(record).unwrap();
        assert_eq!((run.finished_ms, run.ended.len()), (Some(11), 0));
        run.begins(20);
        run.ends(21);
        let kept: Vec<_> = run.ended.iter().map(|one| one.finished_ms).collect();
        assert_eq!(kept, [21, 11]);
        assert!(run.ended[1].has_failed && run.ended[1].counts.written == 1);
    }
}
