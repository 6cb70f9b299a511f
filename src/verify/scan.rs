//! The hand that reads pages of source and index, and gives them to the comparison.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::compare::{self, Expected, Wanted};
use super::report::{Excuses, Suspects};
use super::{Difference, Kind, Options, Ports, Progress, Report, Stage};
use crate::change::{DocumentKey, PointId, Version};
use crate::document::Fields;
use crate::feature::embed::Embedder;
use crate::queue::Queue;
use crate::source::{Source, progressed};
use crate::vector::{Control, Manifest, Point, Select, VectorStore};
use crate::{Error, Recovery, Result};

/// Documents, manifests or points read at a time.
const PAGE: usize = 256;
/// Times that a document which differs is looked at, the first one included.
const LOOKS: u32 = 5;
/// Before it is looked at again: a change is mostly in the index sooner.
const PAUSE: Duration = Duration::from_millis(250);
/// Texts embedded at a time.
const EMBED_BATCH: usize = 64;

/// A comparison under way.
pub(super) struct Scan<'a, S, Q, V, E> {
    ports: &'a Ports<'a, S, Q, V, E>,
    options: Options,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    suspects: Suspects,
    report: Report,
}

impl<'a, S: Source, Q: Queue, V: VectorStore, E: Embedder> Scan<'a, S, Q, V, E> {
    pub(super) fn new(
        ports: &'a Ports<'a, S, Q, V, E>,
        options: Options,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Self {
        Self {
            ports,
            options,
            progress,
            suspects: Suspects::default(),
            report: Report::default(),
        }
    }

    /// Every document of the source against its manifest and points.
    pub(super) async fn source(&mut self) -> Result<()> {
        for kind in self.ports.source.kinds().await? {
            let mut after = None;
            loop {
                let page = self.ports.source.page(&kind, after, PAGE).await?.found;
                let Some(last) = page.last() else { break };
                after = Some(last.key.id.clone());
                self.report.documents += page.len() as u64;
                let page = page
                    .into_iter()
                    .map(|document| (document.key, Some(document.fields)))
                    .collect();
                let suspects = &mut self.suspects;
                let mut differs = |difference: Difference| suspects.document(&difference.key);
                documents(self.ports, page, self.options.vectors, &mut differs).await?;
                self.tell(Stage::Documents, self.report.documents);
            }
        }
        Ok(())
    }

    /// Every manifest that holds a document against the source.
    pub(super) async fn manifests(&mut self) -> Result<()> {
        let (mut after, mut done) = (None, 0);
        loop {
            let select = Select::After { after, limit: PAGE };
            let page = self.ports.store.manifests(select).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            done += page.len() as u64;
            let control = self.ports.store.control().await?;
            let mut live = Vec::new();
            for manifest in page {
                if manifest.deleted {
                    self.report.tombstones += 1;
                } else if control.holds(&manifest) {
                    let current = self.ports.types.fingerprint(&manifest.key.kind);
                    self.report.outdated += u64::from(manifest.fingerprint != current);
                    live.push((manifest.key, manifest.stamp.version));
                }
            }
            self.surplus(live).await?;
            self.tell(Stage::Manifests, done);
        }
        Ok(())
    }

    /// Suspects those that the source does not have. Large ones are read a few at a time.
    async fn surplus(&mut self, mut live: Vec<(DocumentKey, Version)>) -> Result<()> {
        loop {
            let keys = live.iter().map(|(key, _)| key.clone()).collect();
            let found = self.ports.source.read(keys).await?.found;
            progressed(live.len(), found.len())?;
            let read = live.drain(..found.len().min(live.len()));
            for ((key, version), _) in read.zip(found).filter(|(_, found)| found.is_none()) {
                if version.is_some() {
                    self.suspects.document(&key);
                } else {
                    self.report.unversioned += 1;
                }
            }
            if live.is_empty() {
                return Ok(());
            }
        }
    }

    /// Every point against the manifest of its document.
    pub(super) async fn points(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let select = Select::After { after, limit: PAGE };
            let page = self.ports.store.points(select).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            self.report.points += page.len() as u64;
            let suspects = &mut self.suspects;
            orphans(self.ports.store, page, &mut |key, id, _| {
                suspects.orphan(key, id);
            })
            .await?;
            self.tell(Stage::Points, self.report.points);
        }
        Ok(())
    }

