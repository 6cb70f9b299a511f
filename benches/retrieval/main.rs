//! How well documents are found, on a test collection with its judgements: by meaning, by words and by both,
//! beside BM25 of a Python library and the same model with an exact search by sentence-transformers.
//!
//! ```text
//! collection ──prepare, embed, store──> index ──search, each mode──> rankings ┐
//!      │               └──chunks──┐                                          ├──> nDCG@10, recall@100
//!      └──────────────────────────┴──> others.py ────────────────> rankings ─┘
//! ```
//!
//! `retrieval <folder>`; the folder has BEIR's form (docs/benchmarks.md). `LOCKSTEP_BENCH_PYTHON` names a
//! Python with requirements.txt; without it the others are left out.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

mod collection;
mod others;
mod ours;
mod score;
#[path = "../support/stored.rs"]
mod stored;

use std::path::{Path, PathBuf};

use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::search::Mode;
use lockstep::{Error, Result};
use serde_json::{Value, json};

use collection::Collection;
use ours::{Form, Index};
use score::{Rankings, Score};

/// Documents of an answer: recall is counted so far down.
pub(crate) const DEPTH: usize = 100;

/// A way of finding, and what it came to.
struct Row {
    name: String,
    score: Score,
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().skip(1).find(|one| one != "--bench");
    let folder = PathBuf::from(folder.ok_or_else(|| Error::Config {
        setting: "COLLECTION".to_owned(),
        why: "it names no folder; docs/benchmarks.md says what is in one".to_owned(),
    })?);
    let places = Places::find();
    let collection = Collection::read(&folder)?;
    let embedder = LocalEmbedder::open(&places.model, LocalOptions::default())?;
    let load_before = load();
    let mut rows = Vec::new();
    let mut chunks = Vec::new();
    for form in Form::of(&collection) {
        let index = Index::make(&collection, &embedder, form).await?;
        for (name, mode) in [
            ("dense", Mode::Dense),
            ("sparse", Mode::Words),
            ("hybrid", Mode::Hybrid),
        ] {
            let rankings = index.ask(&collection, &embedder, mode).await?;
            rows.push(row(&collection, &form.name(name), &rankings));
        }
        if form == Form::Whole {
            chunks = index.chunks;
        }
    }
    if let Some(python) = &places.python {
        for (name, rankings) in others::ask(python, (&folder, &places.model), &chunks)? {
            rows.push(row(&collection, &name, &rankings));
        }
    }
    report(&collection, (&rows, chunks.len()), load_before);
    Ok(())
}

fn row(collection: &Collection, name: &str, rankings: &Rankings) -> Row {
    let score = score::score(&collection.grades, rankings);
    println!(
        "{name:44} nDCG@10 {:.4}  recall@100 {:.4}",
        score.ndcg, score.recall
    );
    Row {
        name: name.to_owned(),
        score,
    }
}

fn report(collection: &Collection, (rows, chunks): (&[Row], usize), load_before: f64) {
    let ndcg = |name: &str| {
        rows.iter()
            .find(|row| row.name == name)
            .map(|row| row.score.ndcg)
    };
    let exact = ndcg(others::EXACT);
    let (dense, sparse, hybrid) = (ndcg("dense"), ndcg("sparse"), ndcg("hybrid"));
    let systems: serde_json::Map<String, Value> = rows
        .iter()
        .map(|Row { name, score }| {
            let score = json!({"ndcg_10": four(score.ndcg), "recall_100": four(score.recall)});
            (name.clone(), score)
        })
        .collect();
    let better = dense.zip(sparse).map(|(dense, sparse)| dense.max(sparse));
    let report = json!({
        "documents": collection.documents.len(), "chunks": chunks, "queries": collection.grades.len(),
        "systems": systems,
        "dense_less_than_exact": exact.zip(dense).map(|(exact, dense)| four(exact - dense)),
        "hybrid_over_better": hybrid.zip(better).map(|(hybrid, better)| four(hybrid - better)),
        "load_before": load_before, "load_after": load(),
    });
    println!("{report}");
}

/// Where things are.
struct Places {
    python: Option<PathBuf>,
    model: PathBuf,
}

impl Places {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench is told by its environment where things are"
    )]
    fn find() -> Self {
        let given = |name: &str| std::env::var(name).ok().filter(|given| !given.is_empty());
        let target = Path::new(env!("CARGO_BIN_EXE_lockstep")).ancestors().nth(2);
        let beside = target.map(|target| target.join("lockstep-model/all-MiniLM-L6-v2"));
        Self {
            python: given("LOCKSTEP_BENCH_PYTHON").map(PathBuf::from),
            model: given("LOCKSTEP_TEST_MODEL")
                .map_or_else(|| beside.unwrap_or_default(), PathBuf::from),
        }
    }
}

/// Four decimals are more than the figures deserve.
fn four(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// The load of the last minute; not a number where the system does not say.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|first| first.parse().ok());
    first.unwrap_or(f64::NAN)
}
