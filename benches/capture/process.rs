//! `lockstep capture` as a process of its own, and the memory that the system says it took.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lockstep::clock::Clock;
use lockstep::source::Checkpoints as _;
use lockstep::source::mongo::MongoSource;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::backlog::Backlog;
use crate::{Bench, Outcome, two};

/// Between two looks at the saved position.
const LOOK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_mins(5);

/// Carries the backlog and tells the peak.
pub(crate) async fn peak(bench: &Bench, backlog: &Backlog) -> Outcome<Value> {
    let source = MongoSource::open(backlog.settings.clone(), Clock::system()).await?;
    let lease = source.acquire("bench").await?;
    lease.save(backlog.before.clone()).await?;
    lease.release().await?;
    let data = tempfile::tempdir()?;
    let start = Instant::now();
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
        .spawn()?;
    let mut process = Process(child);
    let carried = async {
        while source.standing().await?.time < Some(backlog.end) {
            if let Some(status) = process.0.try_wait()? {
                return Err(format!("lockstep capture ended: {status}").into());
            }
            sleep(LOOK).await;
        }
        Outcome::Ok(())
    };
    timeout(PATIENCE, carried).await??;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({
        "seconds": two(seconds),
        "peak_mib": process.mib("VmHWM:"), "then_mib": process.mib("VmRSS:"),
        "of_them_files_mib": process.mib("RssFile:"),
    }))
}

/// A running process. Dropping it ends it.
struct Process(Child);

impl Process {
    fn mib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
