//! The columns of a time, and the text of a time in a row.
//!
//! A time is in one column, in a column of dates and one of times of day, or in columns of years, months, days,
//! hours, minutes and seconds.

use std::borrow::Cow;

use super::super::decimal::parse_f64;
use super::super::value::TimeUnit;
use super::angle;
use super::names::{TIME_UNITS, key, time_unit, unit};
use super::splitter::Row;
use super::synonyms::{DATE_COLUMNS, TIME_COLUMNS};

/// A column of times, or columns that are times together.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct TimeSource {
    pub date: Option<usize>,
    /// The column with the time, the time of day, or the hour.
    pub at: usize,
    pub unit: Option<TimeUnit>,
    /// Whether its name is that of a date.
    pub is_date: bool,
    /// Whether another column has the dates, which this source does not use.
    pub has_other_date: bool,
    /// Whether dates of six digits are day, month and year, as in NMEA sentences.
    pub has_nmea_date: bool,
    pub parts: Option<Parts>,
}

/// The columns of the parts of a time.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Parts {
    year: usize,
    month: usize,
    day: usize,
    /// The minute and the second. `None` if one column has the time of day.
    clock: Option<(usize, Option<usize>)>,
}

impl TimeSource {
    /// Finds the columns that may have times.
    ///
    /// `used` are columns with another meaning, and `chosen` is the column of the options.
    pub(super) fn find(names: &[String], used: &[usize], chosen: Option<usize>) -> Vec<Self> {
        let source = |at: usize| Self::column(at, time_unit(&names[at]));
        let find = |known: &[&str]| -> Vec<usize> {
            let is_usable = |at: usize| {
                !used.contains(&at)
                    && unit(&names[at]).is_none_or(|unit| TIME_UNITS.contains(&&*unit))
            };
            let with_name = |known: &&str| {
                let known = key(known);
                let columns = 0..names.len();
                columns.filter(|at| key(&names[*at]) == known && is_usable(*at)).collect::<Vec<_>>()
            };
            // Names that differ in separators only are equal.
            let mut found: Vec<usize> = Vec::new();
            for at in known.iter().flat_map(with_name) {
                if !found.contains(&at) {
                    found.push(at);
                }
            }
            found
        };
        let times = find(TIME_COLUMNS);
        let parts = Parts::find(names, times.first().copied());
        let parts = parts.filter(|(_, at)| !used.contains(at));
        let mut dates = find(DATE_COLUMNS);
        dates.retain(|at| parts.is_none_or(|(parts, _)| !parts.has_date_in(*at)));
        let parts = parts.map(|(parts, at)| Self { parts: Some(parts), ..Self::column(at, None) });
        let pairs = |at: usize| {
            let date = dates.first().copied().filter(|date| *date != at)?;
            Some(Self::column(at, None).with_date(date, &names[date]))
        };
        let single =
            |at: usize| Self { has_other_date: !dates.is_empty() || parts.is_some(), ..source(at) };
        if let Some(at) = chosen {
            return [pairs(at), Some(single(at))].into_iter().flatten().collect();
        }
        // With a date next to it, a number such as 100000 is a time of day.
        let pairs = times.iter().filter_map(|at| pairs(*at));
        let singles = times.iter().map(|at| single(*at));
        let dates = dates.iter().map(|at| Self { is_date: true, ..source(*at) });
        pairs.chain(singles).chain(parts).chain(dates).collect()
    }

    pub(super) fn column(at: usize, unit: Option<TimeUnit>) -> Self {
        Self {
            date: None,
            at,
            unit,
            is_date: false,
            has_other_date: false,
            has_nmea_date: false,
            parts: None,
        }
    }

    pub(super) fn with_date(self, date: usize, name: &str) -> Self {
        let key = key(name);
        let has_nmea_date = key.contains("gps") || key.contains("utc");
        Self { date: Some(date), has_nmea_date, ..self }
    }

    /// Returns whether the time is in one column.
    pub(super) fn is_single(&self) -> bool {
        self.date.is_none() && self.parts.is_none()
    }

    /// Returns whether the time is in a column.
    pub(super) fn uses(&self, at: usize) -> bool {
        self.at == at
            || self.date == Some(at)
            || self.parts.is_some_and(|parts| parts.has_date_in(at))
    }

