//! How much of a document is embedded again after an edit, and whether its chunks are found as well.
//!
//! ```text
//! a repository ──history──> edits ──ours, plain──> share of chunks that are new ┐
//!              └──head────> texts ──ours, plain──> chunks ──embed──┐            ├──> a line a figure,
//!                              └──> queries, each with its passage ┴──> nDCG@10 ┘    one JSON object
//! ```
//!
//! `incremental share quality` names the parts; none means all of them. A number among them is how many
//! edits are taken at most, evenly spread over the history. `REPOSITORY` is a path or a URL, `FOLDER`
//! the part of it that counts.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

mod cut;
mod history;
mod plain;
mod quality;
mod queries;
mod share;

use std::path::{Path, PathBuf};

use lockstep::feature::embed::Precision;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::{Error, Result};
use serde_json::{Value, json};

use history::History;

/// The Rust Book: prose with code, ten years of edits by many hands.
const REPOSITORY: &str = "https://github.com/rust-lang/book";
const FOLDER: &str = "src/";
/// Edits at most.
const EDITS: usize = 2_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let count = arguments.iter().find_map(|one| one.parse().ok());
    let parts: Vec<&String> = arguments
        .iter()
        .filter(|one| one.parse::<usize>().is_err())
        .collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|one| *one == part);
    let places = Places::find();
    let history = History::read(&places.repository, &places.folder)?;
    let mut report = json!({
        "load_before": load(), "repository": places.repository, "folder": places.folder,
        "head": history.head, "revisions": history.edits.len(), "files": history.files.len(),
    });
    let embedder = open(&places, Precision::Fp32)?;
    if wants("share") {
        report["share"] = share::measure(&history, &embedder, count.unwrap_or(EDITS))?;
        say("share", &report["share"]);
    }
    if wants("quality") {
        let int8 = open(&places, Precision::Int8)?;
        report["quality"] = quality::measure(&history, &embedder, &int8).await?;
        say("quality", &report["quality"]);
    }
    report["load_after"] = load().into();
    println!("{report}");
    Ok(())
}

/// What is measured, and with what.
struct Places {
    repository: String,
    folder: String,
    model: PathBuf,
}

impl Places {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench is told by its environment where things are"
    )]
    fn find() -> Self {
        let given = |name: &str, default: &str| {
            let given = std::env::var(name).ok().filter(|given| !given.is_empty());
            given.unwrap_or_else(|| default.to_owned())
        };
        let target = Path::new(env!("CARGO_BIN_EXE_lockstep")).ancestors().nth(2);
        let beside = target.map(|target| target.join("lockstep-model/all-MiniLM-L6-v2"));
        let beside = beside.unwrap_or_default();
        Self {
            repository: given("REPOSITORY", REPOSITORY),
            folder: given("FOLDER", FOLDER),
            model: given("LOCKSTEP_TEST_MODEL", &beside.to_string_lossy()).into(),
        }
    }
}

fn open(places: &Places, precision: Precision) -> Result<LocalEmbedder> {
    let options = LocalOptions {
        precision,
        ..LocalOptions::default()
    };
    LocalEmbedder::open(&places.model, options)
}

fn say(what: &str, value: &Value) {
    println!("{what:8} {value}");
}

/// Four decimals are more than the figures deserve.
pub(crate) fn four(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value below which so many hundredths are.
pub(crate) fn percentile(values: &[f64], hundredths: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = values.len() * hundredths / 100;
    let last = values.len().saturating_sub(1);
    values.get(at.min(last)).copied().unwrap_or(f64::NAN)
}

pub(crate) fn failed(what: &str) -> impl FnOnce(gix::Error) -> Error {
    let what = what.to_owned();
    move |error| Error::malformed(what, error.to_string())
}

/// Processes that wanted the machine over the last minute.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
