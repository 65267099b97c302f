//! A point that is a record of its own, with its optional values and their faults.

use super::super::error::{FormatError, Position};
use super::super::track_writer::{Attribute, RawFix};
use super::Walk;

/// A point before it is checked.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub position: Position,
    /// The longitude and latitude, or the reason why they are missing.
    pub xy: Result<[f64; 2], String>,
    pub z: Option<f64>,
    pub unix_ns: Option<i64>,
    pub accuracy_m: Option<f64>,
    /// The values that cannot be read.
    pub faults: Vec<(Attribute, String)>,
    /// The identifier of the device or track.
    pub device: Option<String>,
}

impl Sample {
    pub(super) fn new(position: Position, xy: Result<[f64; 2], String>) -> Self {
        Self {
            position,
            xy,
            z: None,
            unix_ns: None,
            accuracy_m: None,
            faults: Vec::new(),
            device: None,
        }
    }

    pub(super) fn set_time(&mut self, time: Result<Option<i64>, String>) {
        self.unix_ns = self.keep(Attribute::Time, time);
    }

    pub(super) fn set_elevation(&mut self, elevation: Result<Option<f64>, String>) {
        self.z = self.keep(Attribute::Elevation, elevation);
    }

    pub(super) fn set_accuracy(&mut self, accuracy: Result<Option<f64>, String>) {
        self.accuracy_m = self.keep(Attribute::Accuracy, accuracy);
    }

    fn keep<T>(&mut self, attribute: Attribute, value: Result<Option<T>, String>) -> Option<T> {
        value.unwrap_or_else(|message| {
            self.faults.push((attribute, message));
            None
        })
    }

    /// Passes the point to the current track.
    pub(super) fn write(&self, walk: &mut Walk<'_, '_>) -> Result<(), FormatError> {
        let [x, y] = match &self.xy {
            Ok(xy) => *xy,
            Err(message) => return walk.out.invalid_point(self.position, message.as_str()),
        };
        for (attribute, message) in &self.faults {
            walk.out.invalid_value(*attribute, self.position, message.as_str())?;
        }
        let (z, unix_ns, accuracy_m) = (self.z, self.unix_ns, self.accuracy_m);
        walk.point(&RawFix { z, unix_ns, accuracy_m, ..RawFix::new(self.position, x, y) })
    }
}
