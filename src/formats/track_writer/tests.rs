//! Tests of the rules that all formats share, with tables as input.

use super::super::note::{Note, NoteKind};
use super::super::tests::{Recorded, error_with, texts, texts_with};
use super::super::{
    FormatError, OnInvalid, ReadOptions, SinkError, TrackColumn, TrackInfo, TrackKind, TrackSink,
    read,
};
use super::{Position, RawFix, TrackWriter};
use crate::measure::Fix;

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
    invalid_position, line 3, column 1: 2 points without a valid position are skipped, and a segment starts after each of them; the first one: latitude 91 is not between -90 and 90 degrees
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

/// Returns the tracks of a file and the error.
fn tracks_and_error(file: &str, options: &ReadOptions) -> String {
    let mut recorded = Recorded::default();
    let error = read(file.as_bytes(), options, &mut recorded).unwrap_err();
    recorded.ended.concat() + &error.in_file("file")
}

#[test]
fn in_strict_mode_a_note_at_the_end_of_a_track_does_not_cost_other_tracks() {
    let strict = ReadOptions {
        is_strict: true,
        track_column: TrackColumn::Named("vehicle".to_owned()),
        segment_column: Some("part".to_owned()),
        ..Default::default()
    };
    let file = "lat,lon,vehicle,part\n1,1,a,1\n2,1,b,1\n1,2,a,2\n2,2,b,1\n";
    insta::assert_snapshot!(tracks_and_error(file, &strict), @r#"
    track / (1 1) / (2 1) = "a" (incomplete)
    track / (1 2) (2 2) = "b" (incomplete)
    file:6: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path; --strict makes this an error
    "#);
}

#[test]
fn in_strict_mode_a_note_on_sorted_fixes_does_not_cost_the_fixes_after_it() {
    let strict = ReadOptions {
        is_strict: true,
        sorts_by_time: true,
        segment_column: Some("part".to_owned()),
        time_column: Some("time".to_owned()),
        ..Default::default()
    };
    let file = "lat,lon,time,part\n1,1,1,a\n1,2,5,a\n1,3,3,b\n1,4,4,b\n1,5,6,b\n";
    insta::assert_snapshot!(tracks_and_error(file, &strict), @r"
    track / (1 1 t1) (2 1 t5) / (3 1 t3) (4 1 t4) (5 1 t6) = none (incomplete)
    file:4:1: the time is earlier than that of the point before, because the times of segments overlap; use --join-segments to sort all points of the track together; --strict makes this an error
    ");
}

/// A sink whose every note is an error, and that counts the calls after it.
#[derive(Default)]
struct NoNotes {
    has_failed: bool,
    late_call_count: usize,
}

impl TrackSink for NoNotes {
    fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
        self.late_call_count += usize::from(self.has_failed);
        Ok(())
    }

    fn note(&mut self, _: &Note) -> Result<(), SinkError> {
        self.late_call_count += usize::from(self.has_failed);
        self.has_failed = true;
        Err(SinkError::Stop)
    }

    fn end_track(&mut self, _: &TrackInfo) -> Result<(), SinkError> {
        self.late_call_count += usize::from(self.has_failed);
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_at_the_end_of_a_file_is_not_called_again() {
    let (options, mut sink) = (ReadOptions::default(), NoNotes::default());
    let mut out = TrackWriter::new(&options, &mut sink);
    let position = Position::line(1);
    out.file_note(NoteKind::IgnoredContent, None, "a note on the file").unwrap();
    for _ in 0..2 {
        out.start_track(TrackKind::Track, position).unwrap();
        out.point(&RawFix::new(position, 1.0, 2.0)).unwrap();
        out.track_note(NoteKind::IgnoredContent, position, "a note on the track").unwrap();
    }
    assert!(matches!(out.finish(Ok(())), Err(FormatError::Stopped)));
    assert!(sink.has_failed);
    assert_eq!(sink.late_call_count, 0);
}

#[test]
fn in_strict_mode_tracks_that_the_end_of_the_file_ends_all_end() {
    let options = ReadOptions { is_strict: true, ..Default::default() };
    let mut sink = Recorded::default();
    let mut out = TrackWriter::new(&options, &mut sink);
    let position = Position::line(1);
    for y in 1..=2_u8 {
        out.start_track(TrackKind::Track, position).unwrap();
        for x in 1..=2_u8 {
            out.start_segment();
            out.point(&RawFix::new(position, f64::from(x), f64::from(y))).unwrap();
        }
    }
    assert!(matches!(out.finish(Ok(())), Err(FormatError::Strict { .. })));
    insta::assert_snapshot!(sink.ended.concat() + &sink.notes.concat(), @r"
    track / (1 1) / (2 1) = none (incomplete)
    track / (1 2) / (2 2) = none (incomplete)
    single_point_segments, line 1: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    single_point_segments, line 1: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
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
fn an_invalid_point_that_ends_a_segment_is_sorted_to_the_end_of_it() {
    let file = "lat,lon,time\n1,1,5\n1,2,3\nx,0,\n1,3,9\n1,4,8\ny,0,\n";
    let split =
        ReadOptions { sorts_by_time: true, on_invalid: OnInvalid::Split, ..Default::default() };
    insta::assert_snapshot!(texts_with(file, &split), @r#"
    track / (2 1 t3) (1 1 t5) (invalid) / (4 1 t8) (3 1 t9) (invalid) = none
    invalid_position, line 4, column 1: 2 points without a valid position are skipped, and a segment starts after each of them; the first one: the latitude "x" is not a number, in the column "lat"
    assumed_notation, line 2, column 3: numbers such as "5" are read as times since 1970, here 5 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn decreasing_times_are_counted() {
    insta::assert_snapshot!(texts("lat,lon,time\n1,1,5\n1,2,4\n1,3,3\n1,4,6\n"), @r#"
    track / (1 1 t5) (2 1 t4) (3 1 t3) (4 1 t6) = none
    backward_time, line 3, column 1: at 2 points, the time is earlier than that of the point before; use --sort-by-time to sort the points
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
