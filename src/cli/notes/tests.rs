//! Tests of the notes on files, tracks and recordings.

use super::*;
use crate::measure::{
    ExplicitOptions, Metric, MissingData, PathAccumulator, Preset, Rejection, RejectionReason,
    Reorder, UnusedOption,
};

fn messages(info: &TrackInfo, options: &Options) -> Vec<String> {
    let notes = unused_options(Some(0), info, options);
    assert!(notes.iter().all(|note| note.kind == NoteKind::UnusedOption));
    notes.iter().map(|note| text("f", Some("2"), note)).collect()
}

#[test]
fn a_file_with_many_notes_has_a_limit() {
    let note = Note {
        kind: NoteKind::Checksum,
        message: "the checksum is wrong".to_owned(),
        position: Some(Position::Record(3)),
        count: 1,
        track: None,
    };
    let mut list = NoteList::default();
    list.add_all("f", None, &vec![note; 1022]);
    let lines = list.take("f");
    assert_eq!((lines.len(), &*lines[19]), (21, "f: record 3: the checksum is wrong"));
    assert_eq!(lines[20], "f: 1 002 more notes; --json has the notes of each track");
    assert_eq!(list.take("f"), [""; 0]);
}

#[test]
fn a_filter_without_data_is_reported() {
    let points = TrackInfo { point_count: 12, invalid_count: 2, ..TrackInfo::default() };
    let geodesic = || Options::builder(Metric::Geodesic);
    let speed = geodesic().max_speed(10.0).build().unwrap();
    assert_eq!(
        messages(&points, &speed),
        ["f: track 2: --max-speed had no effect: no point has a time"]
    );
    let all = geodesic()
        .max_speed(10.0)
        .max_gap_time_ns(1)
        .stopped_speed(1.0)
        .max_accuracy_m(5.0)
        .elevation(Elevation::ThreeDimensional)
        .build()
        .unwrap();
    let some = TrackInfo { time_count: 7, accuracy_count: 10, ..points.clone() };
    let times = "f: track 2: 3 of 10 points have no time: --max-gap-time, --max-speed and --stopped-speed \
                 had no effect on them";
    let elevations = "f: track 2: --elevation had no effect: no point has an elevation";
    assert_eq!(messages(&some, &all), [times, elevations]);
    assert_eq!(messages(&points, &geodesic().min_step(2.0).build().unwrap()), [""; 0]);
    // A track without points has nothing to filter.
    assert_eq!(messages(&TrackInfo::default(), &all), [""; 0]);
}

#[test]
fn an_estimate_a_sorting_buffer_and_climbs_need_data() {
    let points = TrackInfo { point_count: 10, ..TrackInfo::default() };
    let estimate = |min_stop_s: u64, max_trips| EstimateOptions {
        min_stop_ns: min_stop_s * 1_000_000_000,
        max_trips,
    };
    for (estimate, flag) in [
        (estimate(60, 0), "--estimate"),
        (estimate(90, 0), "--min-stop-time"),
        (estimate(90, 5), "--trips"),
    ] {
        let options = Options::builder(Metric::Geodesic).estimate(estimate).build().unwrap();
        let expected = format!("f: track 2: {flag} had no effect: no point has a time");
        assert_eq!(messages(&points, &options), [expected]);
    }
    let sorted = Options::builder(Metric::Geodesic)
        .reorder(Reorder { count: 256, time_ns: Some(1) })
        .climb(ClimbOptions { threshold: 9.0, smoothing_ns: 0 })
        .build()
        .unwrap();
    let times = "f: track 2: --reorder-time had no effect: no point has a time";
    let elevations =
        "f: track 2: --min-climb and --climb-smoothing had no effect: no point has an elevation";
    assert_eq!(messages(&points, &sorted), [times, elevations]);
    let full = TrackInfo { time_count: 10, z_count: 10, ..points };
    assert_eq!(messages(&full, &sorted), [""; 0]);
}

#[test]
fn a_preset_without_data_has_one_note_for_each_file() {
    let note = |given: &Options, preset: Preset, tracks: &[TrackInfo]| {
        let mut check = PresetCheck::default();
        tracks.iter().for_each(|track| check.add(track));
        let preset = (preset.name(), preset.fill(*given, ExplicitOptions::default()));
        let options = FilledOptions { given: *given, preset: Some(preset.0), all: preset.1 };
        check.note(&options).map(|note| note.message)
    };
    let given = Options::default();
    let bare = TrackInfo { point_count: 5, ..TrackInfo::default() };
    let timed = TrackInfo { time_count: 1, ..bare.clone() };
    let full = TrackInfo { accuracy_count: 1, ..timed.clone() };
    // The speed of a stop is that of paths without a preset.
    insta::assert_snapshot!(
        note(&given, Preset::Walk, &[bare.clone(), bare.clone()]).unwrap(),
        @"a part of --preset walk had no effect: no point has a time (for --estimate and --max-speed) or an accuracy (for --max-accuracy)"
    );
    insta::assert_snapshot!(
        note(&given, Preset::Phone, std::slice::from_ref(&bare)).unwrap(),
        @"a part of --preset phone had no effect: no point has a time (for --estimate, --max-speed, --reorder, --drop-duplicates and --stopped-speed) or an accuracy (for --max-accuracy)"
    );
    insta::assert_snapshot!(
        note(&given, Preset::Car, &[bare.clone(), timed.clone()]).unwrap(),
        @"a part of --preset car had no effect: no point has an accuracy (for --max-accuracy)"
    );
    assert_eq!(note(&given, Preset::Car, &[full]), None);
    assert_eq!(note(&given, Preset::Car, &[TrackInfo::default()]), None);
    // An argument has its own note.
    let given = Options::builder(Metric::Geodesic).max_accuracy_m(9.0).build().unwrap();
    assert_eq!(note(&given, Preset::Car, &[timed]), None);
    let mut check = PresetCheck::default();
    check.add(&bare);
    assert_eq!(check.note(&FilledOptions { given, preset: None, all: given }), None);
}

