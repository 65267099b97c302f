//! The checks of a fix.

use super::json::Scalar;
use super::time;
use crate::measure::{Fix, Point};

/// The reason why a fix cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FixProblem {
    /// The element is not an object.
    #[error("the point is not an object")]
    NotAnObject,
    /// A value is missing.
    #[error("the {0} is missing")]
    Missing(&'static str),
    /// A value is not a number.
    #[error("the {0} is not a number")]
    NotANumber(&'static str),
    /// The latitude is out of range.
    #[error("the latitude is outside of -90 to 90; are latitude and longitude swapped?")]
    Latitude,
    /// The longitude is out of range.
    #[error("the longitude is outside of -180 to 180")]
    Longitude,
    /// The device reports that the position is not valid.
    #[error("the device reports that the position is not valid")]
    NotValid,
    /// The time cannot be read.
    #[error(
        "the time cannot be read; send seconds or milliseconds since 1970, or a time such as 2024-05-18T09:12:40Z"
    )]
    Time,
    /// The time is before 2000.
    #[error("the time is before 2000: the clock of the device is not set")]
    TooEarly,
    /// The time is in the future.
    #[error(
        "the time is more than an hour in the future: the clock or the time zone of the device is wrong"
    )]
    TooLate,
}

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
