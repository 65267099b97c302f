//! Tests of single sentences of the contract about the rules, with results that can be computed by hand. The tracks
//! are planar, as in `cases.rs`.

use super::cases::{at, fix, measured, planar, rejections, speed_limit, walk};
use super::*;
use crate::measure::policy::{Filter, PlacedBlock};

#[test]
fn inaccurate_fixes_do_not_start_a_segment_after_a_jump() {
    let options = Options { max_accuracy_m: Some(20.0), ..speed_limit() };
    let mut fixes = walk(&[0.0, 1.0, 2.0, 1000.0, 1001.0, 1002.0, 6.0]);
    for fix in &mut fixes[3..6] {
        *fix = fix.with_accuracy_m(50.0).unwrap();
    }
    let summary = measured(options, &fixes);
    assert_eq!((summary.length, summary.segment_count), (6.0, 1));
    let rejected_length = 998.0 + 2.0 + 996.0 - 4.0;
    assert_eq!(rejections(&summary), [(RejectionReason::Accuracy, 3, 3, rejected_length)]);
}

#[test]
fn a_walk_with_a_smallest_step_has_no_gap_in_time() {
    let walk: Vec<_> = (0..=5000).map(|second| at(second, second as f64)).collect();
    let options =
        Options { min_step: Some(50.0), max_gap_time_ns: Some(30_000_000_000), ..planar() };
    let summary = measured(options, &walk);
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (5000.0, 1, 0.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Step, 4900, 1, 0.0)]);
}

#[test]
fn a_time_that_is_earlier_or_missing_lets_no_jump_through() {
    let jump = at(3, 1e6);
    for tick in [at(0, 2.0), at(-9, 2.0), at(1, 2.0), fix(2.0, 0.0)] {
        let summary = measured(speed_limit(), &[at(0, 0.0), at(1, 1.0), tick, jump, at(4, 4.0)]);
        assert_eq!((summary.length, summary.segment_count), (4.0, 1), "{tick:?}");
        // A fix without a time passes, and an earlier one does not.
        let is_timed = tick.unix_ns().is_some();
        assert_eq!(summary.rejections[0].count, 1 + u64::from(is_timed));
        assert_eq!(summary.accepted_count, 4 - u64::from(is_timed));
    }
}

#[test]
fn a_fix_that_is_not_later_is_too_fast_unless_it_is_a_copy() {
    let count = |fix: Fix| {
        let summary = measured(speed_limit(), &[at(0, 0.0), at(5, 1.0), fix]);
        summary.rejections.first().map_or(0, |rejection| rejection.count)
    };
    assert_eq!([at(5, 1.0), fix(1.0, 0.0), at(6, 11.0)].map(count), [0; 3]);
    assert_eq!([at(5, 1.5), at(4, 1.0), at(6, 11.5)].map(count), [1; 3]);
}

#[test]
fn the_single_fix_of_an_abandoned_segment_is_rejected() {
    let options = Options { max_gap: Some(100.0), ..speed_limit() };
    let fixes = [at(0, 0.0), at(1, 1.0), at(700, 5001.0), at(701, 2.0), at(702, 3.0), at(703, 4.0)];
    let summary = measured(options, &fixes);
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (3.0, 2, 1.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 2, 5000.0 + 4999.0 - 1.0)]);
    assert_eq!((summary.displacement, summary.bounds.unwrap().max_x), (4.0, 4.0));
    // Until then, it is accepted.
    let summary = measured(options, &fixes[..5]);
    assert_eq!((summary.accepted_count, summary.segment_count, summary.gap_length), (3, 2, 5000.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 2, 3, 4999.0 + 1.0)]);
}

#[test]
fn a_fix_before_a_marked_start_stays_accepted() {
    let mut fixes = walk(&[0.0, 1000.0, 1001.0, 1002.0, 1003.0]);
    fixes[1] = fixes[1].starting_segment();
    let summary = measured(speed_limit(), &fixes);
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (3.0, 2, 5));
    assert_eq!((summary.gap_length, summary.rejections.len()), (0.0, 0));
}

