//! Our side: one crawl into a database, in a process of its own.

use std::fs;

use lockstep::clock::Clock;
use lockstep::crawl::{self, Kind};
use lockstep::database::Database;
use lockstep::document::kind;
use lockstep::source::Source as _;
use lockstep::source::sqlite::SqliteSource;
use lockstep::{Error, Result};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::forms::Form;

/// Ticks of a CPU second in `/proc`, on every Linux.
const TICKS: f64 = 100.0;

/// Crawls the site and prints what that took.
pub(crate) async fn crawl(origin: &str) -> Result<()> {
    let (_folder, source) = empty()?;
    let what = request(origin.to_owned(), true);
    let (begun, before) = (Instant::now(), cpu_seconds()?);
    let report = crawl::crawl(&source, &what, &settings(), &()).await?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - before);
    let (peak, letters) = (peak_mib()?, letters(&source).await?);
    let pages = report.saved as f64;
    println!(
        "{}",
        json!({"pages": report.saved, "skipped": report.skipped.len(), "seconds": seconds, "cpu_seconds": cpu,
            "pages_per_second": pages / seconds, "pages_per_cpu_second": pages / cpu, "peak_mib": peak,
            "letters": letters})
    );
    Ok(())
}

/// Crawls a site of this form, and prints what that took and came to.
pub(crate) async fn crawl_form(form: &Form, origin: &str) -> Result<()> {
    let (_folder, source) = empty()?;
    let what = request(form.target(origin), form.is_listed());
    let settings = crawl::Settings {
        fetch_seconds_max: form.seconds,
        ..settings()
    };
    let (at_rest, begun, before) = (peak_mib()?, Instant::now(), cpu_seconds()?);
    let crawled = crawl::crawl(&source, &what, &settings, &()).await;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - before);
    let becomes = match crawled {
        Ok(report) => told(&report),
        Err(error) => error.chain(),
    };
    println!(
        "{}",
        json!({"form": form.name, "seconds": seconds, "cpu_seconds": cpu, "at_rest_mib": at_rest,
            "peak_mib": peak_mib()?, "becomes": becomes.replace(origin, "")})
    );
    Ok(())
}

fn told(report: &crawl::Report) -> String {
    let left: usize = report.skipped.iter().map(|skipped| skipped.count).sum();
    let first = report.skipped.first();
    let why = first.map_or_else(String::new, |first| {
        format!(", {left} left out: {}", first.why)
    });
    format!("{} saved{why}", report.saved)
}

/// A database, and the folder that it is in for as long as that is held.
fn empty() -> Result<(TempDir, SqliteSource)> {
    let folder = tempfile::tempdir().map_err(Error::unavailable("a folder", "make"))?;
    let database = Database::open(&folder.path().join("bench.db"), &[SqliteSource::SCHEMA])?;
    Ok((folder, SqliteSource::new(database, Clock::system())))
}

/// What is asked of the product, of one page or of a whole publication.
fn request(target: String, is_listed: bool) -> crawl::Request {
    crawl::Request {
        target,
        author: "Ada Lovelace".to_owned(),
        as_kind: is_listed.then(|| Kind::of("substack")),
        browser: false,
        reference: None,
    }
}

fn settings() -> crawl::Settings {
    crawl::Settings {
        allow_private: true,
        browser: crawl::Browser::Never,
        ..crawl::Settings::default()
    }
}

/// Letters of all texts, so that both sides can be seen to have read the same.
async fn letters(source: &SqliteSource) -> Result<usize> {
    let (mut letters, mut after) = (0, None);
    loop {
        let page = source.page(kind::ARTICLES, after, 200).await?.found;
        let Some(last) = page.last() else {
            return Ok(letters);
        };
        after = Some(last.key.id.clone());
        let texts = page
            .iter()
            .filter_map(|one| one.fields["content"]["Content"].as_str());
        letters += texts
            .map(|text| text.chars().filter(|c| c.is_alphanumeric()).count())
            .sum::<usize>();
    }
}

/// User and system time of all threads.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(Error::unavailable("stat", "read"))?;
    // The name in brackets may have blanks; the times are the 12th and 13th behind it.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind.split_whitespace().skip(11).take(2);
    Ok(ticks
        .filter_map(|word| word.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS)
}

/// The most memory that this process has had.
fn peak_mib() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").map_err(Error::unavailable("status", "read"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| Error::malformed("status", "it has no VmHWM"))? / 1_024)
}
