//! The options of a path from keyword arguments. Their names are those of the command line, with underscores, except
//! `metric` (`--model`), `every` (`--by`) and `elevation_mode` (`--elevation`).

use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDelta, PyDict, PyTzInfo};
use waywiser::measure::{
    ClimbOptions, EstimateOptions, ExplicitOptions, Preset, Reorder, WindowOptions, WindowUnit,
    Zone,
};
use waywiser::{Elevation, InvalidPoints, Metric, Options, OptionsError, Space};

use crate::names::{self, OnInvalid, flag, wrong_type};

/// The names of all options.
const NAMES: [&str; 22] = [
    "preset",
    "estimate",
    "trips",
    "min_stop_time",
    "elevation_mode",
    "max_gap_time",
    "max_gap",
    "max_speed",
    "reanchor_count",
    "min_step",
    "max_accuracy",
    "reject_backward_time",
    "reject_zero_position",
    "reorder",
    "reorder_time",
    "drop_duplicates",
    "stopped_speed",
    "min_climb",
    "climb_smoothing",
    "every",
    "timezone",
    "keep_latest_windows",
];

/// The options that `by` does not have.
pub(crate) const NOT_OF_BY: [&str; 2] = ["trips", "keep_latest_windows"];

/// The arguments that every function with options has.
const OTHER_NAMES: [&str; 2] = ["metric", "on_invalid"];
/// The arguments with the data of points, which `measure` and `by` have.
const DATA_NAMES: [&str; 3] = ["time", "elevation", "accuracy"];

/// The options that apply to geographic paths only.
const GEOGRAPHIC_ONLY: [&str; 4] = ["preset", "estimate", "trips", "min_stop_time"];

/// Returns the options of a path. `metric` and `on_invalid` are names.
pub(crate) fn options(
    function: &str,
    metric: &str,
    on_invalid: &str,
    arguments: Option<&Bound<'_, PyDict>>,
) -> PyResult<Options> {
    options_with(function, names::metric(metric)?, OnInvalid::parse(on_invalid)?, arguments)
}

/// Returns the options of a path. `arguments` are those of `function` that it does not name itself.
pub(crate) fn options_with(
    function: &str,
    metric: Metric,
    on_invalid: OnInvalid,
    arguments: Option<&Bound<'_, PyDict>>,
) -> PyResult<Options> {
    let mut given = Given::new(metric);
    for (name, value) in arguments.into_iter().flatten() {
        let name: String = name.extract()?;
        if !NAMES.contains(&&*name) {
            return Err(unknown_argument(function, &name));
        }
        if value.is_none() {
            continue;
        }
        given.set(&name, &value)?;
    }
    given.finish(on_invalid)
}

/// The options that were given.
struct Given {
    options: Options,
    is_stopped_speed_set: bool,
    preset: Option<Preset>,
    estimate: Option<bool>,
    trips: Option<bool>,
    min_stop_ns: Option<u64>,
    reorder_count: Option<u32>,
    reorder_time_ns: Option<u64>,
    drop_duplicates: bool,
    climb: ClimbOptions,
    unit: Option<WindowUnit>,
    zone: Option<Zone>,
    /// The maximum number of windows, if only the latest are kept.
    latest_windows: Option<u32>,
}

impl Given {
    fn new(metric: Metric) -> Self {
        Self {
            options: Options::new(metric),
            is_stopped_speed_set: false,
            preset: None,
            estimate: None,
            trips: None,
            min_stop_ns: None,
            reorder_count: None,
            reorder_time_ns: None,
            drop_duplicates: false,
            climb: ClimbOptions::default(),
            unit: None,
            zone: None,
            latest_windows: None,
        }
    }

