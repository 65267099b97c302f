//! Paths that keep only their latest windows: any order, any cut, sums of paths, and recordings without an end.

use super::*;

fn latest(options: WindowOptions, max_windows: u32) -> WindowOptions {
    WindowOptions { max_windows, keep_latest: true, ..options }
}

/// Returns the same windows, of which all but the latest ones are one part.
fn reduced(mut all: WindowsSummary, max_windows: u32) -> WindowsSummary {
    assert_eq!(all.earlier, None);
    all.options.max_windows = max_windows;
    let dropped_count = all.windows.len().saturating_sub(max_windows as usize);
    let dropped: Vec<_> = all.windows.drain(..dropped_count).collect();
    if let (Some(first), Some(last)) = (dropped.first(), dropped.last()) {
        let units = dropped.iter().map(|window| window.length.units()).sum();
        all.earlier = Some(WindowSummary {
            start_unix_s: first.start_unix_s,
            end_unix_s: last.end_unix_s,
            length: ExactSum::from_units(units),
            point_count: dropped.iter().map(|window| window.point_count).sum(),
        });
    }
    all
}

/// Removes the times of the legs that are too long to be divided.
fn without_long_legs(unit: WindowUnit, steps: &[Step]) -> Vec<Step> {
    let hours = match unit {
        WindowUnit::Hour => 64,
        WindowUnit::Day => 64 * 24,
        WindowUnit::Week => 64 * 24 * 7,
        WindowUnit::Month => 64 * 24 * 31,
        WindowUnit::Year => 64 * 24 * 366,
    };
    let changed = |step: &Step| match *step {
        Step::Leg(length, Some(from), Some(to))
            if from.abs_diff(to) >= hours * 3_600_000_000_000 =>
        {
            Step::Leg(length, None, None)
        }
        step => step,
    };
    steps.iter().map(changed).collect()
}

/// Returns the lengths of all parts as `f64`.
fn lengths(summary: &WindowsSummary) -> Vec<f64> {
    let windows = summary.earlier.iter().chain(&summary.windows);
    let lengths = windows.map(|window| window.length.to_f64());
    lengths.chain([summary.undated_length.to_f64()]).collect()
}

fn point_count(summary: &WindowsSummary) -> u64 {
    let windows = summary.earlier.iter().chain(&summary.windows);
    windows.map(|window| window.point_count).sum::<u64>() + summary.undated_point_count
}

