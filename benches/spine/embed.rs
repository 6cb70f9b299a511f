//! The embedder alone, and beside other runtimes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};

use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{rate, rooms, two};

/// As sentence-transformers is mostly called.
const BATCH: usize = 32;

/// Answers each line `{"texts": [...], "batch": n}` with `{"seconds": s, "vectors": [[...]]}`.
pub(crate) async fn answer_lines(folder: &Path, options: LocalOptions) -> Result<()> {
    let embedder = LocalEmbedder::open(folder, options)?;
    for line in std::io::stdin().lines() {
        let line = line.map_err(Error::unavailable("the bench", "read a line"))?;
        let question: Value = serde_json::from_str(&line).map_err(|error| bad(&error))?;
        let texts: Vec<String> =
            serde_json::from_value(question["texts"].clone()).map_err(|error| bad(&error))?;
        let batch: usize =
            serde_json::from_value(question["batch"].clone()).map_err(|error| bad(&error))?;
        let start = Instant::now();
        let mut vectors = Vec::new();
        for texts in texts.chunks(batch) {
            vectors.extend(embedder.embed(texts.to_vec()).await?);
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{}", json!({"seconds": seconds, "vectors": vectors}));
    }
    Ok(())
}

/// The same texts through both, in turns.
pub(crate) async fn compare(
    embedder: &LocalEmbedder,
    model: &Path,
    python: &Path,
    texts: Vec<String>,
) -> Result<Value> {
    let gone = |what| Error::unavailable("sentence-transformers", what);
    let script = "benches/runtimes/python.py";
    let mut child = Command::new(python)
        .args([script, "sentence-transformers"])
        .arg(model)
        .args(["none", &cores().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(gone("start"))?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::malformed("the bench", "a pipe is missing"));
    };
    let mut from = BufReader::new(from);
    let mut ask = |texts: &[String]| -> Result<f64> {
        writeln!(to, "{}", json!({"texts": texts, "batch": BATCH})).map_err(gone("ask"))?;
        let mut line = String::new();
        from.read_line(&mut line).map_err(gone("read"))?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| bad(&error))?;
        Ok(answer["seconds"].as_f64().unwrap_or(f64::NAN))
    };
    ask(&texts[..BATCH.min(texts.len())])?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let start = Instant::now();
        rooms::embed_all(embedder, texts.clone()).await?;
        ours.push(rate(texts.len(), start));
        theirs.push(two(texts.len() as f64 / ask(&texts)?));
    }
    drop(to);
    child.wait().map_err(gone("end"))?;
    let ratio = ours.iter().sum::<f64>() / theirs.iter().sum::<f64>();
    Ok(json!({"ours": ours, "sentence_transformers": theirs, "ratio": two(ratio)}))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn bad(error: &serde_json::Error) -> Error {
    Error::malformed("a line of the bench", error.to_string())
}
