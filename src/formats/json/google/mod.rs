//! Google location history, in the layouts of its exports.
//!
//! - `Records.json` and `Location History.json` (`locations`): one track for each device.
//! - Semantic location history (`timelineObjects`): each `activitySegment` is a track with the name of the
//!   activity, along the most detailed of its paths. A `placeVisit` is not a path.
//! - The timeline of a phone (`semanticSegments`, or a list of segments): each `timelinePath` is a track. An
//!   `activity` has a start and an end only. Activities are tracks if the file has no paths, and raw signals
//!   are a path if it has neither.

pub(super) mod phone;
pub(super) mod records;
pub(super) mod semantic;

#[cfg(test)]
mod tests;
