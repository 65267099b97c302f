//! The points of a call with their times, elevations and accuracies, and how they are added to a path.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use waywiser::measure::{ColumnError, FixError, PathError};
use waywiser::{Fix, FixBlock, InvalidPoints, Metric, Options, PathAccumulator, PointError};

use crate::column::{BLOCK, Block, Column, Columns, Rows};
use crate::error::{MeasureError, warn_swapped};
use crate::work;

/// A time that is missing: the value of NaT.
pub(crate) const NO_TIME: i64 = i64::MIN;

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
        let add = |range: Range<usize>| feed.add(Rows::Range(range.start, range.end), path);
        let outcome = work::in_order(py, self.len(), add);
        let is_any_invalid = feed.is_any_invalid;
        match outcome {
            Err(work::Stopped::Exception(exception)) => Err(exception),
            Err(work::Stopped::Error(error)) => Err(self.exception(error)),
            Ok(()) if is_any_invalid && self.may_be_swapped() => warn_swapped(py),
            Ok(()) => Ok(()),
        }
    }

    /// Returns rows in the order of their times, and the earliest and the latest time. Rows with equal times keep their
    /// order. A row without a time stays after the row before it. `sorted` is memory for the result.
    pub(crate) fn in_order_of_time<'a>(
        &self,
        rows: Rows<'a>,
        sorted: &'a mut Vec<u32>,
    ) -> (Rows<'a>, [i64; 2]) {
        let Some(times) = &self.times else { return (rows, [NO_TIME; 2]) };
        let mut ends = [NO_TIME; 2];
        let mut is_sorted = true;
        let for_each = |found: &mut dyn FnMut(usize, i64)| {
            let mut block = Block::new();
            for start in (0..rows.len()).step_by(BLOCK) {
                let block_rows = rows.slice(start, rows.len().min(start + BLOCK));
                for (position, &time) in (start..).zip(times.read_rows(block_rows, &mut block)) {
                    found(position, time);
                }
            }
        };
        let mut before = i64::MIN;
        for_each(&mut |_, time| {
            if time != NO_TIME {
                is_sorted &= before <= time;
                before = time;
                ends[0] = if ends[0] == NO_TIME { time } else { ends[0].min(time) };
                ends[1] = ends[1].max(time);
            }
        });
        if is_sorted {
            return (rows, ends);
        }
        let mut keys = Vec::with_capacity(rows.len());
        let mut before = i64::MIN;
        for_each(&mut |position, time| {
            before = if time == NO_TIME { before } else { time };
            // The rows of a group have indices of 32 bits.
            keys.push((before, rows.index(position) as u32));
        });
        keys.sort_by_key(|&(time, _)| time);
        sorted.clear();
        sorted.extend(keys.iter().map(|&(_, row)| row));
        (Rows::Indices(sorted), ends)
    }

    /// Returns the exception for an error.
    pub(crate) fn exception(&self, error: MeasureError) -> PyErr {
        let is_latitude =
            matches!(error, MeasureError::Point { source: PointError::Latitude { .. }, .. });
        error.into_exception(None, is_latitude && self.may_be_swapped())
    }

    /// Returns whether the longitudes may be latitudes.
    pub(crate) fn may_be_swapped(&self) -> bool {
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

    /// Adds the points of some rows.
    pub(crate) fn add(
        &mut self,
        rows: Rows<'_>,
        path: &mut PathAccumulator,
    ) -> Result<(), MeasureError> {
        let mut at = 0;
        while at < rows.len() {
            let block_rows = rows.slice(at, rows.len().min(at + BLOCK));
            at += self.load(block_rows)?;
            path.fold(&mut self.block).map_err(|error| match error {
                PathError::Overflow(overflow) => overflow.into(),
                other => {
                    MeasureError::Value { index: block_rows.index(0), message: other.to_string() }
                }
            })?;
        }
        Ok(())
    }

    /// Loads the points of some rows, up to the first one that is not valid and including it. Returns the number of
    /// points that were loaded.
    fn load(&mut self, rows: Rows<'_>) -> Result<usize, MeasureError> {
        let Fixes { columns, times, elevations, accuracies, on_invalid, .. } = self.fixes;
        let invalid = columns.extend(rows, &mut self.block).err();
        let valid = invalid.as_ref().map_or(rows.len(), ColumnError::index);
        if let Some(error) = &invalid
            && *on_invalid == InvalidPoints::RejectCall
        {
            return Err(MeasureError::at(error, rows.index(valid)));
        }
        let rows = rows.slice(0, valid);
        let wrong = |position, error: FixError| MeasureError::Value {
            index: rows.index(position),
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
            for (position, &time) in times.read_rows(rows, &mut block).iter().enumerate() {
                if time != NO_TIME {
                    let outcome = self.block.set_unix_ns_at(position, time);
                    outcome.map_err(|error| wrong(position, error))?;
                }
            }
        }
        if let Some(elevations) = elevations {
            let mut block = Block::new();
            for (position, &z) in elevations.read_rows(rows, &mut block).iter().enumerate() {
                if !z.is_nan() {
                    self.block.set_z_at(position, z).map_err(|error| wrong(position, error))?;
                }
            }
        }
        if let Some(accuracies) = accuracies {
            let mut block = Block::new();
            for (position, &accuracy) in accuracies.read_rows(rows, &mut block).iter().enumerate() {
                if !accuracy.is_nan() {
                    let outcome = self.block.set_accuracy_m_at(position, accuracy);
                    outcome.map_err(|error| wrong(position, error))?;
                }
            }
        }
        if invalid.is_none() {
            return Ok(valid);
        }
        self.is_any_invalid = true;
        // A fix without a position is in no space, so that it fits every block.
        let _fits = self.block.push(Fix::without_position());
        Ok(valid + 1)
    }
}
