//! `UnusedOption` of the contract to and from [`UnusedOption`].

use super::options::field;
use crate::measure::{MissingData, Space, UnusedOption};
use crate::proto::waywiser_v1 as pb;

/// All options that need data.
const OPTIONS: [&str; 12] = [
    "climb_smoothing_ns",
    "climb_threshold",
    "drop_duplicates",
    "elevation",
    "estimate",
    "max_accuracy_m",
    "max_gap_time_ns",
    "max_speed",
    "reject_backward_time",
    "reorder",
    "stopped_speed",
    "windows",
];

/// Converts an unused option into a message.
pub(super) fn to_message(unused: &UnusedOption, space: Space) -> pb::UnusedOption {
    let missing = match unused.missing {
        MissingData::Time => pb::PointField::Time,
        MissingData::Z => pb::PointField::Z,
        MissingData::Accuracy => pb::PointField::Accuracy,
    };
    pb::UnusedOption { option: field(unused.option, space).to_owned(), missing: missing.into() }
}

/// Reads an unused option. Returns `None` for one that this version does not know.
pub(super) fn from_message(message: &pb::UnusedOption) -> Option<UnusedOption> {
    let missing = match pb::PointField::try_from(message.missing).ok()? {
        pb::PointField::Time => MissingData::Time,
        pb::PointField::Z => MissingData::Z,
        pb::PointField::Accuracy => MissingData::Accuracy,
        pb::PointField::Unspecified => return None,
    };
    let spaces = [Space::Geographic, Space::Planar];
    let has_name = |option| spaces.into_iter().any(|space| field(option, space) == message.option);
    let option = OPTIONS.into_iter().find(|&option| has_name(option))?;
    Some(UnusedOption { option, missing })
}
