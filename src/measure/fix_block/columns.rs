//! Columns of attributes in which values may be missing, for callers that have them as numbers of the units of a fix.

use super::FixBlock;
use crate::measure::error::ColumnError;
use crate::measure::fix::{checked_accuracy, checked_unix_ns, checked_z};

impl FixBlock {
    /// The time of a fix without a time in [`FixBlock::set_unix_ns`].
    pub const NO_TIME: i64 = i64::MIN;

    /// Sets the times of the points from the index `from` on, in nanoseconds since 1970-01-01T00:00:00Z.
    /// [`FixBlock::NO_TIME`] is a missing one.
    ///
    /// # Errors
    /// Returns [`ColumnError::Time`] for the first time out of range. No time is then set.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_unix_ns(&mut self, from: usize, times: &[i64]) -> Result<(), ColumnError> {
        let range = self.range(from, times.len());
        let is_valid = |time| time == Self::NO_TIME || checked_unix_ns(time).is_ok();
        // Counting first makes a loop that the compiler vectorises.
        if times.iter().map(|&time| u64::from(!is_valid(time))).sum::<u64>() > 0 {
            for (index, &time) in times.iter().enumerate().filter(|&(_, &time)| !is_valid(time)) {
                checked_unix_ns(time).map_err(|source| ColumnError::Time { index, source })?;
            }
        }
        if times.iter().any(|&time| time != Self::NO_TIME) {
            self.attributes_mut().times_from(range.start)[..times.len()].copy_from_slice(times);
        }
        Ok(())
    }

    /// Sets the elevations of the points from the index `from` on, in metres or in the caller's unit. NaN is a missing
    /// one.
    ///
    /// # Errors
    /// Returns [`ColumnError::Z`] for the first elevation out of range. No elevation is then set.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_z(&mut self, from: usize, z: &[f64]) -> Result<(), ColumnError> {
        let range = self.range(from, z.len());
        for (index, &z) in z.iter().enumerate().filter(|(_, z)| !z.is_nan()) {
            checked_z(z).map_err(|source| ColumnError::Z { index, source })?;
        }
        if z.iter().any(|z| !z.is_nan()) {
            for (to, &z) in self.attributes_mut().z_from(range.start).iter_mut().zip(z) {
                *to = z + 0.0; // changes -0 to 0
            }
        }
        Ok(())
    }

    /// Sets the accuracies of the points from the index `from` on, in metres. NaN is a missing one.
    ///
    /// # Errors
    /// Returns [`ColumnError::Accuracy`] for the first radius out of range. No accuracy is then set.
    ///
    /// # Panics
    /// Panics if the block has fewer points, or if one of these has no position.
    pub fn set_accuracy_m(&mut self, from: usize, accuracy_m: &[f64]) -> Result<(), ColumnError> {
        let range = self.range(from, accuracy_m.len());
        for (index, &radius) in accuracy_m.iter().enumerate().filter(|(_, m)| !m.is_nan()) {
            checked_accuracy(radius).map_err(|source| ColumnError::Accuracy { index, source })?;
        }
        if accuracy_m.iter().any(|m| !m.is_nan()) {
            let column = self.attributes_mut().accuracy_from(range.start);
            for (to, &radius) in column.iter_mut().zip(accuracy_m) {
                *to = radius + 0.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Fix, Metric, Options, PathAccumulator, Point};

    #[test]
    fn columns_with_missing_values_equal_fixes() {
        let (times, nan) = ([5_000_000_000, FixBlock::NO_TIME, 9_000_000_000], f64::NAN);
        let (z, radii) = ([-0.0, 3.0, nan], [nan, 2.0, -0.0]);
        let mut block = FixBlock::new(Metric::Planar);
        block.extend_xy(&[0.0, 1.0, 2.0], &[0.0; 3]).unwrap();
        block.set_unix_ns(0, &times).unwrap();
        block.set_z(0, &z).unwrap();
        block.set_accuracy_m(0, &radii).unwrap();
        let mut path = PathAccumulator::new(Options::new(Metric::Planar));
        path.fold(&mut block).unwrap();

        let mut expected = PathAccumulator::new(Options::new(Metric::Planar));
        let fix = |x| Fix::new(Point::planar(x, 0.0).unwrap());
        let first = fix(0.0).at_unix_ns(times[0]).unwrap().with_z(0.0).unwrap();
        let second = fix(1.0).with_z(3.0).unwrap().with_accuracy_m(2.0).unwrap();
        let third = fix(2.0).at_unix_ns(times[2]).unwrap().with_accuracy_m(0.0).unwrap();
        expected.extend(&[first, second, third]).unwrap();
        assert_eq!(path, expected);
    }

    #[test]
    fn a_value_out_of_range_has_an_index_and_sets_nothing() {
        let mut block = FixBlock::new(Metric::Planar);
        block.extend_xy(&[0.0, 1.0, 2.0], &[0.0; 3]).unwrap();
        let time = block.set_unix_ns(1, &[FixBlock::NO_TIME, i64::MAX]).unwrap_err();
        let z = block.set_z(0, &[f64::NAN, 1.0, f64::INFINITY]).unwrap_err();
        let accuracy = block.set_accuracy_m(1, &[-1.0]).unwrap_err();
        assert_eq!([time.index(), z.index(), accuracy.index()], [1, 2, 0]);
        assert!(block.is_without_times_and_z());
        assert!(!block.seen_attributes().accuracy);
    }
}
