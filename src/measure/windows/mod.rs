//! The length of a path per hour, day, week, month or year of a time zone.
//!
//! The windows and the undated part sum to the length of the path to the last bit. A leg that crosses a boundary
//! is divided in proportion to time, in the units of [`ExactSum`]. The order of the fixes, and the way in which a
//! path is cut and stored, do not change a bit.
//!
//! - A fix belongs to the window of its time. A fix on a boundary belongs to the window that starts there.
//! - A leg belongs to the time between its ends. If one end has no time, it belongs to the window of the other
//!   one. If no end has a time, it belongs to the undated part.
//! - The ends of a leg may be in any order of time.
//! - A window without a fix and without a length does not exist.
//! - With [`WindowOptions::keep_latest`], only the latest windows are kept. All others are summed up in one part. A
//!   window that is kept at the end was never dropped, so that its content is complete in any order of the fixes.

mod calendar;
mod earlier;
mod round;
mod split;
mod state;
mod summary;
mod table;
mod totals;
mod zone;

use std::num::NonZeroU64;

use self::calendar::{Calendar, Span};
use self::earlier::Earlier;
use self::round::round_parts;
use self::split::Split;
pub use self::state::{EarlierWindowsState, WindowState, WindowsState};
pub use self::summary::{WindowSummary, WindowsSummary};
use self::table::{Table, Window};
pub(super) use self::totals::WindowTotals;
pub use self::zone::{Zone, ZoneError};
use super::fix::NS_PER_S;
use super::sum::{ExactSum, SumOverflow};

/// The period of a window. All of them start at local times of the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowUnit {
    /// From one full hour to the next one.
    Hour,
    /// A date.
    Day,
    /// An ISO week, from Monday to Sunday.
    Week,
    /// A month of the Gregorian calendar.
    Month,
    /// A year of the Gregorian calendar.
    Year,
}

/// The windows of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowOptions {
    /// The period of a window.
    pub unit: WindowUnit,
    /// The time zone of the boundaries.
    pub zone: Zone,
    /// Maximum number of windows. By default a path with more has none.
    pub max_windows: u32,
    /// Whether a path with more windows keeps the latest ones. All others are then in [`WindowsSummary::earlier`]. A
    /// leg that lasts at least 64 windows is not divided, and its length is in [`WindowsSummary::undated_length`]: 64
    /// hours, days or weeks, 64 months of 31 days, or 64 years of 366 days.
    pub keep_latest: bool,
}

impl WindowOptions {
    /// The largest [`WindowOptions::max_windows`].
    pub const WINDOWS_MAX: u32 = 100_000;
    /// The largest [`WindowOptions::max_windows`] of a path that a server measures.
    pub const REPLY_WINDOWS_MAX: u32 = 1000;
    /// The largest [`WindowOptions::max_windows`] of a recording, whose windows are stored with each commit.
    pub const RECORDING_WINDOWS_MAX: u32 = 400;

    /// Returns options with the largest maximum number of windows, without [`WindowOptions::keep_latest`].
    pub fn new(unit: WindowUnit, zone: Zone) -> Self {
        Self { unit, zone, max_windows: Self::WINDOWS_MAX, keep_latest: false }
    }
}

/// Maximum number of boundaries that legs cross, after the first one of each leg, per window that is allowed.
///
/// The legs of a path in order of time cross every boundary once. Without this limit, a path whose times jump
/// back and forth by years would cost `max_windows` steps per fix.
const EXTRA_CROSSINGS_PER_WINDOW: u64 = 16;

/// The duration in windows of the shortest leg that is not divided, if only the latest windows are kept. This limit depends
/// on a single leg, so that a recording without an end reaches no limit, and each leg costs a bounded number of steps.
const UNDIVIDED_WINDOWS_MIN: u64 = 64;

/// The windows of a path.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    options: WindowOptions,
    calendar: Calendar,
    /// All windows, except that the content of the current one may be older.
    table: Table,
    current: Current,
    /// The dropped windows, if only the latest ones are kept. The table is then full, and all its windows are later.
    earlier: Option<Earlier>,
    undated: Undated,
    /// The sum of all windows and of the undated part. No part overflows if it does not.
    total: ExactSum,
    extra_crossings: u64,
    /// The same number since it was last taken, if the latest windows are kept. It is not a part of the state.
    unlimited_crossings: u64,
    is_dropped: bool,
}

/// The window of the last fix or leg. Most fixes are in the same window as the one before.
#[derive(Clone, Copy, Debug)]
struct Current {
    start_ns: i64,
    end_ns: i64,
    window: Window,
}

