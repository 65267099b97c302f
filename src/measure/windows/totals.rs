//! The windows of many paths together.

use std::collections::BTreeMap;

use super::round::round_parts;
use super::{ExactSum, WindowSummary, WindowsSummary};

/// The sums of the windows of many paths that were measured with the same options.
///
/// The sums are those of the lengths of the paths as `f64`, so that the totals are the same wherever the paths were
/// measured. As those of one path, they are rounded so that they sum to the total length in any order.
///
/// With `keep_latest`, the latest windows of all paths are kept. Each of them is among the latest windows of every path
/// that contains it, so its sum is complete.
#[derive(Clone, Debug, Default)]
pub(in crate::measure) struct WindowTotals {
    /// The windows by their starts.
    windows: BTreeMap<i64, WindowSummary>,
    /// The undated part. `None` without a path that has windows.
    rest: Option<WindowsSummary>,
}

impl WindowTotals {
    /// Adds the windows of a path. Without windows of a path, or if a sum is out of range, there are none in total.
    pub(in crate::measure) fn add(&mut self, path: &WindowsSummary) {
        let rest = self.rest.get_or_insert_with(|| WindowsSummary {
            windows: Vec::new(),
            ..WindowsSummary::empty(path.options)
        });
        if path.is_dropped {
            rest.is_dropped = true;
        }
        if rest.is_dropped {
            return;
        }
        let add = |sum: &mut ExactSum, term: ExactSum| sum.add(term.to_f64()).is_ok();
        let mut is_in_range = add(&mut rest.undated_length, path.undated_length);
        rest.undated_point_count =
            rest.undated_point_count.saturating_add(path.undated_point_count);
        for window in &path.windows {
            let empty = WindowSummary { length: ExactSum::ZERO, point_count: 0, ..*window };
            let total = self.windows.entry(window.start_unix_s).or_insert(empty);
            total.end_unix_s = total.end_unix_s.max(window.end_unix_s);
            total.point_count = total.point_count.saturating_add(window.point_count);
            is_in_range &= add(&mut total.length, window.length);
        }
        let max_windows = match rest.options.keep_latest {
            true => rest.options.max_windows as usize,
            false => usize::MAX,
        };
        let dropped_count = self.windows.len().saturating_sub(max_windows);
        let dropped = std::iter::from_fn(|| self.windows.pop_first()).map(|(_, window)| window);
        for window in path.earlier.into_iter().chain(dropped.take(dropped_count)) {
            let empty = WindowSummary { length: ExactSum::ZERO, point_count: 0, ..window };
            let total = rest.earlier.get_or_insert(empty);
            total.start_unix_s = total.start_unix_s.min(window.start_unix_s);
            total.end_unix_s = total.end_unix_s.max(window.end_unix_s);
            total.point_count = total.point_count.saturating_add(window.point_count);
            // A dropped window is a sum of `f64` values, and not rounded yet.
            is_in_range &= total.length.merge(&window.length).is_ok();
        }
        rest.is_dropped |= !is_in_range;
    }

    /// Returns the totals, if a path has windows.
    pub(in crate::measure) fn summary(&self) -> Option<WindowsSummary> {
        let rest = self.rest.as_ref()?;
        if rest.is_dropped {
            return Some(WindowsSummary {
                is_dropped: true,
                ..WindowsSummary::empty(rest.options)
            });
        }
        let windows = self.windows.values().copied().collect();
        let mut summary = WindowsSummary { windows, ..rest.clone() };
        let windows = || summary.earlier.iter().chain(&summary.windows);
        let lengths = || windows().map(|window| window.length.units());
        let total = lengths().fold(summary.undated_length.units(), u128::saturating_add);
        let windows = summary.earlier.iter_mut().chain(&mut summary.windows);
        let lengths = windows.map(|window| &mut window.length);
        round_parts(ExactSum::from_units(total), lengths.chain([&mut summary.undated_length]));
        Some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WindowOptions, WindowUnit, Zone};
    use super::*;

    fn path(days: &[(i64, f64)], undated: f64) -> WindowsSummary {
        let sum = |length: f64| {
            let mut sum = ExactSum::ZERO;
            sum.add(length).unwrap();
            sum
        };
        let options = WindowOptions::new(WindowUnit::Day, Zone::UTC);
        let window = |&(day, length): &(i64, f64)| WindowSummary {
            start_unix_s: day * 86_400,
            end_unix_s: (day + 1) * 86_400,
            length: sum(length),
            point_count: 2,
        };
        WindowsSummary {
            windows: days.iter().map(window).collect(),
            undated_length: sum(undated),
            undated_point_count: 1,
            ..WindowsSummary::empty(options)
        }
    }

    #[test]
    fn windows_with_the_same_start_are_added() {
        let mut totals = WindowTotals::default();
        assert_eq!(totals.summary(), None);
        totals.add(&path(&[(0, 0.1), (3, 1.0)], 0.5));
        totals.add(&path(&[(-2, 4.0), (0, 0.2)], 0.25));
        let mut expected = path(&[(-2, 4.0), (0, 0.1), (3, 1.0)], 0.75);
        // 0.1 + 0.2 as f64: a multiple of the last place of the total, 6.05.
        expected.windows[1].length = ExactSum::ZERO;
        expected.windows[1].length.add(6.05 - 5.75).unwrap();
        expected.windows[1].point_count = 4;
        expected.undated_point_count = 2;
        assert_eq!(totals.summary(), Some(expected));
    }

    #[test]
    fn a_path_without_windows_or_an_overflow_drops_the_total() {
        for last in [
            WindowsSummary { is_dropped: true, ..path(&[], 0.0) },
            path(&[(0, 2_f64.powi(63))], 0.0),
        ] {
            let mut totals = WindowTotals::default();
            totals.add(&path(&[(0, 2_f64.powi(63))], 0.0));
            totals.add(&last);
            totals.add(&path(&[(1, 1.0)], 0.0));
            let summary = totals.summary().unwrap();
            assert!(summary.is_dropped && summary.windows.is_empty());
        }
    }
}