    /// Sets an option that is not `None`.
    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let builder = self.options.to_builder();
        let is_planar = self.options.metric().space() == Space::Planar;
        if is_planar && GEOGRAPHIC_ONLY.contains(&name) && !value.is(PyBool::new(value.py(), false))
        {
            return Err(PyValueError::new_err(format!(
                "{name} is for geographic paths; it cannot be used with metric=\"planar\""
            )));
        }
        let set = match name {
            "preset" => {
                return preset(&text(name, value)?).map(|preset| self.preset = Some(preset));
            }
            "estimate" => return flag(name, value).map(|flag| self.estimate = Some(flag)),
            "trips" => return flag(name, value).map(|flag| self.trips = Some(flag)),
            "min_stop_time" => return time(name, value).map(|ns| self.min_stop_ns = Some(ns)),
            "reorder" => return count(name, value).map(|count| self.reorder_count = Some(count)),
            "reorder_time" => return time(name, value).map(|ns| self.reorder_time_ns = Some(ns)),
            "drop_duplicates" => return flag(name, value).map(|flag| self.drop_duplicates = flag),
            "min_climb" => return number(name, value).map(|climb| self.climb.threshold = climb),
            "climb_smoothing" => return time(name, value).map(|ns| self.climb.smoothing_ns = ns),
            "every" => return unit(&text(name, value)?).map(|unit| self.unit = Some(unit)),
            "timezone" => return zone(value).map(|zone| self.zone = Some(zone)),
            "keep_latest_windows" => {
                return latest(name, value).map(|count| self.latest_windows = count);
            }
            "elevation_mode" => builder.elevation(elevation_mode(&text(name, value)?)?),
            "max_gap_time" => builder.max_gap_time_ns(time(name, value)?),
            "max_gap" => builder.max_gap(number(name, value)?),
            "max_speed" => builder.max_speed(number(name, value)?),
            "reanchor_count" => builder.reanchor_count(count(name, value)?),
            "min_step" => builder.min_step(number(name, value)?),
            "max_accuracy" => builder.max_accuracy_m(number(name, value)?),
            "reject_backward_time" => builder.reject_backward_time(flag(name, value)?),
            "reject_zero_position" => builder.reject_zero_position(flag(name, value)?),
            "stopped_speed" => {
                self.is_stopped_speed_set = true;
                builder.stopped_speed(number(name, value)?)
            }
            _ => return Ok(()),
        };
        self.options = set.build().map_err(|error| out_of_range(&error))?;
        Ok(())
    }

    /// Returns all options, with those of the preset.
    fn finish(self, on_invalid: OnInvalid) -> PyResult<Options> {
        let requests_estimate =
            self.estimate == Some(true) || self.trips == Some(true) || self.min_stop_ns.is_some();
        if requests_estimate && self.estimate == Some(false) {
            return Err(PyValueError::new_err(
                "estimate is False, but trips and min_stop_time need the estimate",
            ));
        }
        let defaults = EstimateOptions::default();
        let min_stop_ns = self.min_stop_ns.unwrap_or(defaults.min_stop_ns);
        let estimate = requests_estimate.then_some(EstimateOptions { min_stop_ns, ..defaults });
        let reorder =
            (self.reorder_count.is_some() || self.reorder_time_ns.is_some()).then(|| Reorder {
                count: self.reorder_count.unwrap_or(Reorder::COUNT_MAX),
                time_ns: self.reorder_time_ns,
            });
        let builder = self
            .options
            .to_builder()
            .invalid_points(match on_invalid {
                OnInvalid::Raise => InvalidPoints::RejectCall,
                OnInvalid::Split => InvalidPoints::Split,
                OnInvalid::Skip => InvalidPoints::Skip,
            })
            .reorder(reorder)
            .climb(self.climb)
            .estimate(estimate)
            .windows(self.windows()?);
        let mut options = builder.build().map_err(|error| out_of_range(&error))?;
        if let Some(preset) = self.preset {
            let explicit =
                ExplicitOptions { stopped_speed: self.is_stopped_speed_set, invalid_points: true };
            options = preset.fill(options, explicit);
        }
        if self.drop_duplicates && options.reorder().is_none() {
            return Err(PyValueError::new_err(
                "drop_duplicates compares the points in a buffer; add reorder, reorder_time or preset=\"phone\"",
            ));
        }
        let is_listed = self.trips != Some(false);
        let estimate =
            options.estimate().filter(|_| self.estimate != Some(false)).map(|estimate| {
                let max_trips = if is_listed { EstimateOptions::TRIPS_MAX } else { 0 };
                EstimateOptions { max_trips, ..estimate }
            });
        let builder = options.to_builder().estimate(estimate);
        let builder = builder.drop_duplicates(self.drop_duplicates || options.drop_duplicates());
        builder.build().map_err(|error| out_of_range(&error))
    }

    fn windows(&self) -> PyResult<Option<WindowOptions>> {
        let Some(unit) = self.unit else {
            let unused = [
                ("timezone", self.zone.is_some()),
                ("keep_latest_windows", self.latest_windows.is_some()),
            ];
            return match unused.into_iter().find(|(_, is_set)| *is_set) {
                None => Ok(None),
                Some((name, _)) => Err(PyValueError::new_err(format!(
                    "{name} has no effect without every; add every=\"day\" or another period"
                ))),
            };
        };
        let defaults = WindowOptions::new(unit, self.zone.unwrap_or(Zone::UTC));
        Ok(Some(WindowOptions {
            max_windows: self.latest_windows.unwrap_or(defaults.max_windows),
            keep_latest: self.latest_windows.is_some(),
            ..defaults
        }))
    }
}

