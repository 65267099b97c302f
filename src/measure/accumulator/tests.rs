//! Property tests of the accumulator: it equals a simple implementation of the rules, and its bits do not
//! depend on cuts or on storing it in between. `cases.rs` has the tests of single tracks.

use proptest::prelude::*;

use super::*;
use crate::measure::track_stats::{LegBatch, TrackStats};
use crate::measure::{
    ClimbOptions, EstimateOptions, ExactSum, Metric, MissingData, Point, Rejection,
    RejectionReason, Reorder, SignedSum, Space, SumOverflow, Totals, UnusedOption, WindowOptions,
    WindowUnit, Zone,
};

mod cases;
mod duplicates;
#[cfg(feature = "server")]
mod heap;
mod order;
mod ordered;
mod reference;
mod rules;
mod times;

use reference::reference_summary;

/// One call on a path.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fix(Fix),
    Break,
}

const METRICS: [Metric; 3] = [Metric::Planar, Metric::Haversine, Metric::Geodesic];

/// Generates fixes a few units and seconds apart, so that the values are on both sides of the limit of every rule.
fn fixes(metric: Metric) -> impl Strategy<Value = Fix> {
    let place = prop_oneof![
        30 => (-6..=6_i32, -6..=6_i32),
        2 => (-600..=600_i32, -600..=600_i32),
        1 => (-900_000_000..=900_000_000_i32, any::<i32>()),
    ];
    let time = prop_oneof![20 => 0..40_i64, 1 => Just(-9_214_560_000), 1 => Just(9_214_646_399)];
    let time = prop::option::weighted(0.8, time.prop_map(|s| s * 1_000_000_000));
    let z = prop::option::weighted(0.7, prop_oneof![-9.0..9.0_f64, Just(0.0), Just(-1e12)]);
    let accuracy = prop::option::weighted(0.5, 0.0..30.0_f64);
    (place, time, z, accuracy, prop::bool::weighted(0.05)).prop_map(
        move |((y, x), time, z, accuracy, starts)| {
            let point = match metric.space() {
                Space::Planar => Point::planar(x.into(), y.into()),
                // A few hundred units of E7 are a few metres.
                Space::Geographic if x.abs() < 7 => {
                    Point::from_e7(y * 100, 1_800_000_000 + x * 100)
                }
                Space::Geographic => Point::from_e7(y, x),
            };
            let mut fix = Fix::new(point.unwrap());
            fix = time.map_or(fix, |unix_ns| fix.at_unix_ns(unix_ns).unwrap());
            fix = z.map_or(fix, |z| fix.with_z(z).unwrap());
            fix = accuracy.map_or(fix, |accuracy| fix.with_accuracy_m(accuracy).unwrap());
            if starts { fix.starting_segment() } else { fix }
        },
    )
}

/// Generates runs of fixes without a position, some of which are marked as the start of a segment.
fn runs_without_position() -> impl Strategy<Value = Vec<Step>> {
    let fix = prop::bool::weighted(0.1).prop_map(|starts| {
        let fix = Fix::without_position().at_unix_ns(7).unwrap();
        Step::Fix(if starts { fix.starting_segment() } else { fix })
    });
    prop_oneof![
        6 => prop::collection::vec(fix.clone(), 1..4),
        1 => prop::collection::vec(fix, 250..600),
    ]
}

/// Generates runs of fixes with attributes and breaks, and runs of plain points, which take the fast path.
fn steps(metric: Metric, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let plain = fixes(metric).prop_map(|fix| vec![Step::Fix(Fix::new(fix.point().unwrap()))]);
    let full = prop_oneof![
        20 => fixes(metric).prop_map(|fix| vec![Step::Fix(fix)]),
        1 => Just(vec![Step::Break]),
    ];
    let mixed = |run: BoxedStrategy<Vec<Step>>| {
        prop_oneof![
            prop::collection::vec(run.clone(), 0..count),
            prop::collection::vec(prop_oneof![12 => run, 1 => runs_without_position()], 0..count),
        ]
    };
    let runs = prop_oneof![3 => mixed(full.boxed()), 1 => mixed(plain.boxed())];
    prop::collection::vec(runs, 1..4).prop_map(|runs| runs.concat().concat())
}

/// Generates the modes in which fixes without a position are no error.
fn invalid_points() -> impl Strategy<Value = InvalidPoints> {
    prop::sample::select(vec![InvalidPoints::Skip, InvalidPoints::Split])
}

