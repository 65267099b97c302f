//! The boundaries of the windows of a time zone.
//!
//! A day, week, month or year starts when the clocks of the zone first show its first date. An hour starts
//! whenever they show a full hour, and whenever a change of the clocks moves them to another hour. Boundaries
//! are whole seconds, because all offsets of the database are.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::WindowUnit;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
const EPOCH: Date = Date::constant(1970, 1, 1);
/// Maximum number of steps from the window of the date that the clocks show to the window of the time. One step
/// is needed after clocks are set back from the first minutes of a day.
const STEPS_MAX: usize = 4;

/// The start and the end of a window, in seconds since 1970-01-01T00:00:00Z. The end is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_s: i64,
    pub(super) end_s: i64,
    pub(super) key: i64,
}

/// The windows of one unit in one time zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    unit: WindowUnit,
    rules: TimeZone,
}

impl Calendar {
    pub(super) fn new(unit: WindowUnit, rules: TimeZone) -> Self {
        Self { unit, rules }
    }

    /// Returns the window of a time.
    pub(super) fn span_at(&self, unix_s: i64) -> Span {
        if self.unit == WindowUnit::Hour {
            let start_s = self.hour_start(unix_s);
            return Span { start_s, end_s: self.hour_end(start_s), key: start_s };
        }
        let local = self.rules.to_datetime(timestamp(unix_s));
        let mut date = self.first_date(local.date());
        let mut span = self.span_of(date);
        for _ in 0..STEPS_MAX {
            date = match () {
                () if unix_s >= span.end_s => self.next_date(date),
                () if unix_s < span.start_s => self.first_date(date.yesterday().unwrap_or(date)),
                () => break,
            };
            span = self.span_of(date);
        }
        let Span { start_s, end_s, key } = span;
        Span { start_s: start_s.min(unix_s), end_s: end_s.max(unix_s + 1), key }
    }

    /// Returns the window with a key, or `None` if it is not the key of a window.
    ///
    /// The key of a day, week, month or year is its first date, in days since 1970-01-01. It does not depend
    /// on the version of the database of time zones. The key of an hour is its start, in seconds since
    /// 1970-01-01T00:00:00Z.
    pub(super) fn span_of_key(&self, key: i64) -> Option<Span> {
        if self.unit == WindowUnit::Hour {
            Timestamp::from_second(key).ok()?;
            return Some(Span { start_s: key, end_s: self.hour_end(key), key });
        }
        let hours = key.checked_mul(24)?;
        let date = EPOCH.checked_add(jiff::SignedDuration::try_from_hours(hours)?).ok()?;
        let span = self.span_of(date);
        (self.first_date(date) == date && span.start_s < span.end_s).then_some(span)
    }

    /// Returns a lower bound for the number of windows that an interval touches.
    pub(super) fn min_count(&self, duration_s: u64) -> u64 {
        // Clocks that are set back make a window longer, by up to a day.
        duration_s
            / match self.unit {
                WindowUnit::Hour => 3 * 3600,
                WindowUnit::Day => 3 * 86_400,
                WindowUnit::Week => 9 * 86_400,
                WindowUnit::Month => 33 * 86_400,
                WindowUnit::Year => 368 * 86_400,
            }
    }

    /// Returns the length of the longest window without a change of the clocks.
    pub(super) fn usual_length_s(&self) -> u64 {
        match self.unit {
            WindowUnit::Hour => 3600,
            WindowUnit::Day => 86_400,
            WindowUnit::Week => 7 * 86_400,
            WindowUnit::Month => 31 * 86_400,
            WindowUnit::Year => 366 * 86_400,
        }
    }

    /// Returns the window that starts on a date.
    fn span_of(&self, date: Date) -> Span {
        let start_s = self.first_time(date);
        let end_s = self.first_time(self.next_date(date));
        Span { start_s, end_s, key: days(date) }
    }

