//! JSON that stands in the scripts of a page. Pure.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};

use crate::moment;

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
    let said = moment::rfc3339_seconds(milliseconds.as_u64()?);
    (!said.starts_with('+')).then_some(said)
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
