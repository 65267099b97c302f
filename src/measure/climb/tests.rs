//! Tests of ascent and descent: exact cases by hand, properties, and states.

use proptest::prelude::*;

use super::*;
use crate::measure::point::PLANAR_MAX;

mod simulated;

const SECOND: i64 = 1_000_000_000;

/// The settings of `ClimbOptions::default()`.
const DEFAULT: ClimbSettings = ClimbSettings { threshold: 3.0, smoothing_ns: 45_000_000_000 };

fn exact(threshold: f64) -> ClimbSettings {
    ClimbSettings { threshold, smoothing_ns: 0 }
}

fn totals(climb: &Climb) -> Option<(f64, f64)> {
    let totals = climb.totals().unwrap();
    totals.map(|(ascent, descent)| (ascent.to_f64(), descent.to_f64()))
}

/// Returns ascent and descent of elevations without times.
fn of_elevations(threshold: f64, elevations: &[f64]) -> Option<(f64, f64)> {
    let mut climb = Climb::new(exact(threshold));
    elevations.iter().for_each(|&z| climb.add(Some(z), None).unwrap());
    totals(&climb)
}

/// Returns the climb of elevations at regular times.
fn at_interval(settings: ClimbSettings, interval_ns: i64, elevations: &[f64]) -> Climb {
    let mut climb = Climb::new(settings);
    for (index, &z) in elevations.iter().enumerate() {
        climb.add(Some(z), Some(index as i64 * interval_ns)).unwrap();
    }
    climb
}

#[test]
fn climbs_and_descents_of_the_threshold_or_more_count() {
    assert_eq!(of_elevations(5.0, &[0.0, 100.0, 0.0]), Some((100.0, 100.0)));
    assert_eq!(of_elevations(5.0, &[0.0, 5.0]), Some((5.0, 0.0)));
    assert_eq!(of_elevations(5.0, &[0.0, 4.9, 0.0, 4.9]), Some((0.0, 0.0)));
    // The dip of 4 m is lower than the threshold: one climb of 20 m.
    assert_eq!(of_elevations(5.0, &[0.0, 12.0, 8.0, 20.0]), Some((20.0, 0.0)));
    assert_eq!(of_elevations(5.0, &[0.0, 12.0, 7.0, 20.0]), Some((25.0, 5.0)));
    // Slow climbs add up.
    assert_eq!(of_elevations(5.0, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), Some((6.0, 0.0)));
    // The climb starts at the lowest point, not at the first one.
    assert_eq!(of_elevations(5.0, &[0.0, 1.0, -3.0, 4.0, 1.0]), Some((7.0, 0.0)));
    assert_eq!(of_elevations(5.0, &[0.0, -2.0, 3.0, -4.0, -1.0]), Some((5.0, 7.0)));
}

#[test]
fn a_threshold_of_0_gives_the_raw_sums() {
    let elevations = [1.0, 1.0, 2.5, 2.0, 2.0, -1.0, 0.0];
    assert_eq!(of_elevations(0.0, &elevations), Some((2.5, 3.5)));
}

#[test]
fn a_segment_needs_two_elevations() {
    let mut climb = Climb::new(DEFAULT);
    assert_eq!(totals(&climb), None);
    for second in 0..3 {
        climb.add(Some(100.0 * second as f64), Some(second * SECOND)).unwrap();
        climb.add(None, Some(second * SECOND)).unwrap();
        climb.start_segment().unwrap();
    }
    climb.add(Some(1.0), None).unwrap();
    assert_eq!(totals(&climb), None);
    climb.add(Some(1.0), None).unwrap();
    assert_eq!(totals(&climb), Some((0.0, 0.0)));
}

#[test]
fn no_climb_joins_two_segments() {
    for unix_ns in [None, Some(0)] {
        let mut climb = Climb::new(DEFAULT);
        for z in [0.0, 100.0] {
            climb.add(Some(z), unix_ns).unwrap();
            climb.add(Some(z), unix_ns).unwrap();
            climb.start_segment().unwrap();
        }
        assert_eq!(totals(&climb), Some((0.0, 0.0)));
    }
}

