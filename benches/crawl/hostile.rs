//! How much memory does a crawl take of a site that means ill?
//!
//! ```text
//! site (a process a form) <──the real crawler── a process a form: so its peak is the form's own
//! ```

use std::path::Path;
use std::process::Command;

use lockstep::{Error, Result};
use serde_json::{Value, json};

use crate::forms::{FORMS, Form};
use crate::{Server, load};

/// Measures every form and prints a table; the last line is one JSON object.
///
/// # Errors
/// Also where a form was the end of the process that crawled it.
pub(crate) fn measure() -> Result<()> {
    let program = std::env::current_exe().map_err(Error::unavailable("the bench", "find"))?;
    let (before, mut rows) = (load(), Vec::new());
    println!(
        "{:52} {:>7} {:>7} {:>8}  becomes",
        "form", "s", "CPU s", "peak MiB"
    );
    for form in &FORMS {
        let row = measured(&program, form)?;
        println!(
            "{:52} {:>7.2} {:>7.2} {:>8}  {}",
            form.name,
            row["seconds"].as_f64().unwrap_or(f64::NAN),
            row["cpu_seconds"].as_f64().unwrap_or(f64::NAN),
            row["peak_mib"]
                .as_u64()
                .map_or_else(|| "-".to_owned(), |mib| mib.to_string()),
            row["becomes"].as_str().unwrap_or_default()
        );
        rows.push(row);
    }
    let died = rows.iter().filter(|row| row["peak_mib"].is_null()).count();
    let highest = rows.iter().max_by_key(|row| row["peak_mib"].as_u64());
    let highest = highest.cloned().unwrap_or_default();
    println!(
        "the highest peak: {} MiB, {}",
        highest["peak_mib"], highest["form"]
    );
    println!(
        "{}",
        json!({"forms": rows, "peak_mib": highest["peak_mib"], "of": highest["form"], "died": died,
            "load_before": before, "load_after": load()})
    );
    if died > 0 {
        return Err(Error::malformed(
            "the crawler",
            format!("{died} forms were its end, see above"),
        ));
    }
    Ok(())
}

fn measured(program: &Path, form: &Form) -> Result<Value> {
    let server = Server::start(program, &["hostile", "serve", form.name])?;
    let output = Command::new(program)
        .args(["hostile", "crawl", form.name, &server.origin])
        .output()
        .map_err(Error::unavailable("the bench's own process", "start"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let why = format!("its process ended with {}: {}", output.status, said.trim());
        return Ok(json!({"form": form.name, "becomes": why}));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .map_err(|error| Error::malformed(form.name, format!("{error}: {said}")))
}