/// Generates the limits of the buffer that puts fixes in order.
fn reorder() -> impl Strategy<Value = Option<Reorder>> {
    let count = prop_oneof![8 => 1..12_u32, 1 => Just(Reorder::COUNT_MAX)];
    let seconds = prop::option::of(1..30_u64);
    let limits = (count, seconds).prop_map(|(count, seconds)| Reorder {
        count,
        time_ns: seconds.map(|seconds| seconds * 1_000_000_000),
    });
    prop::option::weighted(0.4, limits)
}

fn options(metric: Metric) -> impl Strategy<Value = Options> {
    let maybe = |range: std::ops::Range<f64>| prop::option::weighted(0.4, range);
    (
        (any::<bool>(), maybe(1.0..30.0), maybe(1.0..30.0), maybe(0.1..8.0), 1..5_u32),
        (maybe(0.5..12.0), maybe(1.0..30.0), any::<bool>(), maybe(0.1..8.0)),
        (prop::bool::weighted(0.2), invalid_points(), prop::bool::weighted(0.2), reorder()),
        (prop::bool::weighted(0.3), prop::bool::weighted(0.3), 0..3_u64, 0..3_u32),
    )
        .prop_map(move |(a, b, (plain, invalid_points, reject_zero_position, reorder), c)| {
            if plain {
                return Options { stopped_speed: b.3, invalid_points, ..Options::new(metric) };
            }
            Options {
                elevation: if a.0 { Elevation::ThreeDimensional } else { Elevation::Ignored },
                max_gap_time_ns: a.1.map(|s| (s * 1e9) as u64),
                max_gap: a.2,
                max_speed: a.3,
                reanchor_count: a.4,
                min_step: b.0,
                max_accuracy_m: b.1,
                reject_backward_time: b.2,
                stopped_speed: b.3,
                invalid_points,
                reject_zero_position,
                reorder,
                // Of the paths that are put in order, two of three.
                drop_duplicates: reorder.is_some_and(|limits| limits.count % 3 > 0),
                climb: ClimbOptions { threshold: 3.0, smoothing_ns: c.2 * 20_000_000_000 },
                estimate: (c.0 && metric.space() == Space::Geographic)
                    .then_some(EstimateOptions { min_stop_ns: 5_000_000_000, max_trips: c.3 }),
                windows: c.1.then_some(WindowOptions {
                    unit: WindowUnit::Hour,
                    zone: Zone::UTC,
                    max_windows: 400,
                    keep_latest: c.3 == 1,
                }),
                ..Options::new(metric)
            }
        })
}

fn paths(count: usize) -> impl Strategy<Value = (Options, Vec<Step>)> {
    let select = prop::sample::select(METRICS.to_vec());
    let paths = select.prop_flat_map(move |metric| (options(metric), steps(metric, count)));
    (paths, prop::bool::weighted(0.7), 1..9_usize).prop_map(
        |((options, mut steps), is_timed, copied)| {
            if is_timed {
                order_times(&mut steps);
            }
            // Some receivers repeat a fix.
            for at in (copied..steps.len()).step_by(2 * copied + 1) {
                steps[at] = steps[at - 1];
            }
            (options, steps)
        },
    )
}

/// Changes most times so that they ascend by a second, with few exceptions.
fn order_times(steps: &mut [Step]) {
    for (second, step) in (0..).zip(steps) {
        let Step::Fix(fix) = step else { continue };
        let Some(unix_ns) = fix.unix_ns() else { continue };
        if (0..38_000_000_000).contains(&unix_ns) {
            let unix_ns = second * 1_000_000_000 + unix_ns % 1_200_000_000;
            *fix = fix.at_unix_ns(unix_ns).unwrap();
        }
    }
}

/// Adds one fix per call.
fn fold_singly(options: Options, steps: &[Step]) -> PathAccumulator {
    let mut path = PathAccumulator::new(options);
    for step in steps {
        match *step {
            Step::Fix(fix) => path.extend(&[fix]).unwrap(),
            Step::Break => path.start_segment(),
        }
    }
    path
}

/// Adds blocks of up to `batch` fixes. A break before a fix is marked in the block.
fn fold_in_blocks(mut path: PathAccumulator, steps: &[Step], batch: usize) -> PathAccumulator {
    let mut block = FixBlock::new(path.options().metric);
    let mut is_broken = false;
    for step in steps {
        match *step {
            Step::Fix(fix) => {
                block.push(fix).unwrap();
                if std::mem::take(&mut is_broken) {
                    block.start_segment_at(block.len() - 1);
                }
                if block.is_full() || block.len() == batch {
                    path.fold(&mut block).unwrap();
                }
            }
            Step::Break => is_broken = true,
        }
    }
    path.fold(&mut block).unwrap();
    if is_broken {
        path.start_segment();
    }
    path
}

fn stored(path: &PathAccumulator) -> PathAccumulator {
    path.state().try_into().unwrap()
}

