//! Traccar Client 9 and later: one location in a body of JSON.
//!
//! The form is that of <https://www.traccar.org/osmand/>: `location` has a `timestamp` and `coords` with `latitude`, `longitude`,
//! `accuracy`, `altitude` and, in some versions, `altitude_accuracy`. A location without `coords` is an event. The device is
//! `device_id`. An accuracy of 0 is a missing one.

use serde::Deserialize;

use super::fix::Values;
use super::json::{self, Object, Scalar};
use super::{Batch, Event, Rejection, Request, device};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    location: Object<Location>,
    device_id: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location {
    timestamp: Scalar,
    coords: Object<Coordinates>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Coordinates {
    latitude: Scalar,
    longitude: Scalar,
    accuracy: Scalar,
    altitude: Scalar,
    altitude_accuracy: Scalar,
}

/// Reads a request.
///
/// # Errors
/// If it is not a location of Traccar Client, or names a device that no recording can have.
pub(super) fn parse(request: &Request<'_>) -> Result<Batch, Rejection> {
    let message: Message = json::read(request.body)?;
    let name = message.device_id.name();
    let device = device::checked(name.as_deref())?;
    let location = match &message.location {
        Object::Members(location) => location,
        // A device without a location is alive.
        Object::Missing if device.is_some() => return Ok(Batch::of_event(Event::NoPosition)),
        Object::Missing | Object::Other => {
            return Err(Rejection::OtherProtocol("it has no location"));
        }
    };
    let coords = match &location.coords {
        Object::Members(coords) => coords,
        Object::Missing => return Ok(Batch::of_event(Event::NoPosition)),
        Object::Other => return Err(Rejection::OtherProtocol("its coords are not an object")),
    };
    let values = Values {
        latitude: &coords.latitude,
        longitude: &coords.longitude,
        time: &location.timestamp,
        accuracy: &coords.accuracy,
        altitude: &coords.altitude,
        vertical_accuracy: &coords.altitude_accuracy,
    };
    let mut batch = Batch::default();
    batch.add(0, device, values.check(request.now_unix_ns));
    Ok(batch)
}
