//! The checks of the state of a filter. `PathAccumulator::try_from` checks the sums of the ledger in addition.

use super::stats::check_time;
use super::{Part, check_polyline, covers, is_time};
use crate::measure::point::Space;
use crate::measure::rejection_reason::RejectionReason;
use crate::measure::state::{
    CandidateState, FilterState, FixState, PlacesState, RejectionState, SegmentState, State,
    StateError, TentativeState, TimedPlaceState,
};

pub(super) fn check(part: Part, state: &State, filter: &FilterState) -> Result<(), StateError> {
    let State { options, raw, .. } = state;
    let accepted = &filter.accepted;
    check_polyline(Part("accepted fixes"), options, accepted)?;
    let is_broken = accepted.is_broken || accepted.is_broken_before_first;
    part.require(!is_broken, "the accepted fixes have a segment break")?;
    if let (Some(all), Some(some)) = (&raw.places, &accepted.places) {
        let is_inside = accepted_is_inside(all, some, options.metric.space());
        part.require(is_inside, "an accepted fix is outside the bounds of all fixes")?;
    }
    check_rejections(part, state, filter)?;
    check_segment(part, state, filter)?;
    check_candidates(part, state, filter)?;
    let Some(last) = raw.places.map(|places| places.last).filter(|_| !raw.is_broken) else {
        return part.require(raw.places.is_some() || filter.is_empty(), "there are no fixes");
    };
    match (filter.screened, filter.previous()) {
        (Some(_), _) => Ok(()),
        (None, previous) => part.require(previous == Some(last), "it lacks the last fix"),
    }
}

impl FilterState {
    fn is_empty(&self) -> bool {
        self.segment.is_none() && self.screened.is_none()
    }

    /// Returns the position of the last fix that was compared with earlier ones.
    fn previous(&self) -> Option<[f64; 2]> {
        let candidate = self.candidates.last().map(|candidate| candidate.fix.at);
        candidate.or(self.segment.map(|segment| segment.checked))
    }
}

/// Returns whether the accepted fixes can be some of all fixes. On the Earth, the legs of the accepted fixes can leave
/// the box of all fixes, because they are longer.
fn accepted_is_inside(all: &PlacesState, accepted: &PlacesState, space: Space) -> bool {
    let contains = |[min, max]: [f64; 2], [low, high]: [f64; 2]| min <= low && high <= max;
    let is_inside = |[x, y]: [f64; 2]| covers(&all.x, x, space) && contains(all.y, [y, y]);
    let has_box = space == Space::Geographic
        || matches!((all.x[0], accepted.x[0]), (Some(all_x), Some(x)) if contains(all_x, x))
            && contains(all.y, accepted.y);
    has_box && [accepted.first, accepted.last].into_iter().all(is_inside)
}

fn check_rejections(part: Part, state: &State, filter: &FilterState) -> Result<(), StateError> {
    let State { options, raw, .. } = state;
    let point_count = state.point_count();
    let has_rule = |reason| match reason {
        RejectionReason::BackwardTime => options.reject_backward_time,
        RejectionReason::Accuracy => options.max_accuracy_m.is_some(),
        RejectionReason::Speed => options.max_speed.is_some(),
        RejectionReason::Step => options.min_step.is_some(),
        RejectionReason::Late => options.reorder.is_some(),
        RejectionReason::ZeroPosition => options.reject_zero_position,
        // The accumulator and its buffer count them.
        RejectionReason::InvalidPosition | RejectionReason::Duplicate => false,
    };
    let mut fixes = u128::from(filter.accepted.point_count)
        + filter.candidates.len() as u128
        + u128::from(filter.tentative.is_some());
    for (reason, entry) in RejectionReason::ALL.into_iter().zip(&filter.rejections) {
        let RejectionState { count, first_offset, .. } = *entry;
        let is_valid = match count {
            0 => *entry == RejectionState::default(),
            _ => has_rule(reason) && first_offset.saturating_add(count) <= point_count,
        };
        part.require(is_valid, "the rejections of a rule are not possible")?;
        fixes += u128::from(count);
    }
    let has_reserve = filter.rejections.iter().all(|entry| entry.length.has_reserve());
    part.require(has_reserve && filter.gap_length.has_reserve(), "a length is out of range")?;
    let is_complete = fixes == raw.point_count.into();
    part.require(is_complete, "accepted and rejected fixes are not all fixes")?;
    let is_rejected = |reason: RejectionReason| filter.rejections[reason as usize].count > 0;
    let is_valid = filter.screened.is_none_or(is_rejected);
    part.require(is_valid, "the last fix is not a rejected one")
}

fn check_segment(part: Part, state: &State, filter: &FilterState) -> Result<(), StateError> {
    let space = state.options.metric.space();
    let Some(SegmentState { accepted, checked, timed }) = filter.segment else {
        let is_empty = filter.tentative.is_none() && filter.candidates.is_empty();
        return part.require(is_empty, "there are fixes of a segment, but no segment");
    };
    part.place(space, accepted.at)?;
    part.attributes(accepted.attributes)?;
    part.place(space, checked)?;
    if let Some(TimedPlaceState { at, unix_ns }) = timed {
        part.place(space, at)?;
        part.require(is_time(unix_ns), "a time is out of range")?;
    }
    let is_timed = timed.is_some() || accepted.attributes.unix_ns.is_none();
    part.require(is_timed, "the last accepted fix has a time, and no checked fix has one")?;
    let last = filter.accepted.places.map(|places| places.last);
    let Some(TentativeState { offset, before }) = filter.tentative else {
        part.require(last == Some(accepted.at), "the last accepted fix is another one")?;
        return check_time(part, &state.stats, accepted.attributes);
    };
    let point_count = state.point_count();
    let own_time =
        accepted.attributes.unix_ns.map(|unix_ns| TimedPlaceState { at: accepted.at, unix_ns });
    let is_only = checked == accepted.at && timed == own_time && offset < point_count;
    part.require(is_only, "the first fix of the segment is not its only one")?;
    let is_before = before.is_none() || before == last;
    part.require(is_before, "the fix before the segment is not the last accepted one")
}

fn check_candidates(part: Part, state: &State, filter: &FilterState) -> Result<(), StateError> {
    let options = &state.options;
    let point_count = state.point_count();
    let is_short = filter.candidates.len() < options.reanchor_count as usize;
    part.require(is_short, "there are too many candidates")?;
    let mut earliest = i64::MIN;
    for &CandidateState { fix, offset, reason } in &filter.candidates {
        let FixState { at, attributes } = fix;
        part.place(options.metric.space(), at)?;
        part.attributes(attributes)?;
        let has_rule = match reason {
            RejectionReason::BackwardTime => options.reject_backward_time,
            RejectionReason::Speed => options.max_speed.is_some(),
            _ => false,
        };
        let time = attributes.unix_ns.filter(|&unix_ns| unix_ns > earliest);
        let is_valid = has_rule && offset < point_count && time.is_some();
        part.require(is_valid, "a candidate is not possible")?;
        earliest = time.unwrap_or(earliest);
    }
    Ok(())
}
