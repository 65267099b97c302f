//! `PathOptions` to and from [`Options`].
//!
//! Geographic paths use the fields with a unit, planar paths the fields without one.

use prost_types::Duration;

use super::time::{duration, duration_ns};
use super::windows;
use crate::measure::{
    Elevation, EstimateOptions, ExplicitOptions, InvalidPoints, Metric, Options, Preset, Reorder,
    Space, WindowOptions,
};
use crate::proto::waywiser_v1 as pb;

/// The error of a field of the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OptionViolation {
    /// The name of the field in `PathOptions`.
    pub field: &'static str,
    /// The error message.
    pub description: String,
}

/// Returns the metric of a model, or `None` if the model is unknown. The default is that of [`Options::default`].
pub(crate) fn metric(model: i32) -> Option<Metric> {
    Some(match pb::Model::try_from(model).ok()? {
        pb::Model::Unspecified => Options::default().metric(),
        pb::Model::Wgs84Geodesic => Metric::Geodesic,
        pb::Model::SphereHaversine => Metric::Haversine,
        pb::Model::Planar => Metric::Planar,
    })
}

fn model(metric: Metric) -> pb::Model {
    match metric {
        Metric::Geodesic => pb::Model::Wgs84Geodesic,
        Metric::Haversine => pb::Model::SphereHaversine,
        Metric::Planar => pb::Model::Planar,
    }
}

/// Converts options into a message in which all defaults are filled in.
pub(crate) fn to_message(options: &Options) -> pb::PathOptions {
    let is_planar = options.metric().space() == Space::Planar;
    let number = |value: Option<f64>| value.unwrap_or_default();
    let in_metres = |value: Option<f64>| if is_planar { 0.0 } else { number(value) };
    let in_units = |value: Option<f64>| if is_planar { number(value) } else { 0.0 };
    let elevation_mode = match options.elevation() {
        Elevation::Ignored => pb::ElevationMode::Ignored,
        Elevation::ThreeDimensional => pb::ElevationMode::ThreeDimensional,
    };
    let invalid_points = match options.invalid_points() {
        InvalidPoints::RejectCall => pb::InvalidPoints::RejectCall,
        InvalidPoints::Skip => pb::InvalidPoints::Skip,
        InvalidPoints::Split => pb::InvalidPoints::Split,
    };
    pb::PathOptions {
        model: model(options.metric()).into(),
        elevation_mode: elevation_mode.into(),
        xy_resolution: options.xy_resolution(),
        z_resolution: options.z_resolution(),
        max_gap_time: options.max_gap_time_ns().map(duration),
        max_gap_m: in_metres(options.max_gap()),
        max_gap: in_units(options.max_gap()),
        max_speed_mps: in_metres(options.max_speed()),
        max_speed: in_units(options.max_speed()),
        reanchor_count: options.reanchor_count(),
        min_step_m: in_metres(options.min_step()),
        min_step: in_units(options.min_step()),
        max_accuracy_m: number(options.max_accuracy_m()),
        reject_backward_time: options.reject_backward_time(),
        stopped_speed_mps: in_metres(options.stopped_speed()),
        stopped_speed: in_units(options.stopped_speed()),
        invalid_points: invalid_points.into(),
        estimate: options.estimate().is_some(),
        min_stop_time: options.estimate().map(|estimate| duration(estimate.min_stop_ns)),
        max_trips: options.estimate().map_or(0, |estimate| estimate.max_trips),
        reject_zero_position: options.reject_zero_position(),
        reorder_count: options.reorder().map_or(0, |reorder| reorder.count),
        reorder_time: options.reorder().and_then(|reorder| reorder.time_ns).map(duration),
        drop_duplicates: options.drop_duplicates(),
        min_climb_m: in_metres(Some(options.climb().threshold)),
        min_climb: in_units(Some(options.climb().threshold)),
        climb_smoothing_time: Some(duration(options.climb().smoothing_ns)),
        windows: options.windows().map(|options| windows::options_to_message(&options)),
        preset: pb::Preset::Unspecified.into(),
    }
}

