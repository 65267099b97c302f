//! The state of the windows as plain data, and its checks.

use super::calendar::Calendar;
use super::table::{Table, Window};
use super::{ExactSum, Undated, WindowOptions, Windows, extra_crossings_max};
use crate::measure::fix::UNIX_S;
use crate::measure::state::StateError;

/// The state of the windows of a path. The options of the path have their unit and zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowsState {
    /// The windows in order of time.
    pub windows: Vec<WindowState>,
    /// The exact sum of the legs whose ends have no time.
    pub undated_length: ExactSum,
    /// The number of accepted fixes without a time.
    pub undated_point_count: u64,
    /// The number of boundaries that legs crossed, without the first one of each leg.
    pub extra_crossings: u64,
    /// Whether the windows were dropped. All other fields are then empty.
    pub is_dropped: bool,
}

/// The state of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowState {
    /// For hours, the start in seconds since 1970-01-01T00:00:00Z. Otherwise the first date of the window, in days
    /// since 1970-01-01: the keys of a newer database of time zones are the same.
    pub key: i64,
    /// The exact length.
    pub length: ExactSum,
    /// The number of accepted fixes.
    pub point_count: u64,
}

impl Windows {
    pub(in crate::measure) fn state(&self) -> WindowsState {
        let window = |window: &Window| WindowState {
            key: window.span.key,
            length: ExactSum::from_units(window.units),
            point_count: window.point_count,
        };
        WindowsState {
            windows: self.flushed().iter().map(window).collect(),
            undated_length: self.undated.length,
            undated_point_count: self.undated.point_count,
            extra_crossings: self.extra_crossings,
            is_dropped: self.is_dropped,
        }
    }

    /// Restores the windows from a state that was checked with the same options.
    pub(in crate::measure) fn from_checked_state(
        options: WindowOptions,
        state: &WindowsState,
    ) -> Self {
        let empty = Self::new(options);
        let (table, total) = table(&empty.calendar, state).unwrap_or_default();
        Self {
            table,
            total: ExactSum::from_units(total),
            undated: Undated {
                length: state.undated_length,
                point_count: state.undated_point_count,
            },
            extra_crossings: state.extra_crossings,
            is_dropped: state.is_dropped,
            ..empty
        }
    }
}

impl WindowsState {
    /// Checks all values. `length` and `point_count` are those of the accepted fixes of the path.
    ///
    /// # Errors
    /// If no path has this state.
    pub(in crate::measure) fn check(
        &self,
        options: WindowOptions,
        length: ExactSum,
        point_count: u64,
    ) -> Result<(), StateError> {
        if self.is_dropped {
            let empty = Self { is_dropped: true, ..Self::default() };
            return require(*self == empty, "they were dropped, but have a content");
        }
        require(self.windows.len() as u64 <= options.max_windows.into(), "there are too many")?;
        let is_valid = self.extra_crossings <= extra_crossings_max(options);
        require(is_valid, "there are too many crossings")?;
        let calendar = Calendar::new(options.unit, options.zone.rules());
        let (_, total) = table(&calendar, self)?;
        require(total == length.units(), "their lengths do not sum to the length")?;
        let points = self.windows.iter().map(|window| u128::from(window.point_count));
        let points = points.sum::<u128>() + u128::from(self.undated_point_count);
        require(points == point_count.into(), "their points are not all points")
    }
}

fn require(is_valid: bool, problem: &'static str) -> Result<(), StateError> {
    if is_valid { Ok(()) } else { Err(StateError { part: "windows", problem }) }
}

/// Returns the table of the windows of a state, and the sum of all lengths in units of 2^-64.
fn table(calendar: &Calendar, state: &WindowsState) -> Result<(Table, u128), StateError> {
    let (mut table, mut total) = (Table::default(), state.undated_length.units());
    let mut windows: Vec<Window> = Vec::with_capacity(state.windows.len());
    for &WindowState { key, length, point_count } in &state.windows {
        let Some(span) = calendar.span_of_key(key) else {
            return Err(StateError { part: "windows", problem: "a key is not that of a window" });
        };
        let is_in_range = UNIX_S.start < span.end_s && span.start_s < UNIX_S.end;
        require(is_in_range, "a time is out of range")?;
        if let Some(last) = windows.last_mut() {
            require(last.span.start_s < span.start_s, "they are not in order of time")?;
            // Hours of two versions of the database of time zones may overlap.
            last.span.end_s = last.span.end_s.min(span.start_s);
        }
        let window = Window { span, units: length.units(), point_count };
        require(!window.is_empty(), "one is empty")?;
        let sum = total.checked_add(window.units);
        total = sum.ok_or(StateError { part: "windows", problem: "their lengths overflow" })?;
        windows.push(window);
    }
    windows.into_iter().for_each(|window| table.put(window));
    Ok((table, total))
}
