//! The gRPC services: requests in, a fold, one reply.
//!
//! The only home of the generated types on the server side. A handler translates and drives; it
//! does no arithmetic and knows no sockets. Each service is a `tower` service that can be mounted
//! on [`crate::server`] or on any tonic server.
//!
//! All methods read their request through `body`, which distinguishes a stream that was closed from one
//! that was cut, count what they do in `work` and yield in time, and all errors become a status in `status` and `error_info`.

mod body;
mod creations;
mod displacement;
mod error_info;
mod fold;
mod method;
mod path;
mod progress;
mod route_guide;
mod status;
mod violation;
mod work;

use std::time::Duration;

pub use creations::{CreationLimit, Creations};
pub use displacement::DisplacementService;
pub use error_info::DOMAIN;
pub(crate) use method::refuse_foreign;
pub use path::PathService;
pub(crate) use path::WATCH_PATH;
pub use progress::Progress;
pub use route_guide::RouteGuide;
pub(crate) use status::excerpt;
pub use status::{RpcError, StreamCut};
pub use violation::{FieldViolation, Place};

use crate::wire::{Encoding, Messages};

/// The bounds that a service puts on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// The largest message, in bytes, before and after decompression. It is also what a stream may
    /// hold in memory at the most while a message is incomplete.
    ///
    /// A stream yields after about a millisecond of work, but it parses a message as a whole, which takes up to
    /// 1 us per KiB, or up to 10 us per KiB if it is not encoded in the canonical way. With messages of 64 KiB
    /// that is 0.7 ms, with messages of 1 MiB 10 ms during which other streams of the thread wait.
    pub max_message_bytes: usize,
    /// How many times their size the compressed messages of a stream may inflate to, once they have inflated to
    /// 1 MiB. Tracks that were recorded reach 2 to 5. A receiver that repeats one position reaches 60 in messages
    /// of 1000 points and 450 in messages of 64 KiB. 1033 and more is no limit: deflate cannot reach it.
    pub max_inflation_ratio: u32,
    /// How long a stream may send nothing before it is ended with DEADLINE_EXCEEDED.
    pub idle_time: Duration,
}

impl StreamLimits {
    /// A reader of the messages of a stream.
    fn messages(&self, encoding: Encoding) -> Messages {
        Messages::new(encoding, self.max_message_bytes)
            .with_max_inflation_ratio(self.max_inflation_ratio)
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: 64 * 1024,
            max_inflation_ratio: 100,
            idle_time: Duration::from_secs(300),
        }
    }
}
