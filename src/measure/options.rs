//! The options of a path: the metric, the use of elevations, and the rules that break segments and
//! reject fixes. This file holds data; `policy.rs` applies the rules.

use super::metric::Metric;
use super::point::{PLANAR_MAX, Space};
use super::windows::WindowOptions;

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
    pub(super) reject_zero_position: bool,
    pub(super) reorder: Option<Reorder>,
    pub(super) drop_duplicates: bool,
    pub(super) climb: ClimbOptions,
    pub(super) estimate: Option<EstimateOptions>,
    pub(super) windows: Option<WindowOptions>,
}

/// The limits of the buffer that puts fixes in the order of their times. See [`Options::reorder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// The maximum number of fixes in the buffer, from 1 to [`Reorder::COUNT_MAX`].
    pub count: u32,
    /// A fix leaves the buffer when it is earlier than the latest time by more than this.
    pub time_ns: Option<u64>,
}

impl Reorder {
    /// The largest number of fixes in the buffer.
    pub const COUNT_MAX: u32 = 256;
}

/// The options of ascent and descent. See [`Options::climb`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClimbOptions {
    /// The smallest climb from a turning point that counts, in metres or in the caller's unit; above 0.
    pub threshold: f64,
    /// The time over which elevations are averaged; 0 turns it off. At most [`ClimbOptions::SMOOTHING_MAX_NS`].
    pub smoothing_ns: u64,
}

impl ClimbOptions {
    /// The longest smoothing time: 10 minutes.
    pub const SMOOTHING_MAX_NS: u64 = 600 * 1_000_000_000;
}

/// The default has the smallest errors in simulated profiles: a threshold of 3 and a smoothing time of 45 s.
impl Default for ClimbOptions {
    fn default() -> Self {
        Self { threshold: 3.0, smoothing_ns: 45 * 1_000_000_000 }
    }
}

/// The options of the estimate of the true length. See [`Options::estimate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimateOptions {
    /// The duration of the shortest stop, at least 1 s.
    pub min_stop_ns: u64,
    /// The maximum number of stops, and of trips, that the summary lists. At most [`EstimateOptions::TRIPS_MAX`].
    pub max_trips: u32,
}

impl EstimateOptions {
    /// The largest number of trips in a list.
    pub const TRIPS_MAX: u32 = 1000;
    /// The largest number of trips in the list of a recording, which is stored with each commit.
    pub const RECORDING_TRIPS_MAX: u32 = 32;
}

