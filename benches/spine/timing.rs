//! Ports that remember when they were called.

use std::sync::{Mutex, PoisonError};

use lockstep::Result;
use lockstep::change::{DocumentKey, PointId};
use lockstep::feature::embed::{Embedder, Model};
use lockstep::vector::{
    Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write,
};
use tokio::time::Instant;

/// A port, and its calls that took the longest way: embedding, or writing what has points.
pub(crate) struct Timed<P> {
    port: P,
    calls: Mutex<Vec<(Instant, Instant)>>,
}

impl<P> Timed<P> {
    pub(crate) fn new(port: P) -> Self {
        Self {
            port,
            calls: Mutex::default(),
        }
    }

    /// Begin and end of the calls since this was asked last.
    pub(crate) fn take(&self) -> Vec<(Instant, Instant)> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut calls)
    }

    /// Whether a call has ended since they were taken last.
    pub(crate) fn has_ended(&self) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        !calls.is_empty()
    }

    fn note(&self, start: Instant) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push((start, Instant::now()));
    }
}

impl<V: VectorStore> Timed<V> {
    pub(crate) async fn counts_now(&self) -> Result<u64> {
        self.port.counts().await.map(|counts| counts.documents)
    }
}

impl<E: Embedder> Embedder for Timed<E> {
    fn model(&self) -> &Model {
        self.port.model()
    }

    fn token_count(&self, text: &str) -> usize {
        self.port.token_count(text)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let start = Instant::now();
        let vectors = self.port.embed(texts).await;
        self.note(start);
        vectors
    }
}

impl<V: VectorStore> VectorStore for Timed<V> {
    async fn manifests(&self, select: Select<DocumentKey>) -> Result<Vec<Manifest>> {
        self.port.manifests(select).await
    }

    async fn points(&self, select: Select<PointId>) -> Result<Vec<Point>> {
        self.port.points(select).await
    }

    async fn control(&self) -> Result<Control> {
        self.port.control().await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let names = |write: &Write| matches!(write, Write::Manifest(_));
        let (start, stores) = (Instant::now(), writes.iter().any(names));
        let written = self.port.write(writes).await;
        if stores {
            self.note(start);
        }
        written
    }

    async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
        self.port.nearest(question).await
    }

    async fn counts(&self) -> Result<Counts> {
        self.port.counts().await
    }
}

/// Answers every question with one vector, so that asking costs nothing of the model.
pub(crate) struct Known {
    pub(crate) model: Model,
    pub(crate) vector: Vec<f32>,
}

impl Embedder for Known {
    fn model(&self) -> &Model {
        &self.model
    }

    fn token_count(&self, _: &str) -> usize {
        1
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|_| self.vector.clone()).collect())
    }
}
