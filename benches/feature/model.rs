//! The real model: the whole worker, the embedder alone and sentence-transformers, in turns.

use std::sync::Arc;

use lockstep::Result;
use lockstep::document::Document;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::feature::embed::{Embedder as _, Precision};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::backlog::{self, Backlog};
use crate::python::Python;
use crate::{Places, book, median, two};

/// Of so many documents of the book one is in the backlog: sentence-transformers takes long.
const STEP: usize = 5;
const ROUNDS: usize = 3;

/// Seconds of each way, a value a round.
#[derive(Default)]
struct Seconds {
    worker: Vec<f64>,
    bare: Vec<f64>,
}

/// One precision.
struct Way {
    embedder: Arc<LocalEmbedder>,
    seconds: Seconds,
}

impl Way {
    fn open(places: &Places, precision: Precision) -> Result<Self> {
        let options = LocalOptions {
            precision,
            ..LocalOptions::default()
        };
        Ok(Self {
            embedder: Arc::new(LocalEmbedder::open(&places.model, options)?),
            seconds: Seconds::default(),
        })
    }

    async fn round(&mut self, documents: &[Document], texts: &[String]) -> Result<()> {
        let backlog = Backlog::fill(documents).await?;
        let drained = backlog.drain(&self.embedder).await?;
        self.seconds.worker.push(drained.seconds);
        let start = Instant::now();
        self.embedder.embed(texts.to_vec()).await?;
        self.seconds.bare.push(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Rates, and ratios of each round's own neighbours.
    fn report(&self, chunks: usize, python: &[f64]) -> Value {
        let rates = |seconds: &[f64]| two(chunks as f64 / median(seconds));
        let ratio = |of: &[f64], to: &[f64]| {
            let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| to / of).collect();
            two(median(&ratios))
        };
        let Seconds { worker, bare } = &self.seconds;
        json!({
            "chunks_per_second": rates(worker), "bare_chunks_per_second": rates(bare),
            "of_bare": ratio(worker, bare),
            "of_sentence_transformers": (!python.is_empty()).then(|| ratio(worker, python)),
            "bare_of_sentence_transformers": (!python.is_empty()).then(|| ratio(bare, python)),
        })
    }
}

pub(crate) async fn measure(places: &Places) -> Result<Value> {
    let book = book::read(&places.book).await?;
    let documents: Vec<Document> = book.into_iter().step_by(STEP).collect();
    let mut fp32 = Way::open(places, Precision::Fp32)?;
    // Not every processor has products of 8 bits; the figures are none then.
    let mut int8 = Way::open(places, Precision::Int8).ok();
    let texts = backlog::texts(&documents, fp32.embedder.as_ref())?;
    let mut python = match &places.python {
        Some(python) => Some(Python::start(python, &places.model)?),
        None => None,
    };
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        fp32.round(&documents, &texts).await?;
        if let Some(python) = &mut python {
            theirs.push(python.seconds(&texts)?);
        }
        if let Some(int8) = &mut int8 {
            int8.round(&documents, &texts).await?;
        }
    }
    let chunks = texts.len();
    Ok(json!({
        "documents": documents.len(), "chunks": chunks, "rounds": ROUNDS,
        "fp32": fp32.report(chunks, &theirs), "int8": int8.map(|int8| int8.report(chunks, &theirs)),
        "documents_per_second": two(documents.len() as f64 / median(&fp32.seconds.worker)),
        "sentence_transformers_chunks_per_second":
            (!theirs.is_empty()).then(|| two(chunks as f64 / median(&theirs))),
    }))
}
