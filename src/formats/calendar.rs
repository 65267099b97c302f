//! Dates and times of day of receivers that write them separately: NMEA and IGC.

use crate::measure;

pub(super) const S_NS: i64 = 1_000_000_000;
pub(super) const DAY_NS: i64 = 86_400 * S_NS;
/// A time of day that is this much earlier than the one before belongs to the next day.
const ROLL_OVER_NS: i64 = 3_600 * S_NS;

/// Returns the number of a day, counted from 1970-01-01; `None` if there is no such day.
pub(super) fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let month_days = MONTH_DAYS.get(index)? + i64::from(is_leap && month == 2);
    if !(1..=9999).contains(&year) || !(1..=month_days).contains(&day) {
        return None;
    }
    // Years that start in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    const DAYS_BEFORE_1970: i64 = 719_469;
    Some(days_before + day - DAYS_BEFORE_1970)
}

/// Parses a date of six digits, `ddmmyy`. The years are 1980 to 2079, because GPS time starts in 1980.
pub(super) fn day_of_ddmmyy(digits: &[u8]) -> Option<i64> {
    let [d1, d2, m1, m2, y1, y2] = *digits else { return None };
    let year = pair(y1, y2)?;
    day(if year < 80 { 2000 + year } else { 1900 + year }, pair(m1, m2)?, pair(d1, d2)?)
}

/// Parses a time of day, `hhmmss` with any number of decimal places. Returns nanoseconds since midnight.
pub(super) fn ns_of_hhmmss(text: &[u8]) -> Option<i64> {
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    let [h1, h2, m1, m2, s1, s2] = *whole else { return None };
    let (hour, minute, second) = (pair(h1, h2)?, pair(m1, m2)?, pair(s1, s2)?);
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut ns = ((hour * 60 + minute) * 60 + second) * S_NS;
    let mut place_ns = S_NS / 10;
    for digit in fraction.iter().take(9) {
        ns += i64::from(digit - b'0') * place_ns;
        place_ns /= 10;
    }
    Some(ns)
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Adds the date to times of day that are in order, also over midnight.
#[derive(Default)]
pub(super) struct Clock {
    day: Option<i64>,
    last_ns: Option<i64>,
}

impl Clock {
    pub(super) fn has_day(&self) -> bool {
        self.day.is_some()
    }

    /// Sets the day of the next time.
    pub(super) fn set_day(&mut self, day: i64) {
        (self.day, self.last_ns) = (Some(day), None);
    }

    /// Returns the time in nanoseconds since 1970; `None` without a day.
    ///
    /// # Errors
    /// A message if the time is out of range.
    pub(super) fn unix_ns(&mut self, ns_of_day: i64) -> Result<Option<i64>, String> {
        let Some(mut day) = self.day else { return Ok(None) };
        if is_next_day(self.last_ns, ns_of_day) {
            day += 1;
        }
        (self.day, self.last_ns) = (Some(day), Some(ns_of_day));
        unix_ns(day, ns_of_day).map(Some)
    }
}

/// Returns whether a time of day belongs to the day after that of the time before it.
pub(super) fn is_next_day(before_ns: Option<i64>, ns_of_day: i64) -> bool {
    before_ns.is_some_and(|before| ns_of_day < before - ROLL_OVER_NS)
}

/// Returns nanoseconds since 1970.
///
/// # Errors
/// A message if the time is out of range.
pub(super) fn unix_ns(day: i64, ns_of_day: i64) -> Result<i64, String> {
    let unix_s = day.saturating_mul(86_400).saturating_add(ns_of_day.div_euclid(S_NS));
    measure::unix_ns(unix_s, ns_of_day.rem_euclid(S_NS) as u32).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_are_those_of_jiff(year in -1..9_999_i64, month in 0..14_i64, of_month in 0..33_i64) {
            let epoch = Date::constant(1970, 1, 1);
            let expected = Date::new(year as i16, month as i8, of_month as i8)
                .ok()
                .filter(|_| (1..=9999).contains(&year))
                .and_then(|date| date.since((jiff::Unit::Day, epoch)).ok())
                .map(|span| i64::from(span.get_days()));
            prop_assert_eq!(day(year, month, of_month), expected);
        }
    }

    #[test]
    fn two_digit_years_are_after_the_start_of_gps_time() {
        assert_eq!(day_of_ddmmyy(b"060180"), day(1980, 1, 6));
        assert_eq!(day_of_ddmmyy(b"311279"), day(2079, 12, 31));
        for text in ["310299", "000000", "01012", "0101244", "o10124", ""] {
            assert_eq!(day_of_ddmmyy(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_have_any_number_of_decimal_places() {
        let hour = 3_600 * S_NS;
        assert_eq!(ns_of_hhmmss(b"010000"), Some(hour));
        assert_eq!(ns_of_hhmmss(b"010000."), Some(hour));
        assert_eq!(ns_of_hhmmss(b"010000.25"), Some(hour + S_NS / 4));
        assert_eq!(ns_of_hhmmss(b"010000.0000000019"), Some(hour + 1));
        assert_eq!(ns_of_hhmmss(b"235960"), Some(DAY_NS));
        for text in ["", "240000", "016000", "010061", "01000", "0100000", "010000.x", "-10000"] {
            assert_eq!(ns_of_hhmmss(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_that_decreases_is_on_the_next_day() {
        let mut clock = Clock::default();
        assert_eq!(clock.unix_ns(5), Ok(None));
        clock.set_day(10);
        let hour = 3_600 * S_NS;
        assert_eq!(clock.unix_ns(23 * hour), Ok(Some(10 * DAY_NS + 23 * hour)));
        // Half an hour is no new day.
        assert_eq!(
            clock.unix_ns(22 * hour + hour / 2),
            Ok(Some(10 * DAY_NS + 22 * hour + hour / 2))
        );
        assert_eq!(clock.unix_ns(10 * hour), Ok(Some(11 * DAY_NS + 10 * hour)));
        clock.set_day(12);
        assert_eq!(clock.unix_ns(0), Ok(Some(12 * DAY_NS)));
        clock.set_day(i64::MAX);
        assert!(clock.unix_ns(0).is_err());
    }
}