#[test]
fn the_open_climb_counts_in_the_totals() {
    let mut climb = Climb::new(exact(3.0));
    climb.add(Some(0.0), None).unwrap();
    let mut expected = vec![];
    for z in [2.0, 4.0, 9.0, 8.0, 5.0] {
        climb.add(Some(z), None).unwrap();
        expected.push(totals(&climb).unwrap());
    }
    assert_eq!(expected, [(0.0, 0.0), (4.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 4.0)]);
}

#[test]
fn smoothing_keeps_the_ends_of_a_slope() {
    // 1 m a second for ten minutes. The average of a bin of 5 s is that of its middle.
    let elevations: Vec<f64> = (0..=600).map(f64::from).collect();
    let climb = at_interval(DEFAULT, SECOND, &elevations);
    // From the middle of the first bin, 2 m, to the last bin, which has one fix.
    assert_eq!(totals(&climb), Some((598.0, 0.0)));
    assert_eq!(climb.threshold(), 3.0);
    // With bins of one fix each, nothing is lost.
    let climb = at_interval(DEFAULT, 5 * SECOND, &elevations);
    assert_eq!(totals(&climb), Some((600.0, 0.0)));
    // With gaps that are longer than the smoothing time, the elevations stay as they are.
    let climb = at_interval(DEFAULT, 60 * SECOND, &[0.0, 100.0, 0.0, 3.0, 0.0]);
    assert_eq!(totals(&climb), Some((103.0, 103.0)));
}

#[test]
fn the_direction_of_time_does_not_matter() {
    let elevations: Vec<f64> = (0..2000).map(|i| f64::from(i * i % 97 + i / 10 % 60)).collect();
    let forward = at_interval(DEFAULT, SECOND, &elevations);
    let backward = at_interval(DEFAULT, -SECOND, &elevations);
    assert_eq!(totals(&forward), totals(&backward));
    assert!(totals(&forward).unwrap().0 > 50.0);
}

#[test]
fn a_spike_is_smoothed() {
    // 14 m in the average of a bin, and at most 2.8 m in that of five bins.
    let mut elevations = vec![0.0; 600];
    elevations[300] = 70.0;
    let climb = at_interval(DEFAULT, SECOND, &elevations);
    assert_eq!(totals(&climb), Some((0.0, 0.0)));
    // The threshold applies to elevations without times as they are.
    assert_eq!(of_elevations(3.0, &elevations), Some((70.0, 70.0)));
}

#[test]
fn noise_raises_the_threshold_to_five_times_its_setting_at_most() {
    let mut elevations: Vec<f64> = (0..600).map(|i| f64::from(i % 2)).collect();
    let climb = at_interval(DEFAULT, 5 * SECOND, &elevations);
    // White noise with a standard deviation of 0.5 m.
    assert!((3.1..5.0).contains(&climb.threshold()), "{}", climb.threshold());
    assert_eq!(totals(&climb), Some((0.0, 0.0)));
    elevations.iter_mut().for_each(|z| *z *= 1000.0);
    let climb = at_interval(DEFAULT, 5 * SECOND, &elevations);
    assert_eq!(climb.threshold(), 15.0);
}

#[test]
fn fixes_without_a_time_are_not_smoothed() {
    let mut climb = Climb::new(DEFAULT);
    for (z, unix_ns) in [(0.0, Some(0)), (0.0, Some(SECOND)), (50.0, None), (1.0, Some(2 * SECOND))]
    {
        climb.add(Some(z), unix_ns).unwrap();
    }
    assert_eq!(totals(&climb), Some((50.0, 49.0)));
}

/// Elevations, times and segment starts, mostly as of a receiver, and hostile ones.
#[derive(Clone, Copy, Debug)]
struct Step {
    z: Option<f64>,
    unix_ns: Option<i64>,
    starts_segment: bool,
}

