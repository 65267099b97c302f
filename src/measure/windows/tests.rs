//! Windows against a reference with big integers, and properties of cuts, orders and limits.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;

mod boundaries;
mod latest;
mod states;

const UNITS: [WindowUnit; 5] =
    [WindowUnit::Hour, WindowUnit::Day, WindowUnit::Week, WindowUnit::Month, WindowUnit::Year];
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Ljubljana",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "America/Juneau",
    "Africa/Monrovia",
    "-03:30",
];
/// 1678-01-01T00:00:00Z, and the last nanosecond of the year 2261.
const FIRST_NS: i64 = -9_214_560_000_000_000_000;
const LAST_NS: i64 = 9_214_646_399_999_999_999;
const HOUR_NS: i64 = 3600 * NS_PER_S;

fn options(unit: WindowUnit, zone: &str, max_windows: u32) -> WindowOptions {
    WindowOptions { max_windows, ..WindowOptions::new(unit, Zone::parse(zone).unwrap()) }
}

/// One call.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fix(Option<i64>),
    Leg(f64, Option<i64>, Option<i64>),
}

fn add(windows: &mut Windows, step: Step) {
    match step {
        Step::Fix(unix_ns) => windows.add_fix(unix_ns),
        Step::Leg(length, from, to) => windows.add_leg(length, from, to).unwrap(),
    }
}

fn all(options: WindowOptions, steps: &[Step]) -> Windows {
    let mut windows = Windows::new(options);
    steps.iter().for_each(|&step| add(&mut windows, step));
    windows
}

fn restored(windows: &Windows, length: ExactSum, point_count: u64) -> Windows {
    let state = windows.state();
    state.check(windows.options, length, point_count).unwrap();
    let restored = Windows::from_checked_state(windows.options, &state);
    assert_eq!(restored.state(), state);
    restored
}

fn units_of(length: f64) -> u128 {
    let mut sum = ExactSum::ZERO;
    sum.add(length).unwrap();
    sum.units()
}

/// Returns the total length and the number of points.
fn totals(steps: &[Step]) -> (ExactSum, u64) {
    let (mut length, mut point_count) = (ExactSum::ZERO, 0);
    for step in steps {
        match *step {
            Step::Fix(_) => point_count += 1,
            Step::Leg(leg, ..) => length.add(leg).unwrap(),
        }
    }
    (length, point_count)
}

/// Windows by their starts with units and points, and the undated part.
type Content = (BTreeMap<i64, (BigUint, u64)>, (BigUint, u64));

/// Returns the content by the definition: the part of a leg before a moment is the product, rounded down.
fn reference(options: WindowOptions, steps: &[Step]) -> Content {
    let calendar = Calendar::new(options.unit, options.zone.rules());
    let span_of = |unix_ns: i64| calendar.span_at(unix_ns.div_euclid(NS_PER_S));
    let mut windows = BTreeMap::<i64, (BigUint, u64)>::new();
    let mut undated = (BigUint::ZERO, 0);
    for step in steps {
        let (length, times) = match *step {
            Step::Fix(Some(unix_ns)) => {
                windows.entry(span_of(unix_ns).start_s).or_default().1 += 1;
                continue;
            }
            Step::Fix(None) => {
                undated.1 += 1;
                continue;
            }
            Step::Leg(length, from, to) => {
                let mut times: Vec<i64> = [from, to].into_iter().flatten().collect();
                times.sort();
                (BigUint::from(units_of(length)), times)
            }
        };
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            undated.0 += length;
            continue;
        };
        let (mut at, mut done) = (first, BigUint::ZERO);
        loop {
            let span = span_of(at);
            let end = i128::from(span.end_s) * 1_000_000_000;
            let next = if end >= last.into() {
                length.clone()
            } else {
                &length * BigUint::try_from(end - i128::from(first)).unwrap()
                    / BigUint::from(last.abs_diff(first))
            };
            windows.entry(span.start_s).or_default().0 += &next - &done;
            if end >= last.into() {
                break;
            }
            (at, done) = (end as i64, next);
        }
    }
    windows.retain(|_, (length, point_count)| *length != BigUint::ZERO || *point_count > 0);
    (windows, undated)
}

fn content(windows: &Windows) -> Content {
    assert!(!windows.is_dropped);
    let window =
        |window: &Window| (window.span.start_s, (BigUint::from(window.units), window.point_count));
    let undated = (BigUint::from(windows.undated.length.units()), windows.undated.point_count);
    (windows.flushed().iter().map(window).collect(), undated)
}