#[test]
fn a_track_most_of_whose_points_are_rejected_has_a_note() {
    let message = |points: u64, rejected: &[(RejectionReason, u64)]| {
        let mut summary = PathAccumulator::new(Options::default()).summary();
        summary.point_count = points;
        summary.rejections = rejected
            .iter()
            .map(|&(reason, count)| Rejection {
                reason,
                count,
                first_offset: 0,
                rejected_length: 0.0,
            })
            .collect();
        let note = rejected_points(Some(1), &summary)?;
        assert_eq!((note.kind, note.track), (NoteKind::RejectedPoints, Some(1)));
        assert_eq!(of_recording("paths/a", &summary), [format!("paths/a: {}", note.message)]);
        Some(note.message)
    };
    let (speed, time) = (RejectionReason::Speed, RejectionReason::BackwardTime);
    let invalid = RejectionReason::InvalidPosition;
    insta::assert_snapshot!(
        message(1184, &[(speed, 1183)]).unwrap(),
        @"1 183 of 1 184 points are rejected as too fast: the times of the points may be wrong, or the points are not in order of time (see --sort-by-time), or --max-speed is too low"
    );
    insta::assert_snapshot!(
        message(13, &[(time, 4), (speed, 2), (invalid, 2)]).unwrap(),
        @"6 of 11 points are rejected as too fast or back in time: the times of the points may be wrong, or the points are not in order of time (see --sort-by-time), or --max-speed is too low"
    );
    insta::assert_snapshot!(
        message(3, &[(time, 2)]).unwrap(),
        @"2 of 3 points are rejected as back in time: the times of the points may be wrong, or the points are not in order of time (see --sort-by-time)"
    );
    insta::assert_snapshot!(
        message(1200, &[(RejectionReason::Late, 1167)]).unwrap(),
        @"1 167 of 1 200 points are rejected as late: the times of the points may be wrong, or the points are not in order of time (see --sort-by-time)"
    );
    // Half of the points, and points that other rules reject.
    assert_eq!(message(4, &[(speed, 2)]), None);
    assert_eq!(message(4, &[(RejectionReason::Step, 3)]), None);
    assert_eq!(message(0, &[]), None);
}

#[test]
fn points_without_a_time_belong_to_no_window() {
    let zone = crate::measure::Zone::parse("UTC").unwrap();
    let windows = WindowOptions::new(crate::measure::WindowUnit::Day, zone);
    let options = Options::builder(Metric::Geodesic).windows(windows).build().unwrap();
    let points = TrackInfo { point_count: 12, invalid_count: 2, ..TrackInfo::default() };
    for (time_count, expected) in [
        (0, "f: track 2: --by had no effect: no point has a time"),
        (7, "f: track 2: 3 points of 10 have no time: such points belong to no window of --by"),
        (9, "f: track 2: 1 point of 10 has no time: such a point belongs to no window of --by"),
    ] {
        let info = TrackInfo { time_count, ..points.clone() };
        assert_eq!(messages(&info, &options), [expected]);
    }
    assert_eq!(messages(&TrackInfo { time_count: 10, ..points }, &options), [""; 0]);
}

#[test]
fn a_recording_has_a_note_for_each_unused_option() {
    let mut summary = PathAccumulator::new(Options::default()).summary();
    assert_eq!(of_recording("paths/a", &summary), [""; 0]);
    for (option, missing) in [
        ("max_accuracy_m", MissingData::Accuracy),
        ("windows", MissingData::Time),
        ("elevation", MissingData::Z),
        ("climb_threshold", MissingData::Z),
        ("climb_smoothing_ns", MissingData::Z),
    ] {
        summary.unused_options.push(UnusedOption { option, missing });
    }
    insta::assert_snapshot!(of_recording("paths/a", &summary).join("\n"), @r"
    paths/a: --max-accuracy had no effect: no point has an accuracy
    paths/a: --by had no effect: no point has a time
    paths/a: --elevation had no effect: no point has an elevation
    paths/a: --min-climb had no effect: no point has an elevation
    paths/a: --climb-smoothing had no effect: no point has an elevation
    ");
}
