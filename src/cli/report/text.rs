//! Text for a terminal, shared by all reports: grouped numbers, and names without control characters that fit into a
//! column.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, UNIX_EPOCH};

use crate::measure::{Fix, Space};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Formats a number and a noun: `1 track`, `2 tracks`.
pub(in crate::cli) fn pluralize(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(&count.to_string()), if count == 1 { "" } else { "s" })
}

/// Separates the digits before the decimal point into groups of three. A unit may follow the number.
pub(in crate::cli) fn grouped(number: &str) -> String {
    let start = usize::from(number.starts_with('-'));
    let digits = number[start..].find(|char: char| !char.is_ascii_digit());
    let whole = digits.map_or(number.len(), |digits| start + digits);
    let mut text = String::with_capacity(number.len() + number.len() / 3);
    for (at, char) in number.char_indices() {
        if at > start && at < whole && (whole - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(char);
    }
    text
}

/// Formats a time as in RFC 3339. Returns `None` before 1970 and after the year 9999.
pub(in crate::cli) fn utc(unix_ms: i64) -> Option<String> {
    const END_MS: u64 = 253_402_300_800_000;
    let unix_ms = u64::try_from(unix_ms).ok().filter(|&unix_ms| unix_ms < END_MS)?;
    let time = UNIX_EPOCH + Duration::from_millis(unix_ms);
    Some(humantime::format_rfc3339_millis(time).to_string())
}

/// Formats a time in nanoseconds since 1970 as in RFC 3339, with the decimal places that it needs.
pub(in crate::cli) fn rfc3339(unix_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(unix_ns.into())
        .map_or_else(|_| unix_ns.to_string(), |time| time.to_string())
}

/// Formats a time in nanoseconds since 1970 as in RFC 3339, without a fraction of a second.
pub(in crate::cli) fn seconds_utc(unix_ns: i64) -> String {
    rfc3339(unix_ns.saturating_sub(unix_ns.rem_euclid(1_000_000_000)))
}

/// Returns the labels and the values of the last point of a recording: latitude and longitude, or x and y, and its time.
pub(in crate::cli) fn last_point(fix: Fix) -> Vec<(&'static str, String)> {
    let Some(point) = fix.point() else { return Vec::new() };
    let place = match point.space() {
        Space::Geographic => format!("{:.7}, {:.7}", point.y() + 0.0, point.x() + 0.0),
        Space::Planar => format!("{}, {}", point.x(), point.y()),
    };
    let time = fix.unix_ns().map(|unix_ns| ("last point at", seconds_utc(unix_ns)));
    [("last point", place)].into_iter().chain(time).collect()
}

/// Removes the sign of a number that is rounded to zero.
pub(in crate::cli) fn without_negative_zero(number: &str) -> &str {
    match number.strip_prefix('-') {
        Some(digits) if !digits.contains(|char: char| matches!(char, '1'..='9')) => digits,
        _ => number,
    }
}

/// Formats a duration in nanoseconds in at most two units, rounded down: `29d 18h`, `1h 10m`, `31s`.
pub(in crate::cli) fn short_duration(ns: u128) -> String {
    let seconds = ns / 1_000_000_000;
    let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|&(unit_s, _)| unit_s <= seconds).unwrap_or(units.len() - 1);
    let (unit_s, symbol) = units[first];
    let whole = format!("{}{symbol}", seconds / unit_s);
    match units.get(first + 1) {
        Some((next_s, next)) if seconds % unit_s >= *next_s => {
            format!("{whole} {}{next}", seconds % unit_s / next_s)
        }
        _ => whole,
    }
}

/// Formats a duration in nanoseconds. Receivers record times in milliseconds, so that smaller units are left out of
/// durations of 1 ms and more.
pub(in crate::cli) fn duration(ns: u128) -> String {
    if let Ok(ns @ 1..1_000_000) = u64::try_from(ns) {
        return humantime::format_duration(Duration::from_nanos(ns)).to_string();
    }
    let ms = u64::try_from(ns / 1_000_000).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// Replaces characters that could move the cursor or hide text by escapes.
pub(in crate::cli) fn escape_control(name: &str) -> Cow<'_, str> {
    let is_control = |char: char| {
        char.is_control()
            // Marks and overrides of the text direction, line and paragraph separators.
            || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !name.contains(is_control) {
        return Cow::Borrowed(name);
    }
    let mut text = String::new();
    for char in name.chars() {
        match is_control(char) {
            true => text.extend(char.escape_default()),
            false => text.push(char),
        }
    }
    Cow::Owned(text)
}

/// The part of a name that is kept when it is truncated.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Keep {
    /// The start, for names of tracks.
    Start,
    /// The end, for paths of files.
    End,
}

/// How names that are wider than their column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Names {
    /// Truncated, so that a row fits on a terminal of 80 columns.
    #[default]
    Truncated,
    /// Whole, for programs that read the table.
    Whole,
}

