//! Tests of the reader of KML.

use super::super::super::tests::{Recorded, error, texts, texts_with};
use super::super::super::{PointsMode, ReadOptions, read};

fn placemark(content: &str) -> String {
    format!("<kml><Document><name>no</name><Placemark>{content}</Placemark></Document></kml>")
}

/// Returns what the sink received from a file that cannot be read to its end, and the error.
fn interrupted(file: &str) -> String {
    let mut sink = Recorded::default();
    let error = read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    sink.ended.concat() + &sink.notes.concat() + &error.in_file("a")
}

#[test]
fn each_placemark_with_lines_is_a_track_and_each_line_a_segment() {
    let file = r#"<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder>
        <Style><LineStyle/></Style>
        <Placemark><name>Mountain &amp; Valley</name><Style/><LineString><extrude>1</extrude>
            <altitudeMode>absolute</altitudeMode><coordinates>
                13.5,46.5,100 13.6,46.5,-1.5
                13.7,46.5
            </coordinates></LineString></Placemark>
        <Placemark><MultiGeometry><LineString><coordinates>1,2 3,4</coordinates></LineString>
            <MultiGeometry><LineString><coordinates>5,6</coordinates></LineString></MultiGeometry>
            <LinearRing><coordinates>7,8 9,8 7,8</coordinates></LinearRing></MultiGeometry>
            <name>late</name></Placemark>
        <Placemark><name>empty</name><LineString/></Placemark>
        </Folder></Document></kml>"#;
    insta::assert_snapshot!(texts(file), @r#"
        track / (13.5 46.5 z100) (13.6 46.5 z-1.5) (13.7 46.5) = "Mountain & Valley"
        track / (1 2) (3 4) / (5 6) / (7 8) (9 8) (7 8) = "late"
        track = "empty"
        ignored_content, line 12, column 51: a line without <coordinates> has no points
    "#);
}

#[test]
fn points_and_polygons_next_to_lines_are_ignored() {
    let file = r#"<k:kml xmlns:k="k"><k:Document>
        <k:Placemark><k:Point><k:coordinates>1,1</k:coordinates></k:Point></k:Placemark>
        <k:Placemark><k:MultiGeometry><k:Point><k:coordinates>2,2</k:coordinates></k:Point>
        <k:LineString><k:coordinates>3,3 4,4</k:coordinates></k:LineString>
        <k:Point><k:coordinates>5,5</k:coordinates></k:Point></k:MultiGeometry></k:Placemark>
        <k:Placemark><k:Polygon><k:outerBoundaryIs><k:LinearRing><k:coordinates>6,6 7,7</k:coordinates>
        </k:LinearRing></k:outerBoundaryIs></k:Polygon></k:Placemark>
        <k:Placemark><k:Point><k:coordinates>8,8</k:coordinates></k:Point></k:Placemark>
        </k:Document></k:kml>"#;
    insta::assert_snapshot!(texts(file), @r"
    track / (3 3) (4 4) = none
    ignored_content, line 2, column 46: points next to lines are ignored (4)
    ");
}

#[test]
fn positions_and_times_of_a_track_are_joined_in_any_order() {
    let when = |second: u32| format!("<when>1970-01-01T00:00:0{second}Z</when>");
    let coord = |x: u32| format!("<gx:coord>{x} 46.5 {x}.5</gx:coord>");
    let (when_1, when_2, coord_1, coord_2) = (when(1), when(2), coord(1), coord(2));
    for content in [
        format!("{when_1}{coord_1}{when_2}{coord_2}"),
        format!("{coord_1}{when_1}{coord_2}{when_2}"),
        format!("{when_1}{when_2}{coord_1}{coord_2}"),
        format!("{coord_1}{coord_2}{when_1}{when_2}"),
    ] {
        let file = placemark(&format!(
            "<gx:Track><altitudeMode>absolute</altitudeMode>{content}<gx:angles>1 2 3</gx:angles>\
             <ExtendedData><SchemaData><gx:SimpleArrayData><gx:value>86</gx:value></gx:SimpleArrayData>\
             </SchemaData></ExtendedData></gx:Track>"
        ));
        insta::allow_duplicates! { insta::assert_snapshot!(texts(&file), @"track / (1 46.5 z1.5 t1) (2 46.5 z2.5 t2) = none"); }
    }
}

#[test]
fn a_track_may_have_no_times_or_another_number_of_them() {
    let track = |content: &str| texts(&placemark(&format!("<gx:Track>{content}</gx:Track>")));
    let (when, coord) = ("<when>1970-01-01T00:00:01Z</when>", "<gx:coord>1 2</gx:coord>");
    insta::assert_snapshot!(track(&coord.repeat(2)), @"track / (1 2) (1 2) = none");
    insta::assert_snapshot!(track(&(when.to_owned() + &coord.repeat(2))), @"
    track / (1 2 t1) (1 2) = none
    ignored_content, line 1, column 133: the numbers of times (1) and positions (2) of a gx:Track differ; they are joined in their order
    ");
    insta::assert_snapshot!(track(&(when.repeat(3) + coord)), @"
    track / (1 2 t1) = none
    ignored_content, line 1, column 175: the numbers of times (3) and positions (1) of a gx:Track differ; they are joined in their order
    ");
    insta::assert_snapshot!(track(&(when.repeat(2) + "<gx:coord/>" + coord)), @"
    track (invalid) / (1 2 t1) = none
    invalid_position, line 1, column 118: 1 point without a valid position is skipped: a position is blank
    ");
    insta::assert_snapshot!(track(&format!("<when>2010</when>{coord}<when>x y</when>{coord}")), @r#"
    track / (1 2) (1 2) = none
    invalid_time, line 1, column 52: 2 invalid times are ignored; the first one: the time "2010" has no time of day
    "#);
}

#[test]
fn the_lists_of_a_track_are_stored_up_to_a_limit() {
    let positions = "<gx:coord>1 2</gx:coord>\n".repeat(70_000);
    let times = "<when>1970-01-01T00:00:01Z</when>\n".repeat(70_000);
    let file = placemark(&format!("<gx:Track>{positions}{times}</gx:Track>"));
    let text = texts(&file);
    assert_eq!(text.matches("(1 2)").count(), 70_000);
    assert_eq!(text.matches("(1 2 t1)").count(), 0);
    insta::assert_snapshot!(text.lines().skip(1).collect::<String>(), @"ignored_content, line 70001, column 1: times of a gx:Track that are too far from their positions are ignored (70000 times)");
    let late =
        format!("<when>1970-01-01T00:00:01Z</when><gx:coord>1 2</gx:coord>{positions}{times}");
    let text = texts(&placemark(&format!("<gx:Track>{late}</gx:Track>")));
    assert_eq!(text.matches("(1 2 t1)").count(), 1);
    insta::assert_snapshot!(text.lines().skip(1).collect::<String>(), @"ignored_content, line 70001, column 1: times of a gx:Track that are too far from their positions are ignored (70000 times)");
    let times_first = placemark(&format!("<gx:Track>{times}{positions}</gx:Track>"));
    assert_eq!(texts(&times_first).matches("(1 2 t1)").count(), 70_000);
}

#[test]
fn the_tracks_of_a_multi_track_are_segments_if_they_are_not_interpolated() {
    let multi = |interpolate: &str| {
        let track = |x: u32| format!("<gx:Track><gx:coord>{x} 2 0</gx:coord></gx:Track>");
        let tracks = [1, 2, 3].map(track).concat();
        texts(&placemark(&format!(
            "<name>n</name><gx:MultiTrack>{interpolate}{tracks}</gx:MultiTrack>{}",
            track(4)
        )))
    };
    insta::assert_snapshot!(multi("<gx:interpolate>1</gx:interpolate>"), @r#"track / (1 2 z0) (2 2 z0) (3 2 z0) / (4 2 z0) = "n""#);
    insta::assert_snapshot!(multi("<gx:interpolate>0</gx:interpolate>"), @r#"
    track / (1 2 z0) / (2 2 z0) / (3 2 z0) / (4 2 z0) = "n"
    single_point_segments, line 1, column 309: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
    insta::assert_snapshot!(multi(""), @r#"
    track / (1 2 z0) / (2 2 z0) / (3 2 z0) / (4 2 z0) = "n"
    single_point_segments, line 1, column 275: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
}

#[test]
fn invalid_positions_are_skipped_and_counted() {
    let file = placemark(
        "<LineString><coordinates>1,1\n1,95\n x,y 2\n,3 1,2,3,4,5 1,2,high 3,3</coordinates></LineString>",
    );
    insta::assert_snapshot!(texts(&file), @r#"
    track / (1 1) (invalid) (invalid) (2 3) (invalid) (1 2) (3 3) = none
    invalid_position, line 2, column 1: 3 points without a valid position are skipped; the first one: latitude 95 is not between -90 and 90 degrees
    invalid_elevation, line 4, column 14: 1 invalid elevation is ignored: the altitude "high" is not a number
    "#);
    let comma = "<LineString><coordinates>1,1, 2,2, 3,3,</coordinates></LineString>";
    insta::assert_snapshot!(texts(&placemark(comma)), @"
    track / (1 1) (2 2) (3 3) = none
    assumed_notation, line 1, column 67: a comma and white space are read as the end of a position (2 times)
    ");
}

#[test]
fn altitudes_above_the_ground_are_ignored() {
    let line = |mode: &str| {
        let altitude =
            format!("<altitudeMode>{mode}</altitudeMode><coordinates>1,1,5 2,2,6</coordinates>");
        texts(&placemark(&format!("<LineString>{altitude}</LineString>")))
    };
    insta::assert_snapshot!(line("relativeToGround"), @"
    track / (1 1) (2 2) = none
    ignored_content, line 1, column 112: altitudes above the ground or sea floor are ignored, because they are not elevations (2 times)
    ");
    insta::assert_snapshot!(line("clampToGround"), @"track / (1 1 z5) (2 2 z6) = none");
    let next = "<MultiGeometry><LineString><altitudeMode>relativeToGround</altitudeMode></LineString>\
                <LineString><coordinates>1,1,5</coordinates></LineString></MultiGeometry>";
    insta::assert_snapshot!(texts(&placemark(next)), @"
        track / (1 1 z5) = none
        ignored_content, line 1, column 114: a line without <coordinates> has no points
    ");
}

fn points(times: [&str; 3]) -> String {
    let point = |(x, time): (usize, &str)| {
        format!(
            "<Placemark><name>{x}</name>{time}<Point><coordinates>{x},1,7</coordinates></Point></Placemark>\n"
        )
    };
    format!("<kml>\n{}</kml>", times.into_iter().enumerate().map(point).collect::<String>())
}

const WHEN_2: &str = "<TimeStamp><when>1970-01-01T00:00:02Z</when></TimeStamp>";
const WHEN_1: &str = "<gx:TimeStamp><when>1970-01-01T00:00:01Z</when></gx:TimeStamp>";
const BEGIN_3: &str =
    "<TimeSpan><begin>1970-01-01T00:00:03Z</begin><end>1970-01-01T09:00:00Z</end></TimeSpan>";

#[test]
fn points_alone_are_one_path() {
    insta::assert_snapshot!(texts(&points([WHEN_2, WHEN_1, BEGIN_3])), @"
    track / (1 1 z7 t1) (0 1 z7 t2) (2 1 z7 t3) = none
    joined_points, line 2, column 102: the file has no lines, and its points are read as a path, in the order of their times; use --points ignore to ignore them
    ");
    insta::assert_snapshot!(texts(&points([WHEN_2, "", WHEN_1])), @"
    track / (0 1 z7 t2) (1 1 z7) (2 1 z7 t1) = none
    joined_points, line 2, column 102: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    backward_time, line 4, column 108: the time is earlier than that of the point before; use --sort-by-time to sort the points
    ");
    insta::assert_snapshot!(texts(&points([WHEN_2, "<TimeStamp><when>2010</when></TimeStamp>", WHEN_1])), @r#"
    track / (0 1 z7 t2) (1 1 z7) (2 1 z7 t1) = none
    joined_points, line 2, column 102: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    invalid_time, line 3, column 37: 1 invalid time is ignored: the time "2010" has no time of day
    backward_time, line 4, column 108: the time is earlier than that of the point before; use --sort-by-time to sort the points
    "#);
    let invalid =
        points([WHEN_2, WHEN_1, BEGIN_3]).replace("1,1,7", "1,1;7").replace("2,1,7", "2,1,x");
    insta::assert_snapshot!(texts(&invalid), @r#"
    track / (0 1 z7 t2) (invalid) (2 1 t3) = none
    joined_points, line 2, column 102: the file has no lines, and its points are read as a path, in the order of their times; use --points ignore to ignore them
    invalid_elevation, line 4, column 133: 1 invalid elevation is ignored: the altitude "x" is not a number
    invalid_position, line 3, column 108: 1 point without a valid position is skipped: the latitude "1;7" is not a number
    "#);
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    let error = read(points([""; 3]).as_bytes(), &ignore, &mut Recorded::default()).unwrap_err();
    insta::assert_snapshot!(error, @"this KML has nothing to measure: it contains points (3) but no line and no track");
}

#[test]
fn other_files_are_reported() {
    let file = "<kml><NetworkLink><Link><href>http://example.org/a.kml</href></Link></NetworkLink>\
                <Placemark><LineString><coordinates>1,1 2,2</coordinates></LineString></Placemark></kml>";
    insta::assert_snapshot!(texts(file), @"
    track / (1 1) (2 2) = none
    ignored_content, line 1, column 6: a NetworkLink names another file, which is not read
    ");
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    assert!(read(file.as_bytes(), &strict, &mut Recorded::default()).is_err());
}

#[test]
fn a_file_that_ends_early_keeps_what_was_read() {
    let line = "<kml><Placemark><name>n</name><LineString><coordinates>1,1 2,2 3,";
    insta::assert_snapshot!(interrupted(line), @r#"
    track / (1 1) (2 2) = "n" (incomplete)
    a:1:66: the file ends before </kml>; it is incomplete
    "#);
    let track = "<kml><Placemark><gx:Track><gx:coord>1 2</gx:coord><gx:coord>3 4</gx:coord><gx:co";
    insta::assert_snapshot!(interrupted(track), @"
    track / (1 2) (3 4) = none (incomplete)
    a:1:75: not well-formed XML: tag not closed: `>` not found before end of input; is the file incomplete?
    ");
    let points = points([WHEN_2, WHEN_1, BEGIN_3]);
    insta::assert_snapshot!(interrupted(&points[..points.len() - "</kml>".len()]), @"
    track / (1 1 z7 t1) (0 1 z7 t2) (2 1 z7 t3) = none (incomplete)
    joined_points, line 2, column 102: the file has no lines, and its points are read as a path, in the order of their times; use --points ignore to ignore them
    a:5:1: the file ends before </kml>; it is incomplete
    ");
    insta::assert_snapshot!(interrupted("<kml><Placemark></kml>"), @"a:1:17: not well-formed XML: expected `</Placemark>`, but `</kml>` was found");
}

#[test]
fn a_file_without_a_line_is_an_error() {
    insta::assert_snapshot!(error(b"<kml/>"), @"this KML has nothing to measure: it contains no line and no track");
    let polygon = placemark("<Polygon/>");
    insta::assert_snapshot!(error(polygon.as_bytes()), @"this KML has nothing to measure: it contains polygons (1) but no line and no track");
}

#[test]
fn a_line_is_the_same_for_any_size_of_reads() {
    let line = "1.5,2.5,3\n".repeat(30_000);
    let file = placemark(&format!("<LineString><coordinates>{line}</coordinates></LineString>"));
    let mut slow = Recorded::default();
    let reader = std::io::BufReader::with_capacity(7, file.as_bytes());
    read(reader, &ReadOptions::default(), &mut slow).unwrap();
    assert_eq!(slow.ended.concat(), texts_with(&file, &ReadOptions::default()));
    assert_eq!(slow.ended.concat().matches("(1.5 2.5 z3)").count(), 30_000);
}

#[test]
fn lines_without_coordinates_and_lines_in_other_places_are_noted() {
    insta::assert_snapshot!(texts(
        "<kml><Placemark><LineString><coordinate>1,1 2,2</coordinate></LineString></Placemark>\n\
         <placemark><Linestring><Coordinates>1,1 1,2</Coordinates></Linestring></placemark>\n\
         <Folder><LineString><coordinates>1,1 1,3</coordinates></LineString></Folder></kml>"
    ), @"
        track = none
        track / (1 1) (1 2) = none
        ignored_content, line 1, column 61: a line without <coordinates> has no points
        ignored_content, line 3, column 9: a LineString outside a Placemark is ignored
    ");
}