/// Returns the exception for an argument that is not an option.
fn unknown_argument(function: &str, name: &str) -> PyErr {
    let is_by = function == "by";
    let options = NAMES.into_iter().filter(|option| !is_by || !NOT_OF_BY.contains(option));
    let (data, of_by): (&[&str], &[&str]) = match function {
        "by" => (&DATA_NAMES, &["threads", "statistics"]),
        "measure" => (&DATA_NAMES, &[]),
        _ => (&[], &[]),
    };
    let others = OTHER_NAMES.iter().chain(data).chain(of_by).copied();
    let similar = options
        .clone()
        .chain(others)
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .min()
        .filter(|&(edits, candidate)| edits <= candidate.len() / 3);
    let advice = match (name, function, similar) {
        ("model", ..) => "; did you mean 'metric'?".to_owned(),
        ("by", ..) => "; did you mean 'every'?".to_owned(),
        (_, "Fold", _) if DATA_NAMES.contains(&name) => "; pass it to extend()".to_owned(),
        (_, "Track.measure", _) if DATA_NAMES.contains(&name) => {
            format!("; it uses the attribute '{name}' of the track")
        }
        (.., Some((_, candidate))) => format!("; did you mean '{candidate}'?"),
        (.., None) => {
            format!("; the options are {}", options.collect::<Vec<_>>().join(", "))
        }
    };
    PyTypeError::new_err(format!(
        "{function}() got an unexpected keyword argument '{name}'{advice}"
    ))
}

/// Returns the exception for an option that is out of range, with the name of the argument.
pub(crate) fn out_of_range(error: &OptionsError) -> PyErr {
    let name = argument(error.option);
    PyValueError::new_err(format!("{name} is {}, and must be {}", error.value_text(), error.bounds))
}

/// Returns the argument that sets an option of the crate.
pub(crate) fn argument(option: &'static str) -> &'static str {
    match option {
        "climb_smoothing_ns" => "climb_smoothing",
        "climb_threshold" => "min_climb",
        "elevation" => "elevation_mode",
        "max_accuracy_m" => "max_accuracy",
        "max_gap_time_ns" => "max_gap_time",
        "max_trips" => "trips",
        "max_windows" => "keep_latest_windows",
        "min_stop_ns" => "min_stop_time",
        "reorder_count" => "reorder",
        "reorder_time_ns" => "reorder_time",
        "windows" => "every",
        option => option,
    }
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.extract().map_err(|_| wrong_type(name, "a text", value))
}

fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    match value.is_instance_of::<PyBool>() {
        false => value.extract().map_err(|_| wrong_type(name, "a number", value)),
        true => Err(wrong_type(name, "a number", value)),
    }
}

fn count(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let expected = "a whole number";
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, expected, value));
    }
    value.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(format!(
                "{name} is {value}, and must be a small whole number above 0"
            )),
            false => wrong_type(name, expected, value),
        }
    })
}

/// Returns a time in nanoseconds.
fn time(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let ns = if value.is_instance_of::<PyDelta>() {
        // A negative time has no duration.
        let time = value.extract::<Duration>().ok();
        time.and_then(|time| u64::try_from(time.as_nanos()).ok())
    } else {
        let is_bool = value.is_instance_of::<PyBool>();
        let seconds = match value.get_type().name()? == "timedelta64" {
            true => timedelta64_s(value),
            false => value.extract::<f64>().ok(),
        };
        let seconds = seconds.filter(|_| !is_bool).ok_or_else(|| {
            wrong_type(name, "a number of seconds or a datetime.timedelta", value)
        })?;
        let ns = (seconds * 1e9).round();
        // 2^64 is a number of f64, and no f64 is between it and the largest u64.
        (ns >= 0.0 && ns < 2_f64.powi(64)).then_some(ns as u64)
    };
    ns.ok_or_else(|| {
        PyValueError::new_err(format!("{name} is {value}, and must be from 0 s to 584 years"))
    })
}

