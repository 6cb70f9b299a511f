//! Tables of single moments.

use fastrand::Rng;

use super::*;

type View = BTreeMap<Uuid, BTreeSet<u32>>;

pub(super) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number << 64 | 0x5eed ^ number)
}

pub(super) fn set(partitions: &[u32]) -> BTreeSet<u32> {
    partitions.iter().copied().collect()
}

fn view(workers: &[(u128, &[u32])]) -> View {
    let workers = workers.iter();
    workers
        .map(|(worker, holds)| (id(*worker), set(holds)))
        .collect()
}

/// Everybody holds what it is assigned.
fn settled(view: &View, partitions: u32) -> View {
    let mut settled: View = view.keys().map(|worker| (*worker, set(&[]))).collect();
    for (partition, owner) in assign(view, partitions) {
        settled.get_mut(&owner).unwrap().insert(partition);
    }
    settled
}

fn alive(worker: u128, holds: &[u32]) -> Beat {
    Beat {
        worker: id(worker),
        generation: 1,
        holds: set(holds),
        ready: true,
        says: Says::Alive,
    }
}

/// A worker that has listened long enough to take something.
fn listened(me: u128, partitions: u32) -> (Share, Instant) {
    let now = Instant::now();
    let mut share = Share::new(id(me), 1, partitions);
    share.hold(set(&[]));
    share.connected(now);
    (share, now + LISTEN)
}

/// Looks at every beat until then, as a worker does; what it wants at last.
fn wanted_at(share: &mut Share, mut now: Instant, then: Instant) -> BTreeSet<u32> {
    while now < then {
        share.wanted(now);
        now += BEAT_EVERY;
    }
    share.wanted(then)
}

#[test]
fn the_weight_of_a_worker_is_pinned() {
    let worker = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    assert_eq!(weight(worker, 0).0, 16_897_030_871_488_889_571);
    assert_eq!(weight(worker, 7).0, 3_249_654_755_052_408_097);
}

#[test]
fn every_partition_has_one_owner_and_shares_are_even() {
    let mut random = Rng::with_seed(7);
    for _ in 0..2_000 {
        let partitions = random.u32(1..40);
        let workers = random.u128(1..9);
        // What they say to hold may overlap, and leave out some.
        let holds = |random: &mut Rng| (0..partitions).filter(|_| random.u8(0..4) == 0).collect();
        let view: View = (0..workers)
            .map(|number| (id(number), holds(&mut random)))
            .collect();
        let settled = settled(&view, partitions);
        let sizes = settled.values().map(BTreeSet::len);
        assert_eq!(sizes.clone().sum::<usize>(), partitions as usize);
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        assert!(most - least <= 1, "{settled:?}");
    }
}

#[test]
fn what_everybody_holds_as_assigned_stays_assigned() {
    let mut random = Rng::with_seed(8);
    for _ in 0..500 {
        let (partitions, workers) = (random.u32(1..40), random.u128(1..9));
        let empty = (0..workers).map(|number| (id(number), set(&[]))).collect();
        let first = settled(&empty, partitions);
        assert_eq!(settled(&first, partitions), first);
    }
}

#[test]
fn a_join_moves_only_its_share_and_a_leave_only_what_was_left() {
    let mut random = Rng::with_seed(9);
    for _ in 0..500 {
        let partitions = random.u32(1..40);
        let mut now = View::new();
        for _ in 0..20 {
            let before = now.clone();
            if random.u8(0..3) > 0 || now.len() < 2 {
                now.entry(id(random.u128(0..1_000))).or_default();
            } else {
                let gone = *random.choice(now.keys()).unwrap();
                now.remove(&gone);
            }
            now = settled(&now, partitions);
            for (worker, held) in &before {
                let holds = now.get(worker);
                let joined = now.len() > before.len();
                assert!(
                    holds.is_none_or(|holds| if joined {
                        holds.is_subset(held)
                    } else {
                        holds.is_superset(held)
                    }),
                    "{before:?} became {now:?}"
                );
            }
        }
    }
}

