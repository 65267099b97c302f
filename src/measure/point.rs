//! A point: two coordinates that are finite and in range. The constructors check them.
//!
//! Geographic coordinates are `f64` in units of 1e-7 degree (E7), the canonical unit. It is exact for
//! the integers that trackers send and for degrees of seven decimals; other degrees are rounded once.
//! Planar coordinates are in the caller's unit.

use std::fmt;

/// The largest magnitude of a planar coordinate: 2^40 of the caller's unit.
///
/// It limits a leg to less than 2^42, so that 2^22 legs of this length fit the exact sum. The range of
/// an `int32` is 2^9 times smaller.
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

/// The surface of the points, which defines the meaning of the coordinates.
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

/// A checked point: both coordinates are finite and in range.
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
    /// Returns a point in the plane, in the caller's unit.
    ///
    /// # Errors
    /// Returns an error if a coordinate is not finite or its magnitude is above [`PLANAR_MAX`].
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

    /// Returns a position on the Earth from degrees.
    ///
    /// The longitude is reduced modulo 360: 190 and -170 are the same meridian, and so are 180 and -180.
    ///
    /// If a value is the `f64` nearest to a number of seven decimals, the coordinate is exactly that
    /// number, as from [`Point::from_e7`]. Any other value is multiplied by 1e7 and rounded once. The
    /// rounding error is at most 2^-23 of 1e-7 degree, which is 1.4 nm.
    ///
    /// # Errors
    /// Returns an error if a coordinate is not finite or the latitude is outside -90 to 90.
    #[inline]
    pub fn geographic(latitude_deg: f64, longitude_deg: f64) -> Result<Self, PointError> {
        let is_valid = latitude_deg.abs() <= 90.0 && longitude_deg.is_finite();
        if !is_valid {
            return Err(Self::geographic_error(latitude_deg, longitude_deg));
        }
        // Wrap whole E7 as integers: the remainder of 350.1 degrees is not the number nearest to -9.9.
        let x = match whole_e7(longitude_deg) {
            Some(whole) => wrap_half_turn(whole, HALF_TURN_E7),
            None => to_e7(wrap_half_turn(longitude_deg, 180.0)),
        };
        Ok(Self::checked(Space::Geographic, x, to_e7(latitude_deg)))
    }

    #[cold]
    fn geographic_error(latitude_deg: f64, longitude_deg: f64) -> PointError {
        let coordinates = [("latitude", latitude_deg), ("longitude", longitude_deg)];
        match coordinates.into_iter().find(|(_, value)| !value.is_finite()) {
            Some((axis, value)) => PointError::NotFinite { axis, value },
            None => PointError::Latitude { latitude_deg },
        }
    }

    /// Returns a position on the Earth from units of 1e-7 degree. The longitude is reduced modulo 360
    /// degrees.
    ///
    /// # Errors
    /// Returns an error if the latitude is outside -90 to 90 degrees.
    #[inline]
    pub fn from_e7(latitude_e7: i32, longitude_e7: i32) -> Result<Self, PointError> {
        let y = f64::from(latitude_e7);
        if y.abs() > POLE_E7 {
            return Err(PointError::Latitude { latitude_deg: y / E7_PER_DEG });
        }
        let x = wrap_half_turn(f64::from(longitude_e7), HALF_TURN_E7);
        Ok(Self::checked(Space::Geographic, x, y))
    }

    /// Returns a position on the Earth from 64-bit units of 1e-7 degree.
    ///
    /// # Errors
    /// See [`Point::from_e7`].
    pub(super) fn from_wide_e7(latitude_e7: i64, longitude_e7: i64) -> Result<Self, PointError> {
        if latitude_e7.unsigned_abs() > POLE_E7 as u64 {
            return Err(PointError::Latitude { latitude_deg: latitude_e7 as f64 / E7_PER_DEG });
        }
        // An `i64` may not fit an `f64` exactly. Its remainder does.
        let rest = if longitude_e7.unsigned_abs() <= HALF_TURN_E7 as u64 {
            longitude_e7
        } else {
            longitude_e7 % TURN_E7 as i64
        };
        let x = wrap_half_turn(rest as f64, HALF_TURN_E7);
        Ok(Self::checked(Space::Geographic, x, latitude_e7 as f64))
    }

    /// Returns a point of `space` from `x` (or longitude in degrees) and `y` (or latitude in degrees), in
    /// the axis order of GeoJSON, WKT and PostGIS.
    ///
    /// # Errors
    /// See [`Point::planar`] and [`Point::geographic`].
    #[inline]
    pub fn new(space: Space, x: f64, y: f64) -> Result<Self, PointError> {
        match space {
            Space::Planar => Self::planar(x, y),
            Space::Geographic => Self::geographic(y, x),
        }
    }

    /// Makes a point. Adding zero changes -0 to +0, so that equal points have equal bits.
    #[inline]
    fn checked(space: Space, x: f64, y: f64) -> Self {
        Self { space, x: x + 0.0, y: y + 0.0 }
    }

    /// Returns a point from the canonical coordinates of another point, unchecked.
    pub(super) fn from_canonical(space: Space, (x, y): (f64, f64)) -> Self {
        Self { space, x, y }
    }

    /// Returns x and y in the canonical unit of the space: E7 for geographic points.
    #[inline]
    pub(crate) fn canonical(self) -> (f64, f64) {
        (self.x, self.y)
    }

    /// Returns the surface of the point.
    pub fn space(self) -> Space {
        self.space
    }

    /// Returns x in the caller's unit, or the longitude in degrees from -180 to 180.
    pub fn x(self) -> f64 {
        to_public(self.space, self.x)
    }

    /// Returns y in the caller's unit, or the latitude in degrees from -90 to 90.
    pub fn y(self) -> f64 {
        to_public(self.space, self.y)
    }

    /// Returns latitude and longitude, rounded to the nearest 1e-7 degree (1.1 cm at the equator), or
    /// `None` for a planar point.
    pub fn to_e7(self) -> Option<(i32, i32)> {
        (self.space == Space::Geographic).then(|| (round(self.y), round(self.x)))
    }
}

