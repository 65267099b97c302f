//! The points of a call with their times, elevations and accuracies, and how they are added to a path.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use waywiser::measure::{ColumnError, FixError, PathError};
use waywiser::{Fix, FixBlock, InvalidPoints, Metric, Options, PathAccumulator};

use crate::column::{BLOCK, Block, Column, Columns, Rows};
use crate::error::{MeasureError, with_capacity};
use crate::suspicion::warn_suspicion;
use crate::work::{self, Interrupt};

/// A time that is missing: the value of NaT.
pub(crate) const NO_TIME: i64 = FixBlock::NO_TIME;

/// The number of keys that are sorted at once: some milliseconds.
const SORTED_RUN: usize = 1 << 18;

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

/// Columns of positions, and of times if there are any.
pub(crate) type Floats<'a> = ([&'a Column<f64>; 2], Option<&'a Column<i64>>);

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

    /// Returns copies in which each point is at the position that `positions` has for it.
    pub(crate) fn scattered(&self, py: Python<'_>, positions: &[u32]) -> PyResult<Self> {
        let numbers = |column: &Option<Column<f64>>| {
            column.as_ref().map(|column| column.scattered(py, positions)).transpose()
        };
        Ok(Self {
            columns: self.columns.scattered(py, positions)?,
            times: self.times.as_ref().map(|times| times.scattered(py, positions)).transpose()?,
            elevations: numbers(&self.elevations)?,
            accuracies: numbers(&self.accuracies)?,
            ..*self
        })
    }

    /// Returns the columns if they are longitudes and latitudes in degrees, or x and y as float64, with or without times and
    /// without other attributes.
    pub(crate) fn floats(&self) -> Option<Floats<'_>> {
        match &self.columns {
            Columns::Float(x, y) if self.elevations.is_none() && self.accuracies.is_none() => {
                Some(([x, y], self.times.as_ref()))
            }
            _ => None,
        }
    }

    /// Returns the number of points.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds all points to a path. If this fails, a part of them was added.
    pub(crate) fn add_to(&self, py: Python<'_>, path: &mut PathAccumulator) -> PyResult<()> {
        let mut feed = Feed::new(self, false);
        let add = |range: Range<usize>| feed.add(Rows::Range(range.start, range.end), path);
        let outcome = work::in_order(py, self.len(), add);
        let is_any_invalid = feed.is_any_invalid;
        match outcome {
            Err(work::Stopped::Exception(exception)) => Err(exception),
            Err(work::Stopped::Error(error)) => Err(self.exception(py, error)),
            Ok(()) => self.finish(py, is_any_invalid),
        }
    }

    /// Warns if the coordinates may have another meaning.
    pub(crate) fn finish(&self, py: Python<'_>, is_any_invalid: bool) -> PyResult<()> {
        warn_suspicion(py, self.metric, &self.columns, is_any_invalid)
    }

    /// Returns rows in the order of their times, and the earliest and the latest time. Rows with equal times keep their
    /// order. A row without a time stays after the row before it. `sorted` is memory for the result. An interrupt ends the
    /// sort early.
    ///
    /// # Errors
    /// Returns MemoryError if there is not enough memory.
    pub(crate) fn in_order_of_time<'a>(
        &self,
        rows: Rows<'a>,
        sorted: &'a mut Vec<u32>,
        interrupt: &Interrupt<'_>,
    ) -> PyResult<(Rows<'a>, [i64; 2])> {
        let Some(times) = &self.times else { return Ok((rows, [NO_TIME; 2])) };
        let mut ends = [NO_TIME; 2];
        let mut is_sorted = true;
        let for_each = |found: &mut dyn FnMut(usize, i64)| {
            let mut block = Block::new();
            let starts = (0..rows.len()).step_by(BLOCK);
            for start in starts.take_while(|_| !interrupt.is_set()) {
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
            return Ok((rows, ends));
        }
        let mut keys = with_capacity(rows.len())?;
        let mut before = i64::MIN;
        for_each(&mut |position, time| {
            before = if time == NO_TIME { before } else { time };
            // The rows of a group have indices of 32 bits.
            keys.push((before, rows.index(position) as u32));
        });
        sort_by_time(&mut keys, interrupt);
        sorted.clear();
        if sorted.capacity() < keys.len() {
            *sorted = with_capacity(keys.len())?;
        }
        sorted.extend(keys.iter().map(|&(_, row)| row));
        Ok((Rows::Indices(sorted), ends))
    }

    /// Returns the exception for an error.
    pub(crate) fn exception(&self, py: Python<'_>, error: MeasureError) -> PyErr {
        error.into_exception(py, None, self.metric, &self.columns)
    }
}

/// Sorts keys by time, those with equal times in their order. Sorts runs of a bounded length and merges pairs of them, so
/// that it can stop in between.
fn sort_by_time(keys: &mut [(i64, u32)], interrupt: &Interrupt<'_>) {
    let mut run = SORTED_RUN;
    loop {
        for keys in keys.chunks_mut(run) {
            if interrupt.check() {
                return;
            }
            // The stable sort finds the two sorted runs of the last pass, and only merges them.
            keys.sort_by_key(|&(time, _)| time);
        }
        if run >= keys.len() {
            return;
        }
        run *= 2;
    }
}

