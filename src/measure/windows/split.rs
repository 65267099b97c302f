//! The division of the length of a leg in proportion to time.

use std::num::NonZeroU64;

/// A leg that is divided. The part of the leg before a moment is its length times the elapsed part of its
/// duration, rounded down to a whole unit of 2^-64. The parts between moments are differences of these, so that
/// they sum to the length of the leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    duration_ns: NonZeroU64,
    /// The units per nanosecond, and the remainder.
    quotient: u128,
    remainder: u128,
}

impl Split {
    pub(super) fn new(units: u128, duration_ns: NonZeroU64) -> Self {
        let duration = u128::from(duration_ns.get());
        Self { duration_ns, quotient: units / duration, remainder: units % duration }
    }

    /// Returns the units of the first `elapsed_ns` nanoseconds, at most the duration.
    pub(super) fn before(&self, elapsed_ns: u64) -> u128 {
        let duration_ns = self.duration_ns.get();
        let elapsed = u128::from(elapsed_ns.min(duration_ns));
        // The first product is at most the length. The factors of the second one are below 2^64.
        self.quotient * elapsed + self.remainder * elapsed / u128::from(duration_ns)
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    fn split(units: u128, duration_ns: u64) -> Split {
        Split::new(units, NonZeroU64::new(duration_ns).unwrap())
    }

    proptest! {
        #[test]
        fn a_part_is_the_product_rounded_down(
            units: u128, shift in 0_u32..128, duration in 1..=u64::MAX, duration_shift in 0_u32..64, part: u64,
        ) {
            let (units, duration) = (units >> shift, (duration >> duration_shift).max(1));
            let elapsed = part % duration;
            let expected = BigUint::from(units) * elapsed / duration;
            prop_assert_eq!(BigUint::from(split(units, duration).before(elapsed)), expected);
            prop_assert_eq!(split(units, duration).before(duration), units);
        }
    }

    #[test]
    fn the_extremes_do_not_overflow() {
        for units in [0, 1, u128::MAX, u128::MAX - 1, 1 << 127] {
            for duration in [1, 2, u64::MAX, u64::MAX - 1] {
                let split = split(units, duration);
                assert_eq!((split.before(0), split.before(duration)), (0, units));
                let expected = BigUint::from(units) * (duration - 1) / duration;
                assert_eq!(BigUint::from(split.before(duration - 1)), expected);
            }
        }
    }
}
