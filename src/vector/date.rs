//! Moments as documents write them, in seconds. Pure.

use chrono::NaiveDate;
use serde_json::Value;

const DAY_SECONDS: i64 = 86_400;

/// A moment that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// Whether only a day was written; then it is the day's first second.
    pub is_day: bool,
}

impl Moment {
    /// The moment of a text: `2024-05-31`, or RFC 3339 (`2024-05-31T08:00:00Z`), whose seconds and zone
    /// may be missing and whose `T` may be a space; without a zone it is UTC.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let day = text.get(..10)?;
        let seconds = days(day)? * DAY_SECONDS;
        let rest = text.get(10..)?;
        if rest.is_empty() {
            let is_day = true;
            return Some(Self { seconds, is_day });
        }
        let time = rest.strip_prefix(['T', 't', ' '])?;
        let zone_at = time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len());
        let (time, zone) = time.split_at(zone_at);
        Some(Self {
            seconds: seconds + time_of_day(time)? - offset(zone.trim())?,
            is_day: false,
        })
    }

    /// The last second that the text covers: a day's is its last one.
    pub fn end(self) -> i64 {
        self.seconds + if self.is_day { DAY_SECONDS - 1 } else { 0 }
    }
}

/// The moment of a metadata value: a text as [`Moment::of`] reads it, or a number of milliseconds since
/// 1970, as MongoDB's dates may come.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => Moment::of(text).map(|moment| moment.seconds),
        Value::Number(number) => number.as_i64().map(|milliseconds| milliseconds / 1000),
        _ => None,
    }
}

/// Days since 1970, the default date, of `YYYY-MM-DD`, in the calendar of today carried back.
fn days(day: &str) -> Option<i64> {
    let mut parts = day.split('-');
    let [year, month, day] = [parts.next()?, parts.next()?, parts.next()?];
    let lengths = [year.len(), month.len(), day.len()];
    if parts.next().is_some() || lengths != [4, 2, 2] {
        return None;
    }
    let (month, day) = (number(month)?, number(day)?);
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(year)?).ok()?,
        u32::try_from(month).ok()?,
        u32::try_from(day).ok()?,
    )?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// Seconds of `HH:MM`, `HH:MM:SS` or that with a fraction.
fn time_of_day(time: &str) -> Option<i64> {
    let mut parts = time.split(':');
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let seconds = match parts.next() {
        Some(text) => number(text.split('.').next()?)?,
        None => 0,
    };
    let is_time = hours < 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    is_time.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Seconds of `Z`, `+02:00` or `+0200`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None | Some('Z' | 'z') => return (zone.len() <= 1).then_some(0),
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let digits = zone.get(1..)?.replace(':', "");
    let (hours, minutes) = (digits.get(..2)?, digits.get(2..)?);
    let minutes = if minutes.is_empty() {
        0
    } else {
        number(minutes)?
    };
    Some(sign * (number(hours)? * 3600 + minutes * 60))
}

/// Digits alone.
fn number(text: &str) -> Option<i64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<i64> {
        Moment::of(text).map(|moment| moment.seconds)
    }

    /// From `date -u -d … +%s`.
    #[test]
    fn moments_are_read_in_every_form_that_documents_have() {
        assert_eq!(of("1970-01-01"), Some(0));
        assert_eq!(of("2024-02-29"), Some(1_709_164_800));
        assert_eq!(of("1969-12-31T23:59:59Z"), Some(-1));
        assert_eq!(of("2024-05-31T08:00:01.250+02:00"), Some(1_717_135_201));
        assert_eq!(of("2024-05-31 06:00:01"), Some(1_717_135_201));
        assert_eq!(of("2024-05-31T01:00:01-0500"), Some(1_717_135_201));
        assert_eq!(of("2024-05-31T06:00 UTC"), None);
        assert_eq!(
            seconds(&Value::from(1_717_135_201_999_i64)),
            Some(1_717_135_201)
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2024",
            "2023-02-29",
            "2024-13-01",
            "yesterday",
            "2024-05-31T",
            "31.05.2024",
            "2024-05-31T25:00",
            "2024-05-31T08:00+x",
            "äöüäöüäöü",
            "+024-05-31",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_ends_with_its_last_second() {
        let ends = |text| Moment::of(text).map(Moment::end);
        assert_eq!(ends("1970-01-01"), Some(86_399));
        assert_eq!(ends("1970-01-01T00:00:00Z"), Some(0));
    }
}