fn z() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (-500..5000_i32).prop_map(|z| f64::from(z) / 10.0),
        1 => -PLANAR_MAX..=PLANAR_MAX,
        1 => prop_oneof![Just(PLANAR_MAX), Just(-PLANAR_MAX), Just(-0.0), Just(5e-324)],
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    const FIRST: i64 = -9_214_560_000_000_000_000;
    const LAST: i64 = 9_214_646_399_999_999_999;
    let interval = prop_oneof![
        10 => Just(SECOND),
        3 => 0..20 * SECOND,
        1 => -5 * SECOND..0,
        1 => 0..3600 * SECOND,
    ];
    let step = (
        prop::option::weighted(0.9, z()),
        interval,
        prop::option::weighted(0.02, prop_oneof![Just(FIRST), Just(LAST), FIRST..=LAST]),
        prop::bool::weighted(0.95),
        prop::bool::weighted(0.02),
    );
    prop::collection::vec(step, 0..200).prop_map(|steps| {
        let mut now = 1_700_000_000 * SECOND;
        let steps = steps.into_iter().map(|(z, interval, jump, has_time, starts_segment)| {
            now = jump.unwrap_or_else(|| now.saturating_add(interval).clamp(FIRST, LAST));
            Step { z, unix_ns: has_time.then_some(now), starts_segment }
        });
        steps.collect()
    })
}

fn settings() -> impl Strategy<Value = ClimbSettings> {
    let threshold = prop_oneof![
        3 => Just(3.0),
        2 => 0.0..20.0_f64,
        1 => prop_oneof![Just(0.0), Just(5e-324), Just(1e-160), Just(PLANAR_MAX)],
    ];
    let smoothing_ns = prop_oneof![
        4 => Just(45_000_000_000),
        2 => Just(0),
        1 => 0..200_000_000_000_u64,
        1 => prop_oneof![Just(1), Just(u64::MAX)],
    ];
    (threshold, smoothing_ns)
        .prop_map(|(threshold, smoothing_ns)| ClimbSettings { threshold, smoothing_ns })
}

fn add(climb: &mut Climb, step: &Step) {
    if step.starts_segment {
        climb.start_segment().unwrap();
    }
    climb.add(step.z, step.unix_ns).unwrap();
}