fn length() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        0.0..100.0_f64,
        0.0..1e9_f64,
        (0_u64..300).prop_map(|units| units as f64 * 2_f64.powi(-64)),
    ]
}

/// A time near changes of clocks, near boundaries of UTC, or anywhere.
fn time() -> impl Strategy<Value = i64> {
    let near =
        |second: i64| (second - 200_000..second + 200_000).prop_map(|second| second * NS_PER_S);
    prop_oneof![
        4 => near(1_711_846_800), // Europe/Ljubljana, March 2024
        2 => near(1_162_092_000), // America/St_Johns, October 2006
        2 => near(1_325_239_200), // Pacific/Apia without 2011-12-30
        2 => near(1_712_415_600), // Australia/Lord_Howe, April 2024
        1 => near(-3_225_223_727), // America/Juneau with 1867-10-18 twice
        2 => (-48_i64..48).prop_map(|hours| 1_704_067_200 * NS_PER_S + hours * HOUR_NS),
        1 => (-48_i64..48, -1_i64..=1).prop_map(|(hours, ns)| hours * HOUR_NS + ns),
    ]
}

fn maybe_time() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![8 => time().prop_map(Some), 1 => Just(None)]
}

/// A leg between times that are at most five years apart, so that few legs have more than 50 000 hours.
fn step(reach_ns: i64) -> impl Strategy<Value = Step> {
    let near = move |from: i64, by: i64| from.saturating_add(by).clamp(FIRST_NS, LAST_NS);
    prop_oneof![
        maybe_time().prop_map(Step::Fix),
        (length(), maybe_time(), prop_oneof![Just(0), -10_i64..10, -reach_ns..reach_ns]).prop_map(
            move |(length, from, by)| Step::Leg(length, from, from.map(|from| near(from, by)))
        ),
        (length(), maybe_time()).prop_map(|(length, to)| Step::Leg(length, None, to)),
    ]
}

fn path() -> impl Strategy<Value = (WindowOptions, Vec<Step>)> {
    let unit_and_reach = prop::sample::select(vec![
        (WindowUnit::Hour, 100 * HOUR_NS),
        (WindowUnit::Day, 24 * 60 * HOUR_NS),
        (WindowUnit::Week, 24 * 700 * HOUR_NS),
        (WindowUnit::Month, 24 * 3000 * HOUR_NS),
        (WindowUnit::Year, 24 * 50_000 * HOUR_NS),
    ]);
    (unit_and_reach, prop::sample::select(ZONES.to_vec())).prop_flat_map(|((unit, reach), zone)| {
        let steps = prop::collection::vec(step(reach), 0..60);
        steps.prop_map(move |steps| (options(unit, zone, 100_000), steps))
    })
}

/// Adds steps, and stores and loads the windows after those in `cuts`.
fn stored_between(
    options: WindowOptions,
    steps: &[Step],
    cuts: &[bool],
) -> Result<Windows, TestCaseError> {
    let mut windows = Windows::new(options);
    for (index, &step) in steps.iter().enumerate() {
        add(&mut windows, step);
        if cuts[index] {
            let (length, point_count) = totals(&steps[..=index]);
            let copy = restored(&windows, length, point_count);
            prop_assert_eq!(&copy, &windows);
            // A step that is added to a copy and dropped leaves the original unchanged.
            let mut dropped = windows.clone();
            add(&mut dropped, Step::Leg(1.0, Some(FIRST_NS), Some(FIRST_NS)));
            windows = copy;
        }
    }
    Ok(windows)
}

