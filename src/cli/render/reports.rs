//! What `verify` and `explain` answer, for people.

use std::fmt::Write as _;

use crate::explain::Explanation;
use crate::verify::Report;

use super::{BOLD, DIM, Written, plain};

/// Differences shown one by one.
const SHOWN: usize = 20;

pub(super) fn verification(out: &mut String, report: &Report) -> Written {
    let verdict = if report.clean {
        "source and index agree"
    } else {
        "source and index differ"
    };
    writeln!(out, "{BOLD}{verdict}{BOLD:#}")?;
    writeln!(
        out,
        "{} documents, {} points, {} tombstones compared",
        report.documents, report.points, report.tombstones
    )?;
    let counts = [
        ("differences", report.difference_count),
        ("points that no manifest names", report.orphans),
        (
            "documents made by another cleaner, chunker or model",
            report.outdated,
        ),
        (
            "documents that differ because their change is parked",
            report.excused.len() as u64,
        ),
        ("changes that were still pending", report.pending),
        ("documents sent again", report.resync.len() as u64),
    ];
    for (name, count) in counts {
        if count > 0 {
            writeln!(out, "{count} {name}")?;
        }
    }
    for difference in report.differences.iter().take(SHOWN) {
        let key = plain(&difference.key.to_string());
        let detail = plain(&difference.detail);
        writeln!(out, "  {key}  {:?}  {DIM}{detail}{DIM:#}", difference.kind)?;
    }
    match report.differences.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more, which --json lists"),
    }
}

pub(super) fn explanation(out: &mut String, explanation: &Explanation) -> Written {
    writeln!(out, "{BOLD}{}{BOLD:#}", plain(&explanation.verdict))?;
    let source = if explanation.in_source {
        "has it"
    } else {
        "does not have it"
    };
    let depth = &explanation.queue;
    let queue = format!(
        "{} changes of all documents on their way",
        depth.live + depth.backfill
    );
    let parked = match &explanation.parked {
        Some(parked) => format!("{}: {}", parked.id, parked.reason),
        None => "no".into(),
    };
    let index = match &explanation.indexed {
        None => "no manifest".into(),
        Some(indexed) => {
            let state = match (indexed.deleted, indexed.void, indexed.current) {
                (true, ..) => "a tombstone",
                (_, true, _) => "void",
                (_, _, false) => "made by another cleaner, chunker or model",
                _ => "current",
            };
            let (stored, named) = (indexed.stored, indexed.chunks);
            format!(
                "{state}, version {}, {stored} of {named} points",
                indexed.version
            )
        }
    };
    let orphans = match explanation.orphans {
        Some(count) => count.to_string(),
        None => "not counted: the index is large".into(),
    };
    let rows = [
        ("document", explanation.key.to_string()),
        ("source", source.into()),
        ("queue", queue),
        ("parked", parked),
        ("index", index),
        ("orphans", orphans),
    ];
    for (name, value) in rows {
        writeln!(out, "{DIM}{name:<10}{DIM:#}{}", plain(&value))?;
    }
    for difference in &explanation.differences {
        writeln!(
            out,
            "  {:?}  {DIM}{}{DIM:#}",
            difference.kind,
            plain(&difference.detail)
        )?;
    }
    Ok(())
}
