//! Tests of the error bounds against true lengths, and of equal results for all levels, cuts and directions.
//!
//! The true lengths are from tests/geodesic/make_legs.py, which describes the method.

use proptest::prelude::*;

use super::*;
use crate::measure::point::TURN_E7;

mod generator;

const TRUE_LENGTHS: &[u8] = include_bytes!("../../../../tests/geodesic/legs.bin");

/// The largest error in nanometres among the legs of a kind.
#[derive(Default)]
struct Worst {
    nm: f64,
    legs: usize,
}

impl Worst {
    fn add(&mut self, error_m: f64) {
        assert!(error_m.is_finite());
        self.nm = self.nm.max(error_m.abs() * 1e9);
        self.legs += 1;
    }
}

#[test]
fn every_leg_is_within_the_bound_of_its_true_length() {
    let lengths = TRUE_LENGTHS.as_chunks::<8>().0;
    assert_eq!(lengths.len(), generator::LEGS);
    let [mut km, mut km_10, mut km_high, mut km_10_high, mut fallback] =
        std::array::from_fn(|_| Worst::default());
    for (leg, length) in generator::legs().zip(lengths) {
        let length_m = f64::from_le_bytes(*length);
        let [y0, x0, y1, x1] = leg;
        let mut measured = [0.0];
        legs(Level::best(), &[x0, x1], &[y0, y1], &mut measured);
        let error_m = measured[0] - length_m;
        let below_80 = (y0 + y1).abs() / 2.0 < 80.0e7;
        let kind = match (by_series([x0, x1], [y0, y1]).is_some(), length_m <= 1000.0) {
            (false, _) => &mut fallback,
            (true, true) if below_80 => &mut km,
            (true, false) if below_80 => &mut km_10,
            (true, true) => &mut km_high,
            (true, false) => &mut km_10_high,
        };
        kind.add(error_m);
        let series_m = if below_80 { 10_000.0 } else { 10_050.0 };
        assert!(std::ptr::eq(kind, &fallback) || length_m < series_m, "{leg:?} of {length_m} m");
    }
    let all = [km, km_10, km_high, km_10_high, fallback];
    let figures = all.each_ref().map(|kind| (kind.legs, kind.nm));
    for ((legs, nm), bound_nm) in figures.into_iter().zip([0.2, 10.0, 1.0, 200.0, 15.0]) {
        assert!(legs > 2_000 && nm <= bound_nm, "above {bound_nm} nm: {figures:?}");
    }
}

/// Computes one leg without the kernel for blocks.
fn alone(x: [f64; 2], y: [f64; 2]) -> f64 {
    by_series(x, y).unwrap_or_else(|| inverse((y[0], x[0]), (y[1], x[1])))
}

/// Generates tracks with mostly short steps, often near the border of a cell or a limit of the series.
fn track() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let border =
        (-6_800..6_800_i32).prop_map(|half_cells| f64::from(half_cells) * f64::from(1 << 17));
    let start = prop_oneof![
        -9e8..=9e8_f64,
        border.prop_map(|y| y.clamp(-9e8, 9e8)),
        Just(0.0),
        8.799e8..=8.801e8_f64,
        8.5e8..=8.6e8_f64,
    ];
    let step = prop_oneof![20 => -1500.0..1500.0_f64, 2 => -1e5..1e5_f64, 1 => -1e7..1e7_f64];
    let steps = prop::collection::vec((step.clone(), step), 1..300);
    (start, -1.8e9..=1.8e9_f64, steps, any::<bool>(), any::<bool>()).prop_map(
        |(y, x, steps, whole, steady)| {
            let (mut x, mut y) = (x, y);
            let mut columns = (Vec::new(), Vec::new());
            for (dx, dy) in steps {
                x += if steady { 900.0 } else { dx };
                y = (y + if steady { 1300.0 } else { dy }).clamp(-9e8, 9e8);
                x -= (x / TURN_E7).round() * TURN_E7;
                columns.0.push(if whole { x.round() } else { x });
                columns.1.push(if whole { y.round() } else { y });
            }
            columns
        },
    )
}

