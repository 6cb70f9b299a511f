//! How long a host asks to be left alone: the crawl delay of its robots.txt, and `Retry-After`. Pure.

use std::time::UNIX_EPOCH;

/// No delay is longer, whatever is written: a day.
const DAY_MS: u32 = 86_400_000;
/// How long a host is left alone that has too many requests and does not say for how long.
const BUSY_MS: u64 = 30_000;

/// The crawl delay of a robots.txt for this agent, in milliseconds: its own group's, else that of `*`;
/// 0 for none.
pub(crate) fn of_robots(bytes: &[u8], agent: &str) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let (mut own, mut others) = (None, None);
    let (mut is_own, mut is_others, mut names_follow) = (false, false, false);
    let mut has_own = false;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "user-agent" => {
                // Several names in a row share one group.
                if !names_follow {
                    (is_own, is_others) = (false, false);
                }
                names_follow = true;
                let product = value.split(['/', ' ']).next().unwrap_or_default();
                is_own |= product.eq_ignore_ascii_case(agent);
                is_others |= product == "*";
                has_own |= is_own;
            }
            "crawl-delay" => {
                names_follow = false;
                let delay = milliseconds(value);
                if is_own && own.is_none() {
                    own = delay;
                }
                if is_others && others.is_none() {
                    others = delay;
                }
            }
            _ => names_follow = false,
        }
    }
    let asked = if has_own { own } else { others };
    asked.unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between nothing and a day"
)]
fn milliseconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    let is_delay = seconds.is_finite() && seconds >= 0.0;
    is_delay.then(|| (seconds * 1_000.0).min(f64::from(DAY_MS)) as u64)
}

/// The time that a `Retry-After` names, in seconds from now on or as a date of HTTP: milliseconds since
/// 1970, and at most a day away, as servers also send a moment where seconds belong; none for what is neither.
pub(crate) fn retry_after(text: &str, now_ms: u64) -> Option<u64> {
    let text = text.trim();
    let at = if let Ok(seconds) = text.parse::<u64>() {
        now_ms.saturating_add(seconds.saturating_mul(1_000))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let at = date.duration_since(UNIX_EPOCH).ok()?.as_millis();
        u64::try_from(at).ok()?
    };
    Some(soon(at, now_ms))
}

/// A time that a host named, or a day from now, whichever is first: milliseconds since 1970.
pub(crate) fn soon(at_ms: u64, now_ms: u64) -> u64 {
    at_ms.min(now_ms.saturating_add(DAY_MS.into()))
}

/// Until when a host wants to be left alone that answers so; none where it does not say so.
pub(crate) fn busy(status: u16, retry_after: Option<&str>, now_ms: u64) -> Option<u64> {
    let asked = retry_after.and_then(|text| self::retry_after(text, now_ms));
    match status {
        429 => Some(asked.unwrap_or_else(|| now_ms.saturating_add(BUSY_MS))),
        503 => asked,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(text: &str) -> u64 {
        of_robots(text.as_bytes(), "lockstep")
    }

    #[test]
    fn the_own_group_asks_for_the_delay_and_else_everybodys() {
        assert_eq!(delay("User-agent: *\nCrawl-delay: 5\n"), 5_000);
        let both = "User-agent: *\nCrawl-delay: 5\n\nUser-agent: other\nUser-Agent: LockStep/1\n\
                    Disallow: /x\ncrawl-delay: 0.5 # half\n";
        assert_eq!(delay(both), 500);
        // A group of its own that asks for none.
        assert_eq!(
            delay("User-agent: lockstep\nDisallow:\n\nUser-agent: *\nCrawl-delay: 5\n"),
            0
        );
        assert_eq!(delay("User-agent: other\nCrawl-delay: 5\n"), 0);
    }

    #[test]
    fn what_is_no_delay_is_none_and_none_is_endless() {
        for text in ["", "soon", "-1", "NaN", "inf"] {
            assert_eq!(delay(&format!("User-agent: *\nCrawl-delay: {text}")), 0);
        }
        assert_eq!(delay("User-agent: *\nCrawl-delay: 1e300"), 86_400_000);
    }

    #[test]
    fn a_retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 120 ", 5), Some(120_005));
        let date = "Sat, 03 Feb 2024 04:05:06 GMT";
        let now_ms = 1_706_933_000_000;
        assert_eq!(retry_after(date, now_ms), Some(1_706_933_106_000));
        assert_eq!(retry_after(date, 5), Some(5 + u64::from(DAY_MS)));
        assert_eq!(retry_after("1706933106", 5), Some(5 + u64::from(DAY_MS)));
        assert_eq!(retry_after("soon", 5), None);
        assert_eq!(retry_after("99999999999999999999", 5), None);
        assert_eq!(
            retry_after("18446744073709551615", 5),
            Some(5 + u64::from(DAY_MS))
        );
    }
}
