//! Orders of events that a real broker shows seldom.

use super::*;

mod resize;

const LIVE: usize = 0;
const BACKFILL: usize = 1;

fn shelf() -> Shelf<()> {
    let place = |lane| Place { partition: 0, lane };
    let mut shelf = Shelf::new([place(Lane::Live), place(Lane::Backfill)], 2_000);
    shelf.want(&BTreeSet::from([0]));
    shelf
}

/// Subscribes every line that needs it; the windows.
fn subscribe(shelf: &mut Shelf<()>, limit: usize, now: Instant) -> Vec<(usize, u32)> {
    let mut windows = Vec::new();
    while let Some(subscribe) = shelf.next_subscription(limit, now) {
        shelf.subscribed(subscribe, now);
        windows.push((subscribe.line, subscribe.window));
    }
    windows
}

fn arrive(shelf: &mut Shelf<()>, line: usize, tag: u64, (attempt, is_barrier): (u32, bool)) {
    let epoch = shelf.lines[line].epoch;
    let fetched = Fetched {
        tag,
        attempt,
        barrier: is_barrier.then(|| (Uuid::from_u128(tag.into()), 1)),
        bytes: 10,
        item: (),
    };
    shelf.fetched((line, epoch), fetched, Instant::now());
}

/// Settles as a consumer does; the lines that were resized.
fn settle(shelf: &mut Shelf<()>, tags: &[u64], now: Instant) -> Vec<usize> {
    let full = shelf.full();
    for tag in tags {
        shelf.remove(*tag, now).unwrap();
    }
    shelf.resize(&full)
}

#[tokio::test(start_paused = true)]
async fn a_line_fetches_one_until_it_sees_a_message_that_nobody_fetched_before() {
    let (mut shelf, now) = (shelf(), Instant::now());
    assert_eq!(subscribe(&mut shelf, 64, now), [(LIVE, 1), (BACKFILL, 1)]);
    arrive(&mut shelf, LIVE, 1, (2, false));
    assert_eq!(shelf.choose(64, now), [1]);
    assert_eq!(
        settle(&mut shelf, &[1], now),
        [0; 0],
        "it was received before"
    );
    arrive(&mut shelf, LIVE, 2, (1, false));
    assert_eq!(shelf.choose(64, now), [2]);
    assert_eq!(settle(&mut shelf, &[2], now), [LIVE]);
    assert!(!shelf.is_current(LIVE, 1));
    assert_eq!(subscribe(&mut shelf, 64, now), [(LIVE, 64)]);
}

#[tokio::test(start_paused = true)]
async fn large_messages_make_a_small_window_and_one_always_fits() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    let large = Fetched {
        tag: 1,
        attempt: 1,
        barrier: None,
        bytes: 5_000,
        item: (),
    };
    shelf.fetched((LIVE, 1), large, now);
    let middle = Fetched {
        tag: 2,
        attempt: 1,
        barrier: None,
        bytes: 100,
        item: (),
    };
    shelf.fetched((BACKFILL, 1), middle, now);
    assert_eq!(shelf.choose(1, now), [1]);
    assert_eq!(settle(&mut shelf, &[1], now), [0; 0]);
    let later = now + SILENCE;
    assert_eq!(shelf.choose(1, later), [2]);
    assert_eq!(settle(&mut shelf, &[2], later), [BACKFILL]);
    assert_eq!(subscribe(&mut shelf, 64, later), [(BACKFILL, 10)]);
}

#[tokio::test(start_paused = true)]
async fn backfill_waits_while_a_live_queue_may_still_say_something() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    arrive(&mut shelf, BACKFILL, 1, (1, false));
    assert_eq!(shelf.choose(64, now), [0; 0]);
    let due = shelf.next_due(now).unwrap();
    assert_eq!(due, now + SILENCE);
    assert_eq!(shelf.choose(64, due), [1]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_full_live_window_backfill_does_not_fill_the_batch() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    arrive(&mut shelf, LIVE, 1, (1, false));
    arrive(&mut shelf, BACKFILL, 2, (1, false));
    assert_eq!(shelf.choose(64, now), [1]);
}

