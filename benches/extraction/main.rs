//! How much of an article is found, and how much that is none: the product's own extraction, on real pages.
//!
//! ```text
//! folder ──> pages, truth ──extract──> texts ──score──> precision, recall, F1, pages a second
//! ```
//!
//! The folder (`EXTRACTION`, or the first argument) holds `ground-truth.json` (id → `url`, `articleBody`) and
//! `html/<id>.html.gz`, as "article-extraction-benchmark" of Scrapinghub (MIT) publishes them.
//! `extraction <folder>` measures; `extraction <folder> score <name>` reads another extractor's texts
//! (one JSON object, id → text, and `seconds`) from its input and scores them alike.
//! `benches/extraction/run` does both and prints the table.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

mod score;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use lockstep::crawl::extract;
use lockstep::{Error, Result};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use url::Url;

use score::{Score, score};

/// As large as the product's own reading threads have it.
const STACK_BYTES: usize = 16 << 20;

/// A page and what a person marked in it.
struct Sample {
    id: String,
    url: Url,
    html: String,
    truth: String,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let reading = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || run(&arguments))
        .map_err(Error::unavailable("thread", "start"))?;
    reading
        .join()
        .map_err(|_| Error::Stopped { part: "the bench" })?
}

fn run(arguments: &[String]) -> Result<()> {
    let folder = folder(arguments.first())?;
    let samples = samples(Path::new(&folder))?;
    let (name, texts, seconds) = if let [_, command, name] = arguments
        && command == "score"
    {
        let given: Value = serde_json::from_reader(std::io::stdin())
            .map_err(|error| Error::malformed("the texts", error.to_string()))?;
        let seconds = given["seconds"].as_f64().unwrap_or(f64::NAN);
        let text = |id: &str| given["texts"][id].as_str().unwrap_or_default().to_owned();
        let texts = samples.iter().map(|sample| text(&sample.id)).collect();
        (name.clone(), texts, seconds)
    } else {
        let (texts, seconds) = measure(&samples);
        ("lockstep".to_owned(), texts, seconds)
    };
    let pairs = samples.iter().map(|sample| &*sample.truth).zip(&texts);
    let Score {
        precision,
        recall,
        f1,
    } = score(pairs.map(|(truth, text)| (truth, text.as_str())));
    let empty = texts
        .iter()
        .filter(|text: &&String| text.is_empty())
        .count();
    println!(
        "{}",
        json!({
            "name": name, "pages": samples.len(), "precision": four(precision),
            "recall": four(recall), "f1": four(f1), "empty": empty,
            "pages_per_second": (samples.len() as f64 / seconds).round(),
        })
    );
    Ok(())
}

/// Extracts every page, one after the other on one core.
fn measure(samples: &[Sample]) -> (Vec<String>, f64) {
    let begun = Instant::now();
    let texts = samples
        .iter()
        .map(|sample| {
            extract(&sample.html, &sample.url).map_or_else(|_| String::new(), |page| page.text)
        })
        .collect();
    (texts, begun.elapsed().as_secs_f64())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where things are"
)]
fn folder(argument: Option<&String>) -> Result<String> {
    argument
        .cloned()
        .or_else(|| std::env::var("EXTRACTION").ok())
        .ok_or_else(|| Error::Config {
            setting: "EXTRACTION".to_owned(),
            why: "name the folder with ground-truth.json and html/".to_owned(),
        })
}

fn samples(folder: &Path) -> Result<Vec<Sample>> {
    let broken = |thing: &str, why: String| Error::malformed(thing, why);
    let truth = File::open(folder.join("ground-truth.json"))
        .map_err(Error::unavailable("ground-truth.json", "open"))?;
    let truth: Map<String, Value> = serde_json::from_reader(truth)
        .map_err(|error| broken("ground-truth.json", error.to_string()))?;
    truth
        .iter()
        .map(|(id, page)| {
            let url = page["url"].as_str().unwrap_or_default();
            let url = Url::parse(url)
                .or_else(|_| Url::parse(&format!("https://{url}")))
                .map_err(|error| broken(id, error.to_string()))?;
            let file = File::open(folder.join("html").join(format!("{id}.html.gz")))
                .map_err(Error::unavailable("page", "open"))?;
            let mut bytes = Vec::new();
            GzDecoder::new(file)
                .read_to_end(&mut bytes)
                .map_err(Error::unavailable("page", "read"))?;
            Ok(Sample {
                id: id.clone(),
                url,
                html: String::from_utf8_lossy(&bytes).into_owned(),
                truth: page["articleBody"].as_str().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

fn four(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
