//! A git repository elsewhere, fetched into a folder of ours: only what is new since the last time.
//!
//! ```text
//! kept from last time ──moved into tmp──> fetch one state ──> read ──> moved back, oldest ones dropped
//! nothing kept ─────────empty one───────┘
//! ```
//!
//! What is kept is moved and never shared, so that two crawls at once do not meet, and a crash leaves
//! nothing half done: the next crawl fetches everything again.

mod lent;
mod receive;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::fetch::user_agent;
use super::locate::Located;
use super::manners::Turn;
use super::{Settings, delay};
use crate::{Error, Result};
use lent::{Lent, Signals};
use receive::{Asked, Fault, renewed};

/// How often the size of a clone under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a clone that was told to end is waited for: one that waits for its host only sees it afterwards.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// The reference under which the fetched state stands.
pub(crate) const STATE: &str = "refs/lockstep/state";
/// Made anew at every use.
const USED: &str = "lockstep-used";
/// The repository within its folder.
const INSIDE: &str = "git";

/// A fetched repository; it goes when it is dropped, unless it is kept.
pub(crate) struct Clone {
    folder: TempDir,
    kept: Option<PathBuf>,
}

impl Clone {
    /// Where it is; its [`STATE`] is what was asked for.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(INSIDE)
    }

    /// Keeps it for the next time, and lets the oldest go while all together are over the limit.
    ///
    /// One that takes more than half of the limit is not kept, so that what is added to it has room.
    /// Blocks. What cannot be kept is fetched again, so that nothing is said of it.
    pub(crate) fn keep(self, bytes_max: u64) {
        let Some(kept) = &self.kept else { return };
        let Some(folder) = kept.parent() else { return };
        if bytes_below(&self.path()) > bytes_max / 2 {
            return;
        }
        std::fs::create_dir_all(folder).ok();
        // What changes in a folder makes its time: that of its last use.
        std::fs::remove_file(self.path().join(USED)).ok();
        std::fs::write(self.path().join(USED), "").ok();
        std::fs::remove_dir_all(kept).ok();
        std::fs::rename(self.path(), kept).ok();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut clones: Vec<_> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        clones.sort();
        let mut total: u64 = clones.iter().map(|(_, path)| bytes_below(path)).sum();
        for (_, path) in clones {
            if total <= bytes_max {
                return;
            }
            total -= bytes_below(&path);
            std::fs::remove_dir_all(path).ok();
        }
    }
}

/// Fetches the last commit of a repository, or of one branch or tag of it.
///
/// Asks public addresses only, as the settings say; follows no redirects, shows what has to be shown to
/// the host that asked for it, reads no configuration of the machine, and gives up over the limits of
/// time and bytes. It asks as often as git has to, in the host's turn, which learns where there was no whole answer.
///
/// # Errors
/// [`Error::Later`] where the host has too many requests, [`Error::TooLarge`], and [`Error::Fetch`] says what else
/// stands against it.
pub(crate) async fn fetch(
    place: &Located,
    turn: &mut Turn,
    reference: Option<&str>,
    settings: &Settings,
) -> Result<Clone> {
    let link = place.url.as_str();
    let fail = |why: String| Error::Fetch {
        link: link.to_owned(),
        why,
    };
    let clone = room(link, reference, settings).await.map_err(fail)?;
    let (folder, kept) = (clone.folder.path().to_owned(), clone.kept.clone());
    let asked = Asked {
        link: link.to_owned(),
        reference: reference.map(str::to_owned),
        authorization: place.authorization.clone(),
        agent: user_agent(settings.contact.as_deref()),
        guard: settings.guard(),
    };
    let stop = Interrupt(Arc::default());
    let signals = Arc::clone(&stop.0);
    let mut fetching = begun(asked, clone, Arc::clone(&signals));
    let time = Duration::from_secs(settings.clone_seconds_max);
    let limit = settings.clone_bytes_max;
    let mut has_come = false;
    let grown = tokio::select! {
        done = &mut fetching => {
            let done = done.map_err(|_| Error::Stopped { part: "the clone" })?;
            let fetched = done.map_err(|mut fault| {
                fault.is_unanswered &= !has_come;
                failed(fault, (place, turn), settings)
            })?;
            return taken(fetched, link, limit);
        }
        bytes = outgrown(&folder, limit, (signals.as_ref(), &mut has_come)) => Some(bytes),
        () = tokio::time::sleep(time) => None,
    };
    if grown.is_some() {
        signals.grow();
    }
    // What was there is gone when it has ended.
    has_come |= signals.is_more_in(&folder);
    drop(stop);
    // It may be within a request, and the turn is for one at a time.
    let done = tokio::time::timeout(STOPS_WITHIN, fetching).await;
    let Some(bytes) = grown else {
        if let Ok(Ok(Ok(fetched))) = done {
            // It was there before it saw that it was to end.
            return taken(fetched, link, limit);
        }
        // A host that sends is not down, however long all takes.
        if !has_come {
            turn.ends(false);
        }
        let why = format!("cloning took longer than {} s", time.as_secs());
        return Err(fail(why));
    };
    if let Some(kept) = kept {
        // With what is new it would be too large at every crawl; alone what is new may fit.
        tokio::fs::remove_dir_all(kept).await.ok();
    }
    Err(too_large(link, bytes, limit))
}