/// The default is a shortest stop of 60 s, and no lists.
impl Default for EstimateOptions {
    fn default() -> Self {
        Self { min_stop_ns: 60 * 1_000_000_000, max_trips: 0 }
    }
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
/// The largest [`Options::reanchor_count`].
pub const REANCHOR_COUNT_MAX: u32 = 16;
/// The default of [`Options::stopped_speed`] for geographic metrics, in metres per second.
pub const STOPPED_SPEED_MPS: f64 = 0.3;

/// An option whose value is out of range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{option} is {}, and must be {bounds}", self.value_text())]
#[non_exhaustive]
pub struct OptionsError {
    /// The name of the option.
    pub option: &'static str,
    /// The value that was set.
    pub value: f64,
    /// The values that are allowed.
    pub bounds: &'static str,
}

impl OptionsError {
    /// Returns the value as text, with its unit if it is a time.
    pub fn value_text(&self) -> String {
        let Self { option, value, .. } = self;
        match option.strip_suffix("_ns") {
            Some(_) if *value >= 1e9 => format!("{} s", value / 1e9),
            Some(_) => format!("{value} ns"),
            None if matches!(*option, "drop_duplicates" | "estimate") => "set".to_owned(),
            None => value.to_string(),
        }
    }
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
        let (xy_resolution, z_resolution, stopped_speed) = match metric.space() {
            Space::Geographic => (1e-7, 1e-3, Some(STOPPED_SPEED_MPS)),
            Space::Planar => (1.0, 1.0, None),
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
            stopped_speed,
            invalid_points: InvalidPoints::RejectCall,
            reject_zero_position: false,
            reorder: None,
            drop_duplicates: false,
            climb: ClimbOptions::default(),
            estimate: None,
            windows: None,
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

    /// Returns the longest time between two fixes of a segment. A fix whose time differs by more than this from that of
    /// the last checked fix with a time starts a new segment. The checked fixes are those that no rule but
    /// [`Options::min_step`] rejects.
    pub fn max_gap_time_ns(&self) -> Option<u64> {
        self.max_gap_time_ns
    }

    /// Returns the longest leg of a segment. A fix that is farther than this from the last checked fix starts a new
    /// segment.
    pub fn max_gap(&self) -> Option<f64> {
        self.max_gap
    }

    /// Returns the highest speed. A fix is rejected if its speed from the last checked fix with a time is higher. The
    /// speed to a fix that is not later is infinite, except at the same place and time.
    pub fn max_speed(&self) -> Option<f64> {
        self.max_speed
    }

    /// Returns the number of fixes that override a rejection. If this many fixes were rejected for time or speed and
    /// agree with each other, they start a new segment. At most [`REANCHOR_COUNT_MAX`].
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

    /// Returns whether a fix that is earlier than the last checked fix with a time is rejected.
    pub fn reject_backward_time(&self) -> bool {
        self.reject_backward_time
    }

    /// Returns the speed below which a leg does not count as moving time. The default is [`STOPPED_SPEED_MPS`] for
    /// geographic metrics and unset for planar ones, which have no moving time without it.
    pub fn stopped_speed(&self) -> Option<f64> {
        self.stopped_speed
    }

    /// Returns whether a fix at x = 0 and y = 0 is rejected, which many receivers report while they have no fix.
    pub fn reject_zero_position(&self) -> bool {
        self.reject_zero_position
    }

    /// Returns the limits of the buffer that puts fixes in the order of their times. A fix that is earlier than one
    /// that has left the buffer is rejected.
    pub fn reorder(&self) -> Option<Reorder> {
        self.reorder
    }

    /// Returns whether a fix is rejected whose time and position equal those of a fix in the buffer of
    /// [`Options::reorder`], or of the last one that has left it. Fixes with equal times are then put in the order of
    /// their positions. Only with [`Options::reorder`].
    pub fn drop_duplicates(&self) -> bool {
        self.drop_duplicates
    }

    /// Returns the options of ascent and descent.
    pub fn climb(&self) -> ClimbOptions {
        self.climb
    }

    /// Returns the options of the estimate of the true length, if it is requested. Only for geographic metrics.
    pub fn estimate(&self) -> Option<EstimateOptions> {
        self.estimate
    }

    /// Returns the periods of time by which the length is divided, if this is requested.
    pub fn windows(&self) -> Option<WindowOptions> {
        self.windows
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
            ("climb_threshold", Some(self.climb.threshold)),
        ] {
            let Some(value) = value else { continue };
            // Both comparisons are false for NaN.
            if !(value > 0.0 && value <= PLANAR_MAX) {
                return Err(OptionsError { option, value, bounds: positive });
            }
        }
        let estimate = self.estimate.unwrap_or_default();
        let reorder = self.reorder.unwrap_or(Reorder { count: 1, time_ns: None });
        let windows_max = self.windows.map_or(1, |windows| windows.max_windows);
        let no_max = u64::MAX;
        for (option, value, range, bounds) in [
            ("max_gap_time_ns", self.max_gap_time_ns.unwrap_or(1), 1..=no_max, "at least 1 ns"),
            (
                "reanchor_count",
                self.reanchor_count.into(),
                1..=REANCHOR_COUNT_MAX.into(),
                "from 1 to 16",
            ),
            ("reorder_count", reorder.count.into(), 1..=Reorder::COUNT_MAX.into(), "from 1 to 256"),
            ("reorder_time_ns", reorder.time_ns.unwrap_or(1), 1..=no_max, "at least 1 ns"),
            (
                "climb_smoothing_ns",
                self.climb.smoothing_ns,
                0..=ClimbOptions::SMOOTHING_MAX_NS,
                "at most 10 minutes",
            ),
            ("min_stop_ns", estimate.min_stop_ns, 1_000_000_000..=no_max, "at least 1 second"),
            (
                "max_trips",
                estimate.max_trips.into(),
                0..=EstimateOptions::TRIPS_MAX.into(),
                "at most 1000",
            ),
            (
                "max_windows",
                windows_max.into(),
                1..=WindowOptions::WINDOWS_MAX.into(),
                "from 1 to 100000",
            ),
        ] {
            if !range.contains(&value) {
                return Err(OptionsError { option, value: value as f64, bounds });
            }
        }
        if self.drop_duplicates && self.reorder.is_none() {
            let bounds = "off without reordering: only points in the buffer are compared";
            return Err(OptionsError { option: "drop_duplicates", value: 1.0, bounds });
        }
        if self.estimate.is_some() && self.metric.space() == Space::Planar {
            let bounds = "off for planar paths: the estimate is for geographic paths";
            return Err(OptionsError { option: "estimate", value: 1.0, bounds });
        }
        Ok(())
    }

    /// Returns whether a rule may reject fixes or break segments, so that the accepted fixes may differ from
    /// all fixes.
    pub(crate) fn is_selective(&self) -> bool {
        self.max_gap_time_ns.is_some()
            || self.max_gap.is_some()
            || self.max_speed.is_some()
            || self.min_step.is_some()
            || self.max_accuracy_m.is_some()
            || self.reject_backward_time
            || self.reject_zero_position
            || self.reorder.is_some()
    }
}
