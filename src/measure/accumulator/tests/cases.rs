//! Tests of single tracks with results that can be computed by hand. The tracks are planar, in metres, with
//! one second between fixes, unless a test states otherwise.

use super::*;

pub(super) fn fix(x: f64, y: f64) -> Fix {
    Fix::new(Point::planar(x, y).unwrap())
}

pub(super) fn at(seconds: i64, x: f64) -> Fix {
    fix(x, 0.0).at_unix_ns(1_700_000_000_000_000_000 + seconds * 1_000_000_000).unwrap()
}

/// Returns fixes at these positions, one second apart.
pub(super) fn walk(x: &[f64]) -> Vec<Fix> {
    (0..).zip(x).map(|(second, &x)| at(second, x)).collect()
}

pub(super) fn measured(options: Options, fixes: &[Fix]) -> PathSummary {
    let mut path = PathAccumulator::new(options);
    path.extend(fixes).unwrap();
    path.summary()
}

pub(super) fn planar() -> Options {
    Options::new(Metric::Planar)
}

pub(super) fn speed_limit() -> Options {
    Options { max_speed: Some(10.0), ..planar() }
}

/// Returns reason, count, first offset and rejected length.
pub(super) fn rejections(summary: &PathSummary) -> Vec<(RejectionReason, u64, u64, f64)> {
    let row = |r: &Rejection| (r.reason, r.count, r.first_offset, r.rejected_length);
    summary.rejections.iter().map(row).collect()
}

#[test]
fn a_minimum_step_removes_the_noise_of_a_receiver_at_rest() {
    // Back and forth by a metre, for ten seconds.
    let noise = walk(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let unfiltered = measured(Options { stopped_speed: Some(1.5), ..planar() }, &noise);
    assert_eq!((unfiltered.length, unfiltered.elapsed_ns), (10.0, Some(10_000_000_000)));
    // All legs have 1 m/s, which is below the limit. So the moving time is 0, not missing.
    assert_eq!((unfiltered.moving_ns, unfiltered.max_speed), (Some(0), Some(1.0)));

    let filtered = measured(Options { min_step: Some(3.0), ..planar() }, &noise);
    assert_eq!((filtered.length, filtered.raw_length, filtered.accepted_count), (0.0, 10.0, 1));
    assert_eq!(rejections(&filtered), [(RejectionReason::Step, 10, 1, 10.0)]);
    // Without an accepted leg, the moving time is missing.
    assert_eq!((filtered.elapsed_ns, filtered.moving_ns), (Some(10_000_000_000), None));
}

#[test]
fn slow_motion_adds_up_to_steps() {
    // A quarter of a metre per second: every fourth fix is a step of a metre.
    let slow: Vec<_> = (0..=40).map(|i| at(i, i as f64 / 4.0)).collect();
    let options = Options { min_step: Some(1.0), stopped_speed: Some(0.25), ..planar() };
    let summary = measured(options, &slow);
    assert_eq!((summary.length, summary.accepted_count), (10.0, 11));
    assert_eq!(rejections(&summary), [(RejectionReason::Step, 30, 1, 0.0)]);
    assert_eq!((summary.moving_ns, summary.max_speed), (Some(40_000_000_000), Some(0.25)));
}

#[test]
fn a_jump_is_rejected_and_the_walk_continues() {
    let summary = measured(speed_limit(), &walk(&[0.0, 1.0, 2.0, 1000.0, 4.0, 5.0]));
    // The leg from 2 to 4 has two metres in two seconds.
    assert_eq!((summary.length, summary.segment_count, summary.max_speed), (5.0, 1, Some(1.0)));
    assert_eq!(summary.raw_length, 1.0 + 1.0 + 998.0 + 996.0 + 1.0);
    // The legs to and from the jump are removed, and the leg of two metres is added.
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 3, 998.0 + 996.0 - 2.0)]);
}

#[test]
fn three_consistent_fixes_after_a_jump_are_accepted() {
    let jump = walk(&[0.0, 1.0, 2.0, 1000.0, 1001.0, 1002.0, 1003.0]);
    let summary = measured(speed_limit(), &jump);
    // The first of them starts a segment.
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (5.0, 2, 7));
    assert_eq!((summary.gap_length, summary.rejections.len()), (998.0, 0));
    // Until there are three, they are reported as rejected.
    let summary = measured(speed_limit(), &jump[..5]);
    assert_eq!((summary.length, summary.segment_count, summary.gap_length), (2.0, 1, 0.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 2, 3, 998.0 + 1.0)]);

    // There are never three consistent fixes in a row.
    let erratic = walk(&[0.0, 1000.0, 1001.0, 5000.0, 5001.0, 9000.0, 9001.0, 7.0]);
    let summary = measured(speed_limit(), &erratic);
    assert_eq!((summary.length, summary.segment_count), (7.0, 1));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 6, 1, 17_995.0 - 7.0)]);
}

