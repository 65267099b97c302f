//! States that no path has are refused, and never cause a panic.

use super::*;

fn state() -> (WindowOptions, WindowsState) {
    let options = options(WindowUnit::Month, "Europe/Ljubljana", 10);
    let mut windows = Windows::new(options);
    windows.add_fix(None);
    for month in 0..4 {
        let at = month * 30 * 24 * HOUR_NS;
        windows.add_fix(Some(at));
        windows.add_leg(100.0, Some(at), Some(at + 40 * 24 * HOUR_NS)).unwrap();
    }
    windows.add_leg(3.0, None, None).unwrap();
    (options, windows.state())
}

/// Checks a state against the total that the changed state has, if that fits.
fn check(options: WindowOptions, state: &WindowsState) -> Result<(), &'static str> {
    let (mut length, mut points) = (state.undated_length, state.undated_point_count);
    for window in &state.windows {
        let _ = length.merge(&window.length);
        points = points.saturating_add(window.point_count);
    }
    state.check(options, length, points).map_err(|error| error.problem)
}

#[test]
fn a_state_that_no_path_has_is_refused() {
    let (options, valid) = state();
    assert_eq!(check(options, &valid), Ok(()));
    assert_eq!(valid.windows.len(), 5);
    let mut refusals = Vec::new();
    let mut refuse = |change: &dyn Fn(&mut WindowsState)| {
        let mut state = valid.clone();
        change(&mut state);
        assert_ne!(state, valid);
        refusals.push(check(options, &state).unwrap_err());
    };
    refuse(&|state| state.is_dropped = true);
    refuse(&|state| state.windows[0].key += 1); // not the first day of a month
    refuse(&|state| state.windows[0].key = i64::MAX);
    refuse(&|state| state.windows[0].key = -200_000_000);
    refuse(&|state| state.windows[0].key = -109_572); // 1670-01-01
    refuse(&|state| state.windows[4].key = 109_573); // 2270-01-01
    refuse(&|state| state.windows.swap(1, 2));
    refuse(&|state| state.windows[1].key = state.windows[0].key);
    refuse(&|state| {
        state.windows[4].length = ExactSum::ZERO;
        state.windows[4].point_count = 0;
    });
    refuse(&|state| state.windows[2].length = ExactSum::from_units(u128::MAX));
    refuse(&|state| state.extra_crossings = 161);
    refuse(&|state| state.windows = vec![state.windows[0]; 11]);
    insta::assert_snapshot!(refusals.join("\n"), @"
    they were dropped, but have a content
    a key is not that of a window
    a key is not that of a window
    a key is not that of a window
    a time is out of range
    a time is out of range
    they are not in order of time
    they are not in order of time
    one is empty
    their lengths overflow
    there are too many crossings
    there are too many
    ");
    let error = valid.check(options, ExactSum::ZERO, 5).unwrap_err();
    insta::assert_snapshot!(
        error,
        @"invalid state of a path: windows: their lengths do not sum to the length"
    );
    let length = ExactSum::from_units(units_of(403.0));
    assert_eq!(valid.check(options, length, 5), Ok(()));
    insta::assert_snapshot!(
        valid.check(options, length, 4).unwrap_err(),
        @"invalid state of a path: windows: their points are not all points"
    );
}

/// The hours of an older database of time zones may differ by half an hour, for example.
#[test]
fn hours_with_other_boundaries_are_restored_and_continued() {
    let options = options(WindowUnit::Hour, "UTC", 10);
    let window = |key: i64| WindowState { key, length: ExactSum::from_units(5), point_count: 1 };
    let windows = vec![window(0), window(1800), window(9000)];
    let state = WindowsState { windows, ..WindowsState::default() };
    assert_eq!(check(options, &state), Ok(()));
    let mut windows = Windows::from_checked_state(options, &state);
    windows.add_fix(Some(8000 * NS_PER_S));
    windows.add_leg(1.0, Some(0), Some(12_000 * NS_PER_S)).unwrap();
    let spans: Vec<_> =
        windows.summary().windows.iter().map(|w| (w.start_unix_s, w.end_unix_s)).collect();
    let expected =
        [(0, 1800), (1800, 3600), (3600, 7200), (7200, 9000), (9000, 10_800), (10_800, 14_400)];
    assert_eq!(spans, expected);
    let state = windows.state();
    assert_eq!(check(options, &state), Ok(()));
    assert_eq!(Windows::from_checked_state(options, &state), windows);
}

proptest! {
    #[test]
    fn an_accepted_state_of_any_content_can_be_continued(
        unit in prop::sample::select(UNITS.to_vec()),
        zone in prop::sample::select(ZONES.to_vec()),
        keys in prop::collection::vec(prop_oneof![any::<i64>(), -10_000_000_000_i64..10_000_000_000, -110_000_i64..110_000, 0_i64..40], 0..5),
        units: u128,
        (_, steps) in path(),
    ) {
        let options = options(unit, zone, 100);
        let window = |key: i64| WindowState { key, length: ExactSum::from_units(units >> 8), point_count: 1 };
        let mut keys = keys;
        keys.sort();
        let state = WindowsState { windows: keys.into_iter().map(window).collect(), ..WindowsState::default() };
        if check(options, &state).is_ok() {
            let mut windows = Windows::from_checked_state(options, &state);
            prop_assert_eq!(windows.state(), state);
            for step in steps {
                match step {
                    Step::Fix(time) => windows.add_fix(time),
                    Step::Leg(length, from, to) => _ = windows.add_leg(length, from, to),
                }
            }
            let (length, points) = windows.state().windows.iter().fold((windows.undated.length, windows.undated.point_count), |(mut length, points), window| {
                length.merge(&window.length).unwrap();
                (length, points + window.point_count)
            });
            prop_assert_eq!(windows.state().check(options, length, points), Ok(()));
        }
    }
}