    /// Returns the text of the time in a row.
    pub(super) fn text<'a>(&self, row: Row<'a>, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let time = match value(row, self.at) {
            Cow::Borrowed(time) if self.is_single() || time.is_empty() => return time,
            Cow::Owned(time) if self.is_single() || time.is_empty() => {
                *buffer = time;
                return buffer;
            }
            time => time,
        };
        buffer.clear();
        if let Some(parts) = self.parts {
            parts.write_date(row, buffer);
            buffer.push(b' ');
            parts.write_time(row, &time, buffer);
            return buffer;
        }
        let date = self.date.map(|date| value(row, date)).unwrap_or_default();
        match self.nmea_date(row) {
            Some(date) => buffer.extend_from_slice(date.as_bytes()),
            None => {
                // Spreadsheets add midnight to a date.
                let midnight =
                    date.windows(6).position(|part| part == b" 00:00" || part == b"T00:00");
                buffer.extend_from_slice(&date[..midnight.unwrap_or(date.len())]);
            }
        }
        buffer.push(b' ');
        // Spreadsheets remove the zero in front of 095959.
        let digits = time.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 5 {
            buffer.push(b'0');
        }
        buffer.extend_from_slice(&time);
        buffer
    }

    /// Returns the date in a row, if it is like DDMMYY.
    pub(super) fn nmea_date(&self, row: Row<'_>) -> Option<String> {
        let date = value(row, self.date.filter(|_| self.has_nmea_date)?);
        let text = std::str::from_utf8(&date).ok().filter(|text| text.len() == 6)?;
        if !date.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (day, month, year) = (text.get(..2)?, text.get(2..4)?, text.get(4..)?);
        let century = if year < "80" { "20" } else { "19" };
        Some(format!("{century}{year}-{month}-{day}"))
    }

    /// Returns whether a text is a number that is not a time since 1970: it is in a column of dates, or is a
    /// time of day whose date is in another column.
    pub(super) fn rejects(&self, text: &[u8]) -> bool {
        let is_single = self.unit.is_none() && self.is_single();
        if !is_single || !(self.is_date || self.has_other_date) || parse_f64(text).is_none() {
            return false;
        }
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match self.is_date {
            // Numbers of 14 digits are dates with a time of day.
            true => !(digits == 14 || is_since_1970(text, digits)),
            false => digits <= 6,
        }
    }

    /// Returns whether a text is a number in a column of dates that is read as a time since 1970.
    pub(super) fn is_assumed_number(&self, text: &[u8]) -> bool {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.is_date && self.unit.is_none() && is_since_1970(text, digits)
    }

    /// Returns whether a text is like HHMMSS: six digits, with or without a fraction.
    pub(super) fn is_clock(&self, text: &[u8]) -> bool {
        let is_single = self.unit.is_none() && self.is_single();
        let Some((digits, rest)) = text.split_first_chunk::<6>().filter(|_| is_single) else {
            return false;
        };
        let is_fraction = match rest {
            [] => true,
            [b'.', fraction @ ..] => fraction.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        is_fraction
            && digits.iter().all(u8::is_ascii_digit)
            && digits[..2] < b"24"[..]
            && digits[2..4] < b"60"[..]
            && digits[4..] < b"61"[..]
    }
}

/// Returns the value of a field, as ASCII text would have it.
fn value(row: Row<'_>, at: usize) -> Cow<'_, [u8]> {
    let field = row.get(at).unwrap_or_default().trim_ascii();
    angle::plain(field).map_or(Cow::Borrowed(field), Cow::Owned)
}

/// Returns whether a number is in the seconds or milliseconds from 2001 to 2033.
fn is_since_1970(text: &[u8], digits: usize) -> bool {
    matches!(digits, 10 | 13) && text.starts_with(b"1")
}

impl Parts {
    /// Finds the columns of the parts, and the column with the hour or the time of day.
    pub(super) fn find(names: &[String], clock: Option<usize>) -> Option<(Self, usize)> {
        let find = |known: &[&str]| {
            known.iter().find_map(|known| names.iter().position(|name| key(name) == *known))
        };
        let year = find(&["year", "yyyy", "yr", "jahr"])?;
        let month = find(&["month", "mon", "monat"])?;
        let day = find(&["day", "dd", "dayofmonth", "tag"])?;
        let hour = find(&["hour", "hours", "hh", "hr", "stunde"]);
        let minute = find(&["minute", "minutes", "min"]);
        let second = find(&["second", "seconds", "sec", "ss", "sekunde"]);
        match (hour, minute) {
            (Some(hour), Some(minute)) => {
                Some((Self { year, month, day, clock: Some((minute, second)) }, hour))
            }
            _ => Some((Self { year, month, day, clock: None }, clock?)),
        }
    }

    /// Returns whether a column is one of the parts of the date.
    pub(super) fn has_date_in(&self, at: usize) -> bool {
        [self.year, self.month, self.day].contains(&at)
    }

    fn write_date(&self, row: Row<'_>, buffer: &mut Vec<u8>) {
        let field = |at: usize| value(row, at);
        let year = field(self.year);
        if year.len() != 4 {
            // A year of two digits could be taken for a day.
            buffer.extend_from_slice(b"year ");
        }
        buffer.extend_from_slice(&year);
        for at in [self.month, self.day] {
            buffer.push(b'-');
            buffer.extend_from_slice(&field(at));
        }
    }

    fn write_time(&self, row: Row<'_>, time: &[u8], buffer: &mut Vec<u8>) {
        let Some((minute, second)) = self.clock else { return buffer.extend_from_slice(time) };
        let field = |at: usize| value(row, at);
        write_padded(time, buffer);
        for part in [Some(field(minute)), second.map(field)].into_iter().flatten() {
            buffer.push(b':');
            write_padded(&part, buffer);
        }
    }
}

/// Writes a number with at least two digits before the point.
fn write_padded(number: &[u8], buffer: &mut Vec<u8>) {
    if number.iter().take_while(|byte| byte.is_ascii_digit()).count() == 1 {
        buffer.push(b'0');
    }
    buffer.extend_from_slice(number);
}
