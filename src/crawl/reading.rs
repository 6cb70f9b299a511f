//! Readers that block, on threads of their own.

use tokio::task::spawn_blocking;

use super::Progress;
use super::harvest::Harvest;
use super::write::Writer;
use crate::logbook::Logbook;
use crate::source::Source;
use crate::{Error, Result};

/// Runs a reader on a thread of its own and takes what it hands on.
pub(crate) async fn pour<S: Source + Logbook, P: Progress>(
    writer: &mut Writer<'_, S, P>,
    read: impl FnOnce(&Harvest) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (harvest, mut found) = Harvest::channel();
    let reading = spawn_blocking(move || read(&harvest));
    while let Some(found) = found.recv().await {
        writer.take(found).await?;
    }
    reading
        .await
        .map_err(|_| Error::Stopped { part: "the reader" })?
}

/// Does something that blocks, and waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .map_err(|_| Error::Stopped { part: "the reader" })?
}