#[test]
fn a_wrong_first_fix_is_rejected_when_the_rest_agrees() {
    let summary = measured(speed_limit(), &walk(&[5000.0, 0.0, 1.0, 2.0, 3.0, 4.0]));
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (4.0, 1, 5));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 0, 5000.0)]);
    assert_eq!((summary.displacement, summary.gap_length), (4.0, 0.0));
    let bounds = summary.bounds.unwrap();
    assert_eq!((bounds.min_x, bounds.max_x), (0.0, 4.0));
    assert_eq!(summary.elapsed_ns, Some(4_000_000_000));
}

#[test]
fn an_accepted_or_near_fix_resets_the_count_of_consistent_fixes_and_an_inaccurate_one_does_not() {
    let limits = Options { min_step: Some(0.5), max_accuracy_m: Some(20.0), ..speed_limit() };
    // Two fixes far away, one at rest, one far away: the last is not the third in a row.
    let at_rest = walk(&[0.0, 1000.0, 1001.0, 0.0, 1003.0, 4.0]);
    let summary = measured(limits, &at_rest);
    assert_eq!((summary.length, summary.segment_count), (4.0, 1));

    let mut inaccurate = walk(&[0.0, 1000.0, 1001.0, 99.0, 1003.0, 1004.0]);
    inaccurate[3] = inaccurate[3].with_accuracy_m(50.0).unwrap();
    let summary = measured(limits, &inaccurate);
    // The fix at 0 was the only one of its segment.
    assert_eq!((summary.length, summary.segment_count), (4.0, 1));
    let reasons: Vec<_> = rejections(&summary).iter().map(|row| (row.0, row.1)).collect();
    assert_eq!(reasons, [(RejectionReason::Accuracy, 1), (RejectionReason::Speed, 1)]);
}

#[test]
fn two_positions_at_one_instant_are_a_jump_and_equal_positions_are_a_duplicate() {
    let fixes = [at(0, 0.0), at(1, 1.0), at(1, 1.0), at(1, 1.25), at(2, 2.0)];
    let summary = measured(speed_limit(), &fixes);
    assert_eq!((summary.length, summary.accepted_count), (2.0, 4));
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 3, 0.25 + 0.75 - 1.0)]);
    // Without a limit, the leg counts for the length, and no time counts for it.
    let summary = measured(Options { stopped_speed: Some(0.5), ..planar() }, &fixes);
    assert_eq!((summary.length, summary.moving_ns), (2.0, Some(2_000_000_000)));
}

#[test]
fn a_backward_time_is_rejected_only_if_requested() {
    let fixes = [at(0, 0.0), at(10, 10.0), at(4, 11.0), at(11, 12.0)];
    let rejecting = Options { reject_backward_time: true, ..planar() };
    let summary = measured(rejecting, &fixes);
    assert_eq!(rejections(&summary), [(RejectionReason::BackwardTime, 1, 2, 1.0 + 1.0 - 2.0)]);
    // The leg of 2 m in 1 s is shorter than a run.
    assert_eq!((summary.length, summary.max_speed), (12.0, Some(1.0)));

    let summary = measured(speed_limit(), &fixes);
    // The speed to an earlier time is infinite.
    assert_eq!(rejections(&summary), [(RejectionReason::Speed, 1, 2, 0.0)]);
    assert_eq!(summary.length, 12.0);
    assert_eq!((summary.moving_ns, summary.elapsed_ns), (None, Some(11_000_000_000)));

    // The clock was set back: three consistent fixes are accepted, and the only one before is not.
    let set_back = [at(100, 0.0), at(1, 1.0), at(2, 2.0), at(3, 3.0), at(4, 4.0)];
    let summary = measured(rejecting, &set_back);
    assert_eq!((summary.length, summary.segment_count), (3.0, 1));
    assert_eq!(rejections(&summary), [(RejectionReason::BackwardTime, 1, 0, 1.0)]);
}