    /// Whatever differed, again and again: what differs each time is no change that was on its way,
    /// unless the document is changed all the time.
    pub(super) async fn again(mut self) -> Result<Report> {
        let (mut keys, beyond) = std::mem::take(&mut self.suspects).into_parts();
        for _ in 2..LOOKS {
            // So many are no changes on their way, and each look at them takes long.
            if keys.is_empty() || keys.len() > PAGE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            let mut still = BTreeMap::new();
            let mut keep = |difference: Difference| {
                if let Some((key, ids)) = keys.get_key_value(&difference.key) {
                    still.entry(key.clone()).or_insert_with(|| ids.clone());
                }
            };
            self.look(&keys, &|_| (), &mut keep).await?;
            keys = still;
        }
        if !keys.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        let depth = self.ports.queue.depth().await?;
        self.report.pending = depth.live + depth.backfill;
        self.report.parked = depth.parked;
        let excuses = self.excuses(&keys).await?;
        let (mut report, repair) = (std::mem::take(&mut self.report), self.options.repair);
        let mut add = |difference| report.add(difference, &excuses, repair);
        let tell = |done| self.tell(Stage::Again, done);
        self.look(&keys, &tell, &mut add).await?;
        Ok(report.finish(beyond))
    }

    /// Compares these documents, and these points of theirs; `tell` how many were.
    async fn look(
        &self,
        keys: &BTreeMap<DocumentKey, Vec<PointId>>,
        tell: &(dyn Fn(u64) + Send + Sync),
        differs: &mut (dyn FnMut(Difference) + Send),
    ) -> Result<()> {
        let ports = self.ports;
        let mut done = 0;
        let all: Vec<_> = keys.iter().collect();
        let mut left = all.as_slice();
        while !left.is_empty() {
            let page = left.iter().take(PAGE);
            let names: Vec<DocumentKey> = page.map(|(key, _)| (*key).clone()).collect();
            // Large ones are read a few at a time.
            let fields = ports.source.read(names.clone()).await?.found;
            progressed(names.len(), fields.len())?;
            let (page, rest) = left.split_at(fields.len().min(left.len()));
            left = rest;
            done += page.len() as u64;
            let pairs = names.into_iter().zip(fields).collect();
            documents(ports, pairs, self.options.vectors, differs).await?;
            let ids: Vec<PointId> = page.iter().flat_map(|(_, ids)| *ids).copied().collect();
            for ids in ids.chunks(PAGE) {
                let points = ports.store.points(Select::Of(ids.to_vec())).await?;
                let mut add_orphan = |key: &DocumentKey, id, manifest: Option<&Manifest>| {
                    differs(compare::orphan(key, manifest, id));
                };
                orphans(ports.store, points, &mut add_orphan).await?;
            }
            tell(done);
        }
        Ok(())
    }

