//! The state of the windows as plain data, and its checks.

use super::calendar::{Calendar, Span};
use super::earlier::Earlier;
use super::table::{Table, Window};
use super::{ExactSum, Undated, WindowOptions, Windows, extra_crossings_max};
use crate::measure::fix::UNIX_S;
use crate::measure::state::StateError;

/// The state of the windows of a path. The options of the path have their unit and zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowsState {
    /// The windows in order of time.
    pub windows: Vec<WindowState>,
    /// The windows that were dropped because later ones are kept. There are then as many windows as are kept.
    pub earlier: Option<EarlierWindowsState>,
    /// The exact sum of the legs that belong to no window.
    pub undated_length: ExactSum,
    /// The number of accepted fixes without a time.
    pub undated_point_count: u64,
    /// The number of boundaries that legs crossed, without the first one of each leg. 0 if the latest windows are kept.
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

/// The state of the windows that were dropped because later ones are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlierWindowsState {
    /// The key of the earliest one, as [`WindowState::key`].
    pub first_key: i64,
    /// The key of the latest one.
    pub last_key: i64,
    /// The exact sum of their lengths.
    pub length: ExactSum,
    /// The number of accepted fixes in them.
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
            earlier: self.earlier.map(|earlier| EarlierWindowsState {
                first_key: earlier.first.key,
                last_key: earlier.last.key,
                length: ExactSum::from_units(earlier.units),
                point_count: earlier.point_count,
            }),
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
        let (table, earlier, total) = content(&empty.calendar, state).unwrap_or_default();
        Self {
            table,
            earlier,
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
        let keeps_latest = options.keep_latest;
        if self.is_dropped {
            require(!keeps_latest, "they were dropped, but the latest ones are kept")?;
            let empty = Self { is_dropped: true, ..Self::default() };
            return require(*self == empty, "they were dropped, but have a content");
        }
        require(self.windows.len() as u64 <= options.max_windows.into(), "there are too many")?;
        let crossings_max = if keeps_latest { 0 } else { extra_crossings_max(options) };
        require(self.extra_crossings <= crossings_max, "there are too many crossings")?;
        let is_full = self.windows.len() as u64 == u64::from(options.max_windows);
        let is_valid = self.earlier.is_none() || keeps_latest && is_full;
        require(is_valid, "earlier ones were dropped, but there are not too many")?;
        let calendar = Calendar::new(options.unit, options.zone.rules());
        let (_, earlier, total) = content(&calendar, self)?;
        require(total == length.units(), "their lengths do not sum to the length")?;
        let points = self.windows.iter().map(|window| u128::from(window.point_count));
        let others = [self.undated_point_count, earlier.map_or(0, |earlier| earlier.point_count)];
        let points = points.chain(others.map(u128::from)).sum::<u128>();
        require(points == point_count.into(), "their points are not all points")
    }
}

fn require(is_valid: bool, problem: &'static str) -> Result<(), StateError> {
    if is_valid { Ok(()) } else { Err(error(problem)) }
}

fn error(problem: &'static str) -> StateError {
    StateError { part: "windows", problem }
}

/// Returns the table of the windows of a state, the dropped windows, and the sum of all lengths in units of 2^-64.
fn content(
    calendar: &Calendar,
    state: &WindowsState,
) -> Result<(Table, Option<Earlier>, u128), StateError> {
    let span_of = |key: i64| -> Result<Span, StateError> {
        let not_a_key = || error("a key is not that of a window");
        let span = calendar.span_of_key(key).ok_or_else(not_a_key)?;
        let is_in_range = UNIX_S.start < span.end_s && span.start_s < UNIX_S.end;
        require(is_in_range, "a time is out of range")?;
        Ok(span)
    };
    let add = |total: u128, length: ExactSum| {
        total.checked_add(length.units()).ok_or_else(|| error("their lengths overflow"))
    };
    let (mut table, mut total) = (Table::default(), state.undated_length.units());
    let mut windows: Vec<Window> = Vec::with_capacity(state.windows.len());
    for &WindowState { key, length, point_count } in &state.windows {
        let span = span_of(key)?;
        if let Some(last) = windows.last_mut() {
            require(last.span.start_s < span.start_s, "they are not in order of time")?;
            // Hours of two versions of the database of time zones may overlap.
            last.span.end_s = last.span.end_s.min(span.start_s);
        }
        let window = Window { span, units: length.units(), point_count };
        require(!window.is_empty(), "one is empty")?;
        total = add(total, length)?;
        windows.push(window);
    }
    let mut earlier = None;
    if let Some(EarlierWindowsState { first_key, last_key, length, point_count }) = state.earlier {
        let (first, mut last) = (span_of(first_key)?, span_of(last_key)?);
        let next_start_s = windows.first().map_or(i64::MAX, |window| window.span.start_s);
        let is_before = first.start_s <= last.start_s && last.start_s < next_start_s;
        require(is_before, "the earlier ones are not in order of time")?;
        last.end_s = last.end_s.min(next_start_s);
        let units = length.units();
        require(units > 0 || point_count > 0, "the earlier ones are empty")?;
        total = add(total, length)?;
        earlier = Some(Earlier { first, last, units, point_count });
    }
    windows.into_iter().for_each(|window| table.put(window));
    Ok((table, earlier, total))
}
