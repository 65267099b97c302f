//! OwnTracks in its HTTP mode: one message in a body of JSON.
//!
//! The messages are those of <https://owntracks.org/booklet/tech/json>. `tst` is in seconds, `acc`, `alt` and `vac` are in metres.
//! The speed `vel` and the course `cog` are not read. A message of another type than `location` and a ping (`"t": "p"`) are
//! events, and so is an empty body. An encrypted message is refused, because an answer of success would lose its fix.
//!
//! The device is named by the headers `X-Limit-U` and `X-Limit-D`, or else by the parameters `u` and `d`, as `user/device`. Without
//! them it is the topic without its first level, or else the tracker ID `tid`.

use serde::Deserialize;

use super::fix::Values;
use super::form::Parameters;
use super::json::{self, Scalar};
use super::{Batch, Event, Rejection, Request, device, excerpt};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    #[serde(rename = "_type")]
    kind: Scalar,
    lat: Scalar,
    lon: Scalar,
    tst: Scalar,
    acc: Scalar,
    alt: Scalar,
    vac: Scalar,
    t: Scalar,
    tid: Scalar,
    topic: Scalar,
}

/// Reads a request.
///
/// # Errors
/// If it is not a message of OwnTracks, is encrypted, or names a device that no recording can have.
pub(super) fn parse(request: &Request<'_>) -> Result<Batch, Rejection> {
    if request.body.trim_ascii().is_empty() {
        return Ok(Batch::of_event(Event::Empty));
    }
    let message: Message = json::read(request.body)?;
    match message.kind.text() {
        Some("location") => {}
        Some("encrypted") => return Err(Rejection::Encrypted),
        Some(kind) => return Ok(Batch::of_event(Event::Message(excerpt(kind)))),
        None => return Err(Rejection::OtherProtocol("it has no _type")),
    }
    let name = device_of(request, &message)?;
    let device = device::checked(name.as_deref())?;
    if message.t.text() == Some("p") {
        return Ok(Batch::of_event(Event::Ping));
    }
    let values = Values {
        latitude: &message.lat,
        longitude: &message.lon,
        time: &message.tst,
        accuracy: &message.acc,
        altitude: &message.alt,
        vertical_accuracy: &message.vac,
    };
    let mut batch = Batch::default();
    batch.add(0, device, values.check(request.now_unix_ns));
    Ok(batch)
}

fn device_of(request: &Request<'_>, message: &Message) -> Result<Option<String>, Rejection> {
    let mut parameters = Parameters::default();
    parameters.add(request.query)?;
    let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let user = given(request.user).or(given(parameters.get("u")?));
    let device = given(request.device).or(given(parameters.get("d")?));
    let named = match (user, device) {
        (Some(user), Some(device)) => Some(format!("{user}/{device}")),
        (user, device) => device.or(user),
    };
    let topic = message.topic.text().and_then(|topic| topic.split_once('/'));
    let of_topic = topic.and_then(|(_, rest)| given(Some(rest)));
    Ok(named.or(of_topic).or_else(|| message.tid.name()))
}
