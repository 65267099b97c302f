//! Tests of the reader of FIT files.

mod damage;
mod writer;

use proptest::prelude::*;

use super::super::tests::Recorded;
use super::super::{
    self as formats, Note, OnInvalid, ReadOptions, SinkError, TrackInfo, TrackKind, TrackSink,
};
use super::activity::RECORDS_MAX;
use crate::measure::Fix;
use writer::{Kind, RECORD, Value, Writer, crc};

/// A time with a date: 2021-09-08T01:46:40Z, which is 1631065600 s after 1970 (date -u -d @1631065600).
const T: i64 = 1_000_000_000;
/// 45 degrees in semicircles.
const DEG45: i64 = 1 << 29;

fn writer(is_big_endian: bool) -> Writer {
    let mut writer = Writer { is_big_endian, ..Writer::default() };
    writer.file_type(4);
    writer.define(0, 20, &RECORD, &[]);
    writer
}

/// A file with this number of points, one a second.
fn points(count: i64) -> Writer {
    let mut writer = writer(false);
    for index in 0..count {
        writer.point(T + index, DEG45, index * 1000);
    }
    writer
}

fn texts(file: &[u8]) -> String {
    let mut found = Recorded::default();
    match formats::read(file, &ReadOptions::default(), &mut found) {
        Ok(()) => found.ended.concat() + &found.notes.concat(),
        Err(error) => {
            format!("{}{}{}\n", found.ended.concat(), found.notes.concat(), error.in_file("f.fit"))
        }
    }
}

/// The properties and notes of the tracks.
#[derive(Default)]
struct Properties {
    tracks: Vec<TrackInfo>,
    notes: Vec<Note>,
    longitudes: Vec<f64>,
    fix_count: usize,
    segment_count: usize,
}

impl TrackSink for Properties {
    fn start_segment(&mut self) -> Result<(), SinkError> {
        self.segment_count += 1;
        Ok(())
    }

    fn fix(&mut self, fix: Fix) -> Result<(), SinkError> {
        self.fix_count += 1;
        self.longitudes.push(fix.point().unwrap().x());
        Ok(())
    }

    fn note(&mut self, note: &Note) -> Result<(), SinkError> {
        self.notes.push(note.clone());
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        self.tracks.push(track.clone());
        Ok(())
    }
}

fn properties(file: &[u8]) -> (Properties, Option<String>) {
    let mut found = Properties::default();
    let outcome = formats::read(file, &ReadOptions::default(), &mut found);
    (found, outcome.err().map(|error| error.in_file("f.fit")))
}

#[test]
fn a_record_has_all_its_values_in_both_byte_orders() {
    let mut expected = String::new();
    for is_big_endian in [false, true] {
        let mut writer = writer(is_big_endian);
        let fields = [
            (253, Kind::U32),
            (0, Kind::S32),
            (1, Kind::S32),
            (2, Kind::U16),
            (5, Kind::U32),
            (31, Kind::U8),
            (39, Kind::Text(3)),
        ];
        // Developer fields of 3 and 70 bytes.
        writer.define(5, 20, &fields, &[3, 70]);
        // The altitude 100.2 m is (100.2 + 500) * 5.
        let values = [
            T.into(),
            DEG45.into(),
            (-DEG45 / 2).into(),
            3001.into(),
            7.into(),
            5.into(),
            Value::T("a"),
        ];
        writer.data(5, &values);
        writer.define(
            5,
            20,
            &[(78, Kind::U32), (2, Kind::U16), (1, Kind::S32), (0, Kind::S32)],
            &[],
        );
        writer.data(5, &[2550.into(), 9999.into(), (-1).into(), 1.into()]);
        // A message that the reader does not know.
        writer.define(15, 0xff00, &[(253, Kind::U32), (0, Kind::Text(200))], &[1]);
        writer.data(15, &[T.into(), Value::T("x")]);
        expected = texts(&writer.file());
        // 2^-31 * 180 = 8.381903171539307e-8.
        insta::allow_duplicates! {
            insta::assert_snapshot!(expected, @"track / (-22.5 45 z100.20000000000005 t1631065600 a5) (-0.00000008381903171539307 0.00000008381903171539307 z10) = none");
        }
    }
    // A header of 12 bytes has no checksum of its own.
    let mut old = writer(true);
    old.point(T, DEG45, 0);
    let mut file = vec![12, 0x10, 0x54, 0x08];
    file.extend((old.bytes.len() as u32).to_le_bytes());
    file.extend(b".FIT");
    file.extend(&old.bytes);
    file.extend(crc(&file).to_le_bytes());
    assert_eq!(texts(&file), "track / (0 45 t1631065600) = none\n");
    assert!(!expected.contains("checksum"));
}

