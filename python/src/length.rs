//! The length and the legs of one path.

use std::ops::Range;

use pyo3::prelude::*;
use waywiser::Metric;
use waywiser::measure::{ColumnError, ExactSum, LineMeter};

use crate::column::{BLOCK, Columns, Output};
use crate::error::MeasureError;
use crate::names::{OnInvalid, metric_argument, on_invalid_argument};
use crate::suspicion::warn_suspicion;
use crate::work::{self, Threads};

/// Return the length of a path in metres, rounded once from the exact sum of
/// its legs.
///
/// The path goes through the points (lon[i], lat[i]). The result has the same
/// bits as those of the server and of the command line, however the path is
/// divided.
///
/// Parameters
/// ----------
/// lon, lat : array_like
///     Longitudes and latitudes on WGS84: float64 in degrees, or int32 in units
///     of 1e-7 degree. Whole numbers of other types are degrees. Arrays of
///     numpy, and objects with the Arrow PyCapsule interface, are not copied if
///     they are float64 or int32 of the processor's byte order, have one chunk
///     and no missing values. A longitude beyond 180 degrees is reduced by
///     whole turns. With metric="planar": x and y.
/// metric : {"geodesic", "haversine", "planar"}
///     The geodesic on WGS84, the great circle on a sphere, or the straight
///     line in the unit of x and y.
/// on_invalid : {"raise", "split", "skip"}
///     For positions that are missing (NaN, None, masked, null) or out of
///     range: raise ValueError, join no leg over them, or join a leg over them.
/// threads : int or None
///     The number of threads; None is one for each processor.
///
/// Returns
/// -------
/// float
///     The length in metres (or in the unit of x and y).
///
/// Raises
/// ------
/// ValueError
///     A position is not valid and on_invalid is "raise", or the arrays differ
///     in length.
/// TypeError
///     An argument is not an array of numbers.
/// OverflowError
///     The length is 2**64 or more.
#[pyfunction]
#[pyo3(
    signature = (lon, lat, *, metric = Metric::Geodesic, on_invalid = OnInvalid::Raise, threads = Some(Threads(1))),
    text_signature = "(lon, lat, *, metric='geodesic', on_invalid='raise', threads=1)"
)]
pub(crate) fn length(
    py: Python<'_>,
    lon: &Bound<'_, PyAny>,
    lat: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    threads: Option<Threads>,
) -> PyResult<f64> {
    let path = Path::get(lon, lat, metric, on_invalid)?;
    let threads = work::threads(threads);
    let (mut total, mut is_any_invalid) = (ExactSum::ZERO, false);
    let mut joints = Joints::new(&path);
    let work = |range| {
        let mut walk = Walk::new(&path);
        walk.go(range, |_, _| {})?;
        Ok((walk.meter.end_line(), walk.is_any_invalid, walk.ends))
    };
    let add = |(sum, invalid, ends): (ExactSum, bool, Option<Ends>)| {
        is_any_invalid |= invalid;
        joints.join(ends, |_, _| {})?;
        Ok(total.merge(&sum)?)
    };
    work::in_steps(py, path.columns.len(), 1, threads, work, add, |error| {
        path.exception(py, error)
    })?;
    total.merge(&joints.meter.end_line()).map_err(|error| path.exception(py, error.into()))?;
    path.finish(py, is_any_invalid)?;
    Ok(total.to_f64())
}

/// Return the distance from the point before to each point of a path, in
/// metres; 0 for the first point.
///
/// The legs are those that length() adds. Each is rounded once.
///
/// Parameters
/// ----------
/// lon, lat : array_like
///     Longitudes and latitudes, as for length().
/// metric : {"geodesic", "haversine", "planar"}
///     See length().
/// on_invalid : {"raise", "split", "skip"}
///     See length(). The leg to an invalid point is 0. With "split", the leg to
///     the point after it is 0 too.
/// threads : int or None
///     The number of threads; None is one for each processor.
///
/// Returns
/// -------
/// numpy.ndarray
///     One float64 for each point.
///
/// Raises
/// ------
/// ValueError
///     A position is not valid and on_invalid is "raise", or the arrays differ
///     in length.
#[pyfunction]
#[pyo3(
    signature = (lon, lat, *, metric = Metric::Geodesic, on_invalid = OnInvalid::Raise, threads = Some(Threads(1))),
    text_signature = "(lon, lat, *, metric='geodesic', on_invalid='raise', threads=1)"
)]
pub(crate) fn legs<'py>(
    py: Python<'py>,
    lon: &Bound<'py, PyAny>,
    lat: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    threads: Option<Threads>,
) -> PyResult<Bound<'py, PyAny>> {
    let path = Path::get(lon, lat, metric, on_invalid)?;
    let threads = work::threads(threads);
    let (array, out) = Output::new(py, path.columns.len())?;
    let mut is_any_invalid = false;
    let mut joints = Joints::new(&path);
    let work = |range: Range<usize>| {
        let mut walk = Walk::new(&path);
        walk.go(range, |at, legs| out.write(at, legs))?;
        Ok((walk.is_any_invalid, walk.ends))
    };
    let add = |(invalid, ends): (bool, Option<Ends>)| {
        is_any_invalid |= invalid;
        joints.join(ends, |at, leg| out.write(at, &[leg]))
    };
    work::in_steps(py, path.columns.len(), 1, threads, work, add, |error| {
        path.exception(py, error)
    })?;
    path.finish(py, is_any_invalid)?;
    Ok(array)
}

