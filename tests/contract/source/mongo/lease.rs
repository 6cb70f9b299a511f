//! One capture is active; others stand by and take over.

use std::time::Duration;

use lockstep::Error;
use lockstep::capture::{Resync, SnapshotPlan};
use lockstep::change::{DocumentKey, Position};
use lockstep::source::{Checkpoint, Checkpoints as _};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

use crate::support::mongo::Home;

fn checkpoint(epoch: u32) -> Checkpoint {
    Checkpoint {
        epoch,
        position: Position(vec![1]),
        snapshot: SnapshotPlan::default(),
        kinds: ["$articles".to_owned()].into(),
        watched: None,
        resets: 0,
    }
}

fn fenced<T: std::fmt::Debug>(result: &Result<T, Error>) {
    assert!(matches!(result, Err(Error::Fenced { .. })), "{result:?}");
}

#[tokio::test]
async fn a_standby_takes_over_an_expired_lease_and_the_other_cannot_save() {
    let mut home = Home::new();
    home.settings.lease = Duration::from_millis(300);
    let (first, second) = (home.open().await, home.open().await);
    let old = first.acquire("first").await.unwrap();
    old.save(checkpoint(1)).await.unwrap();
    let new = second.acquire("second").await.unwrap();
    assert!(new.fence() > old.fence());
    assert_eq!(
        first.standing().await.unwrap().owner.as_deref(),
        Some("second")
    );
    fenced(&old.save(checkpoint(2)).await);
    fenced(&old.keep().await);
    assert_eq!(new.load().await.unwrap(), Some(checkpoint(1)));
    new.save(checkpoint(3)).await.unwrap();
    assert_eq!(first.checkpoint().await.unwrap(), Some(checkpoint(3)));
    // Letting go of what was lost takes nothing from its owner.
    old.release().await.unwrap();
    new.save(checkpoint(4)).await.unwrap();
}

#[tokio::test]
async fn a_kept_lease_is_not_taken_and_a_released_one_at_once() {
    let mut home = Home::new();
    home.settings.lease = Duration::from_millis(300);
    let (first, second) = (home.open().await, home.open().await);
    let kept = first.acquire("first").await.unwrap();
    let rivals = async {
        let waited = tokio::time::timeout(Duration::from_secs(2), second.acquire("second"));
        assert!(waited.await.is_err(), "a lease that was kept was taken");
    };
    tokio::select! {
        () = rivals => {}
        ended = kept.keep() => panic!("{ended:?}"),
    }
    kept.release().await.unwrap();
    home.settings.lease = Duration::from_hours(1);
    let third = home.open().await;
    assert_eq!(third.standing().await.unwrap().owner, None);
    let held = third.acquire("third").await.unwrap();
    held.release().await.unwrap();
    // Kept until its end, it would be the third's for an hour.
    let fourth = home.open().await;
    let taken = tokio::time::timeout(Duration::from_mins(1), fourth.acquire("fourth"));
    taken.await.unwrap().unwrap();
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_the_lease() {
    let home = Home::new();
    let source = home.open().await;
    let ask = async |name: &'static str| {
        let asked = tokio::time::timeout(Duration::from_secs(3), source.acquire(name));
        asked.await.is_ok()
    };
    let got = tokio::join!(ask("a"), ask("b"), ask("c"), ask("d"));
    let got = <[bool; 4]>::from(got)
        .into_iter()
        .filter(|got| *got)
        .count();
    assert_eq!(got, 1);
}

#[tokio::test]
async fn a_request_is_answered_by_the_active_capture() {
    let home = Home::new();
    let (asker, active) = (home.open().await, home.open().await);
    let lease = active.acquire("active").await.unwrap();
    // An answer that nobody came back for.
    let database = home.database().await;
    let state = database.client().database(&home.settings.state_database);
    let requests = state.collection::<Document>("requests");
    let old = doc! { "_id": ObjectId::from_parts(1, [0; 5], [0; 3]), "done": 1_i64 };
    requests.insert_one(old).await.unwrap();
    let keys = Resync::Keys(vec![DocumentKey::text("articles", "$a")]);
    let kind = Resync::Kind("articles".to_owned());
    let answered = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            for asked in lease.take_requests().await.unwrap() {
                lease.answer(&asked, 7 + seen.len() as u64).await.unwrap();
                seen.push(asked.what);
            }
        }
        seen
    };
    let asking = async {
        let first = asker.ask(&keys).await.unwrap();
        (first, asker.ask(&kind).await.unwrap())
    };
    let (seen, counts) = tokio::join!(answered, asking);
    assert_eq!((seen, counts), (vec![keys.clone(), kind.clone()], (7, 8)));
    assert!(lease.take_requests().await.unwrap().is_empty());
    assert_eq!(requests.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn a_pause_outlives_who_asked_for_it_and_the_lease() {
    let home = Home::new();
    let source = home.open().await;
    assert!(!source.is_paused().await.unwrap());
    source.set_paused(true).await.unwrap();
    let lease = home.open().await.acquire("other").await.unwrap();
    lease.save(checkpoint(1)).await.unwrap();
    lease.release().await.unwrap();
    assert!(home.open().await.is_paused().await.unwrap());
    source.set_paused(false).await.unwrap();
    assert!(!source.is_paused().await.unwrap());
    assert_eq!(source.checkpoint().await.unwrap(), Some(checkpoint(1)));
}

/// In one step: whoever rests, or was about to begin with the old position, cannot save over the new one.
#[tokio::test]
async fn a_position_is_moved_while_nobody_captures_and_fences_off_who_rests() {
    let home = Home::new();
    let (source, active) = (home.open().await, home.open().await);
    source
        .replace_checkpoint(Some(&checkpoint(1)))
        .await
        .unwrap();
    let lease = active.acquire("active").await.unwrap();
    lease.save(checkpoint(2)).await.unwrap();
    let refused = source.replace_checkpoint(Some(&checkpoint(3))).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert_eq!(source.checkpoint().await.unwrap(), Some(checkpoint(2)));

    lease.rest(true).await.unwrap();
    source
        .replace_checkpoint(Some(&checkpoint(4)))
        .await
        .unwrap();
    fenced(&lease.rest(false).await);
    fenced(&lease.save(checkpoint(5)).await);
    assert_eq!(source.checkpoint().await.unwrap(), Some(checkpoint(4)));
    let next = active.acquire("next").await.unwrap();
    assert!(next.fence() > lease.fence());
    next.save(checkpoint(6)).await.unwrap();
}
