//! An export into a file or to standard output, through the running process or by this one.

mod out;

use std::path::Path;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::arguments::Export;
use super::{Exit, print, progress, render};
use crate::command::Reporter;
use crate::config::Config;
use crate::export::{Selection, Summary};
use crate::serve::Client;
use crate::shutdown::{self, Shutdown};
use crate::{Error, Result, run};
use out::Out;

/// Pieces of lines that wait to be written.
const WAITING: usize = 4;

/// Writes the lines, then the manifest, and says what was written.
pub(super) async fn export(config: Config, asked: Export, json: bool) -> Result<Exit> {
    let selection = asked.selection()?;
    let output = asked.output.as_deref();
    let output = output.filter(|path| *path != Path::new("/dev/stdout"));
    let (out, manifest) = opened(output, asked.manifest.as_deref())?;
    let is_new = matches!(out, Out::File { .. });
    let (lines, taken) = mpsc::channel(WAITING);
    let (thread, out) = out.taking(taken)?;
    let done = shutdown::until_insisted(|shutdown| {
        Box::pin(async move {
            let summary = written(config, selection, lines, shutdown.clone()).await;
            if summary.is_err() && !is_new {
                // A pipe may wait for somebody who reads, and what went wrong is not to.
                return match out.now_or_never() {
                    Some(out) => Ok(Some((summary, out))),
                    None => summary.map(|_| None),
                };
            }
            tokio::select! {
                biased;
                () = shutdown::requested(shutdown) => summary.map(|_| None),
                out = out => Ok(Some((summary, out))),
            }
        })
    });
    let done = done.await;
    let Ok(Some(Some((summary, Ok((out, taken)))))) = done else {
        if is_new {
            // It removes what is not whole. Anything else is not waited for: perhaps nobody reads it.
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
    if let Some(manifest) = manifest
        && !is_put(manifest, render::pretty(&summary)?).await?
    {
        return Ok(Exit::Interrupted);
    }
    if output.is_some() {
        return print(&text);
    }
    // Standard output has the lines.
    anstream::eprint!("{text}");
    Ok(Exit::Done)
}

/// Where the lines go, and the manifest: both before any work, so that nobody hears only at the end of a long export
/// that one of them cannot be written.
fn opened(output: Option<&Path>, manifest: Option<&Path>) -> Result<(Out, Option<Out>)> {
    let out = Out::open(output)?;
    let Some(path) = manifest else {
        return Ok((out, None));
    };
    let manifest = Out::open(Some(path))?;
    if manifest.replaces(&out) {
        return Err(Error::Config {
            setting: "--manifest".into(),
            why: format!(
                "{} is what --output names: give it another one",
                path.display()
            ),
        });
    }
    Ok((out, Some(manifest)))
}

/// Writes a text as a whole; not so where it was interrupted, as before a pipe that nobody reads.
async fn is_put(out: Out, text: String) -> Result<bool> {
    let (lines, taken) = mpsc::channel(WAITING);
    let (_, out) = out.taking(taken)?;
    let done = shutdown::until_insisted(|shutdown| async move {
        // Where nobody takes it any more, the reason comes back.
        lines.send(text.into_bytes()).await.ok();
        drop(lines);
        tokio::select! {
            biased;
            () = shutdown::requested(shutdown) => Ok(None),
            out = out => Ok(out.ok()),
        }
    });
    let Some((out, taken)) = done.await?.flatten() else {
        return Ok(false);
    };
    if !out.is_gone() {
        taken?;
        out.finish()?;
    }
    Ok(true)
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
