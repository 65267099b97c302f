//! waywiser measures the length of paths: points in, one exact total out.
//!
//! It is a gRPC server, the accumulator inside it, and a command line. What it is not: it keeps no
//! maps, snaps no track to a road, and smooths nothing; it measures the polyline it is given.
//!
//! | room | what is in it |
//! |---|---|
//! | [`measure`] | points, metrics, the exact sum, the path: pure |
//! | [`wire`] | gRPC messages and points out of bytes: pure |
//! | [`formats`] | readers of GPX, GeoJSON and CSV files (feature `formats`) |
//! | [`recording`] | the rules of one named recording: pure |
//! | [`checkpoint`] | where recordings are kept |
//! | [`service`] | the gRPC services, as `tower` services |
//! | [`server`] | listener, bounds, health, reflection, drain |
//! | [`client`] | the other end |
//! | [`cli`] | the `waywiser` program (feature `cli`) |
//!
//! The length of a walk, exact however it is cut:
//!
//! ```
//! use waywiser::{Metric, Path, Point};
//!
//! let walk = [(46.4374, 13.7503), (46.4361, 13.7512), (46.4352, 13.7498)];
//! let points = walk.map(|(latitude, longitude)| Point::geographic(latitude, longitude));
//!
//! let mut path = Path::new(Metric::Geodesic);
//! for point in points {
//!     path.extend(&[point?])?;
//! }
//! assert_eq!(format!("{:.3} m", path.summary().length), "307.127 m");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
#[cfg(feature = "formats")]
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
pub mod wire;

pub use client::{Client, ClientError};
pub use measure::{
    Fix, Metric, Options, PathAccumulator, PathError, PathSummary, Point, PointError, Space,
};
pub use server::Config;

/// Parts of the crate that its own tests, benchmarks and fuzz targets use. Not part of the public interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::measure::{PointBlock, Polyline, PolylineSummary};
}

/// The examples of the README, compiled and run with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
