//! Tests of the rules that all formats share, with tables as input.

use super::super::tests::{error_with, texts, texts_with};
use super::super::{OnInvalid, ReadOptions};

const INVALID: &str = "lat,lon\n1,1\n91,181\n1,2\n,\n1,3\n";

#[test]
fn points_without_a_valid_position_are_skipped_and_counted() {
    insta::assert_snapshot!(texts(INVALID), @r"
    track / (1 1) (invalid) (2 1) (invalid) (3 1) = none
    invalid_position, line 3, column 1: 2 points without a valid position are skipped; the first one: latitude 91 is not between -90 and 90 degrees
    ");
    let split = ReadOptions { on_invalid: OnInvalid::Split, ..Default::default() };
    insta::assert_snapshot!(texts_with(INVALID, &split), @r"
    track / (1 1) (invalid) / (2 1) (invalid) / (3 1) = none
    invalid_position, line 3, column 1: 2 points without a valid position are skipped; the first one: latitude 91 is not between -90 and 90 degrees
    single_point_segments, line 7: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
    let error = ReadOptions { on_invalid: OnInvalid::Error, ..Default::default() };
    insta::assert_snapshot!(error_with(INVALID.as_bytes(), &error), @"3:1: latitude 91 is not between -90 and 90 degrees; use --on-invalid skip to ignore such points");
}

#[test]
fn a_pause_marker_ends_a_segment() {
    insta::assert_snapshot!(texts("lat,lon\n1,1\n100,180\n1,2\n"), @r"
    track / (1 1) / (2 1) = none
    pause_marker, line 3, column 1: a point with latitude 100 and longitude 180 marks a pause
    single_point_segments, line 5: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
}

#[test]
fn each_note_is_an_error_in_strict_mode() {
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    insta::assert_snapshot!(error_with(INVALID.as_bytes(), &strict), @"3:1: latitude 91 is not between -90 and 90 degrees; --strict makes this an error");
}

#[test]
fn fixes_are_sorted_by_time_within_segments_and_segments_by_their_first_time() {
    let file = "lat,lon,time,part\n1,1,5,b\n1,2,,b\n1,3,4,b\n1,4,3,a\n1,5,2,a\n";
    let sorted = ReadOptions {
        sorts_by_time: true,
        segment_column: Some("part".to_owned()),
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with(file, &sorted), @r#"
    track / (5 1 t2) (4 1 t3) / (3 1 t4) (1 1 t5) (2 1) = none
    assumed_notation, line 2, column 3: numbers such as "5" are read as times since 1970, here 5 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn decreasing_times_are_counted() {
    insta::assert_snapshot!(texts("lat,lon,time\n1,1,5\n1,2,4\n1,3,3\n1,4,6\n"), @r#"
    track / (1 1 t5) (2 1 t4) (3 1 t3) (4 1 t6) = none
    backward_time, line 3, column 1: the time is earlier than that of the point before, at 2 points; use --sort-by-time to sort the points
    assumed_notation, line 2, column 3: numbers such as "5" are read as times since 1970, here 5 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn segments_are_joined_on_request() {
    let file = "<gpx><trk><trkseg><trkpt lat='1' lon='2'/></trkseg><trkseg><trkpt lat='1' lon='3'/></trkseg></trk></gpx>";
    insta::assert_snapshot!(texts(file), @r"
    track / (2 1) / (3 1) = none
    single_point_segments, line 1, column 93: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
    let joined = ReadOptions { joins_segments: true, ..Default::default() };
    insta::assert_snapshot!(texts_with(file, &joined), @"track / (2 1) (3 1) = none");
}
