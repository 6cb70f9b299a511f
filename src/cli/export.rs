//! An export into a file or to standard output, through the running process or by this one.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread::{Builder, JoinHandle};

use tempfile::NamedTempFile;
use tokio::sync::{mpsc, oneshot};

use super::arguments::Export;
use super::{Exit, print, progress, render};
use crate::command::Reporter;
use crate::config::Config;
use crate::export::{Selection, Summary};
use crate::serve::Client;
use crate::shutdown::{self, Shutdown};
use crate::{Error, Result, run};

/// Pieces of lines that wait to be written.
const WAITING: usize = 4;

/// Writes the lines, then the manifest, and says what was written.
pub(super) async fn export(config: Config, asked: Export, json: bool) -> Result<Exit> {
    let selection = asked.selection()?;
    let is_file = asked.output.is_some();
    let (lines, taken) = mpsc::channel(WAITING);
    let (thread, out) = Out::open(asked.output.as_deref())?.taking(taken)?;
    let done = shutdown::until_insisted(|shutdown| {
        Box::pin(async move {
            let summary = written(config, selection, lines, shutdown.clone()).await;
            tokio::select! {
                biased;
                () = shutdown::requested(shutdown) => summary.map(|_| None),
                out = out => Ok(Some((summary, out))),
            }
        })
    });
    let done = done.await;
    let Ok(Some(Some((summary, Ok((out, taken)))))) = done else {
        if is_file {
            // It removes what is not whole. Standard output is not waited for: perhaps nobody reads it.
            thread.join().ok();
        }
        return done.map(|_| Exit::Interrupted);
    };
    // Whoever reads it may stop reading: that is no failure. Otherwise it is why the rest failed.
    if out.is_gone() {
        return Ok(Exit::Done);
    }
    taken?;
    let Some(summary) = summary? else {
        return Ok(Exit::Interrupted);
    };
    out.finish()?;
    let text = if json {
        render::pretty(&summary)?
    } else {
        said(&summary)
    };
    if let Some(path) = &asked.manifest {
        let mut file = Out::open(Some(path))?;
        file.take(render::pretty(&summary)?.as_bytes())?;
        file.finish()?;
    }
    if is_file {
        return print(&text);
    }
    // Standard output has the lines.
    anstream::eprint!("{text}");
    Ok(Exit::Done)
}

async fn written(
    config: Config,
    selection: Selection,
    lines: mpsc::Sender<Vec<u8>>,
    shutdown: Shutdown,
) -> Result<Option<Summary>> {
    let (report, progress) = Reporter::new();
    let work = async {
        let stop = shutdown::requested(shutdown);
        if let Some(client) = Client::find(&config.data).await? {
            return tokio::select! {
                biased;
                () = stop => Ok(None),
                summary = through(&client, &selection, &lines) => summary.map(Some),
            };
        }
        Box::pin(run::export(config, selection, &lines, (report, stop))).await
    };
    progress::shown_while(progress, Box::pin(work)).await
}

/// Through the running process.
async fn through(
    client: &Client,
    selection: &Selection,
    lines: &mpsc::Sender<Vec<u8>>,
) -> Result<Summary> {
    let mut export = client.exporting(selection).await?;
    while let Some(some) = export.next().await? {
        let gone = |_| Error::Stopped { part: "the output" };
        lines.send(some).await.map_err(gone)?;
    }
    export.summary()
}

fn said(summary: &Summary) -> String {
    let as_of = summary.as_of.as_deref().unwrap_or("not known yet");
    format!(
        "{} documents, {} lines, {} bytes, as of {as_of}, sha-256 {}\n",
        summary.documents, summary.lines, summary.bytes, summary.sha256
    )
}

/// An output that comes back, with how taking went.
type Taken = oneshot::Receiver<(Out, Result<()>)>;

/// Where lines go. A file is there when it is whole, or not at all.
enum Out {
    Standard {
        is_gone: bool,
    },
    File {
        new: NamedTempFile,
        path: std::path::PathBuf,
    },
}

impl Out {
    fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Standard { is_gone: false });
        };
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let new = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        Ok(Self::File {
            new: new.map_err(|error| unusable(path, &error))?,
            path: path.to_owned(),
        })
    }

    /// Takes lines on a thread of its own, so that nobody waits who has signals to hear; at their end it is given
    /// back, with how that went.
    fn taking(mut self, mut lines: mpsc::Receiver<Vec<u8>>) -> Result<(JoinHandle<()>, Taken)> {
        let (given, back) = oneshot::channel();
        let work = move || {
            let mut taken = Ok(());
            while let Some(some) = lines.blocking_recv() {
                taken = self.take(&some);
                if taken.is_err() {
                    break;
                }
            }
            // Whoever was interrupted does not wait for it.
            given.send((self, taken)).ok();
        };
        let thread = Builder::new().name("output".to_owned()).spawn(work);
        let thread = thread.map_err(Error::unavailable("the system", "start a thread"))?;
        Ok((thread, back))
    }

    fn take(&mut self, lines: &[u8]) -> Result<()> {
        match self {
            Self::Standard { is_gone } => put(lines).map_err(|error| {
                *is_gone = error.kind() == ErrorKind::BrokenPipe;
                Error::unavailable("standard output", "take the lines")(error)
            }),
            Self::File { new, path } => {
                new.write_all(lines).map_err(|error| unusable(path, &error))
            }
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Standard { is_gone: true })
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Standard { .. } => Ok(()),
            Self::File { new, path } => {
                let synced = new.as_file().sync_all();
                synced.map_err(|error| unusable(&path, &error))?;
                let done = new.persist(&path);
                done.map(drop)
                    .map_err(|error| unusable(&path, &error.error))
            }
        }
    }
}

fn put(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::Config {
        setting: path.display().to_string(),
        why: error.to_string(),
    }
}
