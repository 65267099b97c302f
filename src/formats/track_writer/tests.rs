//! Tests of the rules that all formats share, with tables as input.

use super::super::tests::{error_with, texts, texts_with};
use super::super::{OnInvalid, ReadOptions};

const INVALID: &str = "lat,lon\n1,1\n91,181\n1,2\n,\n1,3\n";

#[test]
fn points_without_a_valid_position_are_skipped_and_counted() {
    insta::assert_snapshot!(texts(INVALID), @"");
    let split = ReadOptions { on_invalid: OnInvalid::Split, ..Default::default() };
    insta::assert_snapshot!(texts_with(INVALID, &split), @"");
    let error = ReadOptions { on_invalid: OnInvalid::Error, ..Default::default() };
    insta::assert_snapshot!(error_with(INVALID.as_bytes(), &error), @"");
}

#[test]
fn a_pause_marker_ends_a_segment() {
    insta::assert_snapshot!(texts("lat,lon\n1,1\n100,180\n1,2\n"), @"");
}

#[test]
fn each_note_is_an_error_in_strict_mode() {
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    insta::assert_snapshot!(error_with(INVALID.as_bytes(), &strict), @"");
}

#[test]
fn fixes_are_sorted_by_time_within_segments_and_segments_by_their_first_time() {
    let file = "lat,lon,time,part\n1,1,5,b\n1,2,,b\n1,3,4,b\n1,4,3,a\n1,5,2,a\n";
    let sorted = ReadOptions {
        sorts_by_time: true,
        segment_column: Some("part".to_owned()),
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with(file, &sorted), @"");
}

#[test]
fn decreasing_times_are_counted() {
    insta::assert_snapshot!(texts("lat,lon,time\n1,1,5\n1,2,4\n1,3,3\n1,4,6\n"), @"");
}

#[test]
fn segments_are_joined_on_request() {
    let file = "<gpx><trk><trkseg><trkpt lat='1' lon='2'/></trkseg><trkseg><trkpt lat='1' lon='3'/></trkseg></trk></gpx>";
    insta::assert_snapshot!(texts(file), @"");
    let joined = ReadOptions { joins_segments: true, ..Default::default() };
    insta::assert_snapshot!(texts_with(file, &joined), @"");
}