proptest! {
    #[test]
    fn a_restored_climb_continues_with_the_same_bits(settings in settings(), steps in steps()) {
        let mut whole = Climb::new(settings);
        let mut restored = whole;
        for step in &steps {
            add(&mut whole, step);
            add(&mut restored, step);
            let state = restored.state();
            prop_assert_eq!(state.check(settings), Ok(()));
            restored = Climb::from_checked_state(settings, &state);
            prop_assert_eq!(restored, whole);
            prop_assert_eq!(format!("{restored:?}"), format!("{whole:?}"));
        }
        prop_assert_eq!(restored.totals(), whole.totals());
    }

    #[test]
    fn totals_are_possible(settings in settings(), steps in steps()) {
        let mut climb = Climb::new(settings);
        let (mut rise, mut fall, mut last, mut is_known) = (0.0, 0.0, None, false);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for step in &steps {
            add(&mut climb, step);
            if step.starts_segment {
                last = None;
            }
            if let Some(z) = step.z {
                is_known |= last.is_some();
                let from = last.replace(z).unwrap_or(z);
                rise += (z - from).max(0.0);
                fall += (from - z).max(0.0);
                (min, max) = (min.min(z), max.max(z));
            }
            let limit = THRESHOLD_FACTOR_MAX * settings.threshold * (1.0 + 1e-12);
            prop_assert!((settings.threshold..=limit).contains(&climb.threshold()));
        }
        let totals = totals(&climb);
        prop_assert_eq!(totals.is_some(), is_known);
        if let Some((ascent, descent)) = totals {
            // The length of the average depends on the noise, so the smoothed elevations may rise more in total.
            let of_smoothed = (max - min) * steps.len() as f64;
            let is_smoothed = settings.smoothing_ns > 0;
            let (rise, fall) = if is_smoothed { (of_smoothed, of_smoothed) } else { (rise, fall) };
            let tolerance = 1.0 + 1e-9;
            prop_assert!((0.0..=rise * tolerance).contains(&ascent));
            prop_assert!((0.0..=fall * tolerance).contains(&descent));
        }
    }

    #[test]
    fn the_reverse_order_exchanges_ascent_and_descent(
        threshold in 0.0..20.0_f64,
        elevations in prop::collection::vec(z(), 2..100),
    ) {
        let forward = of_elevations(threshold, &elevations).unwrap();
        let reversed: Vec<f64> = elevations.iter().rev().copied().collect();
        let (ascent, descent) = of_elevations(threshold, &reversed).unwrap();
        prop_assert_eq!(forward, (descent, ascent));
    }

    #[test]
    fn ascent_minus_descent_is_the_difference_of_the_ends(
        threshold in 0.0..20.0_f64,
        elevations in prop::collection::vec((0..5000_i32).prop_map(|z| f64::from(z) / 8.0), 2..100),
    ) {
        let (ascent, descent) = of_elevations(threshold, &elevations).unwrap();
        let difference = elevations.last().unwrap() - elevations.first().unwrap();
        prop_assert!((ascent - descent - difference).abs() <= 2.0 * threshold);
    }

    /// A definition of the turning points that is independent of the code: the best choice of climbs, each of which
    /// costs the threshold.
    #[test]
    fn climbs_without_smoothing_are_the_best_choice_of_climbs(
        threshold in (1..200_i32).prop_map(|t| f64::from(t) / 8.0 + 1.0 / 16.0),
        elevations in prop::collection::vec((0..800_i32).prop_map(|z| f64::from(z) / 8.0), 2..60),
    ) {
        let (mut outside, mut inside, mut count_outside, mut count_inside) =
            (0.0_f64, f64::NEG_INFINITY, 0, 0);
        for &z in &elevations {
            if outside - z - threshold > inside {
                (inside, count_inside) = (outside - z - threshold, count_outside + 1);
            }
            if inside + z > outside {
                (outside, count_outside) = (inside + z, count_inside);
            }
        }
        let (ascent, _) = of_elevations(threshold, &elevations).unwrap();
        prop_assert_eq!(ascent, outside + f64::from(count_outside) * threshold);
    }
}

#[test]
fn wrong_times_do_not_hide_climbs() {
    // 10 fixes a second, with times in whole seconds.
    let mut climb = Climb::new(DEFAULT);
    for index in 0..1000 {
        let z = f64::from(index % 2) * 8.0;
        climb.add(Some(z), Some(i64::from(index / 10) * SECOND)).unwrap();
    }
    assert_eq!(totals(&climb), Some((0.0, 0.0)));
    // All fixes at one time, with jitter: only the first 16 are averaged.
    let mut climb = Climb::new(DEFAULT);
    for index in 0..10_000 {
        climb.add(Some(f64::from(index)), Some(index.into())).unwrap();
    }
    assert!(climb.state().ignores_times);
    assert_eq!(totals(&climb), Some((9999.0 - 7.5, 0.0)));
    // The next segment has correct times.
    climb.start_segment().unwrap();
    for index in 0..10 {
        climb.add(Some(f64::from(index % 2) * 8.0), Some(i64::from(index) * SECOND)).unwrap();
    }
    assert_eq!(totals(&climb), Some((9999.0 - 7.5, 0.0)));
}

#[test]
fn the_number_of_fixes_in_a_bin_does_not_overflow() {
    let settings = ClimbSettings { smoothing_ns: u64::MAX, ..DEFAULT };
    let mut state = at_interval(settings, SECOND, &[1.0, 2.0]).state();
    let smoother = state.smoother.as_mut().unwrap();
    (smoother.count, smoother.offset_ns) = (u32::MAX, u64::from(u32::MAX) * 1_000_000);
    assert_eq!(state.check(settings), Ok(()));
    let mut climb = Climb::from_checked_state(settings, &state);
    climb.add(Some(1.0), Some(SECOND)).unwrap();
    assert_eq!(climb.state(), state);
}

