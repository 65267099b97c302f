//! The exact sum in 128-bit fixed point. Order, grouping and merging do not change its bits.

use super::level::{Level, kernel};

mod signed;

pub use signed::SignedSum;

/// An exact sum of non-negative `f64` values, in 128 bits with units of 2^-64.
///
/// An `f64` of 2^-12 or more (a quarter of a millimetre if the unit is the metre) is a whole number of
/// units and is added without rounding. A smaller value is first rounded to the nearest unit, ties to
/// even. Integer addition is associative, so the sums of parts merge to the sum of the whole. The unit,
/// 5e-20, is far below the rounding error of any leg. See Kulisch (2013), "Computer Arithmetic and
/// Validity", for the long accumulator.
///
/// ```
/// use waywiser::measure::ExactSum;
///
/// let mut sum = ExactSum::ZERO;
/// for _ in 0..10 {
///     sum.add(0.1)?;
/// }
/// assert_eq!(sum.to_f64(), 1.0); // a sum in f64 gives 0.9999999999999999
/// # Ok::<(), waywiser::measure::SumOverflow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExactSum(u128);

/// The sum would reach 2^64, or a term is not a number from 0 to 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the length exceeds 2^64, the largest exact total")]
pub struct SumOverflow;

/// The number of fraction bits.
const FRACTION_BITS: i32 = 64;

impl ExactSum {
    /// The empty sum.
    pub const ZERO: Self = Self(0);

    /// Adds one term.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or a term is out of range. The sum is then unchanged.
    pub fn add(&mut self, term: f64) -> Result<(), SumOverflow> {
        self.add_all(&[term])
    }

    /// Adds one term. The result is bit-identical to [`ExactSum::add`], and this is faster for terms below 2^31.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or the term is out of range. The sum is then unchanged.
    #[inline]
    pub(super) fn add_leg(&mut self, leg: f64) -> Result<(), SumOverflow> {
        // The bit patterns of negative numbers and NaN are larger.
        if leg.to_bits() >= LARGE.to_bits() {
            return self.add(leg);
        }
        let (high, low) = split(leg);
        let units = (i128::from(high.to_bits().wrapping_sub(HIGH.to_bits()) as i64) << 44)
            + i128::from(low.to_bits().wrapping_sub(LOW.to_bits()) as i64);
        self.0 = self.0.checked_add(units as u128).ok_or(SumOverflow)?;
        Ok(())
    }

    /// Adds all terms or, on an error, none.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or a term is out of range. The sum is then unchanged.
    pub fn add_all(&mut self, terms: &[f64]) -> Result<(), SumOverflow> {
        let mut total = self.0;
        for &term in terms {
            total = total.checked_add(to_fixed(term)?).ok_or(SumOverflow)?;
        }
        self.0 = total;
        Ok(())
    }

    /// Adds all legs of a block or, on an error, none. The result is bit-identical to
    /// [`ExactSum::add_all`], and this is several times as fast.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or a term is out of range. The sum is then unchanged.
    pub(super) fn add_block(&mut self, level: Level, legs: &[f64]) -> Result<(), SumOverflow> {
        let mut total = self.0;
        for run in legs.chunks(BLOCK_MAX) {
            let Some(sum) = block_sum(level, run) else { return self.add_all(legs) };
            total = total.checked_add(sum).ok_or(SumOverflow)?;
        }
        self.0 = total;
        Ok(())
    }

    /// Adds a few legs or, on an error, none. The result is bit-identical to [`ExactSum::add_all`]. Up to a few dozen legs,
    /// this is faster than [`ExactSum::add_block`].
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or a term is out of range. The sum is then unchanged.
    #[inline]
    pub(super) fn add_few(&mut self, legs: &[f64]) -> Result<(), SumOverflow> {
        let sum =
            if legs.len() <= BLOCK_MAX { joined_sum(legs.len(), split_body(legs)) } else { None };
        let Some(sum) = sum else { return self.add_all(legs) };
        self.0 = self.0.checked_add(sum).ok_or(SumOverflow)?;
        Ok(())
    }