#[test]
fn of_two_that_hold_one_partition_everybody_takes_the_same_to_be_its_holder() {
    let both = view(&[(1, &[0]), (2, &[0])]);
    let owners = assign(&both, 2);
    assert_eq!(owners.len(), 2);
    assert_ne!(owners[&0], owners[&1]);
}

#[tokio::test(start_paused = true)]
async fn a_joiner_takes_nothing_before_it_has_listened_and_nothing_that_another_holds() {
    let now = Instant::now();
    let mut share = Share::new(id(1), 1, 4);
    share.hold(set(&[]));
    assert_eq!(share.wanted(now), set(&[]), "it hears nobody");
    share.connected(now);
    assert_eq!(share.wanted(now), set(&[]), "it has not listened yet");
    share.heard(alive(2, &[0, 1, 2, 3]), now);
    let later = now + LISTEN;
    assert_eq!(share.wanted(later), set(&[]), "the owner has not drained");
    let owners = assign(&share.workers(), 4);
    let mine: BTreeSet<u32> = (0..4).filter(|it| owners[it] == id(1)).collect();
    assert_eq!(mine.len(), 2);
    let first = *mine.first().unwrap();
    let left: Vec<u32> = (0..4).filter(|it| *it != first).collect();
    share.heard(alive(2, &left), later);
    assert_eq!(share.wanted(later), set(&[first]), "one was released");
}

#[tokio::test(start_paused = true)]
async fn an_owner_drains_what_a_joiner_is_to_have_and_keeps_its_own_share() {
    let (mut share, now) = listened(1, 4);
    assert_eq!(share.wanted(now), set(&[0, 1, 2, 3]));
    assert!(share.hold(set(&[0, 1, 2, 3])));
    share.heard(alive(2, &[]), now);
    let wanted = share.wanted(now);
    assert_eq!(wanted.len(), 2);
    // While it drains, it still holds them, and says so.
    assert_eq!(share.beat(Says::Alive, now).holds.len(), 4);
    assert_eq!(share.wanted(now), wanted);
    share.hold(wanted.clone());
    assert_eq!(share.wanted(now), wanted);
}

