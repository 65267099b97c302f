//! The buffer equals a simple sort, and its state restores it.

use proptest::prelude::*;

use super::*;

/// Returns a fix whose offset is its name.
fn fix(offset: u64, unix_ns: Option<i64>) -> BufferedFix {
    BufferedFix {
        at: (offset as f64, 0.0),
        attributes: FixAttributes { z: None, unix_ns },
        accuracy_m: f64::NAN,
        offset,
    }
}

fn limits(count: u32, time_ns: Option<u64>) -> Reorder {
    Reorder { count, time_ns }
}

/// Returns the offsets of the fixes in the order in which they leave, and whether each is late. The offset of a fix
/// is its index.
fn pass(buffer: &mut ReorderBuffer, from: u64, times: &[Option<i64>]) -> Vec<(u64, bool)> {
    let mut out = Vec::new();
    for (offset, &unix_ns) in (from..).zip(times) {
        if let Added::Leaves { is_late } = buffer.add(fix(offset, unix_ns)) {
            out.push((offset, is_late));
        }
        while let Some(fix) = buffer.pop_due() {
            out.push((fix.offset, false));
        }
    }
    out
}

fn end(buffer: &mut ReorderBuffer) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| buffer.pop_at_end()).map(|fix| (fix.offset, false)).collect()
}

fn pass_all(limits: Reorder, times: &[Option<i64>]) -> Vec<(u64, bool)> {
    let mut buffer = ReorderBuffer::new(limits, false);
    let mut out = pass(&mut buffer, 0, times);
    out.extend(end(&mut buffer));
    out
}

fn offsets(out: &[(u64, bool)]) -> Vec<u64> {
    out.iter().map(|&(offset, _)| offset).collect()
}

#[test]
fn a_fix_leaves_when_more_than_the_limit_wait() {
    let times = [3, 1, 2, 9, 8].map(Some);
    let mut buffer = ReorderBuffer::new(limits(2, None), false);
    assert_eq!(offsets(&pass(&mut buffer, 0, &times)), [1, 2, 0]);
    assert_eq!(offsets(&end(&mut buffer)), [4, 3]);
}

#[test]
fn a_fix_leaves_when_it_is_earlier_by_more_than_the_limit() {
    let mut buffer = ReorderBuffer::new(limits(256, Some(10)), false);
    assert_eq!(pass(&mut buffer, 0, &[5, 0, 10].map(Some)), []);
    assert_eq!(pass(&mut buffer, 3, &[Some(11)]), [(1, false)]);
    // The fix at 0 has left: one at 0 waits, and leaves in the same moment, and an earlier one is late.
    assert_eq!(pass(&mut buffer, 4, &[0, -1].map(Some)), [(4, false), (5, true)]);
    assert_eq!(offsets(&end(&mut buffer)), [0, 2, 3]);
}

#[test]
fn a_late_fix_passes_at_once_and_does_not_change_the_order() {
    let out = pass_all(limits(1, None), &[5, 7, 4, 6, 9].map(Some));
    // 5 leaves when 7 comes, 4 is late, 6 waits and leaves in front of 7.
    assert_eq!(out, [(0, false), (2, true), (3, false), (1, false), (4, false)]);
}

#[test]
fn equal_times_keep_their_order() {
    let out = pass_all(limits(8, None), &[2, 1, 2, 1, 2].map(Some));
    assert_eq!(offsets(&out), [1, 3, 0, 2, 4]);
}

#[test]
fn a_fix_without_a_time_follows_the_one_before_it() {
    let out = pass_all(limits(8, None), &[None, Some(5), None, Some(3), None, None, Some(4)]);
    assert_eq!(offsets(&out), [0, 3, 4, 5, 6, 1, 2]);
    // After a late fix it passes at once, and is not late itself.
    let mut buffer = ReorderBuffer::new(limits(1, None), false);
    let out = pass(&mut buffer, 0, &[Some(5), Some(6), Some(1), None, Some(7)]);
    assert_eq!(out, [(0, false), (2, true), (3, false), (1, false)]);
}

