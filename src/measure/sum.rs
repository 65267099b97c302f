//! The exact sum: 128-bit fixed point, in which no order, grouping or merge changes a bit.

use super::level::{Level, kernel};

/// A sum of non-negative `f64`, kept exactly in 128 bits in units of 2^-64.
///
/// An `f64` of 2^-12 (a quarter of a millimetre, where the unit is the metre) or more is a whole
/// number of units and is added without any rounding; a smaller one is rounded to the nearest unit
/// first, ties to even. Integer addition is associative, so sums of parts merge to the sum of the
/// whole. The unit, 5e-20, is far below the rounding of any leg. See Kulisch (2013),
/// "Computer Arithmetic and Validity", for the idea of the long accumulator.
///
/// ```
/// use waywiser::measure::ExactSum;
///
/// let mut sum = ExactSum::ZERO;
/// for _ in 0..10 {
///     sum.add(0.1)?;
/// }
/// assert_eq!(sum.to_f64(), 1.0); // a running f64 says 0.9999999999999999
/// # Ok::<(), waywiser::measure::SumOverflow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExactSum(u128);

/// The sum would reach 2^64 units of length, or a term is not a number from 0 up to 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the length passes 2^64, the largest total that can be kept exactly")]
pub struct SumOverflow;

/// Fraction bits.
const FRACTION_BITS: i32 = 64;

impl ExactSum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Adds one term.
    ///
    /// # Errors
    /// [`SumOverflow`]; the sum is then as it was.
    pub fn add(&mut self, term: f64) -> Result<(), SumOverflow> {
        self.add_all(&[term])
    }

    /// Adds terms, all or none of them.
    ///
    /// # Errors
    /// [`SumOverflow`]; the sum is then as it was.
    pub fn add_all(&mut self, terms: &[f64]) -> Result<(), SumOverflow> {
        let mut total = self.0;
        for &term in terms {
            total = total.checked_add(to_fixed(term)?).ok_or(SumOverflow)?;
        }
        self.0 = total;
        Ok(())
    }

    /// Adds a block of legs, all or none of them: [`ExactSum::add_all`] several times as fast, to
    /// the same bits.
    ///
    /// # Errors
    /// [`SumOverflow`]; the sum is then as it was.
    pub(super) fn add_block(&mut self, level: Level, legs: &[f64]) -> Result<(), SumOverflow> {
        let mut total = self.0;
        for run in legs.chunks(BLOCK_MAX) {
            let Some(sum) = block_sum(level, run) else { return self.add_all(legs) };
            total = total.checked_add(sum).ok_or(SumOverflow)?;
        }
        self.0 = total;
        Ok(())
    }

    /// Adds another sum, as if its terms had been added one by one.
    ///
    /// # Errors
    /// [`SumOverflow`]; the sum is then as it was.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumOverflow> {
        self.0 = self.0.checked_add(other.0).ok_or(SumOverflow)?;
        Ok(())
    }

    /// The sum, rounded once to the nearest `f64`, ties to even.
    pub fn to_f64(self) -> f64 {
        // The conversion rounds to nearest even; the scaling by a power of two is exact.
        self.0 as f64 / 2_f64.powi(FRACTION_BITS)
    }

    /// The 16 bytes that hold all of it, little-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The sum that [`ExactSum::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

/// So many legs below 2^31 cannot overflow the 64-bit lanes: 2^10 times 2^51 units of 2^-20.
const BLOCK_MAX: usize = 1 << 10;

