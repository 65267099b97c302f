//! Tests of what the JSON readers share: sequences of values, formats that are not GeoJSON, and damage.

use super::super::tests::Recorded;
use super::super::{PointsMode, ReadOptions, TrackColumn, read};

/// Returns the tracks, the notes and the error.
pub(super) fn outcome_with(file: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let mut sink = Recorded::default();
    let error = read(file.as_ref(), options, &mut sink).err();
    let error = error.map_or(String::new(), |error| format!("error {}", error.in_file("")));
    sink.ended.concat() + &sink.notes.concat() + &error
}

pub(super) fn outcome(file: impl AsRef<[u8]>) -> String {
    outcome_with(file, &ReadOptions::default())
}

fn feature(coordinates: &str) -> String {
    format!(
        r#"{{"type":"Feature","properties":{{}},"geometry":{{"type":"LineString","coordinates":{coordinates}}}}}"#
    )
}

#[test]
fn a_value_per_line_is_read() {
    let [first, second] = [feature("[[1,2],[3,4]]"), feature("[[5,6],[7,8]]")];
    for end in ["\n", "\r\n", " \n\n", ""] {
        let file = format!("{first}{end}{second}{end}");
        insta::allow_duplicates! { insta::assert_snapshot!(outcome(file), @""); }
    }
    insta::assert_snapshot!(outcome(format!("\n{{\n\"type\":\n{}\n{first}\n{second}", &first[8..])), @"");
}

#[test]
fn a_damaged_line_costs_only_itself() {
    let [first, second] = [feature("[[1,2],[3,4]]"), feature("[[5,6],[7,8]]")];
    let cut = &first[..first.len() - 8];
    insta::assert_snapshot!(outcome(format!("{first}\n{cut}\n{second}\n")), @"");
    insta::assert_snapshot!(outcome(format!("{cut}\n{second}\n{first}")), @"");
    insta::assert_snapshot!(outcome(format!("{first}\n{second} x\n# comment\n{first},\n")), @"");
    insta::assert_snapshot!(outcome(format!("{{\"a\":x}}\n{first}\n")), @"");
    insta::assert_snapshot!(outcome(format!("{{\"name\":\"a\n{first}\n")), @"");
}

#[test]
fn a_file_that_ends_in_a_line_is_an_error() {
    let first = feature("[[1,2],[3,4]]");
    insta::assert_snapshot!(outcome(format!("{first}\n{}", &first[..first.len() - 5])), @"");
    insta::assert_snapshot!(outcome(format!("{first} x")), @"");
}

#[test]
fn a_text_sequence_is_read() {
    let [first, second] = [feature("[[1,2],\n[3,4]]"), feature("[[5,6],[7,8]]")];
    insta::assert_snapshot!(outcome(format!("\u{1e}{first}\n\u{1e}\u{1e}{second}\n")), @"");
    let cut = &first[..first.len() - 10];
    insta::assert_snapshot!(outcome(format!("\u{1e}{cut}\n\u{1e}{second}\n")), @"");
    insta::assert_snapshot!(outcome(format!("\u{1e}{second}\n\u{1e}{cut}")), @"");
}

