//! What a worker does with changes: each document is brought up to date in every edition, then settled.
//!
//! ```text
//! works ──in every edition──> current? ─> prepare ─> plan ─> store ─> settle
//!   └── one that cannot succeed ─> alone: parked, or tried again where it is a delete
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Offload, One, Open, Worker};
use crate::change::{Change, Operation};
use crate::feature::embed::Embedder;
use crate::feature::ledger::Work;
use crate::feature::plan::{Plan, is_current};
use crate::feature::prepare::{Limits, Prepared};
use crate::feature::store;
use crate::metrics::Stage;
use crate::queue::{Consumer, Generations};
use crate::reindex::Editions;
use crate::vector::{Manifest, Select, VectorStore};
use crate::{Error, Recovery, Result};

/// Between two attempts at a delete that cannot be stored: a person has to look.
const DELETE_PAUSE: Duration = Duration::from_mins(1);

fn is_parking(error: &Error) -> bool {
    error.recovery() == Recovery::Park
}

impl<Q: Generations, T: Editions> Worker<'_, Q, T> {
    /// Brings documents up to date: all together, and one by one where that fails for one of them.
    pub(super) async fn work(
        &self,
        consumer: &mut Q::Consumer,
        open: &Open<T>,
        works: Vec<Work>,
    ) -> Result<()> {
        match self.store(consumer, open, &works).await {
            Err(error) if is_parking(&error) => {}
            done => return done,
        }
        for work in works {
            let alone = std::slice::from_ref(&work);
            match self.store(consumer, open, alone).await {
                // A parked delete would leave what it deletes to be found.
                Err(error) if is_parking(&error) && work.change.operation == Operation::Delete => {
                    tracing::error!(key = %work.change.key, error = %error.chain(), "a delete is tried again");
                    consumer.release(work.tags(), DELETE_PAUSE).await?;
                }
                Err(error) if is_parking(&error) => {
                    self.park(consumer, work.tag, error.chain()).await?;
                    // Older changes of the key may be well; they come again without this one.
                    consumer.release(work.overtaken, Duration::ZERO).await?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Stores these documents in every edition, then settles their deliveries.
    async fn store(
        &self,
        consumer: &mut Q::Consumer,
        open: &Open<T>,
        works: &[Work],
    ) -> Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        // What one edition's model refuses is parked, and does not hold another edition back.
        let mut refused = None;
        for index in open.indexes() {
            let is_next = index.number != open.current.number;
            let concerned: Vec<_> = works
                .iter()
                .filter(|work| is_next || work.change.operation != Operation::Fill)
                .collect();
            match self.store_in(index, &concerned).await {
                Err(error) if is_parking(&error) => refused = refused.or(Some(error)),
                done => done?,
            }
        }
        if let Some(error) = refused {
            return Err(error);
        }
        let begun = Instant::now();
        let tags = works.iter().flat_map(Work::tags).collect();
        consumer.settle(tags).await?;
        self.took(Stage::Settle, begun.elapsed());
        for Work { change, .. } in works {
            tracing::debug!(id = %change.message_id, key = %change.key, version = %change.version, "done with a change");
        }
        Ok(())
    }

    /// Plans and stores these documents in one edition.
    async fn store_in(&self, index: &One<T>, works: &[&Work]) -> Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        let store = index.store.as_ref();
        let keys: Vec<_> = works.iter().map(|work| work.change.key.clone()).collect();
        let begun = Instant::now();
        let control = store.control().await?;
        let manifests = store.manifests(Select::Of(keys)).await?;
        self.took(Stage::Read, begun.elapsed());
        let begun = Instant::now();
        let mut plans = Vec::with_capacity(works.len());
        let mut remains = Vec::new();
        for work in works {
            let stored = manifests
                .iter()
                .find(|manifest| manifest.key == work.change.key);
            if is_current(&work.change.key, work.change.version, stored, &control) {
                plans.push(self.plan(index, &work.change, stored).await?);
            } else if work.again {
                remains.push((work.change.key.clone(), work.change.version));
            }
        }
        self.took(Stage::Prepare, begun.elapsed());
        let (stored, overtaken) = (plans.len(), works.len() - plans.len());
        // A worker may have died over this very change, after its points and before its sweep.
        store::sweep(store, remains).await?;
        if !plans.is_empty() {
            let begun = Instant::now();
            let written = store::store(store, index.embedder.as_ref(), plans).await?;
            let counters = self.ports.counters;
            counters
                .embedded
                .fetch_add(written.embedded as u64, Ordering::Relaxed);
            counters
                .kept
                .fetch_add(written.kept as u64, Ordering::Relaxed);
            self.took(Stage::Embed, written.embedding);
            self.took(
                Stage::Write,
                begun.elapsed().saturating_sub(written.embedding),
            );
        }
        self.count(stored, overtaken);
        Ok(())
    }

    async fn plan(
        &self,
        index: &One<T>,
        change: &Change,
        stored: Option<&Manifest>,
    ) -> Result<Plan> {
        if let Some(plan) = Plan::of_delete(change, stored, self.ports.clock.now_ms()) {
            return Ok(plan);
        }
        let prepared = self.prepare(index, change).await?;
        let fingerprint = self.settings.types.fingerprint(&change.key.kind);
        Ok(Plan::new(change, prepared, stored, fingerprint))
    }

    async fn prepare(&self, index: &One<T>, change: &Change) -> Result<Prepared> {
        let embedder = Arc::clone(&index.embedder);
        let types = Arc::clone(&self.settings.types);
        let (kind, fields) = (
            change.key.kind.clone(),
            change.fields.clone().unwrap_or_default(),
        );
        let prepare = move || {
            let limits = Limits::of_model(embedder.model());
            types.prepare(&kind, &fields, &limits, &|text: &str| {
                embedder.token_count(text)
            })
        };
        match self.settings.offload {
            Offload::Inline => prepare(),
            Offload::Blocking => tokio::task::spawn_blocking(prepare)
                .await
                .map_err(|_| Error::malformed(change.key.to_string(), "preparing it panicked"))?,
        }
    }

    fn took(&self, stage: Stage, time: Duration) {
        self.ports.counters.stages.took(stage, time);
    }

    fn count(&self, stored: usize, overtaken: usize) {
        self.ports
            .counters
            .stored
            .fetch_add(stored as u64, Ordering::Relaxed);
        self.ports
            .counters
            .overtaken
            .fetch_add(overtaken as u64, Ordering::Relaxed);
    }
}
