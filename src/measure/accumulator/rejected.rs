//! The list of the rejected fixes of a path, for callers that show what the filter does.
//!
//! It is not a part of the state: a path that is stored and restored lists no fixes.

use super::PathAccumulator;
use crate::measure::derived::Derived;
use crate::measure::rejection_reason::{RejectedFix, RejectionReason};

impl PathAccumulator {
    /// Makes the path list its rejected fixes, except those without a position. The caller takes the list after each
    /// fold: it then has at most the fixes of a block, of the buffer and of the candidates.
    ///
    /// ```
    /// use waywiser::measure::{Metric, Options, PathAccumulator, Point, RejectedFix, RejectionReason};
    ///
    /// let options = Options::builder(Metric::Planar).min_step(2.0).build()?;
    /// let mut path = PathAccumulator::new(options).listing_rejected();
    /// path.extend(&[Point::planar(0.0, 0.0)?.into(), Point::planar(1.0, 0.0)?.into()])?;
    /// assert_eq!(path.take_rejected(), [RejectedFix { offset: 1, reason: RejectionReason::Step }]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn listing_rejected(mut self) -> Self {
        self.derived.rejected = Some(Vec::new());
        self
    }

    /// Returns the fixes that were rejected since the last call. A rejection is decided at the latest with the end of the
    /// segment, so that the list may have fixes of earlier folds.
    pub fn take_rejected(&mut self) -> Vec<RejectedFix> {
        self.derived.rejected.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns what [`PathAccumulator::take_rejected`] returns if the path ends here.
    pub fn rejected_at_end(&self) -> Vec<RejectedFix> {
        // A fold leaves a reserve in every sum, so that this does not fail.
        let flushed = self.with_empty_buffer().ok().flatten();
        let path = flushed.as_ref().unwrap_or(self);
        let mut derived: Derived = path.derived.clone();
        if let Some(filter) = &path.filter
            && filter.ended(&path.options, &mut derived).is_err()
        {
            return Vec::new();
        }
        derived.rejected.unwrap_or_default()
    }

    /// Lists a fix that was rejected before the filter.
    pub(super) fn list_rejected(&mut self, reason: RejectionReason, offset: u64) {
        if let Some(list) = &mut self.derived.rejected {
            list.push(RejectedFix { offset, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Fix, FixBlock, InvalidPoints, Metric, Options, Point, Reorder};
    use std::collections::HashMap;

    /// A track with outliers, stops, repetitions, late fixes, fixes at 0, 0, inaccurate fixes and marked starts.
    fn fixes() -> Vec<Fix> {
        let mut fixes = Vec::new();
        for index in 0..3000_i64 {
            let x = match index {
                _ if index % 97 < 3 => 5e4,
                _ if index % 501 == 0 => 0.0,
                _ if index % 13 < 2 => (index - index % 13) as f64,
                _ => index as f64,
            };
            let y = if x == 0.0 { 0.0 } else { 1.0 };
            let second = if index % 71 == 70 { index - 60 } else { index };
            let fix = Fix::new(Point::planar(x, y).unwrap());
            let fix = fix.at_unix_ns(second * 1_000_000_000).unwrap();
            let fix = fix.with_accuracy_m(if index % 53 == 0 { 200.0 } else { 5.0 }).unwrap();
            fixes.push(if index % 400 == 399 { fix.starting_segment() } else { fix });
            if index % 37 == 36 {
                fixes.push(fix);
            }
            if index % 211 == 210 {
                fixes.push(Fix::without_position());
            }
        }
        fixes
    }

    /// The list has the counts and the first offsets of the ledger, for every division into blocks.
    #[test]
    fn the_list_is_that_of_the_ledger() {
        let base = || {
            let options = Options::builder(Metric::Planar).max_speed(20.0).max_accuracy_m(100.0);
            let options = options.invalid_points(InvalidPoints::Skip).min_step(0.5);
            options.reject_zero_position(true).reject_backward_time(true)
        };
        let in_order = base().reorder(Reorder { count: 32, time_ns: None }).drop_duplicates(true);
        for (options, reasons) in [(base(), 5), (in_order, 6)] {
            let options = options.build().unwrap();
            for size in [1, 7, FixBlock::CAPACITY] {
                let mut path = PathAccumulator::new(options).listing_rejected();
                let mut listed = Vec::new();
                for chunk in fixes().chunks(size) {
                    path.extend(chunk).unwrap();
                    listed.extend(path.take_rejected());
                }
                listed.extend(path.rejected_at_end());
                let mut entries: HashMap<RejectionReason, (u64, u64)> = HashMap::new();
                for RejectedFix { offset, reason } in listed {
                    let (count, first) = entries.entry(reason).or_insert((0, u64::MAX));
                    (*count, *first) = (*count + 1, offset.min(*first));
                }
                let rejections = path.summary().rejections;
                let with_position: Vec<_> = rejections
                    .iter()
                    .filter(|entry| entry.reason != RejectionReason::InvalidPosition)
                    .collect();
                assert!(with_position.len() >= reasons, "{rejections:?}");
                assert_eq!(entries.len(), with_position.len());
                for entry in with_position {
                    let listed = entries.get(&entry.reason).copied();
                    assert_eq!(listed, Some((entry.count, entry.first_offset)), "{entry:?}");
                }
            }
        }
    }

    #[test]
    fn a_path_lists_nothing_by_default() {
        let options = Options::builder(Metric::Planar).min_step(2.0).build().unwrap();
        let mut path = PathAccumulator::new(options);
        path.extend(&[Point::planar(0.0, 0.0).unwrap().into(); 5]).unwrap();
        assert_eq!((path.summary().rejections.len(), path.take_rejected().len()), (1, 0));
        assert!(path.rejected_at_end().is_empty());
    }
}
