//! Rounds the parts of a sum so that the rounded parts add up.

use super::ExactSum;

/// Rounds the parts of `total` to multiples of its unit in the last place as an `f64`. The rounded parts sum to the
/// rounded total, and so do their `f64` values in any order of addition, because every partial sum is an `f64`.
///
/// A part is the difference between two rounded partial sums, so its error is below one such unit.
pub(super) fn round_parts<'a>(total: ExactSum, parts: impl Iterator<Item = &'a mut ExactSum>) {
    let place = total.last_place();
    let (mut sum, mut rounded_before) = (0_u128, 0_u128);
    for part in parts {
        sum = sum.saturating_add(part.units());
        let rounded = rounded(sum, place);
        *part = ExactSum::from_units(rounded - rounded_before);
        rounded_before = rounded;
    }
}

/// Rounds to the nearest multiple of a power of 2, ties to even, as `f64` does.
fn rounded(units: u128, place: u128) -> u128 {
    let (count, rest) = (units / place, units % place);
    let half = place / 2;
    let is_up = rest > half || (rest == half && half > 0 && count % 2 == 1);
    (count + u128::from(is_up)).saturating_mul(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounded_parts_add_up_in_any_order(
            parts in prop::collection::vec((0..90_u32, any::<u64>()), 1..40),
        ) {
            let exact: Vec<_> = parts.iter().map(|&(shift, units)| u128::from(units) << (shift / 2)).collect();
            let total = ExactSum::from_units(exact.iter().sum());
            let mut rounded: Vec<_> = exact.iter().map(|&units| ExactSum::from_units(units)).collect();
            round_parts(total, rounded.iter_mut());
            let forward: f64 = rounded.iter().map(|part| part.to_f64()).sum();
            let backward: f64 = rounded.iter().rev().map(|part| part.to_f64()).sum();
            prop_assert_eq!((forward, backward), (total.to_f64(), total.to_f64()));
            for (part, exact) in rounded.iter().zip(exact) {
                prop_assert!(part.units().abs_diff(exact) <= total.last_place());
            }
        }
    }
}