proptest! {
    #[test]
    fn the_latest_windows_are_those_of_the_whole_path_in_any_cut(
        (options, steps) in path(), max_windows in 0_u32..20, cuts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let whole = all(latest(options, 100_000), &steps);
        prop_assert_eq!(content(&whole), reference(options, &without_long_legs(options.unit, &steps)));
        let limited = latest(options, max_windows);
        let cut = stored_between(limited, &steps, &cuts)?;
        prop_assert_eq!(&cut, &all(limited, &steps));
        let summary = cut.summary();
        prop_assert_eq!(&summary, &reduced(whole.summary(), max_windows));
        let (total, points) = totals(&steps);
        prop_assert_eq!(point_count(&summary), points);
        let mut lengths = lengths(&summary);
        prop_assert_eq!(lengths.iter().sum::<f64>(), total.to_f64());
        lengths.reverse();
        prop_assert_eq!(lengths.iter().sum::<f64>(), total.to_f64());
    }

    #[test]
    fn the_latest_windows_are_the_same_in_any_order(
        (options, steps) in path(), max_windows in 0_u32..20, order in prop::collection::vec(any::<u32>(), 60),
    ) {
        let limited = latest(options, max_windows);
        let mut other: Vec<_> = steps.iter().copied().zip(order).collect();
        other.sort_by_key(|&(_, key)| key);
        let other: Vec<_> = other.into_iter().map(|(step, _)| step).collect();
        prop_assert_eq!(all(limited, &other), all(limited, &steps));
    }

    /// The latest windows of a sum are among the latest windows of its parts.
    #[test]
    fn the_sum_of_paths_keeps_the_latest_windows_of_all_of_them(
        (options, steps) in path(), max_windows in 1_u32..20, cuts in prop::collection::vec(0_usize..60, 0..5),
        is_reversed: bool,
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(steps.len())).collect();
        cuts.extend([0, steps.len()]);
        cuts.sort_unstable();
        let total = |max_windows: u32, is_reversed: bool| {
            let parts = cuts.windows(2).map(|cut| &steps[cut[0]..cut[1]]);
            let mut parts: Vec<_> =
                parts.map(|steps| all(latest(options, max_windows), steps).summary()).collect();
            if is_reversed {
                parts.reverse();
            }
            let mut totals = WindowTotals::default();
            parts.iter().for_each(|part| totals.add(part));
            (totals.summary().unwrap(), parts)
        };
        let (limited, parts) = total(max_windows, is_reversed);
        prop_assert_eq!(&limited, &reduced(total(100_000, false).0, max_windows));
        prop_assert_eq!(point_count(&limited), totals(&steps).1);
        let mut sum = ExactSum::ZERO;
        for length in parts.iter().flat_map(lengths) {
            sum.add(length).unwrap();
        }
        prop_assert_eq!(lengths(&limited).iter().sum::<f64>(), sum.to_f64());
    }

    #[test]
    fn an_accepted_state_with_earlier_windows_can_be_continued(
        unit in prop::sample::select(UNITS.to_vec()),
        zone in prop::sample::select(ZONES.to_vec()),
        days in prop::collection::btree_set(-40_000_i64..40_000, 2..6),
        units: u64, point_count: u8,
        (_, steps) in path(),
    ) {
        // The keys of windows of these days.
        let all_options = options(unit, zone, 100);
        let mut windows = Windows::new(all_options);
        days.iter().for_each(|day| windows.add_fix(Some(day * 24 * HOUR_NS)));
        let mut state = windows.state();
        let earliest = state.windows.remove(0);
        prop_assume!(!state.windows.is_empty() && (units > 0 || point_count > 0));
        state.earlier = Some(EarlierWindowsState {
            first_key: earliest.key,
            last_key: earliest.key,
            length: ExactSum::from_units(units.into()),
            point_count: point_count.into(),
        });
        let limited = latest(all_options, state.windows.len() as u32);
        let points = |state: &WindowsState| {
            let windows = state.windows.iter().map(|window| window.point_count).sum::<u64>();
            windows + state.undated_point_count + state.earlier.map_or(0, |earlier| earlier.point_count)
        };
        let mut length = ExactSum::from_units(units.into());
        prop_assert_eq!(state.check(limited, length, points(&state)), Ok(()));
        let mut windows = Windows::from_checked_state(limited, &state);
        prop_assert_eq!(windows.state(), state);
        steps.iter().for_each(|&step| add(&mut windows, step));
        length.merge(&totals(&steps).0).unwrap();
        let state = windows.state();
        prop_assert_eq!(state.check(limited, length, points(&state)), Ok(()));
    }
}

#[test]
fn a_recording_without_an_end_keeps_its_latest_days() {
    let limited = latest(options(WindowUnit::Day, "Europe/Ljubljana", 0), 400);
    let mut windows = Windows::new(limited);
    let day_count = 4_000_i64;
    for day in 0..day_count {
        let noon = (day * 24 + 12) * HOUR_NS;
        // Once in 10 days, a fix has a time of the past year: 730 crossings of boundaries that do not count.
        let other = if day % 10 == 9 { noon - 365 * 24 * HOUR_NS } else { noon + HOUR_NS };
        windows.add_fix(Some(noon));
        windows.add_leg(2.0, Some(noon), Some(other)).unwrap();
        windows.add_leg(1.0, Some(noon), Some(noon + 24 * HOUR_NS)).unwrap();
    }
    let summary = windows.summary();
    assert!(!summary.is_dropped);
    assert_eq!(summary.windows.len(), 400);
    // The last leg ends in the day after the last fix.
    assert_eq!(summary.windows[399].point_count, 0);
    assert_eq!(point_count(&summary), day_count as u64);
    let earlier = summary.earlier.unwrap();
    assert_eq!(earlier.point_count, day_count as u64 - 399);
    assert_eq!(earlier.end_unix_s, summary.windows[0].start_unix_s);
    assert_eq!(earlier.start_unix_s, -3600);
    assert_eq!(summary.undated_length.to_f64(), 800.0);
    assert_eq!(lengths(&summary).iter().sum::<f64>(), 12_000.0);
    // By default, such a recording has no windows.
    let mut dropped = Windows::new(WindowOptions { keep_latest: false, ..limited });
    (0..401).for_each(|day| dropped.add_fix(Some(day * 24 * HOUR_NS)));
    assert!(dropped.summary().is_dropped);
}

