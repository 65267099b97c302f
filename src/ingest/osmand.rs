//! OsmAnd, GPSLogger and Traccar Client up to 8: one fix in the parameters of a query string or a form.
//!
//! The parameters are those of <https://www.traccar.org/osmand/>: `id` or `deviceid`, `lat` and `lon` or `location` (latitude, comma,
//! longitude), `timestamp`, `altitude` and `accuracy` in metres, `valid`. The units of `speed` and `hdop` depend on the app, and the
//! parameters are not read. A request with a device and without a position is an event. A body of JSON is one of Traccar
//! Client 9, which has the same address.
//!
//! A parameter that is missing or is no number is an error of the address in the app, and the request is refused. A value
//! that is out of range is one of the receiver, and the fix is dropped.

use super::fix::Values;
use super::form::Parameters;
use super::json::Scalar;
use super::problem::FixProblem;
use super::{Batch, Event, Rejection, Request, device, traccar};

/// Reads a request.
///
/// # Errors
/// If a parameter is missing, cannot be read, or has two values, or if the device has a name that no recording can have.
pub(super) fn parse(request: &Request<'_>) -> Result<Batch, Rejection> {
    let is_object = request.body.trim_ascii_start().starts_with(b"{");
    let is_json = request.content_type.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    if is_object || (is_json && !request.body.is_empty()) {
        return traccar::parse(request);
    }
    let mut parameters = Parameters::default();
    parameters.add(request.query)?;
    let form = std::str::from_utf8(request.body)
        .map_err(|_| Rejection::Parameters("the form is not UTF-8"))?;
    parameters.add(form.trim())?;
    let (id, device_id) = (parameters.get("id")?, parameters.get("deviceid")?);
    if id.zip(device_id).is_some_and(|(id, device_id)| id != device_id) {
        return Err(Rejection::Repeated("id"));
    }
    let device = device::checked(id.or(device_id))?;
    let place = match (parameters.get("lat")?, parameters.get("lon")?, parameters.get("location")?)
    {
        (None, None, Some(location)) => {
            location.split_once(',').ok_or(FixProblem::NotANumber("location"))?.into()
        }
        (None, None, None) => None,
        (latitude, longitude, _) => Some((
            latitude.ok_or(FixProblem::Missing("latitude"))?,
            longitude.ok_or(FixProblem::Missing("longitude"))?,
        )),
    };
    let Some((latitude, longitude)) = place else {
        return match device {
            Some(_) => Ok(Batch::of_event(Event::NoPosition)),
            None => Err(Rejection::OtherProtocol("it has neither a device nor a position")),
        };
    };
    if parameters.get("valid")?.is_some_and(|valid| matches!(valid, "false" | "0")) {
        return Ok(Batch::of_event(Event::NoPosition));
    }
    let scalar = |name| -> Result<Scalar, Rejection> {
        let value = parameters.get(name)?;
        Ok(value.map_or(Scalar::Missing, |value| Scalar::Text(value.to_owned())))
    };
    let values = Values {
        latitude: &Scalar::Text(latitude.to_owned()),
        longitude: &Scalar::Text(longitude.to_owned()),
        time: &scalar("timestamp")?,
        accuracy: &scalar("accuracy")?,
        altitude: &scalar("altitude")?,
        vertical_accuracy: &Scalar::Missing,
    };
    let mut batch = Batch::default();
    match values.check(request.now_unix_ns) {
        Err(problem @ (FixProblem::Missing(_) | FixProblem::NotANumber(_) | FixProblem::Time)) => {
            return Err(problem.into());
        }
        checked => batch.add(0, device, checked),
    }
    Ok(batch)
}