proptest! {
    #[test]
    fn windows_equal_the_reference_and_sum_to_the_total((options, steps) in path()) {
        let windows = all(options, &steps);
        prop_assert_eq!(content(&windows), reference(options, &steps));
        let (length, point_count) = totals(&steps);
        let mut sum = windows.undated.length;
        for window in windows.flushed().iter() {
            sum.merge(&ExactSum::from_units(window.units)).unwrap();
        }
        prop_assert_eq!(sum, length);
        // The rounded lengths sum to the rounded total in any order.
        let summary = windows.summary();
        let mut lengths: Vec<f64> = summary.windows.iter().map(|w| w.length.to_f64()).collect();
        lengths.push(summary.undated_length.to_f64());
        prop_assert_eq!(lengths.iter().sum::<f64>(), length.to_f64());
        lengths.sort_by(f64::total_cmp);
        prop_assert_eq!(lengths.iter().sum::<f64>(), length.to_f64());
        let points: u64 = summary.windows.iter().map(|window| window.point_count).sum();
        prop_assert_eq!(points + summary.undated_point_count, point_count);
        for pair in summary.windows.windows(2) {
            prop_assert!(pair[0].start_unix_s < pair[0].end_unix_s);
            prop_assert!(pair[0].end_unix_s <= pair[1].start_unix_s);
        }
    }

    #[test]
    fn storing_and_copying_at_any_point_changes_nothing(
        (options, steps) in path(), cuts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let whole = all(options, &steps);
        let cut = stored_between(options, &steps, &cuts)?;
        prop_assert_eq!(&cut, &whole);
        prop_assert_eq!(cut.summary(), whole.summary());
    }

    #[test]
    fn the_order_of_the_steps_and_of_the_ends_of_legs_changes_nothing(
        (options, steps) in path(), rotation in 0_usize..60,
    ) {
        let mut other: Vec<Step> = steps.iter().rev().copied().collect();
        for step in &mut other {
            if let Step::Leg(_, from, to) = step {
                std::mem::swap(from, to);
            }
        }
        other.rotate_left(if steps.is_empty() { 0 } else { rotation % steps.len() });
        prop_assert_eq!(all(options, &other).summary(), all(options, &steps).summary());
    }

    #[test]
    fn a_limit_of_windows_drops_them_in_any_cut(
        (options, steps) in path(), max_windows in 0_u32..40, cuts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let whole = all(options, &steps);
        let limited = WindowOptions { max_windows, ..options };
        let mut cut = Windows::new(limited);
        for (index, &step) in steps.iter().enumerate() {
            add(&mut cut, step);
            if cuts[index] && !cut.is_dropped {
                let (length, point_count) = totals(&steps[..=index]);
                cut = restored(&cut, length, point_count);
            }
        }
        let once = all(limited, &steps);
        prop_assert_eq!(&cut, &once);
        let summary = once.summary();
        if summary.is_dropped {
            prop_assert!(summary.windows.is_empty());
            prop_assert_eq!(summary.undated_length, ExactSum::ZERO);
        } else {
            prop_assert!(whole.summary().windows.len() <= max_windows as usize);
            prop_assert_eq!(summary.windows, whole.summary().windows);
        }
    }
}

#[test]
fn a_leg_over_midnight_is_divided_in_proportion_to_time() {
    // 2024-03-30T22:00Z to 2024-03-31T02:00Z: an hour before midnight in Ljubljana, and three after it.
    let (from, to) = (1_711_836_000 * NS_PER_S, 1_711_850_400 * NS_PER_S);
    let mut windows = Windows::new(options(WindowUnit::Day, "Europe/Ljubljana", 400));
    windows.add_fix(Some(from));
    windows.add_fix(Some(to));
    windows.add_leg(100.0, Some(from), Some(to)).unwrap();
    let summary = windows.summary();
    let found: Vec<_> = summary
        .windows
        .iter()
        .map(|window| {
            let hours = (window.end_unix_s - window.start_unix_s) / 3600;
            (window.start_unix_s, hours, window.length.to_f64(), window.point_count)
        })
        .collect();
    // The start of the second day is 2024-03-31T00:00+01:00. It has 23 hours.
    assert_eq!(found, [(1_711_753_200, 24, 25.0, 1), (1_711_839_600, 23, 75.0, 1)]);
}

#[test]
fn the_rounded_part_is_in_the_earlier_window_and_the_rest_in_the_later_one() {
    let midnight = 1_704_067_200 * NS_PER_S;
    // 10 units over 3 ns, 1 ns of them before midnight: floor(10 / 3) and the rest, in both directions.
    let leg = 10.0 * 2_f64.powi(-64);
    for (from, to) in [(midnight - 1, midnight + 2), (midnight + 2, midnight - 1)] {
        let mut windows = Windows::new(options(WindowUnit::Year, "UTC", 400));
        windows.add_leg(leg, Some(from), Some(to)).unwrap();
        let summary = windows.summary();
        let units: Vec<u128> = summary.windows.iter().map(|window| window.length.units()).collect();
        assert_eq!(units, [3, 7]);
    }
}

#[test]
fn a_leg_that_ends_at_midnight_is_in_the_day_before_and_the_fix_in_the_day_after() {
    let midnight = 1_704_067_200 * NS_PER_S;
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", 400));
    windows.add_fix(Some(midnight - HOUR_NS));
    windows.add_fix(Some(midnight));
    windows.add_leg(5.0, Some(midnight - HOUR_NS), Some(midnight)).unwrap();
    let found: Vec<_> =
        windows.summary().windows.iter().map(|w| (w.length.to_f64(), w.point_count)).collect();
    assert_eq!(found, [(5.0, 1), (0.0, 1)]);
    // Without a fix, the day after does not exist.
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", 400));
    windows.add_leg(5.0, Some(midnight), Some(midnight - HOUR_NS)).unwrap();
    assert_eq!(windows.summary().windows.len(), 1);
}