/// The sum of legs below 2^31 in units of 2^-64; `None` when one is larger, negative or NaN.
///
/// Adding 1.5 * 2^32 to a leg leaves it in the last bits of the sum, in units of 2^-20, rounded to
/// nearest even; the rest of it, which is exact, goes into units of 2^-64 by adding 1.5 * 2^-12.
/// Since all sums of one kind share an exponent, their bit patterns add like integers, and what the
/// two constants put in is taken off at the end. (The trick of Dekker's and Knuth's exact splits,
/// here with a fixed point to split at.) Ties go to even in both, as in [`to_fixed`]: a whole
/// number of units of 2^-20 is an even number of units of 2^-64.
fn block_sum(level: Level, legs: &[f64]) -> Option<u128> {
    let (high, low, odd) = split_sums(level, legs);
    if odd >> 63 != 0 {
        return None;
    }
    let n = legs.len() as u64;
    let high = high.wrapping_sub(n.wrapping_mul(HIGH.to_bits())) as i64;
    let low = low.wrapping_sub(n.wrapping_mul(LOW.to_bits())) as i64;
    // The sum of the legs, so not negative.
    Some(((i128::from(high) << 44) + i128::from(low)) as u128)
}

const HIGH: f64 = 1.5 * (1_u64 << 32) as f64;
const LOW: f64 = 1.5 / (1_u64 << 12) as f64;
const LARGE: f64 = (1_u64 << 31) as f64;

kernel! {
    /// The sums of the bit patterns of all high and of all low parts, and a number whose top bit is set
    /// where a leg cannot be split: one that is too large, and what is no length.
    fn split_sums(legs: &[f64]) -> (u64, u64, u64) = split_body
}

#[inline(always)]
fn split_body(legs: &[f64]) -> (u64, u64, u64) {
    let (mut high, mut low, mut odd) = (0_u64, 0_u64, 0_u64);
    for &leg in legs {
        let top = leg + HIGH;
        let rest = leg - (top - HIGH);
        high = high.wrapping_add(top.to_bits());
        low = low.wrapping_add((rest + LOW).to_bits());
        // The bits of numbers are in their order. What has a sign sets the top bit by itself, and -0
        // with it; of the rest, what is too large or NaN does so by the difference.
        let bits = leg.to_bits();
        odd |= bits | (LARGE.to_bits() - 1).wrapping_sub(bits);
    }
    (high, low, odd)
}

