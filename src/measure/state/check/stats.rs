//! The checks of the statistics of a path.

use super::{Part, is_time, legs, units};
use crate::measure::options::{Elevation, Options};
use crate::measure::speed_runs::{RUN_NS, STEP_NS, SpeedRuns};
use crate::measure::state::{
    AttributesState, PolylineState, SpeedRunsState, StateError, StatsState,
};

/// A bound of rises and falls: elevations are at most 2^40 either way.
const RISE_MAX: u128 = 1 << 41;
/// A bound of legs in three dimensions, in every space.
const LEG_3D_MAX: u128 = 1 << 43;

pub(super) fn check(
    options: &Options,
    accepted: &PolylineState,
    stats: &StatsState,
) -> Result<(), StateError> {
    let part = Part("statistics");
    let legs = legs(accepted);
    let span_ns = check_times(part, accepted, stats)?;
    if let Some(moving_ns) = stats.moving_ns {
        part.require(options.stopped_speed.is_some(), "there is no speed of a stop")?;
        let is_valid = legs > 0 && span_ns > 0 && moving_ns <= span_ns;
        part.require(is_valid, "the moving time is longer than the legs")?;
    }
    if let Some(speed) = stats.max_speed {
        // The shortest duration is a nanosecond, in states of older versions.
        let range = 0.0..=LEG_3D_MAX as f64 * 1e9;
        let is_valid = legs > 0 && span_ns > 0 && range.contains(&speed);
        part.require(is_valid && speed.is_sign_positive(), "the largest speed is not possible")?;
    }
    if let Some(runs) = &stats.speed_runs {
        let is_valid = are_runs(accepted, stats.accepted_times, runs);
        part.require(is_valid, "the runs of the speed are not possible")?;
    }
    if let Some([ascent, descent]) = stats.climb {
        part.require(legs > 0, "there is a climb, but no leg")?;
        part.sum(ascent, legs, RISE_MAX)?;
        part.sum(descent, legs, RISE_MAX)?;
    }
    let legs_3d = match options.elevation {
        Elevation::ThreeDimensional => legs,
        Elevation::Ignored => 0,
    };
    part.sum(stats.length_3d, legs_3d, LEG_3D_MAX)
}

/// Checks the times of the checked and of the accepted fixes. Returns the time from the earliest to the latest accepted
/// fix.
fn check_times(
    part: Part,
    accepted: &PolylineState,
    stats: &StatsState,
) -> Result<u64, StateError> {
    for [first, last] in [stats.checked_times, stats.accepted_times].into_iter().flatten() {
        let is_valid = accepted.places.is_some() && first <= last;
        part.require(is_valid && is_time(first) && is_time(last), "a time is out of range")?;
    }
    let Some([first, last]) = stats.accepted_times else { return Ok(0) };
    let is_checked = stats.checked_times.is_some_and(|[from, to]| from <= first && last <= to);
    part.require(is_checked, "an accepted time is outside the checked times")?;
    Ok(last.abs_diff(first))
}

fn are_runs(
    accepted: &PolylineState,
    accepted_times: Option<[i64; 2]>,
    runs: &SpeedRunsState,
) -> bool {
    let SpeedRunsState { open, length, last_unix_ns } = runs;
    let (Some([first, last]), Some(oldest), Some(newest)) =
        (accepted_times, open.first(), open.last())
    else {
        return false;
    };
    open.len() <= SpeedRuns::OPEN_MAX
        && first <= oldest.unix_ns
        && newest.unix_ns <= *last_unix_ns
        && *last_unix_ns <= last
        && last_unix_ns.abs_diff(oldest.unix_ns) < RUN_NS
        && last_unix_ns.abs_diff(newest.unix_ns) < STEP_NS
        && open.windows(2).all(|pair| {
            pair[0].unix_ns < pair[1].unix_ns
                && pair[1].unix_ns.abs_diff(pair[0].unix_ns) >= STEP_NS
                && units(pair[0].length) <= units(pair[1].length)
        })
        && units(newest.length) <= units(*length)
        && units(*length) <= units(accepted.length)
}

/// Checks that the time of an accepted fix is between the earliest and the latest time.
pub(super) fn check_time(
    part: Part,
    stats: &StatsState,
    attributes: AttributesState,
) -> Result<(), StateError> {
    let Some(unix_ns) = attributes.unix_ns else { return Ok(()) };
    let is_covered =
        stats.accepted_times.is_some_and(|[first, last]| (first..=last).contains(&unix_ns));
    part.require(is_covered, "its time is outside the times of the path")
}

#[cfg(test)]
mod tests {
    use crate::measure::state::{SpeedRunState, SpeedRunsState, State, StatsState};
    use crate::measure::{Elevation, ExactSum, Fix, Metric, Options, PathAccumulator, Point};

    const NS_PER_S: i64 = 1_000_000_000;

