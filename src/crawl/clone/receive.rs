//! What git itself asks of a server, and as whom. Blocks.
//!
//! ```text
//! handshake ──> which state ──> here already
//!                    └─ new ──> its objects, without what came before
//! ```

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use gix::protocol::transport::client::blocking_io::http;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::STATE;
use super::lent::{Lent, Signals};
use crate::crawl::address::Guard;
use crate::crawl::git::{NO_COMMIT, no_reference, said};

/// Every fetch leaves a pack; after so many all is fetched anew, in one.
const PACKS_MAX: usize = 32;

/// The largest object that is unpacked, in bytes: GitHub takes no file of more than 100 MB, and what
/// unpacks to far more is meant to hurt.
const OBJECT_LIMIT: &str = "gitoxide.objects.allocLimit=268435456";

/// What is fetched, and as whom.
pub(super) struct Asked {
    pub(super) link: String,
    pub(super) reference: Option<String>,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) agent: String,
    pub(super) guard: Guard,
}

/// Why nothing was fetched.
pub(super) struct Fault {
    pub(super) why: String,
    /// The status of the server's answer, where that was the reason.
    pub(super) status: Option<u16>,
    /// Whether there was no answer, or not all of one.
    pub(super) is_unanswered: bool,
}

impl Fault {
    fn of(error: &gix::Error) -> Self {
        let answer = error.downcast_any_ref::<reqwest::Error>();
        let status = answer.and_then(reqwest::Error::status);
        // A redirect that is not followed is an answer.
        let is_unanswered = answer.is_some_and(|it| it.status().is_none() && !it.is_redirect());
        Self {
            why: said(error),
            status: status.map(|status| status.as_u16()),
            is_unanswered,
        }
    }

    /// Whether it is the server that cannot, for now.
    fn is_busy(&self) -> bool {
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        self.status
            .is_some_and(|status| busy.iter().any(|one| *one == status))
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self {
            why,
            status: None,
            is_unanswered: false,
        }
    }
}

/// Brings what was kept up to date; where that fails, it may be what is broken, and all is fetched. What comes with a
/// clone that was begun with what was kept moves that back where nobody takes the clone.
pub(super) fn renewed(
    asked: &Asked,
    kept: Option<&Path>,
    into: &Path,
    signals: &Arc<Signals>,
) -> Result<Option<Lent>, Fault> {
    let stop = &signals.stop;
    let kept = kept.filter(|kept| packs(kept) < PACKS_MAX);
    let Some(mut lent) = kept.and_then(|kept| Lent::new(kept, into, signals)) else {
        return obtain(asked, into, stop).map(|()| None);
    };
    let received = obtain(asked, into, stop);
    // Nobody waits for it any more, and its host is not asked again for nobody; or asking for everything would be one
    // request more of what the host has too many of. Neither says that what was kept is broken.
    let is_blameless = signals.is_stopped() || received.as_ref().is_err_and(Fault::is_busy);
    if received.is_ok() || is_blameless {
        return received.map(|()| Some(lent));
    }
    let aside = into.with_extension("aside");
    std::fs::rename(into, &aside).map_err(|error| error.to_string())?;
    lent.at = aside;
    // Where this fails, too, it was not what was kept that was broken.
    obtain(asked, into, stop)?;
    into.clone_into(&mut lent.at);
    Ok(Some(lent))
}

/// Fetches what is asked for into a repository, which is made where there is none.
fn obtain(asked: &Asked, into: &Path, stop: &AtomicBool) -> Result<(), Fault> {
    match receive(asked, into, stop) {
        Ok(true) => Ok(()),
        Ok(false) => Err(match &asked.reference {
            Some(name) => no_reference(name).into(),
            None => NO_COMMIT.to_owned().into(),
        }),
        Err(error) => Err(Fault::of(&error)),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::crawl::Settings;

    #[test]
    fn what_was_kept_is_there_again_after_a_clone_that_nobody_waits_for_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, into) = (folder.path().join("kept"), folder.path().join("into"));
        // It is no repository, so that nobody is asked.
        std::fs::create_dir(&kept).unwrap();
        let asked = Asked {
            link: "https://git.example.org/ada/engine".to_owned(),
            reference: None,
            authorization: None,
            agent: "lockstep".to_owned(),
            guard: Settings::default().guard(),
        };
        let signals = Arc::new(Signals::default());
        signals.stop.store(true, Ordering::Relaxed);
        assert!(renewed(&asked, Some(&kept), &into, &signals).is_err());
        assert!(kept.is_dir() && !into.exists());
    }
}
