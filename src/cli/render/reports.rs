//! What `verify` and `explain` answer, for people.

use std::fmt::Write as _;

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
        ("documents made by another cleaner, chunker or model", report.outdated),
        ("documents that differ because their change is parked", report.excused.len() as u64),
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
