//! Measures the length of paths: a gRPC server, a client, a command line, and the accumulator that they use.
//!
//! The length is that of the polyline through the given points, and it is exact: the sum of the legs is
//! rounded once. waywiser has no maps, does not match tracks to roads, and does not smooth positions.
//!
//! | module | content |
//! |---|---|
//! | [`measure`] | points, metrics, the exact sum and the accumulator (sans-IO) |
//! | [`formats`] | readers of GPX, GeoJSON and CSV files (sans-IO, feature `cli`) |
//! | [`recording`] | the rules of a named recording and the port of its store (sans-IO) |
//! | [`store`] | the stores of recordings |
//! | [`service`] | the gRPC services, as `tower` services |
//! | [`server`] | listener, limits, health, reflection and shutdown |
//! | [`client`] | the client of the services |
//! | [`proto`] | the generated messages of the contracts |
//! | [`cli`] | the `waywiser` program (feature `cli`) |
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

#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
#[cfg(feature = "cli")]
pub mod formats;
#[cfg(feature = "cli")]
mod load;
pub mod measure;
pub mod proto;
pub mod recording;
pub mod server;
pub mod service;
pub mod store;
#[cfg(feature = "cli")]
mod telemetry;
mod wire;

pub use client::{Client, ClientError};
pub use measure::{
    Elevation, Fix, FixBlock, Metric, Options, OptionsBuilder, OptionsError, PathAccumulator,
    PathError, PathSummary, Point, PointError, Space,
};
pub use server::Config;

/// Parts of the crate that its own tests, benchmarks and fuzz targets use. Not part of the public interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::measure::point_block::PointBlock;
    pub use crate::measure::polyline::{Polyline, PolylineSummary};

    pub mod wire {
        pub use crate::wire::*;
    }
}

/// The examples of the README, compiled and run with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
