//! Settings as names with their sections, `section.name`, and as the tables that hold them. Pure.

use toml::{Table, Value};

use super::Config;

/// Every setting's name, as `section.name`, with its default.
///
/// # Panics
/// Never: the default tree is plain numbers and texts.
pub fn names() -> Vec<(String, Value)> {
    values(&Config::default())
}

/// Every setting's name and value.
pub(super) fn values(config: &Config) -> Vec<(String, Value)> {
    let tree = Table::try_from(config).expect("settings should be TOML: plain numbers and texts");
    leaves("", tree)
}

/// Every setting below a table. An empty table is one too, so that an unknown section is found.
pub(super) fn leaves(above: &str, table: Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let name = if above.is_empty() {
            name
        } else {
            format!("{above}.{name}")
        };
        match value {
            Value::Table(inner) if !inner.is_empty() => found.extend(leaves(&name, inner)),
            other => found.push((name, other)),
        }
    }
    found
}

/// A table that holds this alone.
pub(super) fn nested(name: &str, value: Value) -> Table {
    let mut table = Table::new();
    set(&mut table, name, value);
    table
}

/// Puts a value under its name, with the sections above it.
pub(super) fn set(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// The text as a value of the default's type; a list is separated by commas.
pub(super) fn typed(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Array(_) => {
            let words = text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            Some(Value::Array(
                words.map(|word| Value::String(word.to_owned())).collect(),
            ))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

/// Without line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
