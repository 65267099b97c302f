//! Parses a date and a time of day from text.
//!
//! The forms:
//! - dates: `2024-02-01`, `2024/02/01`, `2024.02.01`, `2024:02:01`, `20240201`, `01.02.2024` (day first),
//!   `1-Feb-2024`, `Feb 1, 2024`, and `01/02/2024` or `01-02-2024`, whose order [`DayOrder`] decides;
//! - then a `T`, an underscore, a comma or blanks;
//! - times: `10:00`, `10:00:00`, `1000`, `100000`, with a fraction after a point or comma, with AM or PM;
//! - zones: `Z`, `UTC`, `GMT`, `+01`, `+0100`, `+01:00`, `UTC+1`.
//!
//! `24:00:00` is midnight of the next day. A leap second counts as the last nanosecond of the second before it.

const NS_PER_S: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * NS_PER_S;
const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
const WEEKDAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) struct Civil {
    date: Date,
    /// From 0 to 24 hours, both included.
    ns_of_day: i64,
    /// The seconds east of Greenwich, if the text has a zone.
    pub offset_s: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Date {
    Known {
        year: i64,
        month: u32,
        day: u32,
    },
    /// The day and the month, in an order that the text does not say.
    Numbers {
        first: u32,
        second: u32,
        year: i64,
    },
}

/// The order of numbers in a date such as `01/02/2024`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) enum DayOrder {
    DayFirst,
    MonthFirst,
}

/// The reason why a text is not a date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::formats) enum Fault {
    /// It is a time of day without a date.
    NoDate,
    /// It is a date without a time of day.
    NoTime,
    /// It has another form, or a number is out of range.
    Other,
}

impl Civil {
    /// Returns whether the order of day and month matters and is not known from the values.
    pub(in crate::formats) fn is_ambiguous(&self) -> bool {
        matches!(self.date, Date::Numbers { first, second, .. } if first <= 12 && second <= 12 && first != second)
    }

    /// Returns the order of day and month, if the values decide it.
    pub(in crate::formats) fn order(&self) -> Option<DayOrder> {
        match self.date {
            Date::Numbers { first: 13.., .. } => Some(DayOrder::DayFirst),
            Date::Numbers { second: 13.., .. } => Some(DayOrder::MonthFirst),
            _ => None,
        }
    }

    /// Returns the nanoseconds since 1970-01-01T00:00:00, without regard to zones. Returns `None` if the date
    /// does not exist, or if its order is not known.
    pub(in crate::formats) fn local_ns(&self, order: Option<DayOrder>) -> Option<i128> {
        let (year, month, day) = match self.date {
            Date::Known { year, month, day } => (year, month, day),
            Date::Numbers { first, second, year } => {
                match order.or_else(|| self.order()) {
                    Some(DayOrder::DayFirst) => (year, second, first),
                    Some(DayOrder::MonthFirst) => (year, first, second),
                    // Both orders are the same date.
                    None if first == second => (year, first, second),
                    None => return None,
                }
            }
        };
        let days = days_since_1970(year, month, day)?;
        Some(i128::from(days) * i128::from(DAY_NS) + i128::from(self.ns_of_day))
    }
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar, if it exists.
fn days_since_1970(year: i64, month: u32, day: u32) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    // The year starts in March, so that the leap day is its last one.
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// Parses a date and time.
pub(in crate::formats) fn parse(text: &[u8]) -> Result<Civil, Fault> {
    match common(text) {
        Some(civil) => Ok(civil),
        None => parse_any(text),
    }
}

/// Parses the most common form, such as `2024-02-01T10:00:00Z`, also with a fraction, and a blank instead of the
/// T. Returns `None` for other text.
fn common(text: &[u8]) -> Option<Civil> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let pair = |at: usize| {
        let (high, low) = (fixed[at].wrapping_sub(b'0'), fixed[at + 1].wrapping_sub(b'0'));
        (high < 10 && low < 10).then(|| 10 * u32::from(high) + u32::from(low))
    };
    let marks = [fixed[4], fixed[7], fixed[13], fixed[16]];
    if marks != *b"--::" || !matches!(fixed[10], b'T' | b' ') {
        return None;
    }
    let year = i64::from(100 * pair(0)? + pair(2)?);
    let date = Date::Known { year, month: pair(5)?, day: pair(8)? };
    let (nanos, rest) = match rest {
        [b'.', digits @ ..] => {
            let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            let (digits, rest) = digits.split_at(length);
            let value = digits.iter().fold(0, |value, digit| 10 * value + u32::from(digit - b'0'));
            (value * 10_u32.pow(9 - length as u32), rest)
        }
        rest => (0, rest),
    };
    let offset_s = match rest {
        b"" => None,
        b"Z" => Some(0),
        _ => return None,
    };
    let ns_of_day = ns_of_day(pair(11)?, pair(14)?, pair(17)?, nanos)?;
    Some(Civil { date, ns_of_day, offset_s })
}

