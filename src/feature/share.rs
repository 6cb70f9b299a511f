//! Which worker consumes which partition, and how one changes hands. No IO.
//!
//! ```text
//! beats: who lives, who holds what ──assign──> an owner for each partition
//!
//! mine, nobody else holds it ──> take         held ──another's now──> drain ──empty──> release
//!           ▲                                                                            │
//!           └──────────────── the next owner hears that nobody holds it ◄────────────────┘
//! ```
//!
//! Every worker decides for itself, from the same beats by the same rule; nobody leads. While views
//! differ two may want one partition: that is harmless, since the queue serves one consumer at a
//! time, and it is over when both have heard each other.
//!
//! Shares are even: plain rendezvous hashing of four partitions leaves one of four workers idle
//! most of the time. So the hash chooses only *which* partitions a worker gets, and each keeps what
//! it has as long as its share allows: who joins or leaves moves no more than its own share.
//!
//! Nothing rests for somebody who would not consume it: of what others hold, one that has just begun has a share when it
//! has listened; and one that cannot consume, its store being away, has none after a while, until it can.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

/// Between two beats of a worker.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A worker that was not heard for so long is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(10);
/// One that lives and has had no consumer for so long, and holds nothing, is given no share: longer than the pauses in
/// which it tries to open one again, since what it had in hand is charged to whoever else gets it.
const LOST_AFTER: Duration = Duration::from_mins(1);
/// One that did not look for so long stood still itself, and knows nothing of the others.
const STOOD_STILL: Duration = Duration::from_secs(5);
/// How long one listens before it takes anything: every live worker has beaten by then. Until then whoever has what
/// will be its own keeps it.
///
/// Answers to a greeting do not shorten it: nobody keeps a list of the workers, so that all who have answered need not be all
/// there are. The broker counts only who subscribes to a queue, and neither one that listens at the same moment nor
/// one that holds something and was not heard yet may be overlooked.
pub const LISTEN: Duration = Duration::from_secs(2);
/// How long what nobody holds waits for one that has just begun: it has listened by then and said so, two beats later at
/// most. Without it the first of several that begin together would take everything, and have to give most of it up.
const BEGINS_WITHIN: Duration = Duration::from_secs(4);

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Unique for each start of a worker.
    pub worker: Uuid,
    /// Of the queues; workers of another one share nothing with us.
    pub generation: u32,
    /// The partitions that it consumes, those included that it is about to give up.
    pub holds: BTreeSet<u32>,
    /// Whether it would work on what it is given: not while it listens, nor while its store is away. One of an older
    /// release always says so.
    #[serde(default = "yes")]
    pub ready: bool,
    /// Why it speaks.
    pub says: Says,
}

/// Why a worker speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// It is new, or was deaf, and asks everybody to beat at once.
    Hello,
    /// It lives.
    Alive,
    /// It leaves, and holds nothing any more.
    Gone,
}

/// One worker's view of all, and what follows from it.
#[derive(Debug)]
pub struct Share {
    me: Uuid,
    generation: u32,
    partitions: u32,
    holds: BTreeSet<u32>,
    /// There is a consumer, whatever it holds.
    consumes: bool,
    others: BTreeMap<Uuid, Other>,
    hearing: Hearing,
    /// When it last looked at the others.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Other {
    heard: Instant,
    holds: BTreeSet<u32>,
    standing: Standing,
}

/// Whether another worker would work on what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    /// It never said so, and was first heard then.
    New(Instant),
    /// It said so before, until then.
    Lost(Instant),
}

impl Standing {
    fn next(before: Option<Self>, is_ready: bool, now: Instant) -> Self {
        match before {
            _ if is_ready => Self::Ready,
            None => Self::New(now),
            Some(Self::Ready) => Self::Lost(now),
            Some(same) => same,
        }
    }
}

