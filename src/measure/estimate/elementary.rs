//! The exponential function and the logarithm, for loops over lanes.
//!
//! The functions of the standard library call the platform, so their bits depend on it. These use only
//! operations that IEEE 754 defines exactly, and no branches, so that the compiler vectorises them.

/// 1.5 · 2^52: adding it rounds a number below 2^51 to a whole number, in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Returns e^x with a relative error below 1e-11; for x below -700 it returns e^-700. `x` is at most 700.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    // ln 2 in two parts, as in fdlibm: the product of the first one and a small whole number is exact.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = if x > -700.0 { x } else { -700.0 };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let exponent = shifted - ROUND;
    let r = (x - exponent * LN_2_HIGH) - exponent * LN_2_LOW;
    // The series up to r^9; |r| is at most ln(2) / 2.
    let mut sum = 1.0 / 362_880.0;
    sum = sum * r + 1.0 / 40_320.0;
    sum = sum * r + 1.0 / 5_040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// Returns the natural logarithm of a positive normal number with an absolute error below 1e-11.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const MANTISSA: u64 = (1 << 52) - 1;
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    // The mantissa is between the root of one half and the root of two.
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    let exponent = f64::from_bits((bits >> 52) | TWO_52) - (4_503_599_627_370_496.0 + 1023.0);
    let mantissa = f64::from_bits((bits & MANTISSA) + SQRT_HALF);
    // ln m = 2 (s + s^3/3 + s^5/5 + ...), s = (m - 1) / (m + 1), |s| < 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 2.0 / 13.0;
    sum = sum * square + 2.0 / 11.0;
    sum = sum * square + 2.0 / 9.0;
    sum = sum * square + 2.0 / 7.0;
    sum = sum * square + 2.0 / 5.0;
    sum = sum * square + 2.0 / 3.0;
    sum = sum * square + 2.0;
    exponent * std::f64::consts::LN_2 + s * sum
}

/// Adds the lanes in a fixed order: halves are added to each other until one is left.
#[inline(always)]
pub(super) fn sum_of_lanes<const LANES: usize>(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Returns the largest lane.
#[inline(always)]
pub(super) fn max_of_lanes<const LANES: usize>(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            let other = lanes[lane + half];
            lanes[lane] = if other > lanes[lane] { other } else { lanes[lane] };
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_function_agrees_with_the_platform() {
        for step in -7_000..=7_000 {
            let x = f64::from(step) / 10.0 + 0.037;
            let (value, exact) = (exp(x), x.exp());
            if x <= 700.0 {
                assert!((value - exact).abs() <= 1e-11 * exact, "{x}: {value}, {exact}");
            }
        }
        assert_eq!(exp(-1e300), exp(-700.0));
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn the_logarithm_agrees_with_the_platform() {
        for step in -4_000..4_000 {
            let x = 2_f64.powf(f64::from(step) / 40.0) * 1.013;
            assert!((ln(x) - x.ln()).abs() < 1e-11, "{x}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn the_sum_of_lanes_is_the_sum() {
        assert_eq!(sum_of_lanes([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), 36.0);
    }

    #[test]
    fn the_largest_lane_is_found_in_every_place() {
        for place in 0..8 {
            let mut lanes = [-3.0; 8];
            lanes[place] = -1.0;
            assert_eq!(max_of_lanes(lanes), -1.0);
        }
    }
}
