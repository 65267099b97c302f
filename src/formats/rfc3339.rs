//! Parses the usual form of a time in RFC 3339 quickly: `2024-05-18T09:12:40Z`, also with a fraction.

/// The seconds of a day.
const DAY_S: i64 = 86_400;

/// Returns the nanoseconds since 1970-01-01T00:00:00Z, or `None` for any other text.
///
/// It accepts only valid times of the years 1700 to 2199 without a leap second. A general parser gives the
/// same result for them.
pub(super) fn utc_unix_ns(text: &[u8]) -> Option<i64> {
    let (text, fraction) = text.split_at_checked("2024-05-18T09:12:40".len())?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] =
        text
    else {
        return None;
    };
    let pair = |tens: u8, ones: u8| Some(10 * digit(tens)? + digit(ones)?);
    let year = 100 * pair(y0, y1)? + pair(y2, y3)?;
    let (month, day) = (pair(m0, m1)?, pair(d0, d1)?);
    let (hour, minute, second) = (pair(h0, h1)?, pair(n0, n1)?, pair(s0, s1)?);
    let is_valid = (1700..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_valid {
        return None;
    }
    let unix_s = days_since_1970(year, month, day) * DAY_S + 3600 * hour + 60 * minute + second;
    Some(unix_s * 1_000_000_000 + fraction_ns(fraction)?)
}

/// Parses the rest after the seconds: a fraction of at most nine digits and `Z`.
fn fraction_ns(text: &[u8]) -> Option<i64> {
    match text {
        [b'Z'] => Some(0),
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => {
            let mut ns = 0;
            for &byte in digits {
                ns = 10 * ns + digit(byte)?;
            }
            Some(ns * 10_i64.pow(9 - digits.len() as u32))
        }
        _ => None,
    }
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar. The year is positive.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // In years that start in March, the leap day is the last day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    const DAYS_TO_1970: i64 = 719_468;
    365 * year + leap_days + day_of_year - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::value::unix_ns;
    use super::*;

    /// `unix_ns` uses the time crate.
    fn slow(text: &str) -> Option<i64> {
        unix_ns(text.as_bytes(), None).unwrap_or(None)
    }

    #[test]
    fn every_day_of_the_supported_years_is_right() {
        let mut expected = slow("1700-01-01T12:34:56.5Z").unwrap();
        for year in 1700..2200 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    let text = format!("{year}-{month:02}-{day:02}T12:34:56.5Z");
                    assert_eq!(utc_unix_ns(text.as_bytes()), Some(expected), "{text}");
                    expected += DAY_S * 1_000_000_000;
                }
            }
        }
        assert_eq!(slow("2200-01-01T12:34:56.5Z"), Some(expected));
    }

    #[test]
    fn other_texts_are_not_parsed() {
        for text in [
            "",
            "2024-05-18",
            "2024-05-18T09:12:40",
            "2024-05-18 09:12:40Z",
            "2024-05-18T09:12:40z",
            "2024-05-18T09:12:40+02:00",
            "2024-05-18T09:12:40.Z",
            "2024-05-18T09:12:40.1234567890Z",
            "2024-05-18T09:12:60Z",
            "2024-05-18T24:00:00Z",
            "2023-02-29T09:12:40Z",
            "1900-02-29T09:12:40Z",
            "2024-00-18T09:12:40Z",
            "2024-13-18T09:12:40Z",
            "2024-05-00T09:12:40Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2024-05-18T09:12:4\u{0661}Z",
        ] {
            assert_eq!(utc_unix_ns(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_time_crate_gives_the_same_result(
            text in "(1[6-9]|2[0-3])[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z",
        ) {
            if let Some(unix_ns) = utc_unix_ns(text.as_bytes()) {
                prop_assert_eq!(Some(unix_ns), slow(&text));
            }
        }
    }
}
