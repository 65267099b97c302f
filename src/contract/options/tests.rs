//! Tests of the options of a path in messages.

use super::*;

fn violations(message: &pb::PathOptions) -> Vec<String> {
    let text =
        |violation: &OptionViolation| format!("{}: {}", violation.field, violation.description);
    from_message(message).unwrap_err().iter().map(text).collect()
}

#[test]
fn options_survive_a_round_trip_with_defaults_filled_in() {
    let message = pb::PathOptions {
        max_speed_mps: 50.0,
        max_gap_time: Some(Duration { seconds: 30, nanos: 5 }),
        ..Default::default()
    };
    let read = from_message(&message).unwrap();
    assert_eq!(read.max_gap_time_ns(), Some(30_000_000_005));
    let written = to_message(&read);
    assert_eq!((written.xy_resolution, written.reanchor_count), (1e-7, 3));
    assert_eq!(from_message(&written).unwrap(), read);
    for (sent, is_default) in [(0, true), (1, true), (2, false), (3, false)] {
        let message = pb::PathOptions { invalid_points: sent, ..message.clone() };
        let read = from_message(&message).unwrap();
        assert_eq!(read.invalid_points() == InvalidPoints::RejectCall, is_default);
        assert_eq!(to_message(&read).invalid_points, sent.max(1));
    }
    let car = pb::PathOptions { preset: pb::Preset::Car.into(), ..Default::default() };
    assert_eq!(from_message(&car).unwrap().stopped_speed(), Some(1.0));
    let slow = pb::PathOptions { stopped_speed_mps: 0.3, ..car };
    let read = from_message(&slow).unwrap();
    assert_eq!((read.stopped_speed(), read.max_speed()), (Some(0.3), Some(70.0)));
    assert_eq!(from_message(&to_message(&read)).unwrap(), read);
    let planar = pb::PathOptions { model: 3, min_step: 2.0, ..Default::default() };
    let read = from_message(&planar).unwrap();
    assert_eq!((read.min_step(), read.xy_resolution()), (Some(2.0), 1.0));
    assert_eq!(from_message(&to_message(&read)).unwrap(), read);
    // A duration of 0 means not set.
    let zero = Some(Duration::default());
    let read = from_message(&pb::PathOptions { max_gap_time: zero, ..planar }).unwrap();
    assert_eq!(read.max_gap_time_ns(), None);
}

/// Each option is set or not, also to the default of a path without a preset.
#[test]
fn a_preset_keeps_the_options_that_a_message_sets() {
    let preset = pb::PathOptions { preset: pb::Preset::Bike.into(), ..Default::default() };
    for (sent_speed, speed) in [(0.0, 0.8), (0.3, 0.3), (0.5, 0.5)] {
        for (sent, mode) in [
            (pb::InvalidPoints::Unspecified, InvalidPoints::Skip),
            (pb::InvalidPoints::RejectCall, InvalidPoints::RejectCall),
            (pb::InvalidPoints::Skip, InvalidPoints::Skip),
            (pb::InvalidPoints::Split, InvalidPoints::Split),
        ] {
            let message = pb::PathOptions {
                stopped_speed_mps: sent_speed,
                invalid_points: sent.into(),
                ..preset.clone()
            };
            let read = from_message(&message).unwrap();
            assert_eq!((read.stopped_speed(), read.invalid_points()), (Some(speed), mode));
            assert_eq!(read.max_speed(), Some(30.0));
        }
    }
}

#[test]
fn a_violation_has_the_unit_of_its_option() {
    let time = |seconds, nanos| Some(Duration { seconds, nanos });
    let estimate = pb::PathOptions { estimate: true, ..Default::default() };
    for (message, expected) in [
        (
            pb::PathOptions { climb_smoothing_time: time(10_000, 0), ..Default::default() },
            "climb_smoothing_time: it is 10000 s, and must be at most 10 minutes",
        ),
        (
            pb::PathOptions { min_stop_time: time(0, 5), ..estimate.clone() },
            "min_stop_time: it is 5 ns, and must be at least 1 second",
        ),
        (
            pb::PathOptions { model: 3, ..estimate },
            "estimate: it is set, and must be off for planar paths: the estimate is for geographic paths",
        ),
    ] {
        assert_eq!(violations(&message), [expected]);
    }
}

#[test]
fn all_violations_are_reported_together() {
    let message = pb::PathOptions {
        model: 9,
        max_speed: 3.0,
        min_step_m: f64::NAN,
        max_accuracy_m: -1.0,
        max_gap_time: Some(Duration { seconds: -1, nanos: 0 }),
        invalid_points: 4,
        ..Default::default()
    };
    insta::assert_snapshot!(violations(&message).join("\n"), @r"
    model: there is no model 9
    invalid_points: there is no mode 4
    max_gap_time: -1 s and 0 ns are not a time from 0 s to 584 years with 0 to 999999999 ns
    max_speed: it does not apply to geographic paths; set max_speed_mps
    min_step_m: NaN is not a finite number of at least 0; 0 means not set
    max_accuracy_m: -1 is not a finite number of at least 0; 0 means not set
    ");
    let message = pb::PathOptions { xy_resolution: 1e13, ..Default::default() };
    insta::assert_snapshot!(
        violations(&message).join("\n"),
        @"xy_resolution: it is 10000000000000, and must be a number above 0, at most 2^40"
    );
}

#[test]
fn a_violation_names_the_field_of_the_space() {
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
        (pb::PathOptions { stopped_speed: far, model: 3, ..Default::default() }, "stopped_speed"),
    ] {
        let text = "it is 10000000000000, and must be a number above 0, at most 2^40";
        assert_eq!(violations(&message), [format!("{field}: {text}")]);
    }
}