/// Compares all bits: the debug format of an `f64` is exact and has the sign of -0.
fn assert_same(a: &PathSummary, b: &PathSummary) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn merged_parts_equal_the_whole_path(
        (options, steps) in paths(60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let options = Options { invalid_points: options.invalid_points, ..Options::new(options.metric) };
        let plain = |step: &Step| match *step {
            Step::Fix(fix) => {
                let plain = fix.point().map_or(Fix::without_position(), Fix::new);
                Step::Fix(if fix.starts_segment() { plain.starting_segment() } else { plain })
            }
            Step::Break => Step::Break,
        };
        let steps: Vec<_> = steps.iter().map(plain).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(steps.len() + 1)).collect();
        cuts.extend([0, steps.len()]);
        cuts.sort_unstable();
        let mut merged = PathAccumulator::new(options);
        for cut in cuts.windows(2) {
            merged.merge(&fold_singly(options, &steps[cut[0]..cut[1]])).unwrap();
        }
        prop_assert_eq!(merged, fold_singly(options, &steps));
    }

    #[test]
    fn the_rules_equal_their_simple_implementation((options, steps) in paths(60)) {
        prop_assert_eq!(options.check(), Ok(()));
        let summary = fold_singly(options, &steps).summary();
        assert_same(&summary, &reference_summary(&options, &steps));
        let rejected: u64 = summary.rejections.iter().map(|rejection| rejection.count).sum();
        prop_assert_eq!(summary.point_count, summary.accepted_count + rejected);
        prop_assert!(summary.moving_ns <= summary.elapsed_ns);
    }

    #[test]
    fn the_ledger_adds_up_to_the_last_bit_after_every_fix((options, steps) in paths(60)) {
        let mut path = PathAccumulator::new(options);
        for step in &steps {
            match *step {
                Step::Fix(fix) => path.extend(&[fix]).unwrap(),
                Step::Break => path.start_segment(),
            }
            let Some(filter) = &path.filter else { continue };
            prop_assert!(filter.is_balanced(&options, path.raw.length()));
            let summary = path.summary();
            let rejected: u64 = summary.rejections.iter().map(|rejection| rejection.count).sum();
            prop_assert_eq!(summary.point_count, summary.accepted_count + rejected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_and_storing_gives_the_same_bits(
        (options, steps) in paths(400),
        batch in 1_usize..300,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let whole = fold_singly(options, &steps);
        let in_blocks = fold_in_blocks(PathAccumulator::new(options), &steps, batch);
        prop_assert_eq!(&in_blocks, &whole);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(steps.len() + 1)).collect();
        cuts.sort_unstable();
        let mut cut_up = PathAccumulator::new(options);
        let mut from = 0;
        for cut in cuts.into_iter().chain([steps.len()]) {
            cut_up = fold_in_blocks(stored(&cut_up), &steps[from..cut], batch);
            prop_assert_eq!(&stored(&cut_up), &cut_up);
            from = cut;
        }
        prop_assert_eq!(&cut_up, &whole);
        assert_same(&cut_up.summary(), &whole.summary());
    }

    #[test]
    fn totals_equal_one_path_of_all_segments(
        (options, steps) in paths(100),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(steps.len() + 1)).collect();
        cuts.sort_unstable();
        let mut totals = Totals::new(options.metric);
        let mut whole = PathAccumulator::new(options);
        let mut paths = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([steps.len()]) {
            let part = &steps[from..cut];
            let path = fold_singly(options, part).summary();
            totals.add(&path).unwrap();
            paths.push(path);
            whole.start_segment();
            whole = fold_in_blocks(whole, part, 100);
            from = cut;
        }
        let (totals, whole) = (totals.summary(), whole.summary());
        // The length of each path was rounded in its summary.
        let sum = |length: &dyn Fn(&PathSummary) -> f64| {
            let mut sum = ExactSum::ZERO;
            paths.iter().for_each(|path| sum.add(length(path)).unwrap());
            sum.to_f64()
        };
        let signed_sum = |length: &dyn Fn(&PathSummary) -> f64| {
            let mut sum = SignedSum::ZERO;
            for length in paths.iter().map(length) {
                let added = if length < 0.0 { sum.subtract(-length) } else { sum.add(length) };
                added.unwrap();
            }
            sum.to_f64()
        };
        let rejected_length = |reason| {
            signed_sum(&|path| {
                let mut all = path.rejections.iter();
                all.find(|rejection| rejection.reason == reason).map_or(0.0, |found| found.rejected_length)
            })
        };
        let expected = PathSummary {
            length: sum(&|path| path.length),
            raw_length: sum(&|path| path.raw_length),
            length_3d: whole.length_3d.map(|_| sum(&|path| path.length_3d.unwrap())),
            ascent: whole.ascent.map(|_| sum(&|path| path.ascent.unwrap_or(0.0))),
            descent: whole.descent.map(|_| sum(&|path| path.descent.unwrap_or(0.0))),
            raw_ascent: whole.raw_ascent.map(|_| sum(&|path| path.raw_ascent.unwrap_or(0.0))),
            raw_descent: whole.raw_descent.map(|_| sum(&|path| path.raw_descent.unwrap_or(0.0))),
            gap_length: signed_sum(&|path| path.gap_length),
            // They are those of single paths, or have tests of their own.
            climb_threshold: None,
            estimate: totals.estimate,
            trips: totals.trips.clone(),
            windows: totals.windows.clone(),
            unused_options: Vec::new(),
            displacement: 0.0,
            elapsed_ns: None,
            // The moving time of each path is at most its elapsed time.
            moving_ns: whole.moving_ns.map(|_| paths.iter().filter_map(|path| path.moving_ns).sum::<u128>()),
            bounds: None,
            // The offsets count from the start of each path.
            rejections: whole.rejections.iter().zip(&totals.rejections).map(|(whole, total)| {
                let rejected_length = rejected_length(whole.reason);
                Rejection { first_offset: total.first_offset, rejected_length, ..*whole }
            }).collect(),
            ..whole
        };
        prop_assert!((totals.length - whole.length).abs() <= whole.length.next_up() - whole.length);
        assert_same(&totals, &expected);
    }
}

