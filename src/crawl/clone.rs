//! A git repository elsewhere, fetched into a folder of ours: only what is new since the last time.
//!
//! ```text
//! kept from last time ──moved into tmp──> fetch one state ──> read ──> moved back, oldest ones dropped
//! nothing kept ─────────empty one───────┘
//! ```
//!
//! What is kept is moved and never shared, so that two crawls at once do not meet, and a crash leaves
//! nothing half done: the next crawl fetches everything again.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::client::blocking_io::http;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tempfile::TempDir;
use uuid::Uuid;

use super::Settings;
use super::address::Guard;
use super::fetch::user_agent;
use super::git::{NO_COMMIT, no_reference, said};
use super::locate::Located;
use crate::{Error, Result};

/// How often the size of a clone under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The reference under which the fetched state stands.
pub(crate) const STATE: &str = "refs/lockstep/state";
/// Made anew at every use.
const USED: &str = "lockstep-used";
/// The repository within its folder.
const INSIDE: &str = "git";
/// Every fetch leaves a pack; after so many all is fetched anew, in one.
const PACKS_MAX: usize = 32;

/// The largest object that is unpacked, in bytes: GitHub takes no file of more than 100 MB, and what
/// unpacks to far more is meant to hurt.
const OBJECT_LIMIT: &str = "gitoxide.objects.allocLimit=268435456";

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
/// time and bytes.
pub(crate) async fn fetch(
    place: &Located,
    reference: Option<&str>,
    settings: &Settings,
) -> Result<Clone> {
    let link = place.url.as_str();
    let fail = |why: String| Error::Fetch {
        link: link.to_owned(),
        why,
    };
    let clone = room(link, reference, settings).await.map_err(fail)?;
    let stop = Interrupt(Arc::new(AtomicBool::new(false)));
    let fetching = {
        let (into, kept, stop) = (clone.path(), clone.kept.clone(), stop.0.clone());
        let asked = Asked {
            link: link.to_owned(),
            reference: reference.map(str::to_owned),
            authorization: place.authorization.clone(),
            agent: user_agent(settings.contact.as_deref()),
            guard: settings.guard(),
        };
        tokio::task::spawn_blocking(move || renewed(&asked, kept.as_deref(), &into, &stop))
    };
    let time = Duration::from_secs(settings.clone_seconds_max);
    let limit = settings.clone_bytes_max;
    let too_large = |bytes| Error::TooLarge {
        thing: link.to_owned(),
        bytes,
        limit,
    };
    tokio::select! {
        done = fetching => {
            done.map_err(|_| Error::Stopped { part: "the clone" })?.map_err(fail)?;
        }
        bytes = outgrown(clone.folder.path(), limit) => return Err(too_large(bytes)),
        () = tokio::time::sleep(time) => {
            return Err(fail(format!("cloning took longer than {} s", time.as_secs())));
        }
    }
    // What came between two looks was not seen.
    match bytes_below(clone.folder.path()) {
        bytes if bytes > limit => Err(too_large(bytes)),
        _ => Ok(clone),
    }
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

/// Ends when a folder is over the limit, with its size.
async fn outgrown(folder: &Path, limit: u64) -> u64 {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let bytes = bytes_below(folder);
        if bytes > limit {
            return bytes;
        }
    }
}

/// Tells a clone under way to end when nobody waits for it any more.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is fetched, and as whom.
struct Asked {
    link: String,
    reference: Option<String>,
    authorization: Option<HeaderValue>,
    agent: String,
    guard: Guard,
}