#[test]
fn a_leg_without_one_time_is_in_the_window_of_the_other_and_without_both_it_is_undated() {
    let time = Some(86_400 * NS_PER_S);
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", 400));
    windows.add_fix(None);
    windows.add_leg(1.0, None, time).unwrap();
    windows.add_leg(2.0, time, None).unwrap();
    windows.add_leg(4.0, time, time).unwrap();
    windows.add_leg(8.0, None, None).unwrap();
    let summary = windows.summary();
    assert_eq!((summary.undated_length.to_f64(), summary.undated_point_count), (8.0, 1));
    assert_eq!(summary.windows.len(), 1);
    assert_eq!(
        (summary.windows[0].start_unix_s, summary.windows[0].length.to_f64()),
        (86_400, 7.0)
    );
}

#[test]
fn the_first_and_the_last_time_have_windows_of_every_unit_in_every_zone() {
    for zone in ZONES {
        for unit in UNITS {
            let mut windows = Windows::new(options(unit, zone, 1000));
            windows.add_fix(Some(FIRST_NS));
            windows.add_fix(Some(LAST_NS));
            let summary = windows.summary();
            assert_eq!(summary.windows.len(), 2, "{zone} {unit:?}");
            for (window, time) in summary.windows.iter().zip([FIRST_NS, LAST_NS]) {
                let second = time.div_euclid(NS_PER_S);
                let range = window.start_unix_s..window.end_unix_s;
                assert!(range.contains(&second), "{zone} {unit:?} {range:?}");
            }
            restored(&windows, ExactSum::ZERO, 2);
            windows.add_leg(1.0, Some(FIRST_NS), Some(LAST_NS)).unwrap();
            let is_dropped = matches!(unit, WindowUnit::Hour | WindowUnit::Day | WindowUnit::Week)
                || unit == WindowUnit::Month;
            assert_eq!(windows.summary().is_dropped, is_dropped, "{zone} {unit:?}");
        }
    }
}

#[test]
fn a_leg_of_584_years_is_divided_into_all_days() {
    let mut windows = Windows::new(options(WindowUnit::Day, "Europe/Ljubljana", 250_000));
    windows.add_leg(1e6, Some(LAST_NS), Some(FIRST_NS)).unwrap();
    let summary = windows.summary();
    // The local dates from 1678-01-01 to 2262-01-01.
    assert_eq!(summary.windows.len(), 213_302);
    let mut sum = ExactSum::ZERO;
    summary.windows.iter().for_each(|window| sum.merge(&window.length).unwrap());
    assert_eq!(sum.to_f64(), 1e6);
}

/// Times that jump back and forth between two years cost a bounded number of steps in total.
#[test]
fn jumps_over_many_windows_drop_the_windows_in_time() {
    let windows_max = 10_000;
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", windows_max));
    let (early, late) = (0, 20 * 365 * 24 * HOUR_NS);
    let mut leg_count = 0;
    while !windows.is_dropped {
        windows.add_leg(1.0, Some(early), Some(late)).unwrap();
        leg_count += 1;
    }
    // 16 * 10 000 boundaries, 7299 of them in each leg after the first one.
    assert_eq!(leg_count, 160_000 / 7298 + 1);
    // Legs over one boundary do not count.
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", 2));
    for _ in 0..100_000 {
        windows.add_leg(1.0, Some(-1), Some(1)).unwrap();
        windows.add_leg(1.0, Some(1), Some(-1)).unwrap();
    }
    assert_eq!(windows.summary().windows.len(), 2);
}

#[test]
fn an_overflow_leaves_the_windows_unchanged() {
    let mut windows = Windows::new(options(WindowUnit::Day, "UTC", 400));
    let half = 2_f64.powi(63);
    let (first, second) = (Some(0), Some(48 * HOUR_NS));
    windows.add_leg(half, first, second).unwrap();
    let before = windows.clone();
    for bad in [half, f64::NAN, -1.0, f64::INFINITY] {
        assert_eq!(windows.add_leg(bad, second, first), Err(SumOverflow));
        assert_eq!(windows.add_leg(bad, None, None), Err(SumOverflow));
        assert_eq!(windows, before);
    }
}
