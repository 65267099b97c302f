//! States of real paths are restored, and states that no path has are refused. `accumulator/tests.rs` restores random
//! paths.

use proptest::prelude::*;

use super::*;
use crate::measure::{
    Elevation, Fix, InvalidPoints, Metric, PathAccumulator, Point, Space, Totals,
};

mod boxes;

const NS_PER_S: i64 = 1_000_000_000;

fn fix(metric: Metric, second: i64, x: f64) -> Fix {
    let fix = Fix::new(Point::new(metric.space(), x, 4.0).unwrap());
    fix.at_unix_ns(second * NS_PER_S).unwrap().with_z(x / 2.0).unwrap()
}

/// Returns the state of a path with a filter, in which every field is set.
fn filtered() -> State {
    let options = Options {
        elevation: Elevation::ThreeDimensional,
        max_gap_time_ns: Some(60_000_000_000),
        max_gap: Some(1000.0),
        max_speed: Some(2.0),
        min_step: Some(1.0),
        max_accuracy_m: Some(30.0),
        reject_backward_time: true,
        stopped_speed: Some(0.5),
        ..Options::new(Metric::Planar)
    };
    let mut path = PathAccumulator::new(options);
    for (second, x, accuracy_m) in [
        (0, -1.0, 1.0),
        (2, 3.0, 1.0),
        (3, 3.5, 1.0),
        (1, 4.0, 1.0),
        (4, 4.5, 31.0),
        (5, 5.25, 1.0),
        (6, -1e3, 1.0),
        (7, 1e3, 1.0),
    ] {
        let fix = fix(Metric::Planar, second, x).with_accuracy_m(accuracy_m).unwrap();
        path.extend(&[fix]).unwrap();
    }
    path.state()
}

/// Returns the state of a geographic path without a filter, in which every other field is set.
fn unfiltered() -> State {
    let mut path = PathAccumulator::new(Options::new(Metric::Geodesic));
    path.extend(&[-2.0, 1.0, 0.5].map(|x| fix(Metric::Geodesic, (x * 10.0) as i64, x))).unwrap();
    path.state()
}

fn restore(state: &State) -> Result<PathAccumulator, StateError> {
    state.clone().try_into()
}

fn filter(state: &mut State) -> &mut FilterState {
    state.filter.as_mut().unwrap()
}

fn raw(state: &mut State) -> &mut PlacesState {
    state.raw.places.as_mut().unwrap()
}

fn accepted(state: &mut State) -> &mut PlacesState {
    filter(state).accepted.places.as_mut().unwrap()
}

fn segment(state: &mut State) -> &mut SegmentState {
    filter(state).segment.as_mut().unwrap()
}

fn timed(state: &mut State) -> &mut TimedPlaceState {
    segment(state).timed.as_mut().unwrap()
}

fn candidate(state: &mut State) -> &mut FixState {
    &mut filter(state).candidates[0].fix
}

