//! A client of all services, for Rust programs that have points and need lengths.
//!
//! [`Client`] speaks checked [`Point`]s and [`Fix`](crate::measure::Fix)es; no generated type is in its interface.
//!
//! | module | content |
//! |---|---|
//! | `builder`, `url` | the settings of a client, and the address of its server |
//! | `connector`, `tls`, `checked_stream` | opening a connection: TCP, TLS, and a check of the protocol |
//! | `opener` | connections and requests for callers that use h2 directly |
//! | `fault` | the reasons for which an open port cannot be used |
//! | `transport`, `token` | the headers and the bearer token of each call |
//! | `method` | the published methods that take a stream of points |
//! | `point_body`, `point_encoder` | their request body: one message per point |
//! | `call`, `request_abort` | one call: a request body, and the only message of the reply |
//! | `paths` | the methods of `waywiser.v1` that need no state |
//! | `admin` | the backup of a server |
//! | `recorder` | a recording that survives lost connections |
//! | `message_body`, `replay` | its request body, and its fixes that are not durable yet |
//! | `retry`, `reauthentication` | whether and when a failed call is repeated, and with which token |
//! | `error` | the errors of calls |
//!
//! The streaming methods have a request body of their own instead of the generated client. If a source ends
//! early, the generated client closes the stream as if it were complete. It also uses more CPU time per point.

mod admin;
mod builder;
mod call;
mod checked_stream;
mod connector;
mod error;
mod fault;
#[cfg(feature = "tls")]
mod identity;
mod message_body;
pub(crate) mod method;
#[cfg(feature = "cli")]
pub(crate) mod opener;
mod paths;
mod point_body;
pub(crate) mod point_encoder;
pub(crate) mod reauthentication;
mod recorder;
mod replay;
mod request_abort;
pub(crate) mod retry;
#[cfg(feature = "tls")]
mod tls;
mod token;
mod transport;
mod url;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_stream::Stream;
use tonic::body::Body;

pub use self::admin::BackupPage;
pub use self::builder::ClientBuilder;
use self::builder::Parts;
#[cfg(feature = "cli")]
pub(crate) use self::call::read_to_end;
pub use self::error::{ClientError, ReplyError, SummaryError};
pub use self::fault::ConnectionFault;
use self::method::Method;
pub use self::paths::{PathAnswer, PathPage, PathPart, PathRefusal, StoredPath};
use self::point_body::PointBody;
pub use self::recorder::{RecordError, RecordEvent, Recorded, Recorder};
use self::request_abort::RequestAbort;
pub use self::retry::RetryPolicy;
pub use self::token::{BoxError, TokenError, TokenSource};
use self::transport::Transport;
#[cfg(feature = "cli")]
pub(crate) use self::transport::checked_header;
#[cfg(feature = "cli")]
pub(crate) use self::url::ServerUrl;
use crate::measure::Point;

/// The timeout of a unary call, and of the first message of a streaming reply. A server or a proxy that hangs may
/// keep the connection alive and never answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

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
    transport: Transport,
    /// Opens further connections.
    parts: Arc<Parts>,
}

/// The reply of `RecordRoute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The number of points that the server received.
    pub point_count: u32,
    /// The haversine length in whole metres.
    pub distance_m: u32,
    /// The duration of the stream in whole seconds, as the server measured it.
    pub elapsed: Duration,
}

/// The reply of `computePathLength`, in the unit of the points.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathLength {
    /// The number of points that the server received.
    pub point_count: u64,
    /// The planar length.
    pub length: f64,
    /// The distance from the first point to the last.
    pub displacement: f64,
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:50051`. [`Client::builder`] has more settings.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Connect`] or [`ClientError::Connection`].
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::builder(url).connect().await
    }

    /// Returns a client that connects at its first call. That call fails if no server answers. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Url`].
    pub fn connect_lazy(url: &str) -> Result<Self, ClientError> {
        Self::builder(url).connect_lazy()
    }

    /// Streams geographic points to `routeguide.RouteGuide/RecordRoute`, rounded to 1e-7 degree, and returns the
    /// reply.
    ///
    /// Memory is bounded: the source waits for a slow server. All points that the stream has ready are sent together.
    /// They are sent at once when it has no more. Dropping the future resets the call, so that the server does not
    /// measure a part of a route as a complete one.
    ///
    /// # Errors
    /// The call fails, or a point is not geographic.
    pub async fn record_route(
        &self,
        points: impl Stream<Item = Point> + Send + 'static,
    ) -> Result<Route, ClientError> {
        method::route(self.stream(Method::RecordRoute, points, Point::to_e7).await?)
    }

    /// Streams planar points to `my_package.DisplacementService/computePathLength` and returns the reply. Streams as
    /// [`Client::record_route`] does.
    ///
    /// # Errors
    /// The call fails, or a point is not planar or its coordinates are not whole numbers of 32 bits.
    pub async fn path_length(
        &self,
        points: impl Stream<Item = Point> + Send + 'static,
    ) -> Result<PathLength, ClientError> {
        method::path_length(self.stream(Method::PathLength, points, method::to_int32).await?)
    }

    /// Streams points, converted by `to_wire`. Generic, so that the conversion is inlined into the loop that encodes.
    async fn stream(
        &self,
        method: Method,
        points: impl Stream<Item = Point> + Send + 'static,
        to_wire: impl Fn(Point) -> Option<(i32, i32)> + Send + 'static,
    ) -> Result<Bytes, ClientError> {
        let abort = Arc::<RequestAbort>::default();
        let body = Body::new(PointBody::new(points, to_wire, Arc::clone(&abort)));
        let reply =
            call::call(self.transport.clone(), method.path(), body, Arc::clone(&abort)).await;
        // An unsupported point resets the stream, and the transport reports only the reset.
        match abort.unsupported_point() {
            Some((index, point)) => Err(method.unsupported_point(index, point)),
            None => reply,
        }
    }
}
