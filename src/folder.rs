//! The data folder: everything one installation keeps, held by one process at a time.
//!
//! ```text
//! lockstep.lock    locked while a process has the folder
//! lockstep.db      source, queue and manifests, with the format version of the whole folder
//! vectors/         points of the first edition of the index
//! vectors-2/       points of the second, and so on; more than one only during a re-index
//! cache.db         vectors of texts that may come again; it may be lost
//! clones/          git repositories, so that only what is new is fetched; it may be lost
//! model/           the embedding model, unless the settings name another place
//! tmp/             emptied at every start
//! tmp-…/           of one process on services, which removes it at its end; one that was killed leaves it
//! lockstep.toml    the settings, where a person wrote them
//! migration.json   how far a migration to services or back is, while one is under way
//! tokens.json      digests of the tokens of the HTTP API, where there are any; tokens.lock beside it
//! endpoint.json    where the running process listens, and its token
//! ```

mod file;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

pub(crate) use file::{read_whole, remove, rename_into, sync, write_whole};

const LOCK: &str = "lockstep.lock";
const DATABASE: &str = "lockstep.db";
const VECTORS: &str = "vectors";
const MODEL: &str = "model";
/// Written by a person, perhaps before the first start.
const SETTINGS: &str = "lockstep.toml";
/// Made before the first start by whoever is to ask from elsewhere.
const TOKENS: [&str; 3] = ["tokens.json", "tokens.lock", "tokens.new"];
const CACHE: &str = "cache.db";
/// Made by processes on services, which do not take the folder.
const CLONES: &str = "clones";
const TEMPORARY: &str = "tmp";
const ENDPOINT: &str = "endpoint.json";
const MIGRATION: &str = "migration.json";

/// A data folder in our hands. Dropping it withdraws the endpoint and lets the folder go.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held open: the system unlocks it when the process ends, however it ends.
    _lock: File,
}

/// Where the running process listens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `http://127.0.0.1:7700`
    pub address: String,
    /// What a command shows to be let in.
    pub token: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({}, token withheld)", self.address)
    }
}

impl Folder {
    /// What the name of a folder begins with in which one process on services has what need not outlive it.
    pub(crate) const TEMPORARY_OF_ONE: &str = "tmp-";

