//! JSON that stands in the scripts of a page. Pure.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};

/// The first value after this text, as `window.state = ` before an object.
pub(super) fn after<T: DeserializeOwned>(html: &str, text: &str) -> Option<T> {
    let (_, rest) = html.split_once(text)?;
    // What follows the value is script and none of ours.
    Deserializer::from_str(rest).into_iter().next()?.ok()
}

/// The text at a path of names, or nothing.
pub(super) fn text(value: &Value, path: &str) -> Option<String> {
    let text = value.pointer(path)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Milliseconds since 1970 as RFC 3339, to the second; none before 1970 or after 9999.
pub(super) fn rfc3339(milliseconds: &Value) -> Option<String> {
    let seconds = milliseconds.as_u64()? / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    (year <= 9_999)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// The date of a day since 1970: eras of 400 years, whose years begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_ends_where_its_script_goes_on() {
        let html = r#"<script>window.x = {"a":"</p>{"};window.y = 2;</script>"#;
        assert_eq!(after(html, "window.x = "), Some(json!({"a": "</p>{"})));
        assert_eq!(after::<Value>(html, "window.z = "), None);
        assert_eq!(after::<Value>("window.x = {\"a\":", "window.x = "), None);
    }

    #[test]
    fn milliseconds_are_a_date() {
        let date = |ms: u64| rfc3339(&json!(ms)).unwrap();
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_704_067_199_999), "2023-12-31T23:59:59Z");
        assert_eq!(rfc3339(&json!(-1)), None);
        assert_eq!(rfc3339(&json!(u64::MAX)), None);
    }
}
