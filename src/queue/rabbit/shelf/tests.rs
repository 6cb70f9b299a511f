//! Orders of events that a real broker shows seldom.

use super::*;

const LIVE: usize = 0;
const BACKFILL: usize = 1;

fn shelf() -> Shelf<()> {
    let place = |lane| Place { partition: 0, lane };
    Shelf::new([place(Lane::Live), place(Lane::Backfill)], 1_000)
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
        is_barrier,
        bytes: 10,
        item: (),
    };
    shelf.fetched(line, epoch, fetched);
}

/// Settles as a consumer does; the lines that were resized.
fn settle(shelf: &mut Shelf<()>, tags: &[u64], now: Instant) -> Vec<usize> {
    for tag in tags {
        shelf.remove(*tag, now).unwrap();
    }
    shelf.resize()
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
        is_barrier: false,
        bytes: 5_000,
        item: (),
    };
    shelf.fetched(LIVE, 1, large);
    let middle = Fetched {
        tag: 2,
        attempt: 1,
        is_barrier: false,
        bytes: 100,
        item: (),
    };
    shelf.fetched(BACKFILL, 1, middle);
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
