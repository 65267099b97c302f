//! Tests of paths that drop duplicates.

use super::cases::{measured, rejections};
use super::ordered::{S, at};
use super::*;
use crate::measure::{ExplicitOptions, Preset};

fn dropping(count: u32) -> Options {
    Options {
        reorder: Some(Reorder { count, time_ns: None }),
        drop_duplicates: true,
        ..Options::new(Metric::Planar)
    }
}

#[test]
fn a_fix_that_waits_is_not_added_again() {
    let fixes = [at(0, 0.0), at(2, 5.0), at(1, 3.0), at(2, 5.0), at(0, 0.0), at(2, 5.0)];
    let summary = measured(dropping(9), &fixes);
    assert_eq!((summary.length, summary.raw_length), (5.0, 5.0));
    assert_eq!((summary.point_count, summary.accepted_count), (6, 3));
    assert_eq!(rejections(&summary), [(RejectionReason::Duplicate, 3, 3, 0.0)]);
    // Without the option, the fixes at one time are two.
    let without = measured(Options { drop_duplicates: false, ..dropping(9) }, &fixes);
    assert_eq!((without.length, without.accepted_count), (5.0, 6));
}

#[test]
fn a_fix_with_another_time_or_position_is_no_duplicate() {
    let fixes = [at(0, 0.0), at(1, 0.0), at(1, 1.0), at(2, 1.0)];
    let summary = measured(dropping(9), &fixes);
    assert_eq!((summary.accepted_count, summary.length), (4, 1.0));
    // Without times, two fixes at one place are two.
    let still = Fix::new(Point::planar(1.0, 0.0).unwrap());
    assert_eq!(measured(dropping(9), &[still, at(0, 1.0), still, still]).accepted_count, 4);
    // The elevation and the accuracy of a duplicate have no effect.
    let other = at(1, 1.0).with_z(9.0).unwrap().with_accuracy_m(3.0).unwrap();
    let summary = measured(dropping(9), &[fixes[2], other]);
    assert_eq!(rejections(&summary), [(RejectionReason::Duplicate, 1, 1, 0.0)]);
}

#[test]
fn a_repetition_of_a_fix_that_has_left_is_a_duplicate_or_late() {
    // The fixes at 0 s and at 1 s have left. The last of them is still known.
    let fixes = [at(0, 0.0), at(1, 1.0), at(2, 2.0), at(1, 1.0), at(0, 0.0), at(3, 3.0)];
    let summary = measured(dropping(1), &fixes);
    assert_eq!((summary.length, summary.accepted_count), (3.0, 4));
    // The late fix is between those at 1 s and at 2 s: 1 m back and 2 m forth instead of 1 m.
    let late = (RejectionReason::Late, 1, 4, 2.0);
    assert_eq!(rejections(&summary), [late, (RejectionReason::Duplicate, 1, 3, 0.0)]);
    assert_eq!(summary.raw_length, 5.0);
}

#[test]
fn fixes_with_one_time_are_in_the_order_of_their_positions() {
    let ways = [[1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0], [3.0, 2.0, 1.0]];
    for way in ways {
        let fixes = [at(0, 0.0), at(1, way[0]), at(1, way[1]), at(1, way[2]), at(2, 4.0)];
        assert_eq!(measured(dropping(9), &fixes).length, 4.0);
    }
    // The fix at 1 s and x = 2 has left. One at the same time and a smaller x precedes it.
    let fixes = [at(1, 2.0), at(1, 3.0), at(1, 1.0), at(2, 4.0)];
    let summary = measured(dropping(1), &fixes);
    assert_eq!((summary.length, summary.accepted_count), (2.0, 3));
    assert_eq!(rejections(&summary), [(RejectionReason::Late, 1, 2, 1.0 + 2.0 - 1.0)]);
}

#[test]
fn the_start_of_a_segment_forgets_the_fixes_before_it() {
    let fixes = [at(0, 0.0), at(1, 1.0), at(0, 0.0).starting_segment(), at(1, 1.0), at(1, 1.0)];
    let summary = measured(dropping(9), &fixes);
    assert_eq!((summary.length, summary.segment_count, summary.accepted_count), (2.0, 2, 4));
    assert_eq!(rejections(&summary), [(RejectionReason::Duplicate, 1, 4, 0.0)]);
}