/// A clone, and what moves back what was kept where nobody takes the clone; that first, while the folder is there.
type Fetched = (Option<Lent>, Clone);

/// Fetches on a thread of its own. Whoever stops waiting leaves the folder to it.
fn begun(asked: Asked, clone: Clone, signals: Arc<Signals>) -> JoinHandle<Result<Fetched, Fault>> {
    tokio::task::spawn_blocking(move || {
        let lent = renewed(&asked, clone.kept.as_deref(), &clone.path(), &signals)?;
        Ok((lent, clone))
    })
}

/// Takes a clone that is there, unless it is too large: then what was kept is so, too.
fn taken((lent, clone): Fetched, link: &str, limit: u64) -> Result<Clone> {
    if let Some(lent) = lent {
        lent.take();
    }
    // What came between two looks was not seen.
    match bytes_below(clone.folder.path()) {
        bytes if bytes > limit => Err(too_large(link, bytes, limit)),
        _ => Ok(clone),
    }
}

fn too_large(link: &str, bytes: u64, limit: u64) -> Error {
    Error::TooLarge {
        thing: link.to_owned(),
        bytes,
        limit,
    }
}

/// What a fault means for all who ask the host: one that has too many requests is left alone, and one that gave no
/// whole answer is not counted as answering. How long a pause it wants git does not tell.
fn failed(fault: Fault, (place, turn): (&Located, &mut Turn), settings: &Settings) -> Error {
    if fault.is_unanswered {
        turn.ends(false);
    }
    let (link, manners) = (place.url.to_string(), &settings.manners);
    let now_ms = manners.clock().now_ms();
    let until_ms = fault
        .status
        .and_then(|status| delay::busy(status, None, now_ms));
    let Some(until_ms) = until_ms else {
        return Error::Fetch {
            link,
            why: fault.why,
        };
    };
    manners.leave_until(&place.url, until_ms);
    Error::Later { link, until_ms }
}

/// An empty folder for a repository, and where it is kept afterwards.
async fn room(link: &str, reference: Option<&str>, settings: &Settings) -> Result<Clone, String> {
    let said = |error: std::io::Error| error.to_string();
    tokio::fs::create_dir_all(&settings.tmp)
        .await
        .map_err(said)?;
    let folder = tempfile::Builder::new()
        .prefix("clone-")
        .tempdir_in(&settings.tmp)
        .map_err(said)?;
    let name = format!("{link} {}", reference.unwrap_or_default());
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string();
    Ok(Clone {
        kept: settings.clones.as_ref().map(|clones| clones.join(name)),
        folder,
    })
}

/// Ends when a folder is over the limit, with its size; says meanwhile whether anything came.
async fn outgrown(folder: &Path, limit: u64, (signals, has_come): (&Signals, &mut bool)) -> u64 {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        *has_come |= signals.is_more_in(folder);
        let bytes = bytes_below(folder);
        if bytes > limit {
            return bytes;
        }
    }
}

/// Tells a clone under way to end when nobody waits for it any more.
struct Interrupt(Arc<Signals>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// All that lies below a folder, hidden files too: a pack on its way has the name of one.
fn bytes_below(folder: &Path) -> u64 {
    let (mut folders, mut bytes) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            // Links are not followed.
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_on_its_way_counts() {
        let folder = tempfile::tempdir().unwrap();
        let packs = folder.path().join(".git/objects/pack");
        std::fs::create_dir_all(&packs).unwrap();
        std::fs::write(packs.join(".tmpAbCdEf"), [0; 1_000]).unwrap();
        std::fs::write(folder.path().join("page"), [0; 10]).unwrap();
        assert_eq!(bytes_below(folder.path()), 1_010);
    }

    #[test]
    fn what_is_kept_stays_within_the_limit_and_the_oldest_goes_first() {
        let place = tempfile::tempdir().unwrap();
        let clones = place.path().join("clones");
        let clone = |name: &str| {
            let clone = Clone {
                folder: tempfile::tempdir_in(place.path()).unwrap(),
                kept: Some(clones.join(name)),
            };
            std::fs::create_dir_all(clone.path()).unwrap();
            std::fs::write(clone.path().join("pack"), vec![0; 1_000]).unwrap();
            clone
        };
        let kept = || {
            let names = std::fs::read_dir(&clones).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        for name in ["b", "a", "c"] {
            clone(name).keep(2_500);
        }
        assert_eq!(kept(), ["a", "c"]);
        clone("d").keep(1_500);
        assert_eq!(kept(), ["a", "c"], "one alone can be too large to be kept");
    }
}
