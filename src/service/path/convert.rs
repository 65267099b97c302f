//! Between the messages of `waywiser.v1` and what is measured: options in, summaries out.
//!
//! The one place that knows which fields belong to which space. Nothing here folds a point.

use prost_types::{Duration, Timestamp};

use crate::measure::{
    self, Bounds, Elevation, Metric, Options, OptionsError, PathSummary, Rejection,
    RejectionReason, Space,
};
use crate::proto::waywiser_v1 as pb;
use crate::recording::{Checkpoint, RecordingName};
use crate::service::violation::FieldViolation;

const NS_PER_S: i64 = 1_000_000_000;

/// The metric of a model.
pub(super) fn metric(model: i32, field: &str) -> Result<Metric, FieldViolation> {
    match pb::Model::try_from(model) {
        Ok(pb::Model::Unspecified) => Ok(Options::default().metric()),
        Ok(pb::Model::Wgs84Geodesic) => Ok(Metric::Geodesic),
        Ok(pb::Model::SphereHaversine) => Ok(Metric::Haversine),
        Ok(pb::Model::Planar) => Ok(Metric::Planar),
        Err(_) => Err(FieldViolation::new(field, format!("there is no model {model}"))),
    }
}

fn model(metric: Metric) -> pb::Model {
    match metric {
        Metric::Geodesic => pb::Model::Wgs84Geodesic,
        Metric::Haversine => pb::Model::SphereHaversine,
        Metric::Planar => pb::Model::Planar,
    }
}

/// Reads options whose field in the request is `options`.
///
/// # Errors
/// All that is wrong with them.
pub(super) fn options(message: &pb::PathOptions) -> Result<Options, Vec<FieldViolation>> {
    let mut reading = Reading { violations: Vec::new() };
    let metric = metric(message.model, "options.model").unwrap_or_else(|violation| {
        reading.violations.push(violation);
        Options::default().metric()
    });
    let plain = Options::new(metric);
    let space = metric.space();
    let elevation = match pb::ElevationMode::try_from(message.elevation_mode) {
        Ok(pb::ElevationMode::ThreeDimensional) => Elevation::ThreeDimensional,
        Ok(_) => Elevation::Ignored,
        Err(_) => {
            let text = format!("there is no mode {}", message.elevation_mode);
            reading.violations.push(FieldViolation::new("options.elevation_mode", text));
            Elevation::Ignored
        }
    };
    let xy_resolution = reading.number("xy_resolution", message.xy_resolution);
    let z_resolution = reading.number("z_resolution", message.z_resolution);
    let max_gap_time_ns = message.max_gap_time.as_ref().and_then(|time| reading.time(time));
    let max_gap = reading.pair(space, ["max_gap_m", "max_gap"], message.max_gap_m, message.max_gap);
    let names = ["max_speed_mps", "max_speed"];
    let max_speed = reading.pair(space, names, message.max_speed_mps, message.max_speed);
    let reanchor_count = match message.reanchor_count {
        0 => plain.reanchor_count(),
        count => count,
    };
    let min_step =
        reading.pair(space, ["min_step_m", "min_step"], message.min_step_m, message.min_step);
    let max_accuracy_m = reading.number("max_accuracy_m", message.max_accuracy_m);
    let names = ["stopped_speed_mps", "stopped_speed"];
    let stopped_speed =
        reading.pair(space, names, message.stopped_speed_mps, message.stopped_speed);
    let options = plain
        .to_builder()
        .elevation(elevation)
        .xy_resolution(xy_resolution.unwrap_or(plain.xy_resolution()))
        .z_resolution(z_resolution.unwrap_or(plain.z_resolution()))
        .max_gap_time_ns(max_gap_time_ns)
        .max_gap(max_gap)
        .max_speed(max_speed)
        .reanchor_count(reanchor_count)
        .min_step(min_step)
        .max_accuracy_m(max_accuracy_m)
        .reject_backward_time(message.reject_backward_time)
        .stopped_speed(stopped_speed)
        .build();
    match options {
        Ok(options) if reading.violations.is_empty() => return Ok(options),
        Err(OptionsError { option, value, bounds, .. }) if reading.violations.is_empty() => {
            reading.refuse(field(option, space), format!("it is {value}, and must be {bounds}"));
        }
        _ => {}
    }
    Err(reading.violations)
}

