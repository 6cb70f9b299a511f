//! When a window is changed.

use super::*;

/// It would be cancelled before the broker knows of it, and made all the same.
#[tokio::test(start_paused = true)]
async fn a_subscription_under_way_is_not_replaced() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    arrive(&mut shelf, LIVE, 1, (1, false));
    assert_eq!(shelf.choose(64, now), [1]);
    assert_eq!(settle(&mut shelf, &[1], now), [LIVE]);
    let wide = shelf.next_subscription(64, now).unwrap();
    assert_eq!((wide.line, wide.window), (LIVE, 64));
    // What still comes of the one before is large.
    let large = Fetched {
        tag: 2,
        attempt: 1,
        barrier: None,
        bytes: 900,
        item: (),
    };
    shelf.fetched((LIVE, 1), large, now);
    assert_eq!(shelf.choose(64, now), [2]);
    assert_eq!(settle(&mut shelf, &[2], now), [0; 0]);
    assert_eq!(shelf.resize(&[LIVE]), [0; 0]);
    shelf.subscribed(wide, now);
    assert_eq!(shelf.resize(&[LIVE]), [LIVE]);
}

/// What it may be sending at this moment would come again, behind what follows it.
#[tokio::test(start_paused = true)]
async fn a_window_that_is_not_full_is_not_changed() {
    let (mut shelf, now) = (shelf(), Instant::now());
    subscribe(&mut shelf, 64, now);
    let large = Fetched {
        tag: 1,
        attempt: 1,
        barrier: None,
        bytes: 500,
        item: (),
    };
    let epoch = shelf.lines[LIVE].epoch;
    shelf.fetched((LIVE, epoch), large, now);
    assert_eq!(shelf.choose(64, now), [1]);
    assert_eq!(settle(&mut shelf, &[1], now), [LIVE]);
    let [(LIVE, window)] = subscribe(&mut shelf, 64, now)[..] else {
        panic!("it is not subscribed to anew");
    };
    assert!(window > 1);
    // Small ones now, which a larger window would fit.
    let mut tag = 2;
    while shelf.lines[LIVE].size > 100 {
        arrive(&mut shelf, LIVE, tag, (1, false));
        assert_eq!(shelf.choose(64, now), [tag]);
        assert_eq!(settle(&mut shelf, &[tag], now), [0; 0]);
        tag += 1;
    }
    let tags: Vec<_> = (tag..tag + u64::from(window)).collect();
    for tag in &tags {
        arrive(&mut shelf, LIVE, *tag, (1, false));
    }
    assert_eq!(shelf.choose(64, now), tags);
    assert_eq!(settle(&mut shelf, &tags, now), [LIVE]);
}
