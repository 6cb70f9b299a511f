//! Killed on the way, and gone on with.

use std::time::Duration;

use fastrand::Rng;
use lockstep::change::DocumentKey;
use lockstep::source::Source as _;
use mongodb::bson::{Document, doc};

use super::super::{Place, article};
use super::{TO_EMBEDDED, TO_SERVICES, source};
use crate::support::app::{page, pages};
use crate::support::binary;
use crate::support::process::Process;

/// A snapshot of 300 documents takes six seconds, so that it is met in the middle.
fn slow() -> [(&'static str, String); 2] {
    [
        ("LOCKSTEP_CAPTURE_SNAPSHOT_RATE", "50".to_owned()),
        ("LOCKSTEP_CAPTURE_PAGE_SIZE", "10".to_owned()),
    ]
}

/// Starts it and kills it as soon as this is so.
async fn killed_when(place: &Place, is_time: impl AsyncFn(&Place) -> bool) {
    let mut migrate = Process::start(place.data(), &TO_SERVICES, &place.settings);
    while !is_time(place).await {
        // The server's answer is the pause between two looks.
        place.stored("users").await;
        migrate.assert_running();
    }
    migrate.kill();
}

fn is_indexing(place: &Place) -> bool {
    let marker = std::fs::read_to_string(place.marker());
    marker.is_ok_and(|marker| marker.contains("indexing"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_goes_on_and_removes_what_vanished_meanwhile() {
    let mut place = Place::hasty();
    let folder = pages(&[]);
    for number in 0..150 {
        let text = format!("Common words of page {number}, and a loom that weaves them.");
        page(folder.path(), &format!("Page{number}"), &text);
    }
    assert_eq!(binary::crawl(place.data(), folder.path()).code, Some(0));
    place.settings.extend(slow());
    killed_when(&place, async |place: &Place| place.marker().exists()).await;
    killed_when(&place, async |place: &Place| {
        !place.stored("articles").await.is_empty()
    })
    .await;
    killed_when(&place, async |place: &Place| is_indexing(place)).await;
    let copied = place.stored("articles").await.len();
    assert_eq!(copied, 150);
    // One goes, one is other, one comes.
    std::fs::remove_file(folder.path().join("Page7.html")).unwrap();
    page(folder.path(), "Page8", "Nothing is left of what was here.");
    page(folder.path(), "New", "What was not there before.");
    assert_eq!(binary::crawl(place.data(), folder.path()).code, Some(0));
    let answer = place.migrated(&TO_SERVICES);
    assert_eq!(answer["written"], 3, "{answer}");
    // The log of the target told of all three, and the epoch of the run before still stood.
    assert_eq!(answer["epoch"], 2, "{answer}");
    let stored = place.stored("articles").await;
    assert_eq!(stored.len(), 150);
    let has = |title: &str| {
        let of = |one: &Document| {
            one.get_document("content")
                .unwrap()
                .get_str("Title")
                .unwrap()
                == title
        };
        stored.iter().any(of)
    };
    assert!(has("New") && has("Page8") && !has("Page7"));
    // The old side is as it was.
    binary::assert_clean(place.data());
}

/// The seed decides when it is killed, and what is edited in between. It is printed, and given by `LOCKSTEP_TEST_SEED`.
#[tokio::test(flavor = "multi_thread")]
async fn kills_at_any_moment_on_the_way_back_leave_nothing_behind() {
    let seed = crate::crash::number("LOCKSTEP_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LOCKSTEP_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut place = Place::hasty();
    place.settings.extend(slow());
    let articles = place.database().await.collection::<Document>("articles");
    let text =
        |number: usize, edit: usize| format!("Page {number} of looms, as edited in round {edit}.");
    let all = (0..300).map(|number| article(&format!("number{number}"), &text(number, 0)));
    articles.insert_many(all).await.unwrap();
    for kill in 1..=6 {
        let migrate = Process::start(place.data(), &TO_EMBEDDED, &place.settings);
        let delay = Duration::from_millis(random.u64(0..900));
        tokio::time::sleep(delay).await;
        println!(
            "kill {kill} after {delay:?}, indexing: {}",
            is_indexing(&place)
        );
        migrate.kill();
        for _ in 0..10 {
            let number = random.usize(0..300);
            let one = doc! { "_id": format!("number{number}") };
            if random.bool() {
                articles.delete_one(one).await.unwrap();
            } else {
                let edited = article(&format!("number{number}"), &text(number, kill));
                articles.replace_one(one, edited).await.unwrap();
            }
        }
    }
    place.migrated(&TO_EMBEDDED);
    place.assert_clean();
    let source = source(place.data());
    let stored = place.stored("articles").await;
    let kept = source.page("articles", None, 1_000).await.unwrap().found;
    assert_eq!(kept.len(), stored.len());
    for one in &stored {
        let key = DocumentKey::text("articles", one.get_str("_id").unwrap());
        let kept = kept.iter().find(|kept| kept.key == key).unwrap();
        let content = one.get_document("content").unwrap();
        assert_eq!(
            kept.fields["content"]["Content"],
            content.get_str("Content").unwrap()
        );
    }
}
