//! The policy: which fixes of a path are accepted, and a ledger of those that are not.
//!
//! For each fix, in this order:
//! 0. One that starts a segment leaves the fixes before it behind: it has no reference.
//! 1. Time: it is rejected if it is earlier than the reference and the options ask for that. Equal is not
//!    earlier.
//! 2. Accuracy: it is rejected if its radius is greater than the limit. A missing one passes.
//! 3. Speed: it is rejected if the way from the reference is longer than the greatest speed allows. Two
//!    places at one instant are too fast. A missing time passes, and so does one that goes backwards and
//!    was not rejected for that.
//! 4. Gaps: it is accepted and starts a segment if it is too much later than the reference or too far
//!    from it.
//! 5. Step: it is rejected if it is too near to the reference.
//! 6. It is accepted: the leg from the reference counts, and it is the reference of what follows.
//!
//! The reference is the last accepted fix of the segment; without one, rule 2 alone applies. A rejected
//! fix never becomes it, so slow motion adds up to a step. But fixes that were rejected for time or speed
//! and agree with one another (each passes both rules as seen from the one before) may be right, and the
//! reference wrong: when so many follow on one another as the options say, the last of them is accepted
//! after all and starts a segment. A fix rejected for its accuracy says nothing about that either way;
//! any other ends such a chain.

use std::cell::Cell;

use super::cost::Cost;
use super::fix_block::FixBlock;
use super::metric::Metric;
use super::options::Options;
use super::point_block::PointBlock;
use super::polyline::{PathError, Polyline};
use super::state::{FilterState, FixState, RejectionState};
use super::sum::ExactSum;
use super::summary::{Rejection, RejectionReason};
use super::track_stats::{FixAttributes, LegBatch, TimeStep, TrackStats, seconds};

/// A fix, as far as others are measured from it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    at: (f64, f64),
    known: FixAttributes,
}

/// What a policy keeps of the fixes so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    /// The accepted fixes.
    accepted: Polyline,
    /// The last accepted fix of the segment.
    reference: Option<Mark>,
    /// The last fix that was rejected for time or speed, and how many agree up to it.
    chain: Option<(Mark, u32)>,
    /// By [`RejectionReason`].
    ledger: [Entry; 4],
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    count: u64,
    first_offset: u64,
    rejected_length: ExactSum,
}

const REASONS: [RejectionReason; 4] = [
    RejectionReason::BackwardTime,
    RejectionReason::Accuracy,
    RejectionReason::Speed,
    RejectionReason::Step,
];

/// What becomes of a fix.
enum Verdict {
    /// The leg of this length counts.
    Accepted(f64),
    /// It is the first of a segment.
    StartsSegment,
    Rejected(RejectionReason),
}

impl Filter {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            accepted: Polyline::new(options.metric),
            reference: None,
            chain: None,
            ledger: [Entry { count: 0, first_offset: 0, rejected_length: ExactSum::ZERO }; 4],
        }
    }

    pub(super) fn accepted(&self) -> &Polyline {
        &self.accepted
    }

    pub(super) fn start_segment(&mut self) {
        self.reference = None;
        self.chain = None;
    }

    /// Judges the fixes of a block. `before` is where the fix before the block was, `offset` that of its
    /// first fix; `legs[i]` is the raw leg that ends in fix `i`, 0 where none does. Returns what the distances
    /// cost that are not among the legs.
    ///
    /// # Errors
    /// When a total is out of range; filter and profile are then of no use.
    pub(super) fn fold(
        &mut self,
        options: &Options,
        block: &FixBlock,
        before: Option<(f64, f64)>,
        offset: u64,
        legs: &[f64],
        profile: &mut TrackStats,
    ) -> Result<Cost, PathError> {
        let cost = Cell::new(Cost::default());
        let (x, y) = block.points.columns();
        let mut accepted = Accepted::default();
        let mut profile_legs = LegBatch::new();
        let mut previous = before;
        for (index, ((&x, &y), &raw_leg)) in x.iter().zip(y).zip(legs).enumerate() {
            if block.starts.contains(index) {
                self.start_segment();
            }
            let fix = Mark { at: (x, y), known: block.known(index) };
            // A leg depends on its ends alone, so where the raw one has the same ends it is the same.
            let distance = |from: Mark| match previous {
                Some(previous) if previous == from.at => raw_leg,
                _ => {
                    let (distance, of_distance) =
                        options.metric.distance_with_cost(from.at, fix.at);
                    cost.set(cost.get() + of_distance);
                    distance
                }
            };
            let verdict = self.judge(options, fix, block.accuracy_m(index), distance);
            match verdict {
                Verdict::Rejected(reason) => {
                    let offset = offset.saturating_add(index as u64);
                    self.ledger[reason as usize].add(offset, raw_leg)?;
                }
                Verdict::Accepted(leg) => {
                    if let Some(reference) = self.reference {
                        let (from, to) = (reference.known, fix.known);
                        profile.add_leg(options, leg, from, to, &mut profile_legs);
                    }
                    self.accept(fix, profile);
                    accepted.push(fix, leg, false);
                }
                Verdict::StartsSegment => {
                    self.accept(fix, profile);
                    accepted.push(fix, 0.0, true);
                }
            }
            previous = Some(fix.at);
        }
        profile.add_sums(options, &profile_legs)?;
        let Accepted { count, starts, x, y, legs } = &accepted;
        self.accepted.add_measured(&x[..*count], &y[..*count], &legs[..*count], *starts)?;
        Ok(cost.get())
    }

    #[inline]
    fn accept(&mut self, fix: Mark, profile: &mut TrackStats) {
        self.reference = Some(fix);
        self.chain = None;
        profile.add_fix(fix.known);
    }

    #[inline]
    fn judge(
        &mut self,
        options: &Options,
        fix: Mark,
        accuracy_m: f64,
        distance: impl Fn(Mark) -> f64,
    ) -> Verdict {
        let time = self.reference.and_then(|reference| reference.known.time_to(fix.known));
        if options.reject_backward_time && time == Some(TimeStep::Backward) {
            return self.suspect(options, fix, RejectionReason::BackwardTime, distance);
        }
        if options.max_accuracy_m.is_some_and(|limit| accuracy_m > limit) {
            return Verdict::Rejected(RejectionReason::Accuracy);
        }
        let Some(reference) = self.reference else { return Verdict::StartsSegment };
        let leg = distance(reference);
        if is_too_fast(options, leg, time) {
            return self.suspect(options, fix, RejectionReason::Speed, distance);
        }
        let is_late = matches!(
            (options.max_gap_time_ns, time),
            (Some(limit), Some(TimeStep::Forward { ns })) if ns > limit
        );
        if is_late || options.max_gap.is_some_and(|limit| leg > limit) {
            return Verdict::StartsSegment;
        }
        if options.min_step.is_some_and(|limit| leg < limit) {
            self.chain = None;
            return Verdict::Rejected(RejectionReason::Step);
        }
        Verdict::Accepted(leg)
    }

    /// Rejects a fix for time or speed, unless it is the one that shows the reference to be wrong.
    #[cold]
    fn suspect(
        &mut self,
        options: &Options,
        fix: Mark,
        reason: RejectionReason,
        distance: impl Fn(Mark) -> f64,
    ) -> Verdict {
        let agreeing = self.chain.filter(|(candidate, _)| {
            let time = candidate.known.time_to(fix.known);
            let is_backward = options.reject_backward_time && time == Some(TimeStep::Backward);
            !is_backward && !is_too_fast(options, distance(*candidate), time)
        });
        let count = agreeing.map_or(1, |(_, count)| count.saturating_add(1));
        if count >= options.reanchor_count {
            return Verdict::StartsSegment;
        }
        self.chain = Some((fix, count));
        Verdict::Rejected(reason)
    }

    pub(super) fn rejections(&self) -> Vec<Rejection> {
        let applied = REASONS.into_iter().zip(&self.ledger).filter(|(_, entry)| entry.count > 0);
        let told = applied.map(|(reason, entry)| Rejection {
            reason,
            count: entry.count,
            first_offset: entry.first_offset,
            rejected_length: entry.rejected_length.to_f64(),
        });
        told.collect()
    }
}

