//! Why a git server or an interface for programs gave nothing, in words for a person. Pure.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Where GitHub says how many requests are left, and when there are more, in seconds since 1970.
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";
/// The last second of the year 9999, after which no date is written.
const SECONDS_MAX: u64 = 253_402_300_799;

/// What was asked for, and as whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What is not there when it is not there: "no repository of this name", say.
    pub(crate) thing: &'a str,
    /// Whether `crawl.github_token` was shown.
    pub(crate) with_token: bool,
}

/// Why an answer of this status, which is no success and no redirect, has nothing for us.
pub(crate) fn why(status: StatusCode, headers: &HeaderMap, asked: Asked<'_>) -> String {
    let Asked { thing, with_token } = asked;
    let limit = limited(status, headers);
    match (status, limit) {
        (_, Some(when)) if with_token => {
            format!("it takes no more requests for now: try again {when}")
        }
        (_, Some(when)) => format!(
            "it takes no more requests for now: try again {when}, or set crawl.github_token, with \
             which there are more"
        ),
        (StatusCode::UNAUTHORIZED, _) if with_token => {
            "it does not take crawl.github_token: it may be mistyped, expired or revoked".to_owned()
        }
        (StatusCode::UNAUTHORIZED, _) => format!(
            "there is {thing}, or it is private: then set crawl.github_token (crawl.github_url says \
             for which host)"
        ),
        (StatusCode::FORBIDDEN, _) if with_token => {
            "it is forbidden to crawl.github_token: let the token read contents and metadata of it"
                .to_owned()
        }
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) if with_token => {
            format!("there is {thing}, or crawl.github_token may not see it")
        }
        (StatusCode::NOT_FOUND | StatusCode::GONE, _) => format!("there is {thing}"),
        (status, _) => format!("the server answered {status}"),
    }
}

/// When there is more to be had, if the answer is that there were too many requests.
fn limited(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
    if !is_limit && status != StatusCode::FORBIDDEN {
        return None;
    }
    if let Some(later) = headers
        .get(RETRY_AFTER)
        .and_then(|later| later.to_str().ok())
    {
        // Seconds, or a date, which is one already.
        let seconds = later.trim().parse::<u64>();
        return Some(seconds.map_or_else(
            |_| format!("after {}", plain(later)),
            |seconds| format!("in {seconds} s"),
        ));
    }
    if let Some(reset_ms) = spent(status, headers) {
        let at = UNIX_EPOCH + Duration::from_millis(reset_ms);
        return Some(format!("after {}", httpdate::fmt_http_date(at)));
    }
    is_limit.then(|| "later".to_owned())
}

/// When an interface takes requests again that says that none is left: milliseconds since 1970.
pub(crate) fn spent(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let is_refused = matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    );
    let is_spent = is_refused && number(REMAINING) == Some(0);
    let reset = number(RESET).filter(|_| is_spent)?;
    Some(reset.min(SECONDS_MAX) * 1_000)
}

/// A header's text without what has no place on one line, and not endless.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, headers: &[(&'static str, &str)], with_token: bool) -> String {
        let headers = headers.iter().map(|&(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        let asked = Asked {
            thing: "nobody of this name",
            with_token,
        };
        let status = StatusCode::from_u16(status).unwrap();
        why(status, &headers.collect(), asked)
    }

    #[test]
    fn a_limit_names_the_time_at_which_it_ends() {
        let spent = [(REMAINING, "0"), (RESET, "1700000000")];
        for status in [403, 429] {
            let alone = said(status, &spent, false);
            assert!(
                alone.contains("after Tue, 14 Nov 2023 22:13:20 GMT"),
                "{alone}"
            );
            assert!(alone.contains("crawl.github_token"), "{alone}");
            let known = said(status, &spent, true);
            assert!(
                known.ends_with("after Tue, 14 Nov 2023 22:13:20 GMT"),
                "{known}"
            );
            assert!(said(status, &[("retry-after", "60")], true).ends_with("in 60 s"));
        }
        let date = "Tue, 14 Nov 2023 22:13:20 GMT";
        assert!(said(429, &[("retry-after", date)], true).ends_with(date));
        assert!(said(429, &[], true).ends_with("try again later"));
        let far = [(REMAINING, "0"), (RESET, "18446744073709551615")];
        assert!(said(403, &far, true).contains("31 Dec 9999"));
    }

    #[test]
    fn what_is_refused_says_whether_a_token_helps() {
        let left = [(REMAINING, "12"), (RESET, "1700000000")];
        assert!(said(403, &left, true).contains("forbidden to crawl.github_token"));
        assert!(said(403, &left, false).contains("403 Forbidden"));
        assert!(said(401, &[], true).contains("does not take crawl.github_token"));
        assert!(said(401, &[], false).contains("set crawl.github_token"));
        assert_eq!(said(404, &[], false), "there is nobody of this name");
        assert!(said(404, &[], true).contains("may not see it"));
        assert!(said(502, &[], true).contains("502"));
    }
}