#[tokio::test(start_paused = true)]
async fn large_backfill_is_handed_out_one_by_one_and_live_changes_together() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    for (line, tags) in [(LIVE, 1..4), (BACKFILL, 4..7)] {
        for tag in tags {
            let large = Fetched {
                tag,
                attempt: 1,
                barrier: None,
                bytes: 50_000,
                item: (),
            };
            shelf.fetched((line, 1), large, now);
        }
    }
    assert_eq!(shelf.choose(64, now), [1, 2, 3]);
    settle(&mut shelf, &[1, 2, 3], now);
    let silent = now + SILENCE;
    for tag in 4..7 {
        assert_eq!(shelf.choose(64, silent), [tag]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_barrier_waits_for_what_is_in_hand_or_rests_and_holds_back_what_follows() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    arrive(&mut shelf, LIVE, 1, (1, false));
    assert_eq!(shelf.choose(9, now), [1]);
    arrive(&mut shelf, LIVE, 2, (1, true));
    arrive(&mut shelf, LIVE, 3, (1, false));
    let late = now + SILENCE;
    assert_eq!(shelf.choose(9, late), [0; 0]);
    shelf.release(1, late + SILENCE);
    assert_eq!(shelf.choose(9, late), [0; 0]);
    assert_eq!(
        shelf.choose(9, late + SILENCE),
        [1],
        "it comes again before the barrier"
    );
    settle(&mut shelf, &[1], late);
    assert_eq!(shelf.choose(9, late), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn barriers_in_a_row_are_passed_together_and_never_one_behind_a_change() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    for (tag, is_barrier) in [(1, true), (2, true), (3, false), (4, true), (5, true)] {
        arrive(&mut shelf, LIVE, tag, (1, is_barrier));
    }
    assert_eq!(shelf.choose(1, now), [1]);
    assert_eq!(shelf.choose(9, now), [0; 0], "one before it is in hand");
    shelf.release(1, now);
    assert_eq!(shelf.choose(9, now), [1, 2, 3]);
    assert_eq!(shelf.choose(9, now), [0; 0]);
    settle(&mut shelf, &[1, 2, 3], now);
    assert_eq!(shelf.choose(9, now), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_settles_nothing_gets_a_window_beside_what_it_has() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 2, now);
    arrive(&mut shelf, LIVE, 1, (1, false));
    assert_eq!(shelf.choose(2, now), [1]);
    assert_eq!(
        subscribe(&mut shelf, 1, now),
        [(LIVE, 1)],
        "no more than it asks for"
    );
    arrive(&mut shelf, LIVE, 2, (1, false));
    assert_eq!(shelf.choose(1, now), [2]);
    assert_eq!(subscribe(&mut shelf, 1, now), [(LIVE, 2)]);
    assert_eq!(shelf.changes().count(), 2);
}

/// A shelf of one live line with a window of four, and these messages.
fn filled(tags: &[u64], now: Instant) -> Shelf<()> {
    let live = Place {
        partition: 0,
        lane: Lane::Live,
    };
    let mut shelf = Shelf::new([live], 1_000);
    shelf.want(&BTreeSet::from([0]));
    subscribe(&mut shelf, 4, now);
    for tag in tags {
        arrive(&mut shelf, LIVE, *tag, (1, false));
    }
    shelf
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_given_up_hands_out_what_it_has_and_acknowledges_when_all_is_done() {
    let now = Instant::now();
    let mut shelf = filled(&[1, 2], now);
    assert_eq!(shelf.choose(1, now), [1]);
    shelf.want(&BTreeSet::new());
    assert_eq!(shelf.next_leave(now), None, "something is in hand");
    assert_eq!(shelf.remove(1, now).unwrap().2, None, "it is kept");
    assert_eq!(shelf.next_leave(now), None, "something was fetched");
    assert_eq!(shelf.next_subscription(4, now), None);
    assert_eq!(shelf.choose(4, now), [2]);
    shelf.remove(2, now).unwrap();
    assert_eq!(shelf.holds(), BTreeSet::from([0]));
    assert_eq!(shelf.next_leave(now), Some((LIVE, vec![(), ()])));
    assert_eq!(shelf.holds(), BTreeSet::from([0]), "more may be on its way");
    shelf.ended(LIVE);
    assert_eq!(shelf.holds(), BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_settled_of_a_line_that_is_not_drained_yet_is_there_to_be_acknowledged() {
    let now = Instant::now();
    let mut shelf = filled(&[1, 2], now);
    assert_eq!(shelf.choose(1, now), [1]);
    shelf.want(&BTreeSet::new());
    shelf.remove(1, now).unwrap();
    assert_eq!(shelf.take_done().len(), 1);
    assert_eq!(shelf.take_done().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_subscription_is_cancelled_is_handed_out_and_still_held() {
    let now = Instant::now();
    let mut shelf = filled(&[], now);
    shelf.want(&BTreeSet::new());
    assert_eq!(shelf.next_leave(now), None, "its window has room");
    let silent = now + SILENCE;
    assert_eq!(shelf.next_due(now), Some(silent));
    assert_eq!(shelf.next_leave(silent), Some((LIVE, Vec::new())));
    arrive(&mut shelf, LIVE, 1, (1, false));
    shelf.ended(LIVE);
    assert_eq!(shelf.holds(), BTreeSet::from([0]));
    assert_eq!(shelf.choose(4, now), [1]);
    assert_eq!(
        shelf.remove(1, now).unwrap().2,
        Some(()),
        "it is acknowledged"
    );
    assert_eq!(shelf.holds(), BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_wanted_again_is_left_before_it_is_taken() {
    let now = Instant::now();
    let mut shelf = filled(&[1], now);
    shelf.want(&BTreeSet::new());
    shelf.want(&BTreeSet::from([0]));
    assert_eq!(shelf.next_subscription(4, now), None);
    assert_eq!(shelf.choose(4, now), [1]);
    shelf.remove(1, now).unwrap();
    assert_eq!(shelf.next_leave(now), Some((LIVE, vec![()])));
    assert!(shelf.next_subscription(4, now).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_in_hand_is_not_innocent_and_all_else_is() {
    let now = Instant::now();
    let mut shelf = filled(&[1, 2, 3, 4], now);
    assert_eq!(shelf.choose(3, now), [1, 2, 3]);
    shelf.release(1, now + SILENCE);
    shelf.want(&BTreeSet::new());
    shelf.remove(2, now).unwrap();
    assert_eq!(shelf.innocent().count(), 3, "given back, done, and fetched");
    assert_eq!(shelf.oldest(), Some(now));
}

/// A watermark's message, as often received.
fn barrier(shelf: &mut Shelf<()>, tag: u64, (id, received): (u128, u32)) {
    let epoch = shelf.lines[LIVE].epoch;
    let fetched = Fetched {
        tag,
        attempt: 1,
        barrier: Some((Uuid::from_u128(id), received)),
        bytes: 10,
        item: (),
    };
    shelf.fetched((LIVE, epoch), fetched, Instant::now());
}

/// The last of those that go back, which are sent.
fn send_back(shelf: &mut Shelf<()>) -> Option<(u64, usize)> {
    let (last, _) = shelf.to_send_back()?;
    Some((last, shelf.sent_back(last, Instant::now()).len()))
}

#[tokio::test(start_paused = true)]
async fn a_barrier_that_was_fetched_before_goes_back_and_all_after_it_until_it_comes_again() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    barrier(&mut shelf, 1, (1, 2));
    barrier(&mut shelf, 2, (2, 2));
    barrier(&mut shelf, 3, (3, 1));
    // The same once more: its confirm was lost.
    barrier(&mut shelf, 4, (1, 2));
    assert_eq!(shelf.holds(), [0].into());
    assert_eq!(shelf.choose(64, now + SILENCE), [0; 0]);
    assert_eq!(send_back(&mut shelf), Some((4, 4)));
    assert_eq!(send_back(&mut shelf), None);
    arrive(&mut shelf, LIVE, 5, (1, false));
    for (tag, id, received) in [(6, 1, 3), (7, 2, 3), (8, 3, 2), (9, 1, 3)] {
        barrier(&mut shelf, tag, (id, received));
    }
    assert_eq!(send_back(&mut shelf), None);
    assert_eq!(shelf.choose(64, now + SILENCE), [5], "it comes before them");
    settle(&mut shelf, &[5], now);
    assert_eq!(shelf.choose(64, now + SILENCE), [6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_that_nobody_fetched_before_shows_that_nothing_was_given_back() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    barrier(&mut shelf, 1, (1, 1));
    barrier(&mut shelf, 2, (2, 2));
    assert_eq!(send_back(&mut shelf), None);
    assert_eq!(shelf.choose(64, now + SILENCE), [1, 2]);
}

#[test]
fn a_broker_that_does_not_count_holds_no_barrier_for_ever() {
    let mut returned = Returned::Unknown;
    let one = Uuid::from_u128(1);
    let times = (0..1_000).take_while(|_| returned.sends_back(one, 2));
    let times = times.count();
    assert!(times > 1 && times < 1_000, "{times}");
}

/// Else the backfill lanes would wait for a live one that says nothing, as long as it says nothing.
#[tokio::test(start_paused = true)]
async fn a_live_queue_whose_window_was_full_of_barriers_that_went_back_is_empty_once_it_is_silent()
{
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 4, now);
    arrive(&mut shelf, LIVE, 1, (1, false));
    assert_eq!(shelf.choose(64, now), [1]);
    settle(&mut shelf, &[1], now);
    assert_eq!(subscribe(&mut shelf, 4, now), [(LIVE, 4)]);
    barrier(&mut shelf, 2, (1, 2));
    barrier(&mut shelf, 3, (2, 2));
    arrive(&mut shelf, LIVE, 4, (1, false));
    arrive(&mut shelf, LIVE, 5, (1, false));
    assert_eq!(shelf.choose(64, now), [0; 0]);
    assert_eq!(send_back(&mut shelf), Some((3, 2)));
    assert_eq!(shelf.choose(64, now), [4, 5]);
    settle(&mut shelf, &[4, 5], now);
    barrier(&mut shelf, 6, (1, 3));
    barrier(&mut shelf, 7, (2, 3));
    assert_eq!(shelf.choose(64, now), [6, 7]);
    settle(&mut shelf, &[6, 7], now);
    arrive(&mut shelf, BACKFILL, 8, (1, false));
    assert_eq!(shelf.choose(64, now), [0; 0]);
    let due = shelf.next_due(now).unwrap();
    assert_eq!(shelf.choose(64, due), [8]);
}
