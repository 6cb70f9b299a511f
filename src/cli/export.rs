//! An export into a file or to standard output, through the running process or by this one.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::arguments::Export;
use super::{Exit, print, progress, render};
use crate::command::Reporter;
use crate::config::Config;
use crate::export::{Selection, Summary};
use crate::serve::Client;
use crate::shutdown::{self, Shutdown};
use crate::{Error, Result, run};

/// Writes the lines, then the manifest, and says what was written.
pub(super) async fn export(config: Config, asked: Export, json: bool) -> Result<Exit> {
    let selection = asked.selection()?;
    let mut out = Out::open(asked.output.as_deref())?;
    let done = shutdown::until_insisted(|shutdown| {
        Box::pin(written(config, selection, &mut out, shutdown))
    });
    let summary = match done.await {
        Ok(Some(Some(summary))) => summary,
        Ok(_) => return Ok(Exit::Interrupted),
        // Whoever reads it may stop reading: that is no failure.
        Err(_) if out.is_gone() => return Ok(Exit::Done),
        Err(error) => return Err(error),
    };
    let is_file = asked.output.is_some();
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
    out: &mut Out,
    shutdown: Shutdown,
) -> Result<Option<Summary>> {
    let (report, progress) = Reporter::new();
    let mut take = |lines: &[u8]| out.take(lines);
    let work = async {
        let stop = shutdown::requested(shutdown);
        if let Some(client) = Client::find(&config.data).await? {
            return tokio::select! {
                biased;
                () = stop => Ok(None),
                summary = client.export(&selection, &mut take) => summary.map(Some),
            };
        }
        Box::pin(run::export(config, selection, &mut take, (report, stop))).await
    };
    progress::shown_while(progress, Box::pin(work)).await
}

fn said(summary: &Summary) -> String {
    let as_of = summary.as_of.as_deref().unwrap_or("not known yet");
    format!(
        "{} documents, {} lines, {} bytes, as of {as_of}, sha-256 {}\n",
        summary.documents, summary.lines, summary.bytes, summary.sha256
    )
}

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

    fn take(&mut self, lines: &[u8]) -> Result<()> {
        match self {
            Self::Standard { is_gone } => io::stdout().lock().write_all(lines).map_err(|error| {
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
            Self::Standard { .. } => io::stdout()
                .lock()
                .flush()
                .map_err(Error::unavailable("standard output", "take the lines")),
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

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::Config {
        setting: path.display().to_string(),
        why: error.to_string(),
    }
}