/// Sets a number of a state.
type Set<T> = (&'static str, fn(&mut State, T));

/// All coordinates and elevations of a filtered state.
const NUMBERS: [Set<f64>; 29] = [
    ("raw.first.x", |state, x| raw(state).first[0] = x),
    ("raw.first.y", |state, y| raw(state).first[1] = y),
    ("raw.last.x", |state, x| raw(state).last[0] = x),
    ("raw.last.y", |state, y| raw(state).last[1] = y),
    ("raw.min.x", |state, x| raw(state).x[0].as_mut().unwrap()[0] = x),
    ("raw.max.x", |state, x| raw(state).x[0].as_mut().unwrap()[1] = x),
    ("raw.min.y", |state, y| raw(state).y[0] = y),
    ("raw.max.y", |state, y| raw(state).y[1] = y),
    ("accepted.first.x", |state, x| accepted(state).first[0] = x),
    ("accepted.first.y", |state, y| accepted(state).first[1] = y),
    ("accepted.last.x", |state, x| accepted(state).last[0] = x),
    ("accepted.last.y", |state, y| accepted(state).last[1] = y),
    ("accepted.min.x", |state, x| accepted(state).x[0].as_mut().unwrap()[0] = x),
    ("accepted.max.x", |state, x| accepted(state).x[0].as_mut().unwrap()[1] = x),
    ("accepted.min.y", |state, y| accepted(state).y[0] = y),
    ("accepted.max.y", |state, y| accepted(state).y[1] = y),
    ("last_accepted.x", |state, x| segment(state).accepted.at[0] = x),
    ("last_accepted.y", |state, y| segment(state).accepted.at[1] = y),
    ("last_accepted.z", |state, z| segment(state).accepted.attributes.z = Some(z)),
    ("checked.x", |state, x| segment(state).checked[0] = x),
    ("checked.y", |state, y| segment(state).checked[1] = y),
    ("timed.x", |state, x| timed(state).at[0] = x),
    ("timed.y", |state, y| timed(state).at[1] = y),
    ("candidate.x", |state, x| candidate(state).at[0] = x),
    ("candidate.y", |state, y| candidate(state).at[1] = y),
    ("candidate.z", |state, z| candidate(state).attributes.z = Some(z)),
    ("last.z", |state, z| state.last.z = Some(z)),
    ("xy_resolution", |state, value| state.options.xy_resolution = value),
    ("max_speed", |state, value| state.options.max_speed = Some(value)),
];

/// All counts of a filtered state.
const COUNTS: [Set<u64>; 8] = [
    ("raw.point_count", |state, n| state.raw.point_count = n),
    ("raw.segment_count", |state, n| state.raw.segment_count = n),
    ("accepted.point_count", |state, n| filter(state).accepted.point_count = n),
    ("accepted.segment_count", |state, n| filter(state).accepted.segment_count = n),
    ("backward.count", |state, n| filter(state).rejections[0].count = n),
    ("accuracy.count", |state, n| filter(state).rejections[1].count = n),
    ("speed.count", |state, n| filter(state).rejections[2].count = n),
    ("step.count", |state, n| filter(state).rejections[3].count = n),
];

/// All offsets.
const OFFSETS: [Set<u64>; 5] = [
    ("candidate.offset", |state, n| filter(state).candidates[0].offset = n),
    ("backward.first_offset", |state, n| filter(state).rejections[0].first_offset = n),
    ("accuracy.first_offset", |state, n| filter(state).rejections[1].first_offset = n),
    ("speed.first_offset", |state, n| filter(state).rejections[2].first_offset = n),
    ("step.first_offset", |state, n| filter(state).rejections[3].first_offset = n),
];

/// All times.
const TIMES: [Set<i64>; 6] = [
    ("times.first", |state, ns| state.stats.checked_times.as_mut().unwrap()[0] = ns),
    ("times.last", |state, ns| state.stats.checked_times.as_mut().unwrap()[1] = ns),
    ("last_accepted.time", |state, ns| segment(state).accepted.attributes.unix_ns = Some(ns)),
    ("timed.time", |state, ns| timed(state).unix_ns = ns),
    ("candidate.time", |state, ns| candidate(state).attributes.unix_ns = Some(ns)),
    ("last.time", |state, ns| state.last.unix_ns = Some(ns)),
];

/// All exact sums.
const SUMS: [Set<ExactSum>; 5] = [
    ("raw.length", |state, sum| state.raw.length = sum),
    ("accepted.length", |state, sum| filter(state).accepted.length = sum),
    ("ascent", |state, sum| state.stats.climb.as_mut().unwrap()[0] = sum),
    ("descent", |state, sum| state.stats.climb.as_mut().unwrap()[1] = sum),
    ("length_3d", |state, sum| state.stats.length_3d = sum),
];

/// All exact sums of either sign.
const SIGNED_SUMS: [Set<SignedSum>; 5] = [
    ("backward.length", |state, sum| filter(state).rejections[0].length = sum),
    ("accuracy.length", |state, sum| filter(state).rejections[1].length = sum),
    ("speed.length", |state, sum| filter(state).rejections[2].length = sum),
    ("step.length", |state, sum| filter(state).rejections[3].length = sum),
    ("gap_length", |state, sum| filter(state).gap_length = sum),
];

/// Values that depend on each other.
const CONTRADICTIONS: [Set<()>; 31] = [
    ("no filter", |state, ()| state.filter = None),
    ("no rule", |state, ()| state.options.min_step = None),
    ("rules but no filter", |state, ()| state.options = Options::new(Metric::Planar)),
    ("no 3-D", |state, ()| state.options.elevation = Elevation::Ignored),
    ("no raw places", |state, ()| state.raw.places = None),
    ("no accepted places", |state, ()| filter(state).accepted.places = None),
    ("no range of x", |state, ()| raw(state).x[0] = None),
    ("two ranges of x", |state, ()| raw(state).x[1] = Some([1.0, 2.0])),
    ("an end outside", |state, ()| raw(state).x[0] = Some([0.0, 5.0])),
    ("accepted outside", |state, ()| accepted(state).x[0] = Some([0.0, 1e6])),
    ("accepted outside in y", |state, ()| accepted(state).y[1] = 1e6),
    ("accepted break", |state, ()| filter(state).accepted.is_broken = true),
    ("accepted first break", |state, ()| filter(state).accepted.is_broken_before_first = true),
    ("no segment", |state, ()| filter(state).segment = None),
    ("other last fix", |state, ()| segment(state).accepted.at[0] = 3.0),
    ("no timed fix", |state, ()| segment(state).timed = None),
    ("no candidates", |state, ()| filter(state).candidates.clear()),
    ("too many candidates", |state, ()| {
        let candidates = &mut filter(state).candidates;
        for second in 7..40 {
            let mut next = candidates[0];
            next.fix.attributes.unix_ns = Some(second * NS_PER_S);
            candidates.push(next);
        }
    }),
    ("a candidate twice", |state, ()| {
        let candidates = &mut filter(state).candidates;
        candidates.push(candidates[0]);
    }),
    ("a candidate for its step", |state, ()| {
        filter(state).candidates[0].reason = RejectionReason::Step;
    }),
    ("a candidate without a time", |state, ()| candidate(state).attributes.unix_ns = None),
    ("a tentative fix after others", |state, ()| {
        filter(state).tentative = Some(TentativeState { offset: 5, before: None });
    }),
    ("an invalid fix of the filter", |state, ()| {
        let entry = filter(state).rejections[0];
        filter(state).rejections[RejectionReason::InvalidPosition as usize] = entry;
    }),
    ("screened", |state, ()| filter(state).screened = Some(RejectionReason::Late)),
    ("a smaller limit of candidates", |state, ()| state.options.reanchor_count = 1),
    ("no speed limit", |state, ()| state.options.max_speed = None),
    ("windows without the option", |state, ()| state.windows = Some(WindowsState::default())),
    ("an estimate without the option", |state, ()| {
        state.estimate = Some(EstimateState::default());
    }),
    ("a climb that is too long", |state, ()| {
        state.climb.sums = Some([ExactSum::from_bytes([0x7f; 16]), ExactSum::ZERO]);
    }),
    ("last with a filter", |state, ()| state.last.z = Some(1.0)),
    ("no times", |state, ()| state.stats.checked_times = None),
];

fn assert_refused<T: Copy + std::fmt::Debug>(fields: &[Set<T>], values: &[T]) {
    for (field, set) in fields {
        for &value in values {
            let mut state = filtered();
            set(&mut state, value);
            assert!(restore(&state).is_err(), "{field} is {value:?}");
        }
    }
}

#[test]
fn every_field_out_of_range_is_refused() {
    let past = 2_f64.powi(40).next_up();
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, past, -past, -0.0];
    assert_refused(&NUMBERS, &numbers);
    assert_refused(&COUNTS, &[u64::MAX, u64::MAX / 2, 0]);
    assert_refused(&OFFSETS, &[u64::MAX, 8]);
    assert_refused(&TIMES, &[i64::MIN, i64::MAX]);
    assert_refused(&SUMS, &[ExactSum::from_bytes([0xff; 16])]);
    let signed = [[0xff; 16], [0x7f; 16], [0x80; 16]].map(SignedSum::from_bytes);
    assert_refused(&SIGNED_SUMS, &signed);
    assert_refused(&CONTRADICTIONS, &[()]);
}

