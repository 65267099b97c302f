//! A fix as the rules and the results use it.

use super::state::AttributesState;

/// A fix with a position, as the rules and the statistics use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrackFix {
    /// The canonical coordinates.
    pub(super) at: (f64, f64),
    pub(super) attributes: FixAttributes,
}

/// The elevation and the time of a fix, if known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FixAttributes {
    pub(super) z: Option<f64>,
    pub(super) unix_ns: Option<i64>,
}

impl TrackFix {
    /// Returns a fix of which only the position is known.
    pub(super) fn at_position(at: (f64, f64)) -> Self {
        Self { at, attributes: FixAttributes::NOTHING }
    }
}

impl FixAttributes {
    pub(super) const NOTHING: Self = Self { z: None, unix_ns: None };
}

impl FixAttributes {
    pub(super) fn state(self) -> AttributesState {
        AttributesState { z: self.z, unix_ns: self.unix_ns }
    }

    pub(super) fn from_checked_state(state: AttributesState) -> Self {
        Self { z: state.z, unix_ns: state.unix_ns }
    }
}

/// Converts nanoseconds to seconds, rounded. The speed rule and the reported speeds use this function.
#[inline]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