    /// Returns the first date of the window of a date.
    fn first_date(&self, date: Date) -> Date {
        match self.unit {
            WindowUnit::Hour | WindowUnit::Day => date,
            WindowUnit::Week => {
                let back = date.weekday().to_monday_zero_offset();
                date.checked_sub(jiff::SignedDuration::from_hours(24 * i64::from(back)))
                    .unwrap_or(date)
            }
            WindowUnit::Month => date.first_of_month(),
            WindowUnit::Year => date.first_of_year(),
        }
    }

    /// Returns the first date of the next window after the one that starts on a date.
    fn next_date(&self, date: Date) -> Date {
        let last = match self.unit {
            WindowUnit::Hour | WindowUnit::Day => date,
            WindowUnit::Week => {
                date.checked_add(jiff::SignedDuration::from_hours(24 * 6)).unwrap_or(date)
            }
            WindowUnit::Month => date.last_of_month(),
            WindowUnit::Year => date.last_of_year(),
        };
        last.tomorrow().unwrap_or(last)
    }

    /// Returns the time at which the clocks first show a date or, if they skip it, a later one.
    fn first_time(&self, date: Date) -> i64 {
        let midnight = DateTime::from_parts(date, Time::midnight());
        let local_s = days(date) * DAY_S;
        let offset_s = |offset: jiff::tz::Offset| i64::from(offset.seconds());
        match self.rules.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Unambiguous { offset } => local_s - offset_s(offset),
            AmbiguousOffset::Fold { before, .. } => local_s - offset_s(before),
            // The change of the clocks is after `local - after` and at most `local - before`.
            AmbiguousOffset::Gap { before, after } => {
                self.next_change(local_s - offset_s(after)).unwrap_or(local_s - offset_s(before))
            }
        }
    }

    /// Returns the last start of an hour that is not after a time.
    fn hour_start(&self, unix_s: i64) -> i64 {
        let mut at_s = unix_s;
        loop {
            let full_s = at_s - (at_s + self.offset_s(at_s)).rem_euclid(HOUR_S);
            match self.last_change(at_s) {
                Some(change_s) if change_s > full_s => {
                    if self.starts_hour(change_s) {
                        return change_s;
                    }
                    at_s = change_s - 1;
                }
                _ => return full_s,
            }
        }
    }

    /// Returns the first start of an hour after a time.
    fn hour_end(&self, unix_s: i64) -> i64 {
        let mut at_s = unix_s;
        loop {
            let full_s = at_s + HOUR_S - (at_s + self.offset_s(at_s)).rem_euclid(HOUR_S);
            match self.next_change(at_s) {
                Some(change_s) if change_s <= full_s => {
                    if self.starts_hour(change_s) {
                        return change_s;
                    }
                    at_s = change_s;
                }
                _ => return full_s,
            }
        }
    }

    /// Returns whether an hour starts with a change of the clocks.
    fn starts_hour(&self, change_s: i64) -> bool {
        let before_s = change_s - 1 + self.offset_s(change_s - 1);
        let after_s = change_s + self.offset_s(change_s);
        after_s.rem_euclid(HOUR_S) == 0 || before_s.div_euclid(HOUR_S) != after_s.div_euclid(HOUR_S)
    }

    fn offset_s(&self, unix_s: i64) -> i64 {
        self.rules.to_offset(timestamp(unix_s)).seconds().into()
    }

    /// Returns the last change of the clocks that is not after a time.
    fn last_change(&self, unix_s: i64) -> Option<i64> {
        let change = self.rules.preceding(timestamp(unix_s + 1)).next()?;
        Some(change.timestamp().as_second())
    }

    /// Returns the first change of the clocks after a time.
    fn next_change(&self, unix_s: i64) -> Option<i64> {
        let change = self.rules.following(timestamp(unix_s)).next()?;
        Some(change.timestamp().as_second())
    }
}

/// Returns the days from 1970-01-01 to a date.
fn days(date: Date) -> i64 {
    EPOCH.duration_until(date).as_hours() / 24
}

/// Returns a time. Those of fixes are in the years 1678 to 2261, far from the limits of the type.
fn timestamp(unix_s: i64) -> Timestamp {
    Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH)
}
