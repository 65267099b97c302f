//! The great circle on a sphere, by the haversine formula.
//!
//! Sinnott (1984), "Virtues of the Haversine", Sky and Telescope 68(2), 159. It keeps its digits
//! for short legs, where the law of cosines loses them all.

use super::longitude_between;
use crate::measure::level::{Level, kernel};
use crate::measure::point::POLE_E7;

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
/// through the platform's `sin` and `atan2`; which of the two a leg takes depends on its points alone.
/// The block takes a leg across the antimeridian for a long one, which is then measured again, the
/// short way round.
///
/// Short legs are within a relative 2e-15 of the formula in exact arithmetic. With u = 2^-53 =
/// 1.1e-16, what one rounding may be off, and all errors in one direction:
///
/// | | u | of it |
/// |---|---|---|
/// | a squared sine | 3.7 | see [`sin_squared`] |
/// | the two cosines | 11.6 | 5.8 each, see [`cos_of_latitude`] |
/// | their product, that with the squared sine, the sum | 3 | the haversine: 18.3 |
/// | the root of that | 10.2 | half of it, and a rounding |
/// | the series and its product with the root | 2 | its smaller terms are below 2^-17 of it |
///
/// That is 12.2 u or 1.4e-15 where the differences are exact, as those of whole E7 are. Those of
/// other coordinates are rounded, each once, and so may be the distance to the pole where it is more
/// than an eighth of a turn: 1.8 u more, or 1.6e-15. Near the antipode, where the haversine is flat, a
/// leg is good to about a decimetre.
///
/// Returns the number of legs that are not measured by the series.
pub(super) fn legs(level: Level, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let long_legs = short_legs(level, x, y, legs);
    if long_legs > 0 {
        for (i, leg) in legs.iter_mut().enumerate() {
            let dy = (y[i + 1] - y[i]).abs();
            if dy > SHORT_E7 || (x[i + 1] - x[i]).abs() > SHORT_E7 {
                let dx = longitude_between(x[i], x[i + 1]);
                *leg = leg_alone(dx, dy, [y[i], y[i + 1]]);
            }
        }
    }
    long_legs
}

/// A leg of any length, from the differences of its coordinates.
fn leg_alone(dx: f64, dy: f64, y: [f64; 2]) -> f64 {
    match short_leg(dx, dy, cos_of_latitude(y[0]) * cos_of_latitude(y[1])) {
        (leg, 0) => leg,
        _ => long_leg(dx, dy, y),
    }
}

