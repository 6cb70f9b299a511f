//! What the doctor found.

use anstyle::{AnsiColor, Style};

use super::{DIM, plain};
use crate::doctor::{Check, Diagnosis, Outcome};

/// A line a check, and one more where something is to be done.
pub(in crate::cli) fn diagnosis(diagnosis: &Diagnosis) -> String {
    let names = diagnosis.checks.iter().map(|check| check.name.len());
    let width = names.max().unwrap_or_default();
    let line = |check| line(check, width);
    diagnosis.checks.iter().map(line).collect()
}

fn line(check: &Check, width: usize) -> String {
    let (word, colour) = match check.outcome {
        Outcome::Passed => ("ok     ", AnsiColor::Green.on_default()),
        Outcome::Warned => ("warning", AnsiColor::Yellow.on_default()),
        Outcome::Failed => ("failed ", AnsiColor::Red.on_default().bold()),
        Outcome::Skipped => ("skipped", Style::new().dimmed()),
    };
    let name = check.name;
    let said = plain(&check.said);
    let indent = width + "warning".len() + 4;
    let fix = check.fix.as_deref().map_or_else(String::new, |fix| {
        format!("{:indent$}{DIM}{}{DIM:#}\n", "", plain(fix))
    });
    format!("{colour}{word}{colour:#}  {name:width$}  {said}\n{fix}")
}
