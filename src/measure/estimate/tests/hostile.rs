//! Cuts, stored states and hostile input.

use super::simulation::{Noise, START_NS, add, estimator, track};
use super::*;

/// Stores an estimator and reads it back.
fn round_trip(estimator: &Estimator) -> Estimator {
    let state = estimator.state();
    assert_eq!(Estimator::check(&state), Ok(()));
    Estimator::from_checked_state(estimator.settings, &state)
}

/// A fix of any path: longitude, latitude, a time if it has one, and whether it starts a segment.
type AnyFix = ((f64, f64), Option<i64>, bool);

/// Steps of any size: still, walking, jumps; intervals of any size, also negative ones.
fn any_fixes() -> impl Strategy<Value = Vec<AnyFix>> {
    let step = prop_oneof![
        6 => Just(0.0),
        20 => -300.0..300.0_f64,
        2 => -1e6..1e6_f64,
        1 => -2e9..2e9_f64,
    ];
    let interval = prop_oneof![
        20 => Just(1_000_000_000_i64),
        4 => 1_000_000..20_000_000_000_i64,
        1 => Just(0),
        1 => -5_000_000_000..0_i64,
        1 => 0..10_000_000_000_000_i64,
        1 => any::<i64>(),
    ];
    let start = (-1.8e9..=1.8e9_f64, -9e8..=9e8_f64, -9_000_000_000..9_000_000_000_i64);
    let steps = prop::collection::vec(
        (step.clone(), step, interval, prop::bool::weighted(0.05), prop::bool::weighted(0.03)),
        0..400,
    );
    (start, steps).prop_map(|((mut x, mut y, second), steps)| {
        let mut ns = second * 1_000_000_000;
        let limit = 9_214_560_000_000_000_000;
        let fixes = steps.into_iter().map(|(dx, dy, interval, is_untimed, is_first)| {
            x = (x + dx + 1.8e9).rem_euclid(3.6e9) - 1.8e9;
            y = (y + dy).clamp(-9e8, 9e8);
            ns = ns.saturating_add(interval).clamp(-limit, limit);
            ((x, y), (!is_untimed).then_some(ns), is_first)
        });
        fixes.collect()
    })
}

fn add_any(estimator: &mut Estimator, (at, unix_ns, is_first): AnyFix) {
    if is_first {
        estimator.start_segment();
    }
    estimator.add(at, unix_ns);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_stored_path_continues_with_identical_bits(
        fixes in any_fixes(), cuts in prop::collection::vec(0..400_usize, 0..6),
    ) {
        let settings = EstimateSettings { max_trips: 5, ..EstimateSettings::default() };
        let (mut whole, mut stored) = (Estimator::new(settings), Estimator::new(settings));
        for (index, &fix) in fixes.iter().enumerate() {
            if cuts.contains(&index) {
                stored = round_trip(&stored);
                prop_assert_eq!(stored.summary(), whole.summary());
            }
            add_any(&mut whole, fix);
            add_any(&mut stored, fix);
        }
        prop_assert_eq!(&stored, &whole);
        prop_assert_eq!(round_trip(&stored), whole);
    }

    #[test]
    fn every_result_is_finite(fixes in any_fixes()) {
        let settings = EstimateSettings { max_trips: 5, ..EstimateSettings::default() };
        let mut path = Estimator::new(settings);
        for &fix in &fixes {
            add_any(&mut path, fix);
        }
        let summary = path.summary();
        let lengths = summary.trips.iter().map(|trip| trip.length);
        for length in lengths.chain(summary.length) {
            let EstimatedLength { length_m, low_m, high_m } = length;
            prop_assert!(0.0 <= low_m && low_m <= length_m && length_m <= high_m);
            prop_assert!(high_m < 1e12, "{}", high_m);
        }
        let timed = fixes.iter().filter(|(_, time, _)| time.is_some()).count();
        prop_assert_eq!(summary.untimed_count, (fixes.len() - timed) as u64);
        prop_assert!(summary.stop_count <= 400 && summary.stops.len() <= 5);
    }

    #[test]
    fn a_damaged_value_of_the_filters_does_no_harm(
        index in 0..PieceState::FILTER_VALUES, bits in any::<u32>(), seed in 0..20_u64,
    ) {
        let mut state = walk(seed).state();
        let piece = state.piece.as_mut().unwrap();
        piece.filters[index] = f32::from_bits(bits);
        if Estimator::check(&state).is_ok() {
            let mut path = Estimator::from_checked_state(EstimateSettings::default(), &state);
            for &fix in &track(&[(600, 1.4)], 1, NOISE, seed).fixes {
                add(&mut path, (fix.0, fix.1 + 1000.0));
            }
            let length = path.summary().length.unwrap();
            prop_assert!(length.high_m.is_finite() && length.low_m >= 0.0, "{:?}", length);
        } else {
            prop_assert!(!f32::from_bits(bits).is_nan() || Estimator::check(&state).is_err());
        }
    }
}

