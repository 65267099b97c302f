//! The state of a [`PathAccumulator`](super::PathAccumulator) as plain data, for code that stores it.
//!
//! `PathAccumulator::state` copies everything that the accumulator keeps. `PathAccumulator::try_from` checks every
//! value of a state, and the values against each other, and restores the accumulator. A state that no path can
//! have is an error. The arithmetic therefore never meets a coordinate that is out of range. `check.rs` has the
//! checks. A state has no byte format: stores define their own.

use super::bounds::longitudes::SECTORS;
use super::climb::ClimbState;
use super::estimate::EstimateState;
use super::options::Options;
use super::rejection_reason::RejectionReason;
use super::seen_attributes::SeenAttributes;
use super::sum::{ExactSum, SignedSum};
use super::windows::WindowsState;

pub use self::extremes::ExtremesState;

mod check;
mod extremes;
#[cfg(test)]
mod tests;

/// Everything that a [`PathAccumulator`](super::PathAccumulator) keeps.
///
/// Coordinates are canonical: units of 1e-7 degree for geographic metrics, the unit of the caller for
/// [`Metric::Planar`](super::Metric::Planar). No value is a negative zero.
///
/// ```
/// use waywiser::measure::{Metric, Options, PathAccumulator, Point};
///
/// let mut path = PathAccumulator::new(Options::new(Metric::Planar));
/// path.extend(&[Point::planar(0.0, 0.0)?.into(), Point::planar(3.0, 4.0)?.into()])?;
/// let mut state = path.state();
/// assert_eq!(PathAccumulator::try_from(state.clone())?, path);
///
/// state.raw.segment_count = 3;
/// assert!(PathAccumulator::try_from(state).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The options of the path.
    pub options: Options,
    /// The polyline through all fixes that have a position.
    pub raw: PolylineState,
    /// The filter. It is set exactly if a rule of the options can reject fixes or break segments.
    pub filter: Option<FilterState>,
    /// The statistics of the accepted fixes.
    pub stats: StatsState,
    /// The attributes of the last fix. With a filter, they are unset.
    pub last: AttributesState,
    /// The fixes without a position.
    pub invalid_points: SkippedFixesState,
    /// The attributes that at least one fix with a position has.
    pub seen: SeenAttributes,
    /// The buffer that puts fixes in order. It is set exactly if the options request it.
    pub reorder: Option<ReorderState>,
    /// The ascent and the descent of the accepted fixes.
    pub climb: ClimbState,
    /// The lengths by time. They are set exactly if the options request them.
    pub windows: Option<WindowsState>,
    /// The estimator. It is set exactly if the options request it.
    pub estimate: Option<EstimateState>,
}

impl State {
    /// Returns the number of fixes, including those without a position, those that wait in the buffer, and
    /// the duplicates.
    pub(super) fn point_count(&self) -> u64 {
        let in_buffer = self.reorder.as_ref().map_or(0, |buffer| {
            buffer.duplicates.count.saturating_add(buffer.waiting.len() as u64)
        });
        let measured = self.raw.point_count.saturating_add(self.invalid_points.count);
        measured.saturating_add(in_buffer)
    }
}

/// Fixes that are counted and not measured: those without a valid position, or duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SkippedFixesState {
    /// The number of fixes.
    pub count: u64,
    /// The offset of the first one; 0 if there are none.
    pub first_offset: u64,
}

/// The state of one polyline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolylineState {
    /// The exact sum of all legs.
    pub length: ExactSum,
    /// The number of points.
    pub point_count: u64,
    /// The number of segments that have points.
    pub segment_count: u64,
    /// The coordinates that are kept of the points. `None` if there are no points.
    pub places: Option<PlacesState>,
    /// Whether the next point starts a segment.
    pub is_broken: bool,
    /// Whether a segment was started before the first point.
    pub is_broken_before_first: bool,
}

/// The coordinates that are kept of the points and legs of a polyline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacesState {
    /// The first point, as x and y.
    pub first: [f64; 2],
    /// The last point.
    pub last: [f64; 2],
    /// The smallest and the largest y of all points and legs.
    pub y: [f64; 2],
    /// The smallest and the largest covered longitude in each sector of 22.5 degrees, from the antimeridian to the
    /// east. Of a planar path, the first element has the smallest and the largest x.
    pub x: [Option<[f64; 2]>; SECTORS],
}

/// The state of the filter.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterState {
    /// The polyline through the accepted fixes, without the tentative one.
    pub accepted: PolylineState,
    /// The reason of the last fix that has a position, if a rule rejected it that looks at the fix alone.
    pub screened: Option<RejectionReason>,
    /// The fixes with which the next fix is compared. It is missing if the next fix that passes the rules that look
    /// at a fix alone starts a segment.
    pub segment: Option<SegmentState>,
    /// The only checked fix of the segment, which can still be rejected. It is the accepted fix of `segment`.
    pub tentative: Option<TentativeState>,
    /// The fixes in a row that were rejected for time or speed and agree with each other. They are not counted yet.
    pub candidates: Vec<CandidateState>,
    /// The rejected fixes by reason, in the order of [`RejectionReason`]. The entry of fixes without a position is
    /// empty.
    pub rejections: [RejectionState; RejectionReason::COUNT],
    /// The exact sum of the distances over the gaps between segments.
    pub gap_length: SignedSum,
}

