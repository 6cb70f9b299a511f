//! File and environment to a checked [`Config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::nearest::suggestion;
use super::{Config, types, watch};
use crate::feature::types::Types;
use crate::{Error, Result};

/// Where settings come from, as far as the command line says it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The file; by default `lockstep.toml` in the data folder, where there is one.
    pub file: Option<PathBuf>,
}

/// Reads and checks every setting. `lookup` answers for the environment.
///
/// # Errors
/// [`Error::Config`] that names every fault, and [`Error::Data`] for a file that cannot be read.
pub fn load(place: Place, lookup: impl Fn(&str) -> Option<String>) -> Result<Config> {
    let data = data_folder(place.data, &lookup)?;
    let mut faults = Vec::new();
    let mut config = Table::new();
    let mut given = BTreeMap::new();
    let mut watches = Vec::new();
    let file = place
        .file
        .or_else(|| lookup("LOCKSTEP_CONFIG").map(PathBuf::from));
    if let Some((path, text)) = read(&data, file)? {
        let origin = path.display().to_string();
        match text.parse::<Table>() {
            Ok(mut table) => {
                given = types::take(&mut table, &origin, &mut faults);
                watches = watch::take(&mut table, &origin, &mut faults);
                take(&mut config, &origin, table, &mut faults);
            }
            Err(error) => faults.push(format!("{}: {}", path.display(), one_line(error.message()))),
        }
    }
    for (name, default) in names() {
        let variable = environment(&name);
        let Some(text) = lookup(&variable) else {
            continue;
        };
        match typed(&default, &text) {
            Some(value) => take(&mut config, &variable, nested(&name, value), &mut faults),
            None => faults.push(format!("{variable}: {text:?} is no {}", default.type_str())),
        }
    }
    let mut config: Config = config
        .try_into()
        .map_err(|error| fault(&[one_line(&error.to_string())]))?;
    config.data = data;
    config.crawl.watch = watches;
    faults.extend(config.faults());
    match Types::new(&given) {
        Ok(types) => config.take_types(types, given.into_keys()),
        Err(found) => faults.extend(found),
    }
    if faults.is_empty() {
        Ok(config)
    } else {
        Err(fault(&faults))
    }
}

/// Every setting's name, as `section.name`, with its default.
///
/// # Panics
/// Never: the default tree is plain numbers and texts.
pub fn names() -> Vec<(String, Value)> {
    let defaults = Table::try_from(Config::default())
        .expect("defaults should be TOML: they are plain numbers and texts");
    leaves("", defaults)
}

/// The environment's name of a setting.
pub fn environment(name: &str) -> String {
    format!("LOCKSTEP_{}", name.replace('.', "_").to_uppercase())
}

fn fault(faults: &[String]) -> Error {
    Error::Config {
        setting: "configuration".into(),
        why: faults.join("; "),
    }
}

fn data_folder(given: Option<PathBuf>, lookup: impl Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let by_convention = || {
        directories::ProjectDirs::from("", "", "lockstep").map(|dirs| dirs.data_dir().to_owned())
    };
    let folder = given
        .or_else(|| {
            lookup("LOCKSTEP_DATA")
                .filter(|text| !text.is_empty())
                .map(PathBuf::from)
        })
        .or_else(by_convention)
        .ok_or_else(|| fault(&["--data: there is no home folder, so name one".into()]))?;
    std::path::absolute(&folder).map_err(|error| Error::Data {
        path: folder,
        why: error.to_string(),
    })
}

