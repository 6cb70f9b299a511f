//! `[types.<type>]` of the file. A type's name is a collection's and may have dots in it, so that these
//! are no settings like the others: they have no variable, and their defaults stand in a file.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::nearest::suggestion;
use crate::feature::types::{SETTINGS, TypeSettings};

/// Takes the types out of the file's table; each setting by itself, so that no fault hides another.
pub(super) fn take(
    table: &mut Table,
    origin: &str,
    faults: &mut Vec<String>,
) -> BTreeMap<String, TypeSettings> {
    let mut types = BTreeMap::new();
    let given = match table.remove("types") {
        None => return types,
        Some(Value::Table(given)) => given,
        Some(_) => {
            faults.push(format!(
                "{origin}: types: it should hold a table for each type"
            ));
            return types;
        }
    };
    for (kind, settings) in given {
        let Value::Table(settings) = settings else {
            faults.push(format!("{origin}: types.{kind}: it should be a table"));
            continue;
        };
        let mut right = Table::new();
        for (name, value) in settings {
            let alone = Table::from_iter([(name.clone(), value.clone())]);
            match alone.try_into::<TypeSettings>() {
                Ok(_) => drop(right.insert(name, value)),
                Err(error) => {
                    let why = if SETTINGS.contains(&name.as_str()) {
                        super::load::one_line(error.message())
                    } else {
                        suggestion(&name, SETTINGS.into_iter())
                    };
                    faults.push(format!("{origin}: types.{kind}.{name}: {why}"));
                }
            }
        }
        let settings = right
            .try_into()
            .expect("settings should fit together: each fits, and none says a thing of another");
        types.insert(kind, settings);
    }
    types
}