#[test]
fn the_end_of_a_segment_forgets_the_times() {
    let mut buffer = ReorderBuffer::new(limits(4, None), false);
    pass(&mut buffer, 0, &[100, 101].map(Some));
    assert_eq!(offsets(&end(&mut buffer)), [0, 1]);
    assert_eq!(buffer, ReorderBuffer::new(limits(4, None), false));
    assert_eq!(pass(&mut buffer, 2, &[Some(1)]), []);
    assert_eq!(end(&mut buffer), [(2, false)]);
}

#[test]
fn the_extreme_times_do_not_overflow() {
    let times = [i64::MAX, i64::MIN, 0, i64::MAX, i64::MIN + 1].map(Some);
    let out = pass_all(limits(8, Some(u64::MAX)), &times);
    assert_eq!(offsets(&out), [1, 4, 2, 0, 3]);
    let out = pass_all(limits(8, Some(1)), &times);
    assert_eq!(out, [(1, false), (2, false), (4, true), (0, false), (3, false)]);
}

/// Generates times that are mostly in order.
fn times() -> impl Strategy<Value = Vec<Option<i64>>> {
    let time = prop_oneof![8 => -20..20_i64, 1 => Just(-1_000), 1 => Just(1_000)];
    let step = prop::option::weighted(0.9, time);
    prop::collection::vec(step, 0..120)
        .prop_map(|steps| (0..).zip(steps).map(|(index, step)| Some(step? + index * 3)).collect())
}

fn any_limits() -> impl Strategy<Value = Reorder> {
    (1..20_u32, prop::option::of(1..60_u64)).prop_map(|(count, time_ns)| limits(count, time_ns))
}

proptest! {
    #[test]
    fn the_fixes_that_are_not_late_are_sorted(times in times(), limits in any_limits()) {
        let out = pass_all(limits, &times);
        // Every fix leaves once.
        let mut all = offsets(&out);
        all.sort_unstable();
        prop_assert_eq!(all, (0..times.len() as u64).collect::<Vec<_>>());
        // A fix is late exactly if one that is later has left before it.
        let mut left = i64::MIN;
        for &(offset, is_late) in &out {
            let Some(time) = times[offset as usize] else {
                prop_assert!(!is_late);
                continue;
            };
            prop_assert_eq!(is_late, time < left);
            left = left.max(time);
        }
    }

    /// A fix can wait for `count` later ones, so that it is in order if at most this many of them are sent before it.
    #[test]
    fn a_fix_that_at_most_count_later_ones_precede_is_not_late(
        times in times(),
        count in 1..20_u32,
    ) {
        // A fix without a time waits with the one before it.
        let keys = times.iter().scan(None, |key, &time| {
            *key = time.or(*key);
            Some(*key)
        });
        let keys: Vec<_> = keys.collect();
        for (offset, is_late) in pass_all(limits(count, None), &times) {
            let preceding = keys[..offset as usize].iter().filter(|&&key| key > keys[offset as usize]);
            prop_assert!(!is_late || preceding.count() > count as usize);
        }
    }

    #[test]
    fn a_restored_buffer_continues_with_the_same_fixes(
        times in times(),
        limits in any_limits(),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(times.len() + 1);
        let mut buffer = ReorderBuffer::new(limits, false);
        let mut out = pass(&mut buffer, 0, &times[..cut]);
        let mut restored = ReorderBuffer::from_checked_state(limits, false, &buffer.state());
        prop_assert_eq!(&restored, &buffer);
        prop_assert_eq!(&restored.clone(), &buffer);
        out.extend(pass(&mut restored, cut as u64, &times[cut..]));
        out.extend(end(&mut restored));
        prop_assert_eq!(out, pass_all(limits, &times));
    }

    #[test]
    fn the_buffer_is_bounded(times in times(), limits in any_limits()) {
        let mut buffer = ReorderBuffer::new(limits, false);
        let capacity = buffer.waiting.capacity();
        for (offset, &time) in (0..).zip(&times) {
            pass(&mut buffer, offset, &[time]);
            prop_assert!(buffer.waiting.len() <= limits.count as usize);
        }
        prop_assert_eq!(buffer.waiting.capacity(), capacity);
    }
}
