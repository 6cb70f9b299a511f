//! Vectors that were made before: a paragraph that moves to another document, is copied, or comes
//! back after a delete, costs nothing.
//!
//! ```text
//! texts ──key──> shelf ──known───────────────────┬──> vectors
//!                  └────new──> embedder ──> shelf ┘
//! ```
//!
//! A key is a hash of the model's digest and the text, so that another model misses. What was used
//! least recently goes first. It is a cache: losing it costs time, and one that is damaged is dropped
//! with a warning. It holds no text, but the vectors of texts that are gone, until they are pushed out.
//!
//! It stands in front of workers alone. A question is rarely asked twice, and `verify` has to see what
//! the model says now.

mod disk;
mod fill;
mod memory;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{Embedder, Model, Usage};
use crate::feature::worker::Counters;
use crate::{Error, Result};

pub use fill::Filling;

use disk::Disk;
use memory::Memory;

/// What a vector is known by.
type Key = [u8; 32];

/// An embedder that remembers.
#[derive(Debug)]
pub struct Cached<E> {
    embedder: Arc<E>,
    shelf: Arc<Shelf>,
    counters: Arc<Counters>,
}

/// Where vectors are kept.
#[derive(Debug)]
pub struct Shelf(Kind);

#[derive(Debug)]
enum Kind {
    Nowhere,
    Memory(Mutex<Memory>),
    Disk(Disk),
}

impl Shelf {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self(Kind::Nowhere)
    }

    /// Keeps so many bytes until the process ends.
    pub fn in_memory(bytes_max: usize) -> Self {
        if bytes_max == 0 {
            return Self::nowhere();
        }
        Self(Kind::Memory(Mutex::new(Memory::new(bytes_max))))
    }

    /// Keeps a file of so many bytes; 0 removes it. Blocks while it opens.
    ///
    /// A file that cannot be used is made anew, with a warning; where that fails too, nothing is kept.
    pub fn on_disk(path: &Path, bytes_max: u64) -> Self {
        if bytes_max == 0 {
            disk::remove(path);
            return Self::nowhere();
        }
        Self(Disk::open(path, bytes_max).map_or(Kind::Nowhere, Kind::Disk))
    }

    /// The vectors that are there.
    async fn find(&self, keys: &[Key]) -> Vec<Option<Vec<f32>>> {
        match &self.0 {
            Kind::Nowhere => vec![None; keys.len()],
            Kind::Memory(memory) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                keys.iter().map(|key| memory.find(key)).collect()
            }
            Kind::Disk(disk) => disk.find(keys).await,
        }
    }

    /// Keeps what is new, and remembers what was of use.
    async fn keep(&self, new: Vec<(Key, Vec<f32>)>, used: Vec<Key>) {
        match &self.0 {
            Kind::Nowhere => {}
            // What was found there was marked when it was found.
            Kind::Memory(memory) => {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                for (key, vector) in new {
                    memory.put(key, vector);
                }
            }
            Kind::Disk(disk) => disk.keep(new, used).await,
        }
    }
}

impl<E: Embedder> Cached<E> {
    /// An embedder that asks `embedder` only for what is not on the shelf, and counts what it saves.
    pub fn new(embedder: Arc<E>, shelf: impl Into<Arc<Shelf>>, counters: Arc<Counters>) -> Self {
        Self {
            embedder,
            shelf: shelf.into(),
            counters,
        }
    }

    fn key(&self, text: &str) -> Key {
        key(&self.embedder.model().digest, text)
    }
}

/// What the vector of a text is known by that a model of this digest has made.
fn key(digest: &str, text: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update(digest);
    hash.update([0]);
    hash.update(text);
    hash.finalize().into()
}

impl<E: Embedder> Embedder for Cached<E> {
    fn model(&self) -> &Model {
        self.embedder.model()
    }

    fn token_count(&self, text: &str) -> usize {
        self.embedder.token_count(text)
    }

    async fn embed(&self, mut texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        if matches!(self.shelf.0, Kind::Nowhere) {
            return self.embedder.embed(texts).await;
        }
        let dimension = self.model().dimension;
        let keys: Vec<Key> = texts.iter().map(|text| self.key(text)).collect();
        let mut vectors = self.shelf.find(&keys).await;
        vectors.resize(keys.len(), None);
        let (mut new, mut used, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for ((text, key), vector) in texts.iter_mut().zip(&keys).zip(&mut vectors) {
            // A vector of another length is none of this model's, whatever its key says.
            if vector
                .as_ref()
                .is_some_and(|vector| vector.len() == dimension)
            {
                used.push(*key);
            } else {
                *vector = None;
                missing.push(std::mem::take(text));
                new.push(*key);
            }
        }
        let made = if missing.is_empty() {
            Vec::new()
        } else {
            self.embedder.embed(missing).await?
        };
        if made.len() != new.len() {
            let why = format!("{} vectors came for {} texts", made.len(), new.len());
            return Err(Error::malformed("the embedder's answer", why));
        }
        self.counters
            .cached
            .fetch_add(used.len() as u64, Ordering::Relaxed);
        let kept = new.into_iter().zip(made.iter().cloned()).collect();
        self.shelf.keep(kept, used).await;
        let mut made = made.into_iter();
        let filled = vectors
            .into_iter()
            .map(|known| known.or_else(|| made.next()));
        Ok(filled.flatten().collect())
    }

    fn usage(&self) -> Usage {
        self.embedder.usage()
    }
}

#[cfg(test)]
mod tests;
