//! What follows from an answer that brings no vectors. Pure.
//!
//! ```text
//! 429, 503 with Retry-After ──> Busy     everybody waits
//! 408, 425, 424, 5xx, no answer > Passing  tried again
//! 400, 413, 422 ─────────────> Input    the texts, where the service is well otherwise
//! 401, 403, 404, 3xx, quota ──> Refused  stop, and what to do
//! ```

use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;
use serde_json::Value;

use crate::Error;

/// Characters that are kept of what a service says.
const SAID_CHARS_MAX: usize = 200;

/// Why a request brought no vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It asks us to wait, and says perhaps how long.
    Busy { told: Option<Duration> },
    /// It may be over at the next try; whether it answered at all.
    Passing { why: String, answered: bool },
    /// It does not take what was sent.
    Input { why: String },
    /// It will not serve us as it is.
    Refused { why: String, fix: String },
}

impl Fault {
    /// Whether one of the texts may be the cause.
    pub(super) fn may_be_input(&self) -> bool {
        matches!(
            self,
            Self::Input { .. } | Self::Passing { answered: true, .. }
        )
    }

    /// The error where the texts are not the cause.
    pub(super) fn into_error(self, place: &str) -> Error {
        let unavailable = |why: String| {
            Error::unavailable(format!("the embedding service {place}"), "embed")(why)
        };
        match self {
            Self::Busy { told: None } => unavailable("it asks for fewer requests".to_owned()),
            Self::Busy { told: Some(told) } => {
                unavailable(format!("it asks to wait {} s", told.as_secs()))
            }
            Self::Passing { why, .. } => unavailable(why),
            Self::Input { why } => Error::Refused {
                service: format!("the embedding service {place}"),
                why: format!("it takes no text at all: {why}"),
                fix: "check model.url, model.name and model.backend".to_owned(),
            },
            Self::Refused { why, fix } => Error::Refused {
                service: format!("the embedding service {place}"),
                why,
                fix,
            },
        }
    }
}

/// Judges an answer whose status is no success. `after` is its `Retry-After`.
pub(super) fn judge(status: StatusCode, after: Option<&str>, body: &[u8], now_ms: u64) -> Fault {
    let told = after.and_then(|after| retry_after(after, now_ms));
    let said = said(body);
    let why = format!("it answered {status}{said}");
    let refused = |why: &str, fix: &str| Fault::Refused {
        why: format!("it answered {status}: {why}"),
        fix: fix.to_owned(),
    };
    match status.as_u16() {
        429 if is_out_of_quota(body) => refused(
            "the account's quota is used up",
            "add to it with the provider, then start again",
        ),
        429 => Fault::Busy { told },
        503 if told.is_some() => Fault::Busy { told },
        // What it says may repeat a part of the key.
        401 | 403 => refused(
            "it does not accept the API key",
            "set model.api_key (LOCKSTEP_MODEL_API_KEY)",
        ),
        402 => refused("it wants to be paid", "settle it with the provider"),
        404 => Fault::Refused {
            why,
            fix: "check model.url and model.name; Ollama fetches a model with `ollama pull`".into(),
        },
        405 => Fault::Refused {
            why,
            fix: "check model.url and model.backend".into(),
        },
        300..=399 => refused(
            "it sends us elsewhere, and the key goes nowhere else",
            "set model.url to the place itself",
        ),
        408 | 409 | 424 | 425 | 500.. => Fault::Passing {
            why,
            answered: true,
        },
        _ => Fault::Input { why },
    }
}

/// Seconds, or a date of HTTP, from now on; nothing for what is neither.
fn retry_after(text: &str, now_ms: u64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let at = date.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now_ms)))
}

/// `OpenAI` gives one status to too many requests and to an empty account.
fn is_out_of_quota(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let error = &body["error"];
    error["code"] == "insufficient_quota" || error["type"] == "insufficient_quota"
}

/// What the service says itself, in one short line that begins with a colon; empty for nothing.
fn said(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return String::new();
    };
    let places = [&body["error"]["message"], &body["error"], &body["message"]];
    let Some(text) = places.into_iter().find_map(Value::as_str) else {
        return String::new();
    };
    let line: String = text
        .chars()
        .take(SAID_CHARS_MAX)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    format!(": {}", line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recovery;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn judged(status: u16, after: Option<&str>, body: &str) -> Fault {
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, after, body.as_bytes(), NOW_MS)
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let busy = |seconds| Fault::Busy {
            told: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(judged(429, Some("7"), ""), busy(7));
        let date = "Tue, 14 Nov 2023 22:13:50 GMT";
        assert_eq!(judged(429, Some(date), ""), busy(30));
        assert_eq!(judged(503, Some(date), ""), busy(30));
        let past = "Tue, 14 Nov 2023 22:00:00 GMT";
        assert_eq!(judged(429, Some(past), ""), busy(0));
        assert_eq!(judged(429, Some("soon"), ""), Fault::Busy { told: None });
        assert_eq!(judged(429, None, "{}"), Fault::Busy { told: None });
    }

    #[test]
    fn every_answer_has_one_consequence() {
        let recovery = |fault: Fault| fault.into_error("http://there").recovery();
        for status in [408, 424, 425, 500, 502, 503, 504, 529] {
            let fault = judged(status, None, "");
            assert!(matches!(fault, Fault::Passing { .. }), "{status}");
            assert!(matches!(recovery(fault), Recovery::Retry(_)), "{status}");
        }
        for status in [400, 413, 422] {
            assert!(matches!(judged(status, None, ""), Fault::Input { .. }));
        }
        for status in [301, 401, 402, 403, 404, 405] {
            assert_eq!(recovery(judged(status, None, "")), Recovery::Stop);
        }
        let quota = r#"{"error": {"message": "x", "code": "insufficient_quota"}}"#;
        assert_eq!(recovery(judged(429, Some("1"), quota)), Recovery::Stop);
        assert!(matches!(
            recovery(judged(429, None, "")),
            Recovery::Retry(_)
        ));
    }

    #[test]
    fn what_the_service_says_is_told_but_never_a_key() {
        let openai = r#"{"error": {"message": "too\nlong", "type": "invalid_request_error"}}"#;
        let tei = r#"{"error": "too long", "error_type": "Validation"}"#;
        for (status, body) in [(400, openai), (413, tei)] {
            let told = judged(status, None, body).into_error("there").to_string();
            assert!(told.contains(": too long; check model.url"), "{told}");
        }
        let key = r#"{"error": {"message": "Incorrect API key provided: sk-secret"}}"#;
        let told = judged(401, None, key).into_error("there").to_string();
        assert!(!told.contains("sk-"), "{told}");
        assert!(told.contains("LOCKSTEP_MODEL_API_KEY"), "{told}");
    }
}
