//! The options of a path: the metric, the use of elevations, and the rules that break segments and
//! reject fixes. This file holds data; `policy.rs` applies the rules.

use super::metric::Metric;
use super::point::{PLANAR_MAX, Space};

/// The checked options of a path: metric, elevation mode, resolutions and filter rules.
///
/// Every rule is off by default. Distances are in metres and speeds in metres per second. For
/// [`Metric::Planar`], they are in the caller's unit and in that unit per second.
///
/// [`Options::new`] and [`Options::builder`] make options. A value of this type is always valid:
/// [`OptionsBuilder::build`](super::OptionsBuilder::build) checks each number.
///
/// ```
/// use waywiser::measure::{Metric, Options};
///
/// let options = Options::builder(Metric::Geodesic).max_speed(50.0).build()?;
/// assert_eq!(options.max_speed(), Some(50.0));
/// assert_eq!(Options::default().metric(), Metric::Geodesic);
/// # Ok::<(), waywiser::measure::OptionsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    pub(super) metric: Metric,
    pub(super) elevation: Elevation,
    pub(super) xy_resolution: f64,
    pub(super) z_resolution: f64,
    pub(super) max_gap_time_ns: Option<u64>,
    pub(super) max_gap: Option<f64>,
    pub(super) max_speed: Option<f64>,
    pub(super) reanchor_count: u32,
    pub(super) min_step: Option<f64>,
    pub(super) max_accuracy_m: Option<f64>,
    pub(super) reject_backward_time: bool,
    pub(super) stopped_speed: Option<f64>,
    pub(super) invalid_points: InvalidPoints,
}

/// The use of elevations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Elevation {
    /// Lengths are horizontal.
    #[default]
    Ignored,
    /// The summary has the length in three dimensions in addition to the horizontal length.
    ThreeDimensional,
}

/// The treatment of points without a valid position: not a number, infinite or out of range.
///
/// Receivers send such points while they have no fix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InvalidPoints {
    /// Such a point is an error.
    #[default]
    RejectCall,
    /// Such a point is counted, and listed as [`RejectionReason::InvalidPosition`]. A leg joins the points before
    /// and after it. If it is marked as the first of a segment, the next point with a position starts the segment.
    ///
    /// [`RejectionReason::InvalidPosition`]: super::RejectionReason::InvalidPosition
    Skip,
    /// As [`InvalidPoints::Skip`], and the next point with a position starts a segment.
    Split,
}

/// The default of [`Options::reanchor_count`].
pub const REANCHOR_COUNT: u32 = 3;

/// An option whose value is out of range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{option} is {value}, and must be {bounds}")]
#[non_exhaustive]
pub struct OptionsError {
    /// The name of the option.
    pub option: &'static str,
    /// The value that was set.
    pub value: f64,
    /// The values that are allowed.
    pub bounds: &'static str,
}

/// The default is geodesic lengths on WGS84, without elevations and without filter rules.
impl Default for Options {
    fn default() -> Self {
        Self::new(Metric::Geodesic)
    }
}

impl Options {
    /// Returns options without filter rules, which ignore elevations.
    pub fn new(metric: Metric) -> Self {
        let (xy_resolution, z_resolution) = match metric.space() {
            Space::Geographic => (1e-7, 1e-3),
            Space::Planar => (1.0, 1.0),
        };
        Self {
            metric,
            elevation: Elevation::Ignored,
            xy_resolution,
            z_resolution,
            max_gap_time_ns: None,
            max_gap: None,
            max_speed: None,
            reanchor_count: REANCHOR_COUNT,
            min_step: None,
            max_accuracy_m: None,
            reject_backward_time: false,
            stopped_speed: None,
            invalid_points: InvalidPoints::RejectCall,
        }
    }

    /// Returns the metric, which defines the length of a leg.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Returns the use of elevations.
    pub fn elevation(&self) -> Elevation {
        self.elevation
    }

    /// Returns the unit of whole-number coordinates: degrees or, for planar paths, the caller's unit.
    pub fn xy_resolution(&self) -> f64 {
        self.xy_resolution
    }

    /// Returns the unit of whole-number elevations: metres or, for planar paths, the caller's unit.
    pub fn z_resolution(&self) -> f64 {
        self.z_resolution
    }

    /// Returns the longest time between two fixes of a segment. A fix whose time differs from that of the last
    /// accepted fix by more than this starts a new segment.
    pub fn max_gap_time_ns(&self) -> Option<u64> {
        self.max_gap_time_ns
    }

    /// Returns the longest leg of a segment. A fix that is farther than this from the last accepted
    /// fix starts a new segment.
    pub fn max_gap(&self) -> Option<f64> {
        self.max_gap
    }

    /// Returns the highest speed of a leg. A fix is rejected if the leg to it exceeds this speed.
    pub fn max_speed(&self) -> Option<f64> {
        self.max_speed
    }

    /// Returns the number of consecutive fixes that override a rejection. If this many fixes in a row
    /// were rejected for time or speed and are consistent with each other, the path continues from
    /// the last of them in a new segment.
    pub fn reanchor_count(&self) -> u32 {
        self.reanchor_count
    }

    /// Returns the shortest leg. A fix that is nearer than this to the last accepted fix is rejected.
    pub fn min_step(&self) -> Option<f64> {
        self.min_step
    }

    /// Returns the largest accuracy radius in metres. A fix with a larger radius is rejected.
    pub fn max_accuracy_m(&self) -> Option<f64> {
        self.max_accuracy_m
    }

    /// Returns whether a fix that is earlier than the last accepted fix is rejected.
    pub fn reject_backward_time(&self) -> bool {
        self.reject_backward_time
    }

    /// Returns the speed below which a leg does not count as moving time.
    pub fn stopped_speed(&self) -> Option<f64> {
        self.stopped_speed
    }

    /// Returns the treatment of points without a valid position.
    pub fn invalid_points(&self) -> InvalidPoints {
        self.invalid_points
    }

    /// Checks that every number is in range.
    ///
    /// # Errors
    /// Returns the first option that is out of range.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        let positive = "a number above 0, at most 2^40";
        for (option, value) in [
            ("xy_resolution", Some(self.xy_resolution)),
            ("z_resolution", Some(self.z_resolution)),
            ("max_gap", self.max_gap),
            ("max_speed", self.max_speed),
            ("min_step", self.min_step),
            ("max_accuracy_m", self.max_accuracy_m),
            ("stopped_speed", self.stopped_speed),
        ] {
            let Some(value) = value else { continue };
            // Both comparisons are false for NaN.
            if !(value > 0.0 && value <= PLANAR_MAX) {
                return Err(OptionsError { option, value, bounds: positive });
            }
        }
        for (option, value) in [
            ("max_gap_time_ns", self.max_gap_time_ns.unwrap_or(1) as f64),
            ("reanchor_count", self.reanchor_count.into()),
        ] {
            if value == 0.0 {
                return Err(OptionsError { option, value, bounds: "at least 1" });
            }
        }
        Ok(())
    }

    /// Returns whether a rule may reject fixes or break segments, so that the accepted fixes may differ from
    /// all fixes.
    pub(super) fn is_selective(&self) -> bool {
        self.max_gap_time_ns.is_some()
            || self.max_gap.is_some()
            || self.max_speed.is_some()
            || self.min_step.is_some()
            || self.max_accuracy_m.is_some()
            || self.reject_backward_time
    }
}
