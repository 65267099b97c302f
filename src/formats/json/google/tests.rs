//! Tests of Google location history in its layouts.

use super::super::super::{ReadOptions, TrackColumn};
use super::super::tests::{outcome, outcome_with, without_positions};

#[test]
fn records_of_google_are_a_track() {
    let file = r#"{"locations":[
        {"latitudeE7":481000000,"longitudeE7":-115000000,"timestampMs":"1704103200000","accuracy":20,"altitude":150,
         "verticalAccuracy":3,"activity":[{"timestamp":"x","activity":[{"type":"STILL","confidence":9}]}]},
        {"timestamp":"2024-01-01T10:00:30Z","source":"WIFI"},
        {"latitudeE7":481100000,"longitudeE7":115000000,"timestamp":"2024-01-01T10:01:00.5Z"},
        {"latitudeE7":481100000,"longitudeE7":4179967296,"timestamp":"x"},
        {"latitudeE7":4217000000,"longitudeE7":-4282967296,"timestamp":"2024-01-01T10:02:00Z"},
        {"latitudeE7":999999999,"longitudeE7":1},
        null]}"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (-11.5 48.1 z150 t1704103200 a20) (invalid) (11.5 48.11 t1704103260.5) (-11.5 48.11) (1.2 -7.7967296 t1704103320) (invalid) = none
    invalid_position, line 4, column 60: 2 points without a valid position are skipped; the first one: the entry has no position
    invalid_time, line 6, column 73: 1 invalid time is ignored: the time "x" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    assumed_notation, line 6, column 73: values such as the longitude 4179967296e-7 exceed 32 bits, and 2^32 is subtracted from or added to them
    ignored_content, line 9, column 12: an element of a list is not an object and is ignored
    "#);
}

#[test]
fn each_device_of_google_is_a_track() {
    let file = r#"{"locations":[{"latitudeE7":0,"longitudeE7":10000000,"deviceTag":-7},
        {"latitudeE7":0,"longitudeE7":20000000,"deviceTag":8},
        {"latitudeE7":0,"longitudeE7":30000000,"deviceTag":-7}]}"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 0) (3 0) = "-7"
    track / (2 0) = "8"
    grouped_rows, -: the points are of 2 devices, and each is a track; use --track-column none to join them
    "#);
    let joined = ReadOptions { track_column: TrackColumn::None, ..Default::default() };
    insta::assert_snapshot!(outcome_with(file, &joined), @"track / (1 0) (2 0) (3 0) = none");
}