impl Names {
    /// Returns how names are written on a stream: whole, except on a terminal.
    pub(in crate::cli) fn on(stream: &impl IsTerminal) -> Self {
        if stream.is_terminal() { Self::Truncated } else { Self::Whole }
    }

    /// Escapes a name and pads it to `width` columns. Truncates a wider one if names are truncated.
    pub(in crate::cli) fn fit(self, name: &str, width: usize, keep: Keep) -> String {
        let name = escape_control(name);
        match self {
            Self::Whole if name.width() > width => name.into_owned(),
            _ => pad_or_truncate(&name, width, keep),
        }
    }
}

/// Escapes a name, and pads or truncates it to `width` columns of a terminal.
pub(in crate::cli) fn pad_or_truncate(name: &str, width: usize, keep: Keep) -> String {
    let name = escape_control(name);
    if name.width() <= width {
        let missing = width - name.width();
        return format!("{name}{:missing$}", "");
    }
    let mut taken = 1; // The ellipsis.
    let fits = |char: &char| {
        taken += char.width().unwrap_or_default();
        taken <= width
    };
    let text = match keep {
        Keep::Start => name.chars().take_while(fits).chain(['…']).collect::<String>(),
        Keep::End => {
            let mut chars: Vec<char> = name.chars().rev().take_while(fits).chain(['…']).collect();
            chars.reverse();
            chars.into_iter().collect()
        }
    };
    let missing = width.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped("0"), "0");
        assert_eq!(grouped("999.123456"), "999.123456");
        assert_eq!(grouped("2700.918"), "2 700.918");
        assert_eq!(grouped("1234567"), "1 234 567");
        assert_eq!(grouped("8012 m"), "8 012 m");
        assert_eq!(grouped("-123.456 m"), "-123.456 m");
        assert_eq!(grouped("-1234.5678"), "-1 234.5678");
        assert_eq!(grouped("inf"), "inf");
        assert_eq!(grouped(""), "");
    }

    #[test]
    fn a_number_that_is_rounded_to_zero_has_no_sign() {
        for (number, expected) in [
            ("-0.000 m", "0.000 m"),
            ("-0", "0"),
            ("-0.001 m", "-0.001 m"),
            ("-10.000", "-10.000"),
            ("0.000", "0.000"),
        ] {
            assert_eq!(without_negative_zero(number), expected);
        }
    }

    #[test]
    fn times_and_durations_are_cut_to_whole_seconds() {
        assert_eq!(seconds_utc(1_700_000_000_999_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(seconds_utc(-1), "1969-12-31T23:59:59Z");
        assert!(seconds_utc(i64::MIN).starts_with("1677-09-21T00:12:4"));
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (2037, "33m 57s"),
            (3600, "1h"),
            (3659, "1h"),
            (4258, "1h 10m"),
            (86_399, "23h 59m"),
            (86_460, "1d"),
            (2_570_486, "29d 18h"),
            (u64::MAX / 1_000_000_000, "213503d 23h"),
        ] {
            let ns = u128::from(seconds) * 1_000_000_000 + 999_999_999;
            assert_eq!(short_duration(ns), expected);
        }
        assert_eq!(duration(1), "1ns");
        assert_eq!(duration(90_000_000_001), "1m 30s");
        assert_eq!(duration(0), "0s");
    }

    #[test]
    fn times_outside_the_calendar_are_not_formatted() {
        assert_eq!(utc(0).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(1_700_000_000_123).unwrap(), "2023-11-14T22:13:20.123Z");
        assert_eq!(utc(253_402_300_799_999).unwrap(), "9999-12-31T23:59:59.999Z");
        assert_eq!([-1, 253_402_300_800_000, i64::MIN, i64::MAX].map(utc), [const { None }; 4]);
    }

    #[test]
    fn names_are_padded_or_truncated_to_their_width_on_a_terminal() {
        assert_eq!(pad_or_truncate("abc", 5, Keep::Start), "abc  ");
        assert_eq!(pad_or_truncate("abcdef", 5, Keep::Start), "abcd…");
        assert_eq!(pad_or_truncate("abcdef", 5, Keep::End), "…cdef");
        assert_eq!(pad_or_truncate("山山山", 5, Keep::Start), "山山…");
        assert_eq!(pad_or_truncate("山山山", 4, Keep::Start), "山… ");
    }

    #[test]
    fn names_are_whole_outside_a_terminal() {
        assert_eq!(Names::Whole.fit("abcdef", 5, Keep::Start), "abcdef");
        assert_eq!(Names::Whole.fit("abc\x1b", 12, Keep::Start), r"abc\u{1b}   ");
        assert_eq!(Names::Truncated.fit("abcdef", 5, Keep::End), "…cdef");
    }

    #[test]
    fn a_name_cannot_control_the_terminal() {
        assert_eq!(escape_control("Črna gora"), "Črna gora");
        assert_eq!(escape_control("\x1b[2J\u{9b}\n\u{202e}"), r"\u{1b}[2J\u{9b}\n\u{202e}");
    }
}