#[test]
fn a_total_out_of_range_is_an_error() {
    let mut climb = Climb::new(exact(1.0));
    climb.add(Some(-PLANAR_MAX), None).unwrap();
    climb.add(Some(PLANAR_MAX), None).unwrap();
    let mut bytes = [u8::MAX; 16];
    bytes[..8].fill(0);
    let full = ExactSum::from_bytes(bytes);
    let state = ClimbState { sums: Some([full, full]), ..climb.state() };
    let climb = Climb::from_checked_state(exact(1.0), &state);
    assert_eq!(climb.totals(), Err(SumOverflow));
}

#[test]
fn an_impossible_state_is_refused() {
    let settings = DEFAULT;
    let elevations: Vec<f64> = (0..200).map(|i| f64::from(i % 7) + f64::from(i)).collect();
    let mut climb = at_interval(settings, SECOND, &elevations);
    let valid = climb.state();
    assert_eq!(valid.check(settings), Ok(()));
    let problem = |change: fn(&mut ClimbState, &mut SmootherState, &mut LegState)| {
        let mut state = valid;
        let (mut smoother, mut leg) = (state.smoother.unwrap(), state.leg.unwrap());
        change(&mut state, &mut smoother, &mut leg);
        let state = ClimbState {
            smoother: state.smoother.map(|_| smoother),
            leg: state.leg.map(|_| leg),
            ..state
        };
        state.check(settings).expect_err("the state is valid")
    };
    let smoother_problems = [
        problem(|_, smoother, _| smoother.last_ns = i64::MAX),
        problem(|_, smoother, _| smoother.count = 0),
        problem(|_, smoother, _| smoother.offset_ns = 5 * SECOND as u64),
        problem(|_, smoother, _| smoother.sum = f64::NAN),
        problem(|_, smoother, _| smoother.sum = -1e30),
        problem(|_, smoother, _| smoother.sum = -0.0),
        problem(|_, smoother, _| smoother.closed = 9),
        problem(|_, smoother, _| smoother.closed = 7),
        problem(|_, smoother, _| smoother.means[2] = f64::INFINITY),
        problem(|_, smoother, _| smoother.durations[7] = 0),
    ];
    let other_problems = [
        problem(|state, _, _| state.ignores_times = true),
        problem(|_, _, leg| leg.from = f64::NAN),
        problem(|_, _, leg| leg.to = -0.0),
        problem(|_, _, leg| leg.to = leg.from + 2.9),
        problem(|state, _, _| state.squares[1] = f64::NAN),
        problem(|state, _, _| state.squares[1] = -1.0),
        problem(|state, _, _| state.squares[0] = 451.0),
        problem(|state, _, _| state.square_count = 0),
        problem(|state, _, _| state.sums = None),
    ];
    insta::assert_debug_snapshot!(smoother_problems, @r#"
    [
        "a time is out of range",
        "a bin is empty",
        "a bin is too long",
        "a sum of elevations is out of range",
        "a sum of elevations is out of range",
        "a sum of elevations is out of range",
        "there are too many bins",
        "a bin should be unset",
        "a bin is out of range",
        "a bin is out of range",
    ]
    "#);
    insta::assert_debug_snapshot!(other_problems, @r#"
    [
        "its times should not be ignored",
        "a turning point is out of range",
        "a turning point is out of range",
        "a climb is lower than the threshold",
        "a variance is out of range",
        "a variance is out of range",
        "a variance is out of range",
        "a variance should be unset",
        "the sums are not set",
    ]
    "#);
    // The options decide what a state may have.
    assert!(valid.check(exact(3.0)).is_err());
    climb.start_segment().unwrap();
    assert!(climb.state().check(exact(3.0)).is_err());
    for (sums, leg) in [(None, Some((0.0, 1.0))), (None, Some((0.0, 0.0)))] {
        let leg = leg.map(|(from, to)| LegState { from, to, is_confirmed: false });
        let state = ClimbState { sums, leg, ..ClimbState::default() };
        assert_eq!(state.check(settings).is_ok(), leg.is_none_or(|leg| leg.from == leg.to));
        let state = ClimbState { smoother: valid.smoother, ..state };
        assert!(state.check(settings).is_err());
    }
}
