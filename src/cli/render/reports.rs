//! What `verify`, `explain` and `reindex` answer, for people.

use std::fmt::Write as _;

use crate::command::{Edition, Filling, Reindexed};
use crate::explain::Explanation;
use crate::reindex::{Estimate, Stage};
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
        "{} documents, {} points, {} tombstones compared, edition {} of the index",
        report.documents, report.points, report.tombstones, report.edition
    )?;
    let counts = [
        ("differences", report.difference_count),
        ("points that no manifest names", report.orphans),
        (
            "documents of other producers, which are in no source",
            report.unversioned,
        ),
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

pub(super) fn reindexed(out: &mut String, reindexed: &Reindexed) -> Written {
    match reindexed {
        Reindexed::Done(index) => {
            let index = edition(index);
            writeln!(out, "{BOLD}the new index is searched{BOLD:#}: {index}")
        }
        Reindexed::UnderWay(filling) => writeln!(out, "{}", under_way(filling)),
        Reindexed::NothingToDo(index) => {
            let index = edition(index);
            writeln!(
                out,
                "nothing to do: the index is made as the settings say, {index}; --anyway makes it \
                 anew"
            )
        }
        Reindexed::Dropped { edition: None } => writeln!(out, "no new index was being made"),
        Reindexed::Dropped { edition: Some(_) } => {
            writeln!(
                out,
                "the new index is given up and removed; the old one is searched"
            )
        }
        Reindexed::DryRun(found) => estimate(out, found),
    }
}

/// An edition, as "edition 2, model (384 dimensions)".
pub(super) fn edition(index: &Edition) -> String {
    let (number, model) = (index.edition, plain(&index.model));
    format!("edition {number}, {model} ({} dimensions)", index.dimension)
}

/// How far a re-index is.
pub(super) fn under_way(filling: &Filling) -> String {
    let (done, of) = (filling.documents, filling.of);
    let trouble = match &filling.trouble {
        Some(why) => format!("; it does not go on: {}", plain(why)),
        None => String::new(),
    };
    let stage = match filling.stage {
        Stage::Asked | Stage::Dual => "being filled",
        Stage::Filled => "being compared with the source",
        Stage::Verified => "about to be searched",
    };
    let edition = edition(&filling.edition);
    format!("{edition}: {stage}, {done} of {of} documents{trouble}")
}

fn estimate(out: &mut String, found: &Estimate) -> Written {
    let Estimate {
        documents,
        unusable,
        chunks,
        sampled,
        seconds,
        bytes,
    } = found;
    writeln!(out, "{documents} documents, {chunks} chunks to embed")?;
    if *unusable > 0 {
        writeln!(
            out,
            "{unusable} documents cannot be prepared and would be parked"
        )?;
    }
    writeln!(
        out,
        "about {} of embedding, by {sampled} of them just measured",
        duration(*seconds)
    )?;
    writeln!(
        out,
        "about {} MiB on disk beside the old index, which goes after the switch",
        bytes.div_ceil(1 << 20)
    )
}

fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.1} s"),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