/// Returns the seconds of a `numpy.timedelta64` with a unit of time. NaT is NaN.
fn timedelta64_s(value: &Bound<'_, PyAny>) -> Option<f64> {
    let unit = value.get_type().call1((1, "s")).ok()?;
    value.div(unit).ok()?.extract().ok()
}

fn preset(name: &str) -> PyResult<Preset> {
    let found = Preset::ALL.into_iter().find(|preset| preset.name() == name);
    found.ok_or_else(|| {
        let names = Preset::ALL.map(Preset::name).join(", ");
        names::unknown("preset", name, &names)
    })
}

fn elevation_mode(name: &str) -> PyResult<Elevation> {
    match name {
        "ignored" => Ok(Elevation::Ignored),
        "3d" => Ok(Elevation::ThreeDimensional),
        _ => Err(names::unknown("elevation_mode", name, "ignored or 3d")),
    }
}

fn unit(name: &str) -> PyResult<WindowUnit> {
    let found = UNITS.into_iter().find(|&unit| unit_name(unit) == name);
    found.ok_or_else(|| names::unknown("every", name, "hour, day, week, month or year"))
}

const UNITS: [WindowUnit; 5] =
    [WindowUnit::Hour, WindowUnit::Day, WindowUnit::Week, WindowUnit::Month, WindowUnit::Year];

/// Returns the name of a period.
pub(crate) fn unit_name(unit: WindowUnit) -> &'static str {
    match unit {
        WindowUnit::Hour => "hour",
        WindowUnit::Day => "day",
        WindowUnit::Week => "week",
        WindowUnit::Month => "month",
        WindowUnit::Year => "year",
    }
}

/// Returns a time zone from its name, or from a `datetime.tzinfo` that has a name or a fixed offset.
pub(crate) fn zone(value: &Bound<'_, PyAny>) -> PyResult<Zone> {
    let parse = |name: &str| {
        Zone::parse(name).map_err(|error| PyValueError::new_err(format!("timezone: {error}")))
    };
    if let Ok(name) = value.extract::<String>() {
        return parse(&name);
    }
    if !value.is_instance_of::<PyTzInfo>() {
        return Err(wrong_type("timezone", "the name of a time zone or a datetime.tzinfo", value));
    }
    if let Ok(zone) = Zone::parse(&value.str()?.to_string_lossy()) {
        return Ok(zone);
    }
    let offset = value.call_method1("utcoffset", (value.py().None(),)).ok();
    let offset =
        offset.and_then(|offset| offset.call_method0("total_seconds").ok()?.extract::<f64>().ok());
    let Some(seconds) = offset else {
        return Err(PyValueError::new_err(format!(
            "timezone is {}, which has no name of the IANA database and no fixed offset; use a name, or zoneinfo.ZoneInfo",
            value.repr()?.to_string_lossy()
        )));
    };
    let minutes = (seconds.abs() / 60.0).floor();
    if minutes * 60.0 != seconds.abs() {
        return Err(PyValueError::new_err(format!(
            "timezone is {}, and an offset must be a whole number of minutes",
            value.repr()?.to_string_lossy()
        )));
    }
    let (sign, minutes) = (if seconds < 0.0 { '-' } else { '+' }, minutes as u32);
    parse(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

fn latest(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    match value.is_instance_of::<PyBool>() {
        true => Ok(flag(name, value)?.then_some(WindowOptions::WINDOWS_MAX)),
        false => count(name, value).map(Some),
    }
}

/// Returns whether an option makes results that depend on the points before, on times or on elevations.
pub(crate) fn has_rules(options: &Options) -> bool {
    let plain = Options::builder(options.metric())
        .invalid_points(options.invalid_points())
        .stopped_speed(options.stopped_speed())
        .reanchor_count(options.reanchor_count())
        .climb(options.climb())
        .build();
    plain.as_ref() != Ok(options)
}
