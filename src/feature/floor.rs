//! Floors: how whole types are voided at one moment, and how the deletes of a gap are found.
//!
//! ```text
//! at once ────────────────────────────────┐
//! when passed ─> every queue has passed ──┴─> floor raised ─> manifests ─> tombstones, points swept
//!                and no change above it is parked
//! ```
//!
//! Whether one is parked is looked at every now and then while it is ([`HeldBack`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::change::{DocumentKey, Lane, Place, Version};
use crate::queue::{Parked, Queue};
use crate::vector::{Control, Floor, Select, VectorStore, Write};
use crate::{Result, feature::parked, feature::store};

/// Manifests read at once.
const PAGE: usize = 256;

/// The floors that parked changes held back when that was looked at last, by the number of their edition, and when it
/// was.
///
/// A look reads all that is parked, and a barrier, which asks for one, comes every second of every queue. A floor
/// that is new is looked at once, and every other one with it.
#[derive(Debug)]
pub struct HeldBack {
    every: Duration,
    looked: Mutex<BTreeMap<(u32, Uuid), Instant>>,
}

impl HeldBack {
    /// None yet; those that are held back are looked at again when `every` has passed.
    pub fn new(every: Duration) -> Self {
        Self {
            every,
            looked: Mutex::default(),
        }
    }

    /// Whether any of these floors is to be looked at.
    fn is_due(&self, floors: impl IntoIterator<Item = (u32, Uuid)>, now: Instant) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |floor| {
            let last = looked.get(&floor);
            last.is_none_or(|last| *last + self.every <= now)
        };
        floors.into_iter().any(is_due)
    }

    /// These floors were held back at that time, and no others.
    fn found(&self, floors: impl IntoIterator<Item = (u32, Uuid)>, now: Instant) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *looked = floors.into_iter().map(|floor| (floor, now)).collect();
    }
}

/// Raises the floor, turns every manifest at or below it into a tombstone, and sweeps their points.
///
/// Search drops them from the moment the floor is raised. Repeatable.
pub async fn act<V: VectorStore>(store: &V, kind: &str, version: Version) -> Result<()> {
    store
        .write(vec![Write::Floor {
            kind: kind.to_owned(),
            version,
        }])
        .await?;
    let control = store.control().await?;
    let mut after = DocumentKey {
        kind: kind.to_owned(),
        id: String::new(),
    };
    loop {
        let page = store
            .manifests(Select::After {
                after: Some(after.clone()),
                limit: PAGE,
            })
            .await?;
        let Some(last) = page.last().map(|manifest| manifest.key.clone()) else {
            return Ok(());
        };
        let void = page
            .into_iter()
            .filter(|manifest| manifest.key.kind == kind && !manifest.deleted)
            .filter(|manifest| control.voids(kind, manifest.stamp.version))
            .map(|manifest| (manifest.key, manifest.stamp.version))
            .collect();
        store::sweep(store, void).await?;
        if last.kind != kind {
            return Ok(());
        }
        after = last;
    }
}

/// Lets the floors act that every queue of the backfill has passed, unless a parked change above
/// one holds it back: that document would be voided although the source has it.
///
/// `editions` are all of the index with their numbers, in the order in which changes go to them. What is parked is
/// looked at once for all of them: the one that is searched next lacks no floor that has acted in the one before.
pub async fn act_passed<Q: Queue, V: VectorStore>(
    queue: &Q,
    editions: &[(u32, &V)],
    held_back: &HeldBack,
) -> Result<()> {
    let mut ripe = Vec::new();
    for (number, store) in editions {
        let control = store.control().await?;
        let floors = ripe_in(*store, &control, queue.partitions()).await?;
        ripe.extend(floors.into_iter().map(|floor| (*number, *store, floor)));
    }
    let now = Instant::now();
    let ids = ripe.iter().map(|(number, _, floor)| (*number, floor.id));
    if !held_back.is_due(ids, now) {
        return Ok(());
    }
    let stores: Vec<&V> = editions.iter().map(|(_, store)| *store).collect();
    let parked = parked::current(queue, &stores).await?;
    let mut held = Vec::new();
    for (number, store, floor) in ripe {
        let is_held = |parked: &Vec<Parked>| holds_back(parked, &floor);
        if parked.as_ref().is_none_or(is_held) {
            tracing::debug!(kind = floor.kind, "a parked change holds a floor back");
            held.push((number, floor.id));
            continue;
        }
        act(store, &floor.kind, floor.version).await?;
        store.write(vec![Write::Acted(floor.id)]).await?;
    }
    held_back.found(held, now);
    Ok(())
}

