//! `crawl --links`: every link of a file, a line of answer for each, and a summary.
//!
//! ```text
//! file ──> lines ──so many at once──> running process or this one ──> a line each ──> summary
//!      └─> faults, each with its number
//! ```

use std::path::Path;

use anstyle::{AnsiColor, Style};
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::render::plain;
use super::{Exit, print};
use crate::command::{Handler, Linked, Reporter, Request, Response, Started};
use crate::crawl::links::{Fault, Line};
use crate::crawl::{self, Kind, Skipped};
use crate::logbook::Counts;
use crate::run::Work;
use crate::{Error, Result};

/// Largest file: more links than anybody's.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// A list that is to be crawled.
pub(super) struct Links {
    list: String,
    lines: Vec<Line>,
    faults: Vec<Fault>,
    pub(super) at_once: usize,
    pub(super) json: bool,
    pub(super) anew: bool,
    pub(super) wait: bool,
}

/// What became of a line, for programs.
#[derive(Serialize)]
struct Told<'a> {
    line: usize,
    link: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    outcome: &'static str,
    #[serde(flatten)]
    counts: Counts,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skipped: &'a [Skipped],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What became of all.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Tally {
    links: usize,
    done: usize,
    done_before: usize,
    failed: usize,
    bad_lines: usize,
    // Named one by one: links fail, and what a link's documents count is another thing of that name.
    written: usize,
    unchanged: usize,
    deleted: usize,
    left_out: usize,
    is_resumed: bool,
}

impl Links {
    /// Reads the file.
    pub(super) fn read(path: &Path, author: Option<&str>, kind: Option<&Kind>) -> Result<Self> {
        let unusable = |why: String| Error::Config {
            setting: format!("--links {}", path.display()),
            why,
        };
        let bytes = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
        if bytes.len() > LIST_BYTES_MAX {
            return Err(unusable("it has more than 64 MiB".into()));
        }
        let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let text = String::from_utf8(text).map_err(|_| unusable("it is no UTF-8 text".into()))?;
        let whole = path
            .canonicalize()
            .map_err(|error| unusable(error.to_string()))?;
        let (mut lines, faults) = crawl::links::read(&text, author, kind);
        for line in &mut lines {
            let target = std::mem::take(&mut line.request.target);
            line.request.target = super::arguments::absolute(target)?;
        }
        Ok(Self {
            list: whole.display().to_string(),
            lines,
            faults,
            at_once: 1,
            json: false,
            anew: false,
            wait: true,
        })
    }

    async fn start<H: Handler>(&self, handler: &H) -> Result<Started> {
        let (list, anew) = (self.list.clone(), self.anew);
        let asked = Request::LinksStart { list, anew };
        match handler.handle(asked, Reporter::new().0).await? {
            Response::LinksStart(started) => Ok(started),
            _ => Err(Error::malformed("the answer", "it is none to a list")),
        }
    }
}

impl Work for Links {
    type Done = Exit;