#[test]
fn a_tentative_fix_that_is_not_possible_is_refused() {
    let state = || {
        let options =
            Options { max_gap: Some(100.0), max_speed: Some(9.0), ..Options::new(Metric::Planar) };
        let mut path = PathAccumulator::new(options);
        let fixes = [0.0, 1.0, 501.0, 9001.0].map(|x| fix(Metric::Planar, 100 * x as i64, x));
        path.extend(&fixes[..3]).unwrap();
        path.extend(&[fix(Metric::Planar, 50_101, 9e5)]).unwrap();
        path.state()
    };
    let filter = state().filter.unwrap();
    let before = Some([1.0, 4.0]);
    assert_eq!(filter.tentative, Some(TentativeState { offset: 2, before }));
    assert_eq!((filter.candidates.len(), filter.accepted.point_count), (1, 2));
    assert!(restore(&state()).is_ok());
    let changes: [fn(&mut FilterState); 7] = [
        |filter| filter.tentative = None,
        |filter| filter.tentative = Some(TentativeState { offset: 4, before: Some([1.0, 4.0]) }),
        |filter| filter.tentative = Some(TentativeState { offset: 2, before: Some([2.0, 4.0]) }),
        |filter| filter.tentative = Some(TentativeState { offset: 2, before: None }),
        |filter| filter.segment.as_mut().unwrap().checked = [502.0, 4.0],
        |filter| filter.segment.as_mut().unwrap().timed.as_mut().unwrap().unix_ns += 1,
        |filter| filter.segment.as_mut().unwrap().accepted.at = [502.0, 4.0],
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = state();
        change(state.filter.as_mut().unwrap());
        assert!(restore(&state).is_err(), "change {index}");
    }
}

