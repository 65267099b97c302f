//! Tests of paths whose fixes are put in the order of their times, and of the totals of long times.

use super::cases::{measured, rejections};
use super::*;

pub(super) const S: i64 = 1_000_000_000;

pub(super) fn at(second: i64, x: f64) -> Fix {
    Fix::new(Point::planar(x, 0.0).unwrap()).at_unix_ns(second * S).unwrap()
}

fn ordering(count: u32) -> Options {
    Options { reorder: Some(Reorder { count, time_ns: None }), ..Options::new(Metric::Planar) }
}

/// Returns the summary without the offsets, which depend on the order in which fixes are sent.
fn without_offsets(mut summary: PathSummary) -> PathSummary {
    summary.rejections.iter_mut().for_each(|rejection| rejection.first_offset = 0);
    summary
}

#[test]
fn fixes_out_of_order_are_put_in_order() {
    let fixes = [at(0, 0.0), at(2, 2.0), at(1, 1.0), at(4, 4.0), at(3, 3.0)];
    let summary = measured(ordering(2), &fixes);
    assert_eq!((summary.length, summary.raw_length, summary.point_count), (4.0, 4.0, 5));
    assert!(summary.rejections.is_empty());
    let unordered = measured(Options::new(Metric::Planar), &fixes);
    assert_eq!(unordered.length, 2.0 + 1.0 + 3.0 + 1.0);
}

#[test]
fn a_late_fix_is_rejected_with_the_length_that_it_would_have_added() {
    let fixes = [at(0, 0.0), at(1, 1.0), at(2, 2.0), at(3, 3.0), at(1, 7.0), at(4, 4.0)];
    let summary = measured(ordering(1), &fixes);
    // 0, 1 and 2 have left the buffer. The late fix is between the fixes at 2 s and at 3 s.
    assert_eq!((summary.length, summary.raw_length), (4.0, 1.0 + 1.0 + 5.0 + 4.0 + 1.0));
    assert_eq!(rejections(&summary), [(RejectionReason::Late, 1, 4, 5.0 + 4.0 - 1.0)]);
    assert_eq!(summary.bounds.unwrap().max_x, 4.0);
}

#[test]
fn a_late_fix_is_rejected_before_all_other_rules() {
    let options = Options {
        max_speed: Some(1.0),
        reject_backward_time: true,
        max_accuracy_m: Some(1.0),
        ..ordering(1)
    };
    let late = at(0, 900.0).with_accuracy_m(50.0).unwrap();
    let summary = measured(options, &[at(1, 0.0), at(2, 1.0), at(3, 2.0), late, at(4, 3.0)]);
    assert_eq!(rejections(&summary), [(RejectionReason::Late, 1, 3, 899.0 + 898.0 - 1.0)]);
    assert_eq!((summary.length, summary.accepted_count), (3.0, 4));
}

#[test]
fn the_start_of_a_segment_empties_the_buffer() {
    // The clock of the second segment is earlier. The mark applies to the earliest fix of the segment.
    let second = [at(-9, 101.0).starting_segment(), at(-10, 100.0), at(-8, 102.0)];
    let fixes = [&[at(1, 1.0), at(0, 0.0)][..], &second].concat();
    let summary = measured(ordering(256), &fixes);
    assert_eq!((summary.length, summary.segment_count), (1.0 + 2.0, 2));
    assert!(summary.rejections.is_empty());

    let mut path = PathAccumulator::new(ordering(256));
    path.extend(&fixes[..2]).unwrap();
    path.start_segment();
    path.extend(&[at(-9, 101.0)]).unwrap();
    path.extend(&fixes[3..]).unwrap();
    assert_same(&path.summary(), &summary);
}

#[test]
fn a_summary_has_the_fixes_that_wait_and_does_not_change_the_path() {
    let mut path = PathAccumulator::new(ordering(256));
    path.extend(&[at(1, 1.0), at(5, 5.0)]).unwrap();
    let before = path.clone();
    let summary = path.summary();
    assert_eq!((summary.length, summary.accepted_count, summary.point_count), (4.0, 2, 2));
    assert_eq!((path.point_count(), &path), (2, &before));
    path.extend(&[at(3, 3.0), at(0, 0.0)]).unwrap();
    assert_eq!((path.summary().length, path.summary().segment_count), (5.0, 1));
}

