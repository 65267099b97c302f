//! The geodesic on the WGS84 ellipsoid.
//!
//! A series about the middle latitude measures legs of up to 10 km, in blocks. Longer legs and legs near a
//! pole use the algorithm of Karney (2013), "Algorithms for geodesics", Journal of Geodesy 87, 43-55,
//! section 4, as implemented by geographiclib-rs. It converges for all pairs of points. The choice depends
//! only on the two points of a leg. `docs/geodesic.md` has the derivation, the limits and the errors.

mod kernel;
mod series;
mod table;

use std::sync::LazyLock;

use geographiclib_rs::{Geodesic, InverseGeodesic};

use super::longitude_between;
use crate::measure::level::Level;

/// Computes the geodesic legs in metres of points in E7 units. Returns the number of legs that the series does
/// not measure.
pub(super) fn legs(level: Level, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let long_legs = kernel::legs(level, table::table(), x, y, legs);
    if long_legs == 0 {
        return 0;
    }
    for ((leg, x), y) in legs.iter_mut().zip(x.windows(2)).zip(y.windows(2)) {
        if leg.is_nan() {
            let (x, y) = ([x[0], x[1]], [y[0], y[1]]);
            *leg = by_series(x, y).unwrap_or_else(|| inverse((y[0], x[0]), (y[1], x[1])));
        }
    }
    long_legs
}

/// The number of legs of [`few_short_legs`].
pub(super) const FEW: usize = kernel::FEW;

/// Computes the first `count` legs of longer columns as [`legs`] does. Returns `false` if they are not computed.
pub(super) fn few_short_legs(
    level: Level,
    x: &[f64; FEW + 1],
    y: &[f64; FEW + 1],
    count: usize,
    legs: &mut [f64; FEW],
) -> bool {
    kernel::few_short_legs(level, table::table(), x, y, count, legs)
}

/// Computes one leg with the series, with the smaller difference of longitudes. Returns `None` if the series is
/// not valid for it.
fn by_series(x: [f64; 2], y: [f64; 2]) -> Option<f64> {
    let dx = longitude_between(x[0], x[1]);
    let leg = kernel::single(table::table(), dx, y[1] - y[0], y[0] + y[1]);
    (!leg.is_nan()).then_some(leg)
}

/// Computes one leg with Karney's algorithm. It sorts the two ends first, because the solutions of a leg and of
/// its reverse differ by nanometres, and a metric must be exactly symmetric.
fn inverse(a: (f64, f64), b: (f64, f64)) -> f64 {
    static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);
    if a == b {
        return 0.0;
    }
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    // Division is correctly rounded, so a coordinate of seven decimals becomes the nearest `f64`.
    let deg = |e7: f64| e7 / 1e7;
    let length_m: f64 = WGS84.inverse(deg(a.0), deg(a.1), deg(b.0), deg(b.1));
    // Rounding can make the length of a tiny leg negative.
    if length_m > 0.0 { length_m } else { 0.0 }
}

#[cfg(test)]
mod tests;
