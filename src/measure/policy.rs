//! The filter of a path: decides which fixes are accepted, and counts the rejected fixes by reason.
//!
//! The reference is the last accepted fix of the segment. The rules apply to each fix in this order:
//! 1. Segment start: the first fix of a segment has no reference. Only rule 3 applies to it.
//! 2. Backward time: rejected if the options reject backward time and the fix is earlier than the
//!    reference. An equal time passes. The other rules use the magnitude of the time difference, so that they
//!    give the same results for a path in the reverse order.
//! 3. Accuracy: rejected if the accuracy radius is above the limit. A missing radius passes.
//! 4. Speed: rejected if the speed from the reference to the fix is above the limit. Two different places
//!    at one instant exceed any limit. A missing time passes.
//! 5. Gap: accepted as the start of a segment if the time or the distance from the reference is above its
//!    limit.
//! 6. Step: rejected if the distance from the reference is below the limit.
//! 7. Otherwise accepted: the leg from the reference counts.
//!
//! An accepted fix becomes the reference. A rejected fix does not, so slow motion adds up to a step.
//!
//! The reference itself can be wrong. Therefore the filter counts consecutive fixes that were rejected by
//! rule 2 or 4 and are consistent: each passes rules 2 and 4 relative to the one before. If the count
//! reaches [`Options::reanchor_count`], the last of them is accepted as the start of a segment. A fix that
//! is rejected by rule 3 does not change the count. Every other fix resets it.

use std::cell::Cell;

use super::cost::Cost;
use super::error::PathError;
use super::fix_block::FixBlock;
use super::index_set::IndexSet;
use super::metric::Metric;
use super::options::Options;
use super::point_block::PointBlock;
use super::polyline::Polyline;
use super::state::{FilterState, FixState, RejectionState};
use super::sum::ExactSum;
use super::summary::{Rejection, RejectionReason};
use super::track_stats::{FixAttributes, LegBatch, TimeStep, TrackStats, seconds};

/// The values of a fix that the rules compare with later fixes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ReferenceFix {
    at: (f64, f64),
    attributes: FixAttributes,
}

/// The state of the filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    /// The accepted fixes.
    accepted: Polyline,
    /// The last accepted fix of the segment.
    reference: Option<ReferenceFix>,
    /// The last of the consistent fixes that were rejected for time or speed, and their count.
    candidate: Option<(ReferenceFix, u32)>,
    /// The rejected fixes, indexed by [`RejectionReason`].
    rejections: [RejectionCount; REASONS.len()],
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct RejectionCount {
    count: u64,
    first_offset: u64,
    rejected_length: ExactSum,
}

/// The reasons of the rules of the filter.
const REASONS: [RejectionReason; 4] = [
    RejectionReason::BackwardTime,
    RejectionReason::Accuracy,
    RejectionReason::Speed,
    RejectionReason::Step,
];

/// A block, and its place in the path.
#[derive(Clone, Copy)]
pub(super) struct PlacedBlock<'a> {
    pub(super) block: &'a FixBlock,
    /// The slots of the fixes that start a segment.
    pub(super) starts: &'a IndexSet,
    /// The last position before the block.
    pub(super) before: Option<(f64, f64)>,
    /// The index in the path of the first fix of the block.
    pub(super) offset: u64,
}

/// The decision on a fix.
enum Decision {
    /// Accepted, with the length of the leg from the reference.
    Accepted(f64),
    /// Accepted as the first of a segment.
    StartsSegment,
    Rejected(RejectionReason),
}

