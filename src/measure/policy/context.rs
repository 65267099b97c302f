//! What the rules need to judge a fix: the options, and distances from earlier fixes.

use std::cell::Cell;

use crate::measure::cost::Cost;
use crate::measure::options::Options;
use crate::measure::rejection_reason::RejectionReason;
use crate::measure::track_fix::TrackFix;
use crate::measure::track_fix::seconds;

/// The options, and the cost of the distances that were computed.
pub(super) struct Context<'a> {
    pub(super) options: &'a Options,
    cost: Cell<Cost>,
}

impl<'a> Context<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, cost: Cell::new(Cost::default()) }
    }

    /// Returns the distance between two positions. It does not depend on their order.
    pub(super) fn distance(&self, from: (f64, f64), to: (f64, f64)) -> f64 {
        let (distance, cost) = self.options.metric.distance_with_cost(from, to);
        self.cost.set(self.cost.get() + cost);
        distance
    }

    /// Returns whether all rules accept a fix and its leg, if all of them compare it with the fix before. May return
    /// false for a fix that is accepted.
    #[inline]
    pub(super) fn accepts_after(&self, last: TrackFix, fix: TrackFix, leg: f64) -> bool {
        let options = self.options;
        let is_in_time = match (last.attributes.unix_ns, fix.attributes.unix_ns) {
            (Some(from), Some(to)) => {
                to > from
                    && options.max_speed.is_none_or(|limit| !is_too_fast(limit, leg, from, to))
                    && options.max_gap_time_ns.is_none_or(|limit| to.abs_diff(from) <= limit)
            }
            (None, _) => true,
            // Later fixes are compared with an earlier one that has a time.
            (Some(_), None) => false,
        };
        is_in_time
            && options.max_gap.is_none_or(|limit| leg <= limit)
            && options.min_step.is_none_or(|limit| leg >= limit)
    }

    /// Returns the cost of all distances.
    pub(super) fn cost(&self) -> Cost {
        self.cost.get()
    }
}

/// A fix that passed the rules that look at the fix alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) fix: TrackFix,
    pub(super) offset: u64,
    /// The position of the last fix before it that passed these rules; `None` after a marked start.
    pub(super) previous: Option<(f64, f64)>,
    /// The distance from `previous`, or 0.
    pub(super) leg: f64,
}

impl Arrival {
    /// Returns the distance from an earlier position.
    #[inline]
    pub(super) fn distance_from(&self, context: &Context<'_>, from: (f64, f64)) -> f64 {
        // A distance depends only on its two ends.
        if self.previous == Some(from) { self.leg } else { context.distance(from, self.fix.at) }
    }
}

/// The position and the time of a fix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimedPlace {
    pub(super) at: (f64, f64),
    pub(super) unix_ns: i64,
}

impl TimedPlace {
    pub(super) fn of(fix: TrackFix) -> Option<Self> {
        Some(Self { at: fix.at, unix_ns: fix.attributes.unix_ns? })
    }

    /// Returns the rule for times or speeds by which a later fix is rejected.
    #[inline]
    pub(super) fn rejects(
        &self,
        context: &Context<'_>,
        arrival: &Arrival,
    ) -> Option<RejectionReason> {
        let unix_ns = arrival.fix.attributes.unix_ns?;
        if context.options.reject_backward_time && unix_ns < self.unix_ns {
            return Some(RejectionReason::BackwardTime);
        }
        let limit = context.options.max_speed?;
        let distance = arrival.distance_from(context, self.at);
        is_too_fast(limit, distance, self.unix_ns, unix_ns).then_some(RejectionReason::Speed)
    }
}

/// Returns whether a speed is above the limit. The speed to a time that is not later is infinite, but 0 if neither the
/// time nor the position changes.
#[inline]
pub(super) fn is_too_fast(limit: f64, distance: f64, from_ns: i64, to_ns: i64) -> bool {
    if to_ns > from_ns {
        distance / seconds(to_ns.abs_diff(from_ns)) > limit
    } else {
        to_ns < from_ns || distance > 0.0
    }
}
