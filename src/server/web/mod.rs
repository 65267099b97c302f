//! The HTTP listener of a server: connections, limits and admission. It does not know what its requests mean.
//!
//! A [`WebService`] answers the requests. The listener shares with that for gRPC all limits on connections and memory, the
//! certificates, the authenticator, the quotas and the drain. `connection` runs hyper on an accepted stream, `body` bounds
//! the time for a request body, `answer_body` the memory and the time of an answer, `gate` admits requests as calls, `basic` reads tokens from Basic credentials, and
//! `counters` counts requests.

mod answer_body;
mod basic;
mod body;
pub(super) mod connection;
mod counters;
mod gate;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;

pub use body::{BodyError, WebBody};
pub(super) use counters::WebCounters;
pub use counters::{RequestCount, WebStats};
pub use gate::Gate;
pub(crate) use gate::{HeldBytes, OpenRequest};

/// The answer to a request, before it exists.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers the requests of the HTTP listener.
pub trait WebService: Send + Sync + 'static {
    /// Returns the routes, such as `/api/paths/{name}`. They are labels of metrics.
    fn routes(&self) -> &'static [&'static str];

    /// Returns the index in [`WebService::routes`] of the route that a path belongs to.
    fn route(&self, path: &str) -> Option<usize>;

    /// Answers a request. Its extensions have the [`Gate`] of its connection. The answer is dropped when the client
    /// disconnects.
    fn answer(&self, request: Request<WebBody>) -> Answer;
}

/// What every connection of the HTTP listener needs.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) service: Arc<dyn WebService>,
    /// The address of the listener.
    pub(super) address: SocketAddr,
}