    /// Takes the folder for this process, making it (for its owner alone) when there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Data`] when it cannot be used.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |error| unusable(path, &error);
        if fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Err(fail(ErrorKind::NotADirectory.into()));
        }
        make_private(path).map_err(fail)?;
        refuse_foreign(path)?;
        let lock = lock(path)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        // What a process that was killed has left behind.
        folder.withdraw().map_err(fail)?;
        absent_is_fine(fs::remove_dir_all(folder.temporary())).map_err(fail)?;
        make_private(&folder.temporary()).map_err(fail)?;
        make_private(&folder.vectors()).map_err(fail)?;
        Ok(folder)
    }

    /// Takes a folder that something was brought into, and makes none: for whoever asks about what is there.
    ///
    /// # Errors
    /// As [`Self::open`], and [`Error::Data`] where there is nothing.
    pub fn open_filled(path: &Path) -> Result<Self> {
        if Self::is_vacant(path)? {
            if path.join(LOCK).exists() {
                // Where a process is just making it, that is said.
                drop(lock(path)?);
            }
            return Err(Error::Data {
                path: path.to_owned(),
                why: "there is nothing in it: crawl something into it first (lockstep crawl <link> \
                      --author \"First Last\"), or name the folder that has your documents with --data"
                    .to_owned(),
            });
        }
        Self::open(path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database's file.
    pub fn database(&self) -> PathBuf {
        Self::database_in(&self.path)
    }

    /// The database's file in the folder at `data`.
    pub fn database_in(data: &Path) -> PathBuf {
        data.join(DATABASE)
    }

    /// Whether a restore may make the folder at `data`: there is none, or nothing in it but what may be there
    /// before the first start, or what a restore that was cut off has left.
    ///
    /// # Errors
    /// [`Error::Data`] for one that cannot be read.
    pub fn is_vacant(data: &Path) -> Result<bool> {
        let entries = match fs::read_dir(data) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(unusable(data, &error)),
        };
        for entry in entries {
            let name = entry.map_err(|error| unusable(data, &error))?.file_name();
            let is_vectors = name == VECTORS && is_empty(&data.join(VECTORS));
            let may_be_there = [MODEL, LOCK, SETTINGS, TEMPORARY, CACHE, CLONES];
            let mut may_be_there = may_be_there.iter().chain(&TOKENS);
            let is_temporary = name.to_string_lossy().starts_with(Self::TEMPORARY_OF_ONE);
            if !is_vectors && !is_temporary && may_be_there.all(|there| name != *there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The folder of the points.
    pub fn vectors(&self) -> PathBuf {
        self.path.join(VECTORS)
    }

    /// The file of the vectors of texts that may come again, in the folder at `data`.
    pub fn cache(data: &Path) -> PathBuf {
        data.join(CACHE)
    }

    /// The file that tells how far a migration is.
    pub fn migration(&self) -> PathBuf {
        self.path.join(MIGRATION)
    }

    /// The folder of the embedding model; it need not be there.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// A folder for what need not outlive the process.
    pub fn temporary(&self) -> PathBuf {
        self.path.join(TEMPORARY)
    }

    /// Tells commands where this process listens; readable by the owner alone.
    pub fn announce(&self, endpoint: &Endpoint) -> Result<()> {
        let fail = |error| unusable(&self.path, &error);
        let new = self.temporary().join(ENDPOINT);
        absent_is_fine(fs::remove_file(&new)).map_err(fail)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(fail)?;
        let text = serde_json::to_vec(endpoint)
            .map_err(|error| fail(io::Error::new(ErrorKind::InvalidData, error)))?;
        file.write_all(&text).map_err(fail)?;
        // Renamed when whole, so that nobody reads half of it.
        fs::rename(new, self.path.join(ENDPOINT)).map_err(fail)
    }

    /// Takes the announcement back.
    fn withdraw(&self) -> io::Result<()> {
        absent_is_fine(fs::remove_file(self.path.join(ENDPOINT)))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is removed by the next process that takes the folder.
        self.withdraw().ok();
    }
}

impl Endpoint {
    /// The endpoint of the process that has this data folder, if it announced one.
    ///
    /// A process that was killed leaves its endpoint behind: whoever finds nobody listening there, or
    /// somebody who does not know the token, tries to open the folder.
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(ENDPOINT);
        let Some(text) = read_whole(&path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::malformed(path.display().to_string(), error.to_string()))
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Makes a folder for its owner alone, where there is none.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Keeps us from making ourselves at home, and emptying `tmp/`, in a folder of somebody else.
fn refuse_foreign(path: &Path) -> Result<()> {
    if path.join(LOCK).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| unusable(path, &error))? {
        let name = entry.map_err(|error| unusable(path, &error))?.file_name();
        let mut names = [MODEL, LOCK, SETTINGS, CLONES].iter().chain(&TOKENS);
        let of_one = name
            .as_encoded_bytes()
            .starts_with(Folder::TEMPORARY_OF_ONE.as_bytes());
        if !of_one && names.all(|ours| name != *ours) {
            let why = "it holds other files, so it is no data folder of lockstep: name an empty or \
                       new one with --data";
            return Err(data(path, why.to_owned()));
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.join(LOCK))
        .map_err(|error| unusable(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| is_absent(&error).then_some(()).ok_or(error))
}

fn data(path: &Path, why: String) -> Error {
    Error::Data {
        path: path.to_owned(),
        why,
    }
}

/// What the system said about the folder, with what to do.
fn unusable(path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user, or name another with --data"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "name a folder, not a file, with --data"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on the disk, then start again"
        }
        _ => "look at the disk, or name another folder with --data",
    };
    data(path, format!("{error}: {advice}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn one_process_has_the_folder_until_it_lets_it_go() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        let first = Folder::open(&path).unwrap();
        let second = Folder::open(&path).unwrap_err();
        assert!(matches!(second, Error::Locked { .. }));
        assert!(second.to_string().contains("in use by another process"));
        drop(first);
        assert!(Folder::open(&path).is_ok());
    }

    #[test]
    fn the_folder_and_the_endpoint_are_the_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        let folder = Folder::open(&path).unwrap();
        let endpoint = Endpoint {
            address: "http://127.0.0.1:7700".to_owned(),
            token: "secret".to_owned(),
        };
        folder.announce(&endpoint).unwrap();
        folder.announce(&endpoint).unwrap();
        assert_eq!(Endpoint::find(&path).unwrap(), Some(endpoint.clone()));
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(ENDPOINT)), 0o600);
        assert!(!format!("{endpoint:?}").contains("secret"));
        drop(folder);
        assert_eq!(Endpoint::find(&path).unwrap(), None);
    }

    #[test]
    fn opening_clears_what_a_killed_process_left() {
        let home = tempfile::tempdir().unwrap();
        drop(Folder::open(home.path()).unwrap());
        fs::write(home.path().join("tmp/half"), "half").unwrap();
        fs::write(home.path().join(ENDPOINT), r#"{"address":"x","token":"y"}"#).unwrap();
        let folder = Folder::open(home.path()).unwrap();
        assert_eq!(fs::read_dir(folder.temporary()).unwrap().count(), 0);
        assert_eq!(Endpoint::find(home.path()).unwrap(), None);
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("tmp")).unwrap();
        fs::write(home.path().join("tmp/thesis"), "years of work").unwrap();
        let error = Folder::open(home.path()).unwrap_err();
        assert!(error.to_string().contains("holds other files"), "{error}");
        assert!(home.path().join("tmp/thesis").exists());
        assert!(!home.path().join(LOCK).exists());
    }

    #[test]
    fn a_new_folder_may_hold_the_settings_already() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(SETTINGS), "").unwrap();
        assert!(Folder::open(home.path()).is_ok());
    }

    #[test]
    fn a_file_is_no_folder_and_says_so() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = Folder::open(&path).unwrap_err().to_string();
            assert!(error.contains("name a folder, not a file"), "{error}");
        }
    }
}
