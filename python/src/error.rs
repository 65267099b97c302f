//! Exceptions for invalid points and for files that cannot be opened.

use std::io;

use pyo3::exceptions::{PyMemoryError, PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use waywiser::measure::{ColumnError, SumOverflow};
use waywiser::{Metric, PointError};

use crate::column::Columns;
use crate::suspicion::Suspicion;

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

    /// Returns the error with another index.
    pub(crate) fn map_index(self, map: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Point { index, source } => Self::Point { index: map(index), source },
            Self::Value { index, message } => Self::Value { index: map(index), message },
            Self::Overflow(error) => Self::Overflow(error),
        }
    }

    /// Returns the exception, with the line that has the point. If a latitude is out of range, the message says what the
    /// coordinates may be.
    pub(crate) fn into_exception(
        self,
        py: Python<'_>,
        line: Option<usize>,
        metric: Metric,
        columns: &Columns,
    ) -> PyErr {
        let suspicion = match self {
            Self::Point { source: PointError::Latitude { .. }, .. } => {
                match Suspicion::of(py, metric, columns) {
                    Ok(suspicion) => suspicion,
                    Err(exception) => return exception,
                }
            }
            _ => None,
        };
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
                if let Some(suspicion) = suspicion {
                    message.push_str("; ");
                    message.push_str(suspicion.advice());
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

/// Returns the exception for an error of opening a file: a subclass of OSError with the name of the file.
pub(crate) fn os_error(
    py: Python<'_>,
    error: &io::Error,
    name: &str,
    file: &Bound<'_, PyAny>,
) -> PyErr {
    if error.kind() == io::ErrorKind::OutOfMemory {
        return PyMemoryError::new_err(format!("there is not enough memory for {name}"));
    }
    if error.kind() == io::ErrorKind::InvalidInput {
        return PyValueError::new_err(format!("{name:?}: {error}"));
    }
    let Some(code) = error.raw_os_error() else {
        return PyOSError::new_err(format!("{name}: {error}"));
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (code,))?.extract());
    // The class depends on the code, such as FileNotFoundError.
    match text.and_then(|text: String| py.get_type::<PyOSError>().call1((code, text, file))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Issues a UserWarning for the line that called the package.
pub(crate) fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    static WARN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    WARN.import(py, "waywiser._warnings", "warn")?.call1((message,)).map(drop)
}

/// Returns an empty vector with space for `len` values.
///
/// # Errors
/// Returns MemoryError if there is not enough memory.
pub(crate) fn with_capacity<T>(len: usize) -> PyResult<Vec<T>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(len) {
        Ok(()) => Ok(values),
        Err(_) => {
            let bytes = len.saturating_mul(size_of::<T>());
            Err(PyMemoryError::new_err(format!("there is not enough memory for {bytes} bytes")))
        }
    }
}

/// Returns a vector of `len` equal values.
///
/// # Errors
/// Returns MemoryError if there is not enough memory.
pub(crate) fn filled<T: Clone>(value: T, len: usize) -> PyResult<Vec<T>> {
    let mut values = with_capacity(len)?;
    values.resize(len, value);
    Ok(values)
}
