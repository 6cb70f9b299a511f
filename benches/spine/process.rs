//! `lockstep up` as a process of its own, and what the system says of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lockstep::command::{Handler as _, Reporter, Request, Response, Status};
use lockstep::serve::Client;
use lockstep::{Error, Result, crawl};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Places, two};

/// Starts of which the median is told.
const STARTS: usize = 5;
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(1);

/// A running process. Dropping it kills it.
pub(crate) struct Up {
    child: Child,
    client: Client,
    started_in: Duration,
}

/// Memory of a process.
pub(crate) struct Memory {
    pub(crate) mib: u64,
    pub(crate) peak_mib: u64,
}

/// What a crawl took, until everything was searchable.
pub(crate) struct Crawled {
    pub(crate) seconds: f64,
    pub(crate) documents: usize,
    pub(crate) chunks: usize,
}

impl Crawled {
    pub(crate) fn chunks_per_second(&self) -> f64 {
        self.chunks as f64 / self.seconds
    }
}

/// A data folder.
pub(crate) fn folder() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::unavailable("the bench", "make a folder"))
}

/// From the start of the process to its first answer, on a new folder and on one that is there.
pub(crate) async fn start_ms(places: &Places) -> Result<Value> {
    let (mut new, mut again) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let data = folder()?;
        for times in [&mut new, &mut again] {
            let up = Up::start(places, data.path()).await?;
            times.push(up.started_in.as_secs_f64() * 1000.0);
            up.stop().await?;
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        two(times[times.len() / 2])
    };
    Ok(json!({"new_folder": median(&mut new), "again": median(&mut again)}))
}

impl Up {
    /// Starts on the folder and waits for the first answer.
    pub(crate) async fn start(places: &Places, data: &Path) -> Result<Self> {
        let start = Instant::now();
        let mut child = Command::new(&places.binary)
            .args(["up", "--data"])
            .arg(data)
            .env("LOCKSTEP_MODEL_FOLDER", &places.model)
            .env("LOCKSTEP_SERVE_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::unavailable("lockstep", "start"))?;
        loop {
            if let Ok(Some(client)) = Client::find(data).await
                && status(&client).await.is_ok()
            {
                return Ok(Self {
                    child,
                    client,
                    started_in: start.elapsed(),
                });
            }
            if let Ok(Some(ended)) = child.try_wait() {
                return Err(Error::malformed("lockstep up", ended.to_string()));
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn crawl(&self, target: &Path) -> Result<Crawled> {
        let what = crawl::Request {
            target: target.to_string_lossy().into_owned(),
            author: "Rust Authors".to_owned(),
            as_kind: None,
            reference: None,
        };
        let start = Instant::now();
        let request = Request::Crawl { what, wait: true };
        self.client.handle(request, Reporter::new().0).await?;
        let seconds = two(start.elapsed().as_secs_f64());
        let status = status(&self.client).await?;
        Ok(Crawled {
            seconds,
            documents: usize::try_from(status.indexed).unwrap_or(0),
            chunks: usize::try_from(status.counted.texts_embedded).unwrap_or(0),
        })
    }

    pub(crate) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or(0) / 1024
        };
        Memory {
            mib: mib("VmRSS:"),
            peak_mib: mib("VmHWM:"),
        }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .map_err(Error::unavailable("lockstep", "stop"))?;
        while let Ok(None) = self.child.try_wait() {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It has mostly ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn status(client: &Client) -> Result<Status> {
    match client.handle(Request::Status {}, Reporter::new().0).await? {
        Response::Status(status) => Ok(*status),
        other => Err(Error::malformed("a status", format!("{other:?}"))),
    }
}
