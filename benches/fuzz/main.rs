//! Does any page make the reader of pages fail, hang, or answer without bounds?
//!
//! ```text
//! seed ──> random ──mutate──> page under 1 MB ──probe──> no panic, under 1 s, an answer of bounded size
//! forms ──each in a process of its own──> CPU seconds, peak memory
//! ```
//!
//! `fuzz` [seconds] [seed]: mutates for that long; one seed gives one series of pages. What is found is written
//! beside the target folder and named; the process then ends with 1. `fuzz forms`: what each known hostile form
//! costs. `fuzz file <path>`: reads one page again.
//! Time is CPU time of the reading thread (Linux's `schedstat`), since the machine has other work.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

mod forms;
mod hostile;
mod mutate;
mod seeds;

use std::fs;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockstep::crawl::probe;
use lockstep::{Error, Result};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use mutate::{Input, mutated};

/// As large as the product's own reading threads have it.
const STACK_BYTES: usize = 16 << 20;
/// The largest page.
const BYTES_MAX: usize = 1_000_000;
/// What a page of that size may take.
const SECONDS_MAX: f64 = 1.0;
/// What may become of a page: as much again for each byte, and room for what is not its own.
const OUTPUT_FACTOR: usize = 8;
const OUTPUT_ROOM: usize = 64 << 10;
/// Findings after which there is enough to mend.
const FINDINGS_MAX: usize = 20;

/// Panics since the start; the reader catches them and says so in words.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    panic::set_hook(Box::new(|told| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = told.to_string();
        }
    }));
    let reading = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || run(&arguments))
        .map_err(Error::unavailable("thread", "start"))?;
    reading
        .join()
        .map_err(|_| Error::Stopped { part: "the bench" })?
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["forms"] => forms::measure(),
        ["form", name, bytes] => forms::one(name, bytes),
        ["file", path] => forms::file(path),
        [] => fuzz(60, 1),
        [seconds] => fuzz(number(seconds)?, 1),
        [seconds, seed, ..] => fuzz(number(seconds)?, number(seed)?),
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Error::malformed("an argument", format!("{text} is no number")))
}

/// How many pages there were, and what the worst of them took.
#[derive(Default)]
struct Tally {
    pages: u64,
    bytes: u64,
    read: u64,
    findings: usize,
    slowest: f64,
    slowest_page: u64,
    largest_factor: f64,
}

fn fuzz(seconds: u64, seed: u64) -> Result<()> {
    let (begun, seeds) = (Instant::now(), seeds::pages());
    let mut tally = Tally::default();
    while begun.elapsed() < Duration::from_secs(seconds) && tally.findings < FINDINGS_MAX {
        // Each page has its own, so that one is made again without those before it.
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_000_007) + tally.pages);
        let input = mutated(&seeds, BYTES_MAX, &mut random);
        if let Some(why) = judge(&input, &mut tally)? {
            tally.findings += 1;
            let path = keep(&input, seed, tally.pages)?;
            println!("page {} of seed {seed}: {why}: {path}", tally.pages);
        }
        tally.pages += 1;
    }
    let wall = begun.elapsed().as_secs_f64();
    println!(
        "{} pages ({} MB) in {wall:.0} s, {} of them articles; the slowest took {:.3} s of CPU time (page {}), \
         the largest answer was {:.1} times its page; {} findings",
        tally.pages,
        tally.bytes / 1_000_000,
        tally.read,
        tally.slowest,
        tally.slowest_page,
        tally.largest_factor,
        tally.findings
    );
    println!(
        "{}",
        json!({
            "seed": seed, "seconds": wall.round(), "pages": tally.pages, "bytes": tally.bytes, "read": tally.read,
            "slowest_cpu_seconds": tally.slowest, "slowest_page": tally.slowest_page,
            "largest_answer_factor": tally.largest_factor, "findings": tally.findings,
        })
    );
    if tally.findings > 0 {
        return Err(Error::malformed("the reader", "it has findings, see above"));
    }
    Ok(())
}

/// Reads a page and says what is wrong about how.
fn judge(input: &Input, tally: &mut Tally) -> Result<Option<String>> {
    let url =
        Url::parse(input.link).map_err(|error| Error::malformed("a link", error.to_string()))?;
    let (panics, before) = (PANICS.load(Ordering::Relaxed), cpu()?);
    let read = probe(input.bytes.clone(), input.charset, &url, input.asked);
    let taken = cpu()? - before;
    tally.bytes += input.bytes.len() as u64;
    if taken > tally.slowest {
        (tally.slowest, tally.slowest_page) = (taken, tally.pages);
    }
    if PANICS.load(Ordering::Relaxed) > panics {
        let last = LAST_PANIC
            .lock()
            .map(|last| last.clone())
            .unwrap_or_default();
        return Ok(Some(format!("it panicked: {}", last.replace('\n', " "))));
    }
    if taken > SECONDS_MAX {
        return Ok(Some(format!(
            "{} bytes took {taken:.2} s of CPU time",
            input.bytes.len()
        )));
    }
    let Ok(document) = read else {
        return Ok(None);
    };
    tally.read += 1;
    let size = serde_json::to_vec(&document.fields).map_or(0, |json| json.len());
    let factor = size as f64 / input.bytes.len().max(1) as f64;
    if size > OUTPUT_FACTOR * input.bytes.len() + OUTPUT_ROOM {
        return Ok(Some(format!("{} bytes became {size}", input.bytes.len())));
    }
    if input.bytes.len() > OUTPUT_ROOM {
        tally.largest_factor = tally.largest_factor.max(factor);
    }
    Ok(None)
}

/// Writes a page where the next run does not take it away.
fn keep(input: &Input, seed: u64, page: u64) -> Result<String> {
    let folder = std::env::temp_dir().join("lockstep-fuzz");
    fs::create_dir_all(&folder).map_err(Error::unavailable("the folder of findings", "make"))?;
    let path = folder.join(format!("{seed}-{page}.html"));
    fs::write(&path, &input.bytes).map_err(Error::unavailable("a finding", "write"))?;
    Ok(path.display().to_string())
}

/// CPU seconds of this thread.
pub(crate) fn cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")
        .map_err(Error::unavailable("schedstat", "read"))?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<u64>().ok());
    let nanoseconds = nanoseconds.ok_or_else(|| Error::malformed("schedstat", text))?;
    Ok(nanoseconds as f64 / 1e9)
}