    /// The parked changes of suspects; of all others none is kept.
    async fn excuses(&self, suspects: &BTreeMap<DocumentKey, Vec<PointId>>) -> Result<Excuses> {
        let mut excuses = Excuses::default();
        let mut after = None;
        loop {
            let page = self.ports.queue.parked(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for parked in page {
                if let Some(key) = parked.key.clone().filter(|key| suspects.contains_key(key)) {
                    excuses.add(key, parked);
                }
            }
        }
        Ok(excuses)
    }

    fn tell(&self, stage: Stage, done: u64) {
        (self.progress)(Progress { stage, done });
    }
}

/// Compares documents, as the source has them or has them not, with what the index holds.
pub(super) async fn documents<S: Source, Q: Queue, V: VectorStore, E: Embedder>(
    ports: &Ports<'_, S, Q, V, E>,
    documents: Vec<(DocumentKey, Option<Fields>)>,
    vectors: bool,
    differs: &mut (dyn FnMut(Difference) + Send),
) -> Result<()> {
    let keys = documents.iter().map(|(key, _)| key.clone()).collect();
    let manifests = by_key(ports.store.manifests(Select::Of(keys)).await?);
    let control = ports.store.control().await?;
    let mut wanted = Vec::new();
    for (key, fields) in documents {
        let manifest = manifests.get(&key);
        wanted.extend(document(ports, (key, fields), manifest, &control, differs)?);
        while wanted.len() >= PAGE {
            let rest = wanted.split_off(PAGE);
            points(ports, &wanted, vectors, differs).await?;
            wanted = rest;
        }
        // Preparing a large document takes a while, and others share the thread.
        tokio::task::yield_now().await;
    }
    points(ports, &wanted, vectors, differs).await
}

/// Compares one document with its manifest; returns what its points must be.
fn document<S, Q, V, E>(
    ports: &Ports<'_, S, Q, V, E>,
    (key, fields): (DocumentKey, Option<Fields>),
    manifest: Option<&Manifest>,
    control: &Control,
    differs: &mut (dyn FnMut(Difference) + Send),
) -> Result<Vec<Wanted>> {
    let Some(fields) = fields else {
        compare::surplus(manifest, control)
            .into_iter()
            .for_each(differs);
        return Ok(Vec::new());
    };
    let prepared = match (ports.prepare)(&key.kind, &fields) {
        Ok(prepared) => prepared,
        Err(error) if error.recovery() == Recovery::Park => {
            differs(Difference {
                key,
                version: manifest.map(|manifest| manifest.stamp.version),
                kind: Kind::Unusable,
                detail: error.chain(),
            });
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let expected = Expected::new(key, prepared);
    expected
        .compare(manifest, control)
        .into_iter()
        .for_each(differs);
    let held = manifest.filter(|manifest| control.holds(manifest));
    Ok(held.map_or_else(Vec::new, |manifest| expected.wanted(manifest)))
}

/// Compares points with what they must be.
async fn points<S, Q, V: VectorStore, E: Embedder>(
    ports: &Ports<'_, S, Q, V, E>,
    wanted: &[Wanted],
    vectors: bool,
    differs: &mut (dyn FnMut(Difference) + Send),
) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let ids = wanted.iter().map(Wanted::id).collect();
    let stored = ports.store.points(Select::Of(ids)).await?;
    let stored: HashMap<PointId, Point> =
        stored.into_iter().map(|point| (point.id, point)).collect();
    let dimension = ports.embedder.model().dimension;
    for wanted in wanted {
        let found = wanted.compare(stored.get(&wanted.id()), dimension);
        found.into_iter().for_each(&mut *differs);
    }
    if !vectors {
        return Ok(());
    }
    let due: Vec<(&Wanted, &str, &Point)> = wanted
        .iter()
        .filter_map(|wanted| Some((wanted, wanted.content()?, stored.get(&wanted.id())?)))
        .collect();
    for batch in due.chunks(EMBED_BATCH) {
        let texts = batch
            .iter()
            .map(|(_, text, _)| (*text).to_owned())
            .collect();
        let again = ports.embedder.embed(texts).await?;
        if again.len() != batch.len() {
            let why = format!("{} came for {} texts", again.len(), batch.len());
            return Err(Error::malformed("the embedder's answer", why));
        }
        for ((wanted, _, point), again) in batch.iter().zip(again) {
            if let Some(found) = wanted.compare_vector(&point.vector, &again) {
                differs(found);
            }
        }
    }
    Ok(())
}

/// Finds the points that their document's manifest does not name.
async fn orphans<V: VectorStore>(
    store: &V,
    points: Vec<Point>,
    found: &mut (dyn FnMut(&DocumentKey, PointId, Option<&Manifest>) + Send),
) -> Result<()> {
    let mut keys: Vec<DocumentKey> = points.iter().map(|point| point.key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    let manifests = by_key(store.manifests(Select::Of(keys)).await?);
    let control = store.control().await?;
    for point in points {
        let manifest = manifests.get(&point.key);
        if !compare::names(manifest, &control, point.id) {
            found(&point.key, point.id, manifest);
        }
    }
    Ok(())
}

fn by_key(manifests: Vec<Manifest>) -> HashMap<DocumentKey, Manifest> {
    manifests
        .into_iter()
        .map(|manifest| (manifest.key.clone(), manifest))
        .collect()
}
