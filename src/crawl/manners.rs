//! How hosts are asked, by all crawls of a process together: one request at a time, no sooner than they
//! want, and no link twice at once.
//!
//! ```text
//! request ──> the host's turn ──> its pause over? ──> ask ──> the pause begins anew
//!                                  └─ longer than we wait ──> come again later
//!                                                     └─ no answer, again and again ──> a long pause
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use robotxt::Robots;
use tokio::sync::OwnedMutexGuard;
use url::{Origin, Url};
use uuid::Uuid;

use crate::clock::Clock;

/// Hosts that are remembered; those at rest are forgotten first.
const HOSTS_MAX: usize = 1_024;
/// How long a robots.txt is good; RFC 9309 allows a day.
const ROBOTS_MS: u64 = 3_600_000;
/// Requests in a row without an answer after which a host is taken for down, and how long it is left alone then:
/// each costs all the patience that we have for one, and a publication has thousands of pages.
const UNANSWERED_MAX: u32 = 5;
const DOWN_MS: u64 = 600_000;

/// What all crawls of a process share. Clones are the same.
#[derive(Clone)]
pub struct Manners(Arc<Shared>);

struct Shared {
    clock: Clock,
    owner: String,
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
    underway: Mutex<HashSet<String>>,
}

#[derive(Default)]
struct Host {
    turn: Arc<tokio::sync::Mutex<()>>,
    pace: Mutex<Pace>,
}

/// When a host may be asked. Pure.
#[derive(Default)]
struct Pace {
    /// Between the end of a request and the next one.
    delay_ms: u64,
    /// Not before this time.
    next_ms: u64,
    /// What it allows, and when it said so.
    robots: Option<(Arc<Robots>, u64)>,
    /// Requests in a row that had no answer.
    unanswered: u32,
}

/// The host may be asked by nobody else while this is held; its pause begins when it is dropped.
pub(crate) struct Turn {
    host: Arc<Host>,
    clock: Clock,
    /// Whether the request had an answer, none where nobody knows.
    is_answered: Option<bool>,
    _alone: OwnedMutexGuard<()>,
}

/// A link that is crawled now; by nobody else in this process while this is held.
pub(crate) struct Underway {
    shared: Arc<Shared>,
    link: String,
}

impl Manners {
    /// By this clock.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            clock,
            owner: Uuid::new_v4().to_string(),
            hosts: Mutex::default(),
            underway: Mutex::default(),
        }))
    }

    /// The clock of all crawls.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The name under which this process claims links.
    pub(crate) fn owner(&self) -> &str {
        &self.0.owner
    }

    /// Waits until the host may be asked; an error is the time to come again, where that is longer away
    /// than `wait_ms_max`.
    ///
    /// Cancel safe.
    pub(crate) async fn turn(&self, url: &Url, wait_ms_max: u64) -> Result<Turn, u64> {
        let host = self.host(url);
        let turn = Arc::clone(&host.turn).lock_owned().await;
        loop {
            let now = self.0.clock.now_ms();
            let next = host.pace().next_ms;
            match next.saturating_sub(now) {
                0 => break,
                wait if wait > wait_ms_max => return Err(next),
                wait => self.0.clock.wait(wait).await,
            }
        }
        Ok(Turn {
            host,
            clock: self.0.clock.clone(),
            is_answered: None,
            _alone: turn,
        })
    }

    /// The host asks to be left alone until then.
    pub(crate) fn leave_until(&self, url: &Url, until_ms: u64) {
        let host = self.host(url);
        let mut pace = host.pace();
        pace.next_ms = pace.next_ms.max(until_ms);
    }

    /// What the host's robots.txt allows, if it was asked lately.
    pub(crate) fn robots(&self, url: &Url) -> Option<Arc<Robots>> {
        let now = self.0.clock.now_ms();
        let host = self.host(url);
        let pace = host.pace();
        let (robots, asked_ms) = pace.robots.as_ref()?;
        (now.saturating_sub(*asked_ms) < ROBOTS_MS).then(|| Arc::clone(robots))
    }

    /// Remembers what the host's robots.txt allows, and how long a pause it wants between requests.
    pub(crate) fn learn(&self, url: &Url, robots: Arc<Robots>, delay_ms: u64) {
        let now = self.0.clock.now_ms();
        let host = self.host(url);
        let mut pace = host.pace();
        pace.robots = Some((robots, now));
        pace.delay_ms = delay_ms;
    }

    /// Begins the crawl of a link; none while another one of it is under way.
    pub(crate) fn begin(&self, link: &str) -> Option<Underway> {
        let mut underway = self
            .0
            .underway
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        underway.insert(link.to_owned()).then(|| Underway {
            shared: Arc::clone(&self.0),
            link: link.to_owned(),
        })
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let now = self.0.clock.now_ms();
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX {
            // One that somebody holds, or that wants a pause, has to be known.
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.pace().next_ms > now);
        }
        Arc::clone(hosts.entry(url.origin()).or_default())
    }
}