/// Whether a leg takes a greater speed than is allowed.
#[inline]
fn is_too_fast(options: &Options, leg: f64, time: Option<TimeStep>) -> bool {
    match (options.max_speed, time) {
        // At one instant every way is too long.
        (Some(limit), Some(TimeStep::Forward { ns })) => leg > limit * seconds(ns),
        _ => false,
    }
}

impl Entry {
    fn add(&mut self, offset: u64, raw_leg: f64) -> Result<(), PathError> {
        if self.count == 0 {
            self.first_offset = offset;
        }
        self.count = self.count.saturating_add(1);
        Ok(self.rejected_length.add(raw_leg)?)
    }
}

/// The accepted fixes of a block.
struct Accepted {
    count: usize,
    /// How many of them start a segment.
    starts: u64,
    x: [f64; PointBlock::CAPACITY],
    y: [f64; PointBlock::CAPACITY],
    /// The leg that ends in each, 0 where none does.
    legs: [f64; PointBlock::CAPACITY],
}

impl Default for Accepted {
    fn default() -> Self {
        let column = [0.0; PointBlock::CAPACITY];
        Self { count: 0, starts: 0, x: column, y: column, legs: column }
    }
}

impl Accepted {
    #[inline]
    fn push(&mut self, fix: Mark, leg: f64, starts: bool) {
        (self.x[self.count], self.y[self.count]) = fix.at;
        self.legs[self.count] = leg;
        self.starts += u64::from(starts);
        self.count += 1;
    }
}

impl Filter {
    pub(super) fn state(&self) -> FilterState {
        FilterState {
            accepted: self.accepted.state(),
            reference: self.reference.map(Mark::state),
            candidate: self.chain.map(|(mark, count)| (mark.state(), count)),
            rejections: self.ledger.map(Entry::state),
        }
    }

    /// Restores a filter from a state that was checked.
    pub(super) fn from_checked_state(metric: Metric, state: &FilterState) -> Self {
        Self {
            accepted: Polyline::from_checked_state(metric, &state.accepted),
            reference: state.reference.map(Mark::from_checked_state),
            chain: state.candidate.map(|(fix, count)| (Mark::from_checked_state(fix), count)),
            ledger: state.rejections.map(Entry::from_checked_state),
        }
    }
}

impl Mark {
    fn state(self) -> FixState {
        FixState { at: self.at.into(), attributes: self.known.state() }
    }

    fn from_checked_state(state: FixState) -> Self {
        let known = FixAttributes::from_checked_state(state.attributes);
        Self { at: state.at.into(), known }
    }
}

impl Entry {
    fn state(self) -> RejectionState {
        let Self { count, first_offset, rejected_length } = self;
        RejectionState { count, first_offset, length: rejected_length }
    }

    fn from_checked_state(state: RejectionState) -> Self {
        let RejectionState { count, first_offset, length } = state;
        Self { count, first_offset, rejected_length: length }
    }
}
