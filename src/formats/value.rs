//! Parses the values of a fix from text: coordinates, optional numbers and times. Also shortens text for
//! messages.

use super::decimal::parse_f64;
use super::time::civil::{self, Fault};
use crate::measure;

/// Returns a part of a file for a message: quoted, on one line, without control characters, at most 40
/// characters.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 40;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARS_MAX)]);
    let mut chars = text.chars();
    let short: String = chars.by_ref().take(CHARS_MAX).collect();
    let dots = if chars.next().is_some() { "…" } else { "" };
    // In double quotes, an apostrophe is clear.
    let shown = short.escape_debug().to_string().replace("\\'", "'");
    format!("\"{shown}{dots}\"")
}

/// Returns the longest prefix of a text that has at most `bytes_max` bytes.
pub(super) fn truncate(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Parses a coordinate.
///
/// # Errors
/// A message that says what is wrong and, where possible, how to correct it.
pub(super) fn coordinate(name: &str, bytes: &[u8]) -> Result<f64, String> {
    let bytes = bytes.trim_ascii();
    if let Some(value) = parse_f64(bytes) {
        return Ok(value);
    }
    if bytes.is_empty() {
        return Err(format!("the {name} is blank"));
    }
    let found = excerpt(bytes);
    let text = std::str::from_utf8(bytes).unwrap_or("");
    if text.matches(',').count() == 1 && text.replacen(',', ".", 1).parse::<f64>().is_ok() {
        return Err(format!("the {name} {found} has a decimal comma; write a decimal point"));
    }
    Err(format!("the {name} {found} is not a number"))
}

/// The unit of a number that is a time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUnit {
    S,
    Ms,
    Us,
    Ns,
}

impl TimeUnit {
    /// Returns the length of the unit in nanoseconds.
    fn ns(self) -> i64 {
        match self {
            TimeUnit::S => 1_000_000_000,
            TimeUnit::Ms => 1_000_000,
            TimeUnit::Us => 1_000,
            TimeUnit::Ns => 1,
        }
    }

    /// Returns the unit in which present-day times have numbers of this size. As seconds, a larger number is
    /// after the year 5000. As milliseconds, a smaller one is before 1974.
    fn guess(value: f64) -> Self {
        match value.abs() {
            ..1e11 => TimeUnit::S,
            ..1e14 => TimeUnit::Ms,
            ..1e17 => TimeUnit::Us,
            _ => TimeUnit::Ns,
        }
    }
}

/// Parses a number that may be missing.
///
/// # Errors
/// As [`coordinate`].
pub(super) fn number(name: &str, bytes: &[u8]) -> Result<Option<f64>, String> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() { Ok(None) } else { coordinate(name, bytes).map(Some) }
}

/// Parses a time that may be missing. Returns nanoseconds since 1970-01-01T00:00:00Z.
///
/// Accepts the dates and times of [`civil`], in UTC if they have no zone, and a number since 1970 in `unit`;
/// without a unit its size decides between seconds, milliseconds, microseconds and nanoseconds. A number with a
/// fraction is rounded to the microsecond.
///
/// Programs that do not know the time write the first or the last day of their calendar, 0001-01-01 or
/// 9999-12-31. These count as missing.
///
/// # Errors
/// A message, if the text is not a time or the time is outside the range of a fix.
pub(super) fn unix_ns(bytes: &[u8], unit: Option<TimeUnit>) -> Result<Option<i64>, String> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() {
        return Ok(None);
    }
    if let Some(number) = number_unix_ns(bytes, unit) {
        return number;
    }
    let civil = civil::parse(bytes).map_err(|fault| not_a_time(bytes, fault))?;
    let local_ns = civil.local_ns(None).ok_or_else(|| not_a_time(bytes, Fault::Other))?;
    let offset_s = i128::from(civil.offset_s.unwrap_or(0));
    checked_unix_ns(local_ns - offset_s * i128::from(TimeUnit::S.ns()))
}