impl Host {
    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The request had an answer, or none or not all of one. One that is cut off says nothing of its host.
    pub(crate) fn ends(&mut self, is_answered: bool) {
        self.is_answered = Some(is_answered);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = self.clock.now_ms();
        let mut pace = self.host.pace();
        let mut pause_ms = pace.delay_ms;
        match self.is_answered {
            Some(true) => pace.unanswered = 0,
            Some(false) => {
                pace.unanswered = pace.unanswered.saturating_add(1);
                if pace.unanswered >= UNANSWERED_MAX {
                    pause_ms = pause_ms.max(DOWN_MS);
                }
            }
            None => {}
        }
        pace.next_ms = pace.next_ms.max(now.saturating_add(pause_ms));
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let underway = self.shared.underway.lock();
        underway
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.link);
    }
}

impl Default for Manners {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl fmt::Debug for Manners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manners").finish_non_exhaustive()
    }
}

/// They are no setting, and make no two settings differ.
impl PartialEq for Manners {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Manners {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_host_is_asked_again_after_its_delay_and_others_at_once() {
        let clock = Clock::manual(1_000);
        let manners = Manners::new(clock.clone());
        let (here, there) = (url("https://a.example/1"), url("https://b.example/1"));
        manners.learn(&here, Arc::new(Robots::allow_all()), 5_000);
        drop(manners.turn(&here, 60_000).await.unwrap());
        drop(manners.turn(&there, 60_000).await.unwrap());
        assert_eq!(clock.now_ms(), 1_000);
        drop(manners.turn(&here, 60_000).await.unwrap());
        assert_eq!(clock.now_ms(), 6_000);
        let later = manners.turn(&here, 4_999).await.err();
        assert_eq!((later, clock.now_ms()), (Some(11_000), 6_000));
    }

    #[tokio::test]
    async fn a_host_that_answers_nothing_is_left_alone_and_asked_once_after_a_while() {
        let clock = Clock::manual(0);
        let manners = Manners::new(clock.clone());
        let (here, there) = (url("https://a.example/1"), url("https://b.example/1"));
        let ask = async |is_answered| {
            let turn = manners.turn(&here, 9).await;
            turn.map(|mut turn| turn.ends(is_answered))
        };
        for _ in 1..UNANSWERED_MAX {
            ask(false).await.unwrap();
        }
        ask(true).await.unwrap();
        for _ in 0..UNANSWERED_MAX {
            ask(false).await.unwrap();
        }
        assert_eq!(ask(true).await, Err(DOWN_MS));
        assert!(manners.turn(&there, 0).await.is_ok(), "others are asked");
        clock.wait(DOWN_MS).await;
        ask(false).await.unwrap();
        assert_eq!(ask(true).await, Err(2 * DOWN_MS), "it is still down");
        clock.wait(DOWN_MS).await;
        for is_answered in [true, false, true] {
            ask(is_answered).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_host_has_one_request_at_a_time() {
        let manners = Manners::new(Clock::manual(0));
        let here = url("https://a.example/1");
        let held = manners.turn(&here, 0).await.unwrap();
        let second = manners.turn(&here, 0);
        let mut second = std::pin::pin!(second);
        let waits = tokio::time::timeout(Duration::ZERO, second.as_mut()).await;
        assert!(waits.is_err());
        drop(held);
        assert!(second.await.is_ok());
    }

    #[test]
    fn a_link_is_crawled_once_at_a_time() {
        let manners = Manners::default();
        let first = manners.begin("a");
        assert!(first.is_some() && manners.clone().begin("a").is_none());
        drop(first);
        assert!(manners.begin("a").is_some());
    }

    #[test]
    fn hosts_without_end_are_forgotten_but_not_who_wants_a_pause() {
        let manners = Manners::new(Clock::manual(0));
        let busy = url("https://busy.example/");
        manners.leave_until(&busy, 9);
        for number in 0..3 * HOSTS_MAX {
            manners.host(&url(&format!("https://{number}.example/")));
        }
        assert!(manners.0.hosts.lock().unwrap().len() <= HOSTS_MAX);
        assert_eq!(manners.host(&busy).pace().next_ms, 9);
    }
}