#[test]
fn numbers_and_strings_that_json_does_not_have_are_read() {
    let file = b"{\"type\":\"Feature\",\"properties\":{\"name\":\"\xe8 \xc4\x8d\t\xf0\"},\"geometry\":{\"type\":\
        \"LineString\",\"coordinates\":[[1,2,NaN],[NaN,2],[-Infinity,Infinity],[3,4]]}}";
    insta::assert_snapshot!(outcome(file), @"");
    insta::assert_snapshot!(outcome(r#"{"type":"LineString","coordinates":[[1,2],[Nan,4]]}"#), @"");
}

#[test]
fn json_of_another_kind_is_named() {
    insta::assert_snapshot!(outcome(r#"{"a":1,"b":2}"#), @"");
    insta::assert_snapshot!(outcome(r#"{"type":"Topology","arcs":[]}"#), @"");
    insta::assert_snapshot!(outcome("[1, 2]"), @"");
    insta::assert_snapshot!(outcome("[]"), @"");
    insta::assert_snapshot!(outcome("{}"), @"");
    insta::assert_snapshot!(outcome(r#"{"coordinates":[1,2]}"#), @"");
}

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
    insta::assert_snapshot!(outcome(file), @"");
}

#[test]
fn each_device_of_google_is_a_track() {
    let file = r#"{"locations":[{"latitudeE7":0,"longitudeE7":10000000,"deviceTag":-7},
        {"latitudeE7":0,"longitudeE7":20000000,"deviceTag":8},
        {"latitudeE7":0,"longitudeE7":30000000,"deviceTag":-7}]}"#;
    insta::assert_snapshot!(outcome(file), @"");
    let joined = ReadOptions { track_column: TrackColumn::None, ..Default::default() };
    insta::assert_snapshot!(outcome_with(file, &joined), @"");
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
    insta::assert_snapshot!(outcome(file), @"");
    insta::assert_snapshot!(outcome(r#"{"timelineObjects":[{"placeVisit":{}},{"placeVisit":{}}]}"#), @"");
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
        let segments = segments.join(",");
        let file = format!(
            r#"{{"semanticSegments":[{visit},{segments}],{signals},"userLocationProfile":{{}}}}"#
        );
        insta::allow_duplicates! { insta::assert_snapshot!(outcome(file), @""); }
    }
    insta::assert_snapshot!(outcome(format!(r#"{{{signals},"semanticSegments":[{visit},{activity}]}}"#)), @"");
    insta::assert_snapshot!(outcome(format!(r#"{{"semanticSegments":[{visit}],{signals}}}"#)), @"");
    insta::assert_snapshot!(outcome(format!(r#"{{"semanticSegments":[{visit}]}}"#)), @"");
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
    insta::assert_snapshot!(outcome(file), @"");
}

const OWNTRACKS: &str = r#"{"_type":"location","tid":"ab","lat":1.5,"lon":2.5,"tst":1704103200,"acc":12,"alt":300,"batt":5}"#;

#[test]
fn messages_of_owntracks_are_read_in_every_form() {
    let later = OWNTRACKS.replace("1704103200", "1704103260").replace("2.5", "3.5");
    let lwt = r#"{"_type":"lwt","tst":1704103200}"#;
    let waypoint = r#"{"_type":"waypoint","desc":"Home","lat":9,"lon":9,"rad":5,"tst":1704103200}"#;
    let rec = |message: &str| format!("2024-01-01T10:00:00Z\t*                 \t{message}\n");
    for file in [
        format!("{OWNTRACKS}\n{lwt}\n{waypoint}\n{later}\n"),
        format!("[{OWNTRACKS},{waypoint},{later}]"),
        format!(r#"{{"count":2,"data":[{OWNTRACKS},{lwt},{later}],"status":200}}"#),
        [OWNTRACKS, lwt, waypoint, &later].map(rec).concat(),
    ] {
        insta::allow_duplicates! { insta::assert_snapshot!(outcome(file), @""); }
    }
}

#[test]
fn damaged_messages_of_owntracks_are_noted() {
    let rec = |message: &str| format!("2024-01-01T10:00:00Z\t*                 \t{message}\n");
    let file = [
        OWNTRACKS,
        r#"{"_type":"location","tid":"ab","tst":"soon"}"#,
        r#"{"_type":"location","lat"#,
        r#"{"_type":"encrypted","data":"x"}"#,
        "no message",
        r#"{"_type":"location","tid":"ab","lat":"1.5","lon":"4.5","acc":-1,"alt":"high","tst":1704103320}"#,
    ];
    insta::assert_snapshot!(outcome(file.map(rec).concat()), @"");
}

#[test]
fn each_device_of_owntracks_is_a_track() {
    let message = |x: i32, rest: &str| {
        format!(r#"{{"_type":"location","lat":1,"lon":{x},"tst":1704103200,{rest}}}"#)
    };
    let file = [
        message(1, r#""tid":"ab","topic":"owntracks/ann/phone""#),
        message(2, r#""tid":"cd""#),
        message(3, r#""tid":"ab","topic":"owntracks/ann/phone""#),
        message(4, r#""topic":"owntracks/bob/phone""#),
    ];
    insta::assert_snapshot!(outcome(file.join("\n")), @"");
}

#[test]
fn locations_of_overland_are_a_track() {
    let location = |x: i32, rest: &str| {
        format!(
            r#"{{"type":"Feature","geometry":{{"type":"Point","coordinates":[{x},1]}},"properties":{{
                "timestamp":"2024-01-01T10:0{x}:00Z","altitude":80,"speed":1,"horizontal_accuracy":30,
                "vertical_accuracy":-1,"motion":["driving"],"battery_level":0.8{rest}}}}}"#
        )
    };
    let file = format!(r#"{{"locations":[{},{}],"trip":{{}}}}"#, location(1, ""), location(2, ""));
    insta::assert_snapshot!(outcome(&file), @"");
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    assert_eq!(outcome_with(&file, &ignore), outcome(&file));
    let devices = [location(1, r#","device_id":"a""#), location(2, r#","device_id":"b""#)];
    insta::assert_snapshot!(outcome(format!(r#"{{"locations":[{}]}}"#, devices.join(","))), @"");
}

#[test]
fn a_file_that_ends_early_gives_what_was_read() {
    insta::assert_snapshot!(outcome("{\"locations\":[\n{\"latitudeE7\":0,\"longitudeE7\":1},\n{\"latitudeE7\":0,"), @"");
    insta::assert_snapshot!(outcome(format!("[{OWNTRACKS},{{\"_type\"")), @"");
    let activity = r#"{"activity":{"start":"geo:1,2","end":"geo:1,3"}}"#;
    insta::assert_snapshot!(outcome(format!("[{activity},{{")), @"");
}
