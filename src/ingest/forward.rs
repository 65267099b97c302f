//! A Traccar server that forwards positions as JSON (`forward.url`, and `forward.type` json).
//!
//! The form is that of <https://www.traccar.org/forward/>: `position` and `device`. The device is its `uniqueId`, which is what the
//! tracker sends. The time is `fixTime`, or else `deviceTime`. A position that is not `valid`, or is `outdated`, repeats an
//! earlier one and is an event, as is the message of an event. An accuracy of 0 is a missing one.

use serde::Deserialize;

use super::fix::Values;
use super::json::{self, Object, Scalar};
use super::{Batch, Event, Rejection, Request, device, excerpt};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    position: Object<Position>,
    device: Object<Device>,
    event: Object<EventMessage>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Position {
    fix_time: Scalar,
    device_time: Scalar,
    latitude: Scalar,
    longitude: Scalar,
    altitude: Scalar,
    accuracy: Scalar,
    valid: Scalar,
    outdated: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Device {
    unique_id: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventMessage {
    #[serde(rename = "type")]
    kind: Scalar,
}

/// Reads a request.
///
/// # Errors
/// If it is not a message of a Traccar server, or names a device that no recording can have.
pub(super) fn parse(request: &Request<'_>) -> Result<Batch, Rejection> {
    let message: Message = json::read(request.body)?;
    if let Some(event) = message.event.members() {
        let kind = event.kind.text().unwrap_or("event");
        return Ok(Batch::of_event(Event::Message(excerpt(kind))));
    }
    let Some(position) = message.position.members() else {
        return Err(Rejection::OtherProtocol("it has no position"));
    };
    let name = message.device.members().and_then(|device| device.unique_id.name());
    let device = device::checked(name.as_deref())?;
    if position.valid.is_false() || position.outdated.is_true() {
        return Ok(Batch::of_event(Event::NoPosition));
    }
    let values = Values {
        latitude: &position.latitude,
        longitude: &position.longitude,
        time: match position.fix_time.is_missing() {
            true => &position.device_time,
            false => &position.fix_time,
        },
        accuracy: &position.accuracy,
        altitude: &position.altitude,
        vertical_accuracy: &Scalar::Missing,
    };
    let mut batch = Batch::default();
    batch.add(0, device, values.check(request.now_unix_ns));
    Ok(batch)
}
