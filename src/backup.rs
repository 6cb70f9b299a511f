//! A copy of a data folder, made while it is in use, and a data folder made from one.
//!
//! ```text
//! lockstep.db ──one read transaction──> source.db    documents, what the crawl remembers, the epoch
//! index ──texts and their vectors─────> vectors.db   a shelf, as the embedding cache is one
//! lockstep.toml, tokens.json ─────────> as they are     │
//!                                  digests of all ──────┴──> manifest.json ──> renamed to its name
//! ```
//!
//! The index itself is not in it: it is made again from the source, and finds every vector on the shelf. So
//! the promise that what a manifest names is among the vectors holds for a restored folder whatever was
//! written while the copy was made, and the order of the copies does not matter: a vector is a function
//! of a text and a model, and one that is missing is made. A copy of the engine's segments would need all
//! writes to stand still from the first file of them to the end of the database's copy, and would be
//! bound to the engine's version. All documents are read again after a restore in any case, since its epoch is
//! a new one. Nor are there the model and the clones, which are fetched again, and the queue and the change
//! log, whose changes are in the documents.
//!
//! A backup is there as a whole or not at all. A restore has these states:
//!
//! | in the folder | what is true | cut off here |
//! |---|---|---|
//! | nothing | every digest of the backup was right | |
//! | `tmp/` | the source is copied, with a checkpoint of the next epoch and a snapshot of everything planned | restored anew: the next start empties `tmp/` |
//! | also `cache.db`, settings, tokens | the shelf is there | restored anew, over them |
//! | also `lockstep.db` | a data folder like any other, whose index is behind | `lockstep up`, or any command that reads the index, goes on |

mod manifest;

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::folder::{make_private, read_whole, sync, write_whole};
use crate::token::hex;
use crate::{Error, Result};

pub use manifest::{About, Entry, Manifest, Vectors};

/// Documents and what the crawl remembers.
pub const SOURCE: &str = "source.db";
/// Vectors by the texts that they are of.
pub const VECTORS: &str = "vectors.db";
/// What a person wrote, and who is let in, by the names that they have in a data folder.
pub const PLAIN: [&str; 2] = ["lockstep.toml", "tokens.json"];
const MANIFEST: &str = "manifest.json";

/// A backup that is being made, under a name of its own beside the one that it gets.
#[derive(Debug)]
pub struct Writing {
    folder: TempDir,
    path: PathBuf,
}

impl Writing {
    /// Begins one that is to stand there.
    ///
    /// # Errors
    /// [`Error::Config`] where something stands there already, or nothing can be written.
    pub fn begin(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|error| Error::unusable(path, &error))?;
        if path.symlink_metadata().is_ok() {
            let error = io::Error::other("it is there already: name another folder, or remove it");
            return Err(Error::unusable(&path, &error));
        }
        // For its owner alone, as the data folder is: it holds what that holds.
        let folder = make_private(parent(&path)).and_then(|()| {
            tempfile::Builder::new()
                .prefix(".lockstep-backup-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(parent(&path))
        });
        let folder = folder.map_err(|error| Error::unusable(&path, &error))?;
        Ok(Self { folder, path })
    }

    /// Where this file of it is to be written.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes a file of a data folder as it is, where there is one.
    pub fn take(&self, data: &Path, name: &str) -> Result<()> {
        match read_whole(&data.join(name))? {
            Some(bytes) => write_whole(&self.file(name), &bytes),
            None => Ok(()),
        }
    }

    /// Writes the digests of all files, makes everything survive a power cut, and gives it its name. Blocks.
    pub fn finish(self, about: About) -> Result<Manifest> {
        let fail = |error: &io::Error| Error::unusable(&self.path, error);
        let mut files = BTreeMap::new();
        for name in [SOURCE, VECTORS].iter().chain(&PLAIN) {
            let path = self.file(name);
            if path.exists() {
                let entry = entry(&path).map_err(|error| fail(&error))?;
                files.insert((*name).to_owned(), entry);
            }
        }
        let manifest = Manifest::new(about, files);
        write_whole(&self.file(MANIFEST), &manifest.sealed()?)?;
        let above = parent(&self.path).to_owned();
        let (folder, path) = (self.folder.keep(), self.path);
        let named = fs::rename(&folder, &path).and_then(|()| sync(&above));
        named.map_err(|error| {
            // It has no name, and nobody would look for it.
            fs::remove_dir_all(&folder).ok();
            Error::unusable(&path, &error)
        })?;
        Ok(manifest)
    }
}