#[test]
fn a_rejected_last_fix_that_is_not_possible_is_refused() {
    let mut path = PathAccumulator::new(Options {
        max_accuracy_m: Some(30.0),
        ..Options::new(Metric::Planar)
    });
    path.extend(&[0.0, 1.0].map(|x| fix(Metric::Planar, 0, x))).unwrap();
    path.extend(&[fix(Metric::Planar, 2, 9.0).with_accuracy_m(31.0).unwrap()]).unwrap();
    assert_eq!(restore(&path.state()), Ok(path.clone()));
    let changes: [fn(&mut State); 3] = [
        |state| filter(state).screened = None,
        |state| filter(state).screened = Some(RejectionReason::Speed),
        |state| filter(state).rejections[RejectionReason::Accuracy as usize].count = 0,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = path.state();
        change(&mut state);
        assert!(restore(&state).is_err(), "change {index}");
    }
}

#[test]
fn a_geographic_state_out_of_range_is_refused() {
    let changes: [fn(&mut State); 10] = [
        |state| raw(state).y[1] = 900_000_000.5,
        |state| raw(state).y[0] = -900_000_000.5,
        |state| raw(state).first[0] = 5e7,
        |state| state.raw.length = ExactSum::from_bytes((1_u128 << 91).to_le_bytes()),
        |state| state.raw.segment_count = 3,
        |state| state.last.unix_ns = Some(11 * NS_PER_S),
        |state| state.last.z = Some(f64::NAN),
        |state| state.stats.length_3d = ExactSum::from_bytes([1; 16]),
        |state| state.filter = filtered().filter,
        // A planar path has one range of x.
        |state| state.options.metric = Metric::Planar,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = unfiltered();
        change(&mut state);
        assert!(restore(&state).is_err(), "change {index}");
    }
    let mut state = unfiltered();
    state.raw.segment_count = 4;
    insta::assert_snapshot!(
        restore(&state).unwrap_err(),
        @"invalid state of a path: all fixes: the counts contradict each other"
    );
}

/// Sectors 7 and 8 are west and east of the prime meridian.

