//! Tests of the reader of TCX.

use super::super::super::sink::{TrackInfo, TrackKind, TrackSink};
use super::super::super::tests::{Recorded, error, texts};
use super::super::super::{ReadOptions, SinkError, read};

/// Returns a Trackpoint with a position at this latitude and longitude.
fn point(second: u32, latitude: &str, longitude: &str) -> String {
    format!(
        "<Trackpoint><Time>1970-01-01T00:00:{second:02}.000Z</Time><Position>\
         <LatitudeDegrees>{latitude}</LatitudeDegrees><LongitudeDegrees>{longitude}</LongitudeDegrees>\
         </Position><AltitudeMeters>58.2</AltitudeMeters><DistanceMeters>7</DistanceMeters></Trackpoint>"
    )
}

fn activity(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<TrainingCenterDatabase><Activities><Activity Sport=\"Biking\">{content}\
         </Activity></Activities></TrainingCenterDatabase>"
    )
}

/// Records the kinds and the lengths of the device.
#[derive(Default)]
struct Infos(Vec<(TrackKind, Option<f64>)>);

impl TrackSink for Infos {
    fn fix(&mut self, _: crate::measure::Fix) -> Result<(), SinkError> {
        Ok(())
    }

    fn end_track(&mut self, track: &TrackInfo) -> Result<(), SinkError> {
        self.0.push((track.kind, track.device_length_m));
        Ok(())
    }
}

fn infos(file: &str) -> Vec<(TrackKind, Option<f64>)> {
    let mut infos = Infos::default();
    read(file.as_bytes(), &ReadOptions::default(), &mut infos).unwrap();
    infos.0
}

