//! Migrations, backups and restores, for people.

use std::fmt::Write as _;

use super::{BOLD, DIM, plain};
use crate::backup::Manifest;
use crate::migrate::{Compared, Report, is_same};
use crate::run::Restored;
use crate::verify;

/// A line a type, then what became of it.
pub(in crate::cli) fn migrated(report: &Report) -> String {
    let mut out = String::new();
    for (kind, compared) in &report.types {
        // Writing to a string does not fail.
        writeln!(out, "{}", line(kind, compared)).ok();
    }
    let (pages, runs) = (report.pages, report.runs);
    writeln!(
        out,
        "{pages} pages and {runs} crawls that the crawler remembers"
    )
    .ok();
    if report.dry_run {
        writeln!(out, "nothing was written").ok();
        return out;
    }
    let sources = if is_same(&report.types) {
        "both sources are equal"
    } else {
        "the sources differ: something was written to one of them meanwhile; give the command again"
    };
    writeln!(
        out,
        "{} documents written or removed; {sources}",
        report.written
    )
    .ok();
    if let Some(epoch) = report.epoch {
        writeln!(out, "the epoch of {} is {epoch}", report.to).ok();
    }
    if let Some(found) = &report.verified {
        out.push_str(&verified(found));
    }
    out
}

fn line(kind: &str, compared: &Compared) -> String {
    let (kind, of) = (plain(kind), &compared.origin);
    let mut line = format!("{BOLD}{kind}{BOLD:#}  {} documents", of.documents);
    for (count, what) in [
        (compared.missing, "missing in the target"),
        (compared.other, "other there"),
        (compared.surplus, "only there"),
    ] {
        if count > 0 {
            write!(line, ", {count} {what}").ok();
        }
    }
    let digest: String = of.digest.chars().take(16).collect();
    write!(line, "  {DIM}{digest}{DIM:#}").ok();
    line
}

fn verified(found: &verify::Report) -> String {
    if found.clean {
        let parked = match found.excused.len() {
            0 => String::new(),
            count => format!("; {count} documents are parked (`lockstep parked list`)"),
        };
        return format!("source and index agree{parked}\n");
    }
    let (differences, orphans) = (found.difference_count, found.orphans);
    format!(
        "source and index differ: {differences} differences, {orphans} points without a manifest; `lockstep \
         verify` names them\n"
    )
}

/// What a backup holds.
pub(in crate::cli) fn backed_up(manifest: &Manifest) -> String {
    let documents: u64 = manifest.about.documents.values().sum();
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    let texts = manifest.about.vectors.texts;
    format!("{documents} documents, vectors of {texts} texts, {bytes} bytes\n")
}

/// What a restore came to.
pub(in crate::cli) fn restored(restored: &Restored) -> String {
    let documents: u64 = restored.documents.values().sum();
    let (cached, embedded) = (restored.texts_cached, restored.texts_embedded);
    format!(
        "{documents} documents, {cached} vectors from the backup, {embedded} texts embedded anew\nthe epoch is \
         {}\n{}",
        restored.epoch,
        verified(&restored.verified)
    )
}
