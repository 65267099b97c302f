//! Tests of Point features, which are a path if the file has no lines.

use super::super::super::super::tests::Recorded;
use super::super::super::super::{PointsMode, ReadOptions, read};
use super::super::super::tests::{outcome, outcome_with};
use super::{collection, line, point};

#[test]
fn point_features_are_a_path() {
    let points = [
        point(
            "[1,2,3]",
            r#""time":"2024-01-01T10:00:00Z","provider":"gps","accuracy":5,"altitude":9"#,
        ),
        point("[2,2]", r#""Time Stamp":1704103260,"horizontal_accuracy":"6.5","ele":4,"name":"x""#),
    ];
    insta::assert_snapshot!(outcome(collection(&points)), @r#"
    track / (1 2 z3 t1704103200 a5) (2 2 z4 t1704103260 a6.5) = none
    joined_points, line 1, column 106: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
    insta::assert_snapshot!(outcome(points.join("\n")), @r#"
    track / (1 2 z3 t1704103200 a5) (2 2 z4 t1704103260 a6.5) = none
    joined_points, line 1, column 66: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    insta::assert_snapshot!(outcome_with(collection(&points), &ignore), @"error : this GeoJSON has nothing to measure: it has points (2) but no line, and --points ignore is set");
    insta::assert_snapshot!(outcome(r#"{"type":"Feature","properties":{"time":5,"acc":6},"geometry":{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}}"#), @r#"
    track / (1 2 a6) (3 4 a6) = none
    joined_points, line 1, column 102: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
    insta::assert_snapshot!(outcome(r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#), @r#"
    track / (1 2) (3 4) = none
    joined_points, line 1, column 41: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
}

#[test]
fn point_features_are_sorted_if_all_have_a_time() {
    let points = |times: [&str; 3]| {
        let points: Vec<_> =
            times.iter().zip(1..).map(|(time, x)| point(&format!("[{x},0]"), time)).collect();
        outcome(collection(&points))
    };
    insta::assert_snapshot!(points([r#""time":30"#, r#""time":20"#, r#""time":10"#]), @r#"
    track / (3 0 t10) (2 0 t20) (1 0 t30) = none
    joined_points, line 3, column 64: the file has no lines, and its points are read as a path, in the order of their times, because their order in the file is another; use --points ignore to ignore them
    "#);
    insta::assert_snapshot!(points([r#""time":30"#, "", r#""time":10"#]), @r#"
    track / (1 0 t30) (2 0) (3 0 t10) = none
    backward_time, line 3, column 64: the time is earlier than that of the point before; use --sort-by-time to sort the points
    joined_points, line 1, column 104: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
    insta::assert_snapshot!(points([r#""time":"soon""#, r#""time":"soon","timestamp":7"#, r#""alt":"x","acc":true"#]), @r#"
    track / (1 0) (2 0 t7) (3 0) = none
    invalid_time, line 1, column 104: 1 invalid time is ignored: the time "soon" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    invalid_elevation, line 3, column 64: 1 invalid elevation is ignored: the elevation "x" is not a number
    invalid_accuracy, line 3, column 64: 1 invalid accuracy is ignored: the accuracy is true
    joined_points, line 1, column 104: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
}

#[test]
fn points_of_several_devices_are_tracks() {
    let points = [
        point("[1,2]", r#""tracker_id":"a","time":5"#),
        point("[1,3]", r#""tracker_id":"b","time":1"#),
        point("[1,4]", r#""tracker_id":"a","time":9"#),
    ];
    insta::assert_snapshot!(outcome(collection(&points)), @r#"
    track / (1 2 t5) (1 4 t9) = "a"
    track / (1 3 t1) = "b"
    joined_points, line 1, column 104: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    grouped_rows, -: the points are of 2 devices, and each is a track; use --track-column none to join them
    "#);
    let ids = [point("[1,2]", r#""id":"a""#), point("[1,3]", r#""id":"b""#)];
    insta::assert_snapshot!(outcome(collection(&ids)), @r#"
    track / (1 2) (1 3) = none
    joined_points, line 1, column 104: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    "#);
}

#[test]
fn more_devices_of_points_than_the_limit_are_an_error() {
    let points: Vec<_> =
        (0..4100).map(|index| point("[1,2]", &format!(r#""tid":"t{index}""#))).collect();
    let text = outcome(collection(&points));
    assert_eq!(text.matches("(1 2)").count(), 4096);
    assert_eq!(text.matches("(incomplete)").count(), 4096);
    assert!(text.ends_with("more than 4096 devices; use --track-column none to join them"));
}

#[test]
fn points_next_to_a_line_are_ignored() {
    let line =
        format!(r#"{{"type":"Feature","properties":{{}},"geometry":{}}}"#, line("[[1,2],[3,4]]"));
    let [first, second] = [point("[5,6]", ""), point("[7,8]", "")];
    insta::assert_snapshot!(outcome(collection(&[first.clone(), line.clone(), second.clone()])), @r#"
    track / (1 2) (3 4) = none
    ignored_content, line 1, column 104: points next to lines are ignored (2)
    "#);
    insta::assert_snapshot!(outcome(collection(&[line, first, second])), @r#"
    track / (1 2) (3 4) = none
    ignored_content, line 2, column 64: points next to lines are ignored (2)
    "#);
}

#[test]
fn many_points_are_read_as_a_path_before_a_line_is_found() {
    let count = (1 << 18) + 5;
    let mut features = vec![point("[1,2]", ""); count];
    features.push(format!(
        r#"{{"type":"Feature","properties":{{}},"geometry":{}}}"#,
        line("[[1,2],[3,4]]")
    ));
    let mut sink = Recorded::default();
    read(collection(&features).as_bytes(), &ReadOptions::default(), &mut sink).unwrap();
    assert_eq!(sink.tracks[0].matches("(1 2)").count(), count);
    assert_eq!(sink.ended.len(), 2);
    insta::assert_snapshot!(sink.notes.concat(), @"joined_points, line 1, column 104: the file has no lines, and its points are read as a path; use --points ignore to ignore them");
}
