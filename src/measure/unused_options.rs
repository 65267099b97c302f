//! The options that had no effect because no fix has the data that they need.

use super::options::{Elevation, Options};
use super::seen_attributes::SeenAttributes;
use super::summary::{MissingData, UnusedOption};

/// Returns the options that are set and had no effect, in a fixed order.
pub(super) fn unused_options(seen: SeenAttributes, options: &Options) -> Vec<UnusedOption> {
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
        ("drop_duplicates", options.drop_duplicates, MissingData::Time),
        ("windows", options.windows.is_some(), MissingData::Time),
        ("climb_threshold", options.climb.threshold != default.climb.threshold, MissingData::Z),
        (
            "climb_smoothing_ns",
            options.climb.smoothing_ns != default.climb.smoothing_ns,
            MissingData::Z,
        ),
    ];
    let is_missing = |data| match data {
        MissingData::Time => !seen.time,
        MissingData::Z => !seen.z,
        MissingData::Accuracy => !seen.accuracy,
    };
    needs
        .into_iter()
        .filter(|&(_, is_set, missing)| is_set && is_missing(missing))
        .map(|(option, _, missing)| UnusedOption { option, missing })
        .collect()
}
