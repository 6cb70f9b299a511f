//! What was kept of a repository, while a clone under way has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::bytes_below;

/// What a clone under way and those who wait for it tell each other.
#[derive(Default)]
pub(super) struct Signals {
    /// Nobody waits for it any more.
    pub(super) stop: AtomicBool,
    has_grown: AtomicBool,
    /// The bytes of the objects that it had when it began.
    had_bytes: AtomicU64,
}

impl Signals {
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// It is over the limit: what was kept would be so at every crawl, with what is new.
    pub(super) fn grow(&self) {
        self.has_grown.store(true, Ordering::Release);
    }

    /// Whether more objects are below the folder than it began with. What a new repository is made of is none.
    pub(super) fn is_more_in(&self, folder: &Path) -> bool {
        let repositories = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let bytes: u64 = repositories.map(|one| objects(&one.path())).sum();
        bytes > self.had_bytes.load(Ordering::Acquire)
    }
}

fn objects(repository: &Path) -> u64 {
    bytes_below(&repository.join("objects"))
}

/// What was kept: it is moved back when this is dropped, unless the clone was taken, or has grown over the limit.
pub(super) struct Lent {
    kept: PathBuf,
    /// Where it is now.
    pub(super) at: PathBuf,
    signals: Arc<Signals>,
    is_taken: bool,
}

impl Lent {
    /// Moves what was kept; none where that cannot be.
    pub(super) fn new(kept: &Path, into: &Path, signals: &Arc<Signals>) -> Option<Self> {
        // Said before it is there, so that no look takes it for something that came.
        let bytes = objects(kept);
        signals.had_bytes.store(bytes, Ordering::Release);
        if std::fs::rename(kept, into).is_err() {
            signals.had_bytes.store(0, Ordering::Release);
            return None;
        }
        Some(Self {
            kept: kept.to_owned(),
            at: into.to_owned(),
            signals: Arc::clone(signals),
            is_taken: false,
        })
    }

    /// The clone was handed on: what was kept is part of it now.
    pub(super) fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_taken && !self.signals.has_grown.load(Ordering::Acquire) {
            std::fs::rename(&self.at, &self.kept).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_unless_the_clone_was_taken_or_has_grown() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, into) = (folder.path().join("kept"), folder.path().join("into"));
        let lent_to = |signals: &Arc<Signals>| {
            std::fs::create_dir(&kept).unwrap();
            Lent::new(&kept, &into, signals).unwrap()
        };
        let signals = Arc::default();
        // Also one that is whole, and that nobody waited for.
        drop(lent_to(&signals));
        assert!(kept.is_dir() && !into.exists());
        std::fs::remove_dir(&kept).unwrap();
        lent_to(&signals).take();
        assert!(!kept.exists() && into.is_dir());
        std::fs::remove_dir(&into).unwrap();
        let guard = lent_to(&signals);
        signals.grow();
        drop(guard);
        assert!(!kept.exists() && into.is_dir());
    }

    #[test]
    fn only_objects_beyond_those_that_were_kept_have_come() {
        let place = tempfile::tempdir().unwrap();
        let (kept, folder) = (place.path().join("kept"), place.path().join("clone"));
        let pack = |repository: &Path, name: &str| {
            let packs = repository.join("objects/pack");
            std::fs::create_dir_all(&packs).unwrap();
            std::fs::write(packs.join(name), [0; 100]).unwrap();
        };
        std::fs::create_dir(&folder).unwrap();
        let into = folder.join("git");
        let signals = Arc::default();
        pack(&kept, "one.pack");
        let lent = Lent::new(&kept, &into, &signals).unwrap();
        std::fs::write(into.join("config"), [0; 1_000]).unwrap();
        assert!(!signals.is_more_in(&folder));
        pack(&into, ".tmpAbCdEf");
        assert!(signals.is_more_in(&folder));
        drop(lent);
    }
}
