//! Floors: how whole types are voided at one moment, and how the deletes of a gap are found.
//!
//! ```text
//! at once ────────────────────────────────┐
//! when passed ─> every queue has passed ──┴─> floor raised ─> manifests ─> tombstones, points swept
//!                and no change above it is parked
//! ```

use std::collections::BTreeSet;

use crate::change::{DocumentKey, Lane, Place, Version};
use crate::queue::{Parked, Queue};
use crate::vector::{Control, Floor, Manifest, Select, VectorStore, Write};
use crate::{Result, feature::store};

/// Manifests or parked messages read at once.
const PAGE: usize = 256;

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
/// `stores` are those of all editions of the index, `store` the one of them whose floors act.
pub async fn act_passed<Q: Queue, V: VectorStore>(
    queue: &Q,
    stores: &[&V],
    store: &V,
    control: &Control,
) -> Result<()> {
    let (ripe, waiting): (Vec<_>, Vec<_>) = control
        .passing
        .iter()
        .partition(|(_, places)| has_passed(places, queue.partitions()));
    // A snapshot that began anew left its old floor half passed, below one that has acted.
    let stale = waiting
        .into_iter()
        .filter(|(floor, _)| control.voids(&floor.kind, floor.version))
        .map(|(floor, _)| Write::Acted(floor.id))
        .collect::<Vec<_>>();
    if !stale.is_empty() {
        store.write(stale).await?;
    }
    if ripe.is_empty() {
        return Ok(());
    }
    let parked = parked(queue, stores).await?;
    for (floor, _) in ripe {
        if holds_back(&parked, floor) {
            tracing::debug!(kind = floor.kind, "a parked change holds a floor back");
            continue;
        }
        act(store, &floor.kind, floor.version).await?;
        store.write(vec![Write::Acted(floor.id)]).await?;
    }
    Ok(())
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

/// The parked messages that still matter; those that every edition of the index has overtaken are
/// forgotten.
pub async fn parked<Q: Queue, V: VectorStore>(queue: &Q, stores: &[&V]) -> Result<Vec<Parked>> {
    let mut after = None;
    let mut current = Vec::new();
    loop {
        let page = queue.parked(after, PAGE).await?;
        let Some(last) = page.last().map(|parked| parked.id) else {
            return Ok(current);
        };
        let keys: Vec<_> = page
            .iter()
            .filter_map(|parked| parked.key.clone())
            .collect();
        let mut over = page;
        let mut still = Vec::new();
        for store in stores {
            let control = store.control().await?;
            let manifests = store.manifests(Select::Of(keys.clone())).await?;
            let here;
            (over, here) = over
                .into_iter()
                .partition(|parked| is_overtaken(parked, &manifests, &control));
            still.extend::<Vec<_>>(here);
        }
        if !over.is_empty() {
            queue
                .forget(over.into_iter().map(|parked| parked.id).collect())
                .await?;
        }
        current.extend(still);
        after = Some(last);
    }
}

/// Whether the index holds the key at this version or a newer one, or a floor has voided it. A message
/// without a version is overtaken by one with: nothing says which of two without is newer.
fn is_overtaken(parked: &Parked, manifests: &[Manifest], control: &Control) -> bool {
    let newer = |manifest: &Manifest| {
        let stored = manifest.stamp.version;
        stored.is_some() && stored >= parked.version
    };
    parked.key.as_ref().is_some_and(|key| {
        control.voids(&key.kind, parked.version)
            || (manifests.iter()).any(|manifest| manifest.key == *key && newer(manifest))
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
    use uuid::Uuid;

    use super::*;
    use crate::change::{Mark, Time};
    use crate::vector::Watermark;

    fn place(partition: u32) -> Place {
        let lane = Lane::Backfill;
        Place { partition, lane }
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