#[tokio::test(start_paused = true)]
async fn what_a_joiner_will_have_stays_where_it_is_until_it_is_ready() {
    let (mut share, now) = listened(1, 4);
    share.hold(set(&[0, 1, 2, 3]));
    let (mut joiner, all) = (Share::new(id(2), 1, 4), set(&[0, 1, 2, 3]));
    joiner.connected(now);
    share.heard(joiner.beat(Says::Hello, now), now);
    assert_eq!(share.wanted(now), all, "it listens");
    let ready = now + LISTEN;
    share.heard(joiner.beat(Says::Alive, ready), ready);
    assert_eq!(share.wanted(ready), all, "it has no consumer");
    joiner.hold(set(&[]));
    share.heard(joiner.beat(Says::Alive, ready), ready);
    assert_eq!(share.wanted(ready).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_begin_together_the_first_leaves_the_other_its_share_for_a_while() {
    let (mut share, then) = listened(1, 4);
    let began = then - LISTEN;
    let begins = Beat {
        ready: false,
        ..alive(2, &[])
    };
    share.heard(begins.clone(), began);
    let wanted = share.wanted(then);
    assert_eq!(wanted.len(), 2, "nobody holds the others");
    share.hold(wanted.clone());
    assert_eq!(share.wanted(then), wanted);
    // Its index may be away, and then it would never be ready.
    let late = began + BEGINS_WITHIN;
    share.heard(begins, late - BEAT_EVERY);
    assert_eq!(share.wanted(late - BEAT_EVERY), wanted);
    assert_eq!(share.wanted(late), set(&[0, 1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn one_that_lives_and_cannot_consume_has_no_share_after_a_while_until_it_can() {
    let (mut share, now) = listened(1, 4);
    share.hold(set(&[0, 1]));
    share.heard(alive(2, &[2, 3]), now);
    let cannot = Beat {
        ready: false,
        ..alive(2, &[])
    };
    let mut then = now;
    while then < now + LOST_AFTER {
        share.heard(cannot.clone(), then);
        assert_eq!(share.wanted(then), set(&[0, 1]), "it may pass");
        then += BEAT_EVERY;
    }
    share.heard(cannot.clone(), then);
    assert_eq!(share.wanted(then), set(&[0, 1, 2, 3]));
    share.hold(set(&[0, 1, 2, 3]));
    share.heard(alive(2, &[]), then);
    assert_eq!(share.wanted(then).len(), 2);
    // Who cannot consume itself wants nothing, and what it let go is for the others.
    assert!(share.let_go());
    assert_eq!(share.wanted(then), set(&[]));
    assert!(!share.beat(Says::Alive, then).ready);
}

#[tokio::test(start_paused = true)]
async fn one_that_holds_something_keeps_its_share_though_it_listens_again() {
    let (mut share, now) = listened(1, 4);
    share.hold(set(&[0, 1]));
    let deaf = Beat {
        ready: false,
        ..alive(2, &[2, 3])
    };
    share.heard(deaf, now);
    assert_eq!(share.wanted(now), set(&[0, 1]));
}

#[test]
fn a_beat_of_an_older_release_is_one_of_a_worker_that_is_ready() {
    let beat = serde_json::json!({"worker": id(2), "generation": 1, "holds": [], "says": "alive"});
    let beat: Beat = serde_json::from_value(beat).unwrap();
    assert_eq!(beat, alive(2, &[]));
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_dead_after_ten_seconds_and_replaced() {
    let (mut share, now) = listened(1, 2);
    share.heard(alive(2, &[0, 1]), now);
    assert_eq!(share.wanted(now), set(&[]));
    let almost = now + DEAD_AFTER - Duration::from_millis(1);
    assert_eq!(wanted_at(&mut share, now, almost), set(&[]));
    assert_eq!(share.wanted(now + DEAD_AFTER), set(&[0, 1]));
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_is_replaced_at_once() {
    let (mut share, now) = listened(1, 2);
    share.heard(alive(2, &[0, 1]), now);
    let gone = Beat {
        says: Says::Gone,
        ..alive(2, &[])
    };
    share.heard(gone, now);
    assert_eq!(share.wanted(now), set(&[0, 1]));
}

#[tokio::test(start_paused = true)]
async fn who_hears_nobody_keeps_what_it_holds_and_takes_nothing() {
    let (mut share, now) = listened(1, 4);
    share.heard(alive(2, &[2, 3]), now);
    share.hold(set(&[0, 1]));
    share.disconnected();
    let later = now + DEAD_AFTER * 2;
    assert_eq!(share.wanted(later), set(&[0, 1]));
    share.connected(later);
    assert_eq!(share.wanted(later + LISTEN), set(&[0, 1]), "2 may live");
    let then = later + DEAD_AFTER;
    let wanted = wanted_at(&mut share, later + LISTEN, then);
    assert_eq!(wanted, set(&[0, 1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn who_stood_still_itself_does_not_take_the_others_for_dead() {
    let (mut share, now) = listened(1, 4);
    share.heard(alive(2, &[2, 3]), now);
    share.hold(set(&[0, 1]));
    assert_eq!(share.wanted(now), set(&[0, 1]));
    let later = now + DEAD_AFTER * 2;
    assert_eq!(wanted_at(&mut share, later, later + LISTEN), set(&[0, 1]));
    assert_eq!(share.workers().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_a_stranger_that_says_hello_is_answered() {
    let (mut share, now) = listened(1, 4);
    let hello = |worker| Beat {
        says: Says::Hello,
        ..alive(worker, &[])
    };
    assert!(share.heard(hello(2), now));
    assert!(!share.heard(hello(1), now), "our own");
    assert!(!share.heard(alive(2, &[]), now));
    let other = Beat {
        generation: 2,
        ..hello(3)
    };
    assert!(!share.heard(other, now));
    assert_eq!(share.workers().len(), 2);
}
