//! Metrics for Prometheus, and the listener for operators that serves them over HTTP with checks of health.
//!
//! A [`Metrics`] has sources, which are read when a client asks for the metrics. A source is a [`Source`] or a closure.
//! `registry` has both. `calls` is the source of the calls, `server` that of a server, `http` that of its HTTP listener, `tls` that of its
//! certificates,
//! and `process` that of the process. `histogram` counts durations. [`AdminServer`] serves the pages: `listener` bounds
//! its connections, `pages` answers requests, `format` selects the text format, and `readiness` decides whether the
//! server is ready.
//!
//! All metrics have few labels with few values: methods that exist, status codes, and reasons. Clients, principals and
//! recordings are never labels.

mod calls;
mod format;
mod histogram;
#[cfg(feature = "http")]
mod http;
mod listener;
mod pages;
mod process;
mod readiness;
mod registry;
mod server;
#[cfg(feature = "tls")]
mod tls;

pub use calls::CallMetrics;
pub use histogram::{Histogram, HistogramSample};
#[cfg(feature = "http")]
pub use http::http;
pub use listener::AdminServer;
pub use process::process;
pub use readiness::Readiness;
pub use registry::{Family, Metrics, Number, Samples, Source};
pub use server::server;
#[cfg(feature = "tls")]
pub use tls::tls;
