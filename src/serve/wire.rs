//! The lines of an answer.

use serde::{Deserialize, Serialize};

use crate::command::{Progress, Response};
use crate::{Error, Result};

/// The media type of an answer in lines.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// One line: any number of progresses, then one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Progress(Progress),
    Response(Response),
    Error(Failure),
}

/// An error as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Failure {
    NotFound { what: String },
    Config { setting: String, why: String },
    Other { message: String },
}

impl Line {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl From<Result<Response>> for Line {
    fn from(result: Result<Response>) -> Self {
        match result {
            Ok(response) => Self::Response(response),
            Err(error) => Self::Error(Failure::from(&error)),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::NotFound { what } => Self::NotFound { what: what.clone() },
            Error::Config { setting, why } => Self::Config {
                setting: setting.clone(),
                why: why.clone(),
            },
            other => Self::Other {
                message: other.chain(),
            },
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound { what } => Self::NotFound { what },
            Failure::Config { setting, why } => Self::Config { setting, why },
            Failure::Other { message } => Self::Remote { message },
        }
    }
}
