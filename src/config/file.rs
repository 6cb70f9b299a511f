//! The settings' file: its tables, and the line of each name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::origin::{Fault, Origin};
use super::tree::one_line;

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct File {
    path: PathBuf,
    pub(super) table: Table,
    /// By a name with its sections, `section.name`.
    lines: BTreeMap<String, usize>,
}

impl File {
    /// Its text as settings.
    ///
    /// # Errors
    /// The place where it stops being TOML.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Fault> {
        let at = |line| Origin::File {
            path: path.to_owned(),
            line,
        };
        let parsed = text
            .parse::<Table>()
            .and_then(|table| Ok((table, DeTable::parse(text)?)));
        let (table, spanned) = parsed.map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            Fault::of(at(line), one_line(error.message()))
        })?;
        let mut lines = BTreeMap::new();
        number(text, "", spanned.get_ref(), &mut lines);
        Ok(Self {
            path: path.to_owned(),
            table,
            lines,
        })
    }

    /// Where a name stands in it.
    pub(super) fn origin(&self, name: &str) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: self.lines.get(name).copied(),
        }
    }
}

fn number(text: &str, above: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let name = match above {
            "" => key.get_ref().to_string(),
            above => format!("{above}.{}", key.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) => number(text, &name, inner, lines),
            DeValue::Array(entries) => {
                for (count, entry) in (1..).zip(entries.iter()) {
                    if let DeValue::Table(inner) = entry.get_ref() {
                        number(text, &format!("{name}[{count}]"), inner, lines);
                    }
                }
            }
            _ => {}
        }
        lines.insert(name, line_of(text, key.span().start));
    }
}

/// The line of a byte, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}