/// Parses a time that is a number. Returns `None` for other text, and for a date and time of 14 digits.
pub(super) fn number_unix_ns(
    bytes: &[u8],
    unit: Option<TimeUnit>,
) -> Option<Result<Option<i64>, String>> {
    if matches!(bytes, [_, _, _, _, b'-', _, _, b'-', ..]) {
        return None;
    }
    // As milliseconds, a number of 14 digits from 19000101000000 on is after the year 2500.
    let is_date = bytes.len() == 14 && matches!(bytes[0], b'1' | b'2');
    if is_date && unit.is_none() && bytes.iter().all(u8::is_ascii_digit) && bytes >= &b"19"[..] {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(whole) = text.parse::<i64>() {
        let unit = unit.unwrap_or_else(|| TimeUnit::guess(whole as f64));
        return Some(checked_unix_ns(i128::from(whole) * i128::from(unit.ns())));
    }
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
    let unit = unit.unwrap_or_else(|| TimeUnit::guess(value));
    if let Some(unix_ns) = decimal_ns(text, unit) {
        return Some(checked_unix_ns(unix_ns));
    }
    // A number with an exponent.
    let us = (value * (unit.ns() as f64 / 1e3)).round();
    // The conversion saturates: a value that is out of range remains so.
    Some(checked_unix_ns(i128::from(us as i64) * i128::from(TimeUnit::Us.ns())))
}

/// Returns a decimal number of `unit` in nanoseconds, rounded to the nearest one. Returns `None` for a number with an
/// exponent or with more than 18 digits before the point.
fn decimal_ns(text: &str, unit: TimeUnit) -> Option<i128> {
    /// The digits after the point of a unit of 10^-18.
    const PLACES: usize = 18;
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > PLACES || !is_decimal(whole) || !is_decimal(fraction) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(PLACES)];
    let places = u32::try_from(kept.len()).ok()?;
    let scale = 10_i128.pow(places);
    // Both have at most 18 digits, and a unit has at most 10^9 ns.
    let number = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<i128>().ok() };
    let ns_per_unit = i128::from(unit.ns());
    let fraction_ns = (number(kept)? * ns_per_unit * 2 + scale) / (2 * scale);
    let ns = number(whole)? * ns_per_unit + fraction_ns;
    Some(if is_negative { -ns } else { ns })
}

/// Returns the message for a text that is not a time.
pub(super) fn not_a_time(bytes: &[u8], fault: Fault) -> String {
    let found = excerpt(bytes);
    match fault {
        Fault::NoDate => format!("the time {found} has no date"),
        Fault::NoTime => format!("the date {found} has no time of day"),
        Fault::Other => format!(
            "the time {found} is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"
        ),
    }
}