/// `value` in units of 2^-64, rounded to the nearest, ties to even.
#[inline]
fn to_fixed(value: f64) -> Result<u128, SumOverflow> {
    const MANTISSA_BITS: i32 = 52;
    const EXPONENT_BIAS: i32 = 1023;

    let bits = (value + 0.0).to_bits(); // -0 is 0
    let exponent = (bits >> MANTISSA_BITS) as i32; // the sign bit is on top: a negative is too large
    // value = mantissa * 2^(exponent - bias - 52), so in units of 2^-64 it is mantissa << shift.
    let shift = exponent - EXPONENT_BIAS - MANTISSA_BITS + FRACTION_BITS;
    let mantissa = (bits & ((1 << MANTISSA_BITS) - 1)) | (1 << MANTISSA_BITS);
    match shift {
        0..=75 => Ok(u128::from(mantissa) << shift),
        -53..0 => {
            let drop = -shift;
            let kept = mantissa >> drop;
            let rest = mantissa & ((1 << drop) - 1);
            let half = 1 << (drop - 1);
            let round_up = rest > half || (rest == half && kept & 1 == 1);
            Ok(u128::from(kept + u64::from(round_up)))
        }
        // Less than half a unit; zero and the subnormals are here too.
        ..-53 => Ok(0),
        _ => Err(SumOverflow),
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    use super::*;

    fn units(value: f64) -> BigInt {
        let scaled = BigRational::from_float(value).unwrap()
            * BigRational::from_integer(BigInt::from(1_u8) << 64);
        let floor = scaled.floor();
        let rest = &scaled - &floor;
        let half = BigRational::new(1.into(), 2.into());
        let mut whole = floor.to_integer();
        if rest > half || (rest == half && whole.bit(0)) {
            whole += 1;
        }
        whole
    }

    fn leg_below(limit: u64) -> impl Strategy<Value = f64> {
        leg().prop_map(move |leg| if leg < limit as f64 { leg } else { leg % limit as f64 })
    }

    fn leg() -> impl Strategy<Value = f64> {
        prop_oneof![
            0.0..100.0_f64,
            0.0..2e7_f64,
            (0_u64..(1085 << 52)).prop_map(f64::from_bits), // every magnitude up to 2^62
            (0_u64..1 << 20).prop_map(|n| n as f64 * 2_f64.powi(-66)), // ties of the rounding
        ]
    }

    proptest! {
        #[test]
        fn it_is_exact_against_big_rationals(legs in prop::collection::vec(leg(), 0..40)) {
            let mut sum = ExactSum::ZERO;
            let expected: BigInt = legs.iter().map(|&leg| units(leg)).sum();
            match sum.add_all(&legs) {
                Ok(()) => prop_assert_eq!(BigInt::from(sum.0), expected),
                Err(SumOverflow) => prop_assert!(expected >= BigInt::from(1_u8) << 128),
            }
        }

        #[test]
        fn every_level_sums_blocks_to_the_bits_of_single_terms(
            legs in prop::collection::vec(prop_oneof![40 => leg_below(1 << 31), 1 => leg(), 1 => Just(-0.0)], 0..300),
        ) {
            let mut single = ExactSum::ZERO;
            let expected = single.add_all(&legs);
            for level in Level::all() {
                let mut block = ExactSum::ZERO;
                prop_assert_eq!(block.add_block(level, &legs), expected);
                prop_assert_eq!(block, single);
            }
        }

        #[test]
        fn its_f64_is_correctly_rounded(bits: u128) {
            let value = ExactSum(bits).to_f64();
            let exact = BigRational::new(BigInt::from(bits), BigInt::from(1_u8) << 64);
            let error = |value: f64| {
                let difference = BigRational::from_float(value).unwrap() - &exact;
                if difference < BigRational::from_integer(0.into()) { -difference } else { difference }
            };
            prop_assert!(error(value) <= error(value.next_up()));
            prop_assert!(value == 0.0 || error(value) <= error(value.next_down()));
        }

        #[test]
        fn any_order_and_grouping_gives_the_same_bits(
            legs in prop::collection::vec(0.0..1e9_f64, 0..60), cut in 0_usize..60,
        ) {
            let cut = cut.min(legs.len());
            let mut whole = ExactSum::ZERO;
            whole.add_all(&legs).unwrap();
            let (mut head, mut tail) = (ExactSum::ZERO, ExactSum::ZERO);
            for leg in legs[..cut].iter().rev() {
                head.add(*leg).unwrap();
            }
            tail.add_all(&legs[cut..]).unwrap();
            tail.merge(&head).unwrap();
            prop_assert_eq!(tail, whole);
            prop_assert_eq!(ExactSum::from_bytes(tail.to_bytes()), whole);
        }
    }

    #[test]
    fn ten_million_legs_of_a_tenth_are_a_million() {
        let legs = [0.1; 1000];
        let mut sum = ExactSum::ZERO;
        for _ in 0..10_000 {
            sum.add_all(&legs).unwrap();
        }
        // 10^7 times the f64 nearest to 0.1, which is 0.1 + 5.55e-18, rounds to 10^6.
        assert_eq!(sum.to_f64(), 1e6);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut sum = ExactSum::ZERO;
        let half = 2_f64.powi(63);
        sum.add(half).unwrap();
        assert_eq!(sum.add_all(&[1.0, half]), Err(SumOverflow));
        assert_eq!(sum.to_f64(), half);
        for bad in [f64::NAN, f64::INFINITY, -1.0, 2_f64.powi(64)] {
            assert_eq!(sum.add(bad), Err(SumOverflow), "{bad}");
            for level in Level::all() {
                let mut legs = [1.0; 70];
                legs[37] = bad;
                assert_eq!(sum.add_block(level, &legs), Err(SumOverflow), "{bad}");
            }
            assert_eq!(sum.to_f64(), half);
        }
        let mut other = sum;
        assert_eq!(other.merge(&sum), Err(SumOverflow));
        assert_eq!(other, sum);
    }
}
