//! What the settings are, and what is wrong with them.

use super::{BOLD, DIM, plain};
use crate::config::{Fault, Origin, Setting, Shown};

/// A line a fault.
pub(in crate::cli) fn faults(shown: &Shown) -> String {
    match shown.faults.len() {
        0 => "the settings are right\n".to_owned(),
        count => {
            let told: String = shown.faults.iter().map(line).collect();
            format!("{told}{BOLD}{count} to mend{BOLD:#}\n")
        }
    }
}

/// A line a setting, then what is wrong.
pub(in crate::cli) fn settings(shown: &Shown) -> String {
    let settings = shown.settings.iter();
    let width = settings
        .map(|setting| setting.name.len())
        .max()
        .unwrap_or(0);
    let line = |setting: &Setting| {
        let from = match &setting.from {
            Origin::Default => String::new(),
            from => format!("  {DIM}{}{DIM:#}", plain(&from.to_string())),
        };
        format!("{:width$}  {}{from}\n", setting.name, plain(&setting.value))
    };
    let mut text: String = shown.settings.iter().map(line).collect();
    if !shown.faults.is_empty() {
        text.push('\n');
        text.push_str(&faults(shown));
    }
    text
}

fn line(fault: &Fault) -> String {
    format!("{}\n", plain(&fault.to_string()))
}
