//! Where an export is written: standard output, a pipe or a device, or a file that is there when it is whole.
//!
//! ```text
//! lines ──> a thread of its own ──take──> finish        a link: what it leads to; a device: itself, never replaced
//! ```

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use tempfile::NamedTempFile;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Result};

/// Where what was opened before has a name; such a file is somebody's who goes on writing it.
const OPEN_ALREADY: [&str; 4] = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
/// Symbolic links behind each other; the system follows no more.
const LINKS_MAX: usize = 40;

/// An output that comes back, with how taking went.
pub(super) type Taken = oneshot::Receiver<(Out, Result<()>)>;

/// Where lines go. A file is there when it is whole, or not at all.
pub(super) enum Out {
    Standard {
        is_gone: bool,
    },
    /// What is there and is no file, as a pipe or a device. It is opened by whoever writes: that may have to wait for
    /// a reader.
    Through {
        file: Option<File>,
        path: PathBuf,
        is_gone: bool,
    },
    File {
        new: NamedTempFile,
        path: PathBuf,
    },
}

impl Out {
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Standard { is_gone: false });
        };
        if is_stream(path).map_err(|error| Error::unusable(path, &error))? {
            return Ok(Self::Through {
                file: None,
                path: path.to_owned(),
                is_gone: false,
            });
        }
        let path = resolved(path);
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let new = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        Ok(Self::File {
            new: new.map_err(|error| Error::unusable(&path, &error))?,
            path,
        })
    }

    /// Takes lines on a thread of its own, so that nobody waits who has signals to hear; at their end it is given
    /// back, with how that went.
    pub(super) fn taking(
        mut self,
        mut lines: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(JoinHandle<()>, Taken)> {
        let (given, back) = oneshot::channel();
        let work = move || {
            // Nothing yet, so that a reader of nothing sees the end of it.
            let mut taken = self.take(&[]);
            while taken.is_ok()
                && let Some(some) = lines.blocking_recv()
            {
                taken = self.take(&some);
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
            Self::Through {
                file,
                path,
                is_gone,
            } => appended(file, path, lines).map_err(|error| {
                *is_gone = error.kind() == ErrorKind::BrokenPipe;
                Error::unusable(path, &error)
            }),
            Self::File { new, path } => new
                .write_all(lines)
                .map_err(|error| Error::unusable(path, &error)),
        }
    }

    /// Whether both become the same file, so that only the later one would be there.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path, .. }, Self::File { path: other, .. }) => {
                whole(path) == whole(other)
            }
            _ => false,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Standard { is_gone } | Self::Through { is_gone, .. } => *is_gone,
            Self::File { .. } => false,
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Standard { .. } | Self::Through { .. } => Ok(()),
            Self::File { new, path } => {
                let synced = new.as_file().sync_all();
                synced.map_err(|error| Error::unusable(&path, &error))?;
                let done = new.persist(&path);
                done.map(drop)
                    .map_err(|error| Error::unusable(&path, &error.error))
            }
        }
    }
}

/// Whether it is there and would be lost by a file in its place.
fn is_stream(path: &Path) -> io::Result<bool> {
    if OPEN_ALREADY.iter().any(|open| path.starts_with(open)) {
        return Ok(true);
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(found) => Ok(!found.is_file()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a symbolic link leads to, be it there or not.
fn resolved(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path
}

/// The one spelling of where a file is to be, whose folder is there.
fn whole(path: &Path) -> Option<(PathBuf, &OsStr)> {
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    Some((folder.canonicalize().ok()?, path.file_name()?))
}

fn appended(file: &mut Option<File>, path: &Path, lines: &[u8]) -> io::Result<()> {
    let open = match file.take() {
        Some(open) => open,
        None => OpenOptions::new().append(true).open(path)?,
    };
    file.insert(open).write_all(lines)
}

fn put(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn written(path: &Path) {
        let mut out = Out::open(Some(path)).unwrap();
        out.take(b"one\n").unwrap();
        out.take(b"two\n").unwrap();
        out.finish().unwrap();
    }

    /// No device of the machine's own: were it replaced, all that runs would miss it.
    #[test]
    fn what_is_no_file_is_written_and_stays_what_it_is() {
        let home = tempfile::tempdir().unwrap();
        let (pipe, link) = (home.path().join("pipe"), home.path().join("link"));
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
        symlink("pipe", &link).unwrap();
        // Open at both ends, so that nobody waits for the other.
        let both = OpenOptions::new().read(true).write(true).open(&pipe);
        let mut both = both.unwrap();
        written(&link);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("pipe"));
        assert!(!fs::metadata(&pipe).unwrap().is_file());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
        let mut read = [0; 8];
        both.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one\ntwo\n");
    }

    #[test]
    fn what_a_link_leads_to_is_made_anew_and_the_link_stays() {
        let home = tempfile::tempdir().unwrap();
        let below = home.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("there"), "old and longer").unwrap();
        for target in ["below/there", "below/not-yet"] {
            let (link, first) = (home.path().join("link"), home.path().join("first"));
            symlink(target, &first).unwrap();
            symlink("first", &link).unwrap();
            written(&link);
            assert_eq!(fs::read_link(&link).unwrap(), Path::new("first"));
            let text = fs::read_to_string(home.path().join(target)).unwrap();
            assert_eq!(text, "one\ntwo\n", "{target}");
            fs::remove_file(link).unwrap();
            fs::remove_file(first).unwrap();
        }
        let error = Out::open(Some(&below)).err().unwrap();
        assert!(error.to_string().contains("directory"), "{error}");
    }

    #[tokio::test]
    async fn a_pipe_has_the_lines_once_somebody_reads() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
        let (lines, taken) = mpsc::channel(1);
        let (thread, out) = Out::open(Some(&pipe)).unwrap().taking(taken).unwrap();
        lines.send(b"one\n".to_vec()).await.unwrap();
        drop(lines);
        let mut read = [0; 4];
        File::open(&pipe).unwrap().read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one\n");
        let (out, taken) = out.await.unwrap();
        taken.unwrap();
        assert!(!out.is_gone());
        thread.join().unwrap();
    }
}
