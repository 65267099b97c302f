//! Tests of what the JSON readers share: sequences of values, formats that are not GeoJSON, and damage.

use std::io::BufReader;

use proptest::prelude::*;

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

/// Removes the positions of notes.
pub(super) fn without_positions(text: &str) -> String {
    let line = |line: &str| match line.split_once(", line ") {
        Some((kind, rest)) => format!("{kind}: {}\n", rest.split_once(": ").unwrap().1),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
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
        insta::allow_duplicates! { insta::assert_snapshot!(outcome(file), @r#"
        track / (1 2) (3 4) = none
        track / (5 6) (7 8) = none
        "#); }
    }
    insta::assert_snapshot!(outcome(format!("\n{{\n\"type\":\n{}\n{first}\n{second}", &first[8..])), @r#"
    track / (1 2) (3 4) = none
    track / (1 2) (3 4) = none
    track / (5 6) (7 8) = none
    "#);
}

#[test]
fn a_damaged_line_costs_only_itself() {
    let [first, second] = [feature("[[1,2],[3,4]]"), feature("[[5,6],[7,8]]")];
    let cut = &first[..first.len() - 9];
    insta::assert_snapshot!(outcome(format!("{first}\n{cut}\n{second}\n")), @r#"
    track / (1 2) (3 4) = none
    track / (1 2) = none (incomplete)
    track / (5 6) (7 8) = none
    skipped_lines, line 2, column 86: 1 line is skipped: the JSON value ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome(format!("{cut}\n{second}\n{first}")), @r#"
    track / (1 2) = none (incomplete)
    track / (5 6) (7 8) = none
    track / (1 2) (3 4) = none
    skipped_lines, line 2, column 1: 1 line is skipped: not JSON: expected `,` or `]`
    "#);
    insta::assert_snapshot!(outcome(format!("{first}\n{second} x\n# comment\n{first},\n")), @r#"
    track / (1 2) (3 4) = none
    track / (5 6) (7 8) = none
    track / (1 2) (3 4) = none
    skipped_lines, line 2, column 97: 3 lines are skipped; the first one: text that is not JSON follows a JSON value
    "#);
    insta::assert_snapshot!(outcome(format!("{{\"a\":x}}\n{first}\n")), @r#"
    track / (1 2) (3 4) = none
    skipped_lines, line 1, column 6: 1 line is skipped: not JSON: expected value
    "#);
    insta::assert_snapshot!(outcome(format!("{{\"name\":\"a\n{first}\n")), @r#"
    track / (1 2) (3 4) = none
    skipped_lines, line 2, column 1: 1 line is skipped: not JSON: control character (\u0000-\u001F) found while parsing a string
    "#);
}

#[test]
fn a_file_that_ends_in_a_line_is_an_error() {
    let first = feature("[[1,2],[3,4]]");
    insta::assert_snapshot!(outcome(format!("{first}\n{}", &first[..first.len() - 5])), @r#"
    track / (1 2) (3 4) = none
    track / (1 2) = none (incomplete)
    error :2:90: the JSON value ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome(format!("{first} x")), @r#"
    track / (1 2) (3 4) = none
    skipped_lines, line 1, column 97: 1 line is skipped: text that is not JSON follows a JSON value
    "#);
}

#[test]
fn a_text_sequence_is_read() {
    let [first, second] = [feature("[[1,2],\n[3,4]]"), feature("[[5,6],[7,8]]")];
    insta::assert_snapshot!(outcome(format!("\u{1e}{first}\n\u{1e}\u{1e}{second}\n")), @r#"
    track / (1 2) (3 4) = none
    track / (5 6) (7 8) = none
    "#);
    let cut = &first[..first.len() - 10];
    insta::assert_snapshot!(outcome(format!("\u{1e}{cut}\n\u{1e}{second}\n")), @r#"
    track / (1 2) = none (incomplete)
    track / (5 6) (7 8) = none
    skipped_lines, line 1: 1 line is skipped: the JSON value ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome(format!("\u{1e}{second}\n\u{1e}{cut}")), @r#"
    track / (5 6) (7 8) = none
    track / (1 2) = none (incomplete)
    error :2:87: the JSON value ends too early; it is incomplete
    "#);
}

#[test]
fn numbers_and_strings_that_json_does_not_have_are_read() {
    let file = b"{\"type\":\"Feature\",\"properties\":{\"name\":\"\xe8 \xc4\x8d\t\xf0\"},\"geometry\":{\"type\":\
        \"LineString\",\"coordinates\":[[1,2,NaN],[NaN,2],[-Infinity,Infinity],[3,4]]}}";
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 2) (invalid) (invalid) (3 4) = "� č �"
    invalid_position, line 1, column 113: 2 points without a valid position are skipped; the first one: a position has null in place of a number
    "#);
    insta::assert_snapshot!(outcome(r#"{"type":"LineString","coordinates":[[1,2],[Nan,4]]}"#), @r#"
    track / (1 2) = none (incomplete)
    error :1:46: not JSON: expected value
    "#);
}

#[test]
fn json_of_another_kind_is_named() {
    insta::assert_snapshot!(outcome(r#"{"a":1,"b":2}"#), @r#"error : not a supported track file but JSON with the member "a"; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first"#);
    insta::assert_snapshot!(outcome(r#"{"type":"Topology","arcs":[]}"#), @r#"error : not a supported track file but JSON of the type "Topology"; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first"#);
    insta::assert_snapshot!(outcome(r#"{"position":{"LatLng":"1,2"}}"#), @r#"error : not a supported track file but JSON with the member "position"; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first"#);
    insta::assert_snapshot!(outcome(r#"[{"time":5,"lat":1,"lon":2}]"#), @r#"error : not a supported track file but JSON with the member "time"; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first"#);
    insta::assert_snapshot!(outcome("[1, 2]"), @r#"
    ignored_content, line 1, column 3: an element of a list is not an object and is ignored (2 times)
    error : not a supported track file but JSON without a known member; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first
    "#);
    insta::assert_snapshot!(outcome("[]"), @"error : not a supported track file but JSON without a known member; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first");
    insta::assert_snapshot!(outcome("{}"), @"error : not a supported track file but JSON without a known member; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first");
    insta::assert_snapshot!(outcome(r#"{"coordinates":[1,2]}"#), @r#"error : not a supported track file but JSON with coordinates and without a "type"; GeoJSON, Google location history, OwnTracks and Overland are the supported JSON formats; convert it to one of them first"#);
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
        insta::allow_duplicates! { insta::assert_snapshot!(outcome(file), @r#"track / (2.5 1.5 z300 t1704103200 a12) (3.5 1.5 z300 t1704103260 a12) = "ab""#); }
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
    insta::assert_snapshot!(outcome(file.map(rec).concat()), @r#"
    track / (2.5 1.5 z300 t1704103200 a12) (invalid) (4.5 1.5 t1704103320) = "ab"
    invalid_position, line 2, column 59: 1 point without a valid position is skipped: the longitude is missing
    invalid_elevation, line 6, column 59: 1 invalid elevation is ignored: the elevation "high" is not a number
    invalid_accuracy, line 6, column 59: 1 invalid accuracy is ignored: accuracy_m -1 is not a number from 0 to 2^40
    skipped_lines, line 3, column 64: 2 lines are skipped; the first one: the JSON value ends too early; it is incomplete
    ignored_content, line 4, column 60: encrypted messages of OwnTracks are ignored
    "#);
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
    insta::assert_snapshot!(outcome(file.join("\n")), @r#"
    track / (1 1 t1704103200) (3 1 t1704103200) = "owntracks/ann/phone"
    track / (2 1 t1704103200) = "cd"
    track / (4 1 t1704103200) = "owntracks/bob/phone"
    grouped_rows, -: the points are of 3 devices, and each is a track; use --track-column none to join them
    "#);
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
    insta::assert_snapshot!(outcome(&file), @"track / (1 1 z80 t1704103260 a30) (2 1 z80 t1704103320 a30) = none");
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    assert_eq!(outcome_with(&file, &ignore), outcome(&file));
    let devices = [location(1, r#","device_id":"a""#), location(2, r#","device_id":"b""#)];
    insta::assert_snapshot!(outcome(format!(r#"{{"locations":[{}]}}"#, devices.join(","))), @r#"
    track / (1 1 z80 t1704103260 a30) = "a"
    track / (2 1 z80 t1704103320 a30) = "b"
    grouped_rows, -: the points are of 2 devices, and each is a track; use --track-column none to join them
    "#);
}

#[test]
fn a_file_that_ends_early_gives_what_was_read() {
    insta::assert_snapshot!(outcome("{\"locations\":[\n{\"latitudeE7\":0,\"longitudeE7\":1},\n{\"latitudeE7\":0,"), @r#"
    track / (0.0000001 0) = none (incomplete)
    error :3:16: the file ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome(format!("[{OWNTRACKS},{{\"_type\"")), @r#"
    track / (2.5 1.5 z300 t1704103200 a12) = "ab" (incomplete)
    error :1:106: the file ends too early; it is incomplete
    "#);
    let activity = r#"{"activity":{"start":"geo:1,2","end":"geo:1,3"}}"#;
    insta::assert_snapshot!(outcome(format!("[{activity},{{")), @r#"
    track / (2 1) (3 1) = none
    joined_points, line 1, column 12: only the start and the end of the activity are known; a straight leg joins them
    error :1:51: the file ends too early; it is incomplete
    "#);
}

#[test]
fn a_property_that_identifies_tracks_can_be_chosen() {
    let point = |x: i32, run: &str| {
        format!(
            r#"{{"type":"Feature","geometry":{{"type":"Point","coordinates":[{x},0]}},"properties":{{"run":"{run}","device_id":"a"}}}}"#
        )
    };
    let file = [point(1, "x"), point(2, "y"), point(3, "x")].join("\n");
    let run = TrackColumn::Named("run".to_owned());
    let by_run = ReadOptions { track_column: run, ..Default::default() };
    insta::assert_snapshot!(outcome_with(&file, &by_run), @r#"
    track / (1 0) (3 0) = "x"
    track / (2 0) = "y"
    joined_points, line 1, column 64: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    grouped_rows, -: the points are of 2 devices, and each is a track; use --track-column none to join them
    "#);
}

#[test]
fn each_note_is_an_error_in_strict_mode() {
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    let first = feature("[[1,2],[3,4]]");
    insta::assert_snapshot!(outcome_with(format!("{first}\nx\n{first}"), &strict), @r#"
    track / (1 2) (3 4) = none
    error :2:1: text that is not JSON follows a JSON value; --strict makes this an error
    "#);
    insta::assert_snapshot!(outcome_with(feature("[[1,2],null]"), &strict), @r#"
    track / (1 2) = none (incomplete)
    error :1:91: a position has null in place of a number; --strict makes this an error
    "#);
    insta::assert_snapshot!(outcome_with(r#"{"type":"Point","coordinates":[1,2]}"#, &strict), @"error :1:35: the file has no lines, and its points are read as a path; use --points ignore to ignore them; --strict makes this an error");
}

#[test]
fn more_devices_than_the_limit_are_an_error() {
    let message = |tid: usize| {
        format!("{{\"_type\":\"location\",\"lat\":1,\"lon\":1,\"tst\":1,\"tid\":\"t{tid}\"}}\n")
    };
    let file: String = (0..5000).map(message).collect();
    let text = outcome(&file);
    assert_eq!(text.matches("(incomplete)").count(), 4096);
    insta::assert_snapshot!(text.lines().last().unwrap(), @"error :4097:19: the points have more than 4096 devices; use --track-column none to join them");
    let joined = ReadOptions { track_column: TrackColumn::None, ..Default::default() };
    assert_eq!(outcome_with(&file, &joined).matches("(1 1 t1)").count(), 5000);
}

/// Generates files that are almost in one of the formats.
fn almost_valid() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        "\u{1e}",
        "1",
        "-2.5e3",
        "null",
        "true",
        "NaN",
        "-Infinity",
        "\"x\"",
        "\"",
        "\\",
        "{\"type\":\"Feature\",",
        "\"properties\":{",
        "\"geometry\":",
        "{\"type\":\"Point\",\"coordinates\":",
        "{\"type\":\"LineString\",\"coordinates\":",
        "\"coordinates\":",
        "\"type\":\"MultiLineString\"",
        "\"features\":[",
        "\"coordTimes\":",
        "\"crs\":",
        "[[1,2],[3,4]]",
        "[1,2]",
        "\"time\":\"2024-01-01T10:00:00Z\"",
        "{\"locations\":[",
        "\"latitudeE7\":1,\"longitudeE7\":4294967295",
        "\"deviceTag\":",
        "{\"timelineObjects\":[{\"activitySegment\":{",
        "\"waypointPath\":{\"waypoints\":[",
        "\"startLocation\":{\"latitudeE7\":1,\"longitudeE7\":2}",
        "{\"semanticSegments\":[{",
        "\"timelinePath\":[{\"point\":\"geo:1,2\"",
        "\"activity\":{\"start\":\"1\u{b0}, 2\u{b0}\"",
        "\"startTime\":",
        "\"durationMinutesOffsetFromStartTime\":1e300",
        "\"rawSignals\":[{\"position\":{",
        "\"LatLng\":\"1,2\"",
        "{\"_type\":\"location\",\"lat\":1,\"lon\":2",
        "\"data\":[",
        "2024-01-01T10:00:00Z\t*\t{\"_type\":",
        "\t",
    ]);
    let piece = prop_oneof![
        9 => pieces.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(file in almost_valid()) {
        let mut file_with_start = b"{\"type\":".to_vec();
        file_with_start.extend(&file);
        for file in [&file, &file_with_start] {
            let mut slow = Recorded::default();
            let input = BufReader::with_capacity(1, &file[..]);
            let error = read(input, &ReadOptions::default(), &mut slow).err();
            let mut quick = Recorded::default();
            let same = read(&file[..], &ReadOptions::default(), &mut quick).err();
            prop_assert_eq!(error.map(|error| error.to_string()), same.map(|error| error.to_string()));
            prop_assert_eq!(slow.ended, quick.ended);
        }
    }
}
