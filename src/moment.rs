//! Moments as formats and people write them, by the calendar of the field's library; everywhere else a
//! moment is milliseconds since 1970, UTC. Pure.

use chrono::{DateTime, SecondsFormat, Utc};

/// RFC 3339 to the millisecond: `2026-01-31T12:00:00.250Z`.
pub fn rfc3339(ms: u64) -> String {
    date(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339 to the second, as pages say when they were published: `2026-01-31T12:00:00Z`.
pub fn rfc3339_seconds(ms: u64) -> String {
    date(ms).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// For people: `2026-01-31 12:00:00 UTC`.
pub fn readable(ms: u64) -> String {
    date(ms).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The milliseconds of a day (`2026-01-31`, from its first moment), of RFC 3339, or of a plain number of
/// milliseconds; none of anything else. What was before 1970 is 1970.
pub fn read(text: &str) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let moment = if text.len() == "2026-01-31".len() {
        DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z"))
    } else {
        DateTime::parse_from_rfc3339(text)
    };
    Some(u64::try_from(moment.ok()?.timestamp_millis()).unwrap_or_default())
}

/// The last moment that the calendar has stands for all behind it.
fn date(ms: u64) -> DateTime<Utc> {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn what_was_written_is_read_again() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!((rfc3339(ms), read(text)), (text.to_owned(), Some(ms)));
        }
        for ms in (0..4_200_000_000_000).step_by(86_399_999_123) {
            assert_eq!(read(&rfc3339(ms)), Some(ms));
        }
        assert_eq!(readable(951_827_696_789), "2000-02-29 12:34:56 UTC");
        assert!(rfc3339_seconds(u64::MAX).starts_with("+262142-12-31"));
    }

    #[test]
    fn days_zones_and_numbers_are_read_and_nothing_else() {
        let noon = read("2026-01-31T12:00:00Z");
        assert!(noon.is_some());
        assert_eq!(read("2026-01-31T13:30:00+01:30"), noon);
        assert_eq!(read("2026-01-31 04:00:00.0-08:00"), noon);
        assert_eq!(read(&noon.unwrap_or_default().to_string()), noon);
        assert_eq!(read("2026-01-31").map(|ms| ms + DAY_MS / 2), noon);
        assert_eq!(read("0001-01-01T00:00:00Z"), Some(0));
        for wrong in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-13-01",
            "2025-02-29",
            "2026-01-31T12:00:00",
            "2026-01-31T25:00:00Z",
            "2026-1-31",
            "2026-01-31T12:00:00+1:00",
            "-5",
            "2026-01-31T12:00Z",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
