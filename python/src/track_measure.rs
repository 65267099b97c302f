//! Measures a track of a file with its segments and with its points without a valid position.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use waywiser::{Fix, PathAccumulator};

use crate::column::{Rows, read_integers};
use crate::error::MeasureError;
use crate::fixes::{Arguments, Feed, Fixes};
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
    metric: &str,
    on_invalid: &str,
    given: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options::options("Track.measure", metric, on_invalid, Some(given))?;
    let given = Arguments {
        lon,
        lat,
        time: Some(time),
        elevation: Some(elevation),
        accuracy: Some(accuracy),
    };
    let fixes = Fixes::get(py, &given, &options)?;
    let breaks = breaks(segment, invalid_offsets)?;
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
            summary::summary(py, &path)
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
/// them.
fn breaks(
    segment: &Bound<'_, PyAny>,
    invalid_offsets: &Bound<'_, PyAny>,
) -> PyResult<Vec<(usize, Between)>> {
    let mut breaks = Vec::new();
    let mut before = 0;
    read_integers(invalid_offsets, "invalid_offsets", |offset| {
        let index = usize::try_from(offset).unwrap_or(0).saturating_sub(before);
        breaks.push((index, Between::InvalidPoint));
        before += 1;
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
    // Stable, so that a segment starts after the invalid points before its first point.
    breaks.sort_by_key(|&(index, _)| index);
    Ok(breaks)
}
