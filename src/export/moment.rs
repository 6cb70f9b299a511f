//! Moments as people write them: RFC 3339 in UTC. Pure.

const DAY_MS: u64 = 86_400_000;

/// Milliseconds since 1970, UTC, as `2026-01-31T12:00:00.250Z`.
pub fn written(ms: u64) -> String {
    let (days, rest) = (ms / DAY_MS, ms % DAY_MS);
    let (year, month, day) = date(days);
    let seconds = rest / 1_000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        rest % 1_000
    )
}

/// The milliseconds of a day (`2026-01-31`, from its first moment), of RFC 3339, or of a plain number of
/// milliseconds; none of anything else. What was before 1970 is 1970.
pub fn read(text: &str) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let days = days(text.get(..10)?)?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return days.checked_mul(DAY_MS);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let at = (days * DAY_MS).checked_add(time_of_day(time)?)?;
    let (is_ahead, shift) = offset(zone)?;
    Some(if is_ahead {
        at.saturating_sub(shift)
    } else {
        at.saturating_add(shift)
    })
}

/// Year, month and day of a count of days since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from the first of March of the year 0, so that the leap day is the last one of a year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

/// Days since 1970 of `YYYY-MM-DD`; none before it.
fn days(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let is_month = (1..=12).contains(&month);
    if parts.next().is_some() || !is_month || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    let (shifted, from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year.saturating_sub(1), month + 9)
    };
    let leaps = shifted / 4 - shifted / 100 + shifted / 400;
    let days = shifted * 365 + leaps + (from_march * 153 + 2) / 5 + day - 1;
    Some(days.saturating_sub(719_468))
}

fn month_days(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn time_of_day(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let (hour, minute, second) = (
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let is_digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 || !is_digits {
        return None;
    }
    let thousandths: String = fraction.chars().chain("00".chars()).take(3).collect();
    let thousandths: u64 = thousandths.parse().ok()?;
    Some((hour * 3_600 + minute * 60 + second) * 1_000 + thousandths)
}

/// Whether the zone is ahead of UTC, and by how many milliseconds it is off.
fn offset(zone: &str) -> Option<(bool, u64)> {
    if zone.eq_ignore_ascii_case("z") {
        return Some((true, 0));
    }
    let is_ahead = zone.starts_with('+');
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let is_zone = hours < 24 && minutes < 60;
    is_zone.then_some((is_ahead, (hours * 60 + minutes) * 60_000))
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!((written(ms), read(text)), (text.to_owned(), Some(ms)));
        }
        for ms in (0..4_200_000_000_000).step_by(86_399_999_123) {
            assert_eq!(read(&written(ms)), Some(ms));
        }
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
