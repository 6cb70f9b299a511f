//! Where a setting came from, and what is wrong with one.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use toml::Value;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// The settings' file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1; none where it is about the whole file.
        line: Option<usize>,
    },
    /// A variable.
    Variable {
        /// Its name.
        variable: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Variable { variable } => f.write_str(variable),
        }
    }
}

/// A setting from somewhere.
#[derive(Debug)]
pub(super) struct Given {
    /// As `section.name`.
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) from: Origin,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which one, as `section.name`; none where it is about a whole file or a variable.
    pub setting: Option<String>,
    /// Where it came from.
    pub from: Origin,
    /// What is wrong, and what to do.
    pub why: String,
}

impl Fault {
    pub(super) fn of(from: Origin, why: impl Into<String>) -> Self {
        Self {
            setting: None,
            from,
            why: why.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from != Origin::Default {
            write!(f, "{}: ", self.from)?;
        }
        if let Some(setting) = &self.setting {
            write!(f, "{setting}: ")?;
        }
        f.write_str(&self.why)
    }
}
