//! The windows that were dropped because later ones are kept, as one part.

use super::calendar::Span;
use super::table::Window;
use super::{ExactSum, WindowSummary};

/// The sum of the dropped windows.
///
/// The number of windows is not a part of it: a late fix can be in a window that was dropped or in a new one, and the
/// dropped windows are not remembered. All values of the sum are the same in any order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Earlier {
    /// The earliest of the windows.
    pub(super) first: Span,
    /// The latest of the windows.
    pub(super) last: Span,
    pub(super) units: u128,
    pub(super) point_count: u64,
}

impl Earlier {
    /// Adds a window or a part of it.
    pub(super) fn add(earlier: &mut Option<Self>, window: Window) {
        let Window { span, units, point_count } = window;
        let sum = earlier.get_or_insert(Self { first: span, last: span, units: 0, point_count: 0 });
        if span.start_s < sum.first.start_s {
            sum.first = span;
        }
        if span.start_s > sum.last.start_s {
            sum.last = span;
        }
        sum.units += units;
        sum.point_count = sum.point_count.saturating_add(point_count);
    }

    pub(super) fn summary(&self) -> WindowSummary {
        WindowSummary {
            start_unix_s: self.first.start_s,
            end_unix_s: self.last.end_s,
            length: ExactSum::from_units(self.units),
            point_count: self.point_count,
        }
    }
}