impl Other {
    /// Whether it counts when partitions are shared out. One that holds something does until it has let go.
    fn has_share(&self, now: Instant) -> bool {
        match self.standing {
            Standing::Ready => true,
            Standing::New(_) => !self.holds.is_empty(),
            // What passes soon moves nothing.
            Standing::Lost(since) => !self.holds.is_empty() || now < since + LOST_AFTER,
        }
    }

    /// Whether it soon will.
    fn begins(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::New(since) if now < since + BEGINS_WITHIN)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// Nothing is heard: whoever is silent may live.
    Deaf,
    /// Not everybody may have been heard yet.
    Since(Instant),
}

impl Share {
    /// A worker that has heard nothing yet and holds nothing.
    pub fn new(me: Uuid, generation: u32, partitions: u32) -> Self {
        Self {
            me,
            generation,
            partitions,
            holds: BTreeSet::new(),
            consumes: false,
            others: BTreeMap::new(),
            hearing: Hearing::Deaf,
            looked: None,
        }
    }

    /// From now on others are heard; say [`Says::Hello`]. Who lived before has all its time again.
    pub fn connected(&mut self, now: Instant) {
        self.hearing = Hearing::Since(now);
        self.looked = Some(now);
        for other in self.others.values_mut() {
            other.heard = now;
        }
    }

    /// Others are not heard any more: nothing is taken, and nothing given up, until they are.
    pub fn disconnected(&mut self) {
        self.hearing = Hearing::Deaf;
    }

    /// Takes in a beat; true where its worker waits for one of ours.
    pub fn heard(&mut self, beat: Beat, now: Instant) -> bool {
        if beat.worker == self.me || beat.generation != self.generation {
            return false;
        }
        match beat.says {
            Says::Gone => drop(self.others.remove(&beat.worker)),
            Says::Hello | Says::Alive => {
                let before = self.others.get(&beat.worker);
                let before = before.map(|other| other.standing);
                let other = Other {
                    heard: now,
                    holds: beat.holds,
                    standing: Standing::next(before, beat.ready, now),
                };
                self.others.insert(beat.worker, other);
            }
        }
        beat.says == Says::Hello
    }

    /// Our consumer holds these now; true where that is news for the others.
    pub fn hold(&mut self, holds: BTreeSet<u32>) -> bool {
        let is_news = self.holds != holds || !self.consumes;
        (self.holds, self.consumes) = (holds, true);
        is_news
    }

    /// There is no consumer now, so that nothing is held; true where that is news for the others.
    pub fn let_go(&mut self) -> bool {
        let is_news = self.consumes;
        (self.holds, self.consumes) = (BTreeSet::new(), false);
        is_news
    }

    /// What to say now.
    pub fn beat(&self, says: Says, now: Instant) -> Beat {
        let holds = match says {
            Says::Gone => BTreeSet::new(),
            Says::Hello | Says::Alive => self.holds.clone(),
        };
        Beat {
            worker: self.me,
            generation: self.generation,
            holds,
            ready: self.consumes && self.has_listened(now),
            says,
        }
    }

    fn has_listened(&self, now: Instant) -> bool {
        match self.hearing {
            Hearing::Deaf => false,
            Hearing::Since(since) => since + LISTEN <= now,
        }
    }

    /// The partitions to consume from now on: take those that are not held, drain and release held
    /// ones that are not among them. Ask again at every beat, heard or said.
    pub fn wanted(&mut self, now: Instant) -> BTreeSet<u32> {
        let looked = self.looked.replace(now);
        if self.hearing != Hearing::Deaf && looked.is_some_and(|looked| looked + STOOD_STILL < now)
        {
            self.connected(now);
        }
        if self.hearing == Hearing::Deaf {
            return self.holds.clone();
        }
        self.others
            .retain(|_, other| now < other.heard + DEAD_AFTER);
        if !self.has_listened(now) || !self.consumes {
            return self.holds.clone();
        }
        let kept = self.owned(|other| other.has_share(now));
        let free = self.owned(|other| other.has_share(now) || other.begins(now));
        let taken = |partition: &u32| {
            let mut others = self.others.values();
            others.any(|other| other.holds.contains(partition))
        };
        let kept = kept.intersection(&self.holds).copied();
        let free = free.difference(&self.holds).copied();
        kept.chain(free.filter(|partition| !taken(partition)))
            .collect()
    }

