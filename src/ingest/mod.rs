//! The requests of phone apps and trackers: bodies and query strings to fixes.
//!
//! Each protocol has a file of its own. A parser knows neither HTTP nor recordings: it takes the parts of a request and
//! returns a [`Batch`] or a [`Rejection`]. `fix.rs` checks values, `problem.rs` names what is wrong with them, `time.rs` reads times, `json.rs` and `form.rs` read
//! bodies, and `device.rs` maps the names of devices to IDs of recordings.
//!
//! # Which answer loses nothing
//!
//! All apps keep what they could not send, and send it again until the answer is one of success. A wrong answer of success
//! loses good fixes, and a wrong error makes an app repeat a request that can never succeed, often in front of all later
//! ones. So there are three results:
//!
//! - A [`Batch`] without bad fixes: answer success after the fixes are durable.
//! - A [`Batch`] with bad fixes: the same. They are invalid each time they are sent: a latitude of 91, a time of 1970, a
//!   position that the receiver itself calls invalid.
//! - A [`Rejection`]: answer an error, 413 for [`Rejection::TooLarge`] and [`Rejection::TooManyFixes`], else 400. The request is
//!   not one of this protocol, or nothing in it can be read: a wrong address in the settings, encryption, a name of a device
//!   that cannot be used. The app keeps its fixes until the user changes the setting.
//!
//! [`Protocol`] has the form of the answers, and how each app repeats requests.

use crate::measure::Fix;

pub use self::device::{DeviceNameError, device_name, recording_id};
#[cfg(feature = "http")]
pub(crate) use self::form::{pairs, unescape};
pub use self::problem::FixProblem;

mod device;
mod fix;
mod form;
mod forward;
mod json;
mod osmand;
mod overland;
mod owntracks;
mod problem;
#[cfg(test)]
mod tests;
mod time;
mod traccar;

/// Maximum size of a body in bytes. Overland sends at most 1000 features of about 600 bytes.
pub const BODY_BYTES_MAX: usize = 2 << 20;
/// Maximum size of a query string in bytes.
pub const QUERY_BYTES_MAX: usize = 16 << 10;
/// Maximum number of fixes and events in a request.
pub const FIXES_MAX: usize = 5000;
/// The earliest time of a fix in seconds since 1970: the start of 2000. Earlier ones are those of clocks that are not set.
pub const TIME_MIN_UNIX_S: i64 = 946_684_800;
/// How far the time of a fix may be after the time of the server, in seconds. Later ones are those of wrong clocks, or local
/// times that were sent as UTC.
pub const TIME_AHEAD_MAX_S: i64 = 3600;
/// The earliest time of a server in seconds since 1970: the start of 2026, before the first release. A server whose clock is not set
/// cannot know which fixes are in the future.
pub const SERVER_TIME_MIN_UNIX_S: i64 = 1_767_225_600;
/// Maximum number of bad fixes that a batch describes. The rest is counted.
const PROBLEMS_MAX: usize = 8;

/// A protocol of apps and trackers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// OwnTracks in its HTTP mode. The apps repeat a message until the status is 200 to 299, the oldest first. The body of
    /// the answer is a list of messages for the app.
    OwnTracks,
    /// OsmAnd, GPSLogger and Traccar Client up to 8. Traccar Client repeats a fix every 30 s until the status is 200, and
    /// sends no later one before. OsmAnd and GPSLogger repeat it, too, if their buffers are on.
    OsmAnd,
    /// Traccar Client 9 and later. The app keeps a fix until the status is 200 to 299.
    Traccar,
    /// Overland. The app deletes a batch if the answer has `"result": "ok"`, and else sends the same batch again.
    Overland,
    /// A Traccar server with `forward.type` json. It repeats a position for any status but 200 to 299, if
    /// `forward.retry.enable` is set, and at most `forward.retry.count` times.
    Forward,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] =
        [Self::OwnTracks, Self::OsmAnd, Self::Traccar, Self::Overland, Self::Forward];

    /// Returns the name in the path of a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnTracks => "owntracks",
            Self::OsmAnd => "osmand",
            Self::Traccar => "traccar",
            Self::Overland => "overland",
            Self::Forward => "forward",
        }
    }

    /// Returns the body of an answer of success, which is JSON if it is not empty.
    pub fn success_body(self) -> &'static str {
        match self {
            Self::OwnTracks => "[]",
            Self::Overland => r#"{"result":"ok"}"#,
            Self::OsmAnd | Self::Traccar | Self::Forward => "",
        }
    }

    /// Reads a request. No input makes it panic, and its memory is bounded by the limits of this module.
    ///
    /// # Errors
    /// If the request has to be refused as a whole.
    pub fn parse(self, request: &Request<'_>) -> Result<Batch, Rejection> {
        if request.body.len() > BODY_BYTES_MAX {
            return Err(Rejection::TooLarge { what: "body", max: BODY_BYTES_MAX });
        }
        if request.query.len() > QUERY_BYTES_MAX {
            return Err(Rejection::TooLarge { what: "query string", max: QUERY_BYTES_MAX });
        }
        match self {
            Self::OwnTracks => owntracks::parse(request),
            Self::OsmAnd => osmand::parse(request),
            Self::Traccar => traccar::parse(request),
            Self::Overland => overland::parse(request),
            Self::Forward => forward::parse(request),
        }
    }
}

