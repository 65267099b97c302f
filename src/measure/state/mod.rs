//! The state of a [`PathAccumulator`](super::PathAccumulator) as plain data, for code that stores it.
//!
//! `PathAccumulator::state` copies everything that the accumulator keeps. `PathAccumulator::try_from` checks every
//! value of a state, and the values against each other, and restores the accumulator. A state that no path can
//! have is an error. The arithmetic therefore never meets a coordinate that is out of range. `check.rs` has the
//! checks. A state has no byte format: stores define their own.

use super::bounds::longitudes::SECTORS;
use super::options::Options;
use super::sum::ExactSum;

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
    pub invalid_points: InvalidPointsState,
}

/// The fixes without a valid position.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InvalidPointsState {
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterState {
    /// The polyline through the accepted fixes.
    pub accepted: PolylineState,
    /// The last accepted fix of the current segment.
    pub reference: Option<FixState>,
    /// The last fix that was rejected for time or speed, and the number of consistent ones up to it.
    pub candidate: Option<(FixState, u32)>,
    /// The fixes that a rule rejected by reason, in the order of [`RejectionReason`](super::RejectionReason).
    pub rejections: [RejectionState; 4],
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
    /// The offset of the first one; 0 if there are none.
    pub first_offset: u64,
    /// The exact sum of the raw legs that end in one of them.
    pub length: ExactSum,
}

/// The statistics of the accepted fixes.
#[derive(Clone, Debug, PartialEq)]
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