/// A leg costs a bounded number of steps, without a limit for all legs that would end a recording.
#[test]
fn a_leg_of_64_windows_is_undated_and_a_shorter_one_is_divided() {
    for (unit, hours) in [
        (WindowUnit::Hour, 1),
        (WindowUnit::Day, 24),
        (WindowUnit::Week, 24 * 7),
        (WindowUnit::Month, 24 * 31),
        (WindowUnit::Year, 24 * 366),
    ] {
        let mut windows = Windows::new(latest(options(unit, "UTC", 0), 100_000));
        let last = 64 * hours * HOUR_NS;
        for _ in 0..1000 {
            windows.add_leg(1.0, Some(0), Some(last)).unwrap();
            windows.add_leg(1.0, Some(last - 1), Some(0)).unwrap();
        }
        let summary = windows.summary();
        assert_eq!(summary.undated_length.to_f64(), 1000.0, "{unit:?}");
        assert!((64..=67).contains(&summary.windows.len()), "{unit:?}: {}", summary.windows.len());
        assert_eq!(windows.extra_crossings, 0);
    }
}

#[test]
fn a_state_that_no_path_has_is_refused() {
    let limited = latest(options(WindowUnit::Day, "UTC", 0), 3);
    let mut windows = Windows::new(limited);
    for day in [1, 2, 4, 5, 6] {
        windows.add_fix(Some(day * 24 * HOUR_NS));
    }
    let valid = windows.state();
    let earlier = valid.earlier.unwrap();
    assert_eq!((earlier.first_key, earlier.last_key, earlier.point_count), (1, 2, 2));
    let check = |options: WindowOptions, change: &dyn Fn(&mut WindowsState)| {
        let mut state = valid.clone();
        change(&mut state);
        let points = state.windows.iter().map(|window| window.point_count).sum::<u64>();
        let points = points + state.earlier.map_or(0, |earlier| earlier.point_count);
        let mut length = ExactSum::ZERO;
        if let Some(earlier) = state.earlier {
            length = earlier.length;
        }
        state.check(options, length, points).map_err(|error| error.problem)
    };
    assert_eq!(check(limited, &|_| {}), Ok(()));
    assert_eq!(check(limited, &|state| state.earlier = None), Ok(()));
    let other = |change: &dyn Fn(&mut EarlierWindowsState)| {
        check(limited, &|state| change(state.earlier.as_mut().unwrap())).unwrap_err()
    };
    let refusals = [
        check(limited, &|state| state.is_dropped = true).unwrap_err(),
        check(limited, &|state| state.extra_crossings = 1).unwrap_err(),
        check(limited, &|state| _ = state.windows.pop()).unwrap_err(),
        check(latest(limited, 4), &|_| {}).unwrap_err(),
        check(WindowOptions { keep_latest: false, ..limited }, &|_| {}).unwrap_err(),
        other(&|earlier| earlier.last_key = 4),
        other(&|earlier| earlier.first_key = 3),
        other(&|earlier| earlier.first_key = i64::MAX),
        other(&|earlier| earlier.first_key = -200_000),
        other(&|earlier| earlier.point_count = 0),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    they were dropped, but the latest ones are kept
    there are too many crossings
    earlier ones were dropped, but there are not too many
    earlier ones were dropped, but there are not too many
    earlier ones were dropped, but there are not too many
    the earlier ones are not in order of time
    the earlier ones are not in order of time
    a key is not that of a window
    a time is out of range
    the earlier ones are empty
    ");
    let points = valid.check(limited, ExactSum::ZERO, 4).unwrap_err();
    assert_eq!(points.problem, "their points are not all points");
    let length = valid.check(limited, ExactSum::from_units(1), 5).unwrap_err();
    assert_eq!(length.problem, "their lengths do not sum to the length");
}

#[test]
fn an_overflow_of_the_sum_of_earlier_lengths_drops_the_total() {
    let limited = latest(options(WindowUnit::Day, "UTC", 0), 1);
    let mut path = Windows::new(limited);
    path.add_leg(2_f64.powi(63), Some(0), Some(0)).unwrap();
    path.add_fix(Some(24 * HOUR_NS));
    let mut totals = WindowTotals::default();
    totals.add(&path.summary());
    assert!(!totals.summary().unwrap().is_dropped);
    totals.add(&path.summary());
    assert!(totals.summary().unwrap().is_dropped);
}
