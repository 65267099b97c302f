//! Observers of calls: the interface for logs and metrics.
//!
//! A server reports each gRPC call to all of its observers when the call starts and when it ends. The log of calls
//! is one of them ([`super::call_log`]); [`super::Server::with_observer`] adds others.

use std::net::SocketAddr;
use std::time::Duration;

use tonic::Code;

/// Receives the start and the end of each call.
///
/// Every start is followed by one end, also if the client resets the stream or the connection fails. Both methods
/// run in the task of the call, so they must return at once and must not panic.
pub trait CallObserver: Send + Sync + 'static {
    /// Reports the start of a call.
    fn call_started(&self, _call: &CallInfo<'_>) {}

    /// Reports the end of a call.
    fn call_ended(&self, report: &CallReport<'_>);
}

/// A call, as its client requested it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallInfo<'a> {
    /// The path of the method, such as `/waywiser.v1.PathService/RecordPath`. The client chooses it: calls of
    /// unknown methods are reported, too, with at most 64 characters of the path.
    pub method: &'a str,
    /// The kind of the service.
    pub kind: CallKind,
    /// The address of the client.
    pub peer: SocketAddr,
    /// The name of the caller. `None` before the call is authenticated, or without authentication.
    pub principal: Option<&'a str>,
    /// The header `traceparent` of W3C Trace Context, unchecked, with at most 64 characters. `None` at the start of the
    /// call, or if the client has sent none.
    pub traceparent: Option<&'a str>,
}

/// The kind of service that a call is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// A service that measures paths.
    Measuring,
    /// Health checks and reflection.
    Auxiliary,
    /// A service that this server does not have.
    Unknown,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// The call.
    pub call: CallInfo<'a>,
    /// The status code. `Cancelled` also means that the stream ended before the client had read the answer.
    pub code: Code,
    /// The message of the status; empty if the code is `Ok`.
    pub message: &'a str,
    /// Number of points that were added to a path.
    pub points: u64,
    /// Bytes of the request body, including gRPC framing.
    pub bytes: u64,
    /// The time from the request to the end of the answer.
    pub duration: Duration,
}
