//! The chain of candidates: fixes in a row that were rejected for time or speed and agree with each other.

use super::context::{Arrival, Context, is_too_fast};
use crate::measure::options::REANCHOR_COUNT_MAX;
use crate::measure::rejection_reason::RejectionReason;
use crate::measure::track_fix::TrackFix;

/// The largest number of candidates, including the one that completes the chain.
const CAPACITY: usize = REANCHOR_COUNT_MAX as usize;

/// A fix that was rejected for time or speed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// It has a time.
    pub(super) fix: TrackFix,
    pub(super) offset: u64,
    pub(super) reason: RejectionReason,
}

/// Up to [`REANCHOR_COUNT_MAX`] candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    len: usize,
    candidates: [Option<Candidate>; CAPACITY],
}

impl Chain {
    pub(super) const EMPTY: Self = Self { len: 0, candidates: [None; CAPACITY] };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the candidates in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Candidate> {
        self.candidates.iter().take(self.len).filter_map(|candidate| *candidate)
    }

    pub(super) fn last(&self) -> Option<Candidate> {
        self.candidates[..self.len].last().copied().flatten()
    }

    /// Adds a candidate. The caller empties the chain before it has more than [`REANCHOR_COUNT_MAX`].
    pub(super) fn push(&mut self, candidate: Candidate) {
        if let Some(slot) = self.candidates.get_mut(self.len) {
            *slot = Some(candidate);
            self.len += 1;
        }
    }

    /// Returns whether a fix has the time and the coordinates of the last candidate.
    pub(super) fn ends_with(&self, fix: &TrackFix) -> bool {
        self.last().is_some_and(|last| {
            last.fix.at == fix.at && last.fix.attributes.unix_ns == fix.attributes.unix_ns
        })
    }

    /// Returns whether a fix agrees with the last candidate.
    pub(super) fn agrees(&self, context: &Context<'_>, arrival: &Arrival) -> bool {
        let Some(last) = self.last() else { return false };
        let (Some(from), Some(to)) = (last.fix.attributes.unix_ns, arrival.fix.attributes.unix_ns)
        else {
            return false;
        };
        let is_fast = context.options.max_speed.is_some_and(|limit| {
            is_too_fast(limit, arrival.distance_from(context, last.fix.at), from, to)
        });
        to > from && !is_fast
    }
}

/// Compares the candidates, not the unused slots.
impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}
