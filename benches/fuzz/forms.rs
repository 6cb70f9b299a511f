//! What each hostile form costs, at three sizes, in a process of its own: so its peak memory is its own.

use std::fs;
use std::process::Command;

use lockstep::crawl::probe;
use lockstep::{Error, Result};
use serde_json::{Value, json};
use url::Url;

use crate::cpu;
use crate::hostile::FORMS;

/// Some that are read and not refused, as the fuzzer has them at most, and as the product reads at most.
const SIZES: [usize; 3] = [100_000, 1_000_000, 16 << 20];

/// Measures every form and prints a table; the last line is one JSON object.
pub(crate) fn measure() -> Result<()> {
    let program = std::env::current_exe().map_err(Error::unavailable("the bench", "find"))?;
    let mut rows = Vec::new();
    println!(
        "{:45} {:>9} {:>7} {:>9}  becomes",
        "form", "bytes", "CPU s", "peak MiB"
    );
    for size in SIZES {
        for form in &FORMS {
            let output = Command::new(&program)
                .args(["form", form.name, &size.to_string()])
                .output()
                .map_err(Error::unavailable("the bench's own process", "start"))?;
            let text = String::from_utf8_lossy(&output.stdout);
            let row: Value = serde_json::from_str(text.trim()).map_err(|error| {
                let why = format!("{error}: {}", String::from_utf8_lossy(&output.stderr));
                Error::malformed(form.name, why)
            })?;
            println!(
                "{:45} {:>9} {:>7.3} {:>9}  {}",
                form.name,
                row["bytes"],
                row["cpu_seconds"].as_f64().unwrap_or(f64::NAN),
                row["peak_mib"],
                row["becomes"].as_str().unwrap_or_default()
            );
            rows.push(row);
        }
    }
    println!("{}", json!({ "forms": rows }));
    Ok(())
}

/// Reads one form and prints what that took.
pub(crate) fn one(name: &str, bytes: &str) -> Result<()> {
    let form = FORMS.iter().find(|form| form.name == name);
    let form =
        form.ok_or_else(|| Error::malformed("a form", format!("there is none called {name}")))?;
    let size = bytes
        .parse()
        .map_err(|_| Error::malformed("a size", bytes.to_owned()))?;
    told(name, (form.make)(size).into_bytes())
}

/// Reads one file and prints what that took.
pub(crate) fn file(path: &str) -> Result<()> {
    told(
        path,
        fs::read(path).map_err(Error::unavailable("the file", "read"))?,
    )
}

fn told(name: &str, page: Vec<u8>) -> Result<()> {
    let url = Url::parse("https://example.org/book/one.html")
        .map_err(|error| Error::malformed("a link", error.to_string()))?;
    let (bytes, before, at_rest) = (page.len(), cpu()?, peak()?);
    let read = probe(page, None, &url, None);
    let row = json!({
        "form": name, "bytes": bytes, "cpu_seconds": cpu()? - before, "peak_mib": peak()?, "at_rest_mib": at_rest,
        "becomes": match read {
            Ok(document) => format!("{} bytes of text", document.fields["content"]["Content"].as_str().map_or(0, str::len)),
            Err(why) => why,
        },
    });
    println!("{row}");
    Ok(())
}

/// The most memory that this process has had, in MiB.
fn peak() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").map_err(Error::unavailable("status", "read"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| Error::malformed("status", "it has no VmHWM"))? / 1_024)
}
