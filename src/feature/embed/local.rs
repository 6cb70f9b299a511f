//! A model of this machine's own: text to vectors on threads of its own.
//!
//! ```text
//! callers ──batches──> bounded channel ──> worker 0: tokens ─> graph ─> pooling ─> unit length ──> callers
//!                                     └──> worker 1: …
//! ```
//!
//! Each worker computes one batch on one core: at these sizes that wastes less than sharing the
//! cores within a batch, and a question waits for one small batch, not for a whole call. A batch that is
//! alone has the cores that idle otherwise: a question, or the one text of an edit.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rten::ThreadPool;
use tokenizers::Tokenizer;
use tokio::sync::{mpsc, oneshot};

use super::batch::{batches, singles};
use super::folder::ModelFolder;
use super::inference::Inference;
use super::{Embedder, Model, Precision};
use crate::{Error, Result};

/// Batches that wait for a worker, for each worker; more would only delay a question behind them.
const WAITING_BATCHES: usize = 2;
/// Cores that a batch has when it is alone: its matrices are small, and more would mostly wait for each other.
const ALONE_CORES_MAX: usize = 4;

/// How a [`LocalEmbedder`] works.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalOptions {
    /// Threads that compute; as many as the machine offers when not set.
    pub threads: Option<NonZero<usize>>,
    /// How exactly it computes.
    pub precision: Precision,
}

/// Embeds with a BERT-shaped model from a folder.
#[derive(Debug)]
pub struct LocalEmbedder {
    model: Model,
    tokenizer: Arc<Tokenizer>,
    precision: Precision,
    batches: mpsc::Sender<Batch>,
}

/// Texts that are computed together, and who waits for them.
struct Batch {
    texts: Vec<String>,
    /// Whether it is all that was asked for.
    is_whole: bool,
    reply: oneshot::Sender<Result<Vec<Vec<f32>>>>,
}

/// Where the batches come from, and who computes one.
struct Desk {
    batches: Mutex<mpsc::Receiver<Batch>>,
    busy: AtomicUsize,
    /// For a batch that is alone.
    alone: Arc<ThreadPool>,
}

impl LocalEmbedder {
    /// Opens a folder in the layout of the Hugging Face hub and starts the threads, which end when
    /// the embedder is dropped. Blocks for as long as reading the model takes.
    ///
    /// # Errors
    /// [`Error::Model`] with the file, what is wrong with it and what to do.
    pub fn open(folder: &Path, options: LocalOptions) -> Result<Self> {
        let ModelFolder {
            model,
            pooling,
            tokenizer,
            graph,
        } = ModelFolder::open(folder, options.precision)?;
        let bad = |why: String| Error::Model {
            path: folder.to_owned(),
            why,
        };
        let tokenizer = Arc::new(tokenizer);
        let inference = Inference::new(&model, tokenizer.clone(), graph, pooling).map_err(bad)?;
        let inference = Arc::new(inference);
        let threads = options
            .threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZero::get);
        let (sender, receiver) = mpsc::channel(threads * WAITING_BATCHES);
        let desk = Arc::new(Desk {
            batches: Mutex::new(receiver),
            busy: AtomicUsize::new(0),
            alone: Arc::new(ThreadPool::with_num_threads(threads.min(ALONE_CORES_MAX))),
        });
        for number in 0..threads {
            let (inference, desk) = (inference.clone(), desk.clone());
            std::thread::Builder::new()
                .name(format!("embed-{number}"))
                .spawn(move || work(&inference, &desk))
                .map_err(|error| bad(format!("no thread could be started: {error}")))?;
        }
        Ok(Self {
            model,
            tokenizer,
            precision: options.precision,
            batches: sender,
        })
    }
}

impl Embedder for LocalEmbedder {
    fn model(&self) -> &Model {
        &self.model
    }

    fn token_count(&self, text: &str) -> usize {
        // A text that cannot be read as tokens is over every limit.
        self.tokenizer
            .encode_fast(text, true)
            .map_or(usize::MAX, |encoding| encoding.len())
    }

    async fn embed(&self, mut texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let stopped = || Error::Stopped { part: "embedder" };
        let sizes: Vec<usize> = texts.iter().map(String::len).collect();
        let mut waiting = Vec::new();
        let batches = match self.precision {
            Precision::Fp32 => batches(&sizes),
            // One scale for a whole batch would make a text's vector depend on its neighbours.
            Precision::Int8 => singles(&sizes),
        };
        let is_whole = batches.len() == 1;
        for indices in batches {
            let texts = indices
                .iter()
                .map(|index| std::mem::take(&mut texts[*index]))
                .collect();
            let (reply, answer) = oneshot::channel();
            self.batches
                .send(Batch {
                    texts,
                    is_whole,
                    reply,
                })
                .await
                .map_err(|_| stopped())?;
            waiting.push((indices, answer));
        }
        let mut vectors = vec![Vec::new(); sizes.len()];
        for (indices, answer) in waiting {
            let answer = answer.await.map_err(|_| stopped())??;
            for (index, vector) in indices.into_iter().zip(answer) {
                vectors[index] = vector;
            }
        }
        Ok(vectors)
    }
}

/// Computes batches until nobody can send any more.
fn work(inference: &Inference, desk: &Desk) {
    let one = Arc::new(ThreadPool::with_num_threads(1));
    while let Some((batch, is_alone)) = desk.next() {
        let Batch { texts, reply, .. } = batch;
        if !reply.is_closed() {
            let cores = if is_alone { &desk.alone } else { &one };
            // Whoever asked may have gone meanwhile; then nobody misses the answer.
            drop(reply.send(inference.vectors(&texts, cores)));
        }
        desk.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Desk {
    /// The next batch, and whether there is no other one.
    fn next(&self) -> Option<(Batch, bool)> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batches.blocking_recv()?;
        let others = self.busy.fetch_add(1, Ordering::Relaxed);
        let is_alone = batch.is_whole && others == 0 && batches.is_empty();
        Some((batch, is_alone))
    }
}