#[test]
fn a_marked_start_ends_a_chain() {
    let mut fixes = walk(&[0.0, 1.0, 1000.0, 1001.0, 1002.0, 1003.0]);
    fixes[4] = fixes[4].starting_segment();
    let summary = measured(speed_limit(), &fixes);
    assert_eq!((summary.length, summary.segment_count), (2.0, 2));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 2, 2, 999.0 + 1.0)]);
}

#[test]
fn copies_of_one_fix_do_not_start_a_segment() {
    let far = at(1, 1000.0);
    let summary = measured(speed_limit(), &[at(0, 0.0), far, far, far, far, at(4, 1.0)]);
    assert_eq!((summary.length, summary.segment_count), (1.0, 1));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 4, 1, 1000.0 + 999.0 - 1.0)]);
    // They do not change the chain either.
    let fixes = [at(0, 0.0), far, far, at(2, 1001.0), at(2, 1001.0), at(3, 1002.0)];
    let summary = measured(speed_limit(), &fixes);
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (2.0, 1, 3));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 3, 0, 1000.0)]);
}

#[test]
fn fixes_that_are_not_in_the_order_of_time_do_not_start_a_segment() {
    let fixes = [at(100, 0.0), at(5, 1.0), at(4, 2.0), at(3, 3.0), at(2, 4.0)];
    let options = Options { reject_backward_time: true, ..planar() };
    for options in [options, speed_limit()] {
        let summary = measured(options, &fixes);
        assert_eq!((summary.length, summary.accepted_count), (0.0, 1));
        assert_eq!((summary.rejections[0].count, summary.rejections[0].rejected_length), (4, 4.0));
    }
}

#[test]
fn a_path_of_single_fixes_that_re_anchor_keeps_the_last_one() {
    let options = Options { reanchor_count: 1, ..speed_limit() };
    let summary = measured(options, &walk(&[0.0, 1000.0, 2000.0, 3000.0]));
    assert_eq!((summary.accepted_count, summary.segment_count, summary.length), (1, 1, 0.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 3, 0, 3000.0)]);
    let summary = measured(options, &walk(&[0.0, 1.0, 1000.0, 1001.0, 2000.0, 3.0, 4.0]));
    // The fix at 2000 was the only one of its segment.
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (3.0, 3, 6));
    assert_eq!(summary.gap_length, 999.0 + 998.0);
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 4, 999.0 + 1997.0 - 998.0)]);
}

#[test]
fn candidates_follow_the_rules_about_gaps_and_steps() {
    let options = Options {
        reanchor_count: 4,
        max_gap_time_ns: Some(5_000_000_000),
        min_step: Some(2.0),
        ..speed_limit()
    };
    let far = [at(1, 1000.0), at(2, 1001.0), at(3, 1003.0), at(9, 1006.0), at(10, 1010.0)];
    let summary = measured(options, &[&[at(0, 0.0)], &far[..]].concat());
    // The gap of 6 s starts another segment.
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (7.0, 2, 3.0));
    let (step, speed) = (RejectionReason::Step, RejectionReason::Speed);
    assert_eq!(rejections(&summary), [(speed, 1, 0, 1000.0), (step, 1, 2, 0.0)]);
}

#[test]
fn the_time_of_a_gap_is_measured_from_the_last_fix_with_a_time() {
    let options = Options { max_gap_time_ns: Some(5_000_000_000), ..planar() };
    let summary = measured(options, &[at(0, 0.0), fix(1.0, 0.0), at(5, 2.0), at(11, 3.0)]);
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (2.0, 2, 1.0));
}

#[test]
fn a_gap_is_measured_from_the_last_checked_fix() {
    let options = Options { max_gap: Some(10.0), min_step: Some(8.0), ..planar() };
    let summary = measured(options, &walk(&[0.0, 6.0, 12.0, 18.0, 29.0]));
    // The fixes at 6 and 18 are too near. The last one is 11 from the last checked one.
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (12.0, 2, 17.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Step, 2, 1, 0.0)]);
}

