//! Files that are there as a whole or not at all, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::{absent_is_fine, is_absent, unusable};
use crate::Result;

/// The bytes of a file; none where it is not there.
///
/// # Errors
/// [`crate::Error::Data`] for one that cannot be read.
pub(crate) fn read_whole(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// Writes a file for its owner alone: on the disk when this returns, and never seen half written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync(parent)
    };
    write().map_err(|error| unusable(path, &error))
}

/// Gives a file its place, which survives a power cut when this returns.
pub(crate) fn rename_into(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().unwrap_or(Path::new("."));
    let moved = File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(from, to))
        .and_then(|()| sync(parent));
    moved.map_err(|error| unusable(to, &error))
}

/// Removes a file that may be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    absent_is_fine(fs::remove_file(path)).map_err(|error| unusable(path, &error))
}

/// Makes the names in a folder survive a power cut.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
