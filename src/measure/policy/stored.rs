//! The state of a filter as plain data, and back.

use super::Filter;
use super::chain::{Candidate, Chain};
use super::context::TimedPlace;
use super::ledger::{Entry, Ledger};
use super::rules::{Segment, SegmentRules, Tentative};
use crate::measure::metric::Metric;
use crate::measure::polyline::Polyline;
use crate::measure::state::{
    CandidateState, FilterState, FixState, RejectionState, SegmentState, TentativeState,
    TimedPlaceState,
};
use crate::measure::track_fix::FixAttributes;
use crate::measure::track_fix::TrackFix;

impl Filter {
    pub(in crate::measure) fn state(&self) -> FilterState {
        let Self { accepted, screened, rules } = self;
        FilterState {
            accepted: accepted.state(),
            screened: *screened,
            segment: rules.segment.map(|segment| SegmentState {
                accepted: segment.accepted.state(),
                checked: segment.checked.into(),
                timed: segment
                    .timed
                    .map(|TimedPlace { at, unix_ns }| TimedPlaceState { at: at.into(), unix_ns }),
            }),
            tentative: rules.tentative.map(|Tentative { offset, before }| TentativeState {
                offset,
                before: before.map(Into::into),
            }),
            candidates: rules
                .chain
                .iter()
                .map(|Candidate { fix, offset, reason }| CandidateState {
                    fix: fix.state(),
                    offset,
                    reason,
                })
                .collect(),
            rejections: rules.ledger.entries.map(|Entry { count, first_offset, length }| {
                RejectionState { count, first_offset, length }
            }),
            gap_length: rules.ledger.gap_length,
        }
    }

    /// Restores a filter from a state that was checked.
    pub(in crate::measure) fn from_checked_state(metric: Metric, state: &FilterState) -> Self {
        let mut chain = Chain::EMPTY;
        for &CandidateState { fix, offset, reason } in &state.candidates {
            chain.push(Candidate { fix: TrackFix::from_checked_state(fix), offset, reason });
        }
        let segment = state.segment.map(|segment| Segment {
            accepted: TrackFix::from_checked_state(segment.accepted),
            checked: segment.checked.into(),
            timed: segment
                .timed
                .map(|TimedPlaceState { at, unix_ns }| TimedPlace { at: at.into(), unix_ns }),
        });
        let tentative = state.tentative.map(|TentativeState { offset, before }| Tentative {
            offset,
            before: before.map(Into::into),
        });
        let entries = state.rejections.map(|RejectionState { count, first_offset, length }| {
            Entry { count, first_offset, length }
        });
        let ledger = Ledger { entries, gap_length: state.gap_length };
        Self {
            accepted: Polyline::from_checked_state(metric, &state.accepted),
            screened: state.screened,
            rules: SegmentRules { segment, tentative, chain, ledger },
        }
    }
}

impl TrackFix {
    fn state(self) -> FixState {
        FixState { at: self.at.into(), attributes: self.attributes.state() }
    }

    fn from_checked_state(state: FixState) -> Self {
        let attributes = FixAttributes::from_checked_state(state.attributes);
        Self { at: state.at.into(), attributes }
    }
}
