//! The lines of an answer.

use serde::{Deserialize, Serialize};

use crate::command::{Progress, Response};
use crate::{Error, Result};

/// The media type of an answer in lines.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// How errors name whoever answers.
const RUNNING: &str = "the running process";

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
    NotFound {
        what: String,
    },
    Config {
        setting: String,
        why: String,
    },
    Gone {
        link: String,
        status: u16,
    },
    Refused {
        service: String,
        why: String,
        fix: String,
    },
    /// It may pass.
    Unavailable {
        message: String,
    },
    Stopped,
    Other {
        message: String,
    },
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
            Error::Gone { link, status } => Self::Gone {
                link: link.clone(),
                status: *status,
            },
            Error::Refused { service, why, fix } => Self::Refused {
                service: service.clone(),
                why: why.clone(),
                fix: fix.clone(),
            },
            Error::Unavailable { .. } => Self::Unavailable {
                message: error.chain(),
            },
            Error::Stopped { .. } => Self::Stopped,
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
            Failure::Gone { link, status } => Self::Gone { link, status },
            Failure::Refused { service, why, fix } => Self::Refused { service, why, fix },
            Failure::Unavailable { message } => {
                Self::unavailable(RUNNING, "do what was asked")(message)
            }
            Failure::Stopped => Self::Stopped { part: RUNNING },
            Failure::Other { message } => Self::Remote { message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recovery;

    /// What comes of an error at whoever asked.
    fn over(error: Error) -> Error {
        let line = Line::from(Err::<Response, _>(error)).to_bytes().unwrap();
        match serde_json::from_slice(&line).unwrap() {
            Line::Error(failure) => failure.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_may_pass_and_what_ends_all_is_told_from_what_is_wrong_with_one_thing() {
        let away = over(Error::unavailable("MongoDB at a.example", "answer")(
            "no route",
        ));
        assert!(matches!(away.recovery(), Recovery::Retry(_)), "{away:?}");
        let told = away.chain();
        for part in [
            "the running process",
            "MongoDB at a.example did not answer",
            "no route",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let stopped = over(Error::Stopped { part: "capture" });
        assert!(matches!(stopped, Error::Stopped { .. }), "{stopped:?}");
        let too_large = over(Error::TooLarge {
            thing: "a page".to_owned(),
            bytes: 2,
            limit: 1,
        });
        assert!(matches!(too_large, Error::Remote { .. }), "{too_large:?}");
    }

    #[test]
    fn what_has_a_hint_of_its_own_is_the_same_error_on_both_sides() {
        for error in [
            Error::NotFound {
                what: "author Ada".to_owned(),
            },
            Error::Config {
                setting: "limit".to_owned(),
                why: "0 is not 1 to 1000".to_owned(),
            },
            Error::Gone {
                link: "https://example.org/a".to_owned(),
                status: 410,
            },
            Error::Refused {
                service: "MongoDB at a.example".to_owned(),
                why: "it has no such user".to_owned(),
                fix: "give another one".to_owned(),
            },
        ] {
            let before = format!("{error:?}");
            assert_eq!(format!("{:?}", over(error)), before);
        }
    }
}
