//! A fix: a point with the optional elevation, time and accuracy of a receiver. This file checks their ranges.

use std::ops::Range;

use super::point::{PLANAR_MAX, Point};

/// A checked fix: all its values are in range.
///
/// ```
/// use waywiser::measure::{Fix, Point};
///
/// let point = Point::geographic(46.4397, 13.7433)?;
/// let fix = Fix::new(point).at_unix_ns(1_700_000_000_000_000_000)?.with_z(1611.0)?;
/// assert_eq!(fix.z(), Some(1611.0));
/// assert!(fix.with_accuracy_m(-1.0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    point: Option<Point>,
    z: Option<f64>,
    unix_ns: Option<i64>,
    accuracy_m: Option<f64>,
    starts_segment: bool,
}

/// A value that is out of the range of a fix.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// The elevation is not finite or not between -2^40 and 2^40.
    #[error("z {0} is not a number between -2^40 and 2^40")]
    Z(f64),
    /// The accuracy radius is not finite, negative or above 2^40.
    #[error("accuracy_m {0} is not a number from 0 to 2^40")]
    Accuracy(f64),
    /// The time is before 1678-01-01T00:00:00Z or not before 2262-01-01T00:00:00Z.
    #[error("time {unix_s} s since 1970 is not in the years 1678 to 2261")]
    Time {
        /// The time in whole seconds, rounded down.
        unix_s: i64,
    },
}

pub(super) const NS_PER_S: i64 = 1_000_000_000;

/// The range of the time of a fix, in seconds since 1970: all whole years whose nanoseconds fit an `i64`.
pub(super) const UNIX_S: Range<i64> = -9_214_560_000..9_214_646_400;

/// Converts seconds since 1970-01-01T00:00:00Z and `nanos`, which is below 10^9, to nanoseconds.
///
/// # Errors
/// Returns [`FixError::Time`] if the time is outside the years 1678 to 2261.
#[inline]
pub fn unix_ns(unix_s: i64, nanos: u32) -> Result<i64, FixError> {
    if !UNIX_S.contains(&unix_s) {
        return Err(FixError::Time { unix_s });
    }
    // No overflow for any `nanos`: 2^32 ns are below 5 s.
    checked_unix_ns(unix_s * NS_PER_S + i64::from(nanos))
}

impl Fix {
    /// Returns a fix without elevation, time and accuracy.
    #[inline]
    pub fn new(point: Point) -> Self {
        Self { point: Some(point), ..Self::without_position() }
    }

    /// Returns a fix of a receiver that had no valid position.
    ///
    /// A path skips and counts it if [`Options::invalid_points`](super::Options::invalid_points) allows that.
    #[inline]
    pub fn without_position() -> Self {
        Self { point: None, z: None, unix_ns: None, accuracy_m: None, starts_segment: false }
    }

    /// Sets the elevation, in metres or, for planar points, in the caller's unit.
    ///
    /// # Errors
    /// Returns [`FixError::Z`] if `z` is not finite or not between -2^40 and 2^40.
    #[inline]
    pub fn with_z(self, z: f64) -> Result<Self, FixError> {
        // Adding zero changes -0 to +0, so that equal fixes have equal bits.
        Ok(Self { z: Some(checked_z(z)? + 0.0), ..self })
    }

    /// Sets the time, in nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Returns [`FixError::Time`] if the time is outside the years 1678 to 2261.
    #[inline]
    pub fn at_unix_ns(self, unix_ns: i64) -> Result<Self, FixError> {
        Ok(Self { unix_ns: Some(checked_unix_ns(unix_ns)?), ..self })
    }

    /// Sets the accuracy: the radius of the position error in metres, as estimated by the receiver.
    ///
    /// # Errors
    /// Returns [`FixError::Accuracy`] if the radius is not finite, negative or above 2^40.
    #[inline]
    pub fn with_accuracy_m(self, accuracy_m: f64) -> Result<Self, FixError> {
        Ok(Self { accuracy_m: Some(checked_accuracy(accuracy_m)? + 0.0), ..self })
    }

