//! `lockstep capture` as a process of its own, and the memory that the system says it took.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bson::Document as BsonDocument;
use lockstep::change::Time;
use lockstep::clock::Clock;
use lockstep::source::mongo::MongoSource;
use lockstep::source::{Checkpoints as _, Source as _, Watch as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::backlog::{Backlog, document};
use crate::{Bench, Outcome, two};

/// Between two looks at the saved position.
const LOOK: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_mins(5);

/// Large documents inserted at once: what MongoDB sends in one answer, and no server sends more.
const LARGE_AT_ONCE: usize = 3;

/// Carries the backlog and tells the peak.
pub(crate) async fn peak(bench: &Bench, backlog: &Backlog) -> Outcome<Value> {
    let start = Instant::now();
    let (source, mut process) = start_before(bench, backlog).await?;
    process.reaches(&source, backlog.end).await?;
    Ok(process.memory(start))
}

/// Carries large documents, inserted as they are carried, and tells the peak.
pub(crate) async fn peak_of_large(
    bench: &Bench,
    backlog: &Backlog,
    (count, bytes): (usize, usize),
) -> Outcome<Value> {
    let start = Instant::now();
    let (source, mut process) = start_before(bench, backlog).await?;
    let collection = backlog.database.collection::<BsonDocument>(&backlog.kind);
    for first in (0..count).step_by(LARGE_AT_ONCE) {
        let next = first..count.min(first + LARGE_AT_ONCE);
        let documents = next.map(|number| document(number, bytes));
        collection.insert_many(documents).await?;
        let (_, end) = source.watch(None).await?.here();
        process.reaches(&source, end).await?;
    }
    Ok(process.memory(start))
}

/// Starts the program at the place before the backlog.
async fn start_before(bench: &Bench, backlog: &Backlog) -> Outcome<(MongoSource, Process)> {
    let source = MongoSource::open(backlog.settings.clone(), Clock::system()).await?;
    let lease = source.acquire("bench").await?;
    lease.save(backlog.before.clone()).await?;
    lease.release().await?;
    let data = tempfile::tempdir()?;
    let child = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .arg("--data")
        .arg(data.path())
        .arg("capture")
        .env("LOCKSTEP_SOURCE_URL", bench.mongo.url())
        .env("LOCKSTEP_SOURCE_DATABASE", &backlog.settings.database)
        .env("LOCKSTEP_QUEUE_URL", bench.broker.url())
        .env("LOCKSTEP_QUEUE_NAME", format!("process.{}", backlog.kind))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((source, Process { child, _data: data }))
}

/// A running process. Dropping it ends it.
struct Process {
    child: Child,
    _data: TempDir,
}

impl Process {
    /// Waits until it has saved a position at this time or after it.
    async fn reaches(&mut self, source: &MongoSource, end: Time) -> Outcome<()> {
        let reached = async {
            loop {
                if source.standing().await?.time >= Some(end) {
                    return Outcome::Ok(());
                }
                if let Some(status) = self.child.try_wait()? {
                    return Err(format!("lockstep capture ended: {status}").into());
                }
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, reached).await?
    }

    fn memory(&self, start: Instant) -> Value {
        json!({
            "seconds": two(start.elapsed().as_secs_f64()),
            "peak_mib": self.mib("VmHWM:"), "then_mib": self.mib("VmRSS:"),
            "of_them_files_mib": self.mib("RssFile:"),
        })
    }

    fn mib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