/// The file's text; none where it was not named and is not there.
fn read(data: &Path, named: Option<PathBuf>) -> Result<Option<(PathBuf, String)>> {
    let required = named.is_some();
    let path = named.unwrap_or_else(|| data.join("lockstep.toml"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(None),
        Err(error) => Err(Error::Config {
            setting: path.display().to_string(),
            why: error.to_string(),
        }),
    }
}

/// Takes over each setting that is right by itself, so that one fault does not hide another.
fn take(config: &mut Table, origin: &str, given: Table, faults: &mut Vec<String>) {
    for (name, value) in leaves("", given) {
        let alone = nested(&name, value.clone());
        match alone.try_into::<Config>() {
            Ok(_) => set(config, &name, value),
            Err(error) => {
                let known = names();
                let known = known.iter().map(|(name, _)| name.as_str());
                let why = match error.message() {
                    unknown if unknown.starts_with("unknown field") => suggestion(&name, known),
                    why => one_line(why),
                };
                faults.push(format!("{origin}: {name}: {why}"));
            }
        }
    }
}

/// Every setting below a table. An empty table is one too, so that an unknown section is found.
fn leaves(above: &str, table: Table) -> Vec<(String, Value)> {
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

fn nested(name: &str, value: Value) -> Table {
    let mut table = Table::new();
    set(&mut table, name, value);
    table
}

fn set(table: &mut Table, name: &str, value: Value) {
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
fn typed(default: &Value, text: &str) -> Option<Value> {
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

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(file: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lockstep.toml"), file).unwrap();
        let place = Place {
            data: Some(folder.path().to_owned()),
            file: None,
        };
        load(place, |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn nothing_given_is_every_default() {
        let mut config = load_with("", &[]).unwrap();
        config.data = PathBuf::new();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = "[queue]\npartitions = 2\nattempts_max = 9\n";
        let config = load_with(file, &[("LOCKSTEP_QUEUE_PARTITIONS", "3")]).unwrap();
        assert_eq!((config.queue.partitions, config.queue.attempts_max), (3, 9));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let file = "[queue]\npartitions = 0\n[crawl]\nbyte_max = 3\n[model]\nbackend = 'cloud'\n\
                    [serve]\nlisten = '0.0.0.0:80'\n[surprise]\n";
        let error = load_with(file, &[("LOCKSTEP_CAPTURE_WINDOW", "many")]).unwrap_err();
        let text = error.to_string();
        for part in [
            "queue.partitions: 0",
            "crawl.byte_max",
            "model.backend",
            "serve.listen: 0.0.0.0",
            "surprise",
            "LOCKSTEP_CAPTURE_WINDOW",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_type_of_the_file_is_a_collection_that_is_read() {
        let file = "[types.notes]\ntext = ['body']\n[types.\"team.diary\"]\nchunking = 'prose'\n";
        let config = load_with(file, &[]).unwrap();
        let names: Vec<&str> = config.types.names().collect();
        let all = ["articles", "notes", "posts", "repositories", "team.diary"];
        assert_eq!(names, all);
        let read = config.source.collections;
        assert!(read.contains(&"notes".to_owned()) && read.contains(&"team.diary".to_owned()));
        assert_eq!(read.len(), 6);
        // Where everything is read, nothing has to be named.
        let file = format!("{file}[source]\ncollections = []\n");
        assert!(load_with(&file, &[]).unwrap().source.collections.is_empty());
    }

    #[test]
    fn a_slip_is_told_with_the_name_that_was_meant() {
        let file = "[types.notes]\ntexts = ['body']\nredact = ['x']\nchunking = 'verse'\n\
                    [types.posts]\nredacted = ['content']\n[queue]\npartition = 3\n";
        let told = load_with(file, &[]).unwrap_err().to_string();
        for part in [
            "types.notes.texts: there is no such setting; did you mean `text`?",
            "types.notes.redact: there is no such setting; did you mean `redacted`?",
            "types.notes.chunking: unknown variant",
            "types.posts.text: `content` is redacted too",
            "queue.partition: there is no such setting; did you mean `queue.partitions`?",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            data: Some(folder.path().to_owned()),
            file: Some(folder.path().join("other.toml")),
        };
        assert!(load(place, |_| None).is_err());
    }

    /// The reference page names each setting with its variable and default, and nothing else.
    #[test]
    fn the_reference_page_lists_exactly_the_settings() {
        let page = include_str!("../../docs/configuration.md");
        let documented: Vec<Vec<&str>> = page
            .lines()
            .filter(|line| line.starts_with("| `") && line.contains("`LOCKSTEP_"))
            .map(|line| line.split('|').map(str::trim).take(4).skip(1).collect())
            .collect();
        let known: Vec<Vec<String>> = names()
            .into_iter()
            .map(|(name, default)| {
                let variable = environment(&name);
                vec![
                    format!("`{name}`"),
                    format!("`{variable}`"),
                    format!("`{default}`"),
                ]
            })
            .collect();
        assert_eq!(
            documented, known,
            "docs/configuration.md against src/config.rs"
        );
        let types = include_str!("../feature/types/defaults.toml");
        assert!(
            page.contains(types),
            "docs/configuration.md against defaults.toml"
        );
    }
}