/// Reads options and fills in the defaults.
///
/// # Errors
/// All violations.
pub(crate) fn from_message(message: &pb::PathOptions) -> Result<Options, Vec<OptionViolation>> {
    let mut reader = Reader { violations: Vec::new() };
    let metric = metric(message.model).unwrap_or_else(|| {
        reader.add("model", format!("there is no model {}", message.model));
        Options::default().metric()
    });
    let defaults = Options::new(metric);
    let space = metric.space();
    let elevation = match pb::ElevationMode::try_from(message.elevation_mode) {
        Ok(pb::ElevationMode::ThreeDimensional) => Elevation::ThreeDimensional,
        Ok(_) => Elevation::Ignored,
        Err(_) => {
            reader.add("elevation_mode", format!("there is no mode {}", message.elevation_mode));
            Elevation::Ignored
        }
    };
    let invalid_points = match pb::InvalidPoints::try_from(message.invalid_points) {
        Ok(pb::InvalidPoints::Skip) => InvalidPoints::Skip,
        Ok(pb::InvalidPoints::Split) => InvalidPoints::Split,
        Ok(_) => InvalidPoints::RejectCall,
        Err(_) => {
            reader.add("invalid_points", format!("there is no mode {}", message.invalid_points));
            InvalidPoints::RejectCall
        }
    };
    let xy_resolution = reader.number("xy_resolution", message.xy_resolution);
    let z_resolution = reader.number("z_resolution", message.z_resolution);
    let max_gap_time_ns = reader.time("max_gap_time", message.max_gap_time.as_ref());
    let max_gap = reader.pair(space, ["max_gap_m", "max_gap"], message.max_gap_m, message.max_gap);
    let fields = ["max_speed_mps", "max_speed"];
    let max_speed = reader.pair(space, fields, message.max_speed_mps, message.max_speed);
    let reanchor_count = match message.reanchor_count {
        0 => defaults.reanchor_count(),
        count => count,
    };
    let fields = ["min_step_m", "min_step"];
    let min_step = reader.pair(space, fields, message.min_step_m, message.min_step);
    let max_accuracy_m = reader.number("max_accuracy_m", message.max_accuracy_m);
    let fields = ["stopped_speed_mps", "stopped_speed"];
    let stopped_speed =
        reader.pair(space, fields, message.stopped_speed_mps, message.stopped_speed);
    let reorder_time_ns = reader.time("reorder_time", message.reorder_time.as_ref());
    let reorder = match (message.reorder_count, reorder_time_ns) {
        (0, None) => None,
        (0, time_ns) => Some(Reorder { count: Reorder::COUNT_MAX, time_ns }),
        (count, time_ns) => Some(Reorder { count, time_ns }),
    };
    let fields = ["min_climb_m", "min_climb"];
    let threshold = reader.pair(space, fields, message.min_climb_m, message.min_climb);
    let mut climb = defaults.climb();
    climb.threshold = threshold.unwrap_or(climb.threshold);
    if let Some(time) = &message.climb_smoothing_time {
        // 0 turns the smoothing off.
        climb.smoothing_ns = reader.time("climb_smoothing_time", Some(time)).unwrap_or(0);
    }
    let min_stop_ns = reader.time("min_stop_time", message.min_stop_time.as_ref());
    let estimate = reader.estimate(message, min_stop_ns);
    let preset = reader.preset(space, message.preset);
    let windows = reader.windows(message.windows.as_ref());
    if !reader.violations.is_empty() {
        return Err(reader.violations);
    }
    let options = defaults
        .to_builder()
        .elevation(elevation)
        .xy_resolution(xy_resolution.unwrap_or(defaults.xy_resolution()))
        .z_resolution(z_resolution.unwrap_or(defaults.z_resolution()))
        .max_gap_time_ns(max_gap_time_ns)
        .max_gap(max_gap)
        .max_speed(max_speed)
        .reanchor_count(reanchor_count)
        .min_step(min_step)
        .max_accuracy_m(max_accuracy_m)
        .reject_backward_time(message.reject_backward_time)
        .stopped_speed(stopped_speed.or(defaults.stopped_speed()))
        .invalid_points(invalid_points)
        .reject_zero_position(message.reject_zero_position)
        .reorder(reorder)
        .climb(climb)
        .estimate(estimate)
        .windows(windows)
        .build();
    let explicit = ExplicitOptions {
        stopped_speed: stopped_speed.is_some(),
        invalid_points: message.invalid_points != i32::from(pb::InvalidPoints::Unspecified),
    };
    let options =
        options.map(|options| preset.map_or(options, |preset| preset.fill(options, explicit)));
    // After the preset, which may set the buffer that the duplicates need.
    let options = match message.drop_duplicates {
        true => options.and_then(|options| options.to_builder().drop_duplicates(true).build()),
        false => options,
    };
    options.map_err(|error| {
        let description = format!("it is {}, and must be {}", error.value_text(), error.bounds);
        vec![OptionViolation { field: field(error.option, space), description }]
    })
}