/// Brings what was kept up to date; where that fails, it may be what is broken, and all is fetched.
fn renewed(
    asked: &Asked,
    kept: Option<&Path>,
    into: &Path,
    stop: &AtomicBool,
) -> Result<(), String> {
    let kept = kept.filter(|kept| packs(kept) < PACKS_MAX);
    let moved = kept.filter(|kept| std::fs::rename(kept, into).is_ok());
    let received = obtain(asked, into, stop);
    let Some(kept) = moved.filter(|_| received.is_err()) else {
        return received;
    };
    if stop.load(Ordering::Relaxed) {
        // Nobody waits for it any more: its folder is going, and its host is not asked again for nobody.
        return received;
    }
    let aside = into.with_extension("aside");
    std::fs::rename(into, &aside).map_err(|error| error.to_string())?;
    let anew = obtain(asked, into, stop);
    if anew.is_err() {
        // It was not what was kept that was broken.
        std::fs::rename(&aside, kept).ok();
    }
    anew
}

/// Fetches what is asked for into a repository, which is made where there is none.
fn obtain(asked: &Asked, into: &Path, stop: &AtomicBool) -> Result<(), String> {
    match receive(asked, into, stop) {
        Ok(true) => Ok(()),
        Ok(false) => Err(match &asked.reference {
            Some(name) => no_reference(name),
            None => NO_COMMIT.to_owned(),
        }),
        Err(error) => Err(said(&error)),
    }
}

/// False where the repository has nothing of the name.
fn receive(asked: &Asked, into: &Path, stop: &AtomicBool) -> gix::Result<bool> {
    let options = gix::open::Options::isolated().config_overrides([OBJECT_LIMIT]);
    let git = if into.exists() {
        gix::open_opts(into, options)?
    } else {
        let (kind, how) = (gix::create::Kind::Bare, gix::create::Options::default());
        gix::ThreadSafeRepository::init_opts(into, kind, how, options)?.to_thread_local()
    };
    let wanted = asked.reference.as_deref().unwrap_or("HEAD");
    let remote = git
        .remote_at(asked.link.as_str())?
        .with_fetch_tags(Tags::None)
        .with_refspecs([format!("+{wanted}:{STATE}").as_str()], Direction::Fetch)?;
    let mut connection = remote.connect(Direction::Fetch)?;
    connection.set_credentials(|_| Ok(None));
    connection.set_transport_options(Box::new(transport(asked)));
    let fetch = connection.prepare_fetch(
        gix::progress::Discard,
        gix::remote::ref_map::Options::default(),
    )?;
    let Some(found) = fetch.ref_map().mappings.first() else {
        return Ok(false);
    };
    // A branch on which nothing was committed yet has a name and nothing behind it.
    let Some(there) = found.remote.as_id().map(ToOwned::to_owned) else {
        return Ok(false);
    };
    let here = git.try_find_reference(STATE)?;
    let here = here.and_then(|it| it.target().try_id().map(ToOwned::to_owned));
    if here == Some(there) && git.has_object(there) {
        return Ok(true);
    }
    fetch
        .with_shallow(Shallow::DepthAtRemote(NonZero::<u32>::MIN))
        .receive(gix::progress::Discard, stop)?;
    Ok(true)
}

/// How the server is asked.
fn transport(asked: &Asked) -> http::Options {
    let (guard, authorization) = (asked.guard.clone(), asked.authorization.clone());
    let backend = http::reqwest::Options {
        configure_client: Some(Box::new(move |client| {
            Ok(client.dns_resolver(Arc::new(guard.clone())).no_proxy())
        })),
        // That requests are configured makes the transport refuse redirects, as it should: where they
        // lead, the guard has not looked, and what is shown here is not for there.
        configure_request: Some(Box::new(move |request| {
            if let Some(authorization) = &authorization {
                let headers = request.headers_mut();
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            Ok(())
        })),
    };
    http::Options {
        user_agent: Some(asked.agent.clone()),
        backend: Some(Arc::new(Mutex::new(backend))),
        ..http::Options::default()
    }
}

fn packs(repository: &Path) -> usize {
    let packs = std::fs::read_dir(repository.join("objects/pack"));
    let packs = packs.into_iter().flatten().flatten();
    packs
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "pack"))
        .count()
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