/// Parses a date and time in any form.
fn parse_any(text: &[u8]) -> Result<Civil, Fault> {
    let mut cursor = Cursor(text.trim_ascii());
    if cursor.is_time_of_day() {
        return Err(Fault::NoDate);
    }
    let (date, compact_time) = cursor.date().ok_or(Fault::Other)?;
    if let Some(ns_of_day) = compact_time {
        let offset_s = cursor.zone().ok_or(Fault::Other)?;
        return Ok(Civil { date, ns_of_day, offset_s });
    }
    if cursor.0.is_empty() {
        return Err(Fault::NoTime);
    }
    if !cursor.separator() {
        return Err(Fault::Other);
    }
    let ns_of_day = cursor.time_of_day().ok_or(Fault::Other)?;
    let offset_s = cursor.zone().ok_or(Fault::Other)?;
    Ok(Civil { date, ns_of_day, offset_s })
}

/// The rest of a text. Each method reads a part of it.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn take_if(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| bytes.contains(byte))?;
        self.skip(1);
        Some(byte)
    }

    fn digits_length(&self) -> usize {
        self.0.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Reads a number of one to two digits.
    fn short(&mut self) -> Option<u32> {
        match self.digits_length() {
            length @ (1 | 2) => Some(self.fixed(length)),
            _ => None,
        }
    }

    /// Reads this number of digits, which are present.
    fn fixed(&mut self, length: usize) -> u32 {
        let digits = &self.0[..length];
        self.skip(length);
        digits.iter().fold(0, |value, digit| 10 * value + u32::from(digit - b'0'))
    }

    fn year(&mut self) -> Option<i64> {
        (self.digits_length() == 4).then(|| i64::from(self.fixed(4)))
    }

    /// Reads letters. Returns their first three in lower case.
    fn word(&mut self) -> Option<[u8; 3]> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let start = self.0.get(..3).filter(|_| length >= 3)?;
        let word = [start[0], start[1], start[2]].map(|byte| byte.to_ascii_lowercase());
        self.skip(length);
        Some(word)
    }

    fn month_name(&mut self) -> Option<u32> {
        let word = self.word()?;
        let at = MONTHS.iter().position(|month| **month == word)?;
        u32::try_from(at + 1).ok()
    }

    fn is_time_of_day(&self) -> bool {
        let length = self.digits_length();
        matches!(length, 1 | 2) && self.0.get(length) == Some(&b':')
    }

    /// Reads a date, and the time of day if it follows without a separator.
    fn date(&mut self) -> Option<(Date, Option<i64>)> {
        if self.peek()?.is_ascii_alphabetic() {
            let word = self.word()?;
            if WEEKDAYS.iter().any(|day| **day == word) {
                self.take_if(b",.");
                self.skip_blanks();
                if !self.peek()?.is_ascii_alphabetic() {
                    return self.numeric_date();
                }
            } else {
                let month = MONTHS.iter().position(|month| **month == word)?;
                return self.named_date(u32::try_from(month + 1).ok()?);
            }
            let month = self.month_name()?;
            return self.named_date(month);
        }
        self.numeric_date()
    }

    /// Reads the rest of a date that starts with the name of a month.
    fn named_date(&mut self, month: u32) -> Option<(Date, Option<i64>)> {
        self.take_if(b".");
        self.skip_blanks();
        let day = self.short()?;
        self.take_if(b",");
        self.skip_blanks();
        let year = self.year()?;
        Some((Date::Known { year, month, day }, None))
    }

    fn numeric_date(&mut self) -> Option<(Date, Option<i64>)> {
        match self.digits_length() {
            length @ (8 | 14) => {
                let (year, month, day) = (i64::from(self.fixed(4)), self.fixed(2), self.fixed(2));
                let date = Date::Known { year, month, day };
                let time = match length {
                    14 => Some(ns_of_day(self.fixed(2), self.fixed(2), self.fixed(2), 0)?),
                    _ => None,
                };
                Some((date, time))
            }
            4 => {
                let year = self.year()?;
                let separator = self.take_if(b"-/.:")?;
                let month = self.month()?;
                self.take_if(&[separator])?;
                let day = self.short()?;
                Some((Date::Known { year, month, day }, None))
            }
            1 | 2 => self.day_or_month_first(),
            _ => None,
        }
    }

    fn month(&mut self) -> Option<u32> {
        if self.peek()?.is_ascii_digit() { self.short() } else { self.month_name() }
    }

    fn day_or_month_first(&mut self) -> Option<(Date, Option<i64>)> {
        let first = self.short()?;
        let separator = self.take_if(b"/.- ")?;
        self.skip_blanks();
        let has_name = !self.peek()?.is_ascii_digit();
        if separator == b' ' && !has_name {
            return None;
        }
        let second = self.month()?;
        match separator {
            b' ' => {
                self.take_if(b".,");
                self.skip_blanks();
            }
            _ => {
                self.take_if(&[separator])?;
                self.skip_blanks();
            }
        }
        let year = self.year()?;
        let date = match separator {
            b'/' | b'-' if !has_name => Date::Numbers { first, second, year },
            _ => Date::Known { year, month: second, day: first },
        };
        Some((date, None))
    }

    /// Reads what separates a date and a time of day.
    fn separator(&mut self) -> bool {
        let before = self.0.len();
        self.take_if(b",");
        self.skip_blanks();
        if self.0.len() == before {
            self.take_if(b"Tt_");
        }
        self.0.len() < before
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let (hour, minute, second);
        match self.digits_length() {
            4 => (hour, minute, second) = (self.fixed(2), self.fixed(2), 0),
            6 => (hour, minute, second) = (self.fixed(2), self.fixed(2), self.fixed(2)),
            1 | 2 => {
                hour = self.short()?;
                self.take_if(b":")?;
                minute = self.two()?;
                second = if self.take_if(b":").is_some() { self.two()? } else { 0 };
            }
            _ => return None,
        }
        let nanos = self.fraction()?;
        let before_zone = self.0;
        self.skip_blanks();
        let half = match self.0 {
            [b'a' | b'A', b'm' | b'M', ..] => Some(0),
            [b'p' | b'P', b'm' | b'M', ..] => Some(12),
            _ => None,
        };
        let Some(half) = half else {
            self.0 = before_zone;
            return ns_of_day(hour, minute, second, nanos);
        };
        self.skip(2);
        if !(1..=12).contains(&hour) {
            return None;
        }
        ns_of_day(hour % 12 + half, minute, second, nanos)
    }

    fn two(&mut self) -> Option<u32> {
        (self.digits_length() == 2).then(|| self.fixed(2))
    }

    /// Reads the fraction of a second. Returns nanoseconds; further digits are ignored.
    fn fraction(&mut self) -> Option<u32> {
        if self.take_if(b".,").is_none() {
            return Some(0);
        }
        let length = self.digits_length();
        if length == 0 {
            return None;
        }
        let digits = &self.0[..length];
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        self.skip(length);
        Some(padded.fold(0, |value, digit| 10 * value + u32::from(digit - b'0')))
    }

    /// Reads a zone and the end of the text. Returns the offset, if there is one.
    fn zone(&mut self) -> Option<Option<i32>> {
        self.skip_blanks();
        let has_name = match self.0 {
            [b'Z' | b'z', ..] => {
                self.skip(1);
                true
            }
            [a, b, c, ..]
                if [*a, *b, *c].eq_ignore_ascii_case(b"utc")
                    || [*a, *b, *c].eq_ignore_ascii_case(b"gmt") =>
            {
                self.skip(3);
                true
            }
            _ => false,
        };
        if self.0.is_empty() {
            return Some(has_name.then_some(0));
        }
        let sign = match self.take_if(b"+-")? {
            b'-' => -1,
            _ => 1,
        };
        let (hours, minutes) = match self.digits_length() {
            4 => (self.fixed(2), self.fixed(2)),
            2 => {
                let hours = self.fixed(2);
                (hours, if self.take_if(b":").is_some() { self.two()? } else { 0 })
            }
            1 if has_name => (self.fixed(1), 0),
            _ => return None,
        };
        if hours > 23 || minutes > 59 || !self.0.is_empty() {
            return None;
        }
        let seconds = i32::try_from(3600 * hours + 60 * minutes).ok()?;
        Some(Some(sign * seconds))
    }
}

/// Returns the nanoseconds since midnight, if the time of day exists.
fn ns_of_day(hour: u32, minute: u32, second: u32, nanos: u32) -> Option<i64> {
    let is_midnight = hour == 24 && (minute, second, nanos) == (0, 0, 0);
    if !(hour < 24 && minute < 60 && second <= 60 || is_midnight) {
        return None;
    }
    let (second, nanos) = if second == 60 { (59, 999_999_999) } else { (second, nanos) };
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(seconds * NS_PER_S + i64::from(nanos))
}

#[cfg(test)]
mod tests;