    /// Marks the fix as the first of a segment. No leg joins the previous fix and this one.
    #[inline]
    pub fn starting_segment(self) -> Self {
        Self { starts_segment: true, ..self }
    }

    /// Returns the point; `None` if the receiver had no valid position.
    #[inline]
    pub fn point(self) -> Option<Point> {
        self.point
    }

    /// Returns the elevation in metres or, for planar points, in the caller's unit.
    #[inline]
    pub fn z(self) -> Option<f64> {
        self.z
    }

    /// Returns the time in nanoseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn unix_ns(self) -> Option<i64> {
        self.unix_ns
    }

    /// Returns the accuracy radius in metres.
    #[inline]
    pub fn accuracy_m(self) -> Option<f64> {
        self.accuracy_m
    }

    /// Returns whether the fix is marked as the first of a segment.
    #[inline]
    pub fn starts_segment(self) -> bool {
        self.starts_segment
    }
}

impl From<Point> for Fix {
    fn from(point: Point) -> Self {
        Self::new(point)
    }
}

pub(super) fn checked_z(z: f64) -> Result<f64, FixError> {
    if z.abs() <= PLANAR_MAX { Ok(z) } else { Err(FixError::Z(z)) }
}

#[inline]
pub(super) fn checked_unix_ns(unix_ns: i64) -> Result<i64, FixError> {
    // Both bounds fit 64 bits.
    match (UNIX_S.start * NS_PER_S..UNIX_S.end * NS_PER_S).contains(&unix_ns) {
        true => Ok(unix_ns),
        false => Err(FixError::Time { unix_s: unix_ns.div_euclid(NS_PER_S) }),
    }
}

pub(super) fn checked_accuracy(accuracy_m: f64) -> Result<f64, FixError> {
    match accuracy_m {
        0.0..=PLANAR_MAX => Ok(accuracy_m),
        _ => Err(FixError::Accuracy(accuracy_m)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elevation_or_accuracy_out_of_range_is_refused() {
        let fix = Fix::new(Point::planar(1.0, 2.0).unwrap());
        for bad in [f64::NAN, f64::INFINITY, -2_f64.powi(41)] {
            assert!(fix.with_z(bad).is_err());
            assert!(fix.with_accuracy_m(bad).is_err());
        }
        assert_eq!(fix.with_z(0.0).unwrap().z(), Some(0.0));
        insta::assert_snapshot!(
            fix.with_accuracy_m(-1.0).unwrap_err(),
            @"accuracy_m -1 is not a number from 0 to 2^40"
        );
    }

    #[test]
    fn a_time_outside_the_years_1678_to_2261_is_refused() {
        let fix = Fix::new(Point::planar(1.0, 2.0).unwrap());
        // 1678-01-01T00:00:00Z and 2262-01-01T00:00:00Z.
        let (first, end) = (-9_214_560_000_000_000_000, 9_214_646_400_000_000_000);
        for good in [first, -1, 0, end - 1] {
            assert_eq!(fix.at_unix_ns(good).unwrap().unix_ns(), Some(good));
            let (unix_s, nanos) = (good.div_euclid(NS_PER_S), good.rem_euclid(NS_PER_S));
            assert_eq!(unix_ns(unix_s, nanos as u32), Ok(good));
        }
        for bad in [i64::MIN, first - 1, end, i64::MAX] {
            let error = fix.at_unix_ns(bad).unwrap_err();
            let (unix_s, nanos) = (bad.div_euclid(NS_PER_S), bad.rem_euclid(NS_PER_S));
            assert_eq!(unix_ns(unix_s, nanos as u32), Err(error));
        }
        assert!(unix_ns(i64::MIN, 0).is_err() && unix_ns(i64::MAX, u32::MAX).is_err());
        assert!(unix_ns(9_214_646_399, u32::MAX).is_err());
        insta::assert_snapshot!(
            fix.at_unix_ns(first - 1).unwrap_err(),
            @"time -9214560001 s since 1970 is not in the years 1678 to 2261"
        );
    }
}