/// The points of a call, and how they are measured.
struct Path {
    columns: Columns,
    metric: Metric,
    on_invalid: OnInvalid,
}

impl Path {
    fn get(
        lon: &Bound<'_, PyAny>,
        lat: &Bound<'_, PyAny>,
        metric: Metric,
        on_invalid: OnInvalid,
    ) -> PyResult<Self> {
        Ok(Self { columns: Columns::get(lon, lat, metric)?, metric, on_invalid })
    }

    fn exception(&self, py: Python<'_>, error: MeasureError) -> PyErr {
        error.into_exception(py, None, self.metric, &self.columns)
    }

    /// Warns if the coordinates may have another meaning.
    fn finish(&self, py: Python<'_>, is_any_invalid: bool) -> PyResult<()> {
        warn_suspicion(py, self.metric, &self.columns, is_any_invalid)
    }
}

/// The first and the last valid point of a range.
#[derive(Clone, Copy)]
struct Ends {
    first: usize,
    last: usize,
}

/// Measures the legs between consecutive ranges, from the last valid point before a range to its first one. Each range is
/// measured on its own, so that no point is read again for the ranges after it.
struct Joints<'a> {
    path: &'a Path,
    meter: LineMeter,
    last: Option<usize>,
}

impl<'a> Joints<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, meter: LineMeter::new(path.metric), last: None }
    }

    /// Adds the leg to a range after the ranges so far. `found` is called with the index of its first valid point and the leg.
    fn join(
        &mut self,
        ends: Option<Ends>,
        mut found: impl FnMut(usize, f64),
    ) -> Result<(), MeasureError> {
        let Some(Ends { first, last }) = ends else { return Ok(()) };
        if let Some(before) = self.last
            && (before + 1 == first || self.path.on_invalid == OnInvalid::Skip)
        {
            for index in [before, first] {
                let loaded = self.path.columns.load(index..index + 1, &mut self.meter);
                loaded.map_err(|error| MeasureError::of(error, index))?;
                let legs = self.meter.measure(1)?;
                if index == first {
                    legs.iter().for_each(|&leg| found(first, leg));
                }
            }
            self.meter.end_segment();
        }
        self.last = Some(last);
        Ok(())
    }
}

/// Measures a range of the points of a path, without the leg to its first valid point.
struct Walk<'a> {
    path: &'a Path,
    meter: LineMeter,
    is_any_invalid: bool,
    /// The first and the last valid point so far.
    ends: Option<Ends>,
}

impl<'a> Walk<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, meter: LineMeter::new(path.metric), is_any_invalid: false, ends: None }
    }

    /// Measures the points of a range. `found` is called with the index of the first of some points and their legs.
    fn go(
        &mut self,
        range: Range<usize>,
        mut found: impl FnMut(usize, &[f64]),
    ) -> Result<(), MeasureError> {
        let mut at = range.start;
        while at < range.end {
            at += self.measure(at..range.end.min(at + BLOCK), &mut found)?;
        }
        Ok(())
    }

    /// Measures the first points of a range, and an invalid one after them. Returns the number of points.
    fn measure(
        &mut self,
        range: Range<usize>,
        found: &mut impl FnMut(usize, &[f64]),
    ) -> Result<usize, MeasureError> {
        let (from, count) = (range.start, range.len());
        let outcome = self.path.columns.load(range, &mut self.meter);
        let valid = outcome.as_ref().map_or_else(ColumnError::index, |()| count);
        found(from, self.meter.measure(valid)?);
        if valid > 0 {
            let first = self.ends.map_or(from, |ends| ends.first);
            self.ends = Some(Ends { first, last: from + valid - 1 });
        }
        let Err(error) = outcome else { return Ok(count) };
        self.is_any_invalid = true;
        found(from + valid, &[0.0]);
        match self.path.on_invalid {
            OnInvalid::Raise => return Err(MeasureError::of(error, from)),
            OnInvalid::Split => self.meter.end_segment(),
            OnInvalid::Skip => {}
        }
        Ok(valid + 1)
    }
}