#[test]
fn each_activity_of_the_semantic_history_is_a_track() {
    let file = r#"{"timelineObjects":[
        {"activitySegment":{"startLocation":{"latitudeE7":10000000,"longitudeE7":20000000},
          "endLocation":{"latitudeE7":10000000,"longitudeE7":50000000},
          "duration":{"startTimestamp":"2024-01-01T10:00:00Z","endTimestamp":"2024-01-01T11:00:00Z"},
          "distance":2640,"activityType":"IN_BUS","activities":[{"activityType":"WALKING"}],
          "waypointPath":{"waypoints":[{"latE7":0,"lngE7":0}]},
          "simplifiedRawPath":{"points":[{"latE7":10000000,"lngE7":30000000,"accuracyMeters":5,"timestampMs":"1704104400000"},
            {"latE7":10000000,"lngE7":40000000,"timestamp":"2024-01-01T10:40:00Z"}],"distanceMeters":1.5}}},
        {"placeVisit":{"location":{"latitudeE7":1,"longitudeE7":1},"centerLatE7":1}},
        {"activitySegment":{"startLocation":{"latitudeE7":0,"longitudeE7":0},"endLocation":{"latitudeE7":0,"longitudeE7":10000000},
          "activityType":"FLYING"}},
        {"activitySegment":{"startLocation":{},"activityType":"WALKING",
          "transitPath":{"transitStops":[{"latitudeE7":0,"longitudeE7":0},{"latitudeE7":0,"longitudeE7":10000000}]}}}]}"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (2 1 t1704103200) (3 1 t1704104400 a5) (4 1 t1704105600) (5 1 t1704106800) = "IN_BUS"
    track / (0 0) (1 0) = "FLYING"
    track / (0 0) (1 0) = "WALKING"
    joined_points, line 11, column 34: only the start and the end of the activity are known; a straight leg joins them
    "#);
    insta::assert_snapshot!(outcome(r#"{"timelineObjects":[{"placeVisit":{}},{"placeVisit":{}}]}"#), @"error : this Google location history has nothing to measure: it has visits of places (2) but no path");
}

#[test]
fn each_path_of_the_timeline_of_an_android_phone_is_a_track() {
    let activity = r#"{"startTime":"2024-01-01T10:00:00+01:00","endTime":"2024-01-01T11:00:00+01:00","activity":{
        "start":{"latLng":"1.0°, 2.0°"},"end":{"latLng":"1.0°, 3.0°"},"distanceMeters":9.5,
        "topCandidate":{"type":"WALKING","probability":0.5}}}"#;
    let path = r#"{"startTime":"2024-01-01T10:00:00+01:00","timelinePath":[
        {"point":"1.0°, 2.0°","time":"2024-01-01T10:00:00+01:00"},{"point":"1.0°","time":"x"},
        {"point":"1.0°, 2.5°","time":"x"}]}"#;
    let signals = r#""rawSignals":[{"wifiScan":{}},{"position":{"LatLng":"4.0°, 5.0°","accuracyMeters":13,
        "altitudeMeters":99.5,"timestamp":"2024-01-01T10:00:00Z"}}]"#;
    let visit = r#"{"visit":{"topCandidate":{"placeLocation":{"latLng":"0°, 0°"}}}}"#;
    for segments in [[activity, path], [path, activity]] {
        let segments = segments.join(",").replace('\n', "");
        let file = format!(
            r#"{{"semanticSegments":[{visit},{segments}],{signals},"userLocationProfile":{{}}}}"#
        );
        let text = without_positions(&outcome(file));
        insta::allow_duplicates! { insta::assert_snapshot!(text, @r#"
        track / (2 1 t1704099600) (invalid) (2.5 1) = none
        invalid_position: 1 point without a valid position is skipped: the position "1.0°" is not like "48.1°, 11.5°" or "geo:48.1,11.5"
        invalid_time: 1 invalid time is ignored: the time "x" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
        ignored_content: activities are ignored (1), because they have only a start and an end, and the file has paths
        ignored_content: raw signals next to paths are ignored (1)
        "#); }
    }
    insta::assert_snapshot!(outcome(format!(r#"{{{signals},"semanticSegments":[{visit},{activity}]}}"#)), @r#"
    track / (2 1 t1704099600) (3 1 t1704103200) = "WALKING"
    joined_points, line 2, column 244: only the start and the end of the activity are known; a straight leg joins them
    ignored_content, line 2, column 65: raw signals next to paths are ignored (1)
    "#);
    insta::assert_snapshot!(outcome(format!(r#"{{"semanticSegments":[{visit}],{signals}}}"#)), @r#"
    track / (5 4 z99.5 t1704103200 a13) = none
    joined_points, line 2, column 65: the file has no paths, and its raw signals are read as a path
    "#);
    insta::assert_snapshot!(outcome(format!(r#"{{"semanticSegments":[{visit}]}}"#)), @"error : this Google location history has nothing to measure: it has no position");
}

#[test]
fn each_path_of_the_timeline_of_an_ios_phone_is_a_track() {
    let file = r#"[{"endTime":"2024-01-01T12:00:00.000+02:00","startTime":"2024-01-01T10:00:00.000+02:00",
        "timelinePath":[{"point":"geo:1.5,2.5","durationMinutesOffsetFromStartTime":"10"},
          {"durationMinutesOffsetFromStartTime":20.5,"point":"geo:1.5,3.5"}]},
        {"timelinePath":[{"point":"geo:1,2","durationMinutesOffsetFromStartTime":"60"}],"startTime":"2024-01-01T08:00:00Z"},
        {"startTime":"2024-01-01T10:00:00Z","endTime":"2024-01-01T10:00:00Z",
          "activity":{"start":"geo:1,2","end":"geo:1,3","topCandidate":{"type":"cycling","probability":"0.7"},"distanceMeters":"12.5"}},
        {"visit":{"topCandidate":{"placeLocation":"geo:1,2"}}}]"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (2.5 1.5 t1704096600) (3.5 1.5 t1704097230) = none
    track / (2 1 t1704099600) = none
    ignored_content, line 6, column 20: activities are ignored (1), because they have only a start and an end, and the file has paths
    "#);
}
