//! File and environment to a checked [`Config`].
//!
//! ```text
//! the first system's variables ──┐
//! lockstep.toml ─────────────────┼──> each by itself ──> Config ──> bounds ──> every fault at once
//! LOCKSTEP_…, LOCKSTEP_…_FILE ───┘        the later one wins
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;

use super::environment::{self, Environment};
use super::file::File;
use super::nearest::suggestion;
use super::origin::{Fault, Given, Origin};
use super::tree::{leaves, names, nested, one_line, set};
use super::{Config, SECRETS, seed, types, watch};
use crate::feature::types::Types;
use crate::{Error, Result};

/// The file that is read where none is named, in the data folder.
pub const FILE: &str = "lockstep.toml";

/// Where settings come from, as far as the command line says it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// The file; by default `lockstep.toml` in the data folder, where there is one.
    pub file: Option<PathBuf>,
}

/// Every setting that was given, right or wrong.
#[derive(Debug)]
pub struct Reading {
    /// What holds; a setting with a fault may have its default there.
    pub config: Config,
    /// Where each setting that was given came from.
    pub origins: BTreeMap<String, Origin>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Reads and checks every setting.
///
/// # Errors
/// [`Error::Config`] that names every fault, and [`Error::Data`] for a folder that has no place.
pub fn load(place: Place, environment: &Environment) -> Result<Config> {
    let reading = read(place, environment)?;
    if reading.faults.is_empty() {
        return Ok(reading.config);
    }
    let faults: Vec<String> = reading.faults.iter().map(Fault::to_string).collect();
    Err(fault(&faults))
}

/// Reads every setting and tells what is wrong.
///
/// # Errors
/// No data folder can be named.
pub fn read(place: Place, environment: &Environment) -> Result<Reading> {
    let data = data_folder(place.data, environment)?;
    let mut faults = environment.strangers();
    let named = place
        .file
        .or_else(|| environment.os(environment::CONFIG).map(PathBuf::from));
    let mut file = file(&data, named).unwrap_or_else(|fault| {
        faults.push(fault);
        File::default()
    });
    let types = types::take(&mut file, &mut faults);
    let watches = watch::take(&mut file, &mut faults);
    let table = std::mem::take(&mut file.table);
    let mut given = seed::given(environment, &mut faults);
    given.extend(leaves("", table).into_iter().map(|(name, value)| Given {
        from: file.origin(&name),
        name,
        value,
    }));
    given.extend(environment.given(&mut faults));
    let mut right = Table::new();
    let mut origins = BTreeMap::new();
    for given in given {
        match alone(&given) {
            Ok(()) => {
                set(&mut right, &given.name, given.value);
                origins.insert(given.name, given.from);
            }
            Err(why) => faults.push(Fault {
                setting: Some(given.name),
                from: given.from,
                why,
            }),
        }
    }
    let mut config: Config = right
        .try_into()
        .map_err(|error| fault(&[one_line(&error.to_string())]))?;
    config.data = data;
    config.crawl.watch = watches;
    let together = config.faults().into_iter().map(|(setting, why)| {
        let from = origins.get(setting).cloned().unwrap_or(Origin::Default);
        let setting = Some(setting.to_owned());
        Fault { setting, from, why }
    });
    faults.extend(together);
    match Types::new(&types) {
        Ok(read) => config.take_types(read, types.into_keys()),
        Err(found) => faults.extend(found.into_iter().map(|fault| {
            let name = fault.split(": ").next().unwrap_or_default();
            Fault::of(file.origin(name), fault.clone())
        })),
    }
    Ok(Reading {
        config,
        origins,
        faults,
    })
}

fn fault(faults: &[String]) -> Error {
    Error::Config {
        setting: "configuration".into(),
        why: faults.join("; "),
    }
}

fn data_folder(given: Option<PathBuf>, environment: &Environment) -> Result<PathBuf> {
    let by_convention = || {
        directories::ProjectDirs::from("", "", "lockstep").map(|dirs| dirs.data_dir().to_owned())
    };
    let by_variable = environment
        .os(environment::DATA)
        .filter(|text| !text.is_empty())
        .map(PathBuf::from);
    let folder = given
        .or(by_variable)
        .or_else(by_convention)
        .ok_or_else(|| fault(&["--data: there is no home folder, so name one".into()]))?;
    std::path::absolute(&folder).map_err(|error| Error::Data {
        path: folder,
        why: error.to_string(),
    })
}

/// The file's settings; none where it was not named and is not there.
fn file(data: &Path, named: Option<PathBuf>) -> Result<File, Fault> {
    let required = named.is_some();
    let path = named.unwrap_or_else(|| data.join(FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => File::parse(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
            Ok(File::default())
        }
        Err(error) => Err(Fault::of(
            Origin::File { path, line: None },
            error.to_string(),
        )),
    }
}

/// Whether a setting is right by itself, so that one fault does not hide another.
fn alone(given: &Given) -> Result<(), String> {
    match nested(&given.name, given.value.clone()).try_into::<Config>() {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.message() {
            unknown if unknown.starts_with("unknown field") => {
                let known = names();
                suggestion(&given.name, known.iter().map(|(name, _)| name.as_str()))
            }
            // The parser repeats what it was given.
            _ if SECRETS.contains(&given.name.as_str()) => "it should be text".to_owned(),
            why => one_line(why),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::variable_of;
    use super::*;

    fn load_with(file: &str, variables: &[(&str, &str)]) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lockstep.toml"), file).unwrap();
        let place = Place {
            data: Some(folder.path().to_owned()),
            file: None,
        };
        load(place, &variables.iter().copied().collect())
    }

    fn told(file: &str, variables: &[(&str, &str)]) -> String {
        load_with(file, variables).unwrap_err().to_string()
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
                    [surprise]\n";
        let error = load_with(file, &[("LOCKSTEP_CAPTURE_WINDOW", "many")]).unwrap_err();
        let text = error.to_string();
        for part in [
            "queue.partitions: 0",
            "crawl.byte_max",
            "model.backend",
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
        assert!(load(place, &Environment::default()).is_err());
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let file =
            "[queue]\npartitions = 0\n\n[crawl]\nbyte_max = 3\n[types.notes]\ntexts = ['x']\n";
        let told = told(file, &[]);
        for part in [
            "lockstep.toml:2: queue.partitions: 0",
            "lockstep.toml:5: crawl.byte_max",
            "lockstep.toml:7: types.notes.texts",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let told = self::told("[queue]\npartitions = = 3\n", &[]);
        assert!(told.contains("lockstep.toml:2: "), "{told}");
    }

    #[test]
    fn a_variable_that_is_none_is_told_with_the_one_that_was_meant() {
        let variables = [
            ("LOCKSTEP_QUEUE_PARTITION", "3"),
            ("LOCKSTEP_TEST_SEED", "1"),
            ("LOCKSTEP_QUEUE_NAME_FILE", "/name"),
        ];
        let told = told("", &variables);
        assert!(
            told.contains("LOCKSTEP_QUEUE_PARTITION: there is no such variable; did you mean `LOCKSTEP_QUEUE_PARTITIONS`?"),
            "{told}"
        );
        // Only a secret is read from a file.
        assert!(told.contains("LOCKSTEP_QUEUE_NAME_FILE"), "{told}");
        assert!(!told.contains("LOCKSTEP_TEST_SEED"), "{told}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file_of_its_own() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "amqp://ada:hunter2@mq\n").unwrap();
        let path = secret.path().to_str().unwrap();
        let by_file = ("LOCKSTEP_QUEUE_URL_FILE", path);
        let config = load_with("", &[by_file]).unwrap();
        assert_eq!(config.queue.url.expose(), "amqp://ada:hunter2@mq");
        let told = told("", &[by_file, ("LOCKSTEP_QUEUE_URL", "amqp://mq")]);
        assert!(told.contains("keep one of them"), "{told}");
        let told = self::told("", &[("LOCKSTEP_QUEUE_URL_FILE", "/no/such/file")]);
        assert!(
            told.contains("LOCKSTEP_QUEUE_URL_FILE: /no/such/file"),
            "{told}"
        );
    }

    #[test]
    fn a_secret_is_never_told_whatever_is_wrong_with_it() {
        let told = told(
            "[model]\napi_key = 12345678\n[vector]\nurl = 'http://ada:hunter2@q:6334'\n",
            &[],
        );
        assert!(told.contains("model.api_key: it should be text"), "{told}");
        assert!(told.contains("vector.url: "), "{told}");
        assert!(
            !told.contains("12345678") && !told.contains("hunter2"),
            "{told}"
        );
    }

    #[test]
    fn the_first_systems_names_count_where_ours_say_nothing() {
        let theirs = ("MONGO_DATABASE_HOST", "mongodb://theirs");
        let source = |file, variables: &[_]| load_with(file, variables).unwrap().source;
        assert_eq!(source("", &[theirs]).url.expose(), "mongodb://theirs");
        let file = "[source]\nurl = 'mongodb://file'\n";
        assert_eq!(source(file, &[theirs]).url.expose(), "mongodb://file");
        let ours = ("LOCKSTEP_SOURCE_URL", "mongodb://ours");
        assert_eq!(source(file, &[theirs, ours]).url.expose(), "mongodb://ours");
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
                let variable = variable_of(&name);
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