impl Filter {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            accepted: Polyline::new(options.metric),
            reference: None,
            candidate: None,
            rejections: [RejectionCount {
                count: 0,
                first_offset: 0,
                rejected_length: ExactSum::ZERO,
            }; REASONS.len()],
        }
    }

    pub(super) fn accepted(&self) -> &Polyline {
        &self.accepted
    }

    pub(super) fn start_segment(&mut self) {
        self.reference = None;
        self.candidate = None;
    }

    /// Applies the rules to the fixes of a block that have a position.
    ///
    /// `legs[i]` is the raw leg to the fix in slot `i`, or 0 if there is none. Returns the cost of the
    /// distances that are not among the raw legs.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The filter and the statistics are then unusable.
    pub(super) fn fold(
        &mut self,
        options: &Options,
        placed: PlacedBlock<'_>,
        legs: &[f64],
        stats: &mut TrackStats,
    ) -> Result<Cost, PathError> {
        let PlacedBlock { block, starts, before, offset } = placed;
        let cost = Cell::new(Cost::default());
        let (x, y) = block.points.columns();
        let mut accepted = Accepted::default();
        let mut leg_batch = LegBatch::new();
        let mut previous = before;
        for (index, ((&x, &y), &raw_leg)) in x.iter().zip(y).zip(legs).enumerate() {
            if starts.contains(index) {
                self.start_segment();
            }
            let fix = ReferenceFix { at: (x, y), attributes: block.attributes_of(index) };
            // A leg depends only on its two ends. If the raw leg has the same ends, its length is reused.
            let distance = |from: ReferenceFix| match previous {
                Some(previous) if previous == from.at => raw_leg,
                _ => {
                    let (distance, of_distance) =
                        options.metric.distance_with_cost(from.at, fix.at);
                    cost.set(cost.get() + of_distance);
                    distance
                }
            };
            let decision = self.decide(options, fix, block.accuracy_m(index), distance);
            match decision {
                Decision::Rejected(reason) => {
                    if reason == RejectionReason::Step {
                        stats.add_checked(fix.attributes);
                    }
                    let offset = || match block.without_position_count() {
                        0 => offset.saturating_add(index as u64),
                        _ => offset.saturating_add(block.index_of_slot(index) as u64),
                    };
                    self.rejections[reason as usize].add(offset, raw_leg)?;
                }
                Decision::Accepted(leg) => {
                    let from = self.reference.map(|reference| (reference.attributes, leg));
                    TrackStats::add_fix(options, fix.attributes, from, &mut leg_batch);
                    self.accept(fix);
                    accepted.push(fix, leg, false);
                }
                Decision::StartsSegment => {
                    TrackStats::add_fix(options, fix.attributes, None, &mut leg_batch);
                    self.accept(fix);
                    accepted.push(fix, 0.0, true);
                }
            }
            previous = Some(fix.at);
        }
        stats.add_batch(options, &leg_batch)?;
        let Accepted { count, starts, x, y, legs } = &accepted;
        let of_bounds =
            self.accepted.add_measured(&x[..*count], &y[..*count], &legs[..*count], starts)?;
        Ok(cost.get() + of_bounds)
    }

    #[inline]
    fn accept(&mut self, fix: ReferenceFix) {
        self.reference = Some(fix);
        self.candidate = None;
    }

    #[inline]
    fn decide(
        &mut self,
        options: &Options,
        fix: ReferenceFix,
        accuracy_m: f64,
        distance: impl Fn(ReferenceFix) -> f64,
    ) -> Decision {
        let time =
            self.reference.and_then(|reference| reference.attributes.time_to(fix.attributes));
        if options.reject_backward_time && time.is_some_and(|time| time.is_backward) {
            return self.reject_or_reanchor(options, fix, RejectionReason::BackwardTime, distance);
        }
        if options.max_accuracy_m.is_some_and(|limit| accuracy_m > limit) {
            return Decision::Rejected(RejectionReason::Accuracy);
        }
        let Some(reference) = self.reference else { return Decision::StartsSegment };
        let leg = distance(reference);
        if is_too_fast(options, leg, time) {
            return self.reject_or_reanchor(options, fix, RejectionReason::Speed, distance);
        }
        let is_late = matches!(
            (options.max_gap_time_ns, time),
            (Some(limit), Some(time)) if time.ns > limit
        );
        if is_late || options.max_gap.is_some_and(|limit| leg > limit) {
            return Decision::StartsSegment;
        }
        if options.min_step.is_some_and(|limit| leg < limit) {
            self.candidate = None;
            return Decision::Rejected(RejectionReason::Step);
        }
        Decision::Accepted(leg)
    }

    /// Rejects a fix for time or speed. If it completes the required number of consistent fixes, it starts a
    /// segment instead.
    #[cold]
    fn reject_or_reanchor(
        &mut self,
        options: &Options,
        fix: ReferenceFix,
        reason: RejectionReason,
        distance: impl Fn(ReferenceFix) -> f64,
    ) -> Decision {
        let consistent = self.candidate.filter(|(candidate, _)| {
            let time = candidate.attributes.time_to(fix.attributes);
            let is_backward =
                options.reject_backward_time && time.is_some_and(|time| time.is_backward);
            !is_backward && !is_too_fast(options, distance(*candidate), time)
        });
        let count = consistent.map_or(1, |(_, count)| count.saturating_add(1));
        if count >= options.reanchor_count {
            return Decision::StartsSegment;
        }
        self.candidate = Some((fix, count));
        Decision::Rejected(reason)
    }

    pub(super) fn rejections(&self) -> Vec<Rejection> {
        let applied =
            REASONS.into_iter().zip(&self.rejections).filter(|(_, entry)| entry.count > 0);
        let rejections = applied.map(|(reason, entry)| Rejection {
            reason,
            count: entry.count,
            first_offset: entry.first_offset,
            rejected_length: entry.rejected_length.to_f64(),
        });
        rejections.collect()
    }
}

