//! The great circle on a sphere, by the haversine formula.
//!
//! Sinnott (1984), "Virtues of the Haversine", Sky and Telescope 68(2), 159. The formula is accurate for
//! short legs, for which the spherical law of cosines loses all digits.

use super::longitude_between;
use crate::measure::level::{Level, kernel};
use crate::measure::point::POLE_E7;

/// The mean radius R1 of the Earth in metres, (2a + b) / 3 of WGS84: Moritz (2000), "Geodetic
/// Reference System 1980", Journal of Geodesy 74, 128-133.
pub const MEAN_EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Radians in an E7 unit.
const RAD_PER_E7: f64 = std::f64::consts::PI / 1_800_000_000.0;

/// The largest difference in latitude or longitude for which the series is valid: 2^-7 rad, about 0.45
/// degree or 50 km, in E7 units.
const SHORT_E7: f64 = 4_470_000.0;

/// Computes the great-circle legs in metres of points in E7 units.
///
/// The differences are computed in E7, where they are exact for integers, and then converted to
/// radians. Consecutive fixes are metres apart, so the angles are small. Short power series for sine and
/// arc sine are enough, and the compiler vectorises them. If a difference is above 0.447 degree, the leg
/// uses the `sin` and `atan2` of the platform. The choice depends only on the two points of the leg. A
/// leg across the antimeridian has a large difference of longitudes; it is measured again with the
/// smaller difference.
///
/// The relative difference between a short leg and the formula in exact arithmetic is at most 2e-15. The
/// table has the errors in units of u = 2^-53 = 1.1e-16, the largest error of one rounding, with all
/// errors in the same direction:
///
/// | value | error in u | explanation |
/// |---|---|---|
/// | a squared sine | 3.7 | see [`sin_squared`] |
/// | the two cosines | 11.6 | 5.8 each, see [`cos_of_latitude`] |
/// | their product, its product with the squared sine, the sum | 3 | the haversine: 18.3 |
/// | the root of the haversine | 10.2 | half of 18.3, and one rounding |
/// | the series and its product with the root | 2 | the smaller terms are below 2^-17 of it |
///
/// The total is 12.2 u or 1.4e-15 if the differences are exact, as those of whole E7 are. Differences of
/// other coordinates are rounded once, and so is the distance to the pole if it is more than an eighth
/// of a turn. This adds 1.8 u, which gives 1.6e-15. Near the antipode, where the haversine is flat, the
/// error of a leg is about a decimetre.
///
/// Returns the number of legs that the series does not measure.
pub(super) fn legs(level: Level, x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let long_legs = short_legs(level, x, y, legs);
    if long_legs > 0 {
        for (i, leg) in legs.iter_mut().enumerate() {
            let dy = (y[i + 1] - y[i]).abs();
            if dy > SHORT_E7 || (x[i + 1] - x[i]).abs() > SHORT_E7 {
                let dx = longitude_between(x[i], x[i + 1]);
                *leg = single_leg(dx, dy, [y[i], y[i + 1]]);
            }
        }
    }
    long_legs
}

/// Computes a single leg of any length from the differences of its coordinates.
fn single_leg(dx: f64, dy: f64, y: [f64; 2]) -> f64 {
    match short_leg(dx, dy, cos_of_latitude(y[0]) * cos_of_latitude(y[1])) {
        (leg, 0) => leg,
        _ => long_leg(dx, dy, y),
    }
}

