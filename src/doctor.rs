//! What Lockstep needs around it, looked at piece by piece. Pure; whoever asks the services is in `run`.

use serde::Serialize;

use crate::{Error, Recovery};

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// It works, and may not for long.
    Warned,
    /// It cannot work like this.
    Failed,
    /// It was not looked at, for the reason given.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub outcome: Outcome,
    /// The same in words.
    pub said: String,
    /// What to do, where something is to be done.
    pub fix: Option<String>,
}

/// Everything that was looked at, in the order of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// One by one.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether nothing failed.
    pub fn is_healthy(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.outcome != Outcome::Failed)
    }
}

impl Check {
    /// As it should be.
    pub fn passed(name: &'static str, said: impl Into<String>) -> Self {
        Self::new(name, Outcome::Passed, said, None)
    }

    /// Not looked at.
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Outcome::Skipped, why, None)
    }

    /// What an error means; `fix` where it does not say what to do itself.
    pub fn failed(name: &'static str, error: &Error, fix: &str) -> Self {
        let said = match error {
            Error::Refused { service, why, .. } => format!("{service}: {why}"),
            other => other.chain(),
        };
        let fix = match error {
            Error::Refused { fix, .. } => fix.clone(),
            // Their own text says it.
            Error::Config { .. } | Error::Model { .. } | Error::Data { .. } => String::new(),
            _ if matches!(error.recovery(), Recovery::Retry(_)) => {
                format!("{fix}; what is only late is waited for at a start")
            }
            _ => fix.to_owned(),
        };
        let fix = Some(fix.as_str()).filter(|fix| !fix.is_empty());
        Self::new(name, Outcome::Failed, said, fix)
    }

    fn new(
        name: &'static str,
        outcome: Outcome,
        said: impl Into<String>,
        fix: Option<&str>,
    ) -> Self {
        Self {
            name,
            outcome,
            said: said.into(),
            fix: fix.map(str::to_owned),
        }
    }
}

/// What to do about a source that does not answer.
pub const SOURCE_AWAY: &str = "start MongoDB, or correct source.url";
/// What to do about a queue that does not answer.
pub const QUEUE_AWAY: &str = "start RabbitMQ, or correct queue.url";

/// Settings that cannot be: nothing else can be looked at.
pub fn misread(faults: &[impl ToString]) -> Diagnosis {
    let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let fix = "mend them; docs/configuration.md lists every setting";
    let check = Check::new("settings", Outcome::Failed, said.join("; "), Some(fix));
    Diagnosis {
        checks: vec![check],
    }
}

/// Free bytes below which nothing can be trusted to be written: a database page, a log, a segment.
const DISK_LEAST: u64 = 64 << 20;
/// Free bytes below which a re-index or a large crawl may fill the disk.
const DISK_LOW: u64 = 1 << 30;

/// The free space where data is kept, in bytes.
pub fn disk(free: u64) -> Check {
    let said = format!("{} MiB are free", free >> 20);
    let fix = "make room, or choose another folder with --data";
    match free {
        ..DISK_LEAST => Check::new("disk", Outcome::Failed, said, Some(fix)),
        DISK_LEAST..DISK_LOW => Check::new("disk", Outcome::Warned, said, Some(fix)),
        _ => Check::passed("disk", said),
    }
}

/// How far two clocks may differ before times of documents and lags mislead people, in milliseconds.
const CLOCKS_APART: u64 = 5_000;

/// Our clock and the source's at one moment, in milliseconds since 1970.
pub fn clocks(ours: u64, theirs: u64) -> Check {
    let apart = ours.abs_diff(theirs);
    let said = format!("this machine's and the source's are {apart} ms apart");
    if apart <= CLOCKS_APART {
        return Check::passed("clocks", said);
    }
    let fix = "set both by NTP: order and versions are the source's, but lags and ages are wrong";
    Check::new("clocks", Outcome::Warned, said, Some(fix))
}

