//! Measures the length of paths: a gRPC server, a client, a command line, and the accumulator that they use.
//!
//! The length is that of the polyline through the given points, and it is exact: the sum of the legs is
//! rounded once. waywiser has no maps, does not match tracks to roads, and does not smooth positions.
//!
//! | module | content |
//! |---|---|
//! | [`measure`] | points, metrics, the exact sum and the accumulator (sans-IO) |
//! | `formats` | readers of track files: GPX, FIT, GeoJSON, CSV and others (sans-IO, feature `formats`) |
//! | `ingest` | readers of the requests of phone apps and trackers (sans-IO, feature `ingest`) |
//! | [`recording`] | the rules of a named recording and the port of its store (sans-IO) |
//! | [`store`] | the stores of recordings: in memory, and in a file (feature `redb`) |
//! | `auth` | principals, and who they are (feature `server`) |
//! | `service` | the gRPC services, as `tower` services (feature `server`) |
//! | `server` | listener, limits, health, reflection and shutdown (feature `server`) |
//! | `metrics` | metrics for Prometheus, and health checks over HTTP (feature `metrics`) |
//! | `http` | the JSON API of the HTTP listener, and the requests of phone apps (feature `http`) |
//! | `client` | the client of the services (feature `client`) |
//! | `proto` | the generated messages of the contracts (features `client` and `server`) |
//! | `cli` | the `waywiser` program (feature `cli`) |
//!
//! The result does not depend on how the fixes are divided into calls:
//!
//! ```
//! use waywiser::{Fix, Options, PathAccumulator, Point};
//!
//! let mut path = PathAccumulator::new(Options::default()); // geodesic lengths on WGS84
//! for (latitude, longitude) in [(46.4374, 13.7503), (46.4361, 13.7512), (46.4352, 13.7498)] {
//!     path.extend(&[Fix::new(Point::geographic(latitude, longitude)?)])?;
//! }
//! assert_eq!(format!("{:.3} m", path.summary().length), "307.127 m");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "server")]
pub mod auth;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
// With only one of `client` and `server`, a part of this module is unused.
#[cfg(feature = "_grpc")]
#[cfg_attr(not(all(feature = "client", feature = "server")), allow(dead_code))]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod contract;
#[cfg(feature = "formats")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod formats;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "ingest")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod ingest;
#[cfg(feature = "cli")]
mod load;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod measure;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "_grpc")]
pub mod proto;
#[cfg(feature = "_recording")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod recording;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "_recording")]
pub mod store;
#[cfg(feature = "cli")]
mod telemetry;
#[cfg(feature = "_grpc")]
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
mod wire;

#[cfg(feature = "client")]
pub use client::{Client, ClientError};
pub use measure::{
    Elevation, Fix, FixBlock, InvalidPoints, Metric, Options, OptionsBuilder, OptionsError,
    PathAccumulator, PathError, PathSummary, Point, PointError, Space,
};
#[cfg(feature = "server")]
pub use server::Config;

/// Parts of the crate that its own tests, benchmarks and fuzz targets use. Not part of the public interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::measure::point_block::PointBlock;
    pub use crate::measure::polyline::{Polyline, PolylineSummary};

    #[cfg(feature = "server")]
    pub use crate::server::run::serve_pipe;
    #[cfg(feature = "_codec")]
    pub use crate::store::codec::check_any as check_any_checkpoint;

    #[cfg(feature = "_grpc")]
    pub mod wire {
        pub use crate::wire::*;
    }
}

/// Runs the Rust examples of the README as documentation tests.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;