/// The fixes and legs without a time, and the legs that last too long to be divided.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Undated {
    length: ExactSum,
    point_count: u64,
}

impl Current {
    /// No time is in this window.
    const NONE: Self = Self {
        start_ns: 0,
        end_ns: 0,
        window: Window { span: Span { start_s: 0, end_s: 0, key: 0 }, units: 0, point_count: 0 },
    };

    fn new(window: Window) -> Self {
        let Span { start_s, end_s, .. } = window.span;
        Self { start_ns: saturated_ns(start_s), end_ns: saturated_ns(end_s), window }
    }

    #[inline]
    fn contains(&self, unix_ns: i64) -> bool {
        self.start_ns <= unix_ns && unix_ns < self.end_ns
    }
}

impl Undated {
    const NONE: Self = Self { length: ExactSum::ZERO, point_count: 0 };
}

impl Windows {
    /// Returns the number of bytes that it holds in addition to its own size.
    #[cfg(feature = "server")]
    pub(super) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    pub(super) fn new(options: WindowOptions) -> Self {
        Self {
            options,
            calendar: Calendar::new(options.unit, options.zone.rules()),
            table: Table::default(),
            current: Current::NONE,
            earlier: None,
            undated: Undated::NONE,
            total: ExactSum::ZERO,
            extra_crossings: 0,
            unlimited_crossings: 0,
            is_dropped: false,
        }
    }

    /// Returns the number of boundaries that legs crossed since the last call, without the first one of each leg, if
    /// there is no limit for them.
    pub(super) fn take_unlimited_crossings(&mut self) -> u64 {
        std::mem::take(&mut self.unlimited_crossings)
    }

    /// Adds an accepted fix with its time, if known.
    #[inline]
    pub(super) fn add_fix(&mut self, unix_ns: Option<i64>) {
        match unix_ns.is_some_and(|unix_ns| self.current.contains(unix_ns)) {
            true => self.current.window.add(0, 1),
            false => self.add_fix_outside(unix_ns),
        }
    }

    /// Adds a fix that is not in the current window.
    #[cold]
    fn add_fix_outside(&mut self, unix_ns: Option<i64>) {
        match unix_ns {
            _ if self.is_dropped => {}
            Some(unix_ns) => {
                let span = self.span_at(unix_ns);
                self.add(span, 0, 1);
            }
            None => self.undated.point_count = self.undated.point_count.saturating_add(1),
        }
    }