/// A split is checked against the number of measured fixes, which is less than the offset after duplicates.
#[test]
fn a_path_with_duplicates_before_an_invalid_position_is_restored() {
    let options = Options { invalid_points: InvalidPoints::Split, ..dropping(4) };
    for before in 1..4 {
        for after in 0..4 {
            let mut path = PathAccumulator::new(options);
            path.extend(&vec![at(0, 0.0); before]).unwrap();
            path.extend(&[Fix::without_position()]).unwrap();
            for second in 1..=after {
                path.extend(&[at(second, 1.0)]).unwrap();
                assert_eq!(stored(&path), path);
            }
        }
    }
}

/// Returns fixes with distinct times or positions in the order that the contract defines. Many have equal times.
fn distinct() -> impl Strategy<Value = Vec<Fix>> {
    let fix = (0..60_i64, -30..30_i32, -30..30_i32, any::<Option<i8>>(), 0..300_u32);
    prop::collection::vec(fix, 1..60).prop_map(|mut fixes| {
        fixes.sort_unstable();
        fixes.dedup_by_key(|&mut (second, x, y, ..)| (second, x, y));
        let fix = |(second, x, y, z, accuracy): (i64, i32, i32, Option<i8>, u32)| {
            let degrees = |units: i32| f64::from(units) * 1e-5;
            let fix = Fix::new(Point::geographic(46.0 + degrees(y), degrees(x)).unwrap());
            let fix = fix.at_unix_ns(second * 3 * S).unwrap();
            let fix = fix.with_accuracy_m(accuracy.into()).unwrap();
            z.map_or(fix, |z| fix.with_z(z.into()).unwrap())
        };
        fixes.into_iter().map(fix).collect()
    })
}

/// Returns the summary without the offsets, which depend on the order in which fixes are sent.
fn without_offsets(mut summary: PathSummary) -> PathSummary {
    summary.rejections.iter_mut().for_each(|rejection| rejection.first_offset = 0);
    summary
}

/// Returns the results that a repetition must not change. Late fixes are part of the raw length.
fn totals(summary: PathSummary) -> PathSummary {
    PathSummary { point_count: 0, raw_length: 0.0, rejections: vec![], ..summary }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shuffling_within_the_window_and_repetitions_give_the_same_bits(
        fixes in distinct(),
        count in 1..40_u32,
        steps in prop::collection::vec(any::<prop::sample::Index>(), 60),
        repeats in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 0..60),
        is_phone: bool,
    ) {
        let options = Options::new(Metric::Geodesic);
        let options = match is_phone {
            true => Preset::Phone.fill(options, ExplicitOptions::default()),
            false => options,
        };
        let reorder = Some(Reorder { count, time_ns: None });
        let dropping = Options { reorder, drop_duplicates: true, ..options };
        let plain = Options { reorder: None, drop_duplicates: false, ..options };
        let expected = measured(plain, &fixes);

        // At most `count` fixes move in front of one.
        let mut sent: Vec<_> = (0..fixes.len())
            .map(|index| (index + steps[index].index(count as usize + 1), index))
            .collect();
        sent.sort();
        let mut sent: Vec<_> = sent.into_iter().map(|(_, index)| fixes[index]).collect();
        let of_shuffled = measured(dropping, &sent);
        assert_same(&without_offsets(of_shuffled), &without_offsets(expected.clone()));
        for [which, place] in &repeats {
            // After the first time that it is sent.
            let which = which.index(sent.len());
            let place = which + 1 + place.index(sent.len() - which);
            sent.insert(place, sent[which]);
        }
        let mut restored = PathAccumulator::new(dropping);
        for &fix in &sent {
            restored.extend(&[fix]).unwrap();
            restored = stored(&restored);
        }
        let summary = measured(dropping, &sent);
        assert_same(&restored.summary(), &summary);
        prop_assert_eq!(summary.point_count, sent.len() as u64);
        let added: u64 = summary.rejections.iter().map(|rejection| rejection.count).sum();
        let rejected: u64 = expected.rejections.iter().map(|rejection| rejection.count).sum();
        prop_assert_eq!(added, rejected + repeats.len() as u64);
        assert_same(&totals(summary), &totals(expected));
    }
}
