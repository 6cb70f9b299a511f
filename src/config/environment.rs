//! The variables that a process was started with, and the settings that they give.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use toml::Value;

use super::SECRETS;
use super::nearest::nearest;
use super::origin::{Fault, Given, Origin};
use super::tree::{names, typed};

/// What all of our variables begin with.
const OURS: &str = "LOCKSTEP_";

/// Variables that belong to no setting: where settings are read from.
const PLACES: [&str; 2] = [DATA, CONFIG];

/// The data folder.
pub(super) const DATA: &str = "LOCKSTEP_DATA";

/// The settings' file.
pub(super) const CONFIG: &str = "LOCKSTEP_CONFIG";

/// Variables of the project's own tests and benches begin with these.
const NOT_SETTINGS: [&str; 2] = ["LOCKSTEP_TEST_", "LOCKSTEP_BENCH_"];

/// The variables that a process was started with.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        // A name that is no Unicode is none that we know.
        let named = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into().into_string().ok()?;
            Some((name, value.into()))
        });
        Self(named.collect())
    }
}

impl Environment {
    /// The text of a variable; none where it is not set.
    ///
    /// # Errors
    /// It is no Unicode text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        let Some(value) = self.os(name) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text)),
            None => Err(Fault::of(variable(name), "its value is no Unicode text")),
        }
    }

    /// As it was given.
    pub(super) fn os(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// Whether a variable says which file is read.
    pub fn names_file(&self) -> bool {
        self.os(CONFIG).is_some()
    }

    /// The settings that our own variables give.
    pub(super) fn given(&self, faults: &mut Vec<Fault>) -> Vec<Given> {
        let mut given = Vec::new();
        for (name, default) in names() {
            match self.value(&name, &default) {
                Ok(Some((value, variable_name))) => given.push(Given {
                    name,
                    value,
                    from: variable(&variable_name),
                }),
                Ok(None) => {}
                Err(fault) => faults.push(fault),
            }
        }
        given
    }

    fn value(&self, name: &str, default: &Value) -> Result<Option<(Value, String)>, Fault> {
        let plain = variable_of(name);
        let text = self.text(&plain)?;
        if let Some(by_file) = file_variable_of(name)
            && let Some(path) = self.os(&by_file)
        {
            let fault = |why| Fault::of(variable(&by_file), why);
            if text.is_some() {
                return Err(fault(format!("{plain} is set too: keep one of them")));
            }
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|error| fault(format!("{}: {error}", path.display())))?;
            // Editors end a file with a line break, and no secret does.
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            return Ok(Some((Value::String(text), by_file)));
        }
        let Some(text) = text else {
            return Ok(None);
        };
        if let Some(value) = typed(default, text) {
            return Ok(Some((value, plain)));
        }
        let why = format!("{text:?} is no {}", default.type_str());
        Err(Fault::of(variable(&plain), why))
    }

    /// Variables that begin like ours and are none.
    pub(super) fn strangers(&self) -> Vec<Fault> {
        let known: Vec<String> = names()
            .iter()
            .flat_map(|(name, _)| names_of(name))
            .chain(PLACES.map(str::to_owned))
            .collect();
        let is_strange = |(name, value): &(&String, &OsString)| {
            name.starts_with(OURS)
                && !known.contains(name)
                && !NOT_SETTINGS.iter().any(|start| name.starts_with(start))
                && !is_of_a_service(name, value)
        };
        let strange = self.0.iter().filter(is_strange);
        let fault = |(name, _): (&String, &OsString)| {
            let why = match nearest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("there is no such variable; did you mean `{meant}`?"),
                None => "there is no such variable".to_owned(),
            };
            Fault::of(variable(name), why)
        };
        strange.map(fault).collect()
    }
}

/// The variable of a setting.
pub fn variable_of(name: &str) -> String {
    format!("{OURS}{}", name.replace('.', "_").to_uppercase())
}

/// The variable that names a file with the setting's value, as container engines hand out secrets;
/// none where the setting is no secret.
pub(super) fn file_variable_of(name: &str) -> Option<String> {
    SECRETS
        .contains(&name)
        .then(|| format!("{}_FILE", variable_of(name)))
}

/// Whether Kubernetes gives it to every pod, for a Service that is called like us: `lockstep`, `lockstep-serve`.
///
/// `…_PORT` alone might be a setting misspelt, and is told by its value: `tcp://10.0.0.7:7411`.
fn is_of_a_service(name: &str, value: &OsStr) -> bool {
    let is_protocol = |text: &str| matches!(text, "TCP" | "UDP" | "SCTP");
    let is_address = |value: &str| {
        let scheme = value.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| is_protocol(&scheme.to_uppercase()))
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut words = name.rsplit('_');
    let mut last = || words.next().unwrap_or_default();
    let is_of_a_port = match last() {
        "PORT" if value.to_str().is_some_and(is_address) => return true,
        "PROTO" | "PORT" | "ADDR" => is_protocol(last()),
        word => is_protocol(word),
    };
    (is_of_a_port && is_number(last()) && last() == "PORT")
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
}

fn names_of(name: &str) -> impl Iterator<Item = String> {
    std::iter::once(variable_of(name)).chain(file_variable_of(name))
}

pub(super) fn variable(name: &str) -> Origin {
    Origin::Variable {
        variable: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strange(variables: &[(&str, &str)]) -> Vec<String> {
        let environment: Environment = variables.iter().copied().collect();
        environment
            .strangers()
            .iter()
            .map(|fault| format!("{fault:?}"))
            .collect()
    }

    #[test]
    fn what_kubernetes_says_of_a_service_that_is_called_like_us_is_nobodys_setting() {
        let address = "tcp://10.0.0.7:7411";
        for service in ["LOCKSTEP", "LOCKSTEP_SERVE"] {
            for (rest, value) in [
                ("SERVICE_HOST", "10.0.0.7"),
                ("SERVICE_PORT", "7411"),
                ("SERVICE_PORT_HTTP", "7411"),
                ("PORT", address),
                ("PORT_7411_TCP", address),
                ("PORT_7411_TCP_PROTO", "tcp"),
                ("PORT_7411_TCP_PORT", "7411"),
                ("PORT_7411_TCP_ADDR", "10.0.0.7"),
            ] {
                let name = format!("{service}_{rest}");
                assert!(strange(&[(name.as_str(), value)]).is_empty(), "{name}");
            }
        }
        for (name, value) in [
            ("LOCKSTEP_SERVE_PORT", "7411"),
            ("LOCKSTEP_PORT_TCP", address),
            ("LOCKSTEP_7411_TCP_ADDR", "10.0.0.7"),
            ("LOCKSTEP_SERVICE", "10.0.0.7"),
            ("LOCKSTEP_QUEUE_ADDR", "10.0.0.7"),
        ] {
            assert_eq!(strange(&[(name, value)]).len(), 1, "{name}");
        }
    }

    #[test]
    fn no_setting_has_such_a_name() {
        for (name, _) in names() {
            for name in names_of(&name) {
                let is_taken = is_of_a_service(&name, OsStr::new("tcp://10.0.0.7:7411"));
                assert!(!is_taken, "{name}");
            }
        }
    }
}
