//! `kill -9` at random moments while a folder of pages is crawled, edited and deleted: nothing is
//! lost, and nothing that was gone comes back.
//!
//! ```text
//! edit the folder ──> start ──> crawl, search ──> kill ──┐
//!        ▲                                               │ so many times
//!        └───────────────────────────────────────────────┘
//! at the end: verify is clean, and the index equals one that was built at once
//! ```
//!
//! The seed decides the edits and what is waited for before the kill. It is printed, and given by
//! `LOCKSTEP_TEST_SEED`; `LOCKSTEP_TEST_KILLS` says how often.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use fastrand::Rng;
use lockstep::command::{Handler as _, Progress, Reporter, Request, Response};
use lockstep::serve::Client;
use lockstep::{crawl, search};
use tokio::sync::watch;

use crate::support::binary::{self, Up};
use crate::support::edited::Edited;
use crate::support::export::Export;

const KILLS: u64 = 20;

/// What is waited for before the kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the start, whether or not it is up by then.
    Starting(Duration),
    /// So many words of progress of the crawl.
    Words(usize),
    /// So long after the crawl was asked for.
    Working(Duration),
    /// So long after the crawl was reported done.
    AtRest(Duration),
}

impl Moment {
    fn choose(random: &mut Rng) -> Self {
        let mut at_most = |ms| Duration::from_millis(random.u64(0..=ms));
        let (starting, working, at_rest) = (at_most(250), at_most(400), at_most(60));
        match random.u8(0..8) {
            0 | 1 => Self::Starting(starting),
            2..5 => Self::Words(random.usize(1..=12)),
            5 | 6 => Self::Working(working),
            _ => Self::AtRest(at_rest),
        }
    }
}

/// How many of the kills came when.
#[derive(Debug, Default)]
struct Tally {
    starting: u32,
    under_way: u32,
    at_rest: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_moment_loses_nothing_and_brings_nothing_back() {
    let seed = number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = number("LOCKSTEP_TEST_KILLS").unwrap_or(KILLS);
    println!("{kills} kills, LOCKSTEP_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let data = tempfile::tempdir().unwrap();
    let mut pages = Edited::new(&mut random);
    let mut tally = Tally::default();
    for kill in 0..kills {
        pages.edit(&mut random);
        let moment = Moment::choose(&mut random);
        println!("{kill}: {} pages, {moment:?}", pages.len());
        run_and_kill(data.path(), &mut pages, moment, &mut tally).await;
    }
    println!("{tally:?}, {} pages ever", pages.ever());

    let ended = binary::crawl(data.path(), pages.folder());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    pages.settled();
    binary::assert_clean(data.path());
    let mut up = Up::start(data.path());
    check_searches(&up.client(data.path()).await, &pages, pages.ever()).await;
    up.kill();

    let fresh = tempfile::tempdir().unwrap();
    let ended = binary::crawl(fresh.path(), pages.folder());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (crashed, fresh) = (
        Export::of(data.path()).await,
        Export::of(fresh.path()).await,
    );
    crashed.assert_equal(&fresh);
    pages.assert_all_in(crashed.texts());
}

async fn run_and_kill(data: &Path, pages: &mut Edited, moment: Moment, tally: &mut Tally) {
    let mut up = Up::start(data);
    if let Moment::Starting(delay) = moment {
        tokio::time::sleep(delay).await;
        up.kill();
        tally.starting += 1;
        return;
    }
    let client = up.client(data).await;
    check_searches(&client, pages, 3).await;
    let what = crawl::Request {
        target: pages.folder().to_str().unwrap().to_owned(),
        author: "Ada Lovelace".to_owned(),
        as_kind: None,
        reference: None,
    };
    let (report, progress) = Reporter::new();
    let mut crawl = pin!(client.handle(Request::Crawl { what, wait: true }, report));
    let done = tokio::select! {
        done = &mut crawl => Some(done),
        () = before_the_kill(moment, progress, &client, pages) => None,
    };
    let Some(done) = done else {
        let log = up.kill();
        tally.under_way += 1;
        // The answer may have been on its way.
        if let Ok(done) = crawl.await {
            assert!(matches!(done, Response::Crawl(_)), "{done:?}: {log}");
            pages.settled();
        }
        return;
    };
    done.unwrap();
    pages.settled();
    check_searches(&client, pages, 3).await;
    if let Moment::AtRest(delay) = moment {
        tokio::time::sleep(delay).await;
    }
    up.kill();
    tally.at_rest += 1;
}

/// Searches on while the crawl goes on: what was gone before stays gone.
async fn before_the_kill(
    moment: Moment,
    mut progress: watch::Receiver<Progress>,
    client: &Client,
    pages: &Edited,
) {
    match moment {
        Moment::Words(words) => {
            for _ in 0..words {
                if progress.changed().await.is_err() {
                    return std::future::pending().await;
                }
                check_searches(client, pages, 1).await;
            }
        }
        Moment::Working(delay) | Moment::Starting(delay) => tokio::time::sleep(delay).await,
        Moment::AtRest(_) => std::future::pending().await,
    }
}

/// Asks for texts that are gone, as the last reported crawl left them: none of them is found.
async fn check_searches(client: &Client, pages: &Edited, count: usize) {
    for text in pages.gone(count) {
        let query = search::Query {
            text,
            limit: search::LIMIT_MAX,
            ..search::Query::default()
        };
        let answer = client.handle(Request::Search(query), Reporter::new().0);
        let Response::Search(answer) = answer.await.unwrap() else {
            panic!("a search should be answered as one");
        };
        for hit in answer.hits {
            for passage in hit.passages {
                pages.assert_not_gone(&passage.content);
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment how long to go on"
)]
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}