/// How far the source's log reaches back, in seconds; none where it may not be read.
pub fn log(reach: Option<u64>, wanted_hours: u64) -> Check {
    const NAME: &str = "source's log";
    let Some(reach) = reach else {
        return Check::skipped(NAME, "it may not be read here, as on a sharded cluster");
    };
    let said = format!("it reaches back {reach} s");
    if reach >= wanted_hours.saturating_mul(3_600) {
        return Check::passed(NAME, said);
    }
    let fix = "an outage of capture that lasts longer costs a snapshot; on a server that is not new, \
               enlarge it with replSetResizeOplog";
    Check::new(NAME, Outcome::Warned, said, Some(fix))
}

/// The watched collections and how many documents each that is there has.
pub fn collections(watched: &[String], counts: &[(String, u64)]) -> Check {
    const NAME: &str = "collections";
    let each = counts.iter().map(|(kind, count)| format!("{kind} {count}"));
    let said = each.collect::<Vec<_>>().join(", ");
    let is_there = |kind: &&String| counts.iter().any(|(there, _)| there == *kind);
    let missing: Vec<&str> = watched
        .iter()
        .filter(|kind| !is_there(kind))
        .map(String::as_str)
        .collect();
    if counts.is_empty() {
        let fix = "they come with the first crawl; otherwise see source.database and \
                   source.collections";
        return Check::new(NAME, Outcome::Warned, "none is there", Some(fix));
    }
    if missing.is_empty() {
        return Check::passed(NAME, said);
    }
    Check::passed(
        NAME,
        format!("{said}; not there yet: {}", missing.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_a_warning_and_none_a_failure() {
        let outcome = |free| disk(free).outcome;
        assert_eq!(outcome(DISK_LEAST - 1), Outcome::Failed);
        assert_eq!(outcome(DISK_LEAST), Outcome::Warned);
        assert_eq!(outcome(DISK_LOW), Outcome::Passed);
    }

    #[test]
    fn clocks_may_differ_a_little_either_way() {
        let outcome = |ours, theirs| clocks(ours, theirs).outcome;
        assert_eq!(outcome(10_000, 15_000), Outcome::Passed);
        assert_eq!(outcome(10_000, 15_001), Outcome::Warned);
        assert_eq!(outcome(15_001, 10_000), Outcome::Warned);
    }

    #[test]
    fn a_log_that_is_too_short_is_told_with_its_reach() {
        assert_eq!(log(Some(3_600), 1).outcome, Outcome::Passed);
        let short = log(Some(3_599), 1);
        assert_eq!(short.outcome, Outcome::Warned);
        assert!(short.said.contains("3599 s"), "{short:?}");
        assert_eq!(log(None, 1).outcome, Outcome::Skipped);
    }

    #[test]
    fn collections_that_are_not_there_are_named() {
        let watched = ["articles".to_owned(), "posts".to_owned()];
        let some = collections(&watched, &[("posts".to_owned(), 3)]);
        assert_eq!(some.outcome, Outcome::Passed);
        assert!(
            some.said.contains("posts 3") && some.said.contains("yet: articles"),
            "{some:?}"
        );
        assert_eq!(collections(&watched, &[]).outcome, Outcome::Warned);
    }

    #[test]
    fn an_error_is_told_once_and_its_fix_apart() {
        let refused = Error::Refused {
            service: "RabbitMQ at mq:5672".into(),
            why: "the password is wrong".into(),
            fix: "correct queue.url".into(),
        };
        let check = Check::failed("queue", &refused, "start it");
        assert_eq!(check.said, "RabbitMQ at mq:5672: the password is wrong");
        assert_eq!(check.fix.as_deref(), Some("correct queue.url"));
        let away = Error::unavailable("RabbitMQ", "answer")(std::io::Error::other("refused"));
        let check = Check::failed("queue", &away, "start it");
        assert!(check.fix.unwrap().starts_with("start it"));
    }
}
