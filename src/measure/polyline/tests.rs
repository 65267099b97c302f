//! Property tests of the accumulator of points: cuts, batches, merges and breaks.

use proptest::prelude::*;

use super::*;
use crate::measure::{Space, SumOverflow};

/// One call on a path.
#[derive(Clone, Copy, Debug)]
enum Step {
    Point(i32, i32),
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let near = (-1000..1000_i32, -1000..1000_i32);
    let far = (-900_000_000..=900_000_000_i32, any::<i32>());
    let step = prop_oneof![
        8 => near.prop_map(|(y, x)| Step::Point(y, x)),
        2 => far.prop_map(|(y, x)| Step::Point(y, x)),
        1 => Just(Step::Break),
    ];
    prop::collection::vec(step, 0..700)
}

fn point(metric: Metric, y: i32, x: i32) -> Point {
    match metric.space() {
        Space::Planar => Point::planar(x.into(), y.into()).unwrap(),
        Space::Geographic => Point::from_e7(y, x).unwrap(),
    }
}

/// Adds one point per call.
fn fold_singly(metric: Metric, steps: &[Step]) -> Polyline {
    let mut path = Polyline::new(metric);
    for step in steps {
        match *step {
            Step::Point(y, x) => path.extend(&[point(metric, y, x)]).unwrap(),
            Step::Break => path.start_segment(),
        }
    }
    path
}

/// Folds a block when it has `batch` points, when it is full, and at a break.
fn fold_in_blocks(metric: Metric, steps: &[Step], batch: usize) -> Polyline {
    let mut path = Polyline::new(metric);
    let mut block = PointBlock::new(metric.space());
    for step in steps {
        match *step {
            Step::Point(y, x) => {
                block.push_i32(x, y).unwrap();
                if block.is_full() || block.len() == batch {
                    path.fold(&mut block).unwrap();
                }
            }
            Step::Break => {
                path.fold(&mut block).unwrap();
                path.start_segment();
            }
        }
    }
    path.fold(&mut block).unwrap();
    path
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_batching_and_merging_gives_the_same_bits(
        steps in steps(),
        batch in 1_usize..300,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
            let whole = fold_singly(metric, &steps);
            prop_assert_eq!(&fold_in_blocks(metric, &steps, batch), &whole);

            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(steps.len() + 1)).collect();
            cuts.sort_unstable();
            let mut merged = Polyline::new(metric);
            let mut from = 0;
            for cut in cuts.into_iter().chain([steps.len()]) {
                merged.merge(&fold_in_blocks(metric, &steps[from..cut], batch)).unwrap();
                from = cut;
            }
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(merged.summary(), whole.summary());
        }
    }

    #[test]
    fn the_length_is_the_sum_of_the_legs_of_all_segments(steps in steps()) {
        let metric = Metric::Planar;
        let mut sum = ExactSum::ZERO;
        let mut segments = 0;
        for run in steps.split(|step| matches!(step, Step::Break)) {
            segments += u64::from(!run.is_empty());
            for pair in run.windows(2) {
                let [Step::Point(ay, ax), Step::Point(by, bx)] = *pair else { unreachable!() };
                let (a, b) = (point(metric, ay, ax), point(metric, by, bx));
                sum.add(metric.distance(a, b).unwrap()).unwrap();
            }
        }
        let summary = fold_singly(metric, &steps).summary();
        prop_assert_eq!(summary.length.to_bits(), sum.to_f64().to_bits());
        prop_assert_eq!(summary.segment_count, segments);
    }
}

#[test]
fn paths_of_no_point_and_of_one_point_have_length_zero() {
    for metric in [Metric::Planar, Metric::Haversine, Metric::Geodesic] {
        let mut path = Polyline::new(metric);
        let empty = path.summary();
        assert_eq!((empty.length, empty.displacement, empty.point_count), (0.0, 0.0, 0));
        assert_eq!((empty.segment_count, empty.bounds), (0, None));
        path.extend(&[point(metric, 7, 9)]).unwrap();
        let one = path.summary();
        assert_eq!((one.length, one.displacement, one.point_count), (0.0, 0.0, 1));
        assert_eq!(one.segment_count, 1);
        assert!(one.bounds.is_some());
    }
}

#[test]
fn a_round_trip_has_a_length_and_displacement_zero() {
    let mut path = Polyline::new(Metric::Planar);
    let home = point(Metric::Planar, 0, 0);
    path.extend(&[home, point(Metric::Planar, 30, 40), home]).unwrap();
    let summary = path.summary();
    assert_eq!((summary.length, summary.displacement), (100.0, 0.0));
    let bounds = Bounds { min_x: 0.0, min_y: 0.0, max_x: 40.0, max_y: 30.0 };
    assert_eq!(summary.bounds, Some(bounds));
}

#[test]
fn points_of_another_space_are_refused_and_change_nothing() {
    let mut path = fold_singly(Metric::Geodesic, &[Step::Point(1, 1), Step::Point(2, 2)]);
    let before = path.clone();
    let error = path.extend(&[point(Metric::Planar, 0, 0)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "planar points cannot be added to a path that is measured as geodesic"
    );
    let mut block = PointBlock::new(Space::Planar);
    block.push_i32(1, 1).unwrap();
    assert!(path.fold(&mut block).is_err());
    assert!(path.merge(&Polyline::new(Metric::Haversine)).is_err());
    assert_eq!(path, before);
    assert_eq!(block.len(), 1);
}

#[test]
fn a_total_out_of_range_is_refused_and_changes_nothing() {
    let corner = |s: f64| Point::planar(s * crate::measure::PLANAR_MAX, 0.0).unwrap();
    let mut path = Polyline::new(Metric::Planar);
    path.extend(&[corner(-1.0), corner(1.0)]).unwrap();
    let error = loop {
        let doubled = path.clone();
        if let Err(error) = path.merge(&doubled) {
            assert_eq!(path, doubled);
            break error;
        }
    };
    assert_eq!(error, PathError::Overflow(SumOverflow));
}
