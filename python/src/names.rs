//! The names of choices in arguments.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};
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

/// Returns the argument `metric`.
pub(crate) fn metric_argument(value: &Bound<'_, PyAny>) -> PyResult<Metric> {
    metric(text("metric", value)?.to_str()?)
}

/// Returns the argument `on_invalid`.
pub(crate) fn on_invalid_argument(value: &Bound<'_, PyAny>) -> PyResult<OnInvalid> {
    OnInvalid::parse(text("on_invalid", value)?.to_str()?)
}

fn text<'a, 'py>(name: &str, value: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyString>> {
    value.cast().map_err(|_| wrong_type(name, "a text", value))
}

/// Returns a flag. Accepts also the booleans of numpy.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => value.extract().map_err(|_| wrong_type(name, "True or False", value)),
    }
}

/// Returns the exception for an argument of another type than it must have.
pub(crate) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name().map(|found| found.to_string());
    let found = found.unwrap_or_else(|_| "another type".to_owned());
    PyTypeError::new_err(format!("{name} must be {expected}, not {found}"))
}

/// Returns the exception for a name that is not a choice.
pub(crate) fn unknown(argument: &str, name: &str, choices: &str) -> PyErr {
    PyValueError::new_err(format!("{argument} {name:?} is unknown; use {choices}"))
}
