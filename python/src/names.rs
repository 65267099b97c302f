//! The names of choices in arguments.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use waywiser::Metric;

/// The treatment of points without a valid position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInvalid {
    /// An exception with the index of the point.
    Raise,
    /// No leg joins the points before and after it.
    Split,
    /// A leg joins the points before and after it.
    Skip,
}

impl OnInvalid {
    /// Returns the choice with this name.
    pub(crate) fn parse(name: &str) -> PyResult<Self> {
        match name {
            "raise" => Ok(Self::Raise),
            "split" => Ok(Self::Split),
            "skip" => Ok(Self::Skip),
            _ => Err(unknown("on_invalid", name, "raise, split or skip")),
        }
    }
}

/// Returns the metric with this name.
pub(crate) fn metric(name: &str) -> PyResult<Metric> {
    match name {
        "geodesic" => Ok(Metric::Geodesic),
        "haversine" => Ok(Metric::Haversine),
        "planar" => Ok(Metric::Planar),
        _ => Err(unknown("metric", name, "geodesic, haversine or planar")),
    }
}

/// Returns the exception for a name that is not a choice.
pub(crate) fn unknown(argument: &str, name: &str, choices: &str) -> PyErr {
    PyValueError::new_err(format!("{argument} {name:?} is unknown; use {choices}"))
}