fn bits(legs: &[f64]) -> Vec<u64> {
    legs.iter().map(|leg| leg.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_block_is_bit_identical_to_single_legs_on_every_level_for_every_cut(
        (x, y) in track(), cut in 0_usize..300,
    ) {
        let n = x.len() - 1;
        let cut = cut.min(n);
        let expected: Vec<_> = (0..n).map(|i| alone([x[i], x[i + 1]], [y[i], y[i + 1]])).collect();
        for level in Level::all() {
            let mut measured = vec![f64::NAN; n];
            legs(level, &x[..=cut], &y[..=cut], &mut measured[..cut]);
            legs(level, &x[cut..], &y[cut..], &mut measured[cut..]);
            prop_assert_eq!(bits(&measured), bits(&expected), "{:?}", level);
        }
    }

    #[test]
    fn a_track_is_bit_identical_in_reverse_and_in_all_hemispheres((x, y) in track()) {
        let measure = |x: &[f64], y: &[f64]| {
            let mut measured = vec![0.0; x.len() - 1];
            legs(Level::best(), x, y, &mut measured);
            measured
        };
        let mirrored = |column: &[f64]| column.iter().map(|it| -it).collect::<Vec<_>>();
        let reversed = |column: &[f64]| column.iter().rev().copied().collect::<Vec<_>>();
        let there = measure(&x, &y);
        let back = measure(&reversed(&x), &reversed(&y));
        prop_assert_eq!(bits(&reversed(&back)), bits(&there));
        for (x_sign, y_sign) in [(false, true), (true, false), (true, true)] {
            let x = if x_sign { mirrored(&x) } else { x.clone() };
            let y = if y_sign { mirrored(&y) } else { y.clone() };
            for (i, (leg, mirrored)) in there.iter().zip(measure(&x, &y)).enumerate() {
                if by_series([x[i], x[i + 1]], [y[i], y[i + 1]]).is_some() {
                    prop_assert_eq!(leg.to_bits(), mirrored.to_bits());
                } else {
                    // The fallback is accurate to nanometres only, and it depends on the order of the ends.
                    prop_assert!((leg - mirrored).abs() <= 30e-9, "{} {}", leg, mirrored);
                }
            }
        }
    }

    #[test]
    fn a_leg_across_the_antimeridian_equals_one_at_greenwich(
        y in -879_000_000..=879_000_000_i32, dx in -1000..=1000_i32, dy in -1000..=1000_i32,
    ) {
        let y = [f64::from(y), f64::from(y + dy)];
        let dx = f64::from(dx);
        let across = if dx >= 0.0 { [1.8e9 - 1.0, -1.8e9 + dx - 1.0] } else { [-1.8e9 + 1.0, 1.8e9 + dx + 1.0] };
        let at_greenwich = alone([0.0, dx], y);
        prop_assert_eq!(bits(&[alone(across, y)]), bits(&[at_greenwich]));
    }
}

#[test]
fn runs_of_any_length_at_a_border_are_bit_identical_to_single_legs() {
    // A border of two cells is an odd multiple of 2^18.
    let border_e7 = f64::from(1755_i32 << 18);
    // With a stretch of 1 the legs are short, with 20 they are longer.
    for (run, stretch) in (1..=140_usize).flat_map(|run| [(run, 1.0), (run, 20.0)]) {
        let side = |i: usize| if (i / run).is_multiple_of(2) { 300.0 } else { -300.0 };
        let y: Vec<_> = (0..300).map(|i| border_e7 + side(i) + i as f64 / 8.0).collect();
        let x: Vec<_> = (0..300).map(|i| stretch * f64::from(i * i)).collect();
        let expected: Vec<_> =
            (1..300).map(|i| alone([x[i - 1], x[i]], [y[i - 1], y[i]])).collect();
        for level in Level::all() {
            let mut measured = vec![f64::NAN; 299];
            legs(level, &x, &y, &mut measured);
            assert_eq!(bits(&measured), bits(&expected), "{run} {level:?}");
        }
    }
}

#[test]
fn the_series_ends_at_ten_kilometres_and_at_eighty_eight_degrees() {
    let degree_m = 111_000.0;
    let north = |y_deg: f64, length_m: f64| {
        by_series([0.0, 0.0], [y_deg * 1e7, (y_deg + length_m / degree_m) * 1e7]).is_some()
    };
    assert!(north(0.0, 9_900.0) && !north(0.0, 10_200.0));
    assert!(north(80.0, 9_800.0) && !north(80.0, 10_100.0));
    assert!(north(87.9, 1_000.0) && !north(87.9, 5_500.0));
    assert!(!north(88.1, 0.001) && !north(89.999, 1.0));
}

#[test]
fn equal_points_have_distance_zero_everywhere() {
    for y in [-9e8, -8.9e8, -8.8e8, -1.0, 0.0, 4.64397e8, 8.8e8, 9e8] {
        for x in [-1.8e9, 0.0, 1.8e9] {
            assert_eq!(alone([x, x], [y, y]).to_bits(), 0.0_f64.to_bits());
            assert_eq!(alone([1.8e9, -1.8e9], [y, y]), 0.0);
        }
    }
}
