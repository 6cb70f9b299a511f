use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::*;
use crate::feature::embed::hash::HashEmbedder;

/// Counts what it is asked for.
#[derive(Debug)]
struct Counting {
    embedder: HashEmbedder,
    model: Model,
    asked: AtomicU64,
}

impl Counting {
    fn new(dimension: usize) -> Arc<Self> {
        Self::another(dimension, "")
    }

    /// Another model of as many values.
    fn another(dimension: usize, digest: &str) -> Arc<Self> {
        let embedder = HashEmbedder::new(dimension);
        let mut model = embedder.model().clone();
        model.digest.push_str(digest);
        Arc::new(Self {
            embedder,
            model,
            asked: AtomicU64::new(0),
        })
    }

    fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl Embedder for Counting {
    fn model(&self) -> &Model {
        &self.model
    }

    fn token_count(&self, text: &str) -> usize {
        self.embedder.token_count(text)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.asked.fetch_add(texts.len() as u64, Ordering::Relaxed);
        self.embedder.embed(texts).await
    }
}

fn texts(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("text {number}")).collect()
}

fn cached(embedder: &Arc<Counting>, shelf: Shelf) -> (Cached<Counting>, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let cached = Cached::new(Arc::clone(embedder), shelf, Arc::clone(&counters));
    (cached, counters)
}

/// A shelf in memory and one on a disk, both far from full.
fn shelves() -> (TempDir, [Shelf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Shelf::on_disk(&folder.path().join("cache.db"), 1 << 20);
    (folder, [Shelf::in_memory(1 << 20), disk])
}

#[tokio::test]
async fn what_was_embedded_before_costs_nothing_and_is_the_same() {
    let (_folder, shelves) = shelves();
    for shelf in shelves {
        let embedder = Counting::new(16);
        let (cached, counters) = cached(&embedder, shelf);
        let plain = embedder.embedder.embed(texts(0..20)).await.unwrap();
        assert_eq!(cached.embed(texts(0..10)).await.unwrap(), plain[..10]);
        assert_eq!(embedder.asked(), 10);
        // Known and new ones mixed, and back to front.
        let mut mixed = texts(5..15);
        mixed.reverse();
        let mut wanted = plain[5..15].to_vec();
        wanted.reverse();
        assert_eq!(cached.embed(mixed).await.unwrap(), wanted);
        assert_eq!(embedder.asked(), 5);
        assert_eq!(counters.cached.load(Ordering::Relaxed), 5);
        let empty = cached.embed(Vec::new()).await.unwrap();
        assert_eq!(empty, Vec::<Vec<f32>>::new());
    }
}

#[tokio::test]
async fn another_model_misses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    for (dimension, digest) in [(16, ""), (17, ""), (16, "other")] {
        let embedder = Counting::another(dimension, digest);
        let (cached, _) = cached(&embedder, Shelf::on_disk(&path, 1 << 20));
        let found = cached.embed(texts(0..3)).await.unwrap();
        assert_eq!(found, embedder.embedder.embed(texts(0..3)).await.unwrap());
        assert_eq!(embedder.asked(), 3, "{dimension} {digest}");
    }
    // The first model's are still there.
    let embedder = Counting::new(16);
    let (cached, _) = cached(&embedder, Shelf::on_disk(&path, 1 << 20));
    cached.embed(texts(0..3)).await.unwrap();
    assert_eq!(embedder.asked(), 0);
}

#[tokio::test]
async fn a_file_stays_within_its_bound_and_keeps_what_was_used_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let bytes_max = 256 << 10;
    let embedder = Counting::new(384);
    let (cached, _) = cached(&embedder, Shelf::on_disk(&path, bytes_max));
    cached.embed(texts(0..8)).await.unwrap();
    for round in 1..40 {
        cached
            .embed(texts(round * 20..round * 20 + 20))
            .await
            .unwrap();
        // Used in every round, so never the oldest.
        embedder.asked();
        cached.embed(texts(0..8)).await.unwrap();
        assert_eq!(embedder.asked(), 0, "in round {round}");
    }
    cached.embed(texts(20..40)).await.unwrap();
    assert_eq!(embedder.asked(), 20, "the oldest should be gone");
    drop(cached);
    let bytes = std::fs::metadata(&path).unwrap().len();
    // What is free inside the file may lie between what is used: one transaction's worth.
    assert!(bytes <= bytes_max + (128 << 10), "{bytes}");
}

#[tokio::test]
async fn a_damaged_file_is_dropped_and_nothing_is_lost() {
    for (damage, at) in [("head", 0_usize), ("middle", 3 * 4096), ("vector", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let embedder = Counting::new(384);
        let wanted = embedder.embedder.embed(texts(0..60)).await.unwrap();
        let (filling, _) = cached(&embedder, Shelf::on_disk(&path, 1 << 20));
        filling.embed(texts(0..60)).await.unwrap();
        drop(filling);
        let mut bytes = std::fs::read(&path).unwrap();
        if damage == "vector" {
            // All of it: two of its 384 values tell it from the others.
            let part: Vec<u8> = wanted[7].iter().flat_map(|one| one.to_le_bytes()).collect();
            let place = bytes.windows(part.len()).position(|window| window == part);
            bytes[place.unwrap() + 3] ^= 1;
        } else {
            bytes[at..at + 9000].fill(0xa5);
        }
        std::fs::write(&path, bytes).unwrap();
        embedder.asked();
        let (again, _) = cached(&embedder, Shelf::on_disk(&path, 1 << 20));
        assert_eq!(again.embed(texts(0..60)).await.unwrap(), wanted, "{damage}");
        assert_eq!(embedder.asked(), 60, "{damage}");
        drop(again);
        // The next start begins with a good one.
        let (fresh, _) = cached(&embedder, Shelf::on_disk(&path, 1 << 20));
        fresh.embed(texts(0..60)).await.unwrap();
        embedder.asked();
        assert_eq!(fresh.embed(texts(0..60)).await.unwrap(), wanted, "{damage}");
        assert_eq!(embedder.asked(), 0, "{damage}");
    }
}

#[tokio::test]
async fn without_room_nothing_is_kept_and_the_file_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    drop(Shelf::on_disk(&path, 1 << 20));
    assert!(path.exists());
    let embedder = Counting::new(16);
    let (cached, counters) = cached(&embedder, Shelf::on_disk(&path, 0));
    assert!(!path.exists());
    cached.embed(texts(0..3)).await.unwrap();
    cached.embed(texts(0..3)).await.unwrap();
    assert_eq!(embedder.asked(), 6);
    assert_eq!(counters.cached.load(Ordering::Relaxed), 0);
}
