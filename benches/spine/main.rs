//! The spine in figures: start, crawl, embed, commit to searchable, and the pipeline without a model.
//!
//! ```text
//! lockstep up (a process) ──> start-up, memory, crawl ──┐
//! embedder alone, sentence-transformers ────────────────┼──> a line a figure, then one JSON object
//! the rooms in this process ──> commit to searchable ───┘
//! ```
//!
//! `spine start ceiling crawl fresh` names the parts; none means all of them.
//! `spine embed <model folder> <threads> [int8]` answers lines instead, for `benches/runtimes`.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

#[path = "../../src/allocator.rs"]
mod allocator;
#[path = "../support/book.rs"]
mod book;
mod embed;
mod fresh;
mod process;
mod rooms;
mod timing;

use std::path::{Path, PathBuf};

use lockstep::document::Document;
use lockstep::feature::embed::Precision;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use process::Up;
use rooms::Rooms;

/// Of so many texts one goes to sentence-transformers too.
const COMPARED_STEP: usize = 10;
/// Times that every document of the book is stored for the pipeline's ceiling.
const CEILING_COPIES: usize = 2;
/// As many values as the model gives.
const CEILING_DIMENSION: usize = 384;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    if let [command, folder, threads, precision @ ..] = arguments.as_slice()
        && command == "embed"
    {
        let options = LocalOptions {
            threads: threads.parse().ok(),
            precision: match precision {
                [name] if name == "int8" => Precision::Int8,
                _ => Precision::Fp32,
            },
        };
        return embed::answer_lines(Path::new(folder), options).await;
    }
    let wants = |part: &str| arguments.is_empty() || arguments.iter().any(|one| one == part);
    let places = Places::find()?;
    let mut report = json!({
        "load_before": load(),
        "binary_bytes": std::fs::metadata(&places.binary).map_or(0, |file| file.len()),
    });
    if wants("start") {
        report["start_ms"] = process::start_ms(&places).await?;
        say("start", &report["start_ms"]);
    }
    if wants("ceiling") {
        report["ceiling"] = ceiling(&places).await?;
        say("ceiling", &report["ceiling"]);
    }
    let data = process::folder()?;
    if wants("crawl") {
        crawl(&places, data.path(), &mut report).await?;
    }
    if wants("fresh") {
        report["fresh"] = fresh::measure(&places, data.path()).await?;
        say("fresh", &report["fresh"]);
    }
    report["load_after"] = load().into();
    println!("{report}");
    Ok(())
}

/// What is measured, and with what.
pub(crate) struct Places {
    pub(crate) binary: PathBuf,
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
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_lockstep"));
        let model = std::env::var("LOCKSTEP_TEST_MODEL").map_or_else(
            |_| binary.join("../../lockstep-model/all-MiniLM-L6-v2"),
            PathBuf::from,
        );
        let sysroot = std::process::Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()
            .map_err(Error::unavailable("rustc", "ask for its folder"))?;
        let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
        Ok(Self {
            binary,
            model,
            book: Path::new(&sysroot).join("share/doc/rust/html/book"),
            python: std::env::var("LOCKSTEP_BENCH_PYTHON")
                .ok()
                .map(PathBuf::from),
        })
    }
}

/// Crawls the book with the real model, then embeds the same texts without anything else.
async fn crawl(places: &Places, data: &Path, report: &mut Value) -> Result<()> {
    let up = Up::start(places, data).await?;
    let idle = up.memory();
    let crawled = up.crawl(&places.book).await?;
    let memory = up.memory();
    up.stop().await?;
    let embedder = LocalEmbedder::open(&places.model, LocalOptions::default())?;
    let texts = rooms::texts(&rooms::documents(data).await?, &embedder)?;
    let start = Instant::now();
    rooms::embed_all(&embedder, texts.clone()).await?;
    let bare = rate(texts.len(), start);
    report["crawl"] = json!({
        "seconds": crawled.seconds, "documents": crawled.documents, "chunks": crawled.chunks,
        "chunks_per_second": two(crawled.chunks_per_second()),
        "bare_chunks": texts.len(), "bare_chunks_per_second": bare,
        "of_bare": two(crawled.chunks_per_second() / bare),
        "memory_idle_mib": idle.mib, "memory_peak_mib": memory.peak_mib,
    });
    say("crawl", &report["crawl"]);
    if let Some(python) = &places.python {
        // Some of the texts, of all lengths: the other one takes minutes for all.
        let some = texts.into_iter().step_by(COMPARED_STEP).collect();
        let compared = embed::compare(&embedder, &places.model, python, some).await?;
        report["against_sentence_transformers"] = compared;
    }
    say("bare", &report["against_sentence_transformers"]);
    Ok(())
}

/// Documents through everything, with an embedder that costs nothing.
async fn ceiling(places: &Places) -> Result<Value> {
    let documents = book::read(&places.book).await?;
    let copies: Vec<Document> = (0..CEILING_COPIES)
        .flat_map(|copy| documents.iter().map(move |document| (copy, document)))
        .map(|(copy, document)| rooms::copy_of(document, copy))
        .collect();
    let data = process::folder()?;
    let rooms = Rooms::open(data.path(), HashEmbedder::new(CEILING_DIMENSION)).await?;
    let start = Instant::now();
    for batch in copies.chunks(64) {
        rooms.save(batch.to_vec()).await?;
    }
    rooms.stored(copies.len()).await?;
    let seconds = start.elapsed().as_secs_f64();
    let chunks = rooms.embedded();
    rooms.stop().await?;
    Ok(json!({
        "documents": copies.len(), "chunks": chunks, "seconds": two(seconds),
        "documents_per_second": two(copies.len() as f64 / seconds),
        "chunks_per_second": two(chunks as f64 / seconds),
    }))
}

fn say(what: &str, value: &Value) {
    println!("{what:8} {value}");
}

pub(crate) fn rate(count: usize, start: Instant) -> f64 {
    two(count as f64 / start.elapsed().as_secs_f64())
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