#[test]
fn values_that_mean_a_missing_one_are_missing() {
    let mut writer = writer(false);
    let missing = i64::from(i32::MAX);
    writer.define(0, 20, &[(0, Kind::S32), (1, Kind::S32), (2, Kind::U16), (31, Kind::U8)], &[]);
    writer.data(0, &[DEG45.into(), 0.into(), 0xffff.into(), 0xff.into()]);
    writer.data(0, &[missing.into(), 0.into(), 3000.into(), 1.into()]);
    writer.data(0, &[DEG45.into(), missing.into(), 3000.into(), 1.into()]);
    // 2^30 semicircles are 90 degrees.
    writer.data(0, &[(2 * DEG45 + 1).into(), 0.into(), 3000.into(), 1.into()]);
    insta::assert_snapshot!(texts(&writer.file()), @r#"
    track / (0 45) (invalid) (invalid) (invalid) = none
    invalid_position, byte 70: 3 points without a valid position are skipped; the first one: the record has no position: the device had no GPS fix or did not use GPS
    "#);
}

#[test]
fn compressed_times_continue_the_last_time() {
    let mut writer = points(1);
    // T is 0 modulo 32.
    assert_eq!(T % 32, 0);
    writer.define(2, 20, &RECORD[1..], &[]);
    for seconds in [3, 31, 1, 0] {
        writer.compressed(2, seconds, &[DEG45.into(), 0.into()]);
    }
    insta::assert_snapshot!(texts(&writer.file()), @"track / (0 45 t1631065600) (0 45 t1631065603) (0 45 t1631065631) (0 45 t1631065633) (0 45 t1631065664) = none");
}

#[test]
fn a_time_that_is_not_a_date_is_missing() {
    let mut writer = writer(false);
    writer.point(100, DEG45, 0);
    writer.point(101, DEG45, 0);
    insta::assert_snapshot!(texts(&writer.file()), @r#"
    track / (0 45) (0 45) = none
    invalid_time, byte 40: 2 invalid times are ignored; the first one: the time counts from the start of the device and is not a date
    "#);
}

#[test]
fn stops_and_starts_of_the_timer_divide_segments() {
    const STOP_ALL: i64 = 4;
    let mut writer = writer(false);
    writer.timer(T, 0);
    writer.point(T, DEG45, 0);
    writer.timer(T + 10, STOP_ALL);
    // This record has the time of the stop.
    writer.point(T + 10, DEG45, 10);
    writer.timer(T + 20, 0);
    writer.point(T + 20, DEG45, 20);
    writer.point(T + 30, DEG45, 30);
    writer.timer(T + 30, 1);
    // This record has the time of the start.
    writer.point(T + 40, DEG45, 40);
    writer.timer(T + 40, 0);
    writer.point(T + 50, DEG45, 50);
    // A start without a stop.
    writer.timer(T + 60, 0);
    writer.point(T + 60, DEG45, 60);
    // Laps and other events are not breaks.
    writer.define(6, 19, &[(253, Kind::U32), (9, Kind::U32)], &[]);
    writer.data(6, &[(T + 60).into(), 100.into()]);
    writer.define(1, 21, &[(253, Kind::U32), (0, Kind::Enum), (1, Kind::Enum)], &[]);
    writer.data(1, &[(T + 60).into(), 9.into(), STOP_ALL.into()]);
    writer.point(T + 70, DEG45, 70);
    writer.timer(T + 80, STOP_ALL);
    let (found, error) = properties(&writer.file());
    assert_eq!((error, found.segment_count, found.fix_count), (None, 4, 8));
}

#[test]
fn each_session_is_a_track_with_its_distance_and_name() {
    for sessions_are_first in [false, true] {
        let mut writer = writer(false);
        let sessions = |writer: &mut Writer| {
            writer.session(T + 100, 123_456, 1, "");
            writer.session(T, 7_800, 5, "Lake swim");
            // The same session again.
            writer.session(T, 7_800, 5, "Lake swim");
        };
        if sessions_are_first {
            sessions(&mut writer);
        }
        for time in [-1, 0, 99, 100, 150] {
            writer.point(T + time, DEG45, time);
        }
        if !sessions_are_first {
            sessions(&mut writer);
        }
        let (found, error) = properties(&writer.file());
        assert_eq!(error, None);
        let tracks: Vec<_> = found
            .tracks
            .iter()
            .map(|track| (track.name.as_deref(), track.point_count, track.device_length_m))
            .collect();
        // Distances are centimetres.
        let expected = [(Some("Lake swim"), 3, Some(78.0)), (Some("running"), 2, Some(1234.56))];
        assert_eq!(tracks, expected);
        assert_eq!(found.notes, []);
    }
}

#[test]
fn a_session_without_records_has_a_note() {
    let mut writer = points(2);
    writer.session(T, 100, 2, "");
    writer.session(T + 500, 200, 1, "");
    let (found, _) = properties(&writer.file());
    assert_eq!(found.tracks.len(), 1);
    insta::assert_snapshot!(found.notes[0], @"a session without records is ignored");
}

#[test]
fn more_records_than_are_stored_are_one_track() {
    let mut writer = points(RECORDS_MAX as i64 + 5);
    writer.session(T, 100, 2, "");
    writer.session(T + 500, 250, 1, "");
    let (found, error) = properties(&writer.file());
    assert_eq!((error, found.fix_count), (None, RECORDS_MAX + 5));
    assert!(found.longitudes.is_sorted());
    assert_eq!(found.tracks.len(), 1);
    assert_eq!(found.tracks[0].device_length_m, Some(3.5));
    insta::assert_snapshot!(found.notes[0], @"the 2 sessions are one track, because more than 131072 records come before them");
    // The sessions before the records decide.
    let mut writer = Writer::default();
    writer.session(T, 100, 2, "");
    writer.session(T + 500, 250, 1, "");
    writer.define(0, 20, &RECORD, &[]);
    writer.bytes.extend(points(RECORDS_MAX as i64 + 5).bytes);
    let (found, error) = properties(&writer.file());
    let counts: Vec<_> = found.tracks.iter().map(|track| track.point_count).collect();
    assert_eq!((error, counts), (None, vec![500, RECORDS_MAX as u64 + 5 - 500]));
}

#[test]
fn a_course_is_a_route() {
    let mut writer = Writer::default();
    writer.file_type(6);
    writer.define(7, 31, &[(5, Kind::Text(20)), (4, Kind::Enum)], &[]);
    writer.data(7, &[Value::T("Around the lake"), 2.into()]);
    for distance_cm in [5_000, 2_500] {
        writer.define(6, 19, &[(9, Kind::U32)], &[]);
        writer.data(6, &[distance_cm.into()]);
    }
    writer.define(0, 20, &RECORD, &[]);
    writer.point(T, DEG45, 0);
    let (found, error) = properties(&writer.file());
    assert_eq!(error, None);
    assert_eq!(found.tracks[0].kind, TrackKind::Route);
    assert_eq!(found.tracks[0].name.as_deref(), Some("Around the lake"));
    assert_eq!(found.tracks[0].device_length_m, Some(75.0));
}

#[test]
fn files_in_sequence_are_read_all() {
    let file = [points(2).file(), writer(true).file(), points(3).file()].concat();
    let (found, error) = properties(&file);
    let counts: Vec<_> = found.tracks.iter().map(|track| track.point_count).collect();
    assert_eq!((error, counts), (None, vec![2, 3]));
    let padded = [points(2).file(), vec![0; 40]].concat();
    let (found, error) = properties(&padded);
    assert_eq!((error, found.fix_count), (None, 2));
    insta::assert_snapshot!(found.notes[0], @"the bytes after the end of the FIT file are ignored");
}

#[test]
fn a_file_without_records_is_named() {
    let mut monitoring = Writer::default();
    monitoring.file_type(32);
    monitoring.define(0, 55, &[(253, Kind::U32), (3, Kind::U32)], &[]);
    monitoring.data(0, &[T.into(), 100.into()]);
    insta::assert_snapshot!(texts(&monitoring.file()), @r#"f.fit: this FIT has nothing to measure: its type is "monitoring", and it has no records"#);
    insta::assert_snapshot!(texts(&Writer::default().file()), @r#"
    checksum, byte 0: the header has no data size, because the device did not finish the file; the checksum is not verified
    f.fit: this FIT has nothing to measure: it has no records
    "#);
}

#[test]
fn records_without_a_position_are_points_without_a_position() {
    let mut writer = writer(false);
    let missing = i64::from(i32::MAX);
    writer.point(T, missing, missing);
    writer.point(T + 1, missing, missing);
    writer.point(T + 2, DEG45, 0);
    // Values of sensors at the same time belong to the same point.
    writer.define(8, 20, &[(253, Kind::U32), (78, Kind::U32)], &[]);
    writer.data(8, &[(T + 2).into(), 2550.into()]);
    writer.data(8, &[(T + 3).into(), 2555.into()]);
    writer.point(T + 3, DEG45, 1000);
    // Several positions at one time are several points.
    writer.point(T + 3, DEG45, 2000);
    insta::assert_snapshot!(texts(&writer.file()), @r#"
    track (invalid) (invalid) / (0 45 z10 t1631065602) (0.00008381903171539307 45 z11 t1631065603) (0.00016763806343078613 45 t1631065603) = none
    invalid_position, byte 40: 2 points without a valid position are skipped; the first one: the record has no position: the device had no GPS fix or did not use GPS
    "#);
}

#[test]
fn the_options_apply() {
    let mut writer = writer(false);
    let missing = i64::from(i32::MAX);
    writer.point(T, DEG45, 0);
    writer.point(T + 1, missing, missing);
    writer.point(T + 2, DEG45, 0);
    let mut found = Properties::default();
    let options = ReadOptions { on_invalid: OnInvalid::Split, ..Default::default() };
    formats::read(&writer.file()[..], &options, &mut found).unwrap();
    assert_eq!(found.segment_count, 2);
    let options = ReadOptions { is_strict: true, ..Default::default() };
    let error = formats::read(&writer.file()[..], &options, &mut found).unwrap_err();
    insta::assert_snapshot!(error.in_file("f.fit"), @"f.fit: byte 53: the record has no position: the device had no GPS fix or did not use GPS; --strict makes this an error");
    let options = ReadOptions { format: Some(formats::Format::Fit), ..Default::default() };
    let error = formats::read(&b"lat,lon\n1,2\n3,4\n"[..], &options, &mut found).unwrap_err();
    insta::assert_snapshot!(error.in_file("f.fit"), @"f.fit: byte 0: this is not the header of a FIT file");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        end in any::<prop::sample::Index>(),
    ) {
        let mut writer = points(10);
        writer.timer(T + 10, 4);
        writer.session(T, 100, 1, "run");
        let mut file = [writer.file(), points(10).file()].concat();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(end.index(file.len()) + 1);
        let _ = properties(&file);
    }
}
