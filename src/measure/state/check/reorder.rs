//! The checks of the buffer that puts fixes in order.

use std::cmp::Ordering;

use super::{Part, is_time};
use crate::measure::fix::checked_accuracy;
use crate::measure::options::Options;
use crate::measure::reorder::Key;
use crate::measure::state::{
    BufferedFixState, ReorderState, SkippedFixesState, State, StateError, StatsState,
};
use crate::measure::sum::ExactSum;

pub(super) fn check(state: &State) -> Result<(), StateError> {
    let part = Part("fixes that wait");
    let (options, buffer, point_count) =
        (&state.options, state.reorder.as_ref(), state.point_count());
    part.require(buffer.is_some() == options.reorder.is_some(), "the options differ")?;
    let (Some(buffer), Some(limits)) = (buffer, options.reorder) else { return Ok(()) };
    check_duplicates(part, state, buffer)?;
    let ReorderState { waiting, left_unix_ns, left_at, sent_unix_ns, .. } = buffer;
    let StatsState { climb, length_3d, .. } = state.stats;
    let [ascent, descent] = climb.unwrap_or_default();
    let mut sums = [state.raw.length, ascent, descent, length_3d].into_iter();
    part.require(sums.all(ExactSum::has_reserve), "a length is out of range")?;
    part.require(waiting.len() <= limits.count as usize, "there are more than the limit")?;
    for fix in waiting {
        check_fix(part, options, point_count, fix)?;
    }
    let is_sorted = waiting.windows(2).all(|pair| {
        let [first, second] = [&pair[0], &pair[1]];
        let order = key(options, first).cmp(key(options, second));
        // Without times, or if duplicates are not dropped, fixes with equal keys are in the order of their offsets.
        let is_equal = order == Ordering::Equal && key(options, first).at.is_none();
        order == Ordering::Less || is_equal && first.offset < second.offset
    });
    part.require(is_sorted, "they are not in order")?;
    let (Some(first), Some(last)) = (waiting.first(), waiting.last()) else {
        let is_valid = left_unix_ns.is_none() && left_at.is_none() && sent_unix_ns.is_none();
        return part.require(is_valid, "there is a time, but no fix");
    };
    let waits_ns = last.key_unix_ns.abs_diff(first.key_unix_ns);
    let is_in_time = limits.time_ns.is_none_or(|limit| waits_ns <= limit);
    part.require(is_in_time, "one of them waits longer than the limit")?;
    if let Some(at) = *left_at {
        part.require(
            options.drop_duplicates && left_unix_ns.is_some(),
            "a position is not needed",
        )?;
        part.place(options.metric.space(), at)?;
    }
    let is_left = left_unix_ns.is_none_or(|unix_ns| {
        let left = Key { unix_ns, at: left_at.map(Into::into) };
        let order = left.cmp(key(options, first));
        is_time(unix_ns)
            && (order == Ordering::Less || order == Ordering::Equal && left.at.is_none())
    });
    part.require(is_left, "a later one has left")?;
    let is_sent = sent_unix_ns.is_some_and(|ns| is_time(ns) && ns <= last.key_unix_ns);
    part.require(is_sent, "the time of the last fix is not possible")
}

/// Returns the place of a fix that waits in their order.
fn key(options: &Options, fix: &BufferedFixState) -> Key {
    let has_place = options.drop_duplicates && fix.attributes.unix_ns.is_some();
    Key { unix_ns: fix.key_unix_ns, at: has_place.then_some(fix.at.into()) }
}

fn check_duplicates(part: Part, state: &State, buffer: &ReorderState) -> Result<(), StateError> {
    let SkippedFixesState { count, first_offset } = buffer.duplicates;
    let measured = [count, state.invalid_points.count, buffer.waiting.len() as u64];
    let sum = measured.iter().try_fold(state.raw.point_count, |sum, &count| sum.checked_add(count));
    let Some(point_count) = sum else { return part.require(false, "the counts are not possible") };
    if count == 0 {
        return part.require(first_offset == 0, "there is an offset, but no duplicate");
    }
    part.require(state.options.drop_duplicates, "duplicates are not dropped")?;
    // A duplicate follows the fix that it repeats.
    let is_valid = first_offset > 0 && first_offset <= point_count - count;
    part.require(is_valid, "the duplicates are not possible")
}

fn check_fix(
    part: Part,
    options: &Options,
    point_count: u64,
    fix: &BufferedFixState,
) -> Result<(), StateError> {
    let BufferedFixState { at, key_unix_ns, attributes, accuracy_m, offset } = *fix;
    part.place(options.metric.space(), at)?;
    part.attributes(attributes)?;
    let has_key = attributes.unix_ns.is_none_or(|unix_ns| unix_ns == key_unix_ns);
    part.require(has_key && is_time(key_unix_ns), "a time is out of range")?;
    if let Some(accuracy_m) = accuracy_m {
        let is_valid = checked_accuracy(accuracy_m).is_ok() && accuracy_m.is_sign_positive();
        part.require(is_valid, "an accuracy is out of range")?;
    }
    part.require(offset < point_count, "an offset is out of range")
}

#[cfg(test)]
mod tests {
    use crate::measure::state::{ReorderState, SkippedFixesState, State};
    use crate::measure::{Fix, Metric, Options, PathAccumulator, Point, Reorder};

