//! A point: two coordinates that are finite and in range, checked once, here.
//!
//! Geographic coordinates are kept as `f64` in units of 1e-7 degree (E7), the one canonical unit:
//! it is exact for the integers that trackers send and for degrees of seven decimals, and other
//! degrees are rounded once. Planar ones are kept in the caller's unit.

use std::fmt;

/// The largest planar coordinate, either way: 2^40 of the caller's unit.
///
/// It keeps every leg below 2^42, so that 2^22 of the longest fit the exact sum; the range of an `int32`
/// is 2^9 times smaller.
pub const PLANAR_MAX: f64 = (1_u64 << 40) as f64;

/// E7 units in a degree.
const E7_PER_DEG: f64 = 1e7;
/// The E7 unit in degrees.
pub(super) const E7_DEG: f64 = 1e-7;
/// A quarter turn in E7 units: the latitude of the north pole.
pub(super) const POLE_E7: f64 = 90.0 * E7_PER_DEG;
/// Half a turn in E7 units: the antimeridian.
pub(super) const HALF_TURN_E7: f64 = 180.0 * E7_PER_DEG;
/// A whole turn in E7 units.
pub(super) const TURN_E7: f64 = 360.0 * E7_PER_DEG;

/// The surface that points lie on; it decides what their coordinates mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// The plane: x and y in the caller's unit.
    Planar,
    /// The Earth: longitude and latitude.
    Geographic,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Space::Planar => "planar",
            Space::Geographic => "geographic",
        })
    }
}

/// A checked point. One that exists is finite and in range.
///
/// ```
/// use waywiser::measure::Point;
///
/// let point = Point::geographic(46.4397, 13.7433)?;
/// assert_eq!(point.y(), 46.4397);
/// assert!(Point::geographic(91.0, 0.0).is_err());
/// # Ok::<(), waywiser::measure::PointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    space: Space,
    x: f64,
    y: f64,
}

impl Point {
    /// A point in the plane, in the caller's unit.
    ///
    /// # Errors
    /// When a coordinate is not finite or is larger than [`PLANAR_MAX`].
    pub fn planar(x: f64, y: f64) -> Result<Self, PointError> {
        for (axis, value) in [("x", x), ("y", y)] {
            if !value.is_finite() {
                return Err(PointError::NotFinite { axis, value });
            }
            if value.abs() > PLANAR_MAX {
                return Err(PointError::PlanarRange { axis, value });
            }
        }
        Ok(Self::checked(Space::Planar, x, y))
    }

    /// A position on the Earth, in degrees.
    ///
    /// The longitude is taken modulo 360, so 190 and -170 are one meridian, and so are 180 and -180.
    ///
    /// Degrees that are the `f64` nearest to a number of seven decimals become exactly that number, the
    /// one that [`Point::from_e7`] makes. All others are multiplied by 1e7 and rounded once, by at most
    /// 2^-23 of 1e-7 degree: 1.4 nm.
    ///
    /// # Errors
    /// When a coordinate is not finite or the latitude lies beyond a pole.
    #[inline]
    pub fn geographic(latitude_deg: f64, longitude_deg: f64) -> Result<Self, PointError> {
        let is_one = latitude_deg.abs() <= 90.0 && longitude_deg.is_finite();
        if !is_one {
            return Err(Self::no_geographic(latitude_deg, longitude_deg));
        }
        // Whole E7 are wrapped as such: the remainder of 350.1 is not the number nearest to -9.9.
        let x = match whole_e7(longitude_deg) {
            Some(whole) => wrap_half_turn(whole, HALF_TURN_E7),
            None => to_e7(wrap_half_turn(longitude_deg, 180.0)),
        };
        Ok(Self::checked(Space::Geographic, x, to_e7(latitude_deg)))
    }

    #[cold]
    fn no_geographic(latitude_deg: f64, longitude_deg: f64) -> PointError {
        let coordinates = [("latitude", latitude_deg), ("longitude", longitude_deg)];
        match coordinates.into_iter().find(|(_, value)| !value.is_finite()) {
            Some((axis, value)) => PointError::NotFinite { axis, value },
            None => PointError::Latitude { latitude_deg },
        }
    }

