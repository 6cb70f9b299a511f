//! Many workers together: whoever comes and dies, partitions find one holder each.

use fastrand::Rng;

use super::tests::{id, set};
use super::*;

/// Workers whose beats arrive late and out of step, and whose consumers drain when they like.
struct Crowd {
    workers: BTreeMap<Uuid, Share>,
    /// Those that cannot consume.
    away: BTreeSet<Uuid>,
    /// Beats under way to each.
    posted: Vec<(Uuid, Beat)>,
    partitions: u32,
    now: Instant,
    random: Rng,
}

impl Crowd {
    fn say(&mut self, beat: &Beat) {
        let others = self.workers.keys().filter(|worker| **worker != beat.worker);
        let posted = others.map(|worker| (*worker, beat.clone()));
        self.posted.extend(posted.collect::<Vec<_>>());
    }

    fn join(&mut self, worker: Uuid) {
        let mut share = Share::new(worker, 1, self.partitions);
        share.hold(set(&[]));
        share.connected(self.now);
        let hello = share.beat(Says::Hello, self.now);
        self.workers.insert(worker, share);
        self.say(&hello);
    }

    /// Hands out some of what is under way, in the order of each sender.
    fn deliver(&mut self, mut count: usize) {
        while count > 0 && !self.posted.is_empty() {
            let (to, from) = {
                let (to, beat) = self.random.choice(self.posted.iter()).unwrap();
                (*to, beat.worker)
            };
            let first = |(at, beat): &(Uuid, Beat)| *at == to && beat.worker == from;
            let index = self.posted.iter().position(first).unwrap();
            let (to, beat) = self.posted.remove(index);
            if let Some(share) = self.workers.get_mut(&to)
                && share.heard(beat, self.now)
            {
                let answer = share.beat(Says::Alive, self.now);
                self.say(&answer);
            }
            count -= 1;
        }
    }

    /// Each worker's consumer takes and, if it has drained, releases; then it beats.
    fn act(&mut self, drained: bool) {
        for worker in self.workers.keys().copied().collect::<Vec<_>>() {
            let drained = drained || self.random.bool();
            let share = self.workers.get_mut(&worker).unwrap();
            let wanted = share.wanted(self.now);
            if self.away.contains(&worker) {
                share.let_go();
                let beat = share.beat(Says::Alive, self.now);
                self.say(&beat);
                continue;
            }
            let held: BTreeSet<u32> = if drained {
                wanted
            } else {
                wanted.union(&share.holds).copied().collect()
            };
            share.hold(held);
            let beat = share.beat(Says::Alive, self.now);
            self.say(&beat);
        }
    }

    fn turn(&mut self, drained: bool) {
        self.now += BEAT_EVERY;
        self.act(drained);
    }

    fn holders(&self, partition: u32) -> usize {
        let workers = self.workers.values();
        workers
            .filter(|share| share.holds.contains(&partition))
            .count()
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_and_dies_or_cannot_consume_each_partition_has_one_holder_when_views_agree() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let partitions = random.u32(1..12);
        let mut crowd = Crowd {
            workers: BTreeMap::new(),
            away: BTreeSet::new(),
            posted: Vec::new(),
            partitions,
            now: Instant::now(),
            random: random.fork(),
        };
        for number in 0..random.u128(5..40) {
            match random.u8(0..5) {
                0 => crowd.join(id(number)),
                2 => {
                    let workers = crowd.workers.keys().copied();
                    crowd.away = workers.filter(|_| random.u8(0..3) == 0).collect();
                }
                1 if crowd.workers.len() > 1 => {
                    let gone = *random.choice(crowd.workers.keys()).unwrap();
                    let share = crowd.workers.remove(&gone).unwrap();
                    if random.bool() {
                        crowd.say(&share.beat(Says::Gone, crowd.now));
                    }
                }
                _ => crowd.turn(false),
            }
            crowd.deliver(random.usize(0..20));
        }
        if crowd.workers.keys().all(|one| crowd.away.contains(one)) {
            crowd.join(id(1_000));
        }
        // Everything arrives, the dead are given up, and what has to move moves.
        for _ in 0..90 {
            crowd.deliver(usize::MAX);
            crowd.turn(true);
        }
        for partition in 0..partitions {
            assert_eq!(crowd.holders(partition), 1, "seed {seed}, {partition}");
        }
        let here = crowd.workers.iter();
        let here = here.filter(|(worker, _)| !crowd.away.contains(*worker));
        let sizes = here.map(|(_, share)| share.holds.len());
        let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
        assert!(most - least <= 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_partition_has_two_holders_while_every_beat_is_heard_at_once() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let mut crowd = Crowd {
            workers: BTreeMap::new(),
            away: BTreeSet::new(),
            posted: Vec::new(),
            partitions: 8,
            now: Instant::now(),
            random: random.fork(),
        };
        for number in 0..60 {
            if random.u8(0..6) == 0 {
                crowd.join(id(number));
                crowd.deliver(usize::MAX);
            }
            crowd.now += BEAT_EVERY;
            for worker in crowd.workers.keys().copied().collect::<Vec<_>>() {
                let share = crowd.workers.get_mut(&worker).unwrap();
                let wanted = share.wanted(crowd.now);
                share.hold(wanted);
                let beat = share.beat(Says::Alive, crowd.now);
                crowd.say(&beat);
                crowd.deliver(usize::MAX);
            }
            for partition in 0..8 {
                assert!(crowd.holders(partition) <= 1, "seed {seed}, {partition}");
            }
        }
    }
}