#[test]
fn no_leg_crosses_a_gap() {
    let fixes = [at(0, 0.0), at(1, 1.0), at(61, 1501.0), at(62, 1502.0)];
    for options in [
        Options { max_gap_time_ns: Some(30_000_000_000), ..planar() },
        Options { max_gap: Some(100.0), ..planar() },
    ] {
        let options = Options { stopped_speed: Some(0.5), ..options };
        let summary = measured(options, &fixes);
        assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (2.0, 2, 4));
        assert_eq!((summary.raw_length, summary.rejections.len()), (1502.0, 0));
        assert_eq!(summary.gap_length, 1500.0);
        assert_eq!(summary.elapsed_ns, Some(62_000_000_000));
        assert_eq!(summary.moving_ns, Some(2_000_000_000));
    }
    // A value equal to the limit is not a gap.
    let equal =
        Options { max_gap_time_ns: Some(60_000_000_000), max_gap: Some(1500.0), ..planar() };
    assert_eq!(measured(equal, &fixes).segment_count, 1);
}

#[test]
fn a_leg_with_a_missing_elevation_is_flat_and_zero_is_an_elevation() {
    let z = |x: f64, z: f64| fix(x, 0.0).with_z(z).unwrap();
    let options = Options { elevation: Elevation::ThreeDimensional, ..planar() };
    let summary = measured(options, &[z(0.0, 10.0), fix(3.0, 0.0), z(6.0, 4.0), z(9.0, 0.0)]);
    assert_eq!((summary.length, summary.length_3d), (9.0, Some(3.0 + 3.0 + 5.0)));
    assert_eq!((summary.raw_ascent, summary.raw_descent), (Some(0.0), Some(4.0)));
    // A climb has no need of legs.
    assert_eq!((summary.ascent, summary.descent), (Some(0.0), Some(10.0)));
    let flat = measured(options, &[fix(0.0, 0.0), fix(3.0, 0.0)]);
    assert_eq!((flat.length_3d, flat.ascent, flat.raw_descent), (Some(3.0), None, None));
    assert_eq!(measured(planar(), &[z(0.0, 0.0), z(3.0, 4.0)]).length_3d, None);
}

#[test]
fn a_break_has_no_leg_no_ascent_and_no_speed() {
    let rise = [at(0, 0.0), at(1, 5.0).starting_segment()];
    let rise = [rise[0].with_z(0.0).unwrap(), rise[1].with_z(9.0).unwrap()];
    let summary = measured(planar(), &rise);
    assert_eq!((summary.length, summary.raw_length, summary.segment_count), (0.0, 0.0, 2));
    assert_eq!((summary.ascent, summary.max_speed), (None, None));
    assert_eq!(summary.elapsed_ns, Some(1_000_000_000));
    // If an inaccurate fix is marked as the start of a segment, the next fix starts the segment.
    let options = Options { max_accuracy_m: Some(20.0), ..planar() };
    let inaccurate = at(1, 5.0).with_accuracy_m(50.0).unwrap().starting_segment();
    let summary = measured(options, &[at(0, 0.0), inaccurate, at(2, 6.0), at(3, 8.0)]);
    assert_eq!((summary.length, summary.segment_count, summary.raw_length), (2.0, 2, 3.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Accuracy, 1, 1, 1.0)]);
}

#[test]
fn a_walk_across_the_antimeridian_is_not_a_jump() {
    let options =
        Options { max_speed: Some(2.0), max_gap: Some(5.0), ..Options::new(Metric::Geodesic) };
    let mut block = FixBlock::new(Metric::Geodesic);
    // 20 E7 units are 0.22 m on the equator. Whole turns do not change a longitude.
    let x = [1_799_999_990, 1_800_000_010, -1_799_999_970 + 3_600_000_000 * 7];
    block.extend_scaled(&x, &[0; 3], 1e-7).unwrap();
    block.set_times_ms(0, &[0, 1000, 2000]).unwrap();
    let mut path = PathAccumulator::new(options);
    path.fold(&mut block).unwrap();
    let summary = path.summary();
    assert_eq!((summary.accepted_count, summary.segment_count), (3, 1));
    // 40e-7 degrees on the equator: a * pi / 180 * 4e-6.
    assert!((summary.length - 6_378_137.0 * std::f64::consts::PI / 180.0 * 4e-6).abs() < 1e-8);
}

#[test]
fn nan_is_refused_everywhere() {
    let fix = fix(0.0, 0.0);
    assert!(fix.with_z(f64::NAN).is_err() && fix.with_accuracy_m(f64::NAN).is_err());
    let mut block = FixBlock::new(Metric::Planar);
    assert!(block.push_xy(f64::NAN, 0.0).is_err());
    assert!(block.extend_scaled(&[1], &[1], f64::NAN).is_err());
    assert!(block.is_empty());
}

