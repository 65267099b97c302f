//! A position of Google location history, in integers of 1e-7 degrees.

use serde::de::MapAccess;

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::Walk;
use super::super::owntracks::coordinate;
use super::super::sample::Sample;
use super::super::visit::{Key, Receive, Scalar};

/// A position while its members are read.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Place {
    latitude_e7: Scalar,
    longitude_e7: Scalar,
    timestamp: Scalar,
    /// Whether the timestamp is a number of milliseconds.
    is_epoch: bool,
    accuracy: Scalar,
    altitude: Scalar,
    device: Scalar,
}

impl Place {
    /// Reads a member. Returns `false` if it has no meaning.
    pub(in super::super) fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        let slot = match key.as_str() {
            "latitudeE7" | "latE7" => &mut self.latitude_e7,
            "longitudeE7" | "lngE7" | "lonE7" => &mut self.longitude_e7,
            "timestamp" | "timestampMs" => {
                self.is_epoch = key.as_str() == "timestampMs";
                &mut self.timestamp
            }
            "accuracy" | "accuracyMeters" => &mut self.accuracy,
            "altitude" => &mut self.altitude,
            "deviceTag" => &mut self.device,
            _ => return Ok(false),
        };
        *slot = Scalar::read(members)?;
        Ok(true)
    }

    pub(in super::super) fn is_place(&self) -> bool {
        !self.latitude_e7.is_null() || !self.longitude_e7.is_null()
    }

    /// Returns the point.
    ///
    /// # Errors
    /// In strict mode, if a value was corrected.
    pub(in super::super) fn sample(&self, walk: &mut Walk<'_, '_>) -> Result<Sample, FormatError> {
        let position = walk.position.get();
        let xy = match self.is_place() {
            false => Err("the entry has no position".to_owned()),
            true => {
                let x = degrees(walk, position, "longitude", &self.longitude_e7, 180.0)?;
                let y = degrees(walk, position, "latitude", &self.latitude_e7, 90.0)?;
                x.and_then(|x| y.map(|y| [x, y]))
            }
        };
        let mut sample = Sample::new(position, xy);
        sample.set_time(match self.is_epoch {
            true => walk.times.epoch_unix_ns(&self.timestamp),
            false => walk.times.unix_ns(&self.timestamp),
        });
        sample.set_elevation(self.altitude.number("elevation"));
        sample.set_accuracy(self.accuracy.number("accuracy"));
        sample.device = self.device.text();
        Ok(sample)
    }
}

impl Receive for Place {
    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Key,
        members: &mut A,
    ) -> Result<bool, A::Error> {
        Place::member(self, key, members)
    }
}

/// Returns the degrees. Corrects a value that exceeded 32 bits when it was written, a known fault of the
/// export.
fn degrees(
    walk: &mut Walk<'_, '_>,
    position: Position,
    name: &str,
    value: &Scalar,
    max: f64,
) -> Result<Result<f64, String>, FormatError> {
    const RANGE: f64 = 4_294_967_296.0;
    let e7 = match coordinate(name, value) {
        Ok(e7) => e7,
        Err(message) => return Ok(Err(message)),
    };
    let corrected = e7 - RANGE * e7.signum();
    if e7.abs() <= max * 1e7 || corrected.abs() > max * 1e7 {
        return Ok(Ok(e7 / 1e7));
    }
    let message = format!(
        "values such as the {name} {e7}e-7 exceed 32 bits, and 2^32 is subtracted from or added to them"
    );
    // The kind of note whose message is the same for each value would be repeated for each number.
    if !std::mem::replace(&mut walk.has_corrected_e7, true) {
        walk.out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
    }
    Ok(Ok(corrected / 1e7))
}