    async fn work<H: Handler>(self, handler: &H) -> Result<Exit> {
        let started = self.start(handler).await?;
        let mut tally = Tally {
            links: self.lines.len(),
            bad_lines: self.faults.len(),
            is_resumed: started.is_resumed,
            ..Tally::default()
        };
        let bar = bar(self.lines.len());
        for fault in &self.faults {
            say(&bar, &told_fault(fault), self.json)?;
        }
        let asked = self.lines.iter().map(|line| async move {
            let asked = Request::CrawlLink {
                what: line.request.clone(),
                since_ms: started.since_ms,
            };
            (line, handler.handle(asked, Reporter::new().0).await)
        });
        let mut answers = stream::iter(asked).buffer_unordered(self.at_once.max(1));
        while let Some((line, answer)) = answers.next().await {
            let outcome = match answer {
                Ok(Response::CrawlLink(linked)) => Ok(linked),
                Ok(_) => return Err(Error::malformed("the answer", "it is none to a link")),
                Err(error) if ends_all(&error) => return Err(error),
                Err(error) => Err(error.chain()),
            };
            tally.add(outcome.as_ref());
            say(&bar, &told(line, outcome.as_ref()), self.json)?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        let (list, wait) = (self.list.clone(), self.wait);
        let ended = Request::LinksEnd { list, wait };
        handler.handle(ended, Reporter::new().0).await?;
        print(&tally.text(self.json)?)?;
        Ok(if tally.failed + tally.bad_lines == 0 {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

/// Whether no other link would fare better.
fn ends_all(error: &Error) -> bool {
    matches!(
        error,
        Error::Stopped { .. }
            | Error::Unavailable { .. }
            | Error::Refused { .. }
            | Error::Data { .. }
            | Error::Locked { .. }
    )
}

impl Tally {
    fn add(&mut self, outcome: Result<&Linked, &String>) {
        match outcome {
            Ok(linked) if linked.was_done => self.done_before += 1,
            Ok(linked) => {
                let counts = Counts::of(&linked.report);
                self.written += counts.written;
                self.unchanged += counts.unchanged;
                self.deleted += counts.deleted;
                if linked.report.is_failure() {
                    self.failed += 1;
                } else {
                    self.done += 1;
                    self.left_out += counts.failed;
                }
            }
            Err(_) => self.failed += 1,
        }
    }

    fn text(&self, json: bool) -> Result<String> {
        if json {
            return line(&serde_json::json!({ "summary": self }));
        }
        let some = |count: usize, what: &str| match count {
            0 => String::new(),
            _ => format!(", {count} {what}"),
        };
        let Self {
            written,
            unchanged,
            deleted,
            ..
        } = self;
        let text = format!(
            "{} links: {} done{}, {} failed{} ({written} written, {unchanged} unchanged, {deleted} deleted)\n",
            self.links,
            self.done,
            some(self.done_before, "done before"),
            self.failed,
            some(self.bad_lines, "bad lines"),
        );
        Ok(text)
    }
}

/// What became of a line: for people, and for programs.
struct Said {
    text: String,
    json: Result<String>,
}

fn told(line: &Line, outcome: Result<&Linked, &String>) -> Said {
    let request = &line.request;
    let mut told = Told {
        line: line.number,
        link: &request.target,
        author: Some(&request.author),
        outcome: "failed",
        counts: Counts::default(),
        skipped: &[],
        error: None,
    };
    let why;
    match outcome {
        Ok(linked) if linked.was_done => told.outcome = "done_before",
        Ok(linked) => {
            told.counts = Counts::of(&linked.report);
            told.skipped = &linked.report.skipped;
            if linked.report.is_failure() {
                let first = told.skipped.first();
                why = first.map(|one| one.why.clone()).unwrap_or_default();
                told.error = Some(&why);
            } else {
                told.outcome = "done";
            }
        }
        Err(error) => {
            told.counts.failed = 1;
            told.error = Some(error);
        }
    }
    said(&told)
}

fn told_fault(fault: &Fault) -> Said {
    said(&Told {
        line: fault.number,
        link: &fault.text,
        author: None,
        outcome: "bad_line",
        counts: Counts::default(),
        skipped: &[],
        error: Some(&fault.why),
    })
}

fn said(told: &Told<'_>) -> Said {
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let number = told.line;
    let link = plain(told.link);
    let Counts {
        written,
        unchanged,
        deleted,
        failed,
    } = told.counts;
    let text = match (told.outcome, told.error) {
        (_, Some(error)) => {
            format!(
                "line {number}: {red}failed{red:#} {link}: {}\n",
                plain(error)
            )
        }
        ("done_before", None) => format!("line {number}: done before {link}\n"),
        (_, None) => {
            let left_out = match failed {
                0 => String::new(),
                some => format!(", {some} left out"),
            };
            format!(
                "line {number}: done {link}: {written} written, {unchanged} unchanged, {deleted} \
                 deleted{left_out}\n"
            )
        }
    };
    Said {
        text,
        json: line(told),
    }
}

fn line(told: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string(told)
        .map_err(|error| Error::malformed("the answer", error.to_string()))?;
    text.push('\n');
    Ok(text)
}

fn say(bar: &ProgressBar, said: &Said, json: bool) -> Result<()> {
    let text = match (&said.json, json) {
        (Ok(line), true) => line,
        _ => &said.text,
    };
    bar.suspend(|| print(text)).map(|_| ())
}

fn bar(links: usize) -> ProgressBar {
    let bar = ProgressBar::new(links as u64);
    // A template that cannot be read leaves the default one, which is as good.
    if let Ok(style) = ProgressStyle::with_template("crawling {wide_bar} {pos}/{len}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
