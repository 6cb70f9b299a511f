//! Memory of a process that empties a large backlog.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lockstep::change::DocumentKey;
use lockstep::document::{Document, kind};
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::backlog::{self, Backlog};
use crate::{HASH_DIMENSION, two};

/// Between two samples.
const SAMPLE: Duration = Duration::from_millis(250);
/// Tenths of the run whose samples are told.
const PARTS: usize = 10;

/// Fills a queue, and lets a process of its own empty it.
pub(crate) async fn measure(documents: usize) -> Result<Value> {
    let documents: Vec<Document> = (0..documents).map(post).collect::<Result<_>>()?;
    let backlog = Backlog::fill(&documents).await?;
    let fail = |what| Error::unavailable("the bench's own process", what);
    let program = std::env::current_exe().map_err(fail("find"))?;
    let output = Command::new(program)
        .arg("drain")
        .arg(backlog.path())
        .output()
        .map_err(fail("start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| {
        let why = format!("{error}: {}", String::from_utf8_lossy(&output.stderr));
        Error::malformed("the answer of the bench's own process", why)
    })
}

/// Empties the queue of this folder and prints what that took.
pub(crate) async fn drain(data: &Path) -> Result<()> {
    let embedder = Arc::new(HashEmbedder::new(HASH_DIMENSION));
    let documents = backlog::waiting(data).await?;
    // The first look comes when all is open and nothing was received yet.
    let (mut idle, mut samples, mut last) = (None, Vec::new(), Instant::now());
    let drained = backlog::drain(data, &embedder, documents, || {
        idle.get_or_insert_with(Memory::now);
        if last.elapsed() >= SAMPLE {
            last = Instant::now();
            samples.push(Memory::now());
        }
    })
    .await?;
    let idle = idle.unwrap_or_else(Memory::now);
    let part = |at: usize| &samples[at * samples.len() / PARTS..(at + 1) * samples.len() / PARTS];
    let most = |at: usize| part(at).iter().map(|one| one.own).max().unwrap_or(0);
    let over = |kib: u64| kib.saturating_sub(idle.own) / 1024;
    let tenths: Vec<u64> = (0..PARTS).map(|at| over(most(at))).collect();
    println!(
        "{}",
        json!({
            "documents": documents, "chunks": drained.chunks, "seconds": two(drained.seconds),
            "documents_per_second": two(documents as f64 / drained.seconds),
            "chunks_per_second": two(drained.chunks as f64 / drained.seconds),
            "idle_mib": idle.own / 1024, "most_over_idle_mib": tenths.iter().max(),
            "over_idle_mib_by_tenth": tenths,
            "mapped_files_mib": samples.iter().map(|one| one.mapped).max().unwrap_or(0) / 1024,
        })
    );
    Ok(())
}

/// Of this process, in KiB.
struct Memory {
    /// Its own.
    own: u64,
    /// Pages of files, which the system takes back when it needs them.
    mapped: u64,
}

impl Memory {
    fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            kib.unwrap_or(0)
        };
        Self {
            own: kib("RssAnon:"),
            mapped: kib("RssFile:"),
        }
    }
}

/// A post of about 1,500 bytes whose words are its own.
fn post(number: usize) -> Result<Document> {
    let sentence = |line: usize| {
        format!(
            "Note {number}.{line}: the lighthouse keeper of island {} counts {} ships, writes their \
             names into a book and waits for the evening boat that brings bread and letters.",
            (number * 37 + line * 11) % 1009,
            (number * 53 + line * 7) % 887,
        )
    };
    let text: Vec<String> = (0..10).map(sentence).collect();
    let fields = json!({
        "platform": "bench", "link": format!("https://example.org/{number}"),
        "content": {"Content": text.join("\n\n")}, "author_full_name": "Rust Authors",
    });
    match fields {
        Value::Object(fields) => Ok(Document {
            key: DocumentKey::text(kind::POSTS, &format!("post {number}")),
            fields,
        }),
        _ => Err(Error::malformed("a post", "it is no object")),
    }
}
