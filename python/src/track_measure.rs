//! Measures a track of a file with its segments and with its points without a valid position.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use waywiser::{Fix, Metric, PathAccumulator};

use crate::column::{Rows, check_len, read_integers};
use crate::error::MeasureError;
use crate::fixes::{Arguments, Feed, Fixes};
use crate::names::{OnInvalid, metric_argument, on_invalid_argument};
use crate::{options, summary, work};

/// Something between two points with a position.
#[derive(Clone, Copy)]
enum Between {
    /// A point without a valid position.
    InvalidPoint,
    /// The start of a segment.
    SegmentStart,
}

/// Return the summary of the points of a track. `segment` has the number of the segment of each point, and
/// `invalid_offsets` the offsets, among all points, of those without a valid position.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the Python class calls it with positions")]
pub(crate) fn measure_track<'py>(
    py: Python<'py>,
    lon: &Bound<'py, PyAny>,
    lat: &Bound<'py, PyAny>,
    time: &Bound<'py, PyAny>,
    elevation: &Bound<'py, PyAny>,
    accuracy: &Bound<'py, PyAny>,
    segment: &Bound<'py, PyAny>,
    invalid_offsets: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    given: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options::options_with("Track.measure", metric, on_invalid, Some(given))?;
    let given = Arguments {
        lon,
        lat,
        time: Some(time),
        elevation: Some(elevation),
        accuracy: Some(accuracy),
    };
    let fixes = Fixes::get(py, &given, &options)?;
    let breaks = breaks(segment, invalid_offsets, fixes.len())?;
    let mut path = PathAccumulator::new(options);
    let mut feed = Feed::new(&fixes, false);
    let mut rest = &breaks[..];
    let end = fixes.len();
    let outcome = work::in_order(py, end, |range: Range<usize>| {
        let mut at = range.start;
        while let Some(&(index, between)) = rest.first()
            && index < range.end
        {
            feed.add(Rows::Range(at, index), &mut path)?;
            add(between, index, &mut path)?;
            (at, rest) = (index, &rest[1..]);
        }
        feed.add(Rows::Range(at, range.end), &mut path)
    });
    // Points after the last one with a position.
    let outcome = outcome.and_then(|()| {
        rest.iter().try_for_each(|&(index, between)| {
            add(between, index, &mut path).map_err(work::Stopped::Error)
        })
    });
    match outcome {
        Ok(()) => {
            fixes.finish(py, feed.is_any_invalid)?;
            summary::summary_of_all(py, &path, "see sort_by_time of read()")
        }
        Err(work::Stopped::Exception(exception)) => Err(exception),
        Err(work::Stopped::Error(error)) => Err(fixes.exception(py, error)),
    }
}

fn add(between: Between, index: usize, path: &mut PathAccumulator) -> Result<(), MeasureError> {
    match between {
        Between::SegmentStart => path.start_segment(),
        Between::InvalidPoint => path
            .extend(&[Fix::without_position()])
            .map_err(|error| MeasureError::Value { index, message: error.to_string() })?,
    }
    Ok(())
}

/// Returns the points with a position that follow invalid points or the start of a segment, in order, with what is before
/// them. `len` is the number of points with a position.
fn breaks(
    segment: &Bound<'_, PyAny>,
    invalid_offsets: &Bound<'_, PyAny>,
    len: usize,
) -> PyResult<Vec<(usize, Between)>> {
    let mut breaks = Vec::new();
    let point_count = len.saturating_add(invalid_offsets.len().unwrap_or(0));
    let mut next = 0;
    read_integers(invalid_offsets, "invalid_offsets", |offset| {
        let before = breaks.len();
        let Some(checked) =
            usize::try_from(offset).ok().filter(|at| (next..point_count).contains(at))
        else {
            return Err(PyValueError::new_err(format!(
                "index {before} of invalid_offsets: {offset} is not an offset from {next} to {}; offsets must increase",
                point_count.saturating_sub(1)
            )));
        };
        // The offsets increase, so that there are at least as many points as offsets before this one.
        breaks.push((checked - before, Between::InvalidPoint));
        next = checked + 1;
        Ok(())
    })?;
    let (mut index, mut current) = (0, None);
    read_integers(segment, "segment", |number| {
        if current != Some(number) {
            breaks.push((index, Between::SegmentStart));
            current = Some(number);
        }
        index += 1;
        Ok(())
    })?;
    check_len("segment", index, len)?;
    // Stable, so that a segment starts after the invalid points before its first point.
    breaks.sort_by_key(|&(index, _)| index);
    Ok(breaks)
}
