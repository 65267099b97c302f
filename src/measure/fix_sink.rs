//! Passes the checked and the accepted fixes of a path to everything that is computed from them.
//!
//! It is the only place through which these fixes pass, with and without a filter.

use super::derived::Derived;
use super::options::Options;
use super::rejection_reason::{RejectedFix, RejectionReason};
use super::sum::SumOverflow;
use super::track_fix::{FixAttributes, TrackFix};
use super::track_stats::{LegBatch, TrackStats};

/// Receives fixes in the order of the path.
pub(super) struct FixSink<'a> {
    options: &'a Options,
    derived: &'a mut Derived,
    legs: LegBatch,
    /// The first error.
    result: Result<(), SumOverflow>,
}

impl<'a> FixSink<'a> {
    pub(super) fn new(options: &'a Options, derived: &'a mut Derived) -> Self {
        Self { options, derived, legs: LegBatch::new(), result: Ok(()) }
    }

    /// Adds a checked fix: one that no rule but the smallest step rejects.
    #[inline]
    pub(super) fn add_checked(&mut self, fix: TrackFix) {
        self.derived.stats.add_checked(fix.attributes);
        self.derived.add_checked(fix);
    }

    /// Lists a rejected fix, if the path lists them.
    #[inline]
    pub(super) fn add_rejected(&mut self, reason: RejectionReason, offset: u64) {
        if let Some(rejected) = &mut self.derived.rejected {
            rejected.push(RejectedFix { offset, reason });
        }
    }

    /// Adds an accepted fix, which is a checked fix, too. `leg` has the attributes of the fix at the start of the leg
    /// to it and the length of the leg. It is missing if the fix starts a segment.
    #[inline]
    pub(super) fn add_accepted(&mut self, fix: TrackFix, leg: Option<(FixAttributes, f64)>) {
        TrackStats::add_fix(self.options, fix.attributes, leg, &mut self.legs);
        if self.result.is_ok() {
            self.result = self.derived.add_accepted(fix, leg);
        }
    }

    /// Adds the legs since the last call to the exact sums. It is called at least once in `PointBlock::CAPACITY` legs.
    ///
    /// # Errors
    /// Returns an error if a total is out of range. The results are then unusable.
    pub(super) fn flush(&mut self) -> Result<(), SumOverflow> {
        self.result?;
        self.derived.stats.add_batch(self.options, &self.legs)?;
        self.legs.clear();
        Ok(())
    }
}
