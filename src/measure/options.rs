//! How a path is measured: the metric, what is made of elevation, where segments break, and which
//! points are rejected. Data alone; `policy.rs` acts on it.

use super::metric::Metric;
use super::point::{PLANAR_MAX, Space};

/// How a path is measured. Every rule is off unless set.
///
/// Distances and speeds are in metres and metres a second or, for [`Metric::Planar`], in the caller's
/// unit and that a second. A new option needs a new version of the checkpoint format.
///
/// ```
/// use waywiser::measure::{Metric, Options};
///
/// let options = Options { max_speed: Some(50.0), ..Options::new(Metric::Geodesic) };
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// What a leg is.
    pub metric: Metric,
    /// What is made of elevations.
    pub elevation: Elevation,
    /// The unit of whole-number coordinates: degrees or, for planar paths, the caller's unit.
    pub xy_resolution: f64,
    /// The unit of whole-number elevations: metres or, for planar paths, the caller's unit.
    pub z_resolution: f64,
    /// A fix later than the accepted one before it by more than this starts a segment.
    pub max_gap_time_ns: Option<u64>,
    /// A fix farther than this from the accepted one before it starts a segment.
    pub max_gap: Option<f64>,
    /// A fix to which the way takes a greater speed than this is rejected.
    pub max_speed: Option<f64>,
    /// After so many fixes in a row that were rejected for time or speed and agree with one another,
    /// the path goes on from the last of them.
    pub reanchor_count: u32,
    /// A fix nearer than this to the accepted one before it is rejected.
    pub min_step: Option<f64>,
    /// A fix that is less accurate than this is rejected, in metres.
    pub max_accuracy_m: Option<f64>,
    /// A fix earlier than the accepted one before it is rejected.
    pub reject_backward_time: bool,
    /// A leg slower than this is one without motion.
    pub stopped_speed: Option<f64>,
}

/// What is made of elevations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Elevation {
    /// Lengths are those of the map.
    #[default]
    Ignored,
    /// The length in three dimensions is told beside the one of the map.
    ThreeDimensional,
}

/// How many rejected fixes have to agree unless set.
pub const REANCHOR_COUNT: u32 = 3;

/// An option that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{option} is {value}, and must be {bounds}")]
pub struct OptionsError {
    /// The name of the field.
    pub option: &'static str,
    /// What it is.
    pub value: f64,
    /// What it may be.
    pub bounds: &'static str,
}

impl Options {
    /// All points count, as they are on the map.
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
        }
    }

    /// Whether they make sense.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check(&self) -> Result<(), OptionsError> {
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
            // A NaN is neither.
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

    /// Whether some points may be rejected or some segments broken, so that what is accepted may
    /// differ from what there is.
    pub fn is_selective(&self) -> bool {
        self.max_gap_time_ns.is_some()
            || self.max_gap.is_some()
            || self.max_speed.is_some()
            || self.min_step.is_some()
            || self.max_accuracy_m.is_some()
            || self.reject_backward_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_makes_no_sense_is_named() {
        let good = Options::new(Metric::Geodesic);
        assert_eq!(good.check(), Ok(()));
        let bad = Options { max_speed: Some(f64::NAN), ..good };
        insta::assert_snapshot!(
            bad.check().unwrap_err(),
            @"max_speed is NaN, and must be a number above 0, at most 2^40"
        );
        let bad = Options { reanchor_count: 0, ..good };
        insta::assert_snapshot!(
            bad.check().unwrap_err(),
            @"reanchor_count is 0, and must be at least 1"
        );
        for value in [0.0, -1.0, f64::INFINITY, 2_f64.powi(41)] {
            assert!(Options { min_step: Some(value), ..good }.check().is_err());
            assert!(Options { xy_resolution: value, ..good }.check().is_err());
        }
    }
}
