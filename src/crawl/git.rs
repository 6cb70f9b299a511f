//! One git repository: the committed state of HEAD, from disk or cloned for the occasion.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::client::blocking_io::http;
use gix::remote::fetch::Shallow;
use tempfile::TempDir;
use url::Url;

use super::Settings;
use super::address::Guard;
use super::fetch::user_agent;
use super::harvest::{Context, Harvest};
use super::repository::Intake;
use crate::document::Repository;
use crate::{Error, Result};

/// How often the size of a clone under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reads every file that HEAD's tree holds. Blocks.
///
/// A file's size is asked of its object's header, so that one over the limit is never unpacked.
pub(crate) fn head(
    path: &Path,
    repository: &Repository,
    context: &Context,
    harvest: &Harvest,
) -> Result<()> {
    let fail = |error: gix::Error| failure(&repository.link, &error);
    let git = gix::open_opts(path, gix::open::Options::isolated()).map_err(fail)?;
    let tree = git.head_tree().map_err(fail)?;
    let mut files = tree.traverse().breadthfirst.files().map_err(fail)?;
    files.sort_by(|a, b| a.filepath.cmp(&b.filepath));
    let mut intake = Intake::new(repository, context, harvest);
    for file in files {
        if harvest.is_closed() {
            return Ok(());
        }
        if file.mode.is_tree() {
            continue;
        }
        let Ok(path) = String::from_utf8(file.filepath.to_vec()) else {
            intake.pass(&file.filepath.to_string(), "its path is not UTF-8");
            continue;
        };
        if file.mode.is_link() {
            intake.pass(&path, "a symbolic link, not followed");
        } else if file.mode.is_commit() {
            intake.pass(&path, "a submodule, not followed");
        } else {
            let bytes = git.find_header(file.oid).map_err(fail)?.size();
            if intake.wants(&path, bytes) {
                let mut blob = git.find_blob(file.oid).map_err(fail)?;
                intake.add(path, blob.take_data());
            }
        }
    }
    intake.finish();
    Ok(())
}

/// Clones a repository's last commit, bare, into a folder of its own that goes when it is dropped.
///
/// Asks public addresses only, as the settings say; follows no redirects, sends no credentials,
/// reads no configuration of the machine, and gives up over the limits of time and bytes.
pub(crate) async fn clone(url: &Url, settings: &Settings) -> Result<TempDir> {
    let fail = |why: String| Error::Fetch {
        link: url.to_string(),
        why,
    };
    let guard = settings.guard();
    guard.permit(url).map_err(fail)?;
    tokio::fs::create_dir_all(&settings.tmp)
        .await
        .map_err(|error| fail(error.to_string()))?;
    let folder = tempfile::Builder::new()
        .prefix("clone-")
        .tempdir_in(&settings.tmp)
        .map_err(|error| fail(error.to_string()))?;
    let stop = Interrupt(Arc::new(AtomicBool::new(false)));
    let fetching = {
        let (link, into, stop) = (url.to_string(), folder.path().to_owned(), stop.0.clone());
        let agent = user_agent(settings.contact.as_deref());
        tokio::task::spawn_blocking(move || fetch(&link, &into, &agent, (&guard, &stop)))
    };
    let watched = async {
        let limit = settings.clone_bytes_max;
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let bytes = bytes_below(folder.path());
            if bytes > limit {
                return Error::TooLarge {
                    thing: url.to_string(),
                    bytes,
                    limit,
                };
            }
        }
    };
    let time = Duration::from_secs(settings.clone_seconds_max);
    tokio::select! {
        done = fetching => {
            done.map_err(|_| Error::Stopped { part: "the clone" })?
                .map_err(|error| failure(url.as_str(), &error))?;
        }
        error = watched => return Err(error),
        () = tokio::time::sleep(time) => {
            return Err(fail(format!("cloning took longer than {} s", time.as_secs())));
        }
    }
    Ok(folder)
}

/// Tells a clone under way to end when nobody waits for it any more.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn fetch(
    link: &str,
    into: &Path,
    agent: &str,
    (guard, stop): (&Guard, &AtomicBool),
) -> gix::Result<()> {
    let (guard, agent) = (guard.clone(), agent.to_owned());
    let mut clone = gix::clone::PrepareFetch::new(
        link,
        into,
        gix::create::Kind::Bare,
        gix::create::Options::default(),
        gix::open::Options::isolated(),
    )?
    .with_shallow(Shallow::DepthAtRemote(NonZero::<u32>::MIN))
    .configure_connection(move |connection| {
        let guard = Arc::new(guard.clone());
        let backend = http::reqwest::Options {
            configure_client: Some(Box::new(move |client| {
                Ok(client.dns_resolver(guard.clone()).no_proxy())
            })),
            // That requests are configured makes the transport refuse redirects, as it should:
            // where they lead, the guard has not looked.
            configure_request: Some(Box::new(|_| Ok(()))),
        };
        connection.set_credentials(|_| Ok(None));
        connection.set_transport_options(Box::new(http::Options {
            user_agent: Some(agent.clone()),
            backend: Some(Arc::new(Mutex::new(backend))),
            ..http::Options::default()
        }));
        Ok(())
    });
    clone.fetch_only(gix::progress::Discard, stop)?;
    Ok(())
}

fn failure(link: &str, error: &gix::Error) -> Error {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    Error::Fetch {
        link: link.to_owned(),
        why,
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let files = super::walk::walk(folder, false).flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum()
}