/// The field of an option that has one for each space, or one with its unit.
fn field(option: &'static str, space: Space) -> &'static str {
    match (option, space) {
        ("max_gap_time_ns", _) => "max_gap_time",
        ("max_gap", Space::Geographic) => "max_gap_m",
        ("max_speed", Space::Geographic) => "max_speed_mps",
        ("min_step", Space::Geographic) => "min_step_m",
        ("stopped_speed", Space::Geographic) => "stopped_speed_mps",
        (option, _) => option,
    }
}

/// Collects what is wrong, so that a caller is told all of it at once.
struct Reading {
    violations: Vec<FieldViolation>,
}

impl Reading {
    fn refuse(&mut self, name: &str, description: String) {
        self.violations.push(FieldViolation::new(format!("options.{name}"), description));
    }

    /// A rule that is off at 0.
    fn number(&mut self, name: &'static str, value: f64) -> Option<f64> {
        if value.is_finite() && value >= 0.0 {
            return Some(value).filter(|&value| value > 0.0);
        }
        self.refuse(name, format!("{value} is not a number from 0 up; 0 is off"));
        None
    }

    /// A rule that has a field for each space.
    fn pair(
        &mut self,
        space: Space,
        names: [&'static str; 2],
        geographic: f64,
        planar: f64,
    ) -> Option<f64> {
        let ((name, value), (other, stray)) = match space {
            Space::Geographic => ((names[0], geographic), (names[1], planar)),
            Space::Planar => ((names[1], planar), (names[0], geographic)),
        };
        if stray != 0.0 {
            self.refuse(other, format!("it does not apply to {space} paths; set {name}"));
        }
        self.number(name, value)
    }

    fn time(&mut self, time: &Duration) -> Option<u64> {
        let Duration { seconds, nanos } = *time;
        // The signs of both are the same in a duration, and none is negative here.
        let nanos_ns = u64::try_from(nanos).ok().filter(|&ns| ns < NS_PER_S as u64);
        let seconds_ns = u64::try_from(seconds).ok().and_then(|s| s.checked_mul(NS_PER_S as u64));
        let ns = seconds_ns.zip(nanos_ns).and_then(|(seconds, nanos)| seconds.checked_add(nanos));
        if ns.is_none() {
            let text = format!(
                "{seconds} s and {nanos} ns are not a time from 0 s to 584 years with 0 to 999999999 ns"
            );
            self.refuse("max_gap_time", text);
        }
        ns.filter(|&ns| ns > 0)
    }
}

/// The options as a client would write them, defaults filled in.
pub(super) fn options_message(options: &Options) -> pb::PathOptions {
    let is_planar = options.metric().space() == Space::Planar;
    let number = |value: Option<f64>| value.unwrap_or_default();
    let in_metres = |value: Option<f64>| if is_planar { 0.0 } else { number(value) };
    let in_units = |value: Option<f64>| if is_planar { number(value) } else { 0.0 };
    let elevation_mode = match options.elevation() {
        Elevation::Ignored => pb::ElevationMode::Ignored,
        Elevation::ThreeDimensional => pb::ElevationMode::ThreeDimensional,
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
    }
}

/// A summary as the contract has it.
pub(super) fn summary_message(options: &Options, summary: &PathSummary) -> pb::PathSummary {
    let is_planar = options.metric().space() == Space::Planar;
    let in_metres = |value: Option<f64>| value.filter(|_| !is_planar);
    let in_units = |value: Option<f64>| value.filter(|_| is_planar);
    let rejection = |rejection: &Rejection| pb::Rejection {
        reason: reason(rejection.reason).into(),
        count: rejection.count,
        first_offset: rejection.first_offset,
        rejected_length_m: in_metres(Some(rejection.rejected_length)),
        rejected_length: in_units(Some(rejection.rejected_length)),
    };
    let bounds =
        |Bounds { min_x, min_y, max_x, max_y }| pb::BoundingBox { min_x, min_y, max_x, max_y };
    pb::PathSummary {
        options: Some(options_message(options)),
        point_count: summary.point_count,
        accepted_count: summary.accepted_count,
        segment_count: summary.segment_count,
        length_m: in_metres(Some(summary.length)),
        raw_length_m: in_metres(Some(summary.raw_length)),
        length_3d_m: in_metres(summary.length_3d),
        displacement_m: in_metres(Some(summary.displacement)),
        length: in_units(Some(summary.length)),
        raw_length: in_units(Some(summary.raw_length)),
        length_3d: in_units(summary.length_3d),
        displacement: in_units(Some(summary.displacement)),
        rejections: summary.rejections.iter().map(rejection).collect(),
        elapsed_time: summary.elapsed_ns.map(duration),
        moving_time: summary.moving_ns.map(duration),
        max_speed_mps: in_metres(summary.max_speed),
        max_speed: in_units(summary.max_speed),
        ascent_m: in_metres(summary.ascent),
        descent_m: in_metres(summary.descent),
        ascent: in_units(summary.ascent),
        descent: in_units(summary.descent),
        bounds: summary.bounds.map(bounds),
    }
}

fn reason(reason: RejectionReason) -> pb::RejectionReason {
    match reason {
        RejectionReason::BackwardTime => pb::RejectionReason::BackwardTime,
        RejectionReason::Accuracy => pb::RejectionReason::Accuracy,
        RejectionReason::Speed => pb::RejectionReason::Speed,
        RejectionReason::Step => pb::RejectionReason::Step,
    }
}

/// A recording as the contract has it.
pub(super) fn path_message(name: &RecordingName, checkpoint: &Checkpoint) -> pb::Path {
    let accumulator = &checkpoint.accumulator;
    pb::Path {
        name: name.to_string(),
        complete: checkpoint.complete,
        committed_points: checkpoint.committed_points(),
        summary: Some(summary_message(accumulator.options(), &accumulator.summary())),
        create_time: Some(timestamp(checkpoint.create_unix_ms)),
        update_time: Some(timestamp(checkpoint.update_unix_ms)),
        expire_time: Some(timestamp(checkpoint.expire_unix_ms)),
    }
}

fn duration(ns: u64) -> Duration {
    let ns_per_s = NS_PER_S as u64;
    // Both fit: 2^64 ns are 584 years, and a rest is below 10^9.
    Duration { seconds: (ns / ns_per_s) as i64, nanos: (ns % ns_per_s) as i32 }
}

fn timestamp(unix_ms: i64) -> Timestamp {
    let nanos = unix_ms.rem_euclid(1000) as i32 * 1_000_000;
    Timestamp { seconds: unix_ms.div_euclid(1000), nanos }
}

/// The time of a point in nanoseconds; `None` if it is out of range.
#[inline]
pub(super) fn unix_ns((seconds, nanos): (i64, i32)) -> Option<i64> {
    let nanos = u32::try_from(nanos).ok().filter(|&nanos| i64::from(nanos) < NS_PER_S)?;
    measure::unix_ns(seconds, nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(message: &pb::PathOptions) -> Vec<String> {
        options(message).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn options_come_back_as_they_went_with_defaults_filled_in() {
        let message = pb::PathOptions {
            max_speed_mps: 50.0,
            max_gap_time: Some(Duration { seconds: 30, nanos: 5 }),
            ..Default::default()
        };
        let read = options(&message).unwrap();
        assert_eq!(read.max_gap_time_ns(), Some(30_000_000_005));
        let back = options_message(&read);
        assert_eq!((back.xy_resolution, back.reanchor_count), (1e-7, 3));
        assert_eq!(options(&back).unwrap(), read);
        let planar = pb::PathOptions { model: 3, min_step: 2.0, ..Default::default() };
        let read = options(&planar).unwrap();
        assert_eq!((read.min_step(), read.xy_resolution()), (Some(2.0), 1.0));
        assert_eq!(options(&options_message(&read)).unwrap(), read);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let message = pb::PathOptions {
            model: 9,
            max_speed: 3.0,
            min_step_m: f64::NAN,
            max_accuracy_m: -1.0,
            max_gap_time: Some(Duration { seconds: -1, nanos: 0 }),
            ..Default::default()
        };
        insta::assert_snapshot!(complaints(&message).join("\n"), @r"
        options.model: there is no model 9
        options.max_gap_time: -1 s and 0 ns are not a time from 0 s to 584 years with 0 to 999999999 ns
        options.max_speed: it does not apply to geographic paths; set max_speed_mps
        options.min_step_m: NaN is not a number from 0 up; 0 is off
        options.max_accuracy_m: -1 is not a number from 0 up; 0 is off
        ");
        let message = pb::PathOptions { xy_resolution: 1e13, ..Default::default() };
        insta::assert_snapshot!(
            complaints(&message).join("\n"),
            @"options.xy_resolution: it is 10000000000000, and must be a number above 0, at most 2^40"
        );
    }

    #[test]
    fn an_option_is_named_by_the_field_of_its_space() {
        let far = 1e13;
        for (message, field) in [
            (pb::PathOptions { max_gap_m: far, ..Default::default() }, "max_gap_m"),
            (pb::PathOptions { max_speed_mps: far, ..Default::default() }, "max_speed_mps"),
            (pb::PathOptions { min_step_m: far, ..Default::default() }, "min_step_m"),
            (pb::PathOptions { stopped_speed_mps: far, ..Default::default() }, "stopped_speed_mps"),
            (pb::PathOptions { max_accuracy_m: far, ..Default::default() }, "max_accuracy_m"),
            (pb::PathOptions { max_gap: far, model: 3, ..Default::default() }, "max_gap"),
            (pb::PathOptions { max_speed: far, model: 3, ..Default::default() }, "max_speed"),
            (pb::PathOptions { min_step: far, model: 3, ..Default::default() }, "min_step"),
            (
                pb::PathOptions { stopped_speed: far, model: 3, ..Default::default() },
                "stopped_speed",
            ),
        ] {
            let text = "it is 10000000000000, and must be a number above 0, at most 2^40";
            assert_eq!(complaints(&message), [format!("options.{field}: {text}")]);
        }
    }

    #[test]
    fn a_gap_in_time_is_a_duration() {
        let read = |seconds, nanos| {
            let max_gap_time = Some(Duration { seconds, nanos });
            let message = pb::PathOptions { max_gap_time, ..Default::default() };
            options(&message).map(|options| options.max_gap_time_ns()).ok()
        };
        assert_eq!(read(0, 0), Some(None));
        assert_eq!(read(1, 999_999_999), Some(Some(1_999_999_999)));
        assert_eq!(read(18_446_744_073, 709_551_615), Some(Some(u64::MAX)));
        for (seconds, nanos) in [
            (1, -5),
            (1, 1_000_000_000),
            (1, 2_000_000_000),
            (-1, 0),
            (-1, 1),
            (0, -1),
            (18_446_744_073, 709_551_616),
            (i64::MAX, 0),
            (i64::MIN, i32::MIN),
        ] {
            assert_eq!(read(seconds, nanos), None, "{seconds} s {nanos} ns");
        }
    }

    #[test]
    fn a_time_is_in_the_years_that_fit() {
        let at = |seconds, nanos| unix_ns((seconds, nanos));
        assert_eq!(at(1, 5), Some(1_000_000_005));
        assert_eq!(at(-1, 999_999_999), Some(-1));
        assert_eq!(at(0, -1), None);
        assert_eq!(at(0, 1_000_000_000), None);
        assert_eq!(at(253_402_300_799, 0), None);
        // 1678-01-01T00:00:00Z and 2262-01-01T00:00:00Z.
        assert!(at(-9_214_560_000, 0).is_some() && at(-9_214_560_001, 0).is_none());
        assert!(at(9_214_646_399, 0).is_some() && at(9_214_646_400, 0).is_none());
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_000_000 });
    }
}
