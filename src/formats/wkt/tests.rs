//! Tests of well-known text.

use std::io::BufReader;

use proptest::prelude::*;

use super::super::options::{OnInvalid, PointsMode};
use super::super::tests::{Recorded, error, error_with, texts, texts_with};
use super::*;
use crate::measure::Space;

#[test]
fn a_line_is_a_track_and_its_third_coordinate_is_the_elevation() {
    insta::assert_snapshot!(texts("LINESTRING(1 2, 1.5 2.5)\nlinestring z ( 1 2 10,\n 3 4 20 )"), @"
        track / (1 2) (1.5 2.5) = none
        track / (1 2 z10) (3 4 z20) = none
    ");
}

#[test]
fn lines_of_a_geometry_are_segments() {
    insta::assert_snapshot!(texts("MULTILINESTRING((1 2, 3 4), EMPTY, (5 6, 7 8))"), @"track / (1 2) (3 4) / (5 6) (7 8) = none");
    insta::assert_snapshot!(texts("GEOMETRYCOLLECTION(LINESTRING(1 2,3 4), GEOMETRYCOLLECTION(LINESTRING(5 6,7 8)), LINESTRING EMPTY)"), @"track / (1 2) (3 4) / (5 6) (7 8) = none");
    insta::assert_snapshot!(texts("GEOMETRYCOLLECTION EMPTY LINESTRING EMPTY"), @"track = none");
}

#[test]
fn measures_are_ignored_with_a_note() {
    insta::assert_snapshot!(texts("LINESTRING M (1 2 99, 3 4 99)"), @"
        track / (1 2) (3 4) = none
        ignored_content, line 1, column 15: the m values of a geometry are ignored
    ");
    insta::assert_snapshot!(texts("LINESTRINGZM(1 2 5 99, 3 4 6 99)"), @"
        track / (1 2 z5) (3 4 z6) = none
        ignored_content, line 1, column 14: the m values of a geometry are ignored
    ");
    insta::assert_snapshot!(texts("LINESTRING(1 2 5 99, 3 4 6 99)"), @"
        track / (1 2 z5) (3 4 z6) = none
        ignored_content, line 1, column 12: the m values of a geometry are ignored
    ");
}

#[test]
fn separate_points_are_one_track() {
    insta::assert_snapshot!(texts("POINT(1 2)\nPOINT Z (3 4 5)\nMULTIPOINT((5 6), (7 8))\nMULTIPOINT(9 10, 11 12)"), @"
        track / (1 2) (3 4 z5) (5 6) (7 8) (9 10) (11 12) = none
        joined_points, line 1, column 7: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    ");
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    insta::assert_snapshot!(error_with(b"POINT(1 2)\nPOINT(3 4)", &ignore), @"this WKT has nothing to measure: only points, which --points ignore leaves out");
}

#[test]
fn points_next_to_lines_are_ignored_with_a_note() {
    insta::assert_snapshot!(texts("POINT(1 2)\nGEOMETRYCOLLECTION(POINT(3 4), LINESTRING(1 2,3 4), POINT(5 6))"), @"
        track / (1 2) (3 4) = none
        ignored_content, line 1, column 7: a separate point is ignored, because the file has lines (3 times)
    ");
}

#[test]
fn more_points_than_can_be_stored_are_a_track() {
    let mut file = "POINT(1 2)\n".repeat(points::STORED_MAX + 1);
    file += "GEOMETRYCOLLECTION(LINESTRING(1 1, 2 2), POINT(3 3), LINESTRING(4 4, 5 5))";
    let text = texts(&file);
    let (points, rest) = text.split_at(text.find("track / (1 1)").unwrap());
    assert!(rest.contains("track / (1 1) (2 2) / (4 4) (5 5) = none"), "{rest}");
    let all = points.to_owned() + rest;
    let track = all.lines().find(|line| line.ends_with("(3 3) = none")).unwrap();
    assert_eq!(track.matches("(1 2)").count(), points::STORED_MAX + 1);
    assert!(all.contains("joined_points"));
}

#[test]
fn the_reference_system_is_checked() {
    insta::assert_snapshot!(texts("SRID=4326;LINESTRING(1 2,3 4)"), @"track / (1 2) (3 4) = none");
    insta::assert_snapshot!(texts("srid=4258; LINESTRING(1 2,3 4)"), @"
        track / (1 2) (3 4) = none
        assumed_reference_system, line 1, column 1: the reference system EPSG:4258 is read as WGS 84, which it nearly equals
    ");
    let projected = "SRID=25832;LINESTRING(500000 5000000,500000 5000001)";
    insta::assert_snapshot!(error(projected.as_bytes()), @"1:1: the reference system is EPSG:25832, not WGS 84; for projected coordinates use --model planar, or transform them to EPSG:4326 first");
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(texts_with(projected, &planar), @"track / (500000 5000000) (500000 5000001) = none");
}

#[test]
fn a_geometry_in_another_reference_system_costs_only_itself() {
    let file = "SRID=4326;LINESTRING(1 2,3 4)\nSRID=3857;LINESTRING(1 2,1 3)\nSRID=25832;MULTIPOINT(5 5)\nLINESTRING(1 2,1 4)\n";
    let mut sink = Recorded::default();
    let error =
        super::super::read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a"), @"a:2:1: the reference system is EPSG:3857, not WGS 84; for projected coordinates use --model planar, or transform them to EPSG:4326 first; 2 such geometries are not read");
    insta::assert_snapshot!(sink.ended.concat() + &sink.notes.concat(), @"
        track / (1 2) (3 4) = none
        track / (1 2) (1 4) = none
    ");
    let points = "POINT(1 2)\nSRID=3857;POINT(1 3)\nPOINT(1 4)\n";
    let mut sink = Recorded::default();
    let error =
        super::super::read(points.as_bytes(), &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a"), @"a:2:1: the reference system is EPSG:3857, not WGS 84; for projected coordinates use --model planar, or transform them to EPSG:4326 first");
    insta::assert_snapshot!(sink.ended.concat() + &sink.notes.concat(), @"
        track / (1 2) (1 4) = none
        joined_points, line 1, column 7: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    ");
}

#[test]
fn other_geometries_are_ignored_with_a_note() {
    insta::assert_snapshot!(texts("POLYGON((1 2, 3 4, 5 6, 1 2))\nLINESTRING(1 2,3 4)\nPOLYGON Z ((1 1 1))"), @"
        track / (1 2) (3 4) = none
        ignored_content, line 1, column 1: a POLYGON is ignored, because it is not a path (2 times)
    ");
    insta::assert_snapshot!(error(b"POLYGON((1 2, 3 4, 5 6, 1 2))"), @"this WKT has nothing to measure: no LINESTRING and no POINT");
}

#[test]
fn a_bad_point_does_not_cost_the_others() {
    insta::assert_snapshot!(texts("LINESTRING(1 2, 3, x 4, nan 5, 1 91, 1 2 3 4 5, 3 4, )"), @"
        track / (1 2) (invalid) (invalid) (invalid) (invalid) (invalid) (3 4) (invalid) = none
        invalid_position, line 1, column 17: 6 points without a valid position are skipped; the first one: the number of coordinates is 1, not 2 to 4
        ignored_content, line 1, column 38: the m values of a geometry are ignored
    ");
    insta::assert_snapshot!(texts("LINESTRING(1 2 high, 3 4 7)"), @"
        track / (1 2) (3 4 z7) = none
        invalid_elevation, line 1, column 12: 1 invalid elevation is ignored: the third coordinate is not a number
    ");
    let split = ReadOptions { on_invalid: OnInvalid::Split, ..Default::default() };
    insta::assert_snapshot!(texts_with("LINESTRING(1 2, NULL NULL, 3 4)", &split), @r#"
        track / (1 2) (invalid) / (3 4) = none
        invalid_position, line 1, column 17: 1 point without a valid position is skipped, and a segment starts after it: the coordinate "NULL" is not a number
        single_point_segments, line 1: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    "#);
}

#[test]
fn a_damaged_geometry_does_not_cost_the_others() {
    insta::assert_snapshot!(texts("LINESTRING(1 2, 3 4\nLINESTRING(5 6, 7 8)"), @"
        track / (1 2) (3 4) = none
        track / (5 6) (7 8) = none
        skipped_lines, line 2, column 1: 1 line is skipped: not well-known text, because a `)` is missing before this geometry
    ");
    insta::assert_snapshot!(texts("LINESTRING(1 2, 3 4)\nsome text (1\nLINESTRING[5 6]\nLINESTRING(5 6, 7 8)"), @"
        track / (1 2) (3 4) = none
        track / (5 6) (7 8) = none
        skipped_lines, line 2, column 1: 2 lines are skipped; the first one: not well-known text, because this is not a geometry
    ");
}

#[test]
fn a_text_that_ends_early_gives_what_was_read() {
    let mut sink = Recorded::default();
    let file = &b"LINESTRING(1 2, 3 4)\nLINESTRING(5 6, 7 8, 9"[..];
    let error = super::super::read(file, &ReadOptions::default(), &mut sink).unwrap_err();
    insta::assert_snapshot!(error.in_file("a.wkt"), @"a.wkt:2:23: the text ends within a geometry");
    insta::assert_snapshot!(sink.ended.concat(), @"
        track / (1 2) (3 4) = none
        track / (5 6) (7 8) = none (incomplete)
    ");
}

#[test]
fn only_a_geometry_is_detected() {
    for text in
        ["POINT(1 2)", "  srid=1;Point Z(", "MULTILINESTRING EMPTY", "PolygonZM ((", "TIN M EMPTY"]
    {
        assert!(matches(text.as_bytes()), "{text}");
    }
    for text in [
        "point,lat,lon\n",
        "wkt;name",
        "LINESTRING",
        "POINT 1 2",
        "points(1 2)",
        "SRID=4326",
        "(",
        "",
    ] {
        assert!(!matches(text.as_bytes()), "{text}");
    }
}

#[test]
fn nesting_is_limited() {
    let nested =
        |depth| "GEOMETRYCOLLECTION(".repeat(depth) + "LINESTRING(1 2,3 4)" + &")".repeat(depth);
    assert!(texts(&nested(64)).contains("(1 2) (3 4)"));
    insta::assert_snapshot!(error(nested(65).as_bytes()), @"this WKT has nothing to measure: line 1, column 1235: not well-known text, because more than 64 collections are inside each other");
    // Parentheses in an ignored geometry have no limit, and need no memory.
    let polygon = "POLYGON".to_owned() + &"(".repeat(100_000) + &")".repeat(100_000);
    assert!(texts(&(polygon + "LINESTRING(1 2,3 4)")).contains("(1 2) (3 4)"));
}

#[test]
fn a_field_of_a_table_is_parsed() {
    let mut events = Vec::new();
    parse(b"SRID=4326;MULTIPOINT Z (1 2 3)", &mut |_, event| {
        events.push(event);
        Ok(())
    })
    .unwrap();
    let point = Event::Point { x: 1.0, y: 2.0, z: Some(3.0) };
    assert_eq!(events, [Event::Srid(4326), Event::StartPoint, point]);
    let error = |field: &[u8]| parse(field, &mut |_, _| Ok(())).unwrap_err().in_file("a");
    insta::assert_snapshot!(error(b"LINESTRING(1 2"), @"a:1:15: the text ends within a geometry");
    insta::assert_snapshot!(error(b"LINE(1 2)"), @"a:1:1: this is not a geometry");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_the_size_of_reads_does_not_matter(
        text in "((SRID=4326;)?(MULTI|GEOMETRY)?(POINT|LINESTRING|COLLECTION|POLYGON) ?(Z|M|ZM|EMPTY)?|[(),; \\n]|-?1\\.?|EMPTY|nan|é){0,30}",
        bytes_at_once in 1..5_usize,
    ) {
        let options = ReadOptions { format: Some(Format::Wkt), ..Default::default() };
        let run = |input: &mut dyn BufRead| {
            let mut sink = Recorded::default();
            let result = super::super::read(input, &options, &mut sink);
            (result.map_err(|error| error.in_file("a")), sink.ended, sink.notes)
        };
        let mut slow = BufReader::with_capacity(bytes_at_once, text.as_bytes());
        prop_assert_eq!(run(&mut text.as_bytes()), run(&mut slow));
    }

    #[test]
    fn written_lines_are_read_back(
        points in prop::collection::vec((-180.0..180.0_f64, -90.0..90.0_f64), 1..20),
    ) {
        let list: Vec<String> = points.iter().map(|(x, y)| format!("{x} {y}")).collect();
        let mut read = Vec::new();
        parse(format!("LINESTRING({})", list.join(", ")).as_bytes(), &mut |_, event| {
            if let Event::Point { x, y, .. } = event {
                read.push((x, y));
            }
            Ok(())
        })
        .unwrap();
        prop_assert_eq!(read, points);
    }
}

/// The writer once counted points in this case that it had not stored.
#[test]
fn invalid_points_of_excluded_tracks_and_in_strict_mode_are_not_counted_as_stored() {
    let file = "LINESTRING(1 2, x y, 3 4)";
    let strict = ReadOptions { is_strict: true, sorts_by_time: true, ..Default::default() };
    assert!(error_with(file.as_bytes(), &strict).contains("--strict makes this an error"));
    let routes =
        ReadOptions { only: Some(TrackKind::Route), sorts_by_time: true, ..Default::default() };
    assert_eq!(texts_with(file, &routes), "");
}