    /// What is ours among ourselves and those of the others that count.
    fn owned(&self, counts: impl Fn(&Other) -> bool) -> BTreeSet<u32> {
        let others = self.others.iter();
        let view = others
            .filter(|(_, other)| counts(other))
            .map(|(worker, other)| (*worker, other.holds.clone()))
            .chain([(self.me, self.holds.clone())])
            .collect();
        let owners = assign(&view, self.partitions).into_iter();
        owners
            .filter(|(_, owner)| *owner == self.me)
            .map(|(partition, _)| partition)
            .collect()
    }

    /// The live workers, this one among them, with what each holds.
    pub fn workers(&self) -> BTreeMap<Uuid, BTreeSet<u32>> {
        let others = self.others.iter();
        others
            .map(|(worker, other)| (*worker, other.holds.clone()))
            .chain([(self.me, self.holds.clone())])
            .collect()
    }
}

fn yes() -> bool {
    true
}

/// An owner for every partition, from who lives and what each holds: the same for everybody with
/// the same view. Shares differ by one at most; as much as they allow stays where it is.
///
/// Once everybody holds what it is assigned, the answer stays as it is.
pub fn assign(workers: &BTreeMap<Uuid, BTreeSet<u32>>, partitions: u32) -> BTreeMap<u32, Uuid> {
    let mut room = rooms(workers, partitions);
    let mut owners = BTreeMap::new();
    let mut held: Vec<_> = (0..partitions)
        .filter_map(|partition| Some((partition, holder(workers, partition)?)))
        .collect();
    // A worker that has to give something up keeps what the hash gives it before all.
    held.sort_unstable_by_key(|(partition, worker)| {
        (Reverse(weight(*worker, *partition)), *partition)
    });
    for (partition, worker) in held {
        if let Some(left) = room.get_mut(&worker).filter(|left| **left > 0) {
            *left -= 1;
            owners.insert(partition, worker);
        }
    }
    for partition in 0..partitions {
        if owners.contains_key(&partition) {
            continue;
        }
        let free = room.iter_mut().filter(|(_, left)| **left > 0);
        if let Some((worker, left)) = free.max_by_key(|(worker, _)| weight(**worker, partition)) {
            *left -= 1;
            owners.insert(partition, *worker);
        }
    }
    owners
}

/// How many partitions each may have: an even share, and one more for the first of those that have
/// more already, then for the first of all.
fn rooms(workers: &BTreeMap<Uuid, BTreeSet<u32>>, partitions: u32) -> BTreeMap<Uuid, usize> {
    let partitions = partitions as usize;
    let count = workers.len().max(1);
    let (even, more) = (partitions / count, partitions % count);
    let mut order: Vec<_> = workers.keys().copied().collect();
    order.sort_by_key(|worker| workers.get(worker).is_none_or(|holds| holds.len() <= even));
    let order = order.into_iter().enumerate();
    order
        .map(|(place, worker)| (worker, even + usize::from(place < more)))
        .collect()
}

/// Who holds a partition; of several that say so, the one that the hash gives it to.
fn holder(workers: &BTreeMap<Uuid, BTreeSet<u32>>, partition: u32) -> Option<Uuid> {
    let holders = workers.iter().filter(|(_, it)| it.contains(&partition));
    holders
        .map(|(worker, _)| *worker)
        .max_by_key(|worker| weight(*worker, partition))
}

/// How much a worker is meant for a partition: rendezvous hashing. Pinned by a test, since workers of
/// different releases have to agree. Ids break ties that do not happen.
fn weight(worker: Uuid, partition: u32) -> (u64, Uuid) {
    let (high, low) = worker.as_u64_pair();
    let hash = mix(mix(high) ^ low ^ mix(u64::from(partition)));
    (hash, worker)
}

/// The finisher of `SplitMix64`.
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod tests;
