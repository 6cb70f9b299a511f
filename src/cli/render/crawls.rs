//! What `crawl --list` answers, for people.

use std::fmt::Write as _;

use crate::command::History;
use crate::logbook::{Counts, Run};
use crate::moment::readable;

use super::{BOLD, DIM, LINK, Written, plain};

pub(super) fn history(out: &mut String, history: &History) -> Written {
    if history.crawls.is_empty() {
        writeln!(out, "nothing was crawled yet")?;
    }
    for run in &history.crawls {
        one(out, run)?;
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
    let last = match run.finished_ms {
        Some(_) => last,
        None => format!("{last}, not ended"),
    };
    let next = match (run.next_ms, run.every_seconds) {
        (Some(next), Some(every)) => format!("{} (every {})", readable(next), span(every)),
        _ => "not watched".to_owned(),
    };
    writeln!(out, "  {DIM}last{DIM:#} {last}  {DIM}next{DIM:#} {next}")?;
    let Counts {
        written,
        unchanged,
        deleted,
        failed,
    } = run.counts;
    writeln!(
        out,
        "  {written} written, {unchanged} unchanged, {deleted} deleted, {failed} failed"
    )?;
    match &run.error {
        Some(error) => writeln!(out, "  {DIM}error{DIM:#} {}", plain(error)),
        None => Ok(()),
    }
}

fn span(seconds: u64) -> String {
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}