/// Checks the range of a time in nanoseconds since 1970. Returns `None` for a time that stands for a missing
/// one.
///
/// # Errors
/// A message, if the time is outside the range of a fix.
pub(super) fn checked_unix_ns(unix_ns: i128) -> Result<Option<i64>, String> {
    // 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, each in any time zone.
    const CALENDAR_ENDS_S: [i64; 2] = [-62_135_596_800, 253_402_300_799];
    const DAY_S: u64 = 86_400;
    if let Ok(unix_ns) = i64::try_from(unix_ns) {
        // The ends of the calendar do not fit.
        let (unix_s, nanos) =
            (unix_ns.div_euclid(1_000_000_000), unix_ns.rem_euclid(1_000_000_000));
        return measure::unix_ns(unix_s, nanos as u32).map(Some).map_err(|error| error.to_string());
    }
    let ns_per_s = i128::from(TimeUnit::S.ns());
    let nanos = unix_ns.rem_euclid(ns_per_s) as u32;
    // It fits: the largest input is an `i64` of seconds.
    let unix_s = unix_ns.div_euclid(ns_per_s) as i64;
    if CALENDAR_ENDS_S.iter().any(|end| end.abs_diff(unix_s) <= DAY_S) {
        return Ok(None);
    }
    measure::unix_ns(unix_s, nanos).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_times_are_exact() {
        let ns = |text: &str, unit| unix_ns(text.as_bytes(), unit).unwrap().unwrap();
        // An f64 of seconds has steps of 238 ns here.
        assert_eq!(ns("1716023560.123456789", None), 1_716_023_560_123_456_789);
        assert_eq!(ns("1716023560123.456789", None), 1_716_023_560_123_456_789);
        assert_eq!(ns("-1.0000000015", Some(TimeUnit::S)), -1_000_000_002);
        assert_eq!(ns("+.5", Some(TimeUnit::S)), 500_000_000);
        assert_eq!(ns("5.", Some(TimeUnit::Ms)), 5_000_000);
        assert_eq!(ns("1.7e9", None), 1_700_000_000_000_000_000);
        assert!(unix_ns(b".", Some(TimeUnit::S)).is_err());
    }

    #[test]
    fn an_excerpt_is_short_and_has_no_control_characters() {
        insta::assert_snapshot!(excerpt(b"46\x1b[31m\n\"x"), @r#""46\u{1b}[31m\n\"x""#);
        assert!(excerpt(&[b'a'; 1 << 20]).len() < 60);
        assert!(excerpt("č".repeat(100).as_bytes()).ends_with("č…\""));
    }

    #[test]
    fn an_invalid_coordinate_is_explained() {
        assert_eq!(coordinate("latitude", b" 46.5\t"), Ok(46.5));
        let message = |text: &str| coordinate("latitude", text.as_bytes()).unwrap_err();
        insta::assert_snapshot!(message(" "), @"the latitude is blank");
        insta::assert_snapshot!(message("46,5"), @r#"the latitude "46,5" has a decimal comma; write a decimal point"#);
        insta::assert_snapshot!(message("46°30'N"), @r#"the latitude "46°30'N" is not a number"#);
    }

    fn time(text: &str) -> Option<i64> {
        unix_ns(text.as_bytes(), None).unwrap()
    }

    #[test]
    fn times_are_parsed_in_every_supported_form() {
        let noon = 1_700_049_600_000_000_000;
        for text in [
            "2023-11-15T12:00:00Z",
            " 2023-11-15 12:00:00 ",
            "2023-11-15T12:00:00.000",
            "2023-11-15t12:00:00z",
            "2023-11-15T13:00:00+01:00",
            "2023-11-15 13:00:00+01",
            "2023-11-15T06:30:00-0530",
            "1700049600",
            "1700049600.0",
            "1700049600000",
            "1700049600000000",
            "1700049600000000000",
        ] {
            assert_eq!(time(text), Some(noon), "{text}");
        }
        assert_eq!(time("2023-11-15T12:00:00.123456789Z"), Some(noon + 123_456_789));
        assert_eq!(time("1700049600.123"), Some(noon + 123_000_000));
        assert_eq!(time("1.5"), Some(1_500_000_000));
        assert_eq!(unix_ns(b"1500", Some(TimeUnit::Ms)), Ok(Some(1_500_000_000)));
        assert_eq!(unix_ns(b"-0.5", Some(TimeUnit::Ms)), Ok(Some(-500_000)));
        // A leap second counts as the last nanosecond of the second before it.
        assert_eq!(time("2016-12-31T23:59:60Z"), Some(1_483_228_799_999_999_999));
    }

    #[test]
    fn blank_values_and_the_ends_of_calendars_are_missing() {
        for text in [
            "",
            "  ",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59.9999999Z",
            "-62135596800",
            "-62135596800000",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(number("elevation", b" "), Ok(None));
        assert_eq!(number("elevation", b" -0.5"), Ok(Some(-0.5)));
    }

    #[test]
    fn text_that_is_not_a_time_is_an_error() {
        for text in [
            "09:12:40",
            "NaN",
            "null",
            "N/A",
            "-",
            "18/05/2024",
            "01/02/2024 10:00",
            "2024-05-18",
            "2024-13-18T09:12:40Z",
            "inf",
            "é",
        ] {
            assert!(unix_ns(text.as_bytes(), None).is_err(), "{text}");
        }
        insta::assert_snapshot!(
            unix_ns(b"18/05/24 9:12", None).unwrap_err(),
            @r#"the time "18/05/24 9:12" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970"#
        );
    }

    #[test]
    fn a_time_out_of_range_is_an_error() {
        let message = |text: &str, unit| unix_ns(text.as_bytes(), unit).unwrap_err();
        let s = Some(TimeUnit::S);
        let error =
            |unix_s: i64| format!("time {unix_s} s since 1970 is not in the years 1678 to 2261");
        // 2262-04-11T23:47:16Z fits 64 bits of nanoseconds but is out of range.
        assert_eq!(message("9223372036", None), error(9_223_372_036));
        assert_eq!(message("9223372036000", None), error(9_223_372_036));
        assert_eq!(message("9223372036.25", None), error(9_223_372_036));
        assert_eq!(message("2262-04-11T23:47:16Z", None), error(9_223_372_036));
        assert_eq!(message("1677-12-31T23:59:59.0001Z", None), error(-9_214_560_001));
        assert_eq!(message("9223372036854775807", s), error(i64::MAX));
        assert_eq!(message("-9223372036854775808", s), error(i64::MIN));
        assert_eq!(message("1e300", s), error(i64::MAX / 1_000_000));
        assert_eq!(message("-9214560000.000001", s), error(-9_214_560_001));
        assert_eq!(time("-9214560000"), Some(-9_214_560_000_000_000_000));
        assert_eq!(time("2261-12-31T23:59:59.999999999Z"), Some(9_214_646_399_999_999_999));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}", date in "2024-05-18[T é+-].{0,12}") {
            let _ = (unix_ns(text.as_bytes(), None), unix_ns(date.as_bytes(), None));
        }
    }
}
