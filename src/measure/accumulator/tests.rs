//! The properties of a accumulator: against a plain reading of the policy, over any cutting, and after
//! being stored anywhere. What particular tracks come to is in `cases.rs`.

use proptest::prelude::*;

use super::*;
use crate::measure::{Metric, Point, Rejection, RejectionReason, Space, SumOverflow, Totals};

mod cases;

/// A step of a path's history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fix(Fix),
    Break,
}

const METRICS: [Metric; 3] = [Metric::Planar, Metric::Haversine, Metric::Geodesic];

/// Fixes a few units apart, seconds apart, so that every rule finds some on both sides of its limit.
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

/// With `plain` fixes only: points that go through the short cut.
fn steps(metric: Metric, count: usize) -> impl Strategy<Value = Vec<Step>> {
    let plain = fixes(metric).prop_map(|fix| Step::Fix(Fix::new(fix.point())));
    let known = prop_oneof![20 => fixes(metric).prop_map(Step::Fix), 1 => Just(Step::Break)];
    let runs = prop_oneof![
        3 => prop::collection::vec(known, 0..count),
        1 => prop::collection::vec(plain, 0..count),
    ];
    prop::collection::vec(runs, 1..4).prop_map(|runs| runs.concat())
}

fn options(metric: Metric) -> impl Strategy<Value = Options> {
    let maybe = |range: std::ops::Range<f64>| prop::option::weighted(0.4, range);
    (
        (any::<bool>(), maybe(1.0..30.0), maybe(1.0..30.0), maybe(0.1..8.0), 1..5_u32),
        (maybe(0.5..12.0), maybe(1.0..30.0), any::<bool>(), maybe(0.1..8.0)),
        prop::bool::weighted(0.2),
    )
        .prop_map(move |(a, b, plain)| {
            if plain {
                return Options { stopped_speed: b.3, ..Options::new(metric) };
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
                ..Options::new(metric)
            }
        })
}

fn anything(count: usize) -> impl Strategy<Value = (Options, Vec<Step>)> {
    prop::sample::select(METRICS.to_vec())
        .prop_flat_map(move |metric| (options(metric), steps(metric, count)))
}

/// One fix a call.
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

/// Blocks of up to `batch` fixes; breaks are marked in the block where a fix follows.
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

