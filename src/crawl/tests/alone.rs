//! One crawl of a link at a time in a process. The time is tokio's, paused: whatever waits is woken at once, in the
//! order of the clock.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::clock::Clock;
use crate::crawl::record::{self, Repeat};
use crate::crawl::{Manners, named};
use crate::logbook::Logbook as _;

/// A page on disk, a request for it, and the name under which its crawls are recorded.
async fn page() -> (tempfile::TempDir, Request, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.html");
    std::fs::write(&path, html("T", "One.")).unwrap();
    let asked = request(path.to_str().unwrap());
    let link = named(&asked).await.unwrap();
    (folder, asked, link)
}

#[tokio::test(start_paused = true)]
async fn a_person_waits_for_the_crawl_of_the_link_that_is_under_way() {
    let (_folder, asked, link) = page().await;
    let (source, settings) = (Memory::default(), Settings::default());
    let underway = settings.manners.begin(&link);
    let mut crawling = std::pin::pin!(crawl(&source, &asked, &settings, &()));
    let waits = timeout(Duration::from_secs(20), crawling.as_mut()).await;
    assert!(waits.is_err(), "{waits:?}");
    assert_eq!(source.documents(), []);
    drop(underway);
    assert_eq!(counts(&crawling.await.unwrap()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_of_a_crawl_that_goes_on_for_longer_and_the_schedule_at_once() {
    let (_folder, asked, link) = page().await;
    let (source, settings) = (Memory::default(), Settings::default());
    let _underway = settings.manners.begin(&link);
    let again = Repeat {
        link,
        every_seconds: 3_600,
        next_ms: u64::MAX,
    };
    for (again, least, most) in [(Some(&again), 0, 1), (None, 31, 32)] {
        let begun = Instant::now();
        let refused = record::crawl(&source, (&asked, again), &settings, &()).await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("is being crawled at this moment"), "{told}");
        let waited = begun.elapsed();
        let patience = Duration::from_secs(least)..Duration::from_secs(most);
        assert!(patience.contains(&waited), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_waited_for_a_crawl_has_all_patience_left_for_the_claim_that_it_leaves() {
    let (_folder, asked, link) = page().await;
    let (source, clock) = (Memory::default(), Clock::manual(1_000_000));
    let settings = Settings {
        manners: Manners::new(clock.clone()),
        ..Settings::default()
    };
    let span = (1_000_000, 1_030_000);
    assert!(source.claim(&link, "another", span).await.unwrap());
    let underway = settings.manners.begin(&link);
    let mut crawling = std::pin::pin!(crawl(&source, &asked, &settings, &()));
    let waits = timeout(Duration::from_secs(25), crawling.as_mut()).await;
    assert!(waits.is_err(), "for the crawl: {waits:?}");
    drop(underway);
    let waits = timeout(Duration::from_secs(25), crawling.as_mut()).await;
    assert!(waits.is_err(), "for the claim: {waits:?}");
    clock.advance(30_000);
    assert_eq!(counts(&crawling.await.unwrap()), (1, 0, 0));
}
