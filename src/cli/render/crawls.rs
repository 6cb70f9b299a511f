//! What `crawl --list` answers, for people.

use std::fmt::Write as _;

use crate::command::History;
use crate::logbook::{Counts, Ended, Run};
use crate::moment::readable;

use super::{BOLD, DIM, LINK, Written, plain};

pub(super) fn history(out: &mut String, history: &History) -> Written {
    if history.crawls.is_empty() {
        writeln!(out, "nothing was crawled yet")?;
    }
    for run in &history.crawls {
        one(out, run)?;
        if history.is_of_one {
            run.ended.iter().try_for_each(|one| ended(out, one))?;
        }
    }
    if history.more {
        writeln!(out, "and more")?;
    }
    Ok(())
}

fn one(out: &mut String, run: &Run) -> Written {
    let author = plain(&run.request.author);
    writeln!(
        out,
        "{LINK}{}{LINK:#}  {BOLD}{author}{BOLD:#}",
        plain(&run.link)
    )?;
    let last = readable(run.started_ms);
    let last = match (run.finished_ms, run.ended.first()) {
        (Some(_), _) => last,
        (None, None) => format!("{last}, not ended"),
        (None, Some(before)) => {
            // The counts are that one's.
            let before = readable(before.started_ms);
            format!("{last}, not ended; before that {before}")
        }
    };
    let next = match (run.next_ms, run.every_seconds) {
        (Some(next), Some(every)) => format!("{} (every {})", readable(next), span(every)),
        _ => "not watched".to_owned(),
    };
    writeln!(out, "  {DIM}last{DIM:#} {last}  {DIM}next{DIM:#} {next}")?;
    writeln!(out, "  {}", told(run.counts))?;
    match &run.error {
        Some(error) => writeln!(out, "  {DIM}error{DIM:#} {}", plain(error)),
        None => Ok(()),
    }
}

/// One of the crawls whose end is kept: when, for how long, and how it went.
fn ended(out: &mut String, one: &Ended) -> Written {
    let began = readable(one.started_ms);
    let took = one.finished_ms.saturating_sub(one.started_ms) / 1_000;
    let error = one.error.as_deref().map(plain);
    let error = error.map(|error| format!(": {error}")).unwrap_or_default();
    writeln!(
        out,
        "    {DIM}{began}, {took} s{DIM:#}  {}{error}",
        told(one.counts)
    )
}

fn told(counts: Counts) -> String {
    let Counts {
        written,
        unchanged,
        deleted,
        failed,
    } = counts;
    format!("{written} written, {unchanged} unchanged, {deleted} deleted, {failed} failed")
}

fn span(seconds: u64) -> String {
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}
