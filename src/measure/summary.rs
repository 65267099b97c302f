//! What is told of a path of fixes, as data. A [`PathAccumulator`](super::PathAccumulator) makes it; reports and
//! replies are made of it.

use super::bounds::Bounds;
use super::metric::Metric;

/// What is known of a path of fixes so far. Lengths are in metres or, for [`Metric::Planar`], in the
/// caller's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct PathSummary {
    /// What a leg is.
    pub metric: Metric,
    /// All fixes.
    pub point_count: u64,
    /// Those that were not rejected.
    pub accepted_count: u64,
    /// Unbroken runs of accepted fixes.
    pub segment_count: u64,
    /// The correctly rounded sum of the accepted legs.
    pub length: f64,
    /// The correctly rounded sum of all legs but those across breaks that the fixes themselves tell.
    pub raw_length: f64,
    /// `length` in three dimensions, if asked for.
    pub length_3d: Option<f64>,
    /// From the first accepted fix to the last.
    pub displacement: f64,
    /// Why fixes were rejected, in the order in which the rules apply; none that never applied.
    pub rejections: Vec<Rejection>,
    /// From the earliest to the latest time of an accepted fix.
    pub elapsed_ns: Option<u64>,
    /// The time of the accepted legs that are not slower than [`Options::stopped_speed`](super::Options::stopped_speed).
    pub moving_ns: Option<u64>,
    /// The greatest speed of an accepted leg, a second.
    pub max_speed: Option<f64>,
    /// The sum of all rises along accepted legs.
    pub ascent: Option<f64>,
    /// The sum of all falls, not negative.
    pub descent: Option<f64>,
    /// The box around the accepted fixes.
    pub bounds: Option<Bounds>,
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejection {
    /// The reason.
    pub reason: RejectionReason,
    /// How many there are.
    pub count: u64,
    /// The offset of the first one.
    pub first_offset: u64,
    /// The correctly rounded sum of the raw legs that end in one of them.
    pub rejected_length: f64,
}

/// Why a fix was rejected, in the order in which the rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionReason {
    /// It is earlier than the accepted fix before it.
    BackwardTime,
    /// It is not accurate enough.
    Accuracy,
    /// The way to it takes too great a speed.
    Speed,
    /// It is too near to the accepted fix before it.
    Step,
}
