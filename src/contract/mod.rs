//! The parts of the gRPC contracts that both the service and the client need.
//!
//! | module | content |
//! |---|---|
//! | [`method`] | the paths of the methods |
//! | [`frame`] | gRPC framing of outgoing messages |
//! | [`reason`] | the reasons of `google.rpc.ErrorInfo` that a client handles |
//! | [`options`] | `PathOptions` to and from [`Options`](crate::measure::Options) |
//! | [`summary`] | `PathSummary` to and from [`PathSummary`](crate::measure::PathSummary) |
//! | [`trips`], [`unused`], [`windows`] | parts of `PathSummary` |
//! | [`points`] | fixes to rows or columns of points |
//! | `tls_error` | the errors of TLS as text |
//! | [`time`] | durations and timestamps, with their ranges |
//!
//! The module converts values and encodes messages. It knows `proto`, `wire` and `measure`, and neither a
//! connection nor a runtime. `service` and `client` use it and do not know each other.

pub(crate) mod frame;
pub(crate) mod method;
pub(crate) mod options;
pub(crate) mod points;
pub(crate) mod reason;
pub(crate) mod summary;
mod summary_error;
pub(crate) mod time;
#[cfg(feature = "tls")]
pub(crate) mod tls_error;
mod trips;
mod unused;
mod windows;