/// The policy as it is told to people, over lists of everything.
fn plainly(options: &Options, steps: &[Step]) -> PathSummary {
    let metric = options.metric;
    let mut fixes: Vec<Fix> = vec![];
    let mut is_broken = false;
    for step in steps {
        match *step {
            Step::Break => is_broken = true,
            Step::Fix(fix) => {
                let starts = std::mem::take(&mut is_broken);
                fixes.push(if starts { fix.starting_segment() } else { fix });
            }
        }
    }
    let distance =
        |a: usize, b: usize| metric.distance(fixes[a].point(), fixes[b].point()).unwrap();
    // In nanoseconds; i128 holds every difference.
    let time = |a: usize, b: usize| {
        let (from, to) = (fixes[a].unix_ns()?, fixes[b].unix_ns()?);
        Some(i128::from(to) - i128::from(from))
    };
    let raw: Vec<f64> = (0..fixes.len())
        .map(|i| if i == 0 || fixes[i].starts_segment() { 0.0 } else { distance(i - 1, i) })
        .collect();
    let is_backward =
        |a, b| options.reject_backward_time && time(a, b).is_some_and(|time| time < 0);
    let is_fast = |a, b| match (options.max_speed, time(a, b)) {
        (Some(_), Some(0)) => distance(a, b) > 0.0,
        (Some(limit), Some(ns @ 1..)) => distance(a, b) > limit * (ns as f64 / 1e9),
        _ => false,
    };

    // Each accepted fix with the one before it in its segment; each rejected one with its reason.
    let mut accepted: Vec<(Option<usize>, usize)> = vec![];
    let mut rejected: Vec<(RejectionReason, usize)> = vec![];
    let mut reference: Option<usize> = None;
    let mut chain: Vec<usize> = vec![];
    for (i, fix) in fixes.iter().enumerate() {
        if fix.starts_segment() {
            (reference, chain) = (None, vec![]);
        }
        let is_inaccurate = match (options.max_accuracy_m, fix.accuracy_m()) {
            (Some(limit), Some(accuracy)) => accuracy > limit,
            _ => false,
        };
        let mut suspicion = None;
        if reference.is_some_and(|r| is_backward(r, i)) {
            suspicion = Some(RejectionReason::BackwardTime);
        } else if is_inaccurate {
            rejected.push((RejectionReason::Accuracy, i));
            continue;
        } else if reference.is_some_and(|r| is_fast(r, i)) {
            suspicion = Some(RejectionReason::Speed);
        }
        if let Some(reason) = suspicion {
            let agrees = chain.last().is_some_and(|&c| !is_backward(c, i) && !is_fast(c, i));
            if !agrees {
                chain.clear();
            }
            chain.push(i);
            if chain.len() < options.reanchor_count as usize {
                rejected.push((reason, i));
                continue;
            }
            reference = None;
        }
        chain.clear();
        let Some(r) = reference else {
            accepted.push((None, i));
            reference = Some(i);
            continue;
        };
        let is_late = match (options.max_gap_time_ns, time(r, i)) {
            (Some(limit), Some(ns)) => ns > limit.into(),
            _ => false,
        };
        let is_far = options.max_gap.is_some_and(|limit| distance(r, i) > limit);
        if is_late || is_far {
            accepted.push((None, i));
        } else if options.min_step.is_some_and(|limit| distance(r, i) < limit) {
            rejected.push((RejectionReason::Step, i));
            continue;
        } else {
            accepted.push((Some(r), i));
        }
        reference = Some(i);
    }

    let sum = |terms: &mut dyn Iterator<Item = f64>| {
        let mut sum = ExactSum::ZERO;
        terms.for_each(|term| sum.add(term).unwrap());
        sum.to_f64()
    };
    let legs: Vec<_> = accepted.iter().filter_map(|&(r, i)| Some((r?, i))).collect();
    let rise = |&(a, b): &(usize, usize)| Some(fixes[b].z()? - fixes[a].z()?);
    let timed = |&(a, b): &(usize, usize)| time(a, b).filter(|&ns| ns > 0);
    let speed = |&(a, b): &(usize, usize)| Some(distance(a, b) / (timed(&(a, b))? as f64 / 1e9));
    let has_rise = legs.iter().any(|leg| rise(leg).is_some());
    let has_time = legs.iter().any(|leg| timed(leg).is_some());
    let times = || accepted.iter().filter_map(|&(_, i)| fixes[i].unix_ns());
    let is_moving = |leg: &(usize, usize)| match options.stopped_speed {
        Some(limit) => speed(leg).is_some_and(|speed| speed >= limit),
        None => true,
    };
    let moving_ns: i128 = legs.iter().filter(|leg| is_moving(leg)).filter_map(timed).sum();
    let mut bounds = Polyline::new(metric);
    for &(_, i) in &accepted {
        bounds.extend(&[fixes[i].point()]).unwrap();
    }
    let reasons = [
        RejectionReason::BackwardTime,
        RejectionReason::Accuracy,
        RejectionReason::Speed,
        RejectionReason::Step,
    ];
    let rejections = reasons.into_iter().filter_map(|reason| {
        let those: Vec<_> = rejected.iter().filter(|(other, _)| *other == reason).collect();
        Some(Rejection {
            reason,
            count: those.len() as u64,
            first_offset: those.first()?.1 as u64,
            rejected_length: sum(&mut those.iter().map(|(_, i)| raw[*i])),
        })
    });
    PathSummary {
        metric,
        point_count: fixes.len() as u64,
        accepted_count: accepted.len() as u64,
        segment_count: accepted.iter().filter(|(r, _)| r.is_none()).count() as u64,
        length: sum(&mut legs.iter().map(|&(a, b)| distance(a, b))),
        raw_length: sum(&mut raw.iter().copied()),
        length_3d: (options.elevation == Elevation::ThreeDimensional).then(|| {
            sum(&mut legs.iter().map(|leg| {
                let d = distance(leg.0, leg.1);
                rise(leg).map_or(d, |rise| (d * d + rise * rise).sqrt())
            }))
        }),
        displacement: match (accepted.first(), accepted.last()) {
            (Some(&(_, first)), Some(&(_, last))) => distance(first, last),
            _ => 0.0,
        },
        rejections: rejections.collect(),
        elapsed_ns: times()
            .max()
            .zip(times().min())
            .map(|(last, first)| (i128::from(last) - i128::from(first)) as u64),
        moving_ns: has_time.then(|| u64::try_from(moving_ns).unwrap_or(u64::MAX)),
        max_speed: legs.iter().filter_map(speed).reduce(f64::max),
        ascent: has_rise.then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| rise.max(0.0)))),
        descent: has_rise
            .then(|| sum(&mut legs.iter().filter_map(rise).map(|rise| (-rise).max(0.0)))),
        bounds: bounds.summary().bounds,
    }
}

/// Equal to the last bit: -0 is not 0, and the debug form of an `f64` gives all of it.
fn assert_same(a: &PathSummary, b: &PathSummary) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_policy_is_what_is_told_of_it((options, steps) in anything(60)) {
        prop_assert_eq!(options.check(), Ok(()));
        assert_same(&fold_singly(options, &steps).summary(), &plainly(&options, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cutting_and_storing_gives_the_same_bits(
        (options, steps) in anything(400),
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
    fn totals_are_those_of_the_paths_one_behind_the_other(
        (options, steps) in anything(100),
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
        // Each length was rounded when its path was told of.
        let sum = |length: &dyn Fn(&PathSummary) -> f64| {
            let mut sum = ExactSum::ZERO;
            paths.iter().for_each(|path| sum.add(length(path)).unwrap());
            sum.to_f64()
        };
        let rejected_length = |reason| {
            sum(&|path| {
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
            displacement: 0.0,
            elapsed_ns: None,
            bounds: None,
            // The offsets are those in their paths.
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
    // LegBatch that no path has, for a sum short of 2^64 by 2^13.
    for length in [2_f64.powi(63), 2_f64.powi(63) - 2_f64.powi(13)] {
        let mut legs = LegBatch::new();
        path.profile.add_leg(
            &options,
            length,
            FixAttributes::NOTHING,
            FixAttributes::NOTHING,
            &mut legs,
        );
        path.profile.add_sums(&options, &legs).unwrap();
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
fn what_does_not_belong_is_refused_and_changes_nothing() {
    let mut path = PathAccumulator::new(Options::new(Metric::Geodesic));
    let planar = Fix::new(Point::planar(1.0, 1.0).unwrap());
    assert!(path.extend(&[planar]).is_err());
    let mut block = FixBlock::new(Metric::Planar);
    block.push(planar.with_z(1.0).unwrap()).unwrap();
    assert!(path.fold(&mut block).is_err());
    assert_eq!((path.point_count(), block.len()), (0, 1));
    assert!(Totals::new(Metric::Planar).add(&path.summary()).is_err());
}
