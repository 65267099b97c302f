//! A client of the published contracts, for Rust programs that have points and want lengths.
//!
//! It speaks checked [`Point`]s; the generated types stop in `method.rs`. The request body is our
//! own (`body.rs`, `encode.rs`), and so the one reply is read by hand (`call.rs`): the generated
//! client closes a stream whose source ends early as if it were whole, and it takes longer.

mod body;
mod call;
mod convert;
mod encode;
pub(crate) mod method;
mod paths;
mod pieces;
mod recorder;
mod replay;
pub(crate) mod retry;
#[cfg(feature = "cli")]
pub(crate) mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::measure::{Point, Space};
use body::{PointBody, Tie};
use method::Method;
pub use paths::{PathAnswer, PathPage, PathPart, PathRefusal, StoredPath};
pub use recorder::{RecordError, RecordEvent, Recorded, Recorder};
pub use retry::Patience;

/// How often a server that owes an answer is asked whether it is still there, and how long it may
/// take to say so; a call to one that is not fails instead of waiting for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may take to answer a call that asks one thing, and to begin to answer one that
/// goes on: whoever is there, and be it a proxy before a server that hangs, may never do.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A connection to a server.
///
/// ```no_run
/// use futures::stream;
/// use waywiser::{client::Client, measure::Point};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("http://127.0.0.1:50051").await?;
/// let points = [Point::geographic(46.0, 14.0)?, Point::geographic(46.1, 14.0)?];
/// let route = client.record_route(stream::iter(points)).await?;
/// println!("{} points, {} m", route.point_count, route.distance_m);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// How to connect once more.
    endpoint: Endpoint,
    url: String,
}

/// What `RecordRoute` says of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// How many points the server counted.
    pub point_count: u32,
    /// The haversine length in whole metres.
    pub distance_m: u32,
    /// How long the server says it took, in whole seconds.
    pub elapsed: Duration,
}

