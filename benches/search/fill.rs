//! Real documents, and as many noisy copies of them as an index is to hold.

use std::path::Path;

use lockstep::change::{DocumentKey, PointId, Time, Version};
use lockstep::clock::Clock;
use lockstep::crawl;
use lockstep::database::Database;
use lockstep::document::kind;
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{FINGERPRINT, Limits, Prepared, prepare};
use lockstep::source::Source as _;
use lockstep::source::sqlite::SqliteSource;
use lockstep::vector::edge::{EdgeStore, SCHEMA};
use lockstep::vector::{Entry, Manifest, Point, VectorStore as _, Write};
use lockstep::{Error, Result};
use tempfile::TempDir;

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
    let folder = temporary()?;
    let database = Database::open(&folder.path().join("lockstep.db"), &[SqliteSource::SCHEMA])?;
    let source = SqliteSource::new(database, Clock::system());
    let what = crawl::Request {
        target: pages.to_string_lossy().into_owned(),
        author: "Rust Authors".to_owned(),
        as_kind: None,
        browser: false,
        reference: None,
    };
    crawl::crawl(&source, &what, &crawl::Settings::default(), &()).await?;
    let limits = Limits::of_model(embedder.model());
    let count = |text: &str| embedder.token_count(text);
    let (mut documents, mut after) = (Vec::new(), None);
    loop {
        let page = source.page(kind::ARTICLES, after, 200).await?.found;
        let Some(last) = page.last() else {
            return Ok(Book { documents });
        };
        after = Some(last.key.id.clone());
        for document in page {
            let prepared = prepare(&document.key.kind, &document.fields, &limits, &count)?;
            let vectors = embedder.embed(prepared.chunks.clone()).await?;
            documents.push(Real {
                key: document.key,
                prepared,
                vectors,
            });
        }
    }
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
        let folder = temporary()?;
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
    let prepared = &real.prepared;
    let key = DocumentKey::text(&real.key.kind, &format!("{}-{copy}", real.key.entry_id()));
    let version = Version::read(1, Time::from_sequence(1));
    let chunks = prepared.chunks.iter().zip(&real.vectors).zip(1_u32..);
    let points: Vec<Point> = chunks
        .map(|((content, vector), rank)| Point {
            id: PointId::new(&key, content, rank),
            key: key.clone(),
            stamp: version.into(),
            rank: rank.into(),
            content: content.clone(),
            metadata: prepared.metadata.clone(),
            vector: match copy {
                0 => vector.clone(),
                _ => noisy(vector, random),
            },
        })
        .collect();
    let entries = points.iter().map(|point| Entry {
        id: point.id,
        rank: point.rank,
    });
    let manifest = Manifest {
        points: entries.collect(),
        key,
        stamp: version.into(),
        deleted: false,
        committed_ms: 0,
        fingerprint: FINGERPRINT.to_owned(),
        metadata: prepared.metadata.clone(),
        text: prepared.text.clone(),
    };
    [Write::Upsert(points), Write::Manifest(Box::new(manifest))]
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

fn temporary() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::unavailable("the disk", "make a folder"))
}
