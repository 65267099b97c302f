//! The summary of a path of fixes, as plain data. A [`PathAccumulator`](super::PathAccumulator) returns it.
//! Reports and replies are made from it.

use super::bounds::Bounds;
use super::metric::Metric;

/// The summary of a path of fixes. Lengths are in metres or, for [`Metric::Planar`], in the caller's
/// unit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathSummary {
    /// The metric of the legs.
    pub metric: Metric,
    /// The number of fixes, including those that were rejected.
    pub point_count: u64,
    /// The number of fixes that were not rejected.
    pub accepted_count: u64,
    /// The number of segments of accepted fixes.
    pub segment_count: u64,
    /// The correctly rounded sum of the accepted legs.
    pub length: f64,
    /// The correctly rounded sum of all legs, without filter rules. Only segment starts in the input break it.
    pub raw_length: f64,
    /// The length of the accepted legs in three dimensions, if the options request it.
    pub length_3d: Option<f64>,
    /// The distance from the first accepted fix to the last.
    pub displacement: f64,
    /// The rejected fixes by reason, in the order of [`RejectionReason`]. Reasons without fixes are omitted. Accepted and
    /// rejected fixes are all fixes.
    pub rejections: Vec<Rejection>,
    /// The time from the earliest to the latest accepted fix.
    pub elapsed_ns: Option<u64>,
    /// The total time of the accepted legs that are not slower than
    /// [`Options::stopped_speed`](super::Options::stopped_speed).
    pub moving_ns: Option<u64>,
    /// The highest speed of an accepted leg, per second.
    pub max_speed: Option<f64>,
    /// The sum of all rises of accepted legs.
    pub ascent: Option<f64>,
    /// The sum of all falls of accepted legs, as a positive number.
    pub descent: Option<f64>,
    /// The bounding box of the accepted fixes.
    pub bounds: Option<Bounds>,
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The reason.
    pub reason: RejectionReason,
    /// The number of fixes.
    pub count: u64,
    /// The index of the first of them in the path.
    pub first_offset: u64,
    /// The correctly rounded sum of the raw legs to these fixes.
    pub rejected_length: f64,
}

/// The reason why a fix was rejected. The first four are in the order of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionReason {
    /// The fix is earlier than the last accepted fix.
    BackwardTime,
    /// The accuracy radius is above the limit.
    Accuracy,
    /// The speed from the last accepted fix is above the limit.
    Speed,
    /// The distance from the last accepted fix is below the limit.
    Step,
    /// The fix has no valid position. No leg ends in it, so that the length of these rejections is 0.
    InvalidPosition,
}

impl RejectionReason {
    /// The number of reasons.
    pub(super) const COUNT: usize = 5;
}
