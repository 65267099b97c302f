//! An exact sum of differences of lengths.

use super::{ExactSum, FRACTION_BITS, SumOverflow, to_fixed};

/// An exact sum of values of either sign, in 128 bits with units of 2^-64.
///
/// Each length is rounded to the unit as by [`ExactSum`], so that sums of both kinds can be compared to the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SignedSum(i128);

impl SignedSum {
    /// The empty sum.
    pub const ZERO: Self = Self(0);

    /// Adds the length `term`, which is not negative.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or the term is out of range. The sum is then unchanged.
    pub fn add(&mut self, term: f64) -> Result<(), SumOverflow> {
        self.add_units(units(term)?)
    }

    /// Subtracts the length `term`, which is not negative.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum or the term is out of range. The sum is then unchanged.
    pub fn subtract(&mut self, term: f64) -> Result<(), SumOverflow> {
        self.add_units(-units(term)?)
    }

    /// Adds another sum.
    ///
    /// # Errors
    /// Returns [`SumOverflow`] if the sum is out of range. The sum is then unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), SumOverflow> {
        self.add_units(other.0)
    }

    /// Adds a number of units of 2^-64.
    fn add_units(&mut self, units: i128) -> Result<(), SumOverflow> {
        self.0 = self.0.checked_add(units).ok_or(SumOverflow)?;
        Ok(())
    }

    /// Returns whether the magnitude is below 2^62, so that it can still grow by this much.
    pub(in crate::measure) fn has_reserve(self) -> bool {
        self.0.unsigned_abs() < 1 << (62 + FRACTION_BITS)
    }

    /// Returns the sum, rounded once to the nearest `f64`, ties to even.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 2_f64.powi(FRACTION_BITS)
    }

    /// Returns the exact sum as 16 bytes, little-endian.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Returns the sum from the bytes of [`SignedSum::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(i128::from_le_bytes(bytes))
    }
}

/// # Errors
/// Returns [`SumOverflow`] if the sum is 2^63 or more.
impl TryFrom<ExactSum> for SignedSum {
    type Error = SumOverflow;

    fn try_from(sum: ExactSum) -> Result<Self, SumOverflow> {
        i128::try_from(sum.0).map(Self).map_err(|_| SumOverflow)
    }
}

/// Returns a length in units of 2^-64.
fn units(term: f64) -> Result<i128, SumOverflow> {
    i128::try_from(to_fixed(term)?).map_err(|_| SumOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_subtracted_cancels_exactly() {
        let mut sum = SignedSum::ZERO;
        for term in [0.1, 1e9 / 3.0, 2_f64.powi(-60)] {
            sum.add(term).unwrap();
            sum.add(term).unwrap();
            sum.subtract(term).unwrap();
        }
        let mut exact = ExactSum::ZERO;
        exact.add_all(&[0.1, 1e9 / 3.0, 2_f64.powi(-60)]).unwrap();
        assert_eq!(SignedSum::try_from(exact), Ok(sum));
        sum.subtract(exact.to_f64()).unwrap();
        assert!(sum.to_f64() < 0.0 && sum.to_f64() > -1e-6, "{}", sum.to_f64());
        assert_eq!(SignedSum::from_bytes(sum.to_bytes()), sum);
    }

    #[test]
    fn an_overflow_changes_nothing() {
        let mut sum = SignedSum::ZERO;
        sum.add(2_f64.powi(62)).unwrap();
        let before = sum;
        assert_eq!(sum.add(2_f64.powi(62)), Err(SumOverflow));
        assert_eq!(sum.add(2_f64.powi(63)), Err(SumOverflow));
        assert_eq!(sum.subtract(f64::NAN), Err(SumOverflow));
        assert_eq!(sum, before);
    }
}
