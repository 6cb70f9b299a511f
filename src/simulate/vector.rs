//! A vector store in memory that stops between any two writes, does half of one, and loses answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Chaos, Plant};
use crate::change::{DocumentKey, Lane, Mark, Place, PointId, Version};
use crate::vector::{
    Control, Counts, Entry, Floor, Manifest, Near, Nearest, Point, Select, Stamp, VectorStore,
    Watermark, Write,
};
use crate::{Error, Result};

/// Manifests, points and control in memory.
#[derive(Debug, Clone)]
pub struct VectorModel {
    state: Arc<Mutex<State>>,
    chaos: Chaos,
    edition: u32,
}

/// What the checker looks at.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) manifests: BTreeMap<DocumentKey, Manifest>,
    pub(super) points: BTreeMap<PointId, Point>,
    pub(super) control: Control,
    /// The newest version of each key that ever had a manifest here.
    pub(super) highest: BTreeMap<DocumentKey, Version>,
    /// The version of each key's last tombstone that was collected.
    pub(super) collected: BTreeMap<DocumentKey, Version>,
    /// Tombstones collected since the checker looked last.
    pub(super) collections: Vec<(DocumentKey, Version)>,
    /// Floors that have acted since the checker looked last.
    pub(super) acted: Vec<Floor>,
    /// Writes that were done, so that nobody looks twice at the same state.
    pub(super) writes: u64,
    /// The manifest that each one replaced.
    replaced: BTreeMap<DocumentKey, Manifest>,
    /// Until then nothing answers.
    away_until: Option<Instant>,
    /// Until then every answer takes its time.
    slow_until: Option<Instant>,
}

impl VectorModel {
    /// An empty store.
    pub fn new(chaos: Chaos) -> Self {
        Self::of_edition(chaos, 1)
    }

