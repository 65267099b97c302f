//! A client of the published contracts, for Rust programs that have points and want lengths.
//!
//! It speaks checked [`Point`]s; the generated types stop here.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Channel, Endpoint};

use crate::measure::{Point, Space};
use crate::proto::routeguide::{self, route_guide_client::RouteGuideClient};

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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none.
    #[error("{url} is not the address of a server; it should look like http://127.0.0.1:50051")]
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
    /// The stream was to carry positions on the Earth.
    #[error("point {index} is {space}, and a route has geographic ones")]
    Space {
        /// The index of the point, counted from 0.
        index: u64,
        /// Where it lies.
        space: Space,
    },
    /// The server refused, or the connection broke.
    #[error("the server answered {:?}: {}", .0.code(), .0.message())]
    Status(#[from] Box<tonic::Status>),
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
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let endpoint = Endpoint::from_shared(full)
            .ok()
            .filter(|endpoint| endpoint.uri().scheme_str() == Some("http"))
            .ok_or_else(|| ClientError::Url { url: url.to_owned() })?
            .connect_timeout(CONNECT_TIME);
        let channel = endpoint.connect().await.map_err(|error| {
            let reason = innermost(&error);
            ClientError::Connect { url: url.to_owned(), reason }
        })?;
        Ok(Self { channel })
    }

    /// Streams positions through `routeguide.RouteGuide/RecordRoute`, rounded to 1e-7 degree, and
    /// gives the reply. Memory is bounded: a slow server holds the stream up.
    ///
    /// # Errors
    /// When the call fails or a point is not geographic.
    pub async fn record_route(
        &self,
        points: impl Stream<Item = Point> + Send + 'static,
    ) -> Result<Route, ClientError> {
        let stray = Arc::new(OnceLock::new());
        let found = Arc::clone(&stray);
        let mut index = 0;
        let messages = points.map_while(move |point| {
            let Some((latitude, longitude)) = point.to_e7() else {
                // Set once: the stream ends here.
                let _ = found.set((index, point.space()));
                return None;
            };
            index += 1;
            Some(routeguide::Point { latitude, longitude })
        });
        let mut client = RouteGuideClient::new(self.channel.clone());
        let reply = client.record_route(messages).await;
        if let Some(&(index, space)) = stray.get() {
            return Err(ClientError::Space { index, space });
        }
        let reply = reply.map_err(Box::new)?.into_inner();
        let whole = |value: i32| {
            u32::try_from(value).map_err(|_| ClientError::Reply(format!("{value} is negative")))
        };
        Ok(Route {
            point_count: whole(reply.point_count)?,
            distance_m: whole(reply.distance)?,
            elapsed: Duration::from_secs(whole(reply.elapsed_time)?.into()),
        })
    }
}

/// What lies at the bottom of an error: transports wrap the system's word in several of their own.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