/// Adds points to a path in blocks.
pub(crate) struct Feed<'a> {
    fixes: &'a Fixes,
    block: FixBlock,
    /// Whether times are not added.
    ignores_times: bool,
    /// Whether a point was not valid.
    pub(crate) is_any_invalid: bool,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(fixes: &'a Fixes, ignores_times: bool) -> Self {
        Self { fixes, block: FixBlock::new(fixes.metric), ignores_times, is_any_invalid: false }
    }

    /// Adds the points of some rows.
    pub(crate) fn add(
        &mut self,
        rows: Rows<'_>,
        path: &mut PathAccumulator,
    ) -> Result<(), MeasureError> {
        self.add_while(rows, path, || true)
    }

    /// Adds the points of some rows in blocks, as long as `may_continue` returns true.
    pub(crate) fn add_while(
        &mut self,
        rows: Rows<'_>,
        path: &mut PathAccumulator,
        may_continue: impl Fn() -> bool,
    ) -> Result<(), MeasureError> {
        let fixes = self.fixes;
        let times = fixes.times.as_ref().filter(|_| !self.ignores_times);
        let mut at = 0;
        while at < rows.len() && may_continue() {
            let rows = rows.slice(at, rows.len().min(at + BLOCK));
            let attributes = |block: &mut FixBlock, valid| {
                let rows = rows.slice(0, valid);
                let mut numbers = Block::new();
                if let Some(times) = times {
                    block.set_unix_ns(0, times.read_rows(rows, &mut Block::new()))?;
                }
                if let Some(elevations) = &fixes.elevations {
                    block.set_z(0, elevations.read_rows(rows, &mut numbers))?;
                }
                if let Some(accuracies) = &fixes.accuracies {
                    block.set_accuracy_m(0, accuracies.read_rows(rows, &mut numbers))?;
                }
                Ok(())
            };
            let positions = |block: &mut FixBlock| fixes.columns.extend(rows, block);
            let added = self.add_block(rows.len(), positions, attributes, path);
            at += added.map_err(|error| error.at(|position| rows.index(position)))?;
        }
        Ok(())
    }

    /// Adds the points of columns, at most [`BLOCK`].
    pub(crate) fn add_columns(
        &mut self,
        [x, y]: [&[f64]; 2],
        times: &[i64],
        path: &mut PathAccumulator,
    ) -> Result<(), MeasureError> {
        let ignores_times = self.ignores_times;
        let mut at = 0;
        while at < x.len() {
            let (x, y, times) = (&x[at..], &y[at..], &times[at..]);
            let positions = |block: &mut FixBlock| block.extend_xy(x, y);
            let attributes = |block: &mut FixBlock, valid| match ignores_times {
                true => Ok(()),
                false => block.set_unix_ns(0, &times[..valid]),
            };
            let added = self.add_block(x.len(), positions, attributes, path);
            at += added.map_err(|error| error.at(|position| at + position))?;
        }
        Ok(())
    }

    /// Adds the points of a block, up to the first one that is not valid and including it. Returns the number of points.
    /// `set_attributes` is called with the number of points with a valid position.
    #[inline]
    fn add_block(
        &mut self,
        count: usize,
        add_positions: impl FnOnce(&mut FixBlock) -> Result<(), ColumnError>,
        set_attributes: impl FnOnce(&mut FixBlock, usize) -> Result<(), ColumnError>,
        path: &mut PathAccumulator,
    ) -> Result<usize, BlockError> {
        let invalid = add_positions(&mut self.block).err();
        let valid = invalid.as_ref().map_or(count, ColumnError::index);
        if let Some(error) = invalid
            && self.fixes.on_invalid == InvalidPoints::RejectCall
        {
            return Err(BlockError::Column(error));
        }
        set_attributes(&mut self.block, valid).map_err(BlockError::Column)?;
        if invalid.is_some() {
            self.is_any_invalid = true;
            // A fix without a position is in no space, so that it fits every block.
            let _fits = self.block.push(Fix::without_position());
        }
        path.fold(&mut self.block).map_err(BlockError::Path)?;
        Ok(valid + usize::from(invalid.is_some()))
    }
}

/// An error in a block. The index of a column error is the position in the block.
enum BlockError {
    Column(ColumnError),
    Path(PathError),
}

impl BlockError {
    /// Returns the error with the index in the arrays of each position.
    fn at(self, index_of: impl Fn(usize) -> usize) -> MeasureError {
        match self {
            Self::Column(error @ ColumnError::Point { .. }) => {
                MeasureError::at(&error, index_of(error.index()))
            }
            Self::Column(error) => value_error(&error, index_of(error.index())),
            Self::Path(PathError::Overflow(overflow)) => overflow.into(),
            Self::Path(other) => {
                MeasureError::Value { index: index_of(0), message: other.to_string() }
            }
        }
    }
}

/// Returns the error of an attribute with this index of the arrays.
fn value_error(error: &ColumnError, index: usize) -> MeasureError {
    let message = match error {
        ColumnError::Z { source, .. } | ColumnError::Accuracy { source, .. } => {
            attribute_error(source)
        }
        other => other.to_string(),
    };
    MeasureError::Value { index, message }
}

/// Returns the message for an attribute that is not valid.
pub(crate) fn attribute_error(error: &FixError) -> String {
    match error {
        FixError::Z(z) => format!(
            "elevation {z} is not a number between -2^40 and 2^40; use NaN for a missing one"
        ),
        FixError::Accuracy(accuracy) => {
            format!("accuracy {accuracy} is not a number from 0 to 2^40; use NaN for a missing one")
        }
        other => other.to_string(),
    }
}
