//! Overland: a batch of GeoJSON features in a body of JSON.
//!
//! The form is that of the README of <https://github.com/aaronpk/Overland-iOS>: `locations` has features with a point, whose
//! coordinates are longitude and latitude, and properties. `altitude` counts unless `vertical_accuracy` is negative, and a
//! negative `horizontal_accuracy` says that the position is not valid. A feature with an `action`, or that is the record of
//! a trip, is an event: its position is that of a fix. `current` and `trip` of the request repeat fixes, and are not read.

use serde::Deserialize;

use super::fix::Values;
use super::json::{self, Features, List, Object, Scalar};
use super::problem::FixProblem;
use super::{Batch, Event, Rejection, Request, device, excerpt};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    locations: Features<Object<Feature>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Feature {
    geometry: Object<Geometry>,
    properties: Object<Properties>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Geometry {
    coordinates: List<Scalar, 2>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    timestamp: Scalar,
    altitude: Scalar,
    horizontal_accuracy: Scalar,
    vertical_accuracy: Scalar,
    device_id: Scalar,
    action: Scalar,
    #[serde(rename = "type")]
    kind: Scalar,
}

/// Reads a request.
///
/// # Errors
/// If it is not a batch of Overland, has too many features, or names a device that no recording can have.
pub(super) fn parse(request: &Request<'_>) -> Result<Batch, Rejection> {
    let message: Message = json::read(request.body)?;
    if !message.locations.is_list {
        return Err(Rejection::OtherProtocol("it has no list of locations"));
    }
    if message.locations.has_more {
        return Err(Rejection::TooManyFixes);
    }
    let mut batch = Batch::default();
    for (index, feature) in message.locations.elements.iter().enumerate() {
        let Some(feature) = feature.members() else {
            batch.add(index, None, Err(FixProblem::NotAnObject));
            continue;
        };
        let nothing = Properties::default();
        let properties = feature.properties.members().unwrap_or(&nothing);
        if !properties.action.is_missing() {
            let action = properties.action.text().unwrap_or("action");
            batch.events.push(Event::Message(excerpt(action)));
            continue;
        }
        if properties.kind.text() == Some("trip") {
            batch.events.push(Event::Message("trip".to_owned()));
            continue;
        }
        let name = properties.device_id.name();
        let device = device::checked(name.as_deref())?;
        let coordinates = feature.geometry.members().map(|geometry| &geometry.coordinates.elements);
        let coordinate = |index: usize| coordinates.and_then(|pair| pair.get(index));
        let missing = Scalar::Missing;
        let values = Values {
            latitude: coordinate(1).unwrap_or(&missing),
            longitude: coordinate(0).unwrap_or(&missing),
            time: &properties.timestamp,
            accuracy: &properties.horizontal_accuracy,
            altitude: &properties.altitude,
            vertical_accuracy: &properties.vertical_accuracy,
        };
        batch.add(index, device, values.check(request.now_unix_ns));
    }
    Ok(batch)
}
