//! The points of a call with their times, elevations and accuracies, and how they are added to a path.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use waywiser::measure::{FixError, PathError};
use waywiser::{Fix, FixBlock, InvalidPoints, Metric, Options, PathAccumulator, PointError};

use crate::column::{BLOCK, Block, Column, Columns};
use crate::error::{MeasureError, warn_swapped};
use crate::work;

/// A time that is missing: the value of NaT.
const NO_TIME: i64 = i64::MIN;

/// The columns of the points of a call. All have the same length.
pub(crate) struct Fixes {
    columns: Columns,
    /// Nanoseconds since 1970; [`NO_TIME`] if missing.
    times: Option<Column<i64>>,
    /// NaN if missing.
    elevations: Option<Column<f64>>,
    /// In metres, NaN if missing.
    accuracies: Option<Column<f64>>,
    metric: Metric,
    on_invalid: InvalidPoints,
}

/// The arguments with the points of a call.
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) lon: &'a Bound<'py, PyAny>,
    pub(crate) lat: &'a Bound<'py, PyAny>,
    pub(crate) time: Option<&'a Bound<'py, PyAny>>,
    pub(crate) elevation: Option<&'a Bound<'py, PyAny>>,
    pub(crate) accuracy: Option<&'a Bound<'py, PyAny>>,
}

impl Fixes {
    /// Returns the columns of array-like objects.
    pub(crate) fn get(
        py: Python<'_>,
        given: &Arguments<'_, '_>,
        options: &Options,
    ) -> PyResult<Self> {
        static TIMES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static NUMBERS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let columns = Columns::get(given.lon, given.lat, options.metric())?;
        let len = columns.len();
        let numbers = |array: Option<&Bound<'_, PyAny>>, name| {
            array
                .map(|array| {
                    let array =
                        NUMBERS.import(py, "waywiser._arrays", "column")?.call1((array, name))?;
                    Column::<f64>::of_len(&array, name, len)
                })
                .transpose()
        };
        let times = given
            .time
            .map(|array| {
                let array =
                    TIMES.import(py, "waywiser._times", "unix_ns")?.call1((array, "time"))?;
                Column::<i64>::of_len(&array, "time", len)
            })
            .transpose()?;
        Ok(Self {
            columns,
            times,
            elevations: numbers(given.elevation, "elevation")?,
            accuracies: numbers(given.accuracy, "accuracy")?,
            metric: options.metric(),
            on_invalid: options.invalid_points(),
        })
    }

    /// Returns the number of points.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds all points to a path. If this fails, a part of them was added.
    pub(crate) fn add_to(&self, py: Python<'_>, path: &mut PathAccumulator) -> PyResult<()> {
        let mut feed = Feed::new(self);
        let add = |range: Range<usize>| feed.add(range, path);
        let outcome = work::in_order(py, self.len(), add);
        let is_any_invalid = feed.is_any_invalid;
        match outcome {
            Err(work::Stopped::Exception(exception)) => Err(exception),
            Err(work::Stopped::Error(error)) => Err(self.exception(error)),
            Ok(()) if is_any_invalid && self.may_be_swapped() => warn_swapped(py),
            Ok(()) => Ok(()),
        }
    }

    /// Returns the exception for an error.
    pub(crate) fn exception(&self, error: MeasureError) -> PyErr {
        let is_latitude =
            matches!(error, MeasureError::Point { source: PointError::Latitude { .. }, .. });
        error.into_exception(None, is_latitude && self.may_be_swapped())
    }

    fn may_be_swapped(&self) -> bool {
        self.metric != Metric::Planar && self.columns.may_be_swapped()
    }
}

/// Adds points to a path in blocks.
pub(crate) struct Feed<'a> {
    fixes: &'a Fixes,
    block: FixBlock,
    /// Whether a point was not valid.
    pub(crate) is_any_invalid: bool,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(fixes: &'a Fixes) -> Self {
        Self { fixes, block: FixBlock::new(fixes.metric), is_any_invalid: false }
    }

    /// Adds the points of a range.
    pub(crate) fn add(
        &mut self,
        range: Range<usize>,
        path: &mut PathAccumulator,
    ) -> Result<(), MeasureError> {
        let mut at = range.start;
        while at < range.end {
            at = self.load(at..range.end.min(at + BLOCK))?;
            path.fold(&mut self.block).map_err(|error| path_error(error, at))?;
        }
        Ok(())
    }

    /// Loads the points of a range, up to the first one that is not valid and including it. Returns the end of the
    /// points that were loaded.
    fn load(&mut self, range: Range<usize>) -> Result<usize, MeasureError> {
        let Fixes { columns, times, elevations, accuracies, on_invalid, .. } = self.fixes;
        let (from, end) = (range.start, range.end);
        let invalid = columns.extend(range, &mut self.block).err();
        let valid_end = invalid.as_ref().map_or(end, |error| from + error.index());
        if let Some(error) = &invalid
            && *on_invalid == InvalidPoints::RejectCall
        {
            return Err(MeasureError::of(*error, from));
        }
        let wrong = |index, error: FixError| MeasureError::Value {
            index: from + index,
            message: match error {
                FixError::Z(z) => format!(
                    "elevation {z} is not a number between -2^40 and 2^40; use NaN for a missing one"
                ),
                FixError::Accuracy(accuracy) => format!(
                    "accuracy {accuracy} is not a number from 0 to 2^40; use NaN for a missing one"
                ),
                other => other.to_string(),
            },
        };
        if let Some(times) = times {
            let mut block = Block::new();
            for (index, &time) in times.read(from..valid_end, &mut block).iter().enumerate() {
                if time != NO_TIME {
                    let outcome = self.block.set_unix_ns_at(index, time);
                    outcome.map_err(|error| wrong(index, error))?;
                }
            }
        }
        if let Some(elevations) = elevations {
            let mut block = Block::new();
            for (index, &z) in elevations.read(from..valid_end, &mut block).iter().enumerate() {
                if !z.is_nan() {
                    self.block.set_z_at(index, z).map_err(|error| wrong(index, error))?;
                }
            }
        }
        if let Some(accuracies) = accuracies {
            let mut block = Block::new();
            for (index, &accuracy) in
                accuracies.read(from..valid_end, &mut block).iter().enumerate()
            {
                if !accuracy.is_nan() {
                    let outcome = self.block.set_accuracy_m_at(index, accuracy);
                    outcome.map_err(|error| wrong(index, error))?;
                }
            }
        }
        if invalid.is_none() {
            return Ok(end);
        }
        self.is_any_invalid = true;
        // A fix without a position has no space that could be the wrong one.
        self.block.push(Fix::without_position()).map_err(|error| path_error(error, valid_end))?;
        Ok(valid_end + 1)
    }
}

fn path_error(error: PathError, index: usize) -> MeasureError {
    match error {
        PathError::Overflow(overflow) => overflow.into(),
        other => MeasureError::Value { index, message: other.to_string() },
    }
}