    /// An empty edition of the index.
    pub(super) fn of_edition(chaos: Chaos, edition: u32) -> Self {
        Self {
            state: Arc::default(),
            chaos,
            edition,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers nothing for so long.
    pub(super) fn go_away(&self, time: Duration) {
        self.state().away_until = Some(Instant::now() + time);
    }

    /// Takes seconds for every answer for so long.
    pub(super) fn slow_down(&self, time: Duration) {
        self.state().slow_until = Some(Instant::now() + time);
    }

    /// Answers again, and at once.
    pub(super) fn come_back(&self) {
        let mut state = self.state();
        (state.away_until, state.slow_until) = (None, None);
    }

    fn is_away(&self) -> bool {
        let until = self.state().away_until;
        until.is_some_and(|until| until > Instant::now())
    }

    /// A call arrives, or its answer leaves.
    async fn step(&self, action: &'static str) -> Result<()> {
        let slow_until = self.state().slow_until;
        if slow_until.is_some_and(|until| until > Instant::now()) {
            let pause = Duration::from_millis(self.chaos.below(4000) as u64);
            tokio::time::sleep(pause).await;
        }
        self.chaos.step("vector store", action).await?;
        if self.is_away() && !self.chaos.has(Plant::AwayTakenForDone) {
            return Err(Error::unavailable("vector store", action)("it is away"));
        }
        Ok(())
    }

    /// Does a first part of the points of an upsert, then fails.
    fn tear(&self, write: &Write) -> Result<()> {
        if let Write::Upsert(points) = write
            && self.chaos.fault(5)
        {
            let part = self.chaos.below(points.len());
            let part = points.iter().take(part).cloned().collect();
            self.state().apply(Write::Upsert(part), &self.chaos);
            return Err(Error::unavailable("vector store", "write")(
                "it stopped half-way",
            ));
        }
        Ok(())
    }
}

impl State {
    fn apply(&mut self, write: Write, chaos: &Chaos) {
        tracing::trace!(?write, "store");
        self.writes += 1;
        match write {
            Write::Raise {
                key,
                stamp,
                metadata,
                points,
            } => {
                if chaos.has(Plant::RaiseLeftOut) {
                    return;
                }
                for Entry { id, rank } in points {
                    if let Some(point) = self.points.get_mut(&id)
                        && point.key == key
                        && order(point.stamp, chaos) <= order(stamp, chaos)
                    {
                        (point.stamp, point.rank) = (stamp, rank);
                        point.metadata.clone_from(&metadata);
                    }
                }
            }
            Write::Upsert(points) => points
                .into_iter()
                .for_each(|point| self.upsert(point, chaos)),
            Write::Manifest(manifest) => self.manifest(*manifest, chaos),
            Write::Sweep { key, stamp, keep } => self.sweep(&key, stamp, &keep, chaos),
            Write::Floor { kind, version } => {
                if !chaos.has(Plant::FloorForgotten) {
                    let floor = self.control.floors.entry(kind).or_default();
                    *floor = version.max(*floor);
                }
            }
            Write::Passed { floor, place } => {
                let places = self.control.passing.entry(floor).or_default();
                places.insert(place);
                if chaos.has(Plant::FloorActsEarly) {
                    places.extend((0..16).map(|partition| Place { partition, ..place }));
                }
            }
            Write::Marked { mark, place } => {
                let places = self.control.marks.entry(mark).or_default();
                places.insert(place);
                if chaos.has(Plant::DualTooEarly) && mark == Mark::Begin {
                    places.extend(
                        [Lane::Live, Lane::Backfill].into_iter().flat_map(|lane| {
                            (0..16).map(move |partition| Place { partition, lane })
                        }),
                    );
                }
            }
            Write::Acted(id) => {
                let acted = self
                    .control
                    .passing
                    .extract_if(.., |floor, _| floor.id == id);
                self.acted.extend(acted.map(|(floor, _)| floor));
            }
            Write::Watermark { place, mark } => self.watermark(place, mark, chaos),
            Write::Collect { key, version } => {
                let same =
                    |manifest: &Manifest| manifest.deleted && manifest.stamp.version == version;
                if self.manifests.get(&key).is_some_and(same) {
                    self.manifests.remove(&key);
                    self.collections.push((key.clone(), version));
                    self.collected.insert(key, version);
                }
            }
        }
    }

    fn upsert(&mut self, point: Point, chaos: &Chaos) {
        let newer = |there: &Point| order(there.stamp, chaos) > order(point.stamp, chaos);
        if chaos.has(Plant::PointGuardDropped) || !self.points.get(&point.id).is_some_and(newer) {
            self.points.insert(point.id, point);
        }
    }

    fn manifest(&mut self, manifest: Manifest, chaos: &Chaos) {
        let newer = |there: &Manifest| order(there.stamp, chaos) > order(manifest.stamp, chaos);
        let loses = self.manifests.get(&manifest.key).is_some_and(newer);
        if loses && !chaos.has(Plant::ManifestGuardDropped) {
            return;
        }
        if chaos.has(Plant::TombstoneLeftOut) && manifest.deleted {
            self.manifests.remove(&manifest.key);
            return;
        }
        let key = manifest.key.clone();
        let highest = self.highest.entry(key.clone()).or_default();
        *highest = manifest.stamp.version.max(*highest);
        if let Some(replaced) = self.manifests.insert(key.clone(), manifest) {
            self.replaced.insert(key, replaced);
        }
    }

    fn sweep(&mut self, key: &DocumentKey, stamp: Stamp, keep: &[PointId], chaos: &Chaos) {
        if chaos.has(Plant::DeleteByDifference) {
            let before = self
                .replaced
                .get(key)
                .map(Manifest::point_ids)
                .unwrap_or_default();
            self.points
                .retain(|id, _| keep.contains(id) || !before.contains(id));
            return;
        }
        let unbounded = chaos.has(Plant::SweepUnbounded);
        self.points.retain(|id, point| {
            let newer = order(point.stamp, chaos) > order(stamp, chaos);
            point.key != *key || (newer && !unbounded) || keep.contains(id)
        });
    }

    fn watermark(&mut self, place: Place, mark: Watermark, chaos: &Chaos) {
        let held = self.control.watermarks.entry(place).or_default();
        *held = mark.max(*held);
        if chaos.has(Plant::TombstoneCollectedEarly) {
            self.manifests.retain(|_, manifest| !manifest.deleted);
        }
    }
}

impl VectorStore for VectorModel {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        self.step("read manifests").await?;
        let found = {
            let state = self.state();
            match select {
                Select::Of(keys) => keys
                    .iter()
                    .filter_map(|key| state.manifests.get(key))
                    .cloned()
                    .collect(),
                Select::After { after, limit } => {
                    let mut found = after_key(&state.manifests, after, limit);
                    if self.chaos.has(Plant::TombstoneNotCopied) {
                        found.retain(|manifest| !manifest.deleted);
                    }
                    found
                }
            }
        };
        self.step("read manifests").await?;
        Ok(found)
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        self.step("read points").await?;
        let state = self.state();
        Ok(match select {
            Select::Of(ids) => ids
                .iter()
                .filter_map(|id| state.points.get(id))
                .cloned()
                .collect(),
            Select::After { after, limit } => after_key(&state.points, after, limit),
        })
    }

    async fn control(&self) -> Result<Control> {
        self.step("read its control state").await?;
        let mut control = self.state().control.clone();
        if self.chaos.has(Plant::WatermarkOfOneCounts) {
            let most = control.watermarks.values().max().copied();
            let marks = control.watermarks.values_mut();
            marks
                .zip(most.into_iter().cycle())
                .for_each(|(mark, most)| *mark = most);
        }
        Ok(control)
    }

    async fn write(&self, mut writes: Vec<Write>) -> Result<()> {
        if self.chaos.has(Plant::ManifestBeforePoints) {
            writes.sort_by_key(|write| matches!(write, Write::Upsert(_)));
        }
        for write in writes {
            self.step("write").await?;
            let is_floor = matches!(write, Write::Floor { .. });
            if is_floor && self.edition > 1 && self.chaos.has(Plant::FloorInOneEdition) {
                continue;
            }
            self.tear(&write)?;
            if !self.is_away() {
                self.state().apply(write, &self.chaos);
            }
        }
        self.step("write").await
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        self.step("search").await?;
        let state = self.state();
        Ok(question.among(state.points.values()))
    }

    async fn counts(&self) -> Result<Counts> {
        self.step("count").await?;
        let state = self.state();
        let tombstones = state
            .manifests
            .values()
            .filter(|manifest| manifest.deleted)
            .count() as u64;
        Ok(Counts {
            documents: state.manifests.len() as u64 - tombstones,
            tombstones,
            points: state.points.len() as u64,
        })
    }
}

/// What decides between two contents.
fn order(stamp: Stamp, chaos: &Chaos) -> Stamp {
    if chaos.has(Plant::VersionAloneOrders) {
        stamp.version.into()
    } else if chaos.has(Plant::RevisionIgnored) {
        Stamp {
            revision: 0,
            ..stamp
        }
    } else {
        stamp
    }
}

fn after_key<K: Ord + Clone, T: Clone>(
    map: &BTreeMap<K, T>,
    after: Option<K>,
    limit: usize,
) -> Vec<T> {
    use std::ops::Bound::{Excluded, Unbounded};
    let from = after.map_or(Unbounded, Excluded);
    map.range((from, Unbounded))
        .take(limit)
        .map(|(_, found)| found.clone())
        .collect()
}
