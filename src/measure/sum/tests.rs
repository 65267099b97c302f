//! Tests of the exact sum against rational numbers.

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
    fn it_equals_the_sum_of_big_rationals(legs in prop::collection::vec(leg(), 0..40)) {
        let mut sum = ExactSum::ZERO;
        let expected: BigInt = legs.iter().map(|&leg| units(leg)).sum();
        match sum.add_all(&legs) {
            Ok(()) => prop_assert_eq!(BigInt::from(sum.0), expected),
            Err(SumOverflow) => prop_assert!(expected >= BigInt::from(1_u8) << 128),
        }
    }

    #[test]
    fn every_level_sums_blocks_bit_identically_to_single_terms(
        legs in prop::collection::vec(prop_oneof![40 => leg_below(1 << 31), 1 => leg(), 1 => Just(-0.0)], 0..300),
    ) {
        let mut single = ExactSum::ZERO;
        let expected = single.add_all(&legs);
        for level in Level::all() {
            let mut block = ExactSum::ZERO;
            prop_assert_eq!(block.add_block(level, &legs), expected);
            let mut few = ExactSum::ZERO;
            prop_assert_eq!(few.add_few(&legs), expected);
            prop_assert_eq!(few, block);
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
fn ten_million_legs_of_a_tenth_sum_to_a_million() {
    let legs = [0.1; 1000];
    let mut sum = ExactSum::ZERO;
    for _ in 0..10_000 {
        sum.add_all(&legs).unwrap();
    }
    // 10^7 times the f64 nearest to 0.1, which is 0.1 + 5.55e-18, rounds to 10^6.
    assert_eq!(sum.to_f64(), 1e6);
}

#[test]
fn a_term_or_total_out_of_range_is_refused_and_changes_nothing() {
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
