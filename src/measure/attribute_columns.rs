//! The attribute columns of a [`FixBlock`](super::FixBlock): elevation, time and accuracy per fix.

use std::ops::Range;

use super::point_block::PointBlock;
use super::seen_attributes::SeenAttributes;
use super::track_fix::FixAttributes;

/// Elevations, times and accuracies of up to [`PointBlock::CAPACITY`] fixes.
///
/// A value that was not set is missing. The flags show which columns have values, so that clearing
/// skips the other columns.
#[derive(Clone, Debug)]
pub(super) struct AttributeColumns {
    /// NaN if missing.
    z: [f64; PointBlock::CAPACITY],
    has_z: bool,
    /// [`NO_TIME`] if missing.
    unix_ns: [i64; PointBlock::CAPACITY],
    has_time: bool,
    /// NaN if missing.
    accuracy_m: [f64; PointBlock::CAPACITY],
    has_accuracy: bool,
}

/// A value outside the range of the time of a fix.
const NO_TIME: i64 = i64::MIN;

impl Default for AttributeColumns {
    fn default() -> Self {
        Self {
            z: [f64::NAN; PointBlock::CAPACITY],
            has_z: false,
            unix_ns: [NO_TIME; PointBlock::CAPACITY],
            has_time: false,
            accuracy_m: [f64::NAN; PointBlock::CAPACITY],
            has_accuracy: false,
        }
    }
}

impl AttributeColumns {
    /// Returns the elevations from `index` on, to be set.
    #[inline]
    pub(super) fn z_from(&mut self, index: usize) -> &mut [f64] {
        self.has_z = true;
        &mut self.z[index..]
    }

    /// Returns the times from `index` on, to be set.
    #[inline]
    pub(super) fn times_from(&mut self, index: usize) -> &mut [i64] {
        self.has_time = true;
        &mut self.unix_ns[index..]
    }

    /// Returns the accuracies from `index` on, to be set.
    #[inline]
    pub(super) fn accuracy_from(&mut self, index: usize) -> &mut [f64] {
        self.has_accuracy = true;
        &mut self.accuracy_m[index..]
    }

    /// Returns whether an elevation or a time was set since the last [`AttributeColumns::mark_cleared`].
    pub(super) fn has_z_or_time(&self) -> bool {
        self.has_z || self.has_time
    }

    /// Returns which attributes the first `len` fixes have.
    pub(super) fn seen(&self, len: usize) -> SeenAttributes {
        SeenAttributes {
            time: self.has_time && self.unix_ns[..len].iter().any(|&ns| ns != NO_TIME),
            z: self.has_z && self.z[..len].iter().any(|z| !z.is_nan()),
            accuracy: self.has_accuracy && self.accuracy_m[..len].iter().any(|m| !m.is_nan()),
        }
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> FixAttributes {
        let (z, unix_ns) = (self.z[index], self.unix_ns[index]);
        FixAttributes {
            z: (!z.is_nan()).then_some(z),
            unix_ns: (unix_ns != NO_TIME).then_some(unix_ns),
        }
    }

    /// Sets the values of a fix; `accuracy_m` is NaN if it is missing.
    #[inline]
    pub(super) fn set(&mut self, index: usize, attributes: FixAttributes, accuracy_m: f64) {
        let FixAttributes { z, unix_ns } = attributes;
        if let Some(z) = z {
            self.z_from(index)[0] = z;
        }
        if let Some(unix_ns) = unix_ns {
            self.times_from(index)[0] = unix_ns;
        }
        if !accuracy_m.is_nan() {
            self.accuracy_from(index)[0] = accuracy_m;
        }
    }

    /// Returns the accuracy radius in metres, NaN if it is missing.
    #[inline]
    pub(super) fn accuracy_m(&self, index: usize) -> f64 {
        self.accuracy_m[index]
    }

    /// Removes the values of a range.
    pub(super) fn clear_range(&mut self, range: Range<usize>) {
        if self.has_z {
            self.z[range.clone()].fill(f64::NAN);
        }
        if self.has_time {
            self.unix_ns[range.clone()].fill(NO_TIME);
        }
        if self.has_accuracy {
            self.accuracy_m[range].fill(f64::NAN);
        }
    }

    /// Resets the flags, after all values were removed.
    pub(super) fn mark_cleared(&mut self) {
        (self.has_z, self.has_time, self.has_accuracy) = (false, false, false);
    }
}