/// Returns whether the speed of a leg is above the limit.
#[inline]
fn is_too_fast(options: &Options, leg: f64, time: Option<TimeStep>) -> bool {
    match (options.max_speed, time) {
        // With a duration of 0, every distance above 0 exceeds the limit.
        (Some(limit), Some(time)) => leg > limit * seconds(time.ns),
        _ => false,
    }
}

impl RejectionCount {
    fn add(&mut self, offset: impl Fn() -> u64, raw_leg: f64) -> Result<(), PathError> {
        if self.count == 0 {
            self.first_offset = offset();
        }
        self.count = self.count.saturating_add(1);
        Ok(self.rejected_length.add(raw_leg)?)
    }
}

/// The accepted fixes of a block.
struct Accepted {
    count: usize,
    /// The fixes that start a segment.
    starts: IndexSet,
    x: [f64; PointBlock::CAPACITY],
    y: [f64; PointBlock::CAPACITY],
    /// The leg to each fix, 0 if there is none.
    legs: [f64; PointBlock::CAPACITY],
}

impl Default for Accepted {
    fn default() -> Self {
        let column = [0.0; PointBlock::CAPACITY];
        Self { count: 0, starts: IndexSet::EMPTY, x: column, y: column, legs: column }
    }
}

impl Accepted {
    #[inline]
    fn push(&mut self, fix: ReferenceFix, leg: f64, starts: bool) {
        (self.x[self.count], self.y[self.count]) = fix.at;
        self.legs[self.count] = leg;
        if starts {
            self.starts.insert(self.count);
        }
        self.count += 1;
    }
}

impl Filter {
    pub(super) fn state(&self) -> FilterState {
        FilterState {
            accepted: self.accepted.state(),
            reference: self.reference.map(ReferenceFix::state),
            candidate: self.candidate.map(|(fix, count)| (fix.state(), count)),
            rejections: self.rejections.map(RejectionCount::state),
        }
    }

    /// Restores a filter from a state that was checked.
    pub(super) fn from_checked_state(metric: Metric, state: &FilterState) -> Self {
        Self {
            accepted: Polyline::from_checked_state(metric, &state.accepted),
            reference: state.reference.map(ReferenceFix::from_checked_state),
            candidate: state
                .candidate
                .map(|(fix, count)| (ReferenceFix::from_checked_state(fix), count)),
            rejections: state.rejections.map(RejectionCount::from_checked_state),
        }
    }
}

impl ReferenceFix {
    fn state(self) -> FixState {
        FixState { at: self.at.into(), attributes: self.attributes.state() }
    }

    fn from_checked_state(state: FixState) -> Self {
        let attributes = FixAttributes::from_checked_state(state.attributes);
        Self { at: state.at.into(), attributes }
    }
}

impl RejectionCount {
    fn state(self) -> RejectionState {
        let Self { count, first_offset, rejected_length } = self;
        RejectionState { count, first_offset, length: rejected_length }
    }

    fn from_checked_state(state: RejectionState) -> Self {
        let RejectionState { count, first_offset, length } = state;
        Self { count, first_offset, rejected_length: length }
    }
}
