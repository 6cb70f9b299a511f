//! How MongoDB's capture and RabbitMQ's queues stand, for people.

use std::fmt::Write as _;

use crate::command::{Services, Stance};

use super::{BOLD, DIM, Written, plain};

pub(super) fn services(out: &mut String, services: &Services) -> Written {
    let mut rows = Vec::new();
    if let Some(stance) = &services.capture {
        rows.extend(lines(stance).into_iter().map(|line| ("capture", line)));
    }
    if let Some(lag) = services.capture_lag_seconds {
        rows.push((
            "lag",
            format!("the saved position is {lag} s behind this machine's clock"),
        ));
    }
    if let Some(queue) = services.queue {
        let ready = format!("{} live and {} backfill", queue.live, queue.backfill);
        let partitions = queue.partitions;
        rows.push((
            "queue",
            format!("{ready} messages that nobody has taken, {partitions} partitions"),
        ));
        rows.push(("parked", queue.parked.to_string()));
    }
    for (name, value) in rows {
        writeln!(out, "{DIM}{name:<10}{DIM:#}{}", plain(&value))?;
    }
    for fault in &services.faults {
        writeln!(out, "{BOLD}{}{BOLD:#}", plain(fault))?;
    }
    Ok(())
}

/// How the capture of a MongoDB stands.
pub(in crate::cli) fn stance(stance: &Stance) -> String {
    let mut lines = lines(stance);
    lines.push(String::new());
    lines.join("\n")
}

fn lines(stance: &Stance) -> Vec<String> {
    let mut lines = Vec::new();
    match &stance.owner {
        Some(owner) => lines.push(format!("captured by {}", plain(owner))),
        None => lines.push("nobody captures".to_owned()),
    }
    if stance.paused {
        lines.push("paused; `lockstep resume capture` lets it go on".to_owned());
    }
    match (&stance.position, stance.epoch) {
        (Some(moment), Some(epoch)) => lines.push(format!(
            "position: everything up to {moment} is sent, epoch {epoch}"
        )),
        _ => lines.push("no position yet: everything will be read".to_owned()),
    }
    if let Some(window) = stance.oplog_window_seconds {
        lines.push(format!(
            "the source's log reaches back {window} s before that"
        ));
    }
    if !stance.snapshot.is_empty() {
        lines.push(format!("to be read again: {}", stance.snapshot.join(", ")));
    }
    if stance.resets > 0 {
        lines.push(format!(
            "history was lost {} times since the last snapshot that came to its end",
            stance.resets
        ));
    }
    lines
}