    /// A position on the Earth, in units of 1e-7 degree.
    ///
    /// # Errors
    /// When the latitude lies beyond a pole. Any longitude is taken, modulo 360 degrees.
    #[inline]
    pub fn from_e7(latitude_e7: i32, longitude_e7: i32) -> Result<Self, PointError> {
        let y = f64::from(latitude_e7);
        if y.abs() > POLE_E7 {
            return Err(PointError::Latitude { latitude_deg: y / E7_PER_DEG });
        }
        let x = wrap_half_turn(f64::from(longitude_e7), HALF_TURN_E7);
        Ok(Self::checked(Space::Geographic, x, y))
    }

    /// The same for wider numbers: any longitude is taken.
    ///
    /// # Errors
    /// As [`Point::from_e7`].
    pub(super) fn from_wide_e7(latitude_e7: i64, longitude_e7: i64) -> Result<Self, PointError> {
        if latitude_e7.unsigned_abs() > POLE_E7 as u64 {
            return Err(PointError::Latitude { latitude_deg: latitude_e7 as f64 / E7_PER_DEG });
        }
        // The remainder of what an f64 may not hold fits one easily.
        let rest = if longitude_e7.unsigned_abs() <= HALF_TURN_E7 as u64 {
            longitude_e7
        } else {
            longitude_e7 % TURN_E7 as i64
        };
        let x = wrap_half_turn(rest as f64, HALF_TURN_E7);
        Ok(Self::checked(Space::Geographic, x, latitude_e7 as f64))
    }

    /// A point of `space` with `x` (or longitude in degrees) and `y` (or latitude in degrees): the
    /// axis order of GeoJSON, WKT and PostGIS.
    ///
    /// # Errors
    /// As [`Point::planar`] and [`Point::geographic`].
    #[inline]
    pub fn new(space: Space, x: f64, y: f64) -> Result<Self, PointError> {
        match space {
            Space::Planar => Self::planar(x, y),
            Space::Geographic => Self::geographic(y, x),
        }
    }

    /// Adding zero turns -0 into +0, so that equal points have equal bits.
    #[inline]
    fn checked(space: Space, x: f64, y: f64) -> Self {
        Self { space, x: x + 0.0, y: y + 0.0 }
    }

    /// A point from canonical coordinates that came out of one.
    pub(super) fn from_canonical(space: Space, (x, y): (f64, f64)) -> Self {
        Self { space, x, y }
    }

    /// The coordinates in the canonical unit of the space: E7 on the Earth.
    #[inline]
    pub(crate) fn canonical(self) -> (f64, f64) {
        (self.x, self.y)
    }

    /// The surface the point lies on.
    pub fn space(self) -> Space {
        self.space
    }

    /// x in the caller's unit, or the longitude in degrees, -180 to 180.
    pub fn x(self) -> f64 {
        to_public(self.space, self.x)
    }

    /// y in the caller's unit, or the latitude in degrees, -90 to 90.
    pub fn y(self) -> f64 {
        to_public(self.space, self.y)
    }

    /// Latitude and longitude rounded to the nearest 1e-7 degree (1.1 cm at the equator), or
    /// `None` for a planar point.
    pub fn to_e7(self) -> Option<(i32, i32)> {
        (self.space == Space::Geographic).then(|| (round(self.y), round(self.x)))
    }
}

