//! The feature worker in figures: a backlog in the queue to points in the embedded index.
//!
//! ```text
//! documents ──publish──> queue, filled ──> worker ──> index ┐
//!      └──prepare──> the same chunks ──> embedder alone ────┼──> a line a figure, one JSON object
//!                                   └──> sentence-transformers
//! ```
//!
//! `feature ceiling memory model` names the parts; none means all of them. A number among them is the
//! count of documents of the backlog that memory is measured over.
//! `feature drain <folder>` is the process whose memory that is.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod backlog;
#[path = "../support/book.rs"]
mod book;
mod memory;
mod model;
mod python;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::{Error, Result};
use serde_json::{Value, json};

use backlog::Backlog;

/// As many values as the model gives.
const HASH_DIMENSION: usize = 384;
/// Rounds of the ceiling.
const ROUNDS: usize = 5;
/// Times that every document of the book is in the backlog of the ceiling.
const CEILING_COPIES: usize = 4;
/// Documents of the backlog that memory is measured over.
const DOCUMENTS: usize = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    if let [command, folder] = arguments.as_slice()
        && command == "drain"
    {
        return memory::drain(Path::new(folder)).await;
    }
    let count = arguments.iter().find_map(|one| one.parse().ok());
    let parts: Vec<&String> = arguments
        .iter()
        .filter(|one| one.parse::<usize>().is_err())
        .collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|one| *one == part);
    let places = Places::find()?;
    let mut report = json!({ "load_before": load() });
    if wants("ceiling") {
        report["ceiling"] = ceiling(&places).await?;
        say("ceiling", &report["ceiling"]);
    }
    if wants("memory") {
        report["memory"] = memory::measure(count.unwrap_or(DOCUMENTS)).await?;
        say("memory", &report["memory"]);
    }
    if wants("model") {
        report["model"] = model::measure(&places).await?;
        say("model", &report["model"]);
    }
    report["load_after"] = load().into();
    println!("{report}");
    Ok(())
}

/// What is embedded, and with what.
pub(crate) struct Places {
    pub(crate) model: PathBuf,
    pub(crate) book: PathBuf,
    /// A Python that has sentence-transformers.
    pub(crate) python: Option<PathBuf>,
}

impl Places {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench is told by its environment where things are"
    )]
    fn find() -> Result<Self> {
        let target = Path::new(env!("CARGO_BIN_EXE_lockstep")).ancestors().nth(2);
        let beside = target.map(|target| target.join("lockstep-model/all-MiniLM-L6-v2"));
        let model = std::env::var("LOCKSTEP_TEST_MODEL")
            .map_or_else(|_| beside.unwrap_or_default(), PathBuf::from);
        let sysroot = std::process::Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()
            .map_err(Error::unavailable("rustc", "ask for its folder"))?;
        let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
        Ok(Self {
            model,
            book: Path::new(&sysroot).join("share/doc/rust/html/book"),
            python: std::env::var("LOCKSTEP_BENCH_PYTHON")
                .ok()
                .map(PathBuf::from),
        })
    }
}

/// A backlog with an embedder that costs next to nothing: what the worker and the index can do.
async fn ceiling(places: &Places) -> Result<Value> {
    let documents = backlog::copies(&book::read(&places.book).await?, CEILING_COPIES);
    let (mut seconds, mut chunks) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let embedder = Arc::new(HashEmbedder::new(HASH_DIMENSION));
        let backlog = Backlog::fill(&documents).await?;
        let drained = backlog.drain(&embedder).await?;
        chunks = drained.chunks;
        seconds.push(drained.seconds);
    }
    let middle = median(&seconds);
    Ok(json!({
        "documents": documents.len(), "chunks": chunks,
        "documents_per_second": two(documents.len() as f64 / middle),
        "chunks_per_second": two(chunks as f64 / middle),
        "rounds_chunks_per_second": seconds.iter().map(|one| two(chunks as f64 / one)).collect::<Vec<_>>(),
    }))
}

fn say(what: &str, value: &Value) {
    println!("{what:8} {value}");
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
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