#[test]
fn a_total_out_of_range_is_refused_and_changes_nothing() {
    let options = Options {
        elevation: Elevation::ThreeDimensional,
        max_speed: Some(1.0),
        ..Options::new(Metric::Planar)
    };
    let mut path = PathAccumulator::new(options);
    // Add impossible legs directly, so that the sum is 2^64 - 2^13.
    for length in [2_f64.powi(63), 2_f64.powi(63) - 2_f64.powi(13)] {
        let mut legs = LegBatch::new();
        let leg = Some((FixAttributes::NOTHING, length));
        TrackStats::add_fix(&options, FixAttributes::NOTHING, leg, &mut legs);
        path.derived.stats.add_batch(&options, &legs).unwrap();
    }
    let at = |z: f64| Fix::new(Point::planar(0.0, 0.0).unwrap()).with_z(z).unwrap();
    path.extend(&[at(0.0), at(8000.0)]).unwrap();
    let before = path.clone();
    assert_eq!(path.extend(&[at(0.0)]), Err(PathError::Overflow(SumOverflow)));
    assert_eq!(path, before);
    let mut totals = Totals::new(Metric::Planar);
    let half = PathSummary { length_3d: Some(2_f64.powi(63)), ..path.summary() };
    totals.add(&half).unwrap();
    assert!(totals.add(&half).is_err());
    assert_eq!(totals.summary().point_count, 2);
}

#[test]
fn fixes_and_totals_of_another_space_are_refused_and_change_nothing() {
    let mut path = PathAccumulator::new(Options::new(Metric::Geodesic));
    let planar = Fix::new(Point::planar(1.0, 1.0).unwrap());
    assert!(path.extend(&[planar]).is_err());
    let mut block = FixBlock::new(Metric::Planar);
    block.push(planar.with_z(1.0).unwrap()).unwrap();
    assert!(path.fold(&mut block).is_err());
    assert_eq!((path.point_count(), block.len()), (0, 1));
    assert!(Totals::new(Metric::Planar).add(&path.summary()).is_err());
}

#[test]
fn paths_whose_parts_do_not_add_up_are_not_merged() {
    let plain = Options::new(Metric::Planar);
    let fix = Fix::new(Point::planar(1.0, 2.0).unwrap());
    let path = |options, fix: Fix| {
        let mut path = PathAccumulator::new(options);
        path.extend(&[fix]).unwrap();
        path
    };
    let rejected = [
        path(plain.to_builder().min_step(1.0).build().unwrap(), fix),
        path(plain.to_builder().elevation(Elevation::ThreeDimensional).build().unwrap(), fix),
        path(plain, fix.with_z(3.0).unwrap()),
        path(plain, fix.at_unix_ns(0).unwrap()),
    ];
    for other in rejected {
        let mut same = other.clone();
        assert_eq!(same.merge(&other), Err(PathError::NotMergeable));
        assert_eq!(same, other);
        assert_eq!(path(plain, fix).merge(&other), Err(PathError::NotMergeable));
    }
    let haversine = PathAccumulator::new(Options::new(Metric::Haversine));
    assert!(matches!(path(plain, fix).merge(&haversine), Err(PathError::Metric { .. })));
}
