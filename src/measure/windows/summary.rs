//! The windows of a path, as plain data.

use super::table::Window;
use super::{ExactSum, WindowOptions};

/// The windows of a path. The lengths of the windows, the earlier length and the undated length, as `f64`, sum to the
/// length of the path, to the last bit and in any order. Their numbers of fixes sum to that of the accepted fixes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WindowsSummary {
    /// The options of the windows.
    pub options: WindowOptions,
    /// The windows that have a fix or a length, in order of time.
    pub windows: Vec<WindowSummary>,
    /// The windows before the first one of `windows` as one window, if [`WindowOptions::keep_latest`] has dropped
    /// some: from the start of the earliest to the end of the latest of them, with the sums of their lengths and fixes.
    /// The values are the same in any order of the fixes.
    pub earlier: Option<WindowSummary>,
    /// The length of the legs whose ends have no time, rounded as those of the windows. With
    /// [`WindowOptions::keep_latest`], also that of the legs that last too long to be divided.
    pub undated_length: ExactSum,
    /// The number of accepted fixes without a time.
    pub undated_point_count: u64,
    /// Whether the windows were dropped: the path has more than `max_windows`, or its times jump back and forth
    /// over too many of them. There are then no windows and no undated part. Never set with
    /// [`WindowOptions::keep_latest`], except for the sum of paths whose lengths overflow.
    pub is_dropped: bool,
}

/// One window of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WindowSummary {
    /// The first second of the window, since 1970-01-01T00:00:00Z. All boundaries are whole seconds. The first year
    /// of the range of times starts before the smallest 64-bit number of nanoseconds.
    pub start_unix_s: i64,
    /// The first second after the window.
    pub end_unix_s: i64,
    /// The length of the legs and parts of legs in the window, a multiple of the unit in the last place of the length
    /// of the path as an `f64`.
    pub length: ExactSum,
    /// The number of accepted fixes in the window.
    pub point_count: u64,
}

impl WindowsSummary {
    /// Returns the windows of a path without fixes.
    pub(crate) fn empty(options: WindowOptions) -> Self {
        Self {
            options,
            windows: Vec::new(),
            earlier: None,
            undated_length: ExactSum::ZERO,
            undated_point_count: 0,
            is_dropped: false,
        }
    }
}

impl WindowSummary {
    pub(super) fn of(window: &Window) -> Self {
        Self {
            start_unix_s: window.span.start_s,
            end_unix_s: window.span.end_s,
            length: ExactSum::from_units(window.units),
            point_count: window.point_count,
        }
    }
}