/// The floors of an edition that every queue has passed.
async fn ripe_in<V: VectorStore>(
    store: &V,
    control: &Control,
    partitions: u32,
) -> Result<Vec<Floor>> {
    let (ripe, waiting): (Vec<_>, Vec<_>) = control
        .passing
        .iter()
        .partition(|(_, places)| has_passed(places, partitions));
    // A snapshot that began anew left its old floor half passed, below one that has acted.
    let stale = waiting
        .into_iter()
        .filter(|(floor, _)| control.voids(&floor.kind, floor.version))
        .map(|(floor, _)| Write::Acted(floor.id))
        .collect::<Vec<_>>();
    if !stale.is_empty() {
        store.write(stale).await?;
    }
    Ok(ripe.into_iter().map(|(floor, _)| floor.clone()).collect())
}

fn has_passed(places: &BTreeSet<Place>, partitions: u32) -> bool {
    (0..partitions).all(|partition| {
        places.contains(&Place {
            partition,
            lane: Lane::Backfill,
        })
    })
}

fn holds_back(parked: &[Parked], floor: &Floor) -> bool {
    parked.iter().any(|parked| match &parked.key {
        Some(key) => key.kind == floor.kind && parked.version > floor.version,
        // Nobody knows whose these bytes were; they may have been a row of the snapshot.
        None => parked.place.lane == Lane::Backfill,
    })
}

/// What a place hands on when the end of its generation has passed it: the places of the next one that
/// grow out of it begin with its watermark, and with the floors and the marks of a filling that have
/// passed it.
///
/// So the settled watermark never goes back, a floor that a parked row holds back still acts one day, and a
/// filling whose marks went through the old queues comes to its end. True of the new place from the start:
/// all up to the watermark is settled, no replay repeats it, and nothing from before a mark is in it.
pub fn inherited(control: &Control, place: Place, partitions: u32, next: u32) -> Vec<Write> {
    let step = usize::try_from(partitions.max(1)).unwrap_or(usize::MAX);
    let heirs = (place.partition..next).step_by(step).skip(1);
    let heirs = heirs.map(|partition| Place { partition, ..place });
    heirs
        .flat_map(|heir| {
            let mark = control.watermarks.get(&place);
            let mark = mark.map(|mark| Write::Watermark {
                place: heir,
                mark: *mark,
            });
            let passed = control
                .passing
                .iter()
                .filter(|(_, places)| places.contains(&place));
            let passed = passed.map(move |(floor, _)| Write::Passed {
                floor: floor.clone(),
                place: heir,
            });
            let marks = control.marks.iter();
            let marked =
                marks
                    .filter(|(_, places)| places.contains(&place))
                    .map(move |(mark, _)| Write::Marked {
                        mark: *mark,
                        place: heir,
                    });
            mark.into_iter().chain(passed).chain(marked)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Mark, Time};
    use crate::vector::Watermark;

    fn place(partition: u32) -> Place {
        let lane = Lane::Backfill;
        Place { partition, lane }
    }

    #[test]
    fn a_floor_that_is_held_back_is_looked_at_now_and_then_and_a_new_one_at_once() {
        let every = Duration::from_secs(30);
        let (held_back, now) = (HeldBack::new(every), Instant::now());
        let [one, other] = [1, 2].map(Uuid::from_u128);
        assert!(!held_back.is_due([], now), "there is none");
        assert!(held_back.is_due([(1, one)], now));
        held_back.found([(1, one)], now);
        let almost = now + every.saturating_sub(Duration::from_millis(1));
        assert!(!held_back.is_due([(1, one)], almost));
        assert!(
            held_back.is_due([(1, one), (1, other)], almost),
            "one is new"
        );
        assert!(held_back.is_due([(2, one)], almost), "of another edition");
        assert!(held_back.is_due([(1, one)], now + every));
        // What has acted since is not remembered.
        held_back.found([(1, other)], now);
        assert!(held_back.is_due([(1, one)], almost));
        assert!(!held_back.is_due([(1, other)], almost));
    }

    #[test]
    fn the_places_of_the_next_generation_begin_where_the_one_they_grow_out_of_ends() {
        let version = Version::read(1, Time::from_sequence(9));
        let mark = Watermark {
            version,
            committed_ms: 5,
        };
        let (id, kind) = (Uuid::nil(), "posts".to_owned());
        let floor = Floor { id, kind, version };
        let control = Control {
            watermarks: [(place(1), mark)].into(),
            passing: [(floor.clone(), [place(1)].into())].into(),
            marks: [(Mark::Begin, [place(1)].into())].into(),
            ..Control::default()
        };
        let heirs = [3, 5].map(place).into_iter();
        let expected: Vec<_> = heirs
            .flat_map(|place| {
                let floor = floor.clone();
                [
                    Write::Watermark { place, mark },
                    Write::Passed { floor, place },
                    Write::Marked {
                        mark: Mark::Begin,
                        place,
                    },
                ]
            })
            .collect();
        assert_eq!(inherited(&control, place(1), 2, 6), expected);
        // Nothing is known of another place, and fewer places need nothing.
        assert_eq!(inherited(&control, place(0), 2, 6), []);
        assert_eq!(inherited(&control, place(1), 2, 1), []);
    }
}