/// `f64::round` for what fits an `i32`, as canonical coordinates do by construction (|y| <= 9e8,
/// |x| <= 1.8e9), without its call into the platform's library: a client rounds every point it sends.
#[inline]
fn round(value: f64) -> i32 {
    let whole = value as i32;
    let rest = value - f64::from(whole);
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// Degrees in E7: exactly, or the product rounded once.
#[inline]
fn to_e7(degrees: f64) -> f64 {
    whole_e7(degrees).unwrap_or(degrees * E7_PER_DEG)
}

/// The whole number of E7 to which `degrees` is the nearest `f64`, as it is when a number of up to seven
/// decimals was read. The product may miss that by a rounding, and files and trackers would then
/// differ in the last bits; the quotient, being correctly rounded, tells it from its neighbours.
///
/// Only up to 2^50 E7, some 300 000 turns. There, quotient and product together are off by a quarter, so that
/// rounding finds the number if there is one.
#[inline]
fn whole_e7(degrees: f64) -> Option<f64> {
    const WHOLE_MAX: f64 = (1_u64 << 50) as f64;
    // Numbers of this size end at the point: added and taken off again it rounds, where `f64::round` may be a
    // call into the platform's library.
    const ENDS_AT_POINT: f64 = 1.5 * (1_u64 << 52) as f64;
    let whole = (degrees * E7_PER_DEG + ENDS_AT_POINT) - ENDS_AT_POINT;
    (whole / E7_PER_DEG == degrees && whole.abs() <= WHOLE_MAX).then_some(whole)
}

/// A canonical coordinate in the unit that callers see.
pub(super) fn to_public(space: Space, value: f64) -> f64 {
    match space {
        Space::Planar => value,
        Space::Geographic => value / E7_PER_DEG,
    }
}

/// `value` modulo a whole turn, between minus and plus `half_turn`, both included.
#[inline]
fn wrap_half_turn(value: f64, half_turn: f64) -> f64 {
    if value.abs() <= half_turn {
        return value;
    }
    // The remainder is exact, and so is the subtraction: both operands are within a factor of two.
    let rest = value % (2.0 * half_turn);
    if rest > half_turn {
        rest - 2.0 * half_turn
    } else if rest < -half_turn {
        rest + 2.0 * half_turn
    } else {
        rest
    }
}

/// Why two numbers are not a point. Give the caller the place; the message tells the rest.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// A NaN or an infinity.
    #[error("{axis} {value} is not a finite number")]
    NotFinite {
        /// The coordinate's name.
        axis: &'static str,
        /// What it was.
        value: f64,
    },
    /// A latitude beyond a pole.
    #[error("latitude {latitude_deg} is not between -90 and 90 degrees")]
    Latitude {
        /// What it was, in degrees.
        latitude_deg: f64,
    },
    /// A planar coordinate past [`PLANAR_MAX`].
    #[error("{axis} {value} is not between -2^40 and 2^40")]
    PlanarRange {
        /// The coordinate's name.
        axis: &'static str,
        /// What it was, in the caller's unit.
        value: f64,
    },
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use proptest::prelude::Strategy as _;

    use super::*;
    use crate::measure::scale::Scale;

    fn magnitude(value: &BigRational) -> BigRational {
        if *value < BigRational::from_integer(0.into()) { -value } else { value.clone() }
    }

    #[test]
    fn a_longitude_is_taken_modulo_360() {
        let x = |deg| Point::geographic(0.0, deg).unwrap().x();
        assert_eq!(x(190.0), -170.0);
        assert_eq!(x(-190.0), 170.0);
        assert_eq!(x(360.0), 0.0);
        assert_eq!(x(540.0), 180.0);
        assert_eq!(x(1e300), (1e300 % 360.0) - if 1e300 % 360.0 > 180.0 { 360.0 } else { 0.0 });
        assert_eq!(Point::from_e7(0, 1_900_000_000).unwrap().x(), -170.0);
        assert_eq!(Point::from_e7(0, i32::MIN).unwrap().x(), 145.251_635_2);
    }

    #[test]
    fn the_poles_are_in_range_and_nothing_past_them_is() {
        assert!(Point::geographic(90.0, 0.0).is_ok());
        assert!(Point::from_e7(-900_000_000, 0).is_ok());
        assert_eq!(
            Point::from_e7(900_000_001, 0).unwrap_err().to_string(),
            "latitude 90.0000001 is not between -90 and 90 degrees"
        );
        assert!(Point::geographic(90.0_f64.next_up(), 0.0).is_err());
    }

    #[test]
    fn what_is_not_finite_is_no_point() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Point::planar(bad, 0.0).is_err());
            assert!(Point::planar(0.0, bad).is_err());
            assert!(Point::geographic(bad, 0.0).is_err());
            assert!(Point::geographic(0.0, bad).is_err());
        }
        assert!(Point::planar(PLANAR_MAX, -PLANAR_MAX).is_ok());
        assert!(Point::planar(PLANAR_MAX.next_up(), 0.0).is_err());
    }

    proptest::proptest! {
        #[test]
        fn rounding_is_that_of_the_standard_library(value in -1.8e9..=1.8e9_f64, half: i16) {
            for value in [value, f64::from(half) / 2.0, f64::from(half) / 2.0 + 1e-12] {
                proptest::prop_assert_eq!(f64::from(round(value)), value.round());
            }
        }

        #[test]
        fn degrees_of_seven_decimals_are_the_integers_they_mean(
            latitude in -900_000_000..=900_000_000_i32,
            longitude in proptest::prop_oneof![
                -1_800_000_000..=1_800_000_000_i64,
                -3_700_000_000..=3_700_000_000_i64,
                -1_i64 << 49..=1 << 49,
            ],
        ) {
            let degrees = |e7: i64| format!("{e7}e-7").parse::<f64>().unwrap();
            let latitude_deg = degrees(latitude.into());
            let point = Point::geographic(latitude_deg, degrees(longitude)).unwrap();
            proptest::prop_assert_eq!(point, Point::from_wide_e7(latitude.into(), longitude).unwrap());
            proptest::prop_assert_eq!(point.y(), latitude_deg);
        }

        #[test]
        fn columns_of_fewer_decimals_are_the_integers_they_mean(
            latitude in -90_000_i64..=90_000, longitude in -1_000_000_i64..=1_000_000, digits in 3..7_u32,
        ) {
            let scale = Scale::new(format!("1e-{digits}").parse().unwrap());
            let (finer, e7) = (10_i64.pow(digits - 3), 10_i64.pow(7 - digits));
            let (latitude, longitude) = (latitude * finer, longitude * finer - 1);
            let point = Point::geographic(scale.apply(latitude as f64), scale.apply(longitude as f64));
            proptest::prop_assert_eq!(point, Point::from_wide_e7(latitude * e7, longitude * e7));
        }

        #[test]
        fn other_degrees_are_rounded_once(
            degrees in proptest::prop_oneof![
                -400.0..=400.0_f64,
                // Near a number of seven decimals.
                (-4_000_000_000..=4_000_000_000_i64, -3..=3_i64).prop_map(|(e7, ulps)| {
                    f64::from_bits((e7 as f64 / 1e7).to_bits().wrapping_add_signed(ulps))
                }),
                -1e17..1e17_f64,
            ].prop_filter("a number", |degrees| degrees.is_finite()),
        ) {
            let (kept, _) = Point::geographic(0.0, degrees).unwrap().canonical();
            // What was meant, modulo a turn.
            let exact = |value: f64| BigRational::from_float(value).unwrap();
            let turn = exact(TURN_E7);
            let turned = exact(degrees) * exact(1e7) - exact(kept);
            let error = &turned - (&turned / &turn).round() * &turn;
            if kept == kept.trunc() && ((kept / 1e7 == degrees) || degrees.abs() > 180.0) {
                // A number of seven decimals, which `degrees` is nearest to.
                let ulp = degrees.abs().next_up() - degrees.abs();
                proptest::prop_assert!(magnitude(&error) <= exact(ulp / 2.0) * exact(1e7), "{} {}", degrees, kept);
            } else {
                proptest::prop_assert!(magnitude(&error) <= exact(2_f64.powi(-23)), "{} {}", degrees, kept);
            }
        }
    }

    #[test]
    fn a_neighbour_of_seven_decimals_is_not_taken_for_them() {
        let x = |deg| Point::geographic(0.0, deg).unwrap().canonical().0;
        assert_eq!(x(164.832_491_2), 1_648_324_912.0);
        assert_ne!(x(164.832_491_199_999_96), 1_648_324_912.0);
        assert_eq!(x(179.123_456_7), 1_791_234_567.0);
        assert_ne!(x(179.123_456_7_f64.next_up()), 1_791_234_567.0);
        assert_eq!(x(350.1), -99_000_000.0);
        assert_eq!(x(-9.9), -99_000_000.0);
    }

    #[test]
    fn minus_zero_is_zero() {
        let (x, y) = Point::planar(-0.0, -0.0).unwrap().canonical();
        assert!(x.is_sign_positive() && y.is_sign_positive());
        let (x, y) = Point::geographic(-0.0, -360.0).unwrap().canonical();
        assert!(x.is_sign_positive() && y.is_sign_positive());
    }

    #[test]
    fn e7_survives_the_way_there_and_back() {
        for e7 in [(1, -1), (464_397_123, 137_433_321), (-900_000_000, 1_800_000_000)] {
            assert_eq!(Point::from_e7(e7.0, e7.1).unwrap().to_e7(), Some(e7));
        }
        assert_eq!(Point::planar(1.0, 2.0).unwrap().to_e7(), None);
    }
}