    /// Returns the state of a path in which one fix has left and three wait. One of them has no time.
    fn buffered() -> State {
        let reorder = Some(Reorder { count: 3, time_ns: Some(100) });
        let mut path = PathAccumulator::new(Options { reorder, ..Options::new(Metric::Planar) });
        for (x, unix_ns) in [(1.0, Some(10)), (2.0, Some(30)), (3.0, None), (4.0, Some(20))] {
            let fix = Fix::new(Point::planar(x, 5.0).unwrap());
            let fix = fix.with_z(x).unwrap().with_accuracy_m(x).unwrap();
            path.extend(&[unix_ns.map_or(fix, |ns| fix.at_unix_ns(ns).unwrap())]).unwrap();
        }
        path.state()
    }

    fn buffer(state: &mut State) -> &mut ReorderState {
        state.reorder.as_mut().unwrap()
    }

    #[test]
    fn a_buffer_that_no_path_has_is_refused() {
        let state = buffered();
        let waiting = &state.reorder.as_ref().unwrap().waiting;
        let offsets: Vec<_> = waiting.iter().map(|fix| fix.offset).collect();
        assert_eq!((offsets, state.raw.point_count), (vec![3, 1, 2], 1));
        let path = PathAccumulator::try_from(state.clone()).unwrap();
        assert_eq!((path.state(), path.point_count()), (state, 4));

        let changes: [fn(&mut State); 30] = [
            |state| state.reorder = None,
            |state| state.options.reorder = None,
            |state| state.options.reorder = Some(Reorder { count: 2, time_ns: None }),
            |state| state.options.reorder = Some(Reorder { count: 3, time_ns: Some(9) }),
            |state| buffer(state).waiting.clear(),
            |state| buffer(state).waiting.swap(0, 1),
            |state| buffer(state).waiting.swap(1, 2),
            |state| buffer(state).waiting[0].offset = 4,
            |state| buffer(state).waiting[0].offset = u64::MAX,
            |state| buffer(state).waiting[2].offset = 1,
            |state| buffer(state).waiting[0].at[0] = f64::NAN,
            |state| buffer(state).waiting[0].at[1] = f64::INFINITY,
            |state| buffer(state).waiting[0].at[1] = -0.0,
            |state| buffer(state).waiting[0].attributes.z = Some(f64::NAN),
            |state| buffer(state).waiting[0].attributes.z = Some(-0.0),
            |state| buffer(state).waiting[0].attributes.unix_ns = Some(21),
            |state| buffer(state).waiting[0].key_unix_ns = 21,
            |state| buffer(state).waiting[2].key_unix_ns = i64::MAX,
            |state| buffer(state).waiting[0].accuracy_m = Some(f64::NAN),
            |state| buffer(state).waiting[0].accuracy_m = Some(-1.0),
            |state| buffer(state).waiting[0].accuracy_m = Some(-0.0),
            |state| buffer(state).waiting[0].accuracy_m = Some(f64::INFINITY),
            |state| buffer(state).left_unix_ns = Some(21),
            |state| buffer(state).left_unix_ns = Some(i64::MIN),
            |state| buffer(state).sent_unix_ns = None,
            |state| buffer(state).sent_unix_ns = Some(31),
            |state| buffer(state).sent_unix_ns = Some(i64::MIN),
            |state| *buffer(state) = ReorderState { left_unix_ns: Some(1), ..Default::default() },
            |state| *buffer(state) = ReorderState { sent_unix_ns: Some(1), ..Default::default() },
            |state| state.raw.point_count = u64::MAX,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut state = buffered();
            change(&mut state);
            assert!(PathAccumulator::try_from(state).is_err(), "change {index}");
        }
    }

    /// Returns the state of a path that drops duplicates. The fix at x = 2 has left, and two duplicates were dropped.
    fn deduplicated() -> State {
        let options = Options::builder(Metric::Planar)
            .reorder(Reorder { count: 2, time_ns: None })
            .drop_duplicates(true);
        let mut path = PathAccumulator::new(options.build().unwrap());
        for x in [2.0, 4.0, 2.0, 3.0, 3.0] {
            let fix = Fix::new(Point::planar(x, 5.0).unwrap());
            path.extend(&[fix.at_unix_ns(10).unwrap()]).unwrap();
        }
        path.state()
    }

    #[test]
    fn duplicates_that_no_path_has_are_refused() {
        let state = deduplicated();
        let SkippedFixesState { count, first_offset } = state.reorder.as_ref().unwrap().duplicates;
        assert_eq!((count, first_offset, state.point_count()), (2, 2, 5));
        assert_eq!(state.reorder.as_ref().unwrap().left_at, Some([2.0, 5.0]));
        assert_eq!(PathAccumulator::try_from(state.clone()).unwrap().state(), state);

        let changes: [fn(&mut State); 13] = [
            |state| state.options.drop_duplicates = false,
            |state| (state.options.reorder, state.reorder) = (None, None),
            |state| buffer(state).duplicates.count = 0,
            |state| buffer(state).duplicates.count = u64::MAX,
            |state| buffer(state).duplicates.first_offset = 0,
            |state| buffer(state).duplicates.first_offset = 4,
            |state| buffer(state).left_at = Some([3.0, 5.0]),
            |state| buffer(state).left_at = Some([f64::NAN, 5.0]),
            |state| buffer(state).left_at = None,
            |state| buffer(state).left_unix_ns = None,
            |state| buffer(state).waiting.swap(0, 1),
            |state| buffer(state).waiting[0].at = [4.0, 5.0],
            |state| buffer(state).waiting.clear(),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut state = deduplicated();
            change(&mut state);
            assert!(PathAccumulator::try_from(state).is_err(), "change {index}");
        }
    }
}
