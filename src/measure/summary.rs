//! The summary of a path of fixes, as plain data. A [`PathAccumulator`](super::PathAccumulator) returns it.
//! Reports and replies are made from it.

use super::bounds::Bounds;
use super::estimate::{EstimatedLength, Stop, Trip};
use super::metric::Metric;
use super::rejection_reason::RejectionReason;
use super::windows::WindowsSummary;

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
    /// The sum of the distances over the gaps between segments, from the last accepted fix to the first one of the next
    /// segment. A marked start of a segment has none. The raw length is the sum of the length, of the rejected
    /// lengths and of this, exactly before each of them is rounded.
    pub gap_length: f64,
    /// The distance from the first accepted fix to the last.
    pub displacement: f64,
    /// The rejected fixes by reason, in the order of [`RejectionReason`]. Reasons without fixes are omitted. Accepted
    /// and rejected fixes are all fixes.
    pub rejections: Vec<Rejection>,
    /// The time from the earliest to the latest checked fix: one that no rule but
    /// [`Options::min_step`](super::Options::min_step) rejects.
    pub elapsed_ns: Option<u128>,
    /// The total time of the accepted legs that are not slower than
    /// [`Options::stopped_speed`](super::Options::stopped_speed). Each moment counts once.
    pub moving_ns: Option<u128>,
    /// The highest average speed over at least 5 s of consecutive legs of a segment, per second.
    pub max_speed: Option<f64>,
    /// The sum of all climbs by the [`ClimbOptions`](super::ClimbOptions).
    pub ascent: Option<f64>,
    /// The sum of all descents by the [`ClimbOptions`](super::ClimbOptions), as a positive number.
    pub descent: Option<f64>,
    /// The smallest climb that counts, after the noise of the elevations so far. It is set if `ascent` is.
    pub climb_threshold: Option<f64>,
    /// The sum of all rises of accepted legs, without smoothing and threshold.
    pub raw_ascent: Option<f64>,
    /// The sum of all falls of accepted legs, as a positive number.
    pub raw_descent: Option<f64>,
    /// The bounding box of the accepted fixes.
    pub bounds: Option<Bounds>,
    /// The estimate of the true length, if the options request it and there are enough fixes with times.
    pub estimate: Option<EstimatedLength>,
    /// The stops and trips, if the options request the estimate.
    pub trips: Option<Trips>,
    /// The length by time, if the options request it.
    pub windows: Option<WindowsSummary>,
    /// The options that had no effect because no fix has the data that they need. An option that is set to its
    /// default is not listed. Empty if no fix has a position.
    pub unused_options: Vec<UnusedOption>,
}

/// The stops and trips of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trips {
    /// The number of stops.
    pub stop_count: u64,
    /// The number of trips.
    pub trip_count: u64,
    /// The sum of the durations of the stops.
    pub stopped_ns: u128,
    /// The latest stops in the order of time, at most [`EstimateOptions::max_trips`](super::EstimateOptions).
    pub stops: Vec<Stop>,
    /// The latest trips in the order of time, at most [`EstimateOptions::max_trips`](super::EstimateOptions).
    pub trips: Vec<Trip>,
}

/// An option that had no effect because no fix has the data that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnusedOption {
    /// The name of the option, as in [`OptionsError::option`](super::OptionsError).
    pub option: &'static str,
    /// The data that no fix has.
    pub missing: MissingData,
}

/// The data that an option needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MissingData {
    /// Times.
    Time,
    /// Elevations.
    Z,
    /// Accuracy radii.
    Accuracy,
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The reason.
    pub reason: RejectionReason,
    /// The number of fixes.
    pub count: u64,
    /// The smallest index of them in the path.
    pub first_offset: u64,
    /// The length that their rejection removes, correctly rounded: the legs to and from a rejected fix, without the
    /// distance between its neighbours. Rounded distances can make it a little less than 0.
    pub rejected_length: f64,
}