#[test]
fn laps_are_joined_and_the_tracks_of_a_lap_are_segments() {
    let file = activity(&format!(
        "<Id>1970-01-01T00:00:01.000Z</Id>
         <Lap StartTime=\"1970-01-01T00:00:01.000Z\"><DistanceMeters>100.5</DistanceMeters>
         <Track>{}{}</Track><Track>{}</Track></Lap>
         <Lap><DistanceMeters>50.25</DistanceMeters><Track>{}</Track><Track>{}</Track></Lap>
         <Creator><Name>Device</Name></Creator>",
        point(1, "1", "2"),
        point(2, "1", "3"),
        point(3, "1", "4"),
        point(4, "1", "5"),
        point(5, "1", "6"),
    ));
    insta::assert_snapshot!(texts(&file), @r#"track / (2 1 z58.2 t1) (3 1 z58.2 t2) / (4 1 z58.2 t3) (5 1 z58.2 t4) / (6 1 z58.2 t5) = "1970-01-01T00:00:01.000Z""#);
    // 100.5 + 50.25. The DistanceMeters of points do not count.
    assert_eq!(infos(&file), [(TrackKind::Track, Some(150.75))]);
}

#[test]
fn other_cases_and_nested_elements_are_read() {
    let lower = activity(&format!(
        "<Lap><Track>{}{}</Track></Lap>",
        point(1, "1", "2"),
        point(2, "1", "3")
    ));
    let lower = lower.to_ascii_lowercase().replace("t00:", "T00:").replace("000z", "000Z");
    insta::assert_snapshot!(texts(&lower), @"track / (2 1 z58.2 t1) (3 1 z58.2 t2) = none");
    let nested = activity(&format!(
        "<Lap><Track><Track>{}</Track>{}<Track>{}</Track></Track></Lap>",
        point(1, "1", "2"),
        point(2, "1", "3"),
        point(3, "1", "4")
    ));
    insta::assert_snapshot!(texts(&nested), @"
        track / (2 1 z58.2 t1) / (3 1 z58.2 t2) / (4 1 z58.2 t3) = none
        point_outside_segment, line 2, column 74: a Track inside a Track is read as a segment (2 times)
        single_point_segments, line 2, column 802: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
    let inner =
        point(1, "1", "2").replace("</Trackpoint>", &(point(2, "1", "3") + "</Trackpoint>"));
    insta::assert_snapshot!(texts(&activity(&format!("<Lap><Track>{inner}</Track></Lap>"))), @"
        track / (2 1 z58.2 t1) (3 1 z58.2 t2) = none
        point_outside_segment, line 2, column 289: points outside a Track are read as part of the path
    ");
    let outside = format!(
        "<Lap><Other>{}</Other><Track>{}</Track></Lap>",
        point(1, "1", "2"),
        point(2, "1", "3")
    );
    insta::assert_snapshot!(texts(&activity(&outside)), @"
        track / (3 1 z58.2 t2) = none
        ignored_content, line 2, column 74: a Trackpoint outside an Activity or Course is ignored
    ");
}

#[test]
fn points_without_a_position_are_counted() {
    let file = activity(&format!(
        "<Lap><Track>{}<Trackpoint><Time>1970-01-01T00:00:02Z</Time></Trackpoint>\
         <Trackpoint><Position><LatitudeDegrees>1</LatitudeDegrees></Position></Trackpoint>{}{}{}</Track></Lap>",
        point(3, "", "2"),
        point(4, "91", "2"),
        point(5, "1", "east"),
        point(6, "1", "3"),
    ));
    insta::assert_snapshot!(texts(&file), @"
    track (invalid) (invalid) (invalid) (invalid) (invalid) / (3 1 z58.2 t6) = none
    invalid_position, line 2, column 74: 5 points without a valid position are skipped; the first one: the latitude is blank
    ");
}

#[test]
fn damaged_times_and_elevations_are_missing_values() {
    let file = activity(
        "<Lap><Track><Trackpoint><Time>yesterday</Time><Position><LatitudeDegrees>1</LatitudeDegrees>\
         <LongitudeDegrees>2</LongitudeDegrees></Position>\n<AltitudeMeters>high</AltitudeMeters></Trackpoint>\
         </Track></Lap>",
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (2 1) = none
    invalid_time, line 2, column 86: 1 invalid time is ignored: the time "yesterday" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    invalid_elevation, line 3, column 1: 1 invalid elevation is ignored: the elevation "high" is not a number
    "#);
}

#[test]
fn courses_are_routes() {
    let file = format!(
        "<TrainingCenterDatabase><Folders><Courses><CourseFolder Name=\"x\"><CourseNameRef><Id>Loop</Id>\
         </CourseNameRef></CourseFolder></Courses></Folders><Courses><Course><Name>Loop</Name>\
         <Lap><DistanceMeters>12</DistanceMeters><BeginPosition><LatitudeDegrees>9</LatitudeDegrees>\
         </BeginPosition></Lap><Track>{}</Track><Track>{}</Track><CoursePoint><Name>Left</Name><Position>\
         <LatitudeDegrees>9</LatitudeDegrees></Position></CoursePoint></Course></Courses>\
         </TrainingCenterDatabase>",
        point(1, "1", "2"),
        point(2, "1", "3"),
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (2 1 z58.2 t1) / (3 1 z58.2 t2) = "Loop"
    single_point_segments, line 1, column 879: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
    assert_eq!(infos(&file), [(TrackKind::Route, Some(12.0))]);
}

#[test]
fn the_activities_of_several_sports_and_of_version_1_are_tracks() {
    let file = format!(
        "<TrainingCenterDatabase><Activities><MultiSportSession><Id>0</Id><FirstSport><Activity><Id>swim</Id>\
         <Lap><Track>{}</Track></Lap></Activity></FirstSport><NextSport><Transition/><Activity><Id>1</Id><Lap>\
         <Track>{}</Track></Lap><Notes>\n Evening ride\nsecond line</Notes></Activity></NextSport>\
         </MultiSportSession></Activities><History><Running Name=\"r\"><Run><Id>old</Id><Lap><Track>{}</Track>\
         </Lap></Run></Running></History></TrainingCenterDatabase>",
        point(1, "1", "2"),
        point(2, "1", "3"),
        point(3, "1", "4"),
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (2 1 z58.2 t1) = "swim"
    track / (3 1 z58.2 t2) = "Evening ride"
    track / (4 1 z58.2 t3) = "old"
    "#);
}

#[test]
fn the_length_of_the_device_is_unknown_if_a_lap_has_none() {
    let lap = |length: &str| format!("<Lap>{length}<Track>{}</Track></Lap>", point(1, "1", "2"));
    let missing = activity(&(lap("<DistanceMeters>5</DistanceMeters>") + &lap("")));
    assert_eq!(infos(&missing), [(TrackKind::Track, None)]);
    insta::assert_snapshot!(texts(&missing), @"
    track / (2 1 z58.2 t1) (2 1 z58.2 t1) = none
    ignored_content, line 2, column 604: the length of the device is unknown, because a Lap has no valid DistanceMeters
    ");
    let damaged = lap("<DistanceMeters>NaN</DistanceMeters>");
    let damaged = activity(&(lap("<DistanceMeters>5</DistanceMeters>") + &damaged));
    assert_eq!(infos(&damaged), [(TrackKind::Track, None)]);
    assert_eq!(infos(&activity(&lap(""))), [(TrackKind::Track, None)]);
}

#[test]
fn extensions_and_prefixes_are_ignored() {
    let file = activity(&format!(
        "<Lap><Track><Trackpoint><Extensions><n:TPX><Position><LatitudeDegrees>9</LatitudeDegrees></Position>\
         <Time>x</Time></n:TPX></Extensions></Trackpoint>{}</Track><Extensions><Lap><Track>{}</Track></Lap>\
         <DistanceMeters>5</DistanceMeters></Extensions></Lap>",
        point(1, "1", "2"),
        point(2, "1", "3"),
    ));
    insta::assert_snapshot!(texts(&file), @"
        track (invalid) / (2 1 z58.2 t1) = none
        invalid_position, line 2, column 74: 1 point without a valid position is skipped: this Trackpoint has no Position
        ignored_content, line 2, column 470: a Trackpoint outside an Activity or Course is ignored
    ");
    assert_eq!(infos(&file), [(TrackKind::Track, None)]);
}

#[test]
fn points_outside_a_track_are_read() {
    let file = activity(&format!("<Lap>{}{}</Lap>", point(1, "1", "2"), point(2, "1", "3")));
    insta::assert_snapshot!(texts(&file), @"
    track / (2 1 z58.2 t1) (3 1 z58.2 t2) = none
    point_outside_segment, line 2, column 67: points outside a Track are read as part of the path (2 times)
    ");
}

#[test]
fn a_file_that_ends_early_keeps_what_was_read() {
    let file = activity(&format!("<Lap><Track>{}{}", point(1, "1", "2"), point(2, "1", "3")));
    let cut = &file[..file.len() - 200];
    let mut sink = Recorded::default();
    let error = read(cut.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a"), @"a:2:379: the file ends before </TrainingCenterDatabase>; it is incomplete");
    insta::assert_snapshot!(sink.ended.concat(), @"track / (2 1 z58.2 t1) = none (incomplete)");
}

#[test]
fn a_file_without_an_activity_is_an_error() {
    insta::assert_snapshot!(error(b"<TrainingCenterDatabase><Workouts/></TrainingCenterDatabase>"), @"this TCX has nothing to measure: it contains no Activity and no Course");
}