#[test]
fn a_position_of_zero_is_rejected_only_if_requested() {
    let track = [fix(0.0, 0.0), fix(3.0, 4.0), fix(0.0, 0.0), fix(6.0, 8.0), fix(0.0, 8.0)];
    let summary = measured(Options { reject_zero_position: true, ..planar() }, &track);
    assert_eq!((summary.length, summary.raw_length), (11.0, 26.0));
    let zero = (RejectionReason::ZeroPosition, 2, 0, 5.0 + (5.0 + 10.0 - 5.0));
    assert_eq!(rejections(&summary), [zero]);
    let summary = measured(planar(), &track);
    assert_eq!((summary.length, summary.rejections.len()), (26.0, 0));
    let geographic = Options { reject_zero_position: true, ..Options::new(Metric::Geodesic) };
    let null_island = [(0.0, 360.0), (0.0, 1e-7)]
        .map(|(lat, lon)| Fix::new(Point::geographic(lat, lon).unwrap()));
    assert_eq!(measured(geographic, &null_island).accepted_count, 1);
}

#[test]
fn a_late_fix_is_rejected_before_all_other_rules() {
    let options = Options {
        reorder: Some(crate::measure::Reorder { count: 4, time_ns: None }),
        reject_zero_position: true,
        ..planar()
    };
    let mut block = FixBlock::new(Metric::Planar);
    for x in [1.0, 0.0, 3.0, 0.0, 4.0] {
        block.push(fix(x, 0.0)).unwrap();
    }
    let mut late = IndexSet::EMPTY;
    late.insert(1);
    let mut legs = [0.0; 5];
    let mut raw = Polyline::new(Metric::Planar);
    raw.fold_legs(&mut block.points, &IndexSet::EMPTY, &mut legs).unwrap();
    let (mut filter, mut derived) = (Filter::new(&options), Derived::new(&options));
    let offsets = Some(&[4, 7, 6, 5, 8][..]);
    let starts = &IndexSet::EMPTY;
    let placed = PlacedBlock { block: &block, starts, late: &late, offset: 0, offsets };
    filter.fold(&options, placed, &legs, &mut derived).unwrap();
    assert!(filter.is_balanced(&options, raw.length()));
    let rows: Vec<_> = filter
        .rejections()
        .into_iter()
        .map(|r| (r.reason, r.count, r.first_offset, r.rejected_length))
        .collect();
    let late = (RejectionReason::Late, 1, 7, 1.0 + 3.0 - 2.0);
    let zero = (RejectionReason::ZeroPosition, 1, 5, 3.0 + 4.0 - 1.0);
    assert_eq!(rows, [late, zero]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A buffer passes fixes in another order than that of their offsets, and late ones with a mark.
    #[test]
    fn late_fixes_and_their_offsets_are_in_the_ledger_however_the_fixes_are_divided(
        (options, steps) in paths(60),
        marks in prop::collection::vec(any::<(bool, u8)>(), 400),
        batch in 1_usize..200,
    ) {
        let reorder = Some(crate::measure::Reorder { count: 4, time_ns: None });
        let options = Options { reorder, ..options };
        let fixes: Vec<_> = steps.iter().filter_map(|step| match *step {
            Step::Fix(fix) if fix.point().is_some() => Some(fix),
            _ => None,
        }).zip(marks).collect();
        let fold = |batch: usize| {
            let (mut filter, mut derived) = (Filter::new(&options), Derived::new(&options));
            let mut raw = Polyline::new(options.metric);
            let mut block = FixBlock::new(options.metric);
            for fixes in fixes.chunks(batch) {
                let (mut late, mut legs) = (IndexSet::EMPTY, [0.0; PointBlock::CAPACITY]);
                let offsets: Vec<_> = fixes.iter().map(|&(_, (_, offset))| offset.into()).collect();
                for (slot, &(fix, (is_late, _))) in fixes.iter().enumerate() {
                    block.push(fix).unwrap();
                    if is_late {
                        late.insert(slot);
                    }
                }
                let starts = block.starts;
                let legs = &mut legs[..fixes.len()];
                raw.fold_legs(&mut block.points, &starts, legs).unwrap();
                let (starts, late, offsets) = (&starts, &late, Some(&offsets[..]));
                let placed = PlacedBlock { block: &block, starts, late, offset: 0, offsets };
                filter.fold(&options, placed, legs, &mut derived).unwrap();
                block.clear();
            }
            (filter, derived, raw)
        };
        let (filter, stats, raw) = fold(batch);
        prop_assert!(filter.is_balanced(&options, raw.length()));
        prop_assert_eq!(&(filter.clone(), stats, raw), &fold(1));
        let late: Vec<_> =
            fixes.iter().filter(|(_, (is_late, _))| *is_late).map(|&(_, (_, at))| at).collect();
        let found = filter.rejections().into_iter().find(|r| r.reason == RejectionReason::Late);
        let expected = late.iter().min().map(|&least| (late.len() as u64, u64::from(least)));
        prop_assert_eq!(found.map(|r| (r.count, r.first_offset)), expected);
    }
}

#[test]
fn options_without_data_are_listed() {
    let options = Options {
        elevation: Elevation::ThreeDimensional,
        max_accuracy_m: Some(30.0),
        max_gap_time_ns: Some(1),
        stopped_speed: Some(1.0),
        ..speed_limit()
    };
    let unused = |fixes: &[Fix]| {
        let unused = measured(options, fixes).unused_options;
        unused.into_iter().map(|unused| (unused.option, unused.missing)).collect::<Vec<_>>()
    };
    let time = MissingData::Time;
    assert_eq!(unused(&[]), []);
    let options = Options { invalid_points: InvalidPoints::Skip, ..options };
    assert_eq!(measured(options, &[Fix::without_position()]).unused_options, []);
    assert_eq!(
        unused(&[fix(0.0, 0.0), fix(1.0, 0.0)]),
        [
            ("elevation", MissingData::Z),
            ("max_gap_time_ns", time),
            ("max_speed", time),
            ("max_accuracy_m", MissingData::Accuracy),
            ("stopped_speed", time),
        ]
    );
    let full = at(0, 0.0).with_z(0.0).unwrap().with_accuracy_m(0.0).unwrap();
    assert_eq!(unused(&[fix(0.0, 0.0), full]), []);
    let default = measured(Options::new(Metric::Geodesic), &[]);
    assert_eq!(default.unused_options, []);
}

/// A chain that ends in a block adds more fixes than the block has. Their sums are taken in two batches.
#[test]
fn a_chain_across_blocks_has_the_sums_of_single_fixes() {
    let options = Options { reanchor_count: 16, ..speed_limit() };
    let with_z = |index: usize, fix: Fix| match index % 8 {
        0..3 => fix,
        _ => fix.with_z((index % 5) as f64).unwrap(),
    };
    let far = |second: usize| if second < 241 { second as f64 } else { 1e6 + second as f64 };
    let fixes: Vec<_> =
        (0..520).map(|second| with_z(second, at(second as i64, far(second)))).collect();
    let steps: Vec<_> = fixes.iter().copied().map(Step::Fix).collect();
    let singly = fold_singly(options, &steps);
    for batch in [256, 255, 250] {
        assert_eq!(fold_in_blocks(PathAccumulator::new(options), &steps, batch), singly);
    }
    let rises = |fixes: &[Fix]| -> f64 {
        let pairs = fixes.windows(2).map(|pair| Some(pair[1].z()? - pair[0].z()?));
        pairs.flatten().map(|rise| rise.max(0.0)).sum()
    };
    let expected = rises(&fixes[..241]) + rises(&fixes[241..]);
    assert_eq!(singly.summary().raw_ascent, Some(expected));
}
