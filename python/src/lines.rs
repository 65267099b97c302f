//! The lengths of many lines, whose points are in one pair of columns.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use waywiser::Metric;
use waywiser::measure::{ColumnError, LineMeter};

use crate::column::{BLOCK, Columns, Output, read_integers};
use crate::error::{MeasureError, with_capacity};
use crate::names::{OnInvalid, metric_argument, on_invalid_argument};
use crate::suspicion::warn_suspicion;
use crate::work::{self, Interrupt, Threads};

/// Return the length of each line. Line i has the parts line_offsets[i] to line_offsets[i + 1], and part j has the points
/// part_offsets[j] to part_offsets[j + 1]. Without line_offsets, each line is one part.
#[pyfunction]
#[pyo3(signature = (lon, lat, part_offsets, line_offsets, *, metric, on_invalid, threads))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn ragged_lengths<'py>(
    py: Python<'py>,
    lon: &Bound<'py, PyAny>,
    lat: &Bound<'py, PyAny>,
    part_offsets: &Bound<'py, PyAny>,
    line_offsets: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    threads: Option<Threads>,
) -> PyResult<Bound<'py, PyAny>> {
    let columns = Columns::get(lon, lat, metric)?;
    let parts = Offsets::get(part_offsets, "offsets", columns.len())?;
    let lines = line_offsets
        .map(|offsets| Offsets::get(offsets, "line offsets", parts.count()))
        .transpose()?;
    let count = lines.as_ref().map_or(parts.count(), Offsets::count);
    let threads = work::threads(threads);
    let (array, out) = Output::new(py, count)?;
    let lines = Lines { columns, parts, lines, metric, on_invalid };
    let mut is_any_invalid = false;
    let work = |range, interrupt: &Interrupt<'_>| {
        let mut walk = Walk::new(&lines, interrupt);
        walk.go(range, |line, length| out.write(line, &[length]))?;
        Ok(walk.is_any_invalid)
    };
    let add = |invalid| {
        is_any_invalid |= invalid;
        Ok(())
    };
    let into_exception = |LineError { line, source }: LineError| {
        source.into_exception(py, Some(line), lines.metric, &lines.columns)
    };
    let points_per_line = lines.columns.len().div_ceil(count.max(1)).max(1);
    work::in_interruptible_steps(py, count, points_per_line, threads, work, add, into_exception)?;
    warn_suspicion(py, lines.metric, &lines.columns, is_any_invalid)?;
    Ok(array)
}

/// Offsets of consecutive groups: group i has the elements offsets[i] to offsets[i + 1].
struct Offsets(Vec<usize>);

impl Offsets {
    fn get(array: &Bound<'_, PyAny>, name: &str, elements: usize) -> PyResult<Self> {
        let len = array.len().unwrap_or(0);
        let (mut offsets, mut before) = (with_capacity(len)?, 0);
        read_integers(array, name, |offset| {
            let in_order = before..=elements;
            let Some(checked) =
                usize::try_from(offset).ok().filter(|offset| in_order.contains(offset))
            else {
                return Err(PyValueError::new_err(format!(
                    "index {} of {name}: {offset} is not between {before} and {elements}; offsets must not decrease",
                    offsets.len()
                )));
            };
            before = checked;
            offsets.push(checked);
            Ok(())
        })?;
        match offsets.is_empty() {
            true => Err(PyValueError::new_err(format!(
                "{name} are empty; n lines have n + 1 offsets, the first of which is 0"
            ))),
            false => Ok(Self(offsets)),
        }
    }

    fn count(&self) -> usize {
        self.0.len() - 1
    }

    fn of(&self, index: usize) -> Range<usize> {
        self.0[index]..self.0[index + 1]
    }
}

/// The lines of a call, and how they are measured.
struct Lines {
    columns: Columns,
    parts: Offsets,
    lines: Option<Offsets>,
    metric: Metric,
    on_invalid: OnInvalid,
}

impl Lines {
    /// Returns the parts of a line.
    #[inline]
    fn parts_of(&self, line: usize) -> Range<usize> {
        self.lines.as_ref().map_or(line..line + 1, |lines| lines.of(line))
    }
}

/// The error in a line.
struct LineError {
    line: usize,
    source: MeasureError,
}

/// Measures a range of lines.
struct Walk<'a> {
    lines: &'a Lines,
    meter: LineMeter,
    /// The index of the next point, and the end of the valid points that are loaded.
    next: usize,
    loaded_end: usize,
    /// The reason why the point at `loaded_end` is not valid.
    invalid: Option<ColumnError>,
    /// The end of the points of the range.
    end: usize,
    is_any_invalid: bool,
    interrupt: &'a Interrupt<'a>,
}

impl<'a> Walk<'a> {
    fn new(lines: &'a Lines, interrupt: &'a Interrupt<'a>) -> Self {
        Self {
            lines,
            meter: LineMeter::new(lines.metric),
            next: 0,
            loaded_end: 0,
            invalid: None,
            end: 0,
            is_any_invalid: false,
            interrupt,
        }
    }

    /// Calls `found` with the index and the length of each line of a range.
    fn go(
        &mut self,
        range: Range<usize>,
        mut found: impl FnMut(usize, f64),
    ) -> Result<(), LineError> {
        self.end = range
            .clone()
            .next_back()
            .map_or(0, |line| self.lines.parts.0[self.lines.parts_of(line).end]);
        for line in range {
            for part in self.lines.parts_of(line) {
                self.measure(self.lines.parts.of(part))
                    .map_err(|source| LineError { line, source })?;
                self.meter.end_segment();
            }
            found(line, self.meter.end_line().to_f64());
        }
        Ok(())
    }

    /// Measures the points of a part.
    #[inline]
    fn measure(&mut self, points: Range<usize>) -> Result<(), MeasureError> {
        let mut at = points.start;
        // A line may have all points of a call.
        while at < points.end && !self.interrupt.is_set() {
            if self.next != at || (self.loaded_end == at && self.invalid.is_none()) {
                self.load(at);
            }
            let count = self.loaded_end.min(points.end) - at;
            self.meter.measure(count)?;
            at += count;
            if at < points.end
                && let Some(error) = self.invalid.take()
            {
                self.is_any_invalid = true;
                match self.lines.on_invalid {
                    OnInvalid::Raise => return Err(MeasureError::of(error, at - error.index())),
                    OnInvalid::Split => self.meter.end_segment(),
                    OnInvalid::Skip => {}
                }
                at += 1;
                self.loaded_end = at;
            }
            self.next = at;
        }
        Ok(())
    }

    /// Loads the points from an index on.
    #[inline]
    fn load(&mut self, at: usize) {
        let range = at..self.end.min(at + BLOCK);
        let outcome = self.lines.columns.load(range.clone(), &mut self.meter);
        let valid = outcome.as_ref().map_or_else(ColumnError::index, |()| range.len());
        self.loaded_end = at + valid;
        self.invalid = outcome.err();
    }
}