/// A backup whose files are as they were written.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Opens one and compares every file with its digest. Blocks.
    ///
    /// # Errors
    /// [`Error::Malformed`] that names the file that is missing, of another length or damaged, or says that
    /// there is no backup, or one of a later format.
    pub fn open(path: &Path) -> Result<Self> {
        let text = read_whole(&path.join(MANIFEST))?;
        let text = text.ok_or_else(|| malformed(path, "there is no manifest.json in it"))?;
        let manifest = Manifest::read(&text).map_err(|why| malformed(path, &why))?;
        let backup = Self {
            path: path.to_owned(),
            manifest,
        };
        for (name, wanted) in &backup.manifest.files {
            let found = entry(&path.join(name));
            let why = match found {
                Ok(found) if found == *wanted => continue,
                Ok(found) if found.bytes != wanted.bytes => {
                    format!(
                        "{name} has {} bytes instead of {}",
                        found.bytes, wanted.bytes
                    )
                }
                Ok(_) => format!("{name} is not as it was written: its digest is another one"),
                Err(error) => format!("{name} cannot be read: {error}"),
            };
            return Err(malformed(path, &why));
        }
        Ok(backup)
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A file of it; none where it has none of this name.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        let is_there = self.manifest.files.contains_key(name);
        is_there.then(|| self.path.join(name))
    }

    /// Copies a file to this place and compares what is there then; on the disk when this returns. Blocks.
    /// False where the backup has none of this name.
    pub fn unpack(&self, name: &str, to: &Path) -> Result<bool> {
        let Some(wanted) = self.manifest.files.get(name) else {
            return Ok(false);
        };
        let copied = fs::copy(self.path.join(name), to).and_then(|_| entry(to));
        let found = copied.map_err(|error| Error::unusable(to, &error))?;
        if found != *wanted {
            return Err(malformed(&self.path, &format!("{name} came out otherwise")));
        }
        Ok(true)
    }
}

/// Length and digest of a file, which is on the disk when this returns.
fn entry(path: &Path) -> io::Result<Entry> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hash.update(part);
        bytes += read as u64;
    }
    let sha256 = hex(&hash.finalize());
    Ok(Entry { bytes, sha256 })
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn malformed(path: &Path, why: &str) -> Error {
    Error::malformed(
        format!("backup {}", path.display()),
        format!("{why}; use another backup"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            program: "0.1.0".to_owned(),
            made_at: "2026-01-31T12:00:00Z".to_owned(),
            epoch: 3,
            documents: [("posts".to_owned(), 2)].into(),
            vectors: Vectors::default(),
        }
    }

    fn made(home: &Path) -> PathBuf {
        let path = home.join("backup");
        let writing = Writing::begin(&path).unwrap();
        fs::write(writing.file(SOURCE), "documents").unwrap();
        fs::write(writing.file(VECTORS), "vectors").unwrap();
        writing.finish(about()).unwrap();
        path
    }

    #[test]
    fn a_backup_is_its_owners_alone_and_makes_the_folder_that_it_is_in() {
        let home = tempfile::tempdir().unwrap();
        let path = made(&home.path().join("backups"));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn what_was_written_is_opened_and_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let path = made(home.path());
        let backup = Backup::open(&path).unwrap();
        assert_eq!(backup.manifest().about, about());
        let copy = home.path().join("copy");
        assert!(backup.unpack(SOURCE, &copy).unwrap());
        assert_eq!(fs::read(&copy).unwrap(), b"documents");
        assert!(!backup.unpack(PLAIN[0], &copy).unwrap());
        // Nothing but the backup and the copy is there: no half of it under another name.
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }

    #[test]
    fn every_byte_counts_and_the_file_is_named() {
        for name in [SOURCE, VECTORS, MANIFEST] {
            let home = tempfile::tempdir().unwrap();
            let path = made(home.path());
            let whole = fs::read(path.join(name)).unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                fs::write(path.join(name), damaged).unwrap();
                let error = Backup::open(&path).unwrap_err().to_string();
                assert!(error.contains(name), "byte {at} of {name}: {error}");
            }
            fs::write(path.join(name), &whole[1..]).unwrap();
            assert!(
                Backup::open(&path).is_err(),
                "{name} without its first byte"
            );
            fs::remove_file(path.join(name)).unwrap();
            let error = Backup::open(&path).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_backup_is_never_written_over() {
        let home = tempfile::tempdir().unwrap();
        let path = made(home.path());
        let error = Writing::begin(&path).unwrap_err().to_string();
        assert!(error.contains("there already"), "{error}");
        assert!(Backup::open(&path).is_ok());
    }
}
