//! What the settings are, for people and scripts; no secret is among it.

use serde::Serialize;

use super::load::Reading;
use super::origin::{Fault, Origin};
use super::tree::values;
use super::{SECRETS, Secret};

/// Every setting and what is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// In the order of their names.
    pub settings: Vec<Setting>,
    /// What is wrong; a setting with a fault is shown with its default.
    pub faults: Vec<Fault>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// As `section.name`.
    pub name: String,
    /// Its value as TOML; of a secret only whether there is one.
    pub value: String,
    /// Where it came from.
    pub from: Origin,
}

impl From<Reading> for Shown {
    fn from(reading: Reading) -> Self {
        let shown = |(name, value): (String, toml::Value)| Setting {
            value: if SECRETS.contains(&name.as_str()) {
                let text = value.as_str().unwrap_or_default();
                format!("{:?}", Secret::from(text.to_owned()))
            } else {
                value.to_string()
            },
            from: reading
                .origins
                .get(&name)
                .cloned()
                .unwrap_or(Origin::Default),
            name,
        };
        Self {
            settings: values(&reading.config).into_iter().map(shown).collect(),
            faults: reading.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Place, read, variable_of};
    use super::*;

    #[test]
    fn every_secret_is_hidden_and_nothing_else_is() {
        let hidden = "https://hunter2";
        let folder = tempfile::tempdir().unwrap();
        let place = Place {
            data: Some(folder.path().to_owned()),
            file: None,
        };
        let names = super::super::names();
        let texts = names.iter().filter(|(_, value)| value.is_str());
        let environment: Environment = texts.map(|(name, _)| (variable_of(name), hidden)).collect();
        let reading = read(place, &environment).unwrap();
        // What `Debug` hides is of the type that holds passwords.
        let debug = format!("{:?}", reading.config);
        assert_eq!(debug.matches("(hidden)").count(), SECRETS.len(), "{debug}");
        let shown = Shown::from(reading);
        for setting in shown.settings {
            let is_secret = SECRETS.contains(&setting.name.as_str());
            assert_eq!(setting.value == "(hidden)", is_secret, "{setting:?}");
            assert!(!is_secret || !setting.value.contains(hidden), "{setting:?}");
        }
    }

    #[test]
    fn a_setting_is_shown_with_where_it_came_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lockstep.toml");
        std::fs::write(&file, "# mine\n[queue]\nattempts_max = 9\npartitions = 0\n").unwrap();
        let place = Place {
            data: Some(folder.path().to_owned()),
            file: None,
        };
        let environment = [("LOCKSTEP_FEATURE_BATCH_SIZE", "8")].into_iter().collect();
        let shown = Shown::from(read(place, &environment).unwrap());
        let found = |name: &str| {
            let mut settings = shown.settings.iter();
            let setting = settings.find(|setting| setting.name == name).unwrap();
            (setting.value.as_str(), setting.from.to_string())
        };
        let line = format!("{}:3", file.display());
        assert_eq!(found("queue.attempts_max"), ("9", line));
        let variable = "LOCKSTEP_FEATURE_BATCH_SIZE".to_owned();
        assert_eq!(found("feature.batch_size"), ("8", variable));
        assert_eq!(found("capture.window"), ("500", "default".to_owned()));
        assert_eq!(shown.faults.len(), 1);
    }
}