/// Rounds like `f64::round`, for values that fit an `i32`. Canonical coordinates do: |y| <= 9e8 and
/// |x| <= 1.8e9. It avoids the call of the platform's library, because a client rounds every point.
#[inline]
fn round(value: f64) -> i32 {
    let whole = value as i32;
    let rest = value - f64::from(whole);
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// Converts degrees to E7: exactly, or by one rounded product.
#[inline]
fn to_e7(degrees: f64) -> f64 {
    whole_e7(degrees).unwrap_or(degrees * E7_PER_DEG)
}

/// Returns the whole number of E7 whose nearest `f64` in degrees is `degrees`, or `None` if there is no
/// such number.
///
/// A decimal number of up to seven decimals gives such an `f64`. The product of degrees and 1e7 can miss the
/// whole number by a rounding error, and then files and trackers would differ in the last bits. The quotient is
/// correctly rounded and therefore identifies the number.
///
/// The limit is 2^50 E7, about 300 000 turns. Up to there, the errors of quotient and product together are below
/// a quarter, so that rounding finds the number if it exists.
#[inline]
fn whole_e7(degrees: f64) -> Option<f64> {
    const WHOLE_MAX: f64 = (1_u64 << 50) as f64;
    // An `f64` of this size has no fraction bits. Adding and subtracting it rounds to a whole number, whereas
    // `f64::round` may call the platform's library.
    const NO_FRACTION: f64 = 1.5 * (1_u64 << 52) as f64;
    let whole = (degrees * E7_PER_DEG + NO_FRACTION) - NO_FRACTION;
    (whole / E7_PER_DEG == degrees && whole.abs() <= WHOLE_MAX).then_some(whole)
}

/// Converts degrees from -180 to 180 to E7. The result is that of [`to_e7`], without a division, which is the slowest part
/// of a loop over a column.
///
/// A value is the `f64` nearest to a whole number of E7 if their distance is at most half a unit in its last place. The
/// distance times 1e7 is computed exactly: both parts of the value have at most 27 bits and 1e7 has 24, so that the products
/// are exact, and the differences are multiples of the unit in the last place with few bits. A distance of exactly
/// half a unit does not occur, except as 0: it would be that of a fraction with more bits than a multiple of 1 / 2^7 has. A power
/// of two, which has a smaller unit below it, is a whole number of E7 or far from one.
#[inline(always)]
pub(super) fn to_e7_in_range(degrees: f64) -> f64 {
    const NO_FRACTION: f64 = 1.5 * (1_u64 << 52) as f64;
    const LOW_BITS: u64 = (1 << 27) - 1;
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    const HALF_UNIT: f64 = 0.5 * E7_PER_DEG * f64::EPSILON;
    let bits = degrees.to_bits();
    let product = degrees * E7_PER_DEG;
    let whole = (product + NO_FRACTION) - NO_FRACTION;
    let high = f64::from_bits(bits & !LOW_BITS);
    let distance = (high * E7_PER_DEG - whole) + (degrees - high) * E7_PER_DEG;
    let is_whole = distance.abs() <= f64::from_bits(bits & EXPONENT) * HALF_UNIT;
    if is_whole { whole } else { product }
}

/// Converts a canonical coordinate to the public unit: degrees or the caller's unit.
pub(super) fn to_public(space: Space, value: f64) -> f64 {
    match space {
        Space::Planar => value,
        Space::Geographic => value / E7_PER_DEG,
    }
}

/// Reduces `value` modulo a whole turn to the range from `-half_turn` to `half_turn`, both included.
#[inline]
fn wrap_half_turn(value: f64, half_turn: f64) -> f64 {
    if value.abs() <= half_turn {
        return value;
    }
    // The remainder is exact. The subtraction is exact too, because its operands differ by at most a factor of
    // two.
    let rest = value % (2.0 * half_turn);
    if rest > half_turn {
        rest - 2.0 * half_turn
    } else if rest < -half_turn {
        rest + 2.0 * half_turn
    } else {
        rest
    }
}

/// A pair of coordinates that is not a valid point. The caller adds the position in the input.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// A coordinate is NaN or infinite.
    #[error("{axis} {value} is not a finite number")]
    NotFinite {
        /// The name of the coordinate.
        axis: &'static str,
        /// The value.
        value: f64,
    },
    /// The latitude is outside -90 to 90 degrees.
    #[error("latitude {latitude_deg} is not between -90 and 90 degrees")]
    Latitude {
        /// The latitude in degrees.
        latitude_deg: f64,
    },
    /// The magnitude of a planar coordinate is above [`PLANAR_MAX`].
    #[error("{axis} {value} is not between -2^40 and 2^40")]
    PlanarRange {
        /// The name of the coordinate.
        axis: &'static str,
        /// The value in the caller's unit.
        value: f64,
    },
}

#[cfg(test)]
mod tests;