#[test]
fn fixes_without_a_position_that_are_not_possible_are_refused() {
    let path = |invalid_points, fixes: &[Fix]| {
        let mut path =
            PathAccumulator::new(Options { invalid_points, ..Options::new(Metric::Planar) });
        path.extend(fixes).unwrap();
        path
    };
    let (some, none) = (fix(Metric::Planar, 0, 1.0), Fix::without_position());
    let skipped = path(InvalidPoints::Skip, &[some, none, none, some]);
    assert_eq!(restore(&skipped.state()), Ok(skipped.clone()));
    let changes: [fn(&mut State); 5] = [
        |state| state.options.invalid_points = InvalidPoints::RejectCall,
        // They would have ended the segment.
        |state| state.options.invalid_points = InvalidPoints::Split,
        |state| state.invalid_points.first_offset = 3,
        |state| state.invalid_points.count = u64::MAX - 1,
        |state| state.invalid_points.count = 0,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = skipped.state();
        change(&mut state);
        assert!(restore(&state).is_err(), "change {index}");
    }
    for (fixes, change) in
        [(&[none, some][..], 0), (&[some, none], 1), (&[some, none, some], 2), (&[none], 0)]
    {
        let split = path(InvalidPoints::Split, fixes);
        assert_eq!(restore(&split.state()), Ok(split.clone()));
        let mut state = split.state();
        match change {
            0 => state.raw.is_broken_before_first = false,
            1 => state.raw.is_broken = false,
            _ => state.raw.segment_count = 1,
        }
        assert!(restore(&state).is_err(), "{fixes:?}");
    }
}

#[test]
fn a_path_without_points_has_nothing_else() {
    let empty = PathAccumulator::new(Options::new(Metric::Planar));
    assert_eq!(restore(&empty.state()), Ok(empty.clone()));
    let changes: [fn(&mut State); 7] = [
        |state| state.seen.time = true,
        |state| state.raw.point_count = 1,
        |state| state.raw.length = ExactSum::from_bytes([1; 16]),
        |state| state.raw.is_broken = true,
        |state| state.stats.checked_times = Some([0, 0]),
        |state| state.stats.climb = Some([ExactSum::ZERO; 2]),
        |state| state.last.unix_ns = Some(0),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut state = empty.state();
        change(&mut state);
        assert!(restore(&state).is_err(), "change {index}");
    }
}

proptest! {
    /// A restored path folds, whatever changed in its state, and its results are finite.
    #[test]
    fn what_is_restored_is_finite(
        numbers in prop::collection::vec((0..NUMBERS.len(), -9e12..9e12_f64), 0..2),
        counts in prop::collection::vec((0..COUNTS.len(), 0..9_u64), 0..2),
        times in prop::collection::vec((0..TIMES.len(), any::<i64>()), 0..2),
        sums in prop::collection::vec((0..SUMS.len(), any::<u128>()), 0..2),
    ) {
        let mut state = filtered();
        numbers.iter().for_each(|&(at, value)| NUMBERS[at].1(&mut state, value));
        counts.iter().for_each(|&(at, value)| COUNTS[at].1(&mut state, value));
        times.iter().for_each(|&(at, value)| TIMES[at].1(&mut state, value));
        for &(at, value) in &sums {
            SUMS[at].1(&mut state, ExactSum::from_bytes((value >> 60).to_le_bytes()));
        }
        let Ok(mut path) = restore(&state) else { return Ok(()) };
        prop_assert_eq!(path.state(), state);
        let _ = path.extend(&[fix(Metric::Planar, 7, 6.0), fix(Metric::Planar, 8, 8.0)]);
        let summary = path.summary();
        for value in [summary.length, summary.raw_length, summary.displacement] {
            prop_assert!(value.is_finite());
        }
        let bounds = summary.bounds.unwrap();
        prop_assert!([bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y].iter().all(|v| v.is_finite()));
        let mut totals = Totals::new(Metric::Planar);
        let _ = totals.add(&summary).and_then(|()| totals.add(&summary));
        let _ = totals.summary();
    }
}