/// Returns the field of an option.
pub(super) fn field(option: &'static str, space: Space) -> &'static str {
    match (option, space) {
        ("elevation", _) => "elevation_mode",
        ("reorder", _) => "reorder_count",
        ("reorder_time_ns", _) => "reorder_time",
        ("climb_smoothing_ns", _) => "climb_smoothing_time",
        ("min_stop_ns", _) => "min_stop_time",
        ("max_windows", _) => "windows.max_windows",
        ("climb_threshold", Space::Geographic) => "min_climb_m",
        ("climb_threshold", Space::Planar) => "min_climb",
        ("max_gap_time_ns", _) => "max_gap_time",
        ("max_gap", Space::Geographic) => "max_gap_m",
        ("max_speed", Space::Geographic) => "max_speed_mps",
        ("min_step", Space::Geographic) => "min_step_m",
        ("stopped_speed", Space::Geographic) => "stopped_speed_mps",
        (option, _) => option,
    }
}

/// Collects all violations, so that one error reports all of them.
struct Reader {
    violations: Vec<OptionViolation>,
}

impl Reader {
    fn add(&mut self, field: &'static str, description: String) {
        self.violations.push(OptionViolation { field, description });
    }

    /// Reads a number. 0 means that it is not set.
    fn number(&mut self, field: &'static str, value: f64) -> Option<f64> {
        if value.is_finite() && value >= 0.0 {
            return Some(value).filter(|&value| value > 0.0);
        }
        self.add(field, format!("{value} is not a finite number of at least 0; 0 means not set"));
        None
    }

    /// Reads an option that has a field for each space.
    fn pair(
        &mut self,
        space: Space,
        fields: [&'static str; 2],
        geographic: f64,
        planar: f64,
    ) -> Option<f64> {
        let ((field, value), (other_field, other_value)) = match space {
            Space::Geographic => ((fields[0], geographic), (fields[1], planar)),
            Space::Planar => ((fields[1], planar), (fields[0], geographic)),
        };
        if other_value != 0.0 {
            self.add(other_field, format!("it does not apply to {space} paths; set {field}"));
        }
        self.number(field, value)
    }

    /// Reads the options of the estimate, which must be on if one of them is set.
    fn estimate(
        &mut self,
        message: &pb::PathOptions,
        min_stop_ns: Option<u64>,
    ) -> Option<EstimateOptions> {
        let is_preset = message.preset != i32::from(pb::Preset::Unspecified);
        if !message.estimate && !is_preset {
            for (is_set, field) in
                [(min_stop_ns.is_some(), "min_stop_time"), (message.max_trips > 0, "max_trips")]
            {
                if is_set {
                    self.add(field, "it has no effect without estimate; set estimate".to_owned());
                }
            }
            return None;
        }
        let defaults = EstimateOptions::default();
        Some(EstimateOptions {
            min_stop_ns: min_stop_ns.unwrap_or(defaults.min_stop_ns),
            max_trips: message.max_trips,
        })
    }

    fn windows(&mut self, message: Option<&pb::WindowOptions>) -> Option<WindowOptions> {
        match windows::options_from_message(message?) {
            Ok(options) => Some(options),
            Err((field, description)) => {
                self.add(field, description);
                None
            }
        }
    }

    fn preset(&mut self, space: Space, preset: i32) -> Option<Preset> {
        let preset = match pb::Preset::try_from(preset) {
            Ok(pb::Preset::Unspecified) => return None,
            Ok(pb::Preset::Walk) => Preset::Walk,
            Ok(pb::Preset::Run) => Preset::Run,
            Ok(pb::Preset::Bike) => Preset::Bike,
            Ok(pb::Preset::Car) => Preset::Car,
            Ok(pb::Preset::Boat) => Preset::Boat,
            Ok(pb::Preset::Flight) => Preset::Flight,
            Ok(pb::Preset::Phone) => Preset::Phone,
            Err(_) => {
                self.add("preset", format!("there is no preset {preset}"));
                return None;
            }
        };
        if space == Space::Planar {
            self.add("preset", "it does not apply to planar paths".to_owned());
        }
        Some(preset)
    }

    /// Reads a duration in nanoseconds. 0 means that it is not set.
    fn time(&mut self, field: &'static str, time: Option<&Duration>) -> Option<u64> {
        let time = time?;
        let ns = duration_ns(time);
        if ns.is_none() {
            let Duration { seconds, nanos } = time;
            let text = format!(
                "{seconds} s and {nanos} ns are not a time from 0 s to 584 years with 0 to 999999999 ns"
            );
            self.add(field, text);
        }
        ns.filter(|&ns| ns > 0)
    }
}

#[cfg(test)]
mod tests;
