//! The values of the summary of a path, for the class `Summary` in Python.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList};
use waywiser::measure::{
    EstimatedLength, MissingData, Rejection, RejectionReason, Stop, Trip, Trips, WindowOptions,
    WindowSummary, WindowsSummary,
};
use waywiser::{Options, PathAccumulator, PathSummary};

use crate::error::warn;
use crate::options::{argument, unit_name};

/// Returns the summary of a path, with a warning if its windows were dropped.
pub(crate) fn summary<'py>(py: Python<'py>, path: &PathAccumulator) -> PyResult<Bound<'py, PyAny>> {
    checked(py, &path.summary(), path.options())
}

/// Returns the summary of a path like [`summary`], also with a warning if most points are rejected for their times.
/// `order_advice` is what to do about points that are not in order of time.
pub(crate) fn summary_of_all<'py>(
    py: Python<'py>,
    path: &PathAccumulator,
    order_advice: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let summary = path.summary();
    warn_rejected(py, &summary, order_advice)?;
    checked(py, &summary, path.options())
}

fn checked<'py>(
    py: Python<'py>,
    summary: &PathSummary,
    options: &Options,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(WindowsSummary { options: of_windows, is_dropped: true, .. }) = &summary.windows {
        let WindowOptions { unit, max_windows, .. } = of_windows;
        let unit = unit_name(*unit);
        warn(
            py,
            &format!(
                "every={unit:?} had no effect: the path has more than {max_windows} windows, or its times go back and \
                 forth over too many windows; use keep_latest_windows to keep the latest ones"
            ),
        )?;
    }
    of_values(py, summary, options)
}

/// Warns if most points of a path are rejected for their times. Then the length is far too short.
fn warn_rejected(py: Python<'_>, summary: &PathSummary, order_advice: &str) -> PyResult<()> {
    let rejected = summary.time_rejections();
    if !rejected.are_most() {
        return Ok(());
    }
    let speed = if rejected.speed_count > 0 { ", or max_speed is too low" } else { "" };
    warn(
        py,
        &format!(
            "{} of {} point{} rejected as {rejected}: the times of the points may be wrong, or the points are not in order \
             of time ({order_advice}){speed}",
            rejected.count(),
            rejected.valid_count,
            if rejected.valid_count == 1 { " is" } else { "s are" }
        ),
    )
}

/// Returns the stops and trips of a path, unless the estimate could not be made.
pub(crate) fn trips(summary: &PathSummary) -> Option<&Trips> {
    summary.trips.as_ref().filter(|_| summary.estimate.is_some())
}

/// Returns the object for a summary of a path with these options.
pub(crate) fn of_values<'py>(
    py: Python<'py>,
    summary: &PathSummary,
    options: &Options,
) -> PyResult<Bound<'py, PyAny>> {
    static SUMMARY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let values = values(py, summary, options)?;
    SUMMARY.import(py, "waywiser._summary", "from_values")?.call1((values,))
}

