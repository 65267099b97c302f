//! Tests of GPX with elements in other places, or with other names, than GPX allows.

use super::{error, infos, segment, texts};

#[test]
fn names_in_other_cases_are_read() {
    let points = "<Trkpt lat='1' lon='1'><ele>5</ele></Trkpt><TRKPT Lat='1' Lon='2'/>";
    insta::assert_snapshot!(texts(&segment(points)), @"track / (1 1 z5) (2 1) = none");
    insta::assert_snapshot!(texts(&format!("<GPX><Trk><Segment>{points}</Segment></Trk></GPX>")), @"track / (1 1 z5) (2 1) = none");
}

#[test]
fn points_with_other_names_are_read_in_a_segment_and_route() {
    let points = "<wpt lat='1' lon='1'><name>no</name></wpt><pt lat='1' lon='2'/>";
    insta::assert_snapshot!(texts(&segment(points)), @r#"
        track / (1 1) (2 1) = none
        point_outside_segment, line 2, column 1: the element "wpt" inside another one is read as a part of the path
        point_outside_segment, line 2, column 43: the element "pt" inside another one is read as a part of the path
    "#);
    insta::assert_snapshot!(texts(&format!("<gpx><rte>{points}</rte></gpx>")), @r#"
        track / (1 1) (2 1) = none
        point_outside_segment, line 1, column 11: the element "wpt" inside another one is read as a part of the path
        point_outside_segment, line 1, column 53: the element "pt" inside another one is read as a part of the path
    "#);
    // In a track the place of a waypoint in the path is unknown.
    insta::assert_snapshot!(texts("<gpx><trk><wpt lat='1' lon='1'/><trkseg><trkpt lat='1' lon='2'/></trkseg></trk></gpx>"), @r#"
        track / (2 1) = none
        ignored_content, line 1, column 11: the element "wpt" with a position is ignored, because it is not in a path
    "#);
}

#[test]
fn tracks_and_segments_inside_each_other_are_segments_of_one_track() {
    let one = |at: u32| format!("<trkpt lat='1' lon='{at}'/>");
    let nested = format!(
        "<gpx><trk><name>t</name><trkseg>{}<trkseg>{}</trkseg>{}</trkseg><trk><trkseg>{}</trkseg></trk>{}</trk></gpx>",
        one(1),
        one(2),
        one(3),
        one(4),
        one(5)
    );
    insta::assert_snapshot!(texts(&nested), @r#"
        track / (1 1) / (2 1) / (3 1) / (4 1) / (5 1) = "t"
        point_outside_segment, line 1, column 57: the element "trkseg" inside another one is read as a part of the path
        point_outside_segment, line 1, column 131: the element "trk" inside another one is read as a part of the path
        point_outside_segment, line 1, column 183: a point outside <trkseg> is read as a part of a segment
        single_point_segments, line 1, column 207: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
    let routes = "<gpx><rte><trkseg><rtept lat='1' lon='1'/><rtept lat='1' lon='2'/></trkseg>\
                  <rte><rtept lat='1' lon='3'/></rte><rtept lat='1' lon='4'/></rte></gpx>";
    insta::assert_snapshot!(texts(routes), @r#"
        track / (1 1) (2 1) / (3 1) / (4 1) = none
        point_outside_segment, line 1, column 11: the element "trkseg" inside another one is read as a part of the path
        point_outside_segment, line 1, column 19: a point of the other kind, <trkpt> in a route or <rtept> in a track, is read (2 times)
        point_outside_segment, line 1, column 76: the element "rte" inside another one is read as a part of the path
        single_point_segments, line 1, column 135: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
}

#[test]
fn a_point_inside_a_point_follows_it() {
    let points = "<trkpt lat='1' lon='1'><ele>5</ele>\n<trkpt lat='1' lon='2'><ele>6</ele></trkpt>\n<ele>7</ele></trkpt>\
                  <trkpt lat='1' lon='3'/>";
    insta::assert_snapshot!(texts(&segment(points)), @r#"
        track / (1 1 z5) (2 1 z6) (3 1) = none
        point_outside_segment, line 3, column 1: the element "trkpt" inside another one is read as a part of the path
        ignored_content, line 4, column 1: values of a point after the points inside it are ignored
    "#);
}

#[test]
fn no_point_is_ignored_without_a_note() {
    insta::assert_snapshot!(texts("<gpx><x><trkpt/></x><trk><x>\n<trkpt lat='1' lon='1'/><y LAT='1' LON='1'/></x>\
        <wpt lat='1' lon='1'><x lat='1' lon='1'/></wpt></trk><wpt lat='1' lon='1'><x lat='1' lon='1'/></wpt></gpx>"), @r#"
        track = none
        ignored_content, line 1, column 9: the element "trkpt" with a position is ignored, because it is not in a path (2 times)
        ignored_content, line 2, column 25: the element "y" with a position is ignored, because it is not in a path
        ignored_content, line 2, column 49: the element "wpt" with a position is ignored, because it is not in a path
        ignored_content, line 2, column 70: the element "x" with a position is ignored, because it is not in a path
    "#);
    insta::assert_snapshot!(error(b"<gpx><x><trkpt lat='1' lon='1'/></x></gpx>"), @"this GPX has nothing to measure: it holds no track and no route");
}

#[test]
fn points_outside_a_route_and_track_are_of_their_kinds() {
    let file =
        "<gpx><rtept lat='1' lon='1'/><rtept lat='1' lon='2'/><trkpt lat='1' lon='3'/></gpx>";
    insta::assert_snapshot!(texts(file), @"
        track / (1 1) (2 1) = none
        track / (3 1) = none
        point_outside_segment, line 1, column 6: a point outside <rte> is read as a part of a route (2 times)
        point_outside_segment, line 1, column 54: a point or segment outside <trk> is read as a part of a track
    ");
    let kinds: Vec<_> = infos(file).iter().map(|track| track.kind.id()).collect();
    assert_eq!(kinds, ["route", "track"]);
}
