//! The server: a listener, limits on all resources, and a shutdown within the drain timeout.
//!
//! [`Server`] takes the listener, the [`Config`] and the signal to stop from its caller, so that programs and tests
//! provide their own. It accepts connections and drives h2 itself instead of using the servers of tonic and hyper:
//! the limits on connections, memory and shutdown time need state that those do not expose.
//!
//! The way of a connection: `listener` and `accept` admit it, `acceptor` and `handshake` make an HTTP/2 stream of it,
//! `socket` counts its bytes, and `connection` drives h2. The way of a call: `call` admits it, `body` reads its
//! request, `call_body` and `stream` send its answer, and `call_record` reports it to the observers in `observer`,
//! one of which is the log in `call_log`. `tls` is the acceptor for TLS. `memory` limits the bytes that all of them hold.

mod accept;
mod acceptor;
mod body;
mod call;
mod call_body;
mod call_log;
mod call_record;
mod client_certificate;
mod config;
mod connection;
mod counters;
mod cutoff;
mod failed_checks;
mod forwarded;
mod frames;
mod handle;
mod handshake;
mod health;
mod input_meter;
mod keepalive;
mod listener;
mod log_limit;
mod log_sample;
mod memory;
mod message_limit;
pub(crate) mod methods;
mod monitor;
mod observer;
mod open_calls;
mod peer;
mod preface;
mod proxy_protocol;
mod quota;
mod routes;
pub(crate) mod run;
mod service_names;
mod shared;
pub(crate) mod socket;
#[cfg(any(feature = "http", feature = "metrics"))]
mod status_name;
mod stream;
mod system_memory;
#[cfg(feature = "tls")]
mod tls;
mod transport_buffer;
mod trim;
mod unread_frames;
#[cfg(feature = "http")]
pub(crate) mod web;
mod write_stall;

pub use config::{Config, ConfigError};
pub use forwarded::{Network, NetworkError};
pub use log_sample::{LogSample, LogSampleError};
pub use monitor::{MethodStats, Monitor, Phase, ServerStats};
pub use observer::{CallInfo, CallKind, CallObserver, CallReport};
pub use quota::LowRate;
pub use run::{Server, run};
#[cfg(any(feature = "http", feature = "metrics"))]
pub(crate) use status_name::status_name;
#[cfg(feature = "tls")]
pub use tls::{Reloaded, TlsConfig, TlsError, TlsSettings};

#[cfg(feature = "http")]
pub use web::{Answer, BodyError, Gate, RequestCount, WebBody, WebService, WebStats};
#[cfg(feature = "http")]
pub(crate) use web::{HeldBytes, OpenRequest};

pub use crate::service::{Feature, FeatureError, Features, RateUnit};
