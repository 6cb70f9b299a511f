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
use tokio::sync::{Notify, OwnedMutexGuard};
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
    /// The crawl of some link has ended.
    ended: Notify,
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
            ended: Notify::new(),
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

    /// Waits for those who came before, then until the host may be asked; an error is the time to come again,
    /// where that is longer away than `wait_ms_max` from when it is our turn.
    ///
    /// Those who came before have no limit of ours: each has its own. Were their pauses ours, too, then whoever
    /// comes to a host that many crawl would be put off until they are done with all of it.
    ///
    /// Cancel safe.
    pub(crate) async fn turn(&self, url: &Url, wait_ms_max: u64) -> Result<Turn, u64> {
        let host = self.host(url);
        let turn = Arc::clone(&host.turn).lock_owned().await;
        // One that gets longer while it is waited for is one pause.
        let until = self.0.clock.now_ms().saturating_add(wait_ms_max);
        loop {
            let next = host.pace().next_ms;
            match next.saturating_sub(self.0.clock.now_ms()) {
                0 => break,
                _ if next > until => return Err(next),
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

    /// Begins the crawl of a link when those of it are over that are under way.
    ///
    /// Cancel safe.
    pub(crate) async fn begin_next(&self, link: &str) -> Underway {
        loop {
            // Listened for before the look, so that no end between the two is missed.
            let ended = self.0.ended.notified();
            if let Some(underway) = self.begin(link) {
                return underway;
            }
            ended.await;
        }
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
        self.shared.ended.notify_waiters();
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

    #[tokio::test]
    async fn who_waits_for_others_has_all_patience_left_for_the_pause_that_comes_then() {
        let clock = Clock::manual(0);
        let manners = Manners::new(clock.clone());
        let here = url("https://a.example/1");
        manners.learn(&here, Arc::new(Robots::allow_all()), 50);
        let asked = Mutex::new(Vec::new());
        let crawl = async |name: &'static str| {
            for _ in 0..2 {
                drop(manners.turn(&here, 60).await.unwrap());
                asked.lock().unwrap().push((name, clock.now_ms()));
            }
        };
        tokio::join!(crawl("a"), crawl("b"), crawl("c"));
        let in_turn = [
            ("a", 0),
            ("a", 50),
            ("b", 100),
            ("c", 150),
            ("b", 200),
            ("c", 250),
        ];
        assert_eq!(asked.into_inner().unwrap(), in_turn);
    }

    #[tokio::test]
    async fn a_pause_that_gets_longer_while_it_is_waited_for_is_one_pause() {
        let clock = Clock::manual(0);
        let manners = Manners::new(clock.clone());
        let here = url("https://a.example/1");
        manners.leave_until(&here, 50);
        let longer = async { manners.leave_until(&here, 100) };
        let (turn, ()) = tokio::join!(manners.turn(&here, 60), longer);
        assert_eq!((turn.err(), clock.now_ms()), (Some(100), 50));
    }

    #[test]
    fn a_link_is_crawled_once_at_a_time() {
        let manners = Manners::default();
        let first = manners.begin("a");
        assert!(first.is_some() && manners.clone().begin("a").is_none());
        drop(first);
        assert!(manners.begin("a").is_some());
    }

    #[tokio::test]
    async fn who_waits_for_the_crawl_of_a_link_begins_when_it_is_over() {
        let manners = Manners::default();
        let first = manners.begin("a");
        let mut next = std::pin::pin!(manners.begin_next("a"));
        let waits = tokio::time::timeout(Duration::ZERO, next.as_mut()).await;
        assert!(waits.is_err());
        drop(manners.begin("b"));
        let waits = tokio::time::timeout(Duration::ZERO, next.as_mut()).await;
        assert!(waits.is_err(), "another link's");
        drop(first);
        let next = next.await;
        assert!(manners.begin("a").is_none());
        drop(next);
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
