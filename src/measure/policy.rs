//! The filter of a path: decides which fixes are accepted, counts the others by reason, and keeps the ledger.
//!
//! The contract defines the rules: see `PathOptions` in `proto/waywiser/v1/path.proto`. There are two stages:
//! 1. The rules that look at a fix alone: late, zero position, accuracy.
//! 2. The rules that compare a fix with earlier fixes of its segment: see `rules.rs`. Stage 2 sees only the fixes that
//!    stage 1 lets through.
//!
//! Each stage has an exact ledger. The length of all fixes is the sum of the length of the fixes that pass stage 1
//! and of the rejected lengths of stage 1. The former is the sum of the accepted length, of the rejected lengths of
//! stage 2, and of the gaps. One `Ledger` holds the lengths of both stages.

mod chain;
mod context;
mod ledger;
mod output;
mod rules;
mod stored;

use self::context::{Arrival, Context};
use self::output::Output;
use self::rules::SegmentRules;
use super::cost::Cost;
use super::derived::Derived;
use super::error::PathError;
use super::fix_block::FixBlock;
use super::fix_sink::FixSink;
use super::index_set::IndexSet;
use super::options::Options;
use super::polyline::Polyline;
use super::rejection_reason::RejectionReason;
use super::sum::{ExactSum, SignedSum};
use super::summary::Rejection;
use super::track_fix::TrackFix;

/// The state of the filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    /// The accepted fixes, without the tentative first fix of the current segment.
    accepted: Polyline,
    /// The reason of the last fix of the path, if stage 1 rejected it. Its charge lacks the legs to the next fix.
    screened: Option<RejectionReason>,
    rules: SegmentRules,
}

/// A block, and its place in the path.
#[derive(Clone, Copy)]
pub(super) struct PlacedBlock<'a> {
    pub(super) block: &'a FixBlock,
    /// The slots of the fixes that start a segment.
    pub(super) starts: &'a IndexSet,
    /// The slots of the fixes that are late.
    pub(super) late: &'a IndexSet,
    /// The index in the path of the first fix of the block.
    pub(super) offset: u64,
    /// The index in the path of the fix in each slot. Without it, the indices are consecutive.
    pub(super) offsets: Option<&'a [u64]>,
}

impl Filter {
    pub(super) fn new(options: &Options) -> Self {
        Self { accepted: Polyline::new(options.metric), screened: None, rules: SegmentRules::new() }
    }

    pub(super) fn accepted(&self) -> &Polyline {
        &self.accepted
    }

    /// Returns the last checked fix of the path, with what is kept of it.
    pub(super) fn last_checked(&self) -> Option<TrackFix> {
        let position = || self.accepted.last().map(TrackFix::at_position);
        self.rules.last_checked().or_else(position)
    }

    /// Returns the rejections by reason, in the order of [`RejectionReason`].
    pub(super) fn rejections(&self) -> Vec<Rejection> {
        self.rules.ledger.rejections().collect()
    }

    /// Returns the exact sum of the distances over gaps.
    pub(super) fn gap_length(&self) -> SignedSum {
        self.rules.ledger.gap_length
    }