#[test]
fn an_invalid_value_in_a_column_is_reported_with_its_index_and_sets_nothing() {
    let mut block = FixBlock::new(Metric::Planar);
    let error = block.extend_scaled(&[1, 2, i64::MAX], &[0; 3], 0.5).unwrap_err();
    assert_eq!((error.index(), block.len()), (2, 2));
    let error = block.set_times_ms(0, &[0, i64::MAX / 1_000_000 + 1]).unwrap_err();
    insta::assert_snapshot!(error, @"time 9223372036 s since 1970 is not in the years 1678 to 2261");
    assert_eq!(block.set_times_ms(0, &[i64::MIN]).unwrap_err().index(), 0);
    let error = block.set_z_scaled(0, &[0, 1 << 41], 1.0).unwrap_err();
    insta::assert_snapshot!(error, @"z 2199023255552 is not a number between -2^40 and 2^40");
    assert!(block.is_without_times_and_z());
    let mut path = PathAccumulator::new(planar());
    path.fold(&mut block).unwrap();
    assert_eq!((path.summary().length, path.summary().elapsed_ns), (0.5, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn columns_and_rows_of_the_same_fixes_are_bit_identical(
        rows in prop::collection::vec(
            (-5000..5000_i64, -5000..5000_i64, -90_000..90_000_i64, 0..90_000_i64, 0..40_000_u32,
             prop::bool::weighted(0.1)),
            1..600,
        ),
        batch in 1_usize..300,
        with in any::<[bool; 3]>(),
    ) {
        let options = Options {
            elevation: Elevation::ThreeDimensional,
            max_accuracy_m: Some(30.0),
            max_speed: Some(0.4),
            ..Options::new(Metric::Haversine)
        };
        let mut by_rows = PathAccumulator::new(options);
        let mut by_columns = PathAccumulator::new(options);
        for &(x, y, z, ms, mm, starts) in &rows {
            // The decimal numbers as a client would write them.
            let decimal = |text: String| text.parse::<f64>().unwrap();
            let (x, y) = (decimal(format!("{x}e-7")), decimal(format!("{y}e-7")));
            let mut fix = Fix::new(Point::geographic(y, x).unwrap());
            if with[0] {
                fix = fix.with_z(decimal(format!("{z}e-3"))).unwrap();
            }
            if with[1] {
                fix = fix.at_unix_ns(ms * 1_000_000).unwrap();
            }
            if with[2] {
                fix = fix.with_accuracy_m(decimal(format!("{mm}e-3"))).unwrap();
            }
            by_rows.extend(&[if starts { fix.starting_segment() } else { fix }]).unwrap();
        }
        // Like a decoder that receives a batch in parts.
        let mut block = FixBlock::new(options.metric);
        for rows in rows.chunks(batch) {
            for rows in rows.chunks(100) {
                if block.remaining_capacity() < rows.len() {
                    by_columns.fold(&mut block).unwrap();
                }
                let from = block.len();
                let x: Vec<_> = rows.iter().map(|row| row.0).collect();
                let y: Vec<_> = rows.iter().map(|row| row.1).collect();
                let z: Vec<_> = rows.iter().map(|row| row.2).collect();
                let ms: Vec<_> = rows.iter().map(|row| row.3).collect();
                let mm: Vec<_> = rows.iter().map(|row| row.4).collect();
                block.extend_scaled(&x, &y, options.xy_resolution).unwrap();
                if with[0] {
                    block.set_z_scaled(from, &z, options.z_resolution).unwrap();
                }
                if with[1] {
                    block.set_times_ms(from, &ms).unwrap();
                }
                if with[2] {
                    block.set_accuracy_mm(from, &mm);
                }
                for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.5) {
                    block.start_segment_at(from + index);
                }
            }
        }
        by_columns.fold(&mut block).unwrap();
        prop_assert_eq!(by_columns, by_rows);
    }
}

#[test]
fn a_point_without_a_position_is_an_error_by_default() {
    let mut path = PathAccumulator::new(planar());
    path.extend(&walk(&[0.0, 1.0])).unwrap();
    let before = path.clone();
    let mut block = FixBlock::new(Metric::Planar);
    block.push(at(2, 2.0)).unwrap();
    block.push(Fix::without_position()).unwrap();
    assert_eq!(path.fold(&mut block), Err(PathError::InvalidPoint));
    assert_eq!((path, block.len()), (before, 2));
}

#[test]
fn points_without_a_position_are_counted_and_skipped_or_end_the_segment() {
    let none = Fix::without_position();
    let fixes = [at(0, 0.0), none, none, at(1, 3.0), at(2, 103.0), at(3, 7.0), none];
    let options = Options { invalid_points: InvalidPoints::Skip, ..speed_limit() };
    let skipped = measured(options, &fixes);
    assert_eq!((skipped.point_count, skipped.accepted_count, skipped.segment_count), (7, 3, 1));
    // The raw legs are 3, 100 and 96. The speed limit rejects the fix at 103, whose offset is 4.
    assert_eq!((skipped.length, skipped.raw_length), (7.0, 199.0));
    let by_speed = (RejectionReason::Speed, 1, 4, 100.0 + 96.0 - 4.0);
    let by_position = (RejectionReason::InvalidPosition, 3, 1, 0.0);
    assert_eq!(rejections(&skipped), [by_speed, by_position]);

    let options = Options { invalid_points: InvalidPoints::Split, ..options };
    let split = measured(options, &fixes);
    assert_eq!((split.length, split.raw_length, split.segment_count), (4.0, 196.0, 2));
    assert_eq!(rejections(&split), [by_speed, by_position]);
    // The last fix has ended the segment, too.
    let longer = measured(options, &[&fixes[..], &[at(4, 8.0)]].concat());
    assert_eq!((longer.length, longer.segment_count), (4.0, 3));
}

#[test]
fn a_segment_start_without_a_position_moves_to_the_next_fix() {
    let fixes = [at(0, 0.0), Fix::without_position().starting_segment(), at(1, 3.0), at(2, 5.0)];
    let options = Options { invalid_points: InvalidPoints::Skip, ..planar() };
    let summary = measured(options, &fixes);
    assert_eq!((summary.length, summary.raw_length, summary.segment_count), (2.0, 2.0, 2));
}

#[test]
fn a_path_that_begins_with_points_without_a_position_is_merged_like_a_whole_path() {
    let options = Options { invalid_points: InvalidPoints::Split, ..planar() };
    let path = |fixes: &[Fix]| {
        let mut path = PathAccumulator::new(options);
        path.extend(fixes).unwrap();
        path
    };
    let none = Fix::without_position();
    let mut first = path(&[fix(0.0, 0.0), fix(1.0, 0.0)]);
    first.merge(&path(&[none, fix(4.0, 0.0), none])).unwrap();
    first.merge(&path(&[none])).unwrap();
    let whole = [fix(0.0, 0.0), fix(1.0, 0.0), none, fix(4.0, 0.0), none, none];
    assert_eq!(first, path(&whole));
    assert_eq!(rejections(&first.summary()), [(RejectionReason::InvalidPosition, 3, 2, 0.0)]);
}

#[test]
fn a_block_that_is_cut_keeps_its_fixes_without_a_position() {
    let options = Options { invalid_points: InvalidPoints::Skip, ..planar() };
    let mut block = FixBlock::new(Metric::Planar);
    for fix in [at(0, 0.0), Fix::without_position().starting_segment(), at(1, 3.0), at(2, 9.0)] {
        block.push(fix).unwrap();
    }
    block.push(Fix::without_position()).unwrap();
    block.truncate(3);
    assert_eq!((block.len(), block.remaining_capacity()), (3, FixBlock::CAPACITY - 3));
    // The index of an attribute counts all fixes.
    block.push(fix(4.0, 0.0)).unwrap();
    block.set_unix_ns_at(3, at(3, 0.0).unix_ns().unwrap()).unwrap();
    block.set_z_scaled(2, &[5, 6], 1.0).unwrap();
    let mut path = PathAccumulator::new(options);
    path.fold(&mut block).unwrap();
    let summary = path.summary();
    assert_eq!((summary.length, summary.segment_count, summary.point_count), (1.0, 2, 4));
    assert_eq!((summary.elapsed_ns, summary.raw_ascent), (Some(3_000_000_000), Some(1.0)));
    assert!(block.is_empty());
}

#[test]
fn a_long_time_between_fixes_is_a_gap_in_both_directions_of_time() {
    let options = Options { max_gap_time_ns: Some(5_000_000_000), ..planar() };
    for seconds in [[0, 5, 11], [11, 6, 0]] {
        let fixes = [0, 1, 2].map(|i| at(seconds[i], i as f64));
        let summary = measured(options, &fixes);
        assert_eq!((summary.length, summary.segment_count), (1.0, 2));
    }
}

#[test]
fn the_moving_time_of_times_back_and_forth_is_at_most_the_elapsed_time() {
    let fixes = [(0, 0.0), (10, 1.0), (0, 2.0), (10, 3.0)].map(|(second, x)| at(second, x));
    let summary = measured(Options { stopped_speed: Some(0.1), ..planar() }, &fixes);
    assert_eq!(
        (summary.elapsed_ns, summary.moving_ns),
        (Some(10_000_000_000), Some(10_000_000_000))
    );
    assert_eq!(summary.max_speed, Some(0.1));
}