kernel! {
    /// Computes all legs with the series. Returns the number of legs that are too long for it, whose results
    /// are invalid.
    fn short_legs(x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 = short_body
}

#[inline(always)]
fn short_body(x: &[f64], y: &[f64], legs: &mut [f64]) -> u64 {
    let n = legs.len();
    let (x0, x1, y0, y1) = (&x[..n], &x[1..=n], &y[..n], &y[1..=n]);
    // First store the cosine of the first point of each leg in `legs`. The loop below replaces it by the leg
    // after reading the cosine of the second point from the next element.
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

/// Computes a leg with the series, from the magnitudes of its differences and the product of the cosines of
/// its latitudes. The second value is 1 if the leg is too long for the series.
#[inline(always)]
fn short_leg(dx: f64, dy: f64, cosines: f64) -> (f64, u64) {
    let larger = if dx > dy { dx } else { dy };
    let hav = sin_squared(dy) + cosines * sin_squared(dx);
    // 2 R asin(s) = 2 R s (1 + s^2/6 + 3 s^4/40 + 5 s^6/112 + ...); s^2 < 2^-15 leaves 2^-64.
    const D: f64 = 2.0 * MEAN_EARTH_RADIUS_M;
    let series = D + hav * (D / 6.0 + hav * (D * 3.0 / 40.0 + hav * (D * 5.0 / 112.0)));
    (hav.sqrt() * series, u64::from(larger > SHORT_E7))
}

/// Returns the squared sine of half of a small difference in E7: a^2 - a^4/3 + 2 a^6/45 with a <= 2^-8. The
/// omitted terms are below a relative 2^-56. The coefficients include the unit of `a`.
///
/// The error is at most 3.7 u: 0.6 for the rounding of A2, 3 for the square, the difference and the product,
/// and 0.1 for the omitted terms. The errors of the smaller terms are less than 2^-16 of this.
#[inline(always)]
fn sin_squared(difference_e7: f64) -> f64 {
    // (RAD_PER_E7 / 2)^2, rounded once.
    const A2: f64 = 7.615_435_494_667_715e-19;
    let d2 = difference_e7 * difference_e7;
    d2 * (A2 - d2 * (A2 * A2 / 3.0 - d2 * (A2 * A2 * A2 * 2.0 / 45.0)))
}

/// Returns the cosine of a latitude, as the sine of its distance to the nearer pole. This distance is exact
/// in E7, so that the cosine is accurate up to the pole.
///
/// The sine is an odd polynomial of degree 15 with the smallest maximum relative error over the quarter
/// turn, from Remez's algorithm with 60 digits; the coefficients were rounded afterwards. The table has the
/// largest relative errors in u = 2^-53:
///
/// | source | error in u | error |
/// |---|---|---|
/// | the polynomial with [`SINE`], in exact arithmetic | 1.7 | 1.9e-16 |
/// | the same with [`SINE_OF_E7`], whose scaling is rounded | 2.0 | 2.2e-16 |
/// | the last product and the last sum, one rounding each | 2 | |
/// | the product and the sum before: 0.57 of the result at the equator | 1.15 | |
/// | those before: 0.075, 0.005, 0.0002, ... of the result | 0.16 | |
/// | the square, whose power of -0.5 is the result at the equator | 0.5 | |
///
/// The first two rows were computed with 60 digits at 4000 angles. The roundings are counted: 3.8 u. With
/// the 2.0 u of the second row, the error is at most 5.8 u or 6.4e-16 at the equator. It is smaller near the
/// poles, where all roundings except the last product and sum vanish.
#[inline(always)]
fn cos_of_latitude(y: f64) -> f64 {
    sine_of_e7(POLE_E7 - y.abs())
}

/// Returns the sine of an angle of at most a quarter turn, in E7 units. [`cos_of_latitude`] has its errors.
#[inline(always)]
pub(in crate::measure) fn sine_of_e7(angle: f64) -> f64 {
    let square = angle * angle;
    let mut sum = SINE_OF_E7[0];
    for &coefficient in &SINE_OF_E7[1..] {
        sum = sum * square + coefficient;
    }
    angle * sum
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

/// The same coefficients for an angle in E7 units, which saves the conversion to radians.
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

/// Computes a leg of any length with the functions of the platform. The argument of the second root is
/// clamped, because rounding can make the haversine larger than 1 at the antipode. The cosines use the
/// platform's `sin`, because an error of one unit in their last place is a decimetre at the antipode.
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

    /// Computes any leg by the formula, with the functions of the platform.
    fn plain(x: [f64; 2], y: [f64; 2]) -> f64 {
        long_leg(longitude_between(x[0], x[1]), (y[1] - y[0]).abs(), y)
    }

    /// The largest relative difference between a leg with the series and a leg with the formula. Both have
    /// the same differences of coordinates, so the error of the series is 12.2 u. The error of the formula
    /// is 14 u, if the error of the platform's functions is one unit in the last place, 2 u: a sine with its
    /// angle 3.2, its square 7.4, two cosines and their product 7.4, the haversine with its product and its
    /// sum 16.8, its root 9.4, the quotient of the roots 11, the arc 13 and the length 14. The sum is 26.2 u
    /// or 2.9e-15.
    const MAX_DIFFERENCE: f64 = 3e-15;

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
            let tolerance = expected * MAX_DIFFERENCE;
            prop_assert!((leg[0] - expected).abs() <= tolerance, "{} {}", leg[0], expected);
        }
    }

    proptest! {
        #[test]
        fn a_leg_across_the_antimeridian_is_bit_identical_to_one_elsewhere(
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

    /// The error of the cosine is at most 6.4e-16. The expected value has two errors: the rounding of the
    /// angle, whose effect on the sine decreases towards the equator, and one unit in the last place, which
    /// is 1 u at the equator and 2 u at most. The sum is largest near the equator: 6.8 u or 7.5e-16.
    #[test]
    fn the_cosine_differs_from_the_platform_by_a_few_units_in_the_last_place() {
        for i in -90_000..=90_000 {
            let y = f64::from(i) * 10_000.0;
            let expected = ((POLE_E7 - y.abs()) * RAD_PER_E7).sin();
            let cosine = cos_of_latitude(y);
            assert!((cosine - expected).abs() <= 8e-16 * expected, "{y}: {cosine} {expected}");
        }
    }
}
