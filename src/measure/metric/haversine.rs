//! The great circle on a sphere, by the haversine formula.
//!
//! Sinnott (1984), "Virtues of the Haversine", Sky and Telescope 68(2), 159. It keeps its digits
//! for short legs, where the law of cosines loses them all.

use super::longitude_between;
use crate::measure::Block;
use crate::measure::level::{Level, kernel};
use crate::measure::point::{HALF_TURN_E7, POLE_E7, TURN_E7};

/// The mean radius R1 of the Earth in metres, (2a + b) / 3 of WGS84: Moritz (2000), "Geodetic
/// Reference System 1980", Journal of Geodesy 74, 128-133.
pub const MEAN_EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Radians in an E7 unit.
const RAD_PER_E7: f64 = std::f64::consts::PI / 1_800_000_000.0;

/// Up to which difference in latitude and longitude the series holds: 2^-7 rad, about 0.45 degree
/// or 50 km, in E7 units.
const SHORT_E7: f64 = 4_470_000.0;

/// Great-circle legs in metres of points in E7 units.
///
/// Differences are taken in E7, where they are exact for integers, and only then turned into
/// radians. Consecutive fixes are metres apart, so sines and arc sines of small angles are what is
/// needed: short power series, which vectorise. A leg past 0.447 degree in either coordinate goes
/// through the platform's `sin` and `atan2`; which of the two a leg takes depends on its points
/// alone.
///
/// Short legs are within a relative 2e-15 of the formula in exact arithmetic; near the antipode,
/// where the haversine is flat, a leg is good to about a decimetre.
pub(super) fn legs(level: Level, x: &[f64], y: &[f64], legs: &mut [f64]) {
    // The kernel wants the cosines of a run in an array of a size that is known. Clearing that of a block
    // takes longer than a single leg.
    if legs.len() == 1 {
        return runs::<1, 2>(level, x, y, legs);
    }
    runs::<{ Block::CAPACITY }, { Block::CAPACITY + 1 }>(level, x, y, legs);
}

/// The legs in runs of up to `LEGS`, which have `POINTS`, one more.
#[inline]
fn runs<const LEGS: usize, const POINTS: usize>(
    level: Level,
    x: &[f64],
    y: &[f64],
    legs: &mut [f64],
) {
    let mut from = 0;
    while from < legs.len() {
        let to = legs.len().min(from + LEGS);
        let (x, y) = (&x[from..=to], &y[from..=to]);
        let mut cosines = [0.0; POINTS];
        let cosines = &mut cosines[..y.len()];
        let legs = &mut legs[from..to];
        if short_legs(level, x, y, cosines, legs) > 0 {
            for (i, leg) in legs.iter_mut().enumerate() {
                let dy = (y[i + 1] - y[i]).abs();
                let dx = longitude_between(x[i], x[i + 1]);
                if dy > SHORT_E7 || dx > SHORT_E7 {
                    *leg = long_leg(dx, dy, cosines[i] * cosines[i + 1]);
                }
            }
        }
        from = to;
    }
}

kernel! {
    /// All legs by the series, and the cosines of all latitudes; gives the number of legs that are
    /// too long for the series, which are then meaningless.
    fn short_legs(x: &[f64], y: &[f64], cosines: &mut [f64], legs: &mut [f64]) -> u64 = short_body
}

