//! Exceptions for invalid points.

use pyo3::exceptions::{PyOverflowError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use waywiser::PointError;
use waywiser::measure::{ColumnError, SumOverflow};

/// The first point that cannot be measured, with its index in the arrays.
#[derive(Clone, Debug)]
pub(crate) enum MeasureError {
    /// The position is not valid.
    Point {
        /// The index of the point.
        index: usize,
        /// The reason.
        source: PointError,
    },
    /// Another value is not valid.
    Value {
        /// The index of the value.
        index: usize,
        /// The reason.
        message: String,
    },
    /// The length is out of range.
    Overflow(SumOverflow),
}

impl From<SumOverflow> for MeasureError {
    fn from(error: SumOverflow) -> Self {
        Self::Overflow(error)
    }
}

/// The advice for latitudes that are out of range while all longitudes fit the range of latitudes.
pub(crate) const SWAPPED: &str = "latitudes are outside -90 to 90 and no longitude is: the arguments may be swapped (longitude comes first)";

impl MeasureError {
    /// Returns the error of a column that starts at an index of the arrays.
    pub(crate) fn of(error: ColumnError, start: usize) -> Self {
        Self::at(&error, start + error.index())
    }

    /// Returns the error of a column for the value with this index of the arrays.
    pub(crate) fn at(error: &ColumnError, index: usize) -> Self {
        match error {
            &ColumnError::Point { source, .. } => Self::Point { index, source },
            other => Self::Value { index, message: other.to_string() },
        }
    }

    /// Returns the exception, with the line that has the point. `may_be_swapped` adds advice.
    pub(crate) fn into_exception(self, line: Option<usize>, may_be_swapped: bool) -> PyErr {
        let place = |index| match line {
            Some(line) => format!("line {line}, index {index} of all points"),
            None => format!("index {index}"),
        };
        match self {
            Self::Point { index, source } => {
                let mut message = format!("{}: {source}", place(index));
                if matches!(source, PointError::NotFinite { .. }) {
                    message
                        .push_str("; use on_invalid=\"split\" or \"skip\" for missing positions");
                }
                if may_be_swapped {
                    message.push_str("; ");
                    message.push_str(SWAPPED);
                }
                PyValueError::new_err(message)
            }
            Self::Value { index, message } => {
                PyValueError::new_err(format!("{}: {message}", place(index)))
            }
            Self::Overflow(error) => PyOverflowError::new_err(error.to_string()),
        }
    }
}

/// Warns that the coordinates may be swapped.
pub(crate) fn warn_swapped(py: Python<'_>) -> PyResult<()> {
    let category = py.get_type::<PyUserWarning>();
    PyErr::warn(py, &category, &std::ffi::CString::new(SWAPPED)?, 1)
}
