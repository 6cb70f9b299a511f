//! The spine in figures: start, crawl, embed, commit to searchable, and the pipeline without a model.
//!
//! ```text
//! lockstep up (a process) ──> start-up, memory, crawl ──┐
//! embedder alone, sentence-transformers ────────────────┼──> a line a figure, then one JSON object
//! the rooms in this process ──> commit to searchable ───┘
//! ```
//!
//! `spine embed <model folder> <threads>` answers lines instead, for `benches/runtimes`.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]

mod embed;
mod fresh;
mod process;
mod rooms;
mod timing;

use std::path::{Path, PathBuf};

use lockstep::document::Document;
use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use process::Up;
use rooms::Rooms;

/// Crawls, each followed by the same texts through the embedder alone.
const CRAWLS: usize = 2;
/// Times that every document of the book is stored for the pipeline's ceiling.
const CEILING_COPIES: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    if let [command, folder, threads] = arguments.as_slice()
        && command == "embed"
    {
        return embed::answer_lines(Path::new(folder), threads.parse().ok()).await;
    }
    let places = Places::find()?;
    let mut report = json!({
        "load_before": load(),
        "binary_bytes": std::fs::metadata(&places.binary).map_or(0, |file| file.len()),
    });
    report["start_ms"] = process::start_ms(&places).await?;
    say("start", &report["start_ms"]);
    let (data, documents) = crawl(&places, &mut report).await?;
    report["fresh"] = fresh::measure(&places, data.path()).await?;
    say("fresh", &report["fresh"]);
    report["ceiling"] = ceiling(&documents).await?;
    say("ceiling", &report["ceiling"]);
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
            python: std::env::var("LOCKSTEP_BENCH_PYTHON").ok().map(PathBuf::from),
        })
    }
}

/// Crawls the book with the real model and embeds the same texts without anything else, in turns.
async fn crawl(places: &Places, report: &mut Value) -> Result<(tempfile::TempDir, Vec<Document>)> {
    let embedder = LocalEmbedder::open(&places.model, LocalOptions::default())?;
    let (mut crawls, mut bare) = (Vec::new(), Vec::new());
    let (mut last, mut texts) = (None, Vec::new());
    for _ in 0..CRAWLS {
        let data = process::folder()?;
        let up = Up::start(places, data.path()).await?;
        let idle = up.memory();
        let crawled = up.crawl(&places.book).await?;
        let memory = up.memory();
        up.stop().await?;
        let documents = rooms::documents(data.path()).await?;
        texts = rooms::texts(&documents, &embedder)?;
        let start = Instant::now();
        rooms::embed_all(&embedder, texts.clone()).await?;
        bare.push(rate(crawled.chunks, start));
        crawls.push(json!({
            "seconds": crawled.seconds, "documents": crawled.documents, "chunks": crawled.chunks,
            "chunks_per_second": two(crawled.chunks_per_second()),
            "bare_chunks_per_second": bare.last(),
            "of_bare": two(crawled.chunks_per_second() / bare[bare.len() - 1]),
            "memory_idle_mib": idle.mib, "memory_peak_mib": memory.peak_mib,
        }));
        say("crawl", &crawls[crawls.len() - 1]);
        last = Some((data, documents));
    }
    report["crawls"] = crawls.into();
    report["against_sentence_transformers"] = match &places.python {
        None => Value::Null,
        Some(python) => embed::compare(&embedder, &places.model, python, texts).await?,
    };
    say("bare", &report["against_sentence_transformers"]);
    last.ok_or_else(|| Error::malformed("the bench", "it crawls nothing"))
}

/// Documents through everything, with an embedder that costs nothing.
async fn ceiling(documents: &[Document]) -> Result<Value> {
    let data = process::folder()?;
    let embedder = HashEmbedder::new(384);
    let copies: Vec<Document> = (0..CEILING_COPIES)
        .flat_map(|copy| documents.iter().map(move |document| (copy, document)))
        .map(|(copy, document)| rooms::copy_of(document, copy))
        .collect();
    let rooms = Rooms::open(data.path(), embedder).await?;
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
        "dimension": HashEmbedder::new(384).model().dimension,
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
