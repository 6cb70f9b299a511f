//! What the new edition takes over from the old one: what was deleted, voided and settled before
//! changes went to both, and what has no source to be read from again.
//!
//! Once every queue has passed the first mark nothing is settled any more that the new edition was
//! not told of; so what is read here is the last of it. Other documents are not copied: they are
//! read again from the source.
//!
//! What only a producer without versions has sent is cut anew for the new model. What that refuses all the
//! same would be gone with the old edition, and keeps it from being replaced.

mod stray;

use crate::change::{DocumentKey, Version};
use crate::feature::embed::Embedder;
use crate::feature::floor;
use crate::feature::plan::Plan;
use crate::feature::store;
use crate::feature::types::Types;
use crate::vector::{Control, Select, VectorStore, Write};
use crate::{Error, Recovery, Result};

use super::Index;

/// Manifests read at once.
const PAGE: usize = 256;

/// What the new edition's model does not take: an index may have very many such documents.
#[derive(Default)]
struct Refused {
    count: u64,
    first: Option<(DocumentKey, Error)>,
}

/// Copies control state, tombstones, and documents without a version. Repeatable: every write loses
/// against a newer one.
///
/// # Errors
/// What a store or a model says; [`Error::Refused`] where all is copied but documents whose texts the new
/// edition's model does not take.
pub(super) async fn copy<V: VectorStore, E: Embedder>(
    (old, new): (&Index<V, E>, &Index<V, E>),
    types: &Types,
) -> Result<()> {
    control(old.store.as_ref(), new.store.as_ref()).await?;
    let mut refused = Refused::default();
    let mut after = None;
    loop {
        let select = Select::After { after, limit: PAGE };
        let page = old.store.manifests(select).await?;
        let Some(last) = page.last().map(|manifest| manifest.key.clone()) else {
            return refused.or_none(new.number);
        };
        after = Some(last);
        let mut graves = Vec::new();
        for mut manifest in page {
            let is_stray = !manifest.stamp.version.is_some();
            if is_stray {
                // Whatever of it the new edition was told itself came later, and wins.
                manifest.stamp = Version::NONE.into();
            }
            if manifest.deleted {
                graves.push(Plan {
                    manifest,
                    texts: Vec::new(),
                });
            } else if is_stray {
                match stray::copy((old, new), types, &manifest.key).await {
                    Err(error) if error.recovery() == Recovery::Park => {
                        refused.add(manifest.key, error);
                    }
                    done => done?,
                }
            }
        }
        if !graves.is_empty() {
            // An old change that came late may have brought the document back here: stored as the
            // delete that it is, its points go, too.
            store::store(new.store.as_ref(), new.embedder.as_ref(), graves).await?;
        }
    }
}

impl Refused {
    fn add(&mut self, key: DocumentKey, error: Error) {
        self.count += 1;
        self.first.get_or_insert((key, error));
    }

    fn or_none(&self, edition: u32) -> Result<()> {
        let Some((key, error)) = &self.first else {
            return Ok(());
        };
        Err(Error::Refused {
            service: format!("edition {edition} of the index"),
            why: format!(
                "{} documents that only the index has cannot be embedded for it, {key} among them: {}",
                self.count,
                error.chain()
            ),
            fix: format!(
                "send it again as the model takes it, or take it out with `lockstep resync {key}`; `lockstep \
                 reindex` goes on then, and `lockstep reindex --drop` gives it up"
            ),
        })
    }
}

/// Floors, those on their way, and watermarks.
///
/// Again while floors act or queues of a next generation begin meanwhile: what the old edition has from
/// that, the new one could not have from what was not copied yet.
async fn control<V: VectorStore>(old: &V, new: &V) -> Result<()> {
    let mut control = old.control().await?;
    loop {
        take_over(&control, new).await?;
        let after = old.control().await?;
        let is_same = control.floors == after.floors
            && control.passing == after.passing
            && control.watermarks.keys().eq(after.watermarks.keys());
        if is_same {
            return Ok(());
        }
        control = after;
    }
}

