//! The function `measure`: the summary of one path.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use waywiser::{Metric, PathAccumulator};

use crate::fixes::{Arguments, Fixes};
use crate::names::{OnInvalid, metric_argument, on_invalid_argument};
use crate::options::options_with;
use crate::summary::summary_of_all;

/// Measure a path: lengths, times, speeds, ascent, stops, and an estimate of
/// the true length.
///
/// The results have the same bits as those of `waywiser measure --json` with
/// the same options. Each duration is a number of seconds, a datetime.timedelta
/// or a numpy.timedelta64.
///
/// Parameters
/// ----------
/// lon, lat : array_like
///     Longitudes and latitudes, as for length(). With metric="planar": x and
///     y.
/// time : array_like, optional
///     datetime64 of any unit (UTC), series or indexes of pandas with or
///     without a time zone, Arrow timestamps, datetime.datetime, or numbers of
///     seconds since 1970. A missing time is NaT, None or NaN.
/// elevation : array_like, optional
///     Elevations in metres, or in the unit of x and y. NaN is a missing one.
/// accuracy : array_like, optional
///     Accuracy radii in metres, as receivers report them. NaN is a missing
///     one.
/// metric : {"geodesic", "haversine", "planar"}
///     See length().
/// on_invalid : {"raise", "split", "skip"}
///     See length(). With "split" and "skip", invalid positions are counted in
///     `rejections`. A preset does not change it.
/// preset : {"walk", "run", "bike", "car", "boat", "flight", "phone"}
///     Options for this kind of movement. Other arguments have priority.
/// estimate : bool
///     Estimate the true length, with a 90 % interval, and find stops and
///     trips. It needs times.
/// trips : bool
///     List stops and trips, at most 1000 of each. The default is True if there
///     is an estimate.
/// min_stop_time : float or datetime.timedelta
///     Shortest stop of the estimate in seconds, 60 by default.
/// elevation_mode : {"ignored", "3d"}
///     "3d" also measures the length in three dimensions.
/// max_gap_time : float or datetime.timedelta
///     Start a segment after a gap longer than this, in seconds.
/// max_gap : float
///     Start a segment after a gap longer than this, in metres.
/// max_speed : float
///     Reject a point that can only be reached at a higher speed, in metres per
///     second.
/// reanchor_count : int
///     Accept this many points that were rejected for time or speed and agree,
///     3 by default.
/// min_step : float
///     Reject a point nearer than this to the last accepted one, in metres.
/// max_accuracy : float
///     Reject a point with an accuracy radius above this, in metres.
/// reject_backward_time : bool
///     Reject a point that is earlier than the one before it.
/// reject_zero_position : bool
///     Reject a point at 0,0.
/// reorder : int
///     Sort points by time, with a buffer of this many points, at most 256.
/// reorder_time : float or datetime.timedelta
///     Sort points by time, with a buffer of this duration in seconds.
/// drop_duplicates : bool
///     Reject a point with the time and the position of another one in the
///     buffer.
/// stopped_speed : float
///     Exclude legs slower than this from the moving time, 0.3 m/s by default.
/// min_climb : float
///     Smallest climb that counts for ascent and descent in metres, 3 by
///     default.
/// climb_smoothing : float or datetime.timedelta
///     Average elevations over this time in seconds, 45 by default.
/// every : {"hour", "day", "week", "month", "year"}
///     Also divide the length by time. A leg that crosses a boundary is divided
///     in proportion to time.
/// timezone : str or datetime.tzinfo
///     Time zone of the boundaries, UTC by default: a name such as
///     "Europe/Ljubljana", an offset such as "+02:00", a zoneinfo.ZoneInfo or a
///     datetime.timezone. The package has its own copy of the IANA database.
/// keep_latest_windows : int or True
///     Keep only the latest windows of `every`, at most this many. The others
///     are summed up. Without it, a path with more than 100 000 windows has
///     none, with a UserWarning.
///
/// Returns
/// -------
/// Summary
///     The lengths, times, speeds and further results.
///
/// Raises
/// ------
/// ValueError
///     A value is not valid; the message has its index or the name of the
///     argument.
/// TypeError
///     An argument is unknown or has a wrong type.
/// OverflowError
///     The length is 2**64 or more.
///
/// Warns
/// -----
/// UserWarning
///     Most points are rejected as too fast, back in time or late, so that the
///     length is too short. The coordinates seem to be in another order or
///     unit. Or `every` had no effect.
#[pyfunction]
#[pyo3(
    signature = (
        lon, lat, *, time = None, elevation = None, accuracy = None, metric = Metric::Geodesic,
        on_invalid = OnInvalid::Raise, **options
    ),
    text_signature = "(lon, lat, *, time=None, elevation=None, accuracy=None, metric='geodesic', on_invalid='raise', **options)"
)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn measure<'py>(
    py: Python<'py>,
    lon: &Bound<'py, PyAny>,
    lat: &Bound<'py, PyAny>,
    time: Option<&Bound<'py, PyAny>>,
    elevation: Option<&Bound<'py, PyAny>>,
    accuracy: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = metric_argument)] metric: Metric,
    #[pyo3(from_py_with = on_invalid_argument)] on_invalid: OnInvalid,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options_with("measure", metric, on_invalid, options)?;
    let fixes = Fixes::get(py, &Arguments { lon, lat, time, elevation, accuracy }, &options)?;
    let mut path = PathAccumulator::new(options);
    fixes.add_to(py, &mut path)?;
    summary_of_all(py, &path, "sort them by time")
}