/// What `computePathLength` says of a path, in the unit of its points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathLength {
    /// How many points the server counted.
    pub point_count: u64,
    /// The planar length.
    pub length: f64,
    /// The straight line from the first point to the last.
    pub displacement: f64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none.
    #[error(
        "{url} is not the address of a server; it should look like http://127.0.0.1:50051, without a path"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody answers there.
    #[error("no connection to {url}: {reason}; is a server running there?")]
    Connect {
        /// Where to.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The call takes points of the other space. The stream was reset.
    #[error("point {index} is {space}, and this call takes {wanted} points")]
    Space {
        /// The index of the point, counted from 0.
        index: u64,
        /// Where it lies.
        space: Space,
        /// Where it should.
        wanted: Space,
    },
    /// The contract has whole numbers of 32 bits, and nothing is rounded behind your back: scale
    /// the points to a finer unit, or round them. The stream was reset.
    #[error("point {index} is ({x}, {y}), and this call takes whole numbers of 32 bits")]
    Whole {
        /// The index of the point, counted from 0.
        index: u64,
        /// Its coordinates.
        x: f64,
        /// Its coordinates.
        y: f64,
    },
    /// The server refused, or the connection broke.
    #[error("{}", status_words(.0))]
    Status(#[from] Box<Status>),
    /// Somebody keeps the connection, and the answer did not come in time.
    #[error(
        "the connection is open, and the server does not answer; it may hang, or a proxy may have lost it"
    )]
    Silent,
    /// The reply is none.
    #[error("the server's reply makes no sense: {0}")]
    Reply(String),
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:50051`.
    ///
    /// # Errors
    /// When `url` is no address or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let endpoint = endpoint(url)?;
        let channel = endpoint.connect().await.map_err(|error| {
            let reason = innermost(&error);
            ClientError::Connect { url: url.to_owned(), reason }
        })?;
        Ok(Self { channel, endpoint, url: url.to_owned() })
    }

    /// The same without connecting: the first call does, and fails where nobody answers.
    ///
    /// # Errors
    /// When `url` is no address. Call it within a tokio runtime.
    pub fn connect_lazy(url: &str) -> Result<Self, ClientError> {
        let endpoint = endpoint(url)?;
        Ok(Self { channel: endpoint.connect_lazy(), endpoint, url: url.to_owned() })
    }

    /// Streams positions through `routeguide.RouteGuide/RecordRoute`, rounded to 1e-7 degree, and
    /// gives the reply.
    ///
    /// Memory is bounded: a slow server holds the stream up. What the stream has ready is sent
    /// together, and at once when it has no more for now. Dropping the future resets the call: the
    /// server never takes the half of a route for a whole one.
    ///
    /// # Errors
    /// When the call fails or a point is not geographic.
    pub async fn record_route(
        &self,
        points: impl Stream<Item = Point> + Send + 'static,
    ) -> Result<Route, ClientError> {
        method::route(self.stream(Method::RecordRoute, points, Point::to_e7).await?)
    }

    /// Streams points of the plane through `my_package.DisplacementService/computePathLength` and
    /// gives the reply. It streams as [`Client::record_route`] does.
    ///
    /// # Errors
    /// When the call fails, or a point is not planar or not of whole numbers of 32 bits.
    pub async fn path_length(
        &self,
        points: impl Stream<Item = Point> + Send + 'static,
    ) -> Result<PathLength, ClientError> {
        method::path_length(self.stream(Method::PathLength, points, method::to_int32).await?)
    }

    /// The function is generic, so that it is compiled into the loop that encodes.
    async fn stream(
        &self,
        method: Method,
        points: impl Stream<Item = Point> + Send + 'static,
        to_wire: impl Fn(Point) -> Option<(i32, i32)> + Send + 'static,
    ) -> Result<Bytes, ClientError> {
        let tie = Arc::<Tie>::default();
        let body = Body::new(PointBody::new(points, to_wire, Arc::clone(&tie)));
        let reply = call::call(self.channel.clone(), method.path(), body, Arc::clone(&tie)).await;
        // A stray point is why the call failed, whatever the transport makes of it.
        match tie.stray() {
            Some((index, point)) => Err(method.misfit(index, point)),
            None => reply,
        }
    }
}

impl ClientError {
    /// What broke the connection, if the server did not answer because of that.
    pub(crate) fn lost(&self) -> Option<String> {
        match self {
            Self::Status(status) => lost(status),
            _ => None,
        }
    }
}

/// A status that has a source was made here, of an error of the transport.
fn lost(status: &Status) -> Option<String> {
    std::error::Error::source(status).map(innermost)
}

fn status_words(status: &Status) -> String {
    let (code, message) = (status.code(), status.message());
    match lost(status) {
        Some(reason) => format!("the connection was lost: {reason}"),
        None if code == Code::Unimplemented => format!(
            "the server does not know this method; is it waywiser, and new enough? it answered {code:?}: {message}"
        ),
        None => format!("the server answered {code:?}: {message}"),
    }
}

/// What is connected to. A path would be ignored: methods have theirs.
pub(crate) fn endpoint(url: &str) -> Result<Endpoint, ClientError> {
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let endpoint = Endpoint::from_shared(full)
        .ok()
        .filter(|endpoint| endpoint.uri().scheme_str() == Some("http"))
        .filter(|endpoint| {
            matches!(endpoint.uri().path(), "" | "/") && endpoint.uri().query().is_none()
        })
        .ok_or_else(|| ClientError::Url { url: url.to_owned() })?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIME)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT))
}

/// What lies at the bottom of an error: transports wrap the system's word in several of their own.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_no_path() {
        for good in ["http://127.0.0.1:50051", "127.0.0.1:50051", "http://[::1]:50051/", "host"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["https://a", "http://a:1/b", "http://a:1/b/", "a:1?b", "http://", "", "a b"] {
            assert!(matches!(endpoint(bad), Err(ClientError::Url { .. })), "{bad}");
        }
    }

    #[test]
    fn what_the_server_said_is_told_from_what_it_did_not() {
        let words = |status| ClientError::from(Box::new(status)).to_string();
        let said = words(Status::data_loss("it cannot be read"));
        insta::assert_snapshot!(said, @"the server answered DataLoss: it cannot be read");
        let unknown = words(Status::unimplemented("no such method"));
        insta::assert_snapshot!(
            unknown,
            @"the server does not know this method; is it waywiser, and new enough? it answered Unimplemented: no such method"
        );
        let reset = std::io::Error::other("connection reset by peer");
        let lost = words(Status::from_error(reset.into()));
        insta::assert_snapshot!(lost, @"the connection was lost: connection reset by peer");
    }
}