    /// Adds an accepted leg with the times of its ends, if known.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the total of all legs is out of range. The windows are then unchanged.
    #[inline]
    pub(super) fn add_leg(
        &mut self,
        length: f64,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<(), SumOverflow> {
        if self.is_dropped {
            return Ok(());
        }
        let mut leg = ExactSum::ZERO;
        leg.add(length)?;
        self.total.merge(&leg)?;
        match (from, to) {
            (Some(from), Some(to)) if self.current.contains(from) && self.current.contains(to) => {
                self.current.window.units += leg.units();
            }
            _ => self.add_outside(leg, from, to),
        }
        Ok(())
    }

    /// Adds a leg that is not within the current window.
    #[cold]
    fn add_outside(&mut self, leg: ExactSum, from: Option<i64>, to: Option<i64>) {
        let units = leg.units();
        if units == 0 {
            return;
        }
        let (Some(first), Some(last)) = (from.min(to).or(to).or(from), from.max(to)) else {
            return self.add_undated(units);
        };
        match NonZeroU64::new(last.abs_diff(first)) {
            Some(duration_ns) => self.add_divided(units, first, last, duration_ns),
            None => {
                let span = self.span_at(first);
                self.add(span, units, 0);
            }
        }
    }

    fn add_undated(&mut self, units: u128) {
        self.undated.length = ExactSum::from_units(self.undated.length.units() + units);
    }

    /// Divides a leg from the time `first` to the later time `last`.
    fn add_divided(&mut self, units: u128, first: i64, last: i64, duration_ns: NonZeroU64) {
        let duration_s = duration_ns.get() / NS_PER_S.unsigned_abs();
        if self.options.keep_latest {
            if duration_s >= UNDIVIDED_WINDOWS_MIN * self.calendar.usual_length_s() {
                return self.add_undated(units);
            }
        } else if self.calendar.min_count(duration_s) > self.options.max_windows.into() {
            return self.drop_all();
        }
        let split = Split::new(units, duration_ns);
        let (mut at_ns, mut done, mut visited_count) = (first, 0, 0_u64);
        while done < units {
            let span = self.span_at(at_ns);
            let end_ns = saturated_ns(span.end_s);
            let next = match end_ns < last {
                true => split.before(end_ns.abs_diff(first)),
                false => units,
            };
            if next > done && !self.add(span, next - done, 0) {
                return;
            }
            (at_ns, done) = (end_ns, next);
            visited_count += 1;
            if visited_count > 2 && self.options.keep_latest {
                self.unlimited_crossings += 1;
            } else if visited_count > 2 {
                self.extra_crossings += 1;
                if self.extra_crossings > extra_crossings_max(self.options) {
                    return self.drop_all();
                }
            }
        }
    }

    /// Adds a length or a fix to a window. Returns `false` if the windows were dropped.
    fn add(&mut self, span: Span, units: u128, point_count: u64) -> bool {
        let added = Window { span, units, point_count };
        if self.current.window.span == span || self.select(span) {
            self.current.window.add(units, point_count);
        } else if self.options.keep_latest {
            Earlier::add(&mut self.earlier, added);
        }
        !self.is_dropped
    }

    /// Returns the window of a time. It may be a new one.
    fn span_at(&mut self, unix_ns: i64) -> Span {
        if self.current.contains(unix_ns) {
            return self.current.window.span;
        }
        self.flush();
        let unix_s = unix_ns.div_euclid(NS_PER_S);
        let (before, after) = self.table.around(unix_s);
        if let Some(window) = before.filter(|window| unix_s < window.span.end_s) {
            return window.span;
        }
        let mut span = self.calendar.span_at(unix_s);
        // Restored hours may have other boundaries, from another version of the database of time zones.
        if let Some(window) = before {
            span.start_s = span.start_s.max(window.span.end_s);
        }
        if let Some(window) = after {
            span.end_s = span.end_s.min(window.span.start_s);
        }
        span
    }

    /// Makes a window the current one. The caller adds to it. Returns `false` if the window is not kept.
    fn select(&mut self, span: Span) -> bool {
        self.flush();
        let found = self.table.find(span.start_s).copied();
        if found.is_none() && self.table.count() as u64 >= u64::from(self.options.max_windows) {
            if !self.options.keep_latest {
                self.drop_all();
                return false;
            }
            if self.table.first().is_none_or(|oldest| span.start_s < oldest.span.start_s) {
                return false;
            }
            if let Some(oldest) = self.table.take_first() {
                Earlier::add(&mut self.earlier, oldest);
            }
        }
        self.current = Current::new(found.unwrap_or(Window::empty(span)));
        true
    }

    /// Writes the current window to the table.
    fn flush(&mut self) {
        if !self.current.window.is_empty() {
            self.table.put(self.current.window);
        }
    }

    fn drop_all(&mut self) {
        *self = Self { is_dropped: true, ..Self::new(self.options) };
    }

    /// Returns all windows.
    fn flushed(&self) -> Table {
        let mut all = self.clone();
        all.flush();
        all.table
    }

    /// Returns the windows in order of time, and the undated part.
    pub(super) fn summary(&self) -> WindowsSummary {
        let mut windows: Vec<_> = self.flushed().iter().map(WindowSummary::of).collect();
        let mut earlier = self.earlier.as_ref().map(Earlier::summary);
        let mut undated_length = self.undated.length;
        let lengths = earlier.iter_mut().chain(&mut windows).map(|window| &mut window.length);
        round_parts(self.total, lengths.chain([&mut undated_length]));
        WindowsSummary {
            options: self.options,
            earlier,
            windows,
            undated_length,
            undated_point_count: self.undated.point_count,
            is_dropped: self.is_dropped,
        }
    }
}

impl PartialEq for Windows {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
            && self.earlier == other.earlier
            && self.undated == other.undated
            && self.extra_crossings == other.extra_crossings
            && self.is_dropped == other.is_dropped
            && self.flushed().iter().eq(other.flushed().iter())
    }
}

fn extra_crossings_max(options: WindowOptions) -> u64 {
    u64::from(options.max_windows).saturating_mul(EXTRA_CROSSINGS_PER_WINDOW)
}

/// Converts seconds to nanoseconds. A window at the limits of the type may start before all times of fixes.
fn saturated_ns(unix_s: i64) -> i64 {
    unix_s.saturating_mul(NS_PER_S)
}

#[cfg(test)]
mod tests;
