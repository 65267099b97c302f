//! The gRPC services: requests in, a fold, one reply.
//!
//! The only home of the generated types on the server side. A handler translates and drives; it
//! does no arithmetic and knows no sockets. Each service is a `tower` service that can be mounted
//! on [`crate::server`] or on any tonic server.
//!
//! All methods read their request through `body`, which tells a stream that was closed from one
//! that was cut, and all errors become a status in `status`.

mod body;
mod creations;
mod displacement;
mod fold;
mod method;
mod path;
mod progress;
mod route_guide;
mod status;
mod violation;

use std::time::Duration;

pub use creations::{CreationLimit, Creations};
pub use displacement::DisplacementService;
pub(crate) use method::refuse_foreign;
pub use path::PathService;
pub(crate) use path::WATCH_PATH;
pub use progress::Progress;
pub use route_guide::RouteGuide;
pub(crate) use status::excerpt;
pub use status::{DOMAIN, RpcError, StreamCut};
pub use violation::{FieldViolation, Place};

/// The bounds that a service puts on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// The largest message, in bytes, before and after decompression. It is also what a stream may
    /// hold in memory at the most while a message is incomplete.
    pub message_bytes_max: usize,
    /// How long a stream may send nothing before it is ended with DEADLINE_EXCEEDED.
    pub idle_time: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { message_bytes_max: 64 * 1024, idle_time: Duration::from_secs(300) }
    }
}