kernel! {
    /// All legs by the series; gives the number of those that are too long for it, which are then
    /// meaningless.
    fn short_legs(x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 = short_body
}

#[inline(always)]
fn short_body(x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    // The cosine of each leg's first point, in the place of the leg, which takes it over: the second
    // point's is still next to it then.
    for (cosine, &y) in legs.iter_mut().zip(y0) {
        *cosine = cos_of_latitude(y);
    }
    let Some(last) = n.checked_sub(1) else { return 0 };
    let mut too_long = 0;
    for i in 0..last {
        let (dx, dy) = ((x1[i] - x0[i]).abs(), (y1[i] - y0[i]).abs());
        let (leg, long) = short_leg(dx, dy, legs[i] * legs[i + 1]);
        legs[i] = leg;
        too_long += long;
    }
    let cosines = legs[last] * cos_of_latitude(y1[last]);
    let (dx, dy) = ((x1[last] - x0[last]).abs(), (y1[last] - y0[last]).abs());
    let (leg, long) = short_leg(dx, dy, cosines);
    legs[last] = leg;
    too_long + long
}

/// A leg by the series from the magnitudes of its differences and the product of the cosines of its
/// latitudes, and 1 if it is too long for it.
#[inline(always)]
fn short_leg(dx: f64, dy: f64, cosines: f64) -> (f64, u64) {
    let larger = if dx > dy { dx } else { dy };
    let hav = sin_squared(dy) + cosines * sin_squared(dx);
    // 2 R asin(s) = 2 R s (1 + s^2/6 + 3 s^4/40 + 5 s^6/112 + ...); s^2 < 2^-15 leaves 2^-64.
    const D: f64 = 2.0 * MEAN_EARTH_RADIUS_M;
    let series = D + hav * (D / 6.0 + hav * (D * 3.0 / 40.0 + hav * (D * 5.0 / 112.0)));
    (hav.sqrt() * series, u64::from(larger > SHORT_E7))
}

/// The squared sine of half of a small difference in E7: a^2 - a^4/3 + 2 a^6/45 with a <= 2^-8,
/// which leaves a relative 2^-56. The unit of `a` is in the coefficients.
///
/// It is good to 3.7 u: 0.6 for A2 as it is rounded, three for the square, the difference and the
/// product, 0.1 for the terms left out, and what the smaller terms add is less than 2^-16 of that.
#[inline(always)]
fn sin_squared(difference_e7: f64) -> f64 {
    // (RAD_PER_E7 / 2)^2, rounded once.
    const A2: f64 = 7.615_435_494_667_715e-19;
    let d2 = difference_e7 * difference_e7;
    d2 * (A2 - d2 * (A2 * A2 / 3.0 - d2 * (A2 * A2 * A2 * 2.0 / 45.0)))
}

/// The cosine of a latitude, as the sine of its distance to the nearer pole: that difference is
/// exact in E7, and so the cosine keeps its digits up to the pole.
///
/// An odd polynomial of degree 15, the one whose largest relative error over the quarter turn is
/// least (Remez's algorithm, carried out with 60 digits, coefficients then rounded). Its relative
/// error, at the most and each in u = 2^-53:
///
/// | | u | |
/// |---|---|---|
/// | the polynomial as in [`SINE`], in exact arithmetic | 1.7 | 1.9e-16 |
/// | the same as in [`SINE_OF_E7`], whose scaling is rounded | 2.0 | 2.2e-16 |
/// | the last product and the last sum, a rounding each | 2 | |
/// | the product and the sum before: 0.57 of the result at the equator | 1.15 | |
/// | those before: 0.075, 0.005, 0.0002, ... of it | 0.16 | |
/// | the square, of which the result is the power -0.5 at the equator | 0.5 | |
///
/// The first two are computed with 60 digits, at 4000 angles; the roundings are counted. 3.8 of them
/// and the 2.0 are 5.8 u or 6.4e-16, at the equator; it is less nearer to the poles, where all but
/// the last product and sum go to nothing.
#[inline(always)]
fn cos_of_latitude(y: f64) -> f64 {
    let to_pole = POLE_E7 - y.abs();
    let square = to_pole * to_pole;
    let mut sum = SINE_OF_E7[0];
    for &coefficient in &SINE_OF_E7[1..] {
        sum = sum * square + coefficient;
    }
    to_pole * sum
}

/// The coefficients of a^15 down to a.
const SINE: [f64; 8] = [
    -7.373_344_542_958_17e-13,
    1.604_809_540_624_38e-10,
    -2.505_188_027_392_171e-8,
    2.755_731_660_055_385e-6,
    -1.984_126_982_505_626_7e-4,
    8.333_333_333_285_542e-3,
    -1.666_666_666_666_618_6e-1,
    1.0,
];

/// The same for an angle in E7 units: no multiplication to make it radians first.
const SINE_OF_E7: [f64; 8] = {
    let mut scaled = SINE;
    let mut scale = RAD_PER_E7;
    let mut power = SINE.len();
    while power > 0 {
        power -= 1;
        scaled[power] *= scale;
        scale *= RAD_PER_E7 * RAD_PER_E7;
    }
    scaled
};

/// A leg of any length. The arc comes from `atan2`, whose second root is clamped: at the antipode
/// rounding may take the haversine past 1. The cosines are the platform's too: there, a unit in the last
/// place of theirs is a decimetre.
fn long_leg(dx: f64, dy: f64, y: [f64; 2]) -> f64 {
    let [cosine_0, cosine_1] = y.map(|y| ((POLE_E7 - y.abs()) * RAD_PER_E7).sin());
    let sin_dy = (dy * (0.5 * RAD_PER_E7)).sin();
    let sin_dx = (dx * (0.5 * RAD_PER_E7)).sin();
    let hav = sin_dy * sin_dy + cosine_0 * cosine_1 * (sin_dx * sin_dx);
    2.0 * MEAN_EARTH_RADIUS_M * hav.sqrt().atan2((1.0 - hav).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measure::point::HALF_TURN_E7;

    /// The formula with the platform's functions throughout.
    fn plain(x: [f64; 2], y: [f64; 2]) -> f64 {
        long_leg(longitude_between(x[0], x[1]), (y[1] - y[0]).abs(), y)
    }

    /// How far apart a leg by the series and one by the formula may be. They see the same differences,
    /// so the series is off by 12.2 u. The formula is off by 14, where the platform's functions are
    /// good to a unit in the last place, 2 u: a sine with its angle by 3.2, its square by 7.4, two
    /// cosines and their product by 7.4, the haversine with its product and its sum by 16.8, its root
    /// by 9.4, the quotient of the roots by 11, the arc by 13 and the length by 14. 26.2 u are 2.9e-15.
    const BETWEEN_THE_TWO: f64 = 3e-15;

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
            let tolerance = expected * BETWEEN_THE_TWO;
            prop_assert!((leg[0] - expected).abs() <= tolerance, "{} {}", leg[0], expected);
        }
    }

    proptest! {
        #[test]
        fn a_leg_across_the_antimeridian_has_the_bits_of_one_elsewhere(
            y in -900_000_000..=900_000_000_i32, dy in -5_000_000..=5_000_000_i32,
            east in 0..=3_000_000_i32, west in 1..=3_000_000_i32,
        ) {
            let y = [f64::from(y), f64::from((y + dy).clamp(-900_000_000, 900_000_000))];
            let leg = |x: [f64; 2]| {
                let mut leg = [0.0];
                legs(Level::best(), &x, &y, &mut leg);
                leg[0].to_bits()
            };
            let (east, west) = (f64::from(east), f64::from(west));
            let across = leg([HALF_TURN_E7 - west, east - HALF_TURN_E7]);
            prop_assert_eq!(across, leg([0.0, west + east]));
            prop_assert_eq!(across, leg([-west, east]));
        }
    }

    /// The cosine itself is off by 6.4e-16 at the most. What it is compared with, by a rounding of the
    /// angle, of which the sine takes less and less towards the equator, and by a unit in the last
    /// place, which is 1 u at the equator and 2 u at most. The sum is largest close to the equator:
    /// 6.8 u or 7.5e-16.
    #[test]
    fn the_cosine_is_that_of_the_platform_to_a_few_units_in_the_last_place() {
        for i in -90_000..=90_000 {
            let y = f64::from(i) * 10_000.0;
            let expected = ((POLE_E7 - y.abs()) * RAD_PER_E7).sin();
            let cosine = cos_of_latitude(y);
            assert!((cosine - expected).abs() <= 8e-16 * expected, "{y}: {cosine} {expected}");
        }
    }
}
