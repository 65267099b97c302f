//! A fix: a point and what a receiver knows of it beside its place. Checked once, here.

use super::point::{PLANAR_MAX, Point};

/// A checked fix. One that exists is in range in all it has.
///
/// ```
/// use waywiser::measure::{Fix, Point};
///
/// let point = Point::geographic(46.4397, 13.7433)?;
/// let fix = Fix::new(point).at_unix_ns(1_700_000_000_000_000_000).with_z(1611.0)?;
/// assert_eq!(fix.z(), Some(1611.0));
/// assert!(fix.with_accuracy_m(-1.0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fix {
    point: Point,
    z: Option<f64>,
    unix_ns: Option<i64>,
    accuracy_m: Option<f64>,
    starts_segment: bool,
}

/// Why something is no part of a fix.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// An elevation that is not finite or past 2^40.
    #[error("z {0} is not a number between -2^40 and 2^40")]
    Z(f64),
    /// A radius that is not finite or negative.
    #[error("accuracy_m {0} is not a number from 0 to 2^40")]
    Accuracy(f64),
}

impl Fix {
    /// A point of which nothing else is known.
    #[inline]
    pub fn new(point: Point) -> Self {
        Self { point, z: None, unix_ns: None, accuracy_m: None, starts_segment: false }
    }

    /// With an elevation: metres or, in the plane, the caller's unit. 0 is one.
    ///
    /// # Errors
    /// When it is not finite or past 2^40.
    #[inline]
    pub fn with_z(self, z: f64) -> Result<Self, FixError> {
        // Adding zero turns -0 into +0, so that equal fixes have equal bits.
        Ok(Self { z: Some(checked_z(z)? + 0.0), ..self })
    }

    /// With a time: nanoseconds since 1970-01-01T00:00:00Z. The smallest `i64`, in the year 1677, is
    /// taken for the one after it.
    #[inline]
    pub fn at_unix_ns(self, unix_ns: i64) -> Self {
        // Columns have the smallest where there is no time.
        Self { unix_ns: Some(unix_ns.max(-i64::MAX)), ..self }
    }

    /// With the radius in metres within which the receiver believes to be.
    ///
    /// # Errors
    /// When it is not finite, negative or past 2^40.
    #[inline]
    pub fn with_accuracy_m(self, accuracy_m: f64) -> Result<Self, FixError> {
        Ok(Self { accuracy_m: Some(checked_accuracy(accuracy_m)? + 0.0), ..self })
    }

    /// As the first of a segment: no leg joins the fix before to it.
    #[inline]
    pub fn starting_segment(self) -> Self {
        Self { starts_segment: true, ..self }
    }

    /// Where it is.
    #[inline]
    pub fn point(self) -> Point {
        self.point
    }

    /// The elevation in metres or, in the plane, in the caller's unit.
    #[inline]
    pub fn z(self) -> Option<f64> {
        self.z
    }

    /// The time in nanoseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn unix_ns(self) -> Option<i64> {
        self.unix_ns
    }

    /// The accuracy radius in metres.
    #[inline]
    pub fn accuracy_m(self) -> Option<f64> {
        self.accuracy_m
    }

    /// Whether no leg joins the fix before to it.
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
    fn what_is_out_of_range_is_no_part_of_a_fix() {
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
}
