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
    insta::assert_snapshot!(texts(file), @"");
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
    insta::assert_snapshot!(texts(file), @"");
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
        insta::allow_duplicates! { insta::assert_snapshot!(texts(&file), @""); }
    }
}

#[test]
fn a_track_may_have_no_times_or_another_number_of_them() {
    let track = |content: &str| texts(&placemark(&format!("<gx:Track>{content}</gx:Track>")));
    let (when, coord) = ("<when>1970-01-01T00:00:01Z</when>", "<gx:coord>1 2</gx:coord>");
    insta::assert_snapshot!(track(&coord.repeat(2)), @"");
    insta::assert_snapshot!(track(&(when.to_owned() + &coord.repeat(2))), @"");
    insta::assert_snapshot!(track(&(when.repeat(3) + coord)), @"");
    insta::assert_snapshot!(track(&(when.repeat(2) + "<gx:coord/>" + coord)), @"");
    insta::assert_snapshot!(track(&format!("<when>2010</when>{coord}<when>x y</when>{coord}")), @"");
}

#[test]
fn the_lists_of_a_track_are_stored_up_to_a_limit() {
    let positions = "<gx:coord>1 2</gx:coord>\n".repeat(70_000);
    let times = "<when>1970-01-01T00:00:01Z</when>\n".repeat(70_000);
    let file = placemark(&format!("<gx:Track>{positions}{times}</gx:Track>"));
    let text = texts(&file);
    assert_eq!(text.matches("(1 2)").count(), 70_000);
    assert_eq!(text.matches("(1 2 t1)").count(), 0);
    insta::assert_snapshot!(text.lines().skip(1).collect::<String>(), @"");
    let late =
        format!("<when>1970-01-01T00:00:01Z</when><gx:coord>1 2</gx:coord>{positions}{times}");
    let text = texts(&placemark(&format!("<gx:Track>{late}</gx:Track>")));
    assert_eq!(text.matches("(1 2 t1)").count(), 1);
    insta::assert_snapshot!(text.lines().skip(1).collect::<String>(), @"");
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
    insta::assert_snapshot!(multi("<gx:interpolate>1</gx:interpolate>"), @"");
    insta::assert_snapshot!(multi("<gx:interpolate>0</gx:interpolate>"), @"");
    insta::assert_snapshot!(multi(""), @"");
}

#[test]
fn invalid_positions_are_skipped_and_counted() {
    let file = placemark(
        "<LineString><coordinates>1,1\n1,95\n x,y 2\n,3 1,2,3,4,5 1,2,high 3,3</coordinates></LineString>",
    );
    insta::assert_snapshot!(texts(&file), @"");
    let comma = "<LineString><coordinates>1,1, 2,2, 3,3,</coordinates></LineString>";
    insta::assert_snapshot!(texts(&placemark(comma)), @"");
}

#[test]
fn altitudes_above_the_ground_are_ignored() {
    let line = |mode: &str| {
        let altitude =
            format!("<altitudeMode>{mode}</altitudeMode><coordinates>1,1,5 2,2,6</coordinates>");
        texts(&placemark(&format!("<LineString>{altitude}</LineString>")))
    };
    insta::assert_snapshot!(line("relativeToGround"), @"");
    insta::assert_snapshot!(line("clampToGround"), @"");
    let next = "<MultiGeometry><LineString><altitudeMode>relativeToGround</altitudeMode></LineString>\
                <LineString><coordinates>1,1,5</coordinates></LineString></MultiGeometry>";
    insta::assert_snapshot!(texts(&placemark(next)), @"");
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
    insta::assert_snapshot!(texts(&points([WHEN_2, WHEN_1, BEGIN_3])), @"");
    insta::assert_snapshot!(texts(&points([WHEN_2, "", WHEN_1])), @"");
    insta::assert_snapshot!(texts(&points([WHEN_2, "<TimeStamp><when>2010</when></TimeStamp>", WHEN_1])), @"");
    let invalid =
        points([WHEN_2, WHEN_1, BEGIN_3]).replace("1,1,7", "1,1;7").replace("2,1,7", "2,1,x");
    insta::assert_snapshot!(texts(&invalid), @"");
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    let error = read(points([""; 3]).as_bytes(), &ignore, &mut Recorded::default()).unwrap_err();
    insta::assert_snapshot!(error, @"");
}

#[test]
fn other_files_are_reported() {
    let file = "<kml><NetworkLink><Link><href>http://example.org/a.kml</href></Link></NetworkLink>\
                <Placemark><LineString><coordinates>1,1 2,2</coordinates></LineString></Placemark></kml>";
    insta::assert_snapshot!(texts(file), @"");
    let strict = ReadOptions { is_strict: true, ..Default::default() };
    assert!(read(file.as_bytes(), &strict, &mut Recorded::default()).is_err());
}

#[test]
fn a_file_that_ends_early_keeps_what_was_read() {
    let line = "<kml><Placemark><name>n</name><LineString><coordinates>1,1 2,2 3,";
    insta::assert_snapshot!(interrupted(line), @"");
    let track = "<kml><Placemark><gx:Track><gx:coord>1 2</gx:coord><gx:coord>3 4</gx:coord><gx:co";
    insta::assert_snapshot!(interrupted(track), @"");
    let points = points([WHEN_2, WHEN_1, BEGIN_3]);
    insta::assert_snapshot!(interrupted(&points[..points.len() - "</kml>".len()]), @"");
    insta::assert_snapshot!(interrupted("<kml><Placemark></kml>"), @"");
}

#[test]
fn a_file_without_a_line_is_an_error() {
    insta::assert_snapshot!(error(b"<kml/>"), @"");
    let polygon = placemark("<Polygon/>");
    insta::assert_snapshot!(error(polygon.as_bytes()), @"");
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
