//! Real documents, and as many noisy copies of them as an index is to hold.

use std::path::Path;

use lockstep::change::DocumentKey;
use lockstep::database::Database;
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{Limits, Prepared, prepare};
use lockstep::vector::edge::{EdgeStore, SCHEMA};
use lockstep::vector::{VectorStore as _, Write};
use lockstep::{Error, Result};
use tempfile::TempDir;

use crate::{book, stored};

/// Points written at once.
const BATCH: usize = 2_000;
/// Length of what is added to a vector of length 1: the copy's cosine to it is 0.96.
const NOISE: f32 = 0.3;
const SEED: u64 = 20;

/// A document with its chunks embedded.
pub(crate) struct Real {
    key: DocumentKey,
    prepared: Prepared,
    vectors: Vec<Vec<f32>>,
}

/// What is copied.
pub(crate) struct Book {
    pub(crate) documents: Vec<Real>,
}

/// Crawls a folder of pages and embeds what it holds.
pub(crate) async fn read<E: Embedder>(pages: &Path, embedder: &E) -> Result<Book> {
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let mut documents = Vec::new();
    for document in book::read(pages).await? {
        let prepared = prepare(&document.key.kind, &document.fields, &limits, &count)?;
        let vectors = embedder.embed(prepared.chunks.clone()).await?;
        documents.push(Real {
            key: document.key,
            prepared,
            vectors,
        });
    }
    Ok(Book { documents })
}

impl Book {
    pub(crate) fn chunks(&self) -> usize {
        self.documents.iter().map(|one| one.vectors.len()).sum()
    }

    /// The headings that stand in it, as questions.
    pub(crate) fn questions(&self) -> Vec<String> {
        let texts = self.documents.iter().map(|one| one.prepared.text.as_str());
        let headings = texts.flat_map(str::lines).filter_map(|line| {
            let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
            (heading.split_whitespace().count() > 2).then(|| heading.to_owned())
        });
        let mut questions: Vec<String> = headings.collect();
        questions.sort_unstable();
        questions.dedup();
        fastrand::Rng::with_seed(SEED).shuffle(&mut questions);
        questions
    }
}

/// The filled index.
pub(crate) struct Index {
    pub(crate) store: EdgeStore,
    pub(crate) chunks: usize,
    _folder: TempDir,
}

impl Index {
    /// At least so many chunks: the book once, then copies of it.
    pub(crate) async fn make<E: Embedder>(book: &Book, embedder: &E, size: usize) -> Result<Self> {
        let folder =
            tempfile::tempdir().map_err(Error::unavailable("the disk", "make a folder"))?;
        let database = Database::open(&folder.path().join("lockstep.db"), &[SCHEMA])?;
        let vectors = folder.path().join("vectors");
        let store = EdgeStore::open(&vectors, database, embedder.model()).await?;
        let mut random = fastrand::Rng::with_seed(SEED);
        let (mut chunks, mut pending, mut waiting) = (0, Vec::new(), 0);
        'filling: for copy in 0_usize.. {
            for real in &book.documents {
                if chunks >= size {
                    break 'filling;
                }
                pending.extend(writes(real, copy, &mut random));
                chunks += real.vectors.len();
                waiting += real.vectors.len();
                if waiting >= BATCH {
                    store.write(std::mem::take(&mut pending)).await?;
                    waiting = 0;
                }
            }
        }
        store.write(pending).await?;
        // Answered behind whatever the engine tidied up after the last points.
        store
            .write(writes(&book.documents[0], 0, &mut random).into())
            .await?;
        Ok(Self {
            store,
            chunks,
            _folder: folder,
        })
    }
}

/// A copy of a document; the first is the document itself.
fn writes(real: &Real, copy: usize, random: &mut fastrand::Rng) -> [Write; 2] {
    let key = DocumentKey::text(&real.key.kind, &format!("{}-{copy}", real.key.entry_id()));
    let vectors = real.vectors.iter().map(|vector| match copy {
        0 => vector.clone(),
        _ => noisy(vector, random),
    });
    let vectors = vectors.collect();
    stored::writes(key, real.prepared.clone(), vectors)
}

/// The vector with a random one of length [`NOISE`] added, of length 1 again.
fn noisy(vector: &[f32], random: &mut fastrand::Rng) -> Vec<f32> {
    let noise: Vec<f32> = vector.iter().map(|_| random.f32() - 0.5).collect();
    let share = NOISE / length(&noise);
    let sum: Vec<f32> = vector
        .iter()
        .zip(noise)
        .map(|(one, other)| one + share * other)
        .collect();
    let length = length(&sum);
    sum.into_iter().map(|value| value / length).collect()
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}