/// The fixes of a segment with which later fixes are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentState {
    /// The last accepted fix.
    pub accepted: FixState,
    /// The canonical coordinates of the last checked fix.
    pub checked: [f64; 2],
    /// The last checked fix that has a time.
    pub timed: Option<TimedPlaceState>,
}

/// The place and the time of a fix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimedPlaceState {
    /// The canonical coordinates, x and y.
    pub at: [f64; 2],
    /// The time in nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
}

/// The first fix of a segment, until another fix follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TentativeState {
    /// The index in the path.
    pub offset: u64,
    /// The canonical coordinates of the last accepted fix before it. They are missing after a marked start of a
    /// segment.
    pub before: Option<[f64; 2]>,
}

/// A fix that was rejected for time or speed, and can still start a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CandidateState {
    /// The fix. It has a time.
    pub fix: FixState,
    /// The index in the path.
    pub offset: u64,
    /// The reason.
    pub reason: RejectionReason,
}

/// A fix from which other fixes are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixState {
    /// The canonical coordinates, x and y.
    pub at: [f64; 2],
    /// The elevation and the time.
    pub attributes: AttributesState,
}

/// The elevation and the time of a fix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AttributesState {
    /// The elevation.
    pub z: Option<f64>,
    /// The time in nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: Option<i64>,
}

/// The fixes that were rejected for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RejectionState {
    /// The number of fixes.
    pub count: u64,
    /// The least offset; 0 if there are none.
    pub first_offset: u64,
    /// The exact length that their rejection removes.
    pub length: SignedSum,
}

/// The statistics of the accepted fixes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsState {
    /// The earliest and the latest time of a checked fix, in nanoseconds since 1970-01-01T00:00:00Z.
    pub checked_times: Option<[i64; 2]>,
    /// The earliest and the latest time of an accepted fix.
    pub accepted_times: Option<[i64; 2]>,
    /// The time of the legs in motion, in nanoseconds. It is set once a leg has a duration, if the options have the
    /// speed of a stop.
    pub moving_ns: Option<u64>,
    /// The highest average speed of a run.
    pub max_speed: Option<f64>,
    /// The runs that have not ended; `None` if there are none.
    pub speed_runs: Option<SpeedRunsState>,
    /// The exact sums of all rises and of all falls. They are set once a leg has elevations at both ends.
    pub climb: Option<[ExactSum; 2]>,
    /// The exact sum of the legs in three dimensions; 0 if the options do not request it.
    pub length_3d: ExactSum,
}

/// The runs from which the highest speed is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedRunsState {
    /// The starts of the runs, in the order of their times.
    pub open: Vec<SpeedRunState>,
    /// The exact sum of the legs since an earlier fix.
    pub length: ExactSum,
    /// The time of the last accepted fix.
    pub last_unix_ns: i64,
}

/// The start of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeedRunState {
    /// The time.
    pub unix_ns: i64,
    /// The sum of the legs from the same fix as [`SpeedRunsState::length`] to the start.
    pub length: ExactSum,
}

/// The buffer that puts fixes in the order of their times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReorderState {
    /// The fixes that wait, in the order in which they leave.
    pub waiting: Vec<BufferedFixState>,
    /// The largest key of the fixes that have left.
    pub left_unix_ns: Option<i64>,
    /// The position of the fix with this key, if duplicates are dropped and that fix has a time.
    pub left_at: Option<[f64; 2]>,
    /// The key of the last fix that was added. It is set exactly if a fix waits.
    pub sent_unix_ns: Option<i64>,
    /// The duplicates that were dropped.
    pub duplicates: SkippedFixesState,
}

/// A fix that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BufferedFixState {
    /// The canonical coordinates, x and y.
    pub at: [f64; 2],
    /// The time of the fix or, without one, of the fix that was sent before it.
    pub key_unix_ns: i64,
    /// The elevation and the time.
    pub attributes: AttributesState,
    /// The accuracy radius in metres.
    pub accuracy_m: Option<f64>,
    /// The index of the fix in the path.
    pub offset: u64,
}

/// A state that no path can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid state of a path: {part}: {problem}")]
pub struct StateError {
    /// The part of the state.
    pub part: &'static str,
    /// A description of the problem.
    pub problem: &'static str,
}

impl State {
    /// Checks all values.
    ///
    /// # Errors
    /// If no path has this state.
    pub(super) fn check(&self) -> Result<(), StateError> {
        check::check(self)
    }
}