async fn take_over<V: VectorStore>(control: &Control, new: &V) -> Result<()> {
    for (kind, version) in &control.floors {
        floor::act(new, kind, *version).await?;
    }
    let passed = control.passing.iter().flat_map(|(floor, places)| {
        places.iter().map(move |place| Write::Passed {
            floor: floor.clone(),
            place: *place,
        })
    });
    let marks = control.watermarks.iter();
    let marks = marks.map(|(place, mark)| Write::Watermark {
        place: *place,
        mark: *mark,
    });
    new.write(passed.chain(marks).collect()).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::change::{Change, Operation};
    use crate::document::Fields;
    use crate::feature::prepare::{FINGERPRINT, Prepared};
    use crate::simulate::{Chaos, EmbedModel, VectorModel};
    use crate::vector::{Manifest, Point, Stamp};

    fn index(number: u32) -> Index<VectorModel, EmbedModel> {
        let chaos = Chaos::calm();
        Index {
            number,
            store: Arc::new(VectorModel::new(chaos.clone())),
            embedder: Arc::new(EmbedModel::of_edition(chaos, number)),
            held: None,
        }
    }

    /// What a producer without versions sends, where nothing of it is stored: one chunk, as for a model that reads
    /// more.
    fn sent(id: &str, text: &str, by: &str) -> Plan {
        let key = DocumentKey::text("mail", id);
        let change = Change::new(key, Version::NONE, Operation::Insert, None, 7);
        let prepared = Prepared {
            metadata: Fields::from_iter([("by".to_owned(), by.into())]),
            text: text.to_owned(),
            chunks: vec![text.to_owned()],
        };
        Plan::new(&change, prepared, None, FINGERPRINT)
    }

    async fn store(index: &Index<VectorModel, EmbedModel>, plan: Plan) {
        let stored = store::store(index.store.as_ref(), index.embedder.as_ref(), vec![plan]);
        stored.await.unwrap();
    }

    async fn stray(index: &Index<VectorModel, EmbedModel>, id: &str, text: &str) -> DocumentKey {
        let plan = sent(id, text, "first");
        let key = plan.manifest.key.clone();
        store(index, plan).await;
        key
    }

    /// Stores the plan's points and not its manifest, as whoever is cut off there.
    async fn store_points(index: &Index<VectorModel, EmbedModel>, plan: &Plan) {
        let manifest = &plan.manifest;
        let named = manifest.points.iter().zip(&plan.texts);
        let points = named.map(|(entry, text)| Point {
            id: entry.id,
            key: manifest.key.clone(),
            stamp: manifest.stamp,
            rank: entry.rank,
            content: text.clone(),
            metadata: manifest.metadata.clone(),
            vector: vec![0.0; index.embedder.model().dimension],
        });
        let upsert = Write::Upsert(points.collect());
        index.store.write(vec![upsert]).await.unwrap();
    }

    /// The document's manifest, and the metadata of its points.
    async fn held(
        index: &Index<VectorModel, EmbedModel>,
        key: &DocumentKey,
    ) -> Option<(Manifest, Vec<Fields>)> {
        let of = Select::Of(vec![key.clone()]);
        let manifest = index.store.manifests(of).await.unwrap().pop()?;
        let points = index.store.points(Select::Of(manifest.point_ids())).await;
        let points = points.unwrap().into_iter();
        Some((manifest, points.map(|point| point.metadata).collect()))
    }

    /// The document's texts, in their order.
    async fn texts(index: &Index<VectorModel, EmbedModel>, key: &DocumentKey) -> Vec<String> {
        let of = Select::Of(vec![key.clone()]);
        let Some(manifest) = index.store.manifests(of).await.unwrap().pop() else {
            return Vec::new();
        };
        assert_eq!(manifest.stamp, Stamp::from(Version::NONE));
        let points = index.store.points(Select::Of(manifest.point_ids())).await;
        let mut points = points.unwrap();
        points.sort_by_key(|point| point.rank);
        points.into_iter().map(|point| point.content).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_the_index_has_is_cut_for_the_new_model() {
        let (old, new) = (index(1), index(2));
        let sentences = (0..30).map(|number| format!("Sentence {number} has to say this."));
        let text = sentences.collect::<Vec<_>>().join(" ");
        let key = stray(&old, "a", &text).await;
        for _ in 0..2 {
            copy((&old, &new), Types::seed()).await.unwrap();
            let texts = texts(&new, &key).await;
            assert_eq!(texts.join(" "), text);
            let limit = new.embedder.model().token_limit;
            for text in texts {
                assert!(new.embedder.token_count(&text) <= limit, "{text}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_texts_of_one_document_are_embedded_once() {
        let (old, new) = (index(1), index(2));
        let key = stray(&old, "a", &["The same is said again."; 120].join(" ")).await;
        copy((&old, &new), Types::seed()).await.unwrap();
        let (texts, asked) = (texts(&new, &key).await, new.embedder.asked());
        assert!(texts.len() > asked.len(), "{texts:?}");
        assert!(asked.values().all(|times| *times == 1), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_new_model_refuses_is_told_and_holds_no_other_back() {
        let (old, new) = (index(1), index(2));
        new.embedder.refuse("poison");
        let bad = stray(&old, "a", "this is poison").await;
        let good = stray(&old, "b", "this is well").await;
        stray(&old, "c", "poison as well").await;
        let error = copy((&old, &new), Types::seed()).await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Stop);
        let told = error.to_string();
        for part in ["edition 2", "2 documents", "mail/a", "the model refuses it"] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(texts(&new, &bad).await, Vec::<String>::new());
        assert_eq!(texts(&new, &good).await, ["this is well"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_does_not_get_ahead_of_who_is_about_to_store_what_came_later() {
        let (old, new) = (index(1), index(2));
        let key = stray(&old, "a", "this is well").await;
        // A worker is before its manifest in the new edition, and has not come to the old one.
        let told = sent("a", "this is well", "second");
        store_points(&new, &told).await;
        copy((&old, &new), Types::seed()).await.unwrap();
        let metadata = told.manifest.metadata.clone();
        let manifest = Write::Manifest(Box::new(told.manifest.clone()));
        new.store.write(vec![manifest]).await.unwrap();
        assert_eq!(
            held(&new, &key).await,
            Some((told.manifest, vec![metadata]))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_new_edition_was_told_stands_and_asks_nothing_of_its_model() {
        let (old, new) = (index(1), index(2));
        new.embedder.refuse("poison");
        let key = stray(&old, "a", "this is poison").await;
        let told = sent("a", "this is well", "second");
        let metadata = told.manifest.metadata.clone();
        store(&new, told.clone()).await;
        copy((&old, &new), Types::seed()).await.unwrap();
        assert_eq!(
            held(&new, &key).await,
            Some((told.manifest, vec![metadata]))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_that_was_cut_off_before_its_manifest_is_done_again() {
        let (old, new) = (index(1), index(2));
        let key = stray(&old, "a", "this is well").await;
        let mut half = sent("a", "this is well", "before");
        half.manifest.stamp = Version::NONE.into();
        store_points(&new, &half).await;
        copy((&old, &new), Types::seed()).await.unwrap();
        assert_eq!(texts(&new, &key).await, ["this is well"]);
        let metadata = sent("a", "this is well", "first").manifest.metadata;
        let (manifest, of_points) = held(&new, &key).await.unwrap();
        assert_eq!(
            (manifest.metadata, of_points),
            (metadata.clone(), vec![metadata])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_by_the_time_that_it_is_reached_is_not_brought_back() {
        let (old, new) = (index(1), index(2));
        let key = stray(&old, "a", "this is well").await;
        let gone = Manifest::tombstone(key.clone(), Stamp::last(Version::NONE), 8);
        let gone = Plan {
            manifest: gone,
            texts: Vec::new(),
        };
        store(&old, gone).await;
        stray::copy((&old, &new), Types::seed(), &key)
            .await
            .unwrap();
        assert_eq!(held(&new, &key).await, None);
    }
}