fn values<'py>(
    py: Python<'py>,
    summary: &PathSummary,
    options: &Options,
) -> PyResult<Bound<'py, PyDict>> {
    let values = PyDict::new(py);
    let set = |name: &str, value: Bound<'py, PyAny>| values.set_item(name, value);
    macro_rules! set {
        ($($name:literal: $value:expr,)*) => {
            $(set($name, $value.into_pyobject(py)?.into_any())?;)*
        };
    }
    let seconds = |ns: Option<u128>| ns.map(|ns| ns as f64 / 1e9);
    let trips = trips(summary);
    let smoothing_ns = options.climb().smoothing_ns;
    set! {
        "model": summary.metric.to_string(),
        "points": summary.point_count,
        "segments": summary.segment_count,
        "accepted": summary.accepted_count,
        "length": summary.length,
        "raw_length": summary.raw_length,
        "length_3d": summary.length_3d,
        "displacement": summary.displacement + 0.0,
        "gap_length": summary.gap_length + 0.0,
        "elapsed_s": seconds(summary.elapsed_ns),
        "moving_s": seconds(summary.moving_ns),
        "max_speed": summary.max_speed,
        "ascent": summary.ascent,
        "descent": summary.descent,
        "raw_ascent": summary.raw_ascent,
        "raw_descent": summary.raw_descent,
        "ascent_method": summary.climb_threshold.map(|threshold| (smoothing_ns as f64 / 1e9, threshold)),
        "bounds": summary.bounds.map(|b| (b.min_x + 0.0, b.min_y + 0.0, b.max_x + 0.0, b.max_y + 0.0)),
        "estimate": summary.estimate.map(estimated),
        "stop_count": trips.map(|trips| trips.stop_count),
        "trip_count": trips.map(|trips| trips.trip_count),
        "stopped_s": seconds(trips.map(|trips| trips.stopped_ns)),
    }
    let is_listed = options.estimate().is_some_and(|estimate| estimate.max_trips > 0);
    values.set_item("_is_estimate_requested", options.estimate().is_some())?;
    let lists = is_listed && trips.is_some();
    values.set_item("has_trip_lists", lists)?;
    let rejections = summary.rejections.iter().map(rejection);
    set("rejections", PyList::new(py, rejections.collect::<Vec<_>>())?.into_any())?;
    let stops = trips.map_or(&[][..], |trips| &trips.stops).iter().map(stop);
    set("stops", PyList::new(py, stops.collect::<Vec<_>>())?.into_any())?;
    let trips = trips.map_or(&[][..], |trips| &trips.trips).iter().map(trip);
    set("trips", PyList::new(py, trips.collect::<Vec<_>>())?.into_any())?;
    let unused = summary.unused_options.iter().map(|unused| {
        let missing = match unused.missing {
            MissingData::Time => "time",
            MissingData::Z => "elevation",
            MissingData::Accuracy => "accuracy",
        };
        (argument(unused.option), missing)
    });
    set("unused_options", PyList::new(py, unused.collect::<Vec<_>>())?.into_any())?;
    if let Some(windows) = &summary.windows {
        set("windows", windows_values(py, windows)?.into_any())?;
    }
    Ok(values)
}

fn estimated(estimate: EstimatedLength) -> (f64, f64, f64) {
    (estimate.length_m, estimate.low_m, estimate.high_m)
}

fn rejection(rejection: &Rejection) -> (&'static str, u64, u64, f64) {
    let name = match rejection.reason {
        RejectionReason::BackwardTime => "backward_time",
        RejectionReason::Accuracy => "accuracy",
        RejectionReason::Speed => "speed",
        RejectionReason::Step => "step",
        RejectionReason::InvalidPosition => "invalid_position",
        RejectionReason::Late => "late",
        RejectionReason::ZeroPosition => "zero_position",
        RejectionReason::Duplicate => "duplicate",
    };
    (name, rejection.count, rejection.first_offset, rejection.rejected_length + 0.0)
}

fn stop(stop: &Stop) -> (f64, f64, i64, i64) {
    let [longitude, latitude] = stop.position;
    (longitude, latitude, stop.arrival_unix_ns, stop.departure_unix_ns)
}

type TripValues = (i64, i64, (f64, f64), (f64, f64), (f64, f64, f64));

fn trip(trip: &Trip) -> TripValues {
    let position = |[longitude, latitude]: [f64; 2]| (longitude, latitude);
    (
        trip.start_unix_ns,
        trip.end_unix_ns,
        position(trip.start_position),
        position(trip.end_position),
        estimated(trip.length),
    )
}

fn windows_values<'py>(py: Python<'py>, windows: &WindowsSummary) -> PyResult<Bound<'py, PyDict>> {
    let WindowOptions { unit, zone, keep_latest, .. } = windows.options;
    let window = |window: &WindowSummary| {
        let (start, end) = (window.start_unix_s, window.end_unix_s);
        let offsets = (zone.offset_s(start), zone.offset_s(end));
        (start, end, offsets, window.length.to_f64(), window.point_count)
    };
    let values = PyDict::new(py);
    values.set_item("unit", unit_name(unit))?;
    values.set_item("zone", zone.to_string())?;
    values.set_item("keep_latest", keep_latest)?;
    let list: Option<Vec<_>> =
        (!windows.is_dropped).then(|| windows.windows.iter().map(window).collect());
    values.set_item("windows", list)?;
    values.set_item("earlier", windows.earlier.as_ref().map(window))?;
    values.set_item("undated_length", windows.undated_length.to_f64())?;
    Ok(values)
}
