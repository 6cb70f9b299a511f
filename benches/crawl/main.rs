//! How many small pages a second are crawled, per core, and in how much memory, beside a Python trafilatura?
//!
//! ```text
//! serve (a process) <──fetch, extract, store── crawl (a process of its own: its CPU seconds, its peak)
//!                   <──fetch, extract───────── python.py (the same pages)
//! ```
//!
//! `crawl [pages]`: 10,000 by default. The pages are a publication that its sitemap names, so that one crawl reads
//! them all, one request at a time; they are stored in a database in a temporary folder. Both sides are compared by
//! CPU seconds (user and system, all threads), since the machine has other work; the server's are nobody's.
//! `LOCKSTEP_BENCH_PYTHON` names a Python that has trafilatura; without it that side is left out.
//!
//! `crawl hostile`: what a crawl of a site that means ill takes, see [`hostile`].

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

#[path = "../../src/allocator.rs"]
mod allocator;
#[path = "../../src/crawl/tests/hostile/bombs.rs"]
mod bombs;
mod forms;
mod hostile;
mod pages;
mod process;
mod site;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lockstep::{Error, Result};
use serde_json::{Value, json};

use forms::Form;

const PAGES: usize = 10_000;
const GOAL: f64 = 3.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().map_err(Error::unavailable("runtime", "start"))?;
    match words[..] {
        ["serve", count] => runtime.block_on(pages::serve(number(count)?)),
        ["crawl", origin] => runtime.block_on(process::crawl(origin)),
        ["hostile"] => hostile::measure(),
        ["hostile", "serve", name] => runtime.block_on(site::serve(Form::named(name)?)),
        ["hostile", "crawl", name, origin] => {
            runtime.block_on(process::crawl_form(Form::named(name)?, origin))
        }
        [count] => compare(number(count)?),
        _ => compare(PAGES),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| Error::malformed("an argument", format!("{text} is no number")))
}

fn compare(pages: usize) -> Result<()> {
    let program = std::env::current_exe().map_err(Error::unavailable("the bench", "find"))?;
    let server = Server::start(&program, &["serve", &pages.to_string()])?;
    let before = load();
    let ours = answer(Command::new(&program).args(["crawl", &server.origin]))?;
    told("lockstep", &ours);
    let theirs = match python() {
        Some(python) => {
            let script = Path::new("benches/crawl/python.py");
            let mut command = Command::new(python);
            let theirs = answer(
                command
                    .arg(script)
                    .args([&server.origin, &pages.to_string()]),
            )?;
            told("trafilatura (Python)", &theirs);
            theirs
        }
        None => Value::Null,
    };
    let rate = |side: &Value| side["pages_per_cpu_second"].as_f64();
    let ratio = rate(&ours)
        .zip(rate(&theirs))
        .map(|(ours, theirs)| ours / theirs);
    if let Some(ratio) = ratio {
        let met = if ratio >= GOAL { "met" } else { "MISSED" };
        println!("per core {ratio:.2} times the pages; goal {GOAL}: {met}");
    }
    println!(
        "{}",
        json!({"pages": pages, "lockstep": ours, "python": theirs, "ratio_per_core": ratio, "goal": GOAL,
            "load_before": before, "load_after": load()})
    );
    Ok(())
}

fn told(name: &str, side: &Value) {
    println!(
        "{name:22} {} pages in {:.1} s: {:.0} pages/s, {:.0} a CPU second; peak {} MiB; {} letters of text",
        side["pages"],
        side["seconds"].as_f64().unwrap_or(f64::NAN),
        side["pages_per_second"].as_f64().unwrap_or(f64::NAN),
        side["pages_per_cpu_second"].as_f64().unwrap_or(f64::NAN),
        side["peak_mib"],
        side["letters"]
    );
}

/// The last line that a process prints, which is one JSON object.
fn answer(command: &mut Command) -> Result<Value> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::unavailable("a side of the bench", "start"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .map_err(|error| Error::malformed("the answer of a side of the bench", error.to_string()))
}

/// A site, served by a process of its own until this is dropped.
struct Server {
    child: Child,
    origin: String,
}

impl Server {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        let fail = || Error::unavailable("the bench's server", "start");
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(fail())?;
        let mut origin = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut origin).map_err(fail())?;
        }
        Ok(Self {
            child,
            origin: origin.trim().to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where things are"
)]
fn python() -> Option<String> {
    std::env::var("LOCKSTEP_BENCH_PYTHON").ok()
}