/// The parts of a request that the parsers read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The query string without the question mark. Empty if the URL has no query.
    pub query: &'a str,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The header `X-Limit-U` of OwnTracks: the name of the user.
    pub user: Option<&'a str>,
    /// The header `X-Limit-D` of OwnTracks: the name of the device.
    pub device: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The time of the server in nanoseconds since 1970.
    pub now_unix_ns: i64,
}

/// A fix of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceFix {
    /// The name of the device, for which [`recording_id`] has an ID. `None` if the request does not name one.
    pub device: Option<String>,
    /// The fix. It has a time and a position.
    pub fix: Fix,
}

/// A message without a fix. It is answered like a fix, and has no other effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An empty body. OwnTracks sends one when a friend is deleted.
    Empty,
    /// A sign of life, with a position that was sent before.
    Ping,
    /// Another kind of message; its name, cut to 64 characters.
    Message(String),
    /// A message of a device that has no valid position.
    NoPosition,
}

/// A fix that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct BadFix {
    /// The index in the request.
    pub index: usize,
    /// The problem.
    pub problem: FixProblem,
}

/// The content of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The fixes, in the order of the request.
    pub fixes: Vec<DeviceFix>,
    /// The messages without a fix.
    pub events: Vec<Event>,
    /// The first bad fixes.
    pub problems: Vec<BadFix>,
    /// The number of bad fixes.
    pub bad_count: usize,
    /// The number of bad fixes with each kind of problem, in the order of [`FixProblem::NAMES`].
    pub bad_counts: [usize; FixProblem::NAMES.len()],
}

impl Batch {
    /// Adds the result of a fix.
    fn add(&mut self, index: usize, device: Option<&str>, fix: Result<Fix, FixProblem>) {
        match fix {
            Ok(fix) => self.fixes.push(DeviceFix { device: device.map(str::to_owned), fix }),
            Err(problem) => {
                self.bad_count += 1;
                self.bad_counts[problem.index()] += 1;
                if self.problems.len() < PROBLEMS_MAX {
                    self.problems.push(BadFix { index, problem });
                }
            }
        }
    }

    /// Returns a batch with an event alone.
    fn of_event(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }
}

/// The reason why a request is refused as a whole.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// A part is larger than its limit.
    #[error("the {what} has more than {} KiB; send fewer points in a request", .max >> 10)]
    TooLarge {
        /// The part.
        what: &'static str,
        /// The limit in bytes.
        max: usize,
    },
    /// The request has too many fixes.
    #[error("there are more than {FIXES_MAX} points; send fewer in a request")]
    TooManyFixes,
    /// The body is not JSON of the expected form.
    #[error("the body cannot be read: {0}")]
    Body(String),
    /// The request is not one of this protocol.
    #[error("this is not a request of this protocol: {0}; check the address in the app")]
    OtherProtocol(&'static str),
    /// The message is encrypted.
    #[error("the message is encrypted; turn the encryption key off in the app, and use https")]
    Encrypted,
    /// The query string or the form has an escape that is not valid, or too many parameters.
    #[error("the parameters cannot be read: {0}")]
    Parameters(&'static str),
    /// A parameter has two different values.
    #[error("the parameter {0} has two different values")]
    Repeated(&'static str),
    /// A parameter is missing or cannot be read.
    #[error("{0}")]
    Fix(#[from] FixProblem),
    /// The name of the device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceNameError),
}

/// Returns the beginning of a text of the client.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}