    /// Adds another sum. The result is the same as if its terms were added one by one.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum is out of range. The sum is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumOverflow> {
        self.0 = self.0.checked_add(other.0).ok_or(SumOverflow)?;
        Ok(())
    }

    /// Returns whether the sum is at most half of its limit.
    pub(super) fn has_reserve(self) -> bool {
        self.0 >> 127 == 0
    }

    /// Returns the sum without the terms of `part`, which is a part of it.
    #[inline]
    pub(super) fn saturating_sub(self, part: Self) -> Self {
        Self(self.0.saturating_sub(part.0))
    }

    /// Returns the whole number of units of 2^-20 in the sum, or `i64::MAX` if it is larger.
    #[inline]
    pub(super) fn to_units_of_2_to_minus_20(self) -> i64 {
        i64::try_from(self.0 >> 44).unwrap_or(i64::MAX)
    }

    /// Returns the sum, rounded once to the nearest `f64`, ties to even.
    pub fn to_f64(self) -> f64 {
        // The conversion rounds to the nearest, ties to even. The scaling by a power of two is exact.
        self.0 as f64 / 2_f64.powi(FRACTION_BITS)
    }

    /// Returns the sum in units of 2^-64.
    pub(super) fn units(self) -> u128 {
        self.0
    }

    /// Returns the unit in the last place of the sum as an `f64`, in units of 2^-64.
    pub(super) fn last_place(self) -> u128 {
        const MANTISSA_BITS: u32 = 53;
        1 << (u128::BITS - self.0.leading_zeros()).saturating_sub(MANTISSA_BITS)
    }

    /// Returns the sum of a number of units of 2^-64.
    pub(super) fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// Returns the exact sum as 16 bytes, little-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Returns the sum from the bytes of [`ExactSum::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

/// Maximum number of legs of a block sum. 2^10 legs of 2^51 units of 2^-20 do not overflow 64-bit lanes.
const BLOCK_MAX: usize = 1 << 10;

/// Returns the sum of legs below 2^31 in units of 2^-64, or `None` if a leg is larger, negative or NaN.
///
/// Adding 1.5 * 2^32 to a leg puts it into the low bits of the result, in units of 2^-20, rounded to the
/// nearest, ties to even. The remainder is exact. Adding 1.5 * 2^-12 to it puts it into the low bits in
/// units of 2^-64. All results of one kind have the same exponent, so their bit patterns add like
/// integers. The contributions of the two constants are subtracted at the end. This is the exact split
/// of Dekker and Knuth, with a fixed split position. Both roundings use ties to even, like [`to_fixed`]:
/// a whole number of units of 2^-20 is an even number of units of 2^-64.
fn block_sum(level: Level, legs: &[f64]) -> Option<u128> {
    joined_sum(legs.len(), split_sums(level, legs))
}

/// Returns the sum of `count` legs from the results of [`split_body`], or `None` if a leg cannot be split.
#[inline(always)]
fn joined_sum(count: usize, (high, low, unsplittable): (u64, u64, u64)) -> Option<u128> {
    if unsplittable >> 63 != 0 {
        return None;
    }
    let n = count as u64;
    let high = high.wrapping_sub(n.wrapping_mul(HIGH.to_bits())) as i64;
    let low = low.wrapping_sub(n.wrapping_mul(LOW.to_bits())) as i64;
    // The sum of the legs is not negative.
    Some(((i128::from(high) << 44) + i128::from(low)) as u128)
}

const HIGH: f64 = 1.5 * (1_u64 << 32) as f64;
const LOW: f64 = 1.5 / (1_u64 << 12) as f64;
const LARGE: f64 = (1_u64 << 31) as f64;

kernel! {
    /// Returns the sums of the bit patterns of all high parts and of all low parts, and a number whose top
    /// bit is set if a leg cannot be split because it is too large, negative or NaN.
    fn split_sums(legs: &[f64]) -> (u64, u64, u64) = split_body
}

#[inline(always)]
fn split_body(legs: &[f64]) -> (u64, u64, u64) {
    let (mut high, mut low, mut unsplittable) = (0_u64, 0_u64, 0_u64);
    for &leg in legs {
        let (top, rest) = split(leg);
        high = high.wrapping_add(top.to_bits());
        low = low.wrapping_add(rest.to_bits());
        // The bit patterns of positive numbers have the order of the numbers. A negative number or -0 sets
        // the top bit with its sign. For a number that is too large or NaN, the difference sets it.
        let bits = leg.to_bits();
        unsplittable |= bits | (LARGE.to_bits() - 1).wrapping_sub(bits);
    }
    (high, low, unsplittable)
}

/// Splits a leg below 2^31 into a high and a low part, as [`block_sum`] describes.
#[inline(always)]
fn split(leg: f64) -> (f64, f64) {
    let high = leg + HIGH;
    let rest = leg - (high - HIGH);
    (high, rest + LOW)
}

/// Converts `value` to units of 2^-64, rounded to the nearest, ties to even.
#[inline]
fn to_fixed(value: f64) -> Result<u128, SumOverflow> {
    const MANTISSA_BITS: i32 = 52;
    const EXPONENT_BIAS: i32 = 1023;

    let bits = (value + 0.0).to_bits(); // changes -0 to 0
    let exponent = (bits >> MANTISSA_BITS) as i32; // includes the sign bit: a negative number is too large
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
        // Less than half a unit, including zero and subnormal numbers.
        ..-53 => Ok(0),
        _ => Err(SumOverflow),
    }
}

#[cfg(test)]
mod tests;
