//! The great circle on a sphere, by the haversine formula.
//!
//! Sinnott (1984), "Virtues of the Haversine", Sky and Telescope 68(2), 159. It keeps its digits
//! for short legs, where the law of cosines loses them all.

use super::longitude_between;

/// The mean radius R1 of the Earth in metres, (2a + b) / 3 of WGS84: Moritz (2000), "Geodetic
/// Reference System 1980", Journal of Geodesy 74, 128-133.
pub const MEAN_EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Radians in an E7 unit.
const RAD_PER_E7: f64 = std::f64::consts::PI / 1_800_000_000.0;

/// Great-circle legs in metres of points in E7 units.
///
/// Differences are taken in E7, where they are exact for integers, and only then turned into
/// radians. The arc comes from `atan2`, whose second root is clamped: at the antipode rounding may
/// take the haversine past 1. Near the antipode a leg is good to about a decimetre, elsewhere to a
/// relative 1e-15 or so.
pub(super) fn legs(x: &[f64], y: &[f64], legs: &mut [f64]) {
    let Some(&first) = y.first() else { return };
    let mut cos_before = (first * RAD_PER_E7).cos();
    for ((leg, x), y) in legs.iter_mut().zip(x.windows(2)).zip(y.windows(2)) {
        let cos_here = (y[1] * RAD_PER_E7).cos();
        let sin_dy = ((y[1] - y[0]).abs() * (0.5 * RAD_PER_E7)).sin();
        let sin_dx = (longitude_between(x[0], x[1]) * (0.5 * RAD_PER_E7)).sin();
        let hav = sin_dy * sin_dy + cos_before * cos_here * (sin_dx * sin_dx);
        *leg = 2.0 * MEAN_EARTH_RADIUS_M * hav.sqrt().atan2((1.0 - hav).max(0.0).sqrt());
        cos_before = cos_here;
    }
}
