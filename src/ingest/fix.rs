//! The checks of a fix.

use super::json::Scalar;
use super::problem::FixProblem;
use super::time;
use crate::measure::{Fix, Point};

/// The values of a fix as they were sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'a> {
    pub(super) latitude: &'a Scalar,
    pub(super) longitude: &'a Scalar,
    pub(super) time: &'a Scalar,
    /// The radius in metres.
    pub(super) accuracy: &'a Scalar,
    /// The elevation in metres.
    pub(super) altitude: &'a Scalar,
    /// The error of the elevation in metres. Negative if the elevation is not valid.
    pub(super) vertical_accuracy: &'a Scalar,
}

impl Values<'_> {
    /// Checks the values.
    ///
    /// An accuracy or elevation that is no number or out of range is missing. An accuracy of 0 is missing, too: apps send it
    /// if the system reports none. A negative one says that the position is not valid.
    ///
    /// # Errors
    /// If the position or the time is missing, wrong or not valid.
    pub(super) fn check(&self, now_unix_ns: i64) -> Result<Fix, FixProblem> {
        let latitude = coordinate(self.latitude, "latitude", 90.0, FixProblem::Latitude)?;
        let longitude = coordinate(self.longitude, "longitude", 180.0, FixProblem::Longitude)?;
        let unix_ns = time::unix_ns(self.time, now_unix_ns)?;
        let accuracy_m = self.accuracy.number();
        if accuracy_m.is_some_and(|accuracy_m| accuracy_m < 0.0) {
            return Err(FixProblem::NotValid);
        }
        let point = Point::geographic(latitude, longitude).map_err(|_| FixProblem::Latitude)?;
        let mut fix = Fix::new(point).at_unix_ns(unix_ns).map_err(|_| FixProblem::Time)?;
        if let Some(accuracy_m) = accuracy_m.filter(|&accuracy_m| accuracy_m > 0.0) {
            fix = fix.with_accuracy_m(accuracy_m).unwrap_or(fix);
        }
        let is_valid = self.vertical_accuracy.number().is_none_or(|error_m| error_m >= 0.0);
        if let Some(altitude_m) = self.altitude.number().filter(|_| is_valid) {
            fix = fix.with_z(altitude_m).unwrap_or(fix);
        }
        Ok(fix)
    }
}

fn coordinate(
    value: &Scalar,
    name: &'static str,
    max: f64,
    out_of_range: FixProblem,
) -> Result<f64, FixProblem> {
    if value.is_missing() {
        return Err(FixProblem::Missing(name));
    }
    let degrees = value.number().ok_or(FixProblem::NotANumber(name))?;
    if degrees.abs() <= max { Ok(degrees) } else { Err(out_of_range) }
}