#[test]
fn fixes_without_a_position_do_not_wait() {
    let options = Options { invalid_points: InvalidPoints::Skip, ..ordering(8) };
    let none = Fix::without_position().at_unix_ns(-100 * S).unwrap();
    let summary = measured(options, &[at(1, 1.0), none, at(0, 0.0), none, at(2, 2.0)]);
    assert_eq!((summary.length, summary.point_count), (2.0, 5));
    assert_eq!(rejections(&summary), [(RejectionReason::InvalidPosition, 2, 1, 0.0)]);
    // With splitting, each of them starts a segment.
    let options = Options { invalid_points: InvalidPoints::Split, ..options };
    let summary = measured(options, &[at(1, 1.0), at(0, 0.0), none, at(-5, 7.0), at(-6, 5.0)]);
    assert_eq!((summary.length, summary.segment_count), (1.0 + 2.0, 2));
}

#[test]
fn an_error_with_a_buffer_changes_nothing() {
    let mut path = PathAccumulator::new(ordering(3));
    path.extend(&[at(1, 1.0), at(0, 0.0)]).unwrap();
    let before = path.clone();
    let other = Fix::new(Point::geographic(1.0, 1.0).unwrap());
    assert!(path.extend(&[other]).is_err());
    assert_eq!(path.extend(&[Fix::without_position()]), Err(PathError::InvalidPoint));
    assert_eq!(path, before);
    assert_eq!(path.merge(&before), Err(PathError::NotMergeable));
}

#[test]
fn the_times_of_many_paths_add_up_beyond_584_years() {
    let options = Options { stopped_speed: Some(1e-12), ..Options::new(Metric::Planar) };
    let (first, last) = (-9_214_560_000, 9_214_646_399);
    let summary = measured(options, &[at(first, 0.0), at(last, 5.0)]);
    let ns = (last - first) as u128 * S as u128;
    assert_eq!((summary.elapsed_ns, summary.moving_ns), (Some(ns), Some(ns)));
    let mut totals = Totals::new(Metric::Planar);
    for _ in 0..1000 {
        totals.add(&summary).unwrap();
    }
    assert_eq!(totals.summary().moving_ns, Some(1000 * ns));
}

#[test]
fn a_walk_with_one_fix_a_millisecond_has_the_speed_of_its_seconds() {
    // The positions are rounded to 0.1 m, so that single legs have 0 m/s or 100 m/s.
    let ms = |ms: i64| {
        let x = (ms as f64 / 100.0).round() / 10.0;
        Fix::new(Point::planar(x, 0.0).unwrap()).at_unix_ns(ms * 1_000_000).unwrap()
    };
    let fixes: Vec<_> = (0..20_000).map(ms).collect();
    let options = Options { stopped_speed: Some(0.5), ..Options::new(Metric::Planar) };
    let max_speed = measured(options, &fixes).max_speed.unwrap();
    assert!((max_speed - 1.0).abs() < 0.03, "{max_speed}");
}

/// Generates a walk with one fix a second, and the same fixes sent so that at most `count` later ones precede each.
fn walks() -> impl Strategy<Value = (u32, Vec<Fix>, Vec<Fix>)> {
    let fix = (0.0..50.0_f64, prop::option::of(0.0..30.0_f64), any::<prop::sample::Index>());
    (1..40_u32, prop::collection::vec(fix, 0..400)).prop_map(|(count, rows)| {
        let fixes = (0..).zip(&rows).map(|(second, &(x, accuracy, _))| {
            let fix = at(second, x);
            accuracy.map_or(fix, |accuracy| fix.with_accuracy_m(accuracy).unwrap())
        });
        let fixes: Vec<_> = fixes.collect();
        let delay = |row: usize| row + rows[row].2.index(count as usize + 1);
        let mut order: Vec<_> = (0..fixes.len()).collect();
        order.sort_by_key(|&row| delay(row));
        let sent = order.into_iter().map(|row| fixes[row]).collect();
        (count, fixes, sent)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_shuffle_within_the_limit_has_the_bits_of_the_sorted_path(
        (count, fixes, sent) in walks(),
        options in options(Metric::Planar),
        by_time: bool,
    ) {
        let reorder = match by_time {
            false => Reorder { count, time_ns: None },
            true => Reorder { count: Reorder::COUNT_MAX, time_ns: Some(u64::from(count) * S as u64) },
        };
        let options = Options { reorder: Some(reorder), ..options };
        let (sorted, shuffled) = (measured(options, &fixes), measured(options, &sent));
        assert_same(&without_offsets(shuffled), &without_offsets(sorted.clone()));
        // In order, the buffer changes nothing.
        let without = measured(Options { reorder: None, ..options }, &fixes);
        assert_same(&sorted, &without);
    }
}
