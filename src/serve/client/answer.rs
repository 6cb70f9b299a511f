//! What an answer of the HTTP API says: what was asked for, or what went wrong, why, and what to do.

use std::borrow::Cow;

use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Largest answer: a thousand documents with their texts.
const BYTES_MAX: usize = 256 << 20;
/// What is read of a refusal; ours are shorter.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// How the sentence ends of what is not known, where that is what was asked for and not the path.
const NOT_KNOWN: &str = " is not known here";

/// Whom errors name, and what to do where nobody is there.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    name: Cow<'static, str>,
    /// What it did not do when it could not be reached.
    reached: &'static str,
}

impl Peer {
    /// The process that has the data folder.
    pub(super) fn running() -> Self {
        Self {
            name: "the running process".into(),
            reached: "answer",
        }
    }

    pub(super) fn elsewhere(address: &str) -> Self {
        Self {
            name: format!("lockstep at {address}").into(),
            reached: "answer (check the address, and that `lockstep up` or `lockstep serve` runs there)",
        }
    }

    /// No answer came, or not all of one.
    pub(super) fn lost(&self, error: reqwest::Error) -> Error {
        let action = if error.is_connect() {
            self.reached
        } else {
            "answer"
        };
        // The name has the address, and the rest of the link is somebody's question.
        Error::unavailable(self.name.clone(), action)(error.without_url())
    }

    /// Commands are not for who shows this token.
    pub(super) fn no_commands(&self) -> Error {
        self.refuses(
            "commands need the token in endpoint.json of its data folder".to_owned(),
            "give them on its machine, or ask what the HTTP API has",
        )
    }

    /// The answer where it is a good one.
    pub(super) async fn good(&self, answer: Response) -> Result<Response> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = self.whole(answer, REFUSAL_BYTES_MAX).await?;
        let said = serde_json::from_slice(&body).ok();
        Err(self.refusal(status, said.map(|Said { detail }| detail)))
    }

    /// What a good answer says.
    pub(super) async fn read<T: DeserializeOwned>(&self, answer: Response) -> Result<T> {
        let body = self.whole(answer, BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::malformed(format!("the answer of {}", self.name), error.to_string())
        })
    }

    async fn whole(&self, mut answer: Response, limit: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = (answer.chunk().await).map_err(|error| self.lost(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                return Err(Error::TooLarge {
                    thing: format!("the answer of {}", self.name),
                    bytes: body.len() as u64,
                    limit: limit as u64,
                });
            }
        }
        Ok(body)
    }

    /// The error that a problem stands for; without a detail it is no problem of ours, and somebody else's answer.
    fn refusal(&self, status: StatusCode, detail: Option<String>) -> Error {
        let may_pass = matches!(status.as_u16(), 408 | 429 | 502..=504);
        let Some(detail) = detail else {
            let why = format!("it answered with {status}, and not as lockstep does");
            if may_pass {
                return Error::unavailable(self.name.clone(), "answer")(why);
            }
            return self.refuses(why, "check that the address is the one of lockstep itself");
        };
        match status {
            _ if may_pass => Error::unavailable(self.name.clone(), "answer")(detail),
            StatusCode::BAD_REQUEST => {
                let (setting, why) = detail
                    .split_once(": ")
                    .unwrap_or(("the request", detail.as_str()));
                Error::Config {
                    setting: setting.to_owned(),
                    why: why.to_owned(),
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.refuses(
                detail,
                "give a token that `lockstep token create` has made there",
            ),
            StatusCode::NOT_FOUND => match detail.strip_suffix(NOT_KNOWN) {
                Some(what) => Error::NotFound {
                    what: what.to_owned(),
                },
                None => self.refuses(
                    detail,
                    "check the address, and whether that lockstep is older than this one",
                ),
            },
            _ => Error::Remote {
                message: format!("{}: {detail}", self.name),
            },
        }
    }

    fn refuses(&self, why: String, fix: &str) -> Error {
        Error::Refused {
            service: self.name.clone().into_owned(),
            why,
            fix: fix.to_owned(),
        }
    }
}

/// What a problem says.
#[derive(Deserialize)]
struct Said {
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::super::super::problem::Problem;
    use super::*;
    use crate::Recovery;

    /// What comes of an error of the server's at its client.
    fn over(error: Error) -> Error {
        let told = serde_json::to_value(Problem::from(error)).unwrap();
        let status = u16::try_from(told["status"].as_u64().unwrap()).unwrap();
        let detail = told["detail"].as_str().unwrap().to_owned();
        of(status, Some(&detail))
    }

    fn of(status: u16, detail: Option<&str>) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        Peer::elsewhere("https://a.example").refusal(status, detail.map(str::to_owned))
    }

    #[test]
    fn what_the_asker_can_mend_is_the_same_error_on_both_sides() {
        let unknown = Error::NotFound {
            what: "document posts/7".into(),
        };
        let text = unknown.to_string();
        let told = over(unknown);
        assert!(matches!(told, Error::NotFound { .. }), "{told:?}");
        assert_eq!(told.to_string(), text);
        let wrong = Error::Config {
            setting: "since".into(),
            why: "it is later than until".into(),
        };
        let text = wrong.to_string();
        let told = over(wrong);
        let is_same = matches!(&told, Error::Config { setting, .. } if setting == "since");
        assert!(is_same, "{told:?}");
        assert_eq!(told.to_string(), text);
    }

    #[test]
    fn what_may_pass_may_be_tried_again_and_nothing_else() {
        let may_pass = |error: &Error| matches!(error.recovery(), Recovery::Retry(_));
        assert!(may_pass(&over(Error::unavailable("the index", "answer")(
            "no"
        ))));
        for status in [408, 429, 502, 503, 504] {
            for detail in [None, Some("as many wait as may")] {
                let told = of(status, detail);
                assert!(may_pass(&told), "{told:?}");
                assert!(told.chain().contains("a.example"), "{told:?}");
            }
        }
        for status in [301, 400, 401, 403, 404, 405, 413, 500] {
            for detail in [None, Some("it cannot be")] {
                let told = of(status, detail);
                assert!(!may_pass(&told), "{told:?}");
                let text = told.chain();
                assert!(detail.is_none_or(|detail| text.contains(detail)), "{text}");
            }
        }
    }

    #[test]
    fn a_refusal_says_who_why_and_what_to_do() {
        for (status, detail, fix) in [
            (
                401,
                Some("the token is not known here, or was revoked"),
                "lockstep token create",
            ),
            (
                404,
                Some("there is nothing at /v1/search"),
                "check the address",
            ),
            (404, None, "check that the address"),
            (302, None, "check that the address"),
        ] {
            let told = of(status, detail);
            assert!(matches!(told, Error::Refused { .. }), "{told:?}");
            let text = told.to_string();
            for part in [
                "lockstep at https://a.example",
                detail.unwrap_or("not as lockstep"),
                fix,
            ] {
                assert!(text.contains(part), "{text}");
            }
        }
    }
}