    /// Returns the state of a walk of 10 s with a leg of 1 m a second, in which every statistic is set. The last fix is
    /// nearer than the minimum step.
    fn walk() -> State {
        let options = Options {
            elevation: Elevation::ThreeDimensional,
            min_step: Some(0.5),
            stopped_speed: Some(0.5),
            ..Options::new(Metric::Planar)
        };
        let mut path = PathAccumulator::new(options);
        for (second, x) in (0..10).map(|second| (second, second as f64)).chain([(10, 9.25)]) {
            let fix = Fix::new(Point::planar(x, 0.0).unwrap());
            let fix = fix.at_unix_ns(second * NS_PER_S).unwrap().with_z(x / 2.0).unwrap();
            path.extend(&[fix]).unwrap();
        }
        path.state()
    }

    fn runs(state: &mut State) -> &mut SpeedRunsState {
        state.stats.speed_runs.as_mut().unwrap()
    }

    #[test]
    fn the_state_of_a_walk_has_all_statistics() {
        let state = walk();
        let sum = |x: f64| {
            let mut sum = ExactSum::ZERO;
            sum.add(x).unwrap();
            sum
        };
        let last_run = SpeedRunState { unix_ns: 9 * NS_PER_S, length: sum(9.0) };
        let StatsState { checked_times, accepted_times, moving_ns, max_speed, speed_runs, .. } =
            state.stats.clone();
        assert_eq!(checked_times, Some([0, 10 * NS_PER_S]));
        assert_eq!(accepted_times, Some([0, 9 * NS_PER_S]));
        assert_eq!((moving_ns, max_speed), (Some(9_000_000_000), Some(1.0)));
        let runs = speed_runs.unwrap();
        assert_eq!((runs.open.len(), runs.open.last()), (5, Some(&last_run)));
        assert_eq!((runs.length, runs.last_unix_ns), (sum(9.0), 9 * NS_PER_S));
        assert!(PathAccumulator::try_from(state).is_ok());
    }

    #[test]
    fn statistics_that_no_path_has_are_refused() {
        let changes: [fn(&mut State); 31] = [
            |state| state.stats.checked_times = None,
            |state| state.stats.accepted_times = None,
            |state| state.stats.checked_times = Some([1, 10 * NS_PER_S]),
            |state| state.stats.checked_times = Some([0, 9 * NS_PER_S - 1]),
            |state| state.stats.checked_times = Some([0, i64::MAX]),
            |state| state.stats.checked_times = Some([i64::MIN, 10 * NS_PER_S]),
            |state| state.stats.accepted_times = Some([9 * NS_PER_S, 0]),
            |state| state.stats.accepted_times = Some([0, 8 * NS_PER_S]),
            |state| state.options.stopped_speed = None,
            |state| state.stats.moving_ns = Some(9_000_000_001),
            |state| state.stats.max_speed = Some(-1.0),
            |state| state.stats.max_speed = Some(-0.0),
            |state| state.stats.max_speed = Some(f64::INFINITY),
            |state| state.stats.max_speed = Some(f64::NAN),
            |state| state.stats.max_speed = Some(1e23),
            |state| runs(state).open.clear(),
            |state| runs(state).open.truncate(1),
            |state| runs(state).open[2].unix_ns += NS_PER_S / 2 + 1,
            |state| runs(state).open[2].unix_ns = i64::MIN,
            |state| runs(state).open[0].unix_ns = -1,
            |state| runs(state).open[0].unix_ns = i64::MIN,
            |state| runs(state).open[2].length = runs(state).length,
            |state| runs(state).open[2].length = ExactSum::from_bytes([0xff; 16]),
            |state| runs(state).length = ExactSum::ZERO,
            |state| runs(state).length = ExactSum::from_bytes([0xff; 16]),
            |state| runs(state).last_unix_ns = 10 * NS_PER_S,
            |state| runs(state).last_unix_ns = 8 * NS_PER_S,
            |state| runs(state).last_unix_ns = i64::MIN,
            |state| runs(state).last_unix_ns = i64::MAX,
            |state| state.stats.climb = Some([ExactSum::from_bytes([0xff; 16]); 2]),
            |state| state.stats.length_3d = ExactSum::from_bytes([0xff; 16]),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut state = walk();
            change(&mut state);
            assert!(PathAccumulator::try_from(state).is_err(), "change {index}");
        }
    }

    #[test]
    fn more_runs_than_can_be_open_are_refused() {
        let mut state = walk();
        let first = SpeedRunState { unix_ns: 5 * NS_PER_S - 1, length: ExactSum::ZERO };
        let run = |at: i64| SpeedRunState { unix_ns: at * NS_PER_S / 2, ..first };
        runs(&mut state).last_unix_ns = 9 * NS_PER_S;
        runs(&mut state).open = (9..=18).map(run).collect();
        runs(&mut state).open[0].unix_ns += 1;
        // The time from the first start to the second is too short.
        assert!(PathAccumulator::try_from(state.clone()).is_err());
        runs(&mut state).open.remove(0);
        assert!(PathAccumulator::try_from(state.clone()).is_ok());
        // A start for each nanosecond.
        runs(&mut state).open = (0..1000)
            .map(|ns| SpeedRunState { unix_ns: 9 * NS_PER_S - 1000 + ns, ..first })
            .collect();
        assert!(PathAccumulator::try_from(state).is_err());
    }
}
