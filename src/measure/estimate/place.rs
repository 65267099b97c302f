//! The place and the time of a fix, and a plane that touches the Earth near it.
//!
//! Places become Cartesian coordinates on the ellipsoid. The plane is the tangent plane at an origin, and
//! a place is projected at a right angle to it. So neither the antimeridian nor a pole is special. A leg
//! that is 500 km away from the origin is 0.3 % too short in the plane.

use super::super::metric::haversine::sine_of_e7;
use super::super::point::{E7_DEG, HALF_TURN_E7, POLE_E7};

/// The equatorial radius of WGS84 in metres.
const EQUATOR_M: f64 = 6_378_137.0;
/// The squared eccentricity of WGS84: f (2 - f), f = 1 / 298.257223563.
const ECCENTRICITY_2: f64 = 6.694_379_990_141_317e-3;

/// A fix of the estimator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The longitude in units of 1e-7 degree.
    pub(super) longitude_e7: i32,
    /// The latitude in units of 1e-7 degree.
    pub(super) latitude_e7: i32,
    /// The time in nanoseconds since 1970-01-01T00:00:00Z.
    pub(super) unix_ns: i64,
}

impl Place {
    /// Returns the place of canonical coordinates, rounded to whole units of 1e-7 degree.
    pub(super) fn new((longitude, latitude): (f64, f64), unix_ns: i64) -> Self {
        // The canonical coordinates are below 2^31, and a conversion saturates.
        let round = |value: f64| value.round_ties_even() as i32;
        // The antimeridian has one longitude, so that differences and places match.
        let longitude_e7 = match round(longitude) {
            1_800_000_000 => -1_800_000_000,
            longitude_e7 => longitude_e7,
        };
        Self { longitude_e7, latitude_e7: round(latitude), unix_ns }
    }

    /// Returns the longitude and the latitude in degrees.
    pub(super) fn degrees(self) -> [f64; 2] {
        [f64::from(self.longitude_e7) * E7_DEG, f64::from(self.latitude_e7) * E7_DEG]
    }

    /// Returns the Cartesian coordinates in metres. The origin is the centre of the Earth.
    #[inline(always)]
    pub(super) fn cartesian(self) -> [f64; 3] {
        let [sine, cosine] = sine_and_cosine(f64::from(self.latitude_e7));
        let [sine_x, cosine_x] = sine_and_cosine(f64::from(self.longitude_e7));
        let radius = EQUATOR_M / (1.0 - ECCENTRICITY_2 * sine * sine).sqrt();
        let across = radius * cosine;
        [across * cosine_x, across * sine_x, radius * (1.0 - ECCENTRICITY_2) * sine]
    }

    /// Returns the distance to another place in metres: the arc over the chord, on a sphere. The relative error is
    /// below 0.3 %, and below 1e-6 for legs under 50 km.
    pub(super) fn distance_m(self, other: Self) -> f64 {
        const DIAMETER_M: f64 = 2.0 * 6_371_008.8;
        let (from, to) = (self.cartesian(), other.cartesian());
        let [x, y, z] = [to[0] - from[0], to[1] - from[1], to[2] - from[2]];
        let chord = (x * x + y * y + z * z).sqrt();
        let mut sine = (chord / DIAMETER_M).min(1.0);
        // Halves the angle three times: sin(a / 2) = sin(a) / sqrt(2 + 2 cos(a)).
        for _ in 0..3 {
            sine /= (2.0 + 2.0 * (1.0 - sine * sine).sqrt()).sqrt();
        }
        let square = sine * sine;
        let series = 1.0
            + square
                * (1.0 / 6.0
                    + square * (3.0 / 40.0 + square * (5.0 / 112.0 + square * (35.0 / 1152.0))));
        8.0 * DIAMETER_M * sine * series
    }

    /// Returns the differences of latitude and longitude in units of 1e-7 degree. The second one is the smaller
    /// angle, at most half a turn.
    pub(super) fn differences_e7(self, other: Self) -> [i64; 2] {
        let latitude = i64::from(other.latitude_e7) - i64::from(self.latitude_e7);
        let longitude = i64::from(other.longitude_e7) - i64::from(self.longitude_e7);
        [latitude, wrapped(longitude)]
    }
}

/// Returns an angle of less than three half turns as an angle from minus half a turn to less than half a turn.
pub(super) fn wrapped(difference_e7: i64) -> i64 {
    const HALF: i64 = 1_800_000_000;
    if difference_e7 >= HALF {
        difference_e7 - 2 * HALF
    } else if difference_e7 < -HALF {
        difference_e7 + 2 * HALF
    } else {
        difference_e7
    }
}

/// Returns the sine and the cosine of an angle of at most half a turn in units of 1e-7 degree.
#[inline(always)]
fn sine_and_cosine(angle_e7: f64) -> [f64; 2] {
    let angle = angle_e7.abs();
    let folded = if angle > POLE_E7 { HALF_TURN_E7 - angle } else { angle };
    let sine = sine_of_e7(folded);
    [if angle_e7 < 0.0 { -sine } else { sine }, sine_of_e7(POLE_E7 - angle)]
}

/// A plane that touches the Earth at an origin. Its axes point to the east and to the north at the origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    origin: [f64; 3],
    east: [f64; 3],
    north: [f64; 3],
}

impl Plane {
    pub(super) fn at(origin: Place) -> Self {
        let [sine, cosine] = sine_and_cosine(f64::from(origin.latitude_e7));
        let [sine_x, cosine_x] = sine_and_cosine(f64::from(origin.longitude_e7));
        Self {
            origin: origin.cartesian(),
            east: [-sine_x, cosine_x, 0.0],
            north: [-sine * cosine_x, -sine * sine_x, cosine],
        }
    }

    /// Returns the coordinates of a place in metres to the east and to the north.
    #[inline(always)]
    pub(super) fn project(&self, place: Place) -> [f64; 2] {
        let at = place.cartesian();
        let offset = [at[0] - self.origin[0], at[1] - self.origin[1], at[2] - self.origin[2]];
        [dot(offset, self.east), dot(offset, self.north)]
    }

    /// Returns the rotation of vectors of this plane to those of another plane, row by row.
    pub(super) fn rotation_to(&self, other: &Self) -> [[f64; 2]; 2] {
        [other.east, other.north].map(|axis| [dot(axis, self.east), dot(axis, self.north)])
    }
}

#[inline(always)]
fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
