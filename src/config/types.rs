//! `[types.<type>]` of the file. A type's name is a collection's and may have dots in it, so that these
//! are no settings like the others: they have no variable, and their defaults stand in a file.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::file::File;
use super::nearest::suggestion;
use super::origin::Fault;
use crate::feature::types::{SETTINGS, TypeSettings};

/// Takes the types out of the file's table; each setting by itself, so that no fault hides another.
pub(super) fn take(file: &mut File, faults: &mut Vec<Fault>) -> BTreeMap<String, TypeSettings> {
    let mut types = BTreeMap::new();
    let given = file.table.remove("types");
    let mut fault = |name: String, why: String| {
        faults.push(Fault {
            from: file.origin(&name),
            setting: Some(name),
            why,
        });
    };
    let given = match given {
        None => return types,
        Some(Value::Table(given)) => given,
        Some(_) => {
            let why = "it should hold a table for each type";
            fault("types".to_owned(), why.to_owned());
            return types;
        }
    };
    for (kind, settings) in given {
        let Value::Table(settings) = settings else {
            fault(format!("types.{kind}"), "it should be a table".to_owned());
            continue;
        };
        let mut right = Table::new();
        for (name, value) in settings {
            let alone = Table::from_iter([(name.clone(), value.clone())]);
            match alone.try_into::<TypeSettings>() {
                Ok(_) => drop(right.insert(name, value)),
                Err(error) => {
                    let why = if SETTINGS.contains(&name.as_str()) {
                        super::tree::one_line(error.message())
                    } else {
                        suggestion(&name, SETTINGS.into_iter())
                    };
                    fault(format!("types.{kind}.{name}"), why);
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