#[inline(always)]
fn short_body(x: &[f64], y: &[f64], cosines: &mut [f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let y = &y[..=n];
    let cosines = &mut cosines[..=n];
    for (cosine, &y) in cosines.iter_mut().zip(y) {
        *cosine = cos_of_latitude(y);
    }
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    let (c0, c1) = (&cosines[..n], &cosines[1..=n]);
    let mut too_long = 0;
    for i in 0..n {
        let dy = (y1[i] - y0[i]).abs();
        let dx = (x1[i] - x0[i]).abs();
        let dx = if dx > HALF_TURN_E7 { TURN_E7 - dx } else { dx };
        too_long += u64::from(dy > SHORT_E7) | u64::from(dx > SHORT_E7);
        let hav = sin_squared(dy) + c0[i] * c1[i] * sin_squared(dx);
        // asin(s) = s (1 + s^2/6 + 3 s^4/40 + 5 s^6/112 + ...); s^2 < 2^-15 leaves 2^-64.
        let series = 1.0 + hav * (1.0 / 6.0 + hav * (3.0 / 40.0 + hav * (5.0 / 112.0)));
        legs[i] = 2.0 * MEAN_EARTH_RADIUS_M * (hav.sqrt() * series);
    }
    too_long
}

/// The squared sine of half of a small difference in E7: a^2 - a^4/3 + 2 a^6/45 - a^8/315 with
/// a <= 2^-8, which leaves a relative 2^-62.
#[inline(always)]
fn sin_squared(difference_e7: f64) -> f64 {
    let a = difference_e7 * (0.5 * RAD_PER_E7);
    let a2 = a * a;
    a2 * (1.0 - a2 * (1.0 / 3.0 - a2 * (2.0 / 45.0 - a2 * (1.0 / 315.0))))
}

/// The cosine of a latitude, as the sine of its distance to the nearer pole: that difference is
/// exact in E7, and so the cosine keeps its digits up to the pole.
///
/// The Taylor series of the sine up to the 23rd power; the rest is below 2e-20 at a right angle.
#[inline(always)]
fn cos_of_latitude(y: f64) -> f64 {
    let a = (POLE_E7 - y.abs()) * RAD_PER_E7;
    let a2 = a * a;
    let mut sum = SINE[0];
    for &coefficient in &SINE[1..] {
        sum = sum * a2 + coefficient;
    }
    a + a * (sum * a2)
}

/// (-1)^k / (2k+1)! for k from 11 down to 1.
const SINE: [f64; 11] = [
    -1.0 / 25_852_016_738_884_976_640_000.0,
    1.0 / 51_090_942_171_709_440_000.0,
    -1.0 / 121_645_100_408_832_000.0,
    1.0 / 355_687_428_096_000.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 39_916_800.0,
    1.0 / 362_880.0,
    -1.0 / 5040.0,
    1.0 / 120.0,
    -1.0 / 6.0,
];

/// A leg of any length. The arc comes from `atan2`, whose second root is clamped: at the antipode
/// rounding may take the haversine past 1.
fn long_leg(dx: f64, dy: f64, cosines: f64) -> f64 {
    let sin_dy = (dy * (0.5 * RAD_PER_E7)).sin();
    let sin_dx = (dx * (0.5 * RAD_PER_E7)).sin();
    let hav = sin_dy * sin_dy + cosines * (sin_dx * sin_dx);
    2.0 * MEAN_EARTH_RADIUS_M * hav.sqrt().atan2((1.0 - hav).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The formula with the platform's functions throughout.
    fn plain(x: [f64; 2], y: [f64; 2]) -> f64 {
        let cosines = (y[0] * RAD_PER_E7).cos() * (y[1] * RAD_PER_E7).cos();
        long_leg(longitude_between(x[0], x[1]), (y[1] - y[0]).abs(), cosines)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn the_series_agrees_with_the_formula(
            y in -9e8..=9e8_f64, x in -1.8e9..=1.8e9_f64, exponent in 0..24_i32,
            dy in -1.0..1.0_f64, dx in -1.0..1.0_f64,
        ) {
            let scale = 2_f64.powi(exponent);
            let y = [y, (y + dy * scale).clamp(-POLE_E7, POLE_E7)];
            let x = [x, (x + dx * scale).clamp(-HALF_TURN_E7, HALF_TURN_E7)];
            let mut leg = [0.0];
            legs(Level::best(), &x, &y, &mut leg);
            let expected = plain(x, y);
            // The platform's cosine sees a latitude that was rounded when it became radians, which
            // near a pole is a large part of the cosine: 2e-16 rad over the distance to the pole.
            let to_pole = (POLE_E7 - y[0].abs().max(y[1].abs())).max(1.0) * RAD_PER_E7;
            let tolerance = expected * (4e-15 + 1e-15 / to_pole);
            prop_assert!((leg[0] - expected).abs() <= tolerance, "{} {}", leg[0], expected);
        }
    }
}
