//! The filter of versions 1 to 4, and its conversion. They kept no ledger, and other fixes to compare with.

use crate::measure::{
    ExactSum, FilterState, FixState, Metric, Options, PolylineState, REANCHOR_COUNT_MAX,
    RejectionReason, RejectionState, SeenAttributes, SegmentState, SignedSum, TimedPlaceState,
};

/// The filter of versions 1 to 4.
pub(super) struct OldFilter {
    /// The polyline through the accepted fixes.
    pub(super) accepted: PolylineState,
    /// The last accepted fix of the segment.
    pub(super) reference: Option<FixState>,
    /// The fixes that were rejected because of backward time, accuracy, speed and step.
    pub(super) rejections: [OldRejection; 4],
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Default)]
pub(super) struct OldRejection {
    pub(super) count: u64,
    pub(super) first_offset: u64,
    /// The sum of the raw legs that end in one of them.
    pub(super) length: ExactSum,
}

/// The reasons of `rejections`.
const REASONS: [RejectionReason; 4] = [
    RejectionReason::BackwardTime,
    RejectionReason::Accuracy,
    RejectionReason::Speed,
    RejectionReason::Step,
];

impl OldFilter {
    /// Returns the state of the current filter. Rejected lengths stay as they are, and the sum of the gaps becomes
    /// the rest of the whole length. The candidate was dropped: it was counted as rejected, and the next fixes can
    /// start a segment again. Returns `None` if no path has the state.
    pub(super) fn into_state(self, raw: &PolylineState) -> Option<FilterState> {
        let Self { accepted, reference, rejections: old } = self;
        let mut rejections = [RejectionState::default(); _];
        let mut rest = units(raw.length).wrapping_sub(units(accepted.length));
        for (reason, OldRejection { count, first_offset, length }) in REASONS.into_iter().zip(old) {
            let length = SignedSum::try_from(length).ok()?;
            rest = rest.wrapping_sub(i128::from_le_bytes(length.to_bytes()));
            rejections[reason as usize] = RejectionState { count, first_offset, length };
        }
        let last = raw.places.map(|places| places.last).filter(|_| !raw.is_broken);
        let is_complete = last.is_none() || reference.map(|fix| fix.at) == last;
        let screened = match is_complete {
            true => None,
            // The distance to the next fix has to be added for one of the reasons.
            false => Some(REASONS.into_iter().find(|&r| rejections[r as usize].count > 0)?),
        };
        let segment = reference.map(|accepted| {
            let FixState { at, attributes } = accepted;
            let timed = attributes.unix_ns.map(|unix_ns| TimedPlaceState { at, unix_ns });
            SegmentState { accepted, checked: at, timed }
        });
        Some(FilterState {
            accepted,
            screened,
            segment,
            tentative: None,
            candidates: Vec::new(),
            rejections,
            gap_length: SignedSum::from_bytes(rest.to_le_bytes()),
        })
    }
}

/// Returns a sum in units of 2^-64, modulo 2^128.
fn units(sum: ExactSum) -> i128 {
    i128::from_le_bytes(sum.to_bytes())
}

/// Returns which attributes a path has. Old versions did not store it, so that no option is reported as unused.
pub(super) fn seen(raw: &PolylineState) -> SeenAttributes {
    let has_points = raw.places.is_some();
    SeenAttributes { time: has_points, z: has_points, accuracy: has_points }
}

/// Converts the number of fixes that override a rejection, which had no maximum.
pub(super) fn reanchor_count(stored: u32) -> u32 {
    stored.min(REANCHOR_COUNT_MAX)
}

/// Converts the speed of a stop, which had no default.
pub(super) fn stopped_speed(stored: Option<f64>, metric: Metric) -> Option<f64> {
    stored.or(Options::new(metric).stopped_speed())
}
