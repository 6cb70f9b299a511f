//! What a question costs in a large index, and how long it takes alone and under load.
//!
//! ```text
//! the Rust Book ──crawl, embed──> real chunks ──noisy copies──> index ──questions──> milliseconds
//! ```
//!
//! Every vector is a real one or a noisy copy of one, and every text a real one, so that the graph and
//! the words have the shape that they have in use; a question is embedded by the real model.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints what it measured"
)]

#[path = "../../src/allocator.rs"]
mod allocator;
#[path = "../support/book.rs"]
mod book;
mod fill;
mod measure;
#[path = "../support/stored.rs"]
mod stored;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::search::Mode;
use lockstep::{Error, Result};
use serde_json::json;
use tokio::time::Instant;

use fill::Index;
use measure::Asker;

/// Chunks in the index, where the command line names no other numbers.
const SIZES: [usize; 2] = [100_000, 1_000_000];

#[tokio::main]
async fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args()
        .filter_map(|one| one.replace('_', "").parse().ok())
        .collect();
    let sizes = if sizes.is_empty() { &SIZES[..] } else { &sizes };
    let embedder = Arc::new(LocalEmbedder::open(&model(), LocalOptions::default())?);
    let load_before = load();
    let book = fill::read(&pages()?, embedder.as_ref()).await?;
    let questions = book.questions();
    println!(
        "{} documents and {} chunks are real; {} questions",
        book.documents.len(),
        book.chunks(),
        questions.len()
    );
    let mut report = json!({ "questions": questions.len(), "load_before": load_before });
    for &size in sizes {
        let start = Instant::now();
        let index = Index::make(&book, embedder.as_ref(), size).await?;
        let filled = start.elapsed().as_secs_f64();
        let chunks = index.chunks;
        let asker = Asker::new(index, Arc::clone(&embedder), questions.clone());
        let mut figures = asker.measure(Mode::Hybrid).await?;
        for (name, mode) in [("dense", Mode::Dense), ("words", Mode::Words)] {
            figures[name] = asker.alone(mode).await?;
        }
        figures["embed_ms"] = asker.embedding().await?;
        figures["fill_seconds"] = two(filled).into();
        println!("{chunks:9} {figures}");
        report[size.to_string()] = figures;
    }
    report["load_after"] = load().into();
    println!("{report}");
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where things are"
)]
fn model() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_lockstep")).ancestors().nth(2);
    let beside = target.map(|target| target.join("lockstep-model/all-MiniLM-L6-v2"));
    std::env::var("LOCKSTEP_TEST_MODEL").map_or_else(|_| beside.unwrap_or_default(), PathBuf::from)
}

fn pages() -> Result<PathBuf> {
    let sysroot = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .map_err(Error::unavailable("rustc", "ask for its folder"))?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    Ok(Path::new(&sysroot).join("share/doc/rust/html/book"))
}

/// Two decimals are more than the machine's noise.
pub(crate) fn two(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Processes that wanted the machine over the last minute.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
