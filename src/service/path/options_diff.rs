//! Compares options with those of a recording or of a stream, field by field, for error messages.

use std::fmt;

use super::scope::PathName;
use super::shared::Shared;
use crate::contract::options;
use crate::measure::Options;
use crate::proto::waywiser_v1 as pb;
use crate::recording::StoreError;
use crate::service::status::RpcError;
use crate::service::violation::FieldViolation;

/// Adds the fields that differ to the error of a recording that was not opened because of its options. Returns
/// other errors unchanged, and this one too if the recording cannot be read.
pub(super) async fn explain(
    error: RpcError,
    shared: &Shared,
    name: &PathName,
    sent: Option<&Options>,
) -> RpcError {
    let differ = matches!(&error, RpcError::Store { error: StoreError::OptionsDiffer, .. });
    let Some(sent) = sent.filter(|_| differ) else { return error };
    let Ok(Some(stored)) = shared.stored(name).await else { return error };
    let violations = differences(sent, stored.accumulator.options(), "the recording");
    match violations.is_empty() {
        // Another client has deleted the recording and started it again.
        true => error,
        false => RpcError::OptionsDiffer { name: name.to_string(), violations },
    }
}

/// Returns one violation for each field whose values differ. `origin` names the owner of the other options.
pub(super) fn differences(sent: &Options, other: &Options, origin: &str) -> Vec<FieldViolation> {
    let defaults =
        |options: &Options| fields(&options::to_message(&Options::new(options.metric())));
    let values = |options| fields(&options::to_message(options)).into_iter().zip(defaults(options));
    let mut violations = Vec::new();
    for (((name, sent), sent_default), ((_, other), other_default)) in
        values(sent).zip(values(other))
    {
        // The defaults of two models may differ although neither client has set them.
        let is_default = sent == sent_default.1 && other == other_default.1 && name != "model";
        if sent != other && !is_default {
            let text = format!("it is {sent} in this message and {other} in {origin}");
            violations.push(FieldViolation::new(format!("options.{name}"), text));
        }
    }
    violations
}

/// Returns the value of a field as text.
fn number(value: f64) -> String {
    if value == 0.0 { "unset".to_owned() } else { value.to_string() }
}

/// Returns a time with all its digits, so that different times have different texts.
fn seconds(time: &prost_types::Duration) -> String {
    let text = format!("{}.{:09}", time.seconds, time.nanos);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns all fields with their values as text.
fn fields(options: &pb::PathOptions) -> Vec<(&'static str, String)> {
    let text = |value: &dyn fmt::Display| value.to_string();
    let windows = options.windows.clone().unwrap_or_default();
    let time = |time: &Option<_>| time.as_ref().map_or_else(|| number(0.0), seconds);
    vec![
        ("model", text(&options.model().as_str_name())),
        ("elevation_mode", text(&options.elevation_mode().as_str_name())),
        ("xy_resolution", number(options.xy_resolution)),
        ("z_resolution", number(options.z_resolution)),
        ("max_gap_time", time(&options.max_gap_time)),
        ("max_gap_m", number(options.max_gap_m)),
        ("max_gap", number(options.max_gap)),
        ("max_speed_mps", number(options.max_speed_mps)),
        ("max_speed", number(options.max_speed)),
        ("reanchor_count", text(&options.reanchor_count)),
        ("min_step_m", number(options.min_step_m)),
        ("min_step", number(options.min_step)),
        ("max_accuracy_m", number(options.max_accuracy_m)),
        ("reject_backward_time", text(&options.reject_backward_time)),
        ("stopped_speed_mps", number(options.stopped_speed_mps)),
        ("stopped_speed", number(options.stopped_speed)),
        ("invalid_points", text(&options.invalid_points().as_str_name())),
        ("estimate", text(&options.estimate)),
        ("min_stop_time", time(&options.min_stop_time)),
        ("max_trips", text(&options.max_trips)),
        ("reject_zero_position", text(&options.reject_zero_position)),
        ("reorder_count", text(&options.reorder_count)),
        ("reorder_time", time(&options.reorder_time)),
        ("drop_duplicates", text(&options.drop_duplicates)),
        ("min_climb_m", number(options.min_climb_m)),
        ("min_climb", number(options.min_climb)),
        ("climb_smoothing_time", time(&options.climb_smoothing_time)),
        ("windows.unit", text(&windows.unit().as_str_name())),
        ("windows.time_zone", text(&windows.time_zone)),
        ("windows.max_windows", text(&windows.max_windows)),
        ("windows.keep_latest", text(&windows.keep_latest)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Elevation, InvalidPoints, Metric};

    fn listed(sent: &Options, other: &Options) -> String {
        let violations = differences(sent, other, "the recording");
        violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_field_that_differs_is_reported_with_both_values() {
        let planar = Options::new(Metric::Planar);
        assert_eq!(listed(&planar, &planar), "");
        let all = planar
            .to_builder()
            .elevation(Elevation::ThreeDimensional)
            .xy_resolution(0.5)
            .z_resolution(0.25)
            .max_gap_time_ns(1_500_000_000_u64)
            .max_gap(1.0)
            .max_speed(2.0)
            .reanchor_count(7)
            .min_step(3.0)
            .max_accuracy_m(4.0)
            .reject_backward_time(true)
            .stopped_speed(5.0)
            .invalid_points(InvalidPoints::Split)
            .build()
            .unwrap();
        insta::assert_snapshot!(listed(&all, &planar), @r"
        options.elevation_mode: it is ELEVATION_MODE_THREE_DIMENSIONAL in this message and ELEVATION_MODE_IGNORED in the recording
        options.xy_resolution: it is 0.5 in this message and 1 in the recording
        options.z_resolution: it is 0.25 in this message and 1 in the recording
        options.max_gap_time: it is 1.5 s in this message and unset in the recording
        options.max_gap: it is 1 in this message and unset in the recording
        options.max_speed: it is 2 in this message and unset in the recording
        options.reanchor_count: it is 7 in this message and 3 in the recording
        options.min_step: it is 3 in this message and unset in the recording
        options.max_accuracy_m: it is 4 in this message and unset in the recording
        options.reject_backward_time: it is true in this message and false in the recording
        options.stopped_speed: it is 5 in this message and unset in the recording
        options.invalid_points: it is INVALID_POINTS_SPLIT in this message and INVALID_POINTS_REJECT_CALL in the recording
        ");
        let geodesic = Options::builder(Metric::Geodesic).min_step(3.0).build().unwrap();
        insta::assert_snapshot!(listed(&geodesic, &planar), @r"
        options.model: it is MODEL_WGS84_GEODESIC in this message and MODEL_PLANAR in the recording
        options.min_step_m: it is 3 in this message and unset in the recording
        ");
        // One nanosecond in a century is a difference.
        let gap = |ns: u64| planar.to_builder().max_gap_time_ns(ns).build().unwrap();
        let century_ns = 3_155_760_000_000_000_000;
        insta::assert_snapshot!(
            listed(&gap(century_ns), &gap(century_ns + 1)),
            @"options.max_gap_time: it is 3155760000 s in this message and 3155760000.000000001 s in the recording"
        );
    }
}
