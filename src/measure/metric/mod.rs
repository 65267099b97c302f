//! The metrics, which define the distance between two points. Each has a file of its own and computes the
//! legs of columns of points.

mod geodesic;
pub(super) mod haversine;
mod planar;

use std::fmt;

use super::cost::{self, Cost};
use super::level::Level;
use super::point::{HALF_TURN_E7, Point, Space};

/// The number of legs of [`Metric::few_legs`].
pub(super) const FEW_LEGS: usize = geodesic::FEW;

/// The definition of the length of a leg.
///
/// Every metric is symmetric (bit-identical in both directions), not negative, and 0 for two equal points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The straight line in the plane, in the caller's unit.
    Planar,
    /// The great circle on a sphere of [`MEAN_EARTH_RADIUS_M`](super::MEAN_EARTH_RADIUS_M), in metres. It
    /// differs from the length on the ellipsoid by up to 0.56 %.
    Haversine,
    /// The geodesic on the WGS84 ellipsoid, in metres.
    ///
    /// Up to a latitude of 80 degrees, the error of a leg of up to 1 km is at most 0.2 nm, and that of a leg
    /// of up to 10 km is at most 10 nm. Up to 88 degrees, the bounds are 1 nm and 0.2 um. These legs are
    /// measured with a series. The error of all other legs is at most 15 nm: legs beyond 88 degrees, longer
    /// legs, and some legs just below 10 km, because the limit applies to the leading order of the length. A
    /// test checks these bounds against 136 000 lengths with 50 digits from another method.
    ///
    /// The bounds apply to the stored coordinates. Coordinates in E7 or with up to seven decimals are stored
    /// exactly. Others are rounded once, by at most 1.4 nm. The length is that of the line through the
    /// points on the ellipsoid, without heights. Receiver noise makes it longer, and sparse sampling makes
    /// it shorter.
    Geodesic,
}

impl Metric {
    /// Returns the space of the points.
    pub fn space(self) -> Space {
        match self {
            Metric::Planar => Space::Planar,
            Metric::Haversine | Metric::Geodesic => Space::Geographic,
        }
    }

    /// Computes the legs of a run of points in canonical coordinates: `legs[i]` is the distance between the
    /// points `i` and `i + 1`.
    ///
    /// A leg depends only on its two points, not on its position in the columns.
    ///
    /// Returns the cost of the long legs, which are measured one by one.
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

    /// Computes the first `count` legs of longer columns as [`Metric::legs`] does, for lines of few points. The other results
    /// are undefined. Returns `false` if it does not compute them.
    #[inline]
    pub(super) fn few_legs(
        self,
        level: Level,
        x: &[f64; FEW_LEGS + 1],
        y: &[f64; FEW_LEGS + 1],
        count: usize,
        legs: &mut [f64; FEW_LEGS],
    ) -> bool {
        debug_assert!(count <= FEW_LEGS);
        self == Metric::Geodesic && geodesic::few_short_legs(level, x, y, count, legs)
    }

    /// Returns the distance between two points of one space, in canonical coordinates.
    pub(super) fn canonical_distance(self, a: (f64, f64), b: (f64, f64)) -> f64 {
        self.distance_with_cost(a, b).0
    }

    /// Returns the distance between two points of one space, in canonical coordinates, and its cost.
    pub(super) fn distance_with_cost(self, a: (f64, f64), b: (f64, f64)) -> (f64, Cost) {
        let mut leg = [0.0];
        let long = self.legs(Level::best(), &[a.0, b.0], &[a.1, b.1], &mut leg);
        let single_ns = match self {
            Metric::Planar => cost::SINGLE_PLANAR_LEG_NS,
            Metric::Haversine | Metric::Geodesic => cost::SINGLE_GEOGRAPHIC_LEG_NS,
        };
        (leg[0], long + Cost { ns: single_ns })
    }

    /// Returns the distance between two points, in metres or, for [`Metric::Planar`], in the caller's unit.
    /// Returns `None` if a point is not in the [`Space`] of the metric.
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

/// Returns the smaller difference of two longitudes in E7 units, from 0 to half a turn.
///
/// Across the antimeridian it adds the distances of both longitudes to the antimeridian, which is exact up to
/// a quarter turn. A whole turn minus the difference is not exact, because a difference of nearly a turn has
/// fewer fraction bits than either longitude.
#[inline]
pub(super) fn longitude_between(a: f64, b: f64) -> f64 {
    let difference = (a - b).abs();
    if difference > HALF_TURN_E7 {
        (HALF_TURN_E7 - a.abs()) + (HALF_TURN_E7 - b.abs())
    } else {
        difference
    }
}

#[cfg(test)]
mod tests;
