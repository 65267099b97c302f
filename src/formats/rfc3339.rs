//! Parses the usual form of a time in RFC 3339 quickly: `2024-05-18T09:12:40Z`, also with a fraction.

use super::decimal::{EACH_BYTE, HIGH_BITS};

/// The seconds of a day.
const DAY_S: i64 = 86_400;

/// Returns the nanoseconds since 1970-01-01T00:00:00Z, or `None` for any other text.
///
/// It accepts only valid times of the years 1700 to 2199 without a leap second. A general parser gives the
/// same result for them.
pub(super) fn utc_unix_ns(text: &[u8]) -> Option<i64> {
    let (text, fraction) = text.split_first_chunk()?;
    // The parts overlap.
    let &[y0, y1, y2, y3, c4, m0, m1, c7, d0, d1, c10, ref time @ ..]: &[u8; 19] = text;
    let date = two_digit_numbers([y0, y1, y2, y3, c4, m0, m1, c7], *b"0000-00-")?;
    let day = two_digit_numbers([y3, c4, m0, m1, c7, d0, d1, c10], *b"0-00-00T")?[5];
    let time = two_digit_numbers(*time, *b"00:00:00")?;
    let year = 100 * i64::from(date[0]) + i64::from(date[2]);
    let (month, day) = (i64::from(date[5]), i64::from(day));
    let (hour, minute, second) = (i64::from(time[0]), i64::from(time[3]), i64::from(time[6]));
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

/// Parses text with digits where the form has `0`, and otherwise the same bytes. Each byte of the result is the number
/// of the digit there and the digit after it.
fn two_digit_numbers(text: [u8; 8], form: [u8; 8]) -> Option<[u8; 8]> {
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(form);
    let fixed = form.map(|byte| if byte == b'0' { 0 } else { 0xff });
    let is_other = digits & u64::from_le_bytes(fixed) != 0;
    let is_above_nine = (digits.wrapping_add(EACH_BYTE * 0x76) | digits) & HIGH_BITS != 0;
    (!is_other && !is_above_nine).then(|| (10 * digits + (digits >> 8)).to_le_bytes())
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
