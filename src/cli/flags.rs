//! The flags of options, and the names of the data that they need, for reports.

use crate::measure::MissingData;

/// Returns the flag of an option that a path did not use.
pub(super) fn flag(option: &'static str) -> &'static str {
    match option {
        "elevation" => "--elevation",
        "estimate" => "--estimate",
        "max_accuracy_m" => "--max-accuracy",
        "max_gap_time_ns" => "--max-gap-time",
        "max_speed" => "--max-speed",
        "reject_backward_time" => "--reject-backward-time",
        "reorder" => "--reorder",
        "stopped_speed" => "--stopped-speed",
        "windows" => "--by",
        option => option,
    }
}

/// Returns the name of data that points lack.
pub(super) fn missing_data(missing: MissingData) -> &'static str {
    match missing {
        MissingData::Time => "time",
        MissingData::Z => "elevation",
        MissingData::Accuracy => "accuracy",
    }
}