    /// Applies the rules to the fixes of a block that have a position.
    ///
    /// `legs[i]` is the raw leg to the fix in slot `i`, or 0 if there is none. Returns the cost of the
    /// distances that are not among the raw legs.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The filter and the results are then unusable.
    pub(super) fn fold(
        &mut self,
        options: &Options,
        placed: PlacedBlock<'_>,
        legs: &[f64],
        derived: &mut Derived,
    ) -> Result<Cost, PathError> {
        let PlacedBlock { block, starts, late, offset, offsets } = placed;
        if offsets.is_none() && block.without_position_count() > 0 {
            let of_slots = block.offsets_of_slots(offset);
            let placed = PlacedBlock { offsets: Some(&of_slots), ..placed };
            return self.fold(options, placed, legs, derived);
        }
        let (x, y) = block.points.columns();
        let context = Context::new(options);
        let Self { accepted, screened, rules } = self;
        let mut out = Output::new(accepted, FixSink::new(options, derived));
        let (has_start, has_late) = (!starts.is_empty(), !late.is_empty());
        // The usual case: all rules compare the fix with the one before it, and accept it.
        let mut settled = rules.settled().filter(|_| screened.is_none());
        let mut previous = rules.previous();
        for (index, ((&x, &y), &raw_leg)) in x.iter().zip(y).zip(legs).enumerate() {
            let fix = TrackFix { at: (x, y), attributes: block.attributes_of(index) };
            let is_start = has_start && starts.contains(index);
            let is_late = has_late && late.contains(index);
            let reason = screen(options, fix.at, block.accuracy_m(index), is_late);
            if let Some(last) = settled
                && !is_start
                && reason.is_none()
                && context.accepts_after(last, fix, raw_leg)
            {
                out.push(fix, Some((last.attributes, raw_leg)))?;
                settled = Some(fix);
                continue;
            }
            if let Some(last) = settled.take() {
                rules.settle(last);
                previous = Some(last.at);
            }
            if is_start {
                rules.end_run(&context, &mut out)?;
                (*screened, previous) = (None, None);
            }
            let leg = match screened.take() {
                None => raw_leg,
                Some(reason) => {
                    let leg = previous.map_or(0.0, |previous| context.distance(previous, fix.at));
                    rules.ledger.add_difference(reason, raw_leg, leg)?;
                    leg
                }
            };
            let offset = match offsets {
                None => offset.saturating_add(index as u64),
                Some(offsets) => offsets.get(index).copied().unwrap_or_default(),
            };
            if let Some(reason) = reason {
                rules.ledger.count(reason, offset);
                out.sink.add_rejected(reason, offset);
                rules.ledger.add(reason, leg)?;
                *screened = Some(reason);
                continue;
            }
            rules.add(&context, Arrival { fix, offset, previous, leg }, &mut out)?;
            settled = rules.settled();
            previous = Some(fix.at);
        }
        if let Some(last) = settled {
            rules.settle(last);
        }
        let of_bounds = out.finish()?;
        rules.ledger.check_range()?;
        Ok(context.cost() + of_bounds)
    }

    /// Returns whether the length of all fixes is exactly the sum of the accepted length, the rejected lengths and the
    /// gaps, as if the path ended here.
    pub(super) fn is_balanced(&self, options: &Options, raw_length: ExactSum) -> bool {
        let mut derived = Derived::new(options);
        let Ok(ended) = self.ended(options, &mut derived) else { return false };
        let ledger = &ended.rules.ledger;
        let rejected = ledger.entries.iter().map(|entry| entry.length);
        let units = |sum: SignedSum| i128::from_le_bytes(sum.to_bytes());
        let exact_units = |sum: ExactSum| i128::from_le_bytes(sum.to_bytes());
        // Modulo 2^128, so that the addition cannot overflow.
        let all = rejected.chain([ledger.gap_length]).map(units);
        let sum = all.fold(exact_units(ended.accepted.length()), i128::wrapping_add);
        sum == exact_units(raw_length)
    }

    /// Returns the filter as if the path ended here: the tentative first fix of a segment is accepted, and the
    /// candidates are rejected. Adds the accepted fix to the results.
    ///
    /// # Errors
    /// Returns an error if a total is out of range.
    pub(super) fn ended(
        &self,
        options: &Options,
        derived: &mut Derived,
    ) -> Result<Self, PathError> {
        let mut ended = self.clone();
        let Self { accepted, rules, .. } = &mut ended;
        let mut out = Output::new(accepted, FixSink::new(options, derived));
        rules.end_run(&Context::new(options), &mut out)?;
        out.finish()?;
        Ok(ended)
    }
}

/// Returns the rule by which a fix is rejected without a look at other fixes.
#[inline]
fn screen(
    options: &Options,
    at: (f64, f64),
    accuracy_m: f64,
    is_late: bool,
) -> Option<RejectionReason> {
    if is_late {
        Some(RejectionReason::Late)
    } else if options.reject_zero_position && at == (0.0, 0.0) {
        Some(RejectionReason::ZeroPosition)
    } else if options.max_accuracy_m.is_some_and(|limit| accuracy_m > limit) {
        Some(RejectionReason::Accuracy)
    } else {
        None
    }
}
