//! Which attributes the fixes of a path have, and the options that have no effect without them.

use super::options::{Elevation, Options};
use super::summary::{MissingData, UnusedOption};

/// Whether at least one fix with a position has a time, an elevation or an accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenAttributes {
    /// Whether a fix has a time.
    pub time: bool,
    /// Whether a fix has an elevation.
    pub z: bool,
    /// Whether a fix has an accuracy radius.
    pub accuracy: bool,
}

impl SeenAttributes {
    pub(super) fn merge(&mut self, other: Self) {
        self.time |= other.time;
        self.z |= other.z;
        self.accuracy |= other.accuracy;
    }

    /// Returns the options that are set and had no effect, in a fixed order.
    pub(super) fn unused_options(self, options: &Options) -> Vec<UnusedOption> {
        let default = Options::new(options.metric);
        let needs = [
            ("elevation", options.elevation == Elevation::ThreeDimensional, MissingData::Z),
            ("max_gap_time_ns", options.max_gap_time_ns.is_some(), MissingData::Time),
            ("max_speed", options.max_speed.is_some(), MissingData::Time),
            ("max_accuracy_m", options.max_accuracy_m.is_some(), MissingData::Accuracy),
            ("reject_backward_time", options.reject_backward_time, MissingData::Time),
            ("stopped_speed", options.stopped_speed != default.stopped_speed, MissingData::Time),
            ("estimate", options.estimate.is_some(), MissingData::Time),
            ("reorder", options.reorder.is_some(), MissingData::Time),
        ];
        let is_missing = |data| match data {
            MissingData::Time => !self.time,
            MissingData::Z => !self.z,
            MissingData::Accuracy => !self.accuracy,
        };
        needs
            .into_iter()
            .filter(|&(_, is_set, missing)| is_set && is_missing(missing))
            .map(|(option, _, missing)| UnusedOption { option, missing })
            .collect()
    }
}