const NOISE: Noise = Noise { correlated_m: 3.0, correlation_s: 40.0, white_m: 1.0 };

fn walk(seed: u64) -> Estimator {
    estimator(&track(&[(300, 1.4), (120, 0.0), (300, 1.4), (100, 0.0)], 1, NOISE, seed).fixes)
}

/// A change of a state.
type Damage = fn(&mut EstimateState);

#[test]
fn a_damaged_state_is_refused() {
    let good = walk(1).state();
    assert_eq!(Estimator::check(&good), Ok(()));
    assert!(good.piece.as_ref().is_some_and(|piece| piece.waiting.len() > 3));
    assert!(good.slow.is_some() && good.trip.is_some() && good.stop.is_some());
    assert!(!good.trips.is_empty());
    const MOVING: usize = 16;
    let damages: [Damage; 27] = [
        |state| state.piece.as_mut().unwrap().filters[3] = f32::NAN,
        |state| state.piece.as_mut().unwrap().filters[3] = f32::INFINITY,
        |state| state.piece.as_mut().unwrap().filters[3] = -0.0,
        |state| state.piece.as_mut().unwrap().filters[6 * MOVING] = -1.0,
        |state| state.piece.as_mut().unwrap().filters[7 * MOVING] = 1e6,
        |state| state.piece.as_mut().unwrap().filters[13 * MOVING + 4 * 4] = -1.0,
        |state| state.piece.as_mut().unwrap().filters.truncate(3),
        |state| state.piece.as_mut().unwrap().waiting[1][2] = 0,
        |state| state.piece.as_mut().unwrap().waiting[1][2] = i64::MAX,
        |state| state.piece.as_mut().unwrap().waiting[1][1] = 1_000_000_000,
        |state| state.piece.as_mut().unwrap().waiting[1][0] = i64::MIN,
        |state| state.piece.as_mut().unwrap().waiting[1][0] = 300_000_000,
        |state| state.piece.as_mut().unwrap().waiting = vec![[0, 0, 1_000_000_000]; 80],
        |state| state.piece.as_mut().unwrap().base.latitude_e7 = 900_000_001,
        |state| state.piece.as_mut().unwrap().base.unix_ns = i64::MAX,
        |state| state.piece.as_mut().unwrap().interval_ns = Some(-1),
        |state| state.piece.as_mut().unwrap().irregularity = f64::NAN,
        |state| state.last = None,
        |state| state.backward = Some((0, BACKWARD_COUNT)),
        |state| state.slow.as_mut().unwrap().count = 0,
        |state| state.slow.as_mut().unwrap().offsets_e7[0] = i64::MIN,
        |state| state.stop.as_mut().unwrap().first.unix_ns += 1_000_000_000_000,
        |state| state.trip.as_mut().unwrap().sums[0] = f64::NAN,
        |state| state.sums[1] = -1.0,
        |state| state.trips[0].length.high_m = f64::INFINITY,
        |state| state.trips[0].start_position[1] = 91.0,
        |state| state.trip_count = 0,
    ];
    let mut accepted = Vec::new();
    for (index, damage) in damages.into_iter().enumerate() {
        let mut state = good.clone();
        damage(&mut state);
        if Estimator::check(&state).is_ok() {
            accepted.push(index);
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn the_state_of_a_path_with_the_longest_legs_is_accepted() {
    let mut path = Estimator::new(EstimateSettings::default());
    let mut longitude = 0.0;
    for index in 0..400_i64 {
        // To the west for 80 fixes, then to the east.
        longitude += if index % 160 < 80 { -0.44e7 } else { 0.44e7 };
        path.add((longitude, 0.0), Some(START_NS + index * 200_000_000_000));
        path = round_trip(&path);
    }
    let length = path.summary().length.unwrap();
    // 0.44 degrees of the equator.
    assert!((length.length_m / (399.0 * 48_980.6) - 1.0).abs() < 0.05, "{length:?}");
}

#[test]
fn fixes_without_usable_times_give_no_estimate() {
    let mut path = estimator(&[]);
    path.add((0.0, 0.0), None);
    path.add((100.0, 0.0), None);
    assert_eq!((path.summary().length, path.summary().untimed_count), (None, 2));
    path.add((0.0, 0.0), Some(START_NS));
    path.add((100.0, 0.0), Some(START_NS));
    path.add((100.0, 0.0), Some(START_NS + 499_999_999));
    let summary = path.summary();
    assert_eq!((summary.length, summary.skipped_count), (None, 2));
    path.start_segment();
    path.add((100.0, 0.0), Some(START_NS + 2_000_000_000));
    assert_eq!(path.summary().length, None);
    path.add((100.0, 0.0), Some(START_NS + 3_000_000_000));
    assert!(path.summary().length.is_some());
}

#[test]
fn one_time_in_the_future_does_not_end_the_estimate() {
    let fixes = track(&[(600, 1.4)], 1, NOISE, 1).fixes;
    let without = estimator(&fixes).summary();
    let mut path = estimator(&fixes[..300]);
    let (at, _) = fixes[300];
    add(&mut path, (at, 1e9));
    fixes[301..].iter().for_each(|&fix| add(&mut path, fix));
    let with = path.summary();
    let [with_m, without_m] = [with, without].map(|summary| summary.length.unwrap().length_m);
    assert!((with_m / without_m - 1.0).abs() < 0.05, "{with_m}, {without_m}");
}

#[test]
fn fixes_at_a_high_rate_give_the_same_estimate() {
    let slow = track(&[(600, 3.0)], 1, NOISE, 1).fixes;
    let fast: Vec<_> = slow
        .windows(2)
        .flat_map(|pair| {
            let [(from, start), (to, _)] = [pair[0], pair[1]];
            (0..100).map(move |step| {
                let part = f64::from(step) / 100.0;
                let at = [0, 1].map(|axis| from[axis] + part * (to[axis] - from[axis]));
                (at, start + part)
            })
        })
        .collect();
    let [slow, fast] = [&slow, &fast].map(|fixes| estimator(fixes).summary());
    let (slow_m, fast_m) = (slow.length.unwrap().length_m, fast.length.unwrap().length_m);
    assert!((fast_m / slow_m - 1.0).abs() < 0.05, "{fast_m}, {slow_m}");
    assert_eq!(fast.skipped_count, 59_900 - 1198);
}

/// Near a pole, a few metres are half a turn of longitude. Two stops there become one.
#[test]
fn stops_at_a_pole_can_be_stored() {
    let mut path = estimator(&[]);
    let mut seconds = 0;
    for stop in 0..6_i64 {
        for fix in 0..150_i64 {
            // The receiver is at rest, on both sides of the pole in turn, and some of the stops are far away.
            let longitude = if (fix / 5 + stop) % 2 == 0 { -1.79e9 } else { 1e7 };
            path.add((longitude, 9e8 - 30.0), Some(START_NS + seconds * 1_000_000_000));
            seconds += 1;
        }
        for step in 1..40_i64 {
            let latitude = 9e8 - 30.0 - (step.min(40 - step) * 100) as f64;
            path.add((1e7, latitude), Some(START_NS + seconds * 1_000_000_000));
            seconds += 1;
        }
        assert_eq!(round_trip(&path), path);
    }
    // A continued stop has the offsets of both from the first fix.
    let mut state = path.state();
    let mut stop = SlowTimeState { count: 2, offsets_e7: [7_000_000_000, 0], ..Default::default() };
    state.stop = Some(stop);
    assert_eq!(Estimator::check(&state), Ok(()));
    stop.count = 1;
    state.stop = Some(stop);
    assert!(Estimator::check(&state).is_err());
}

/// The velocity of a few fixes is not known, and neither is the motion between sparse ones.
#[test]
fn few_or_sparse_fixes_count_with_straight_legs() {
    let length = |fixes: &[(f64, i64)]| {
        let mut path = estimator(&[]);
        for &(metres, second) in fixes {
            // A degree of latitude at the equator has 110 574 m.
            path.add((0.0, metres / 110_574.0 * 1e7), Some(START_NS + second * 1_000_000_000));
        }
        path.summary().length.unwrap()
    };
    for fixes in [&[(0.0, 0), (32.0, 60)][..], &[(0.0, 0), (100.0, 20), (200.0, 40)]] {
        let (metres, _) = fixes[fixes.len() - 1];
        let length = length(fixes);
        assert!((length.length_m / metres - 1.0).abs() < 0.01, "{length:?}");
        assert!(length.low_m < metres && metres < length.high_m, "{length:?}");
    }
    let sparse: Vec<_> = (0..60).map(|i| (156.0 * i as f64, 120 * i)).collect();
    let length = length(&sparse);
    assert!((length.length_m / (59.0 * 156.0) - 1.0).abs() < 0.01, "{length:?}");
    assert!(length.low_m < 59.0 * 156.0 && 59.0 * 156.0 < length.high_m, "{length:?}");
}
