//! Metrics: what the distance between two points is. One file a metric; each works on columns of
//! points and knows nothing of where they come from.

mod geodesic;
pub(super) mod haversine;
mod planar;

use std::fmt;

use super::cost::{self, Cost};
use super::level::Level;
use super::point::{HALF_TURN_E7, Point, Space};

/// How a leg is measured.
///
/// Every metric is symmetric to the bit, is never negative, and is 0 for two equal points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The straight line in the plane, in the caller's unit.
    Planar,
    /// The great circle on a sphere of [`MEAN_EARTH_RADIUS_M`](super::MEAN_EARTH_RADIUS_M), in
    /// metres: off by up to 0.56 % of the true length.
    Haversine,
    /// The geodesic on the WGS84 ellipsoid, in metres.
    ///
    /// Between latitudes of 80 degrees a leg of up to 1 km is within 0.2 nm of its true length, one of
    /// up to 10 km within 10 nm. On to 88 degrees it is 1 nm and 0.2 um. All that a series does not
    /// measure is within 15 nm: legs past 88 degrees, longer ones, and some that are just under 10 km,
    /// since the limit is on the leading order of the length. A test holds this against 136 000 lengths
    /// that were computed in 50 digits by another method.
    ///
    /// That is the error for the coordinates as they are kept: those in E7 and those of up to seven decimals
    /// exactly, others rounded once, by at most 1.4 nm. The length is that of the line through the points,
    /// on the ellipsoid: noise of a receiver lengthens it, sparse sampling shortens it, and height is
    /// not in it.
    Geodesic,
}

impl Metric {
    /// The space whose points it measures.
    pub fn space(self) -> Space {
        match self {
            Metric::Planar => Space::Planar,
            Metric::Haversine | Metric::Geodesic => Space::Geographic,
        }
    }

    /// The legs of a run of points in canonical coordinates: `legs[i]` lies between the points `i`
    /// and `i + 1`.
    ///
    /// A leg depends on its two points alone, never on where in the columns it stands.
    ///
    /// Returns what the long legs cost, which are measured one by one.
    pub(super) fn legs(self, level: Level, x: &[f64], y: &[f64], legs: &mut [f64]) -> Cost {
        debug_assert!(x.len() == y.len() && x.len() == legs.len() + 1);
        let (long_legs, leg_ns) = match self {
            Metric::Planar => {
                planar::legs(level, x, y, legs);
                (0, 0)
            }
            Metric::Haversine => (haversine::legs(level, x, y, legs), cost::LONG_HAVERSINE_LEG_NS),
            Metric::Geodesic => (geodesic::legs(level, x, y, legs), cost::LONG_GEODESIC_LEG_NS),
        };
        Cost { ns: long_legs * leg_ns }
    }

    /// The distance between two points of one space, in canonical coordinates.
    pub(super) fn canonical_distance(self, a: (f64, f64), b: (f64, f64)) -> f64 {
        self.distance_with_cost(a, b).0
    }

    /// The distance between two points of one space, in canonical coordinates, and what it costs.
    pub(super) fn distance_with_cost(self, a: (f64, f64), b: (f64, f64)) -> (f64, Cost) {
        let mut leg = [0.0];
        let long = self.legs(Level::best(), &[a.0, b.0], &[a.1, b.1], &mut leg);
        let single_ns = match self {
            Metric::Planar => cost::SINGLE_PLANAR_LEG_NS,
            Metric::Haversine | Metric::Geodesic => cost::SINGLE_GEOGRAPHIC_LEG_NS,
        };
        (leg[0], long + Cost { ns: single_ns })
    }

    /// The distance between two points, in metres or, for [`Metric::Planar`], in the caller's unit.
    ///
    /// `None` when a point is not of the metric's [`Space`].
    ///
    /// ```
    /// use waywiser::measure::{Metric, Point};
    ///
    /// let (a, b) = (Point::geographic(1.0, 1.0)?, Point::geographic(2.0, 2.0)?);
    /// let distance_m = Metric::Geodesic.distance(a, b).unwrap();
    /// assert!((distance_m - 156_876.149).abs() < 0.001);
    /// # Ok::<(), waywiser::measure::PointError>(())
    /// ```
    pub fn distance(self, a: Point, b: Point) -> Option<f64> {
        let fits = a.space() == self.space() && b.space() == self.space();
        fits.then(|| self.canonical_distance(a.canonical(), b.canonical()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::Planar => "planar",
            Metric::Haversine => "haversine",
            Metric::Geodesic => "geodesic",
        })
    }
}

/// The difference of two longitudes in E7 units, the short way round: 0 to half a turn.
///
/// Across the antimeridian it is taken from there to either side, which is exact up to a quarter turn.
/// A whole turn less the difference would not be: a difference of nearly a turn has fewer bits after the
/// point than either longitude.
#[inline]
fn longitude_between(a: f64, b: f64) -> f64 {
    let difference = (a - b).abs();
    if difference > HALF_TURN_E7 {
        (HALF_TURN_E7 - a.abs()) + (HALF_TURN_E7 - b.abs())
    } else {
        difference
    }
}

#[cfg(test)]
mod tests;
