//! Tests of the GeoJSON reader: what it passes to the sink, its notes and its errors.

mod points;

use proptest::prelude::*;

use super::super::super::tests::{Recorded, error, texts};
use super::super::super::{ReadOptions, read};
use super::super::tests::{outcome, outcome_with, without_positions};
use crate::measure::Space;

fn line(coordinates: &str) -> String {
    format!(r#"{{"type":"LineString","coordinates":{coordinates}}}"#)
}

fn point(coordinates: &str, properties: &str) -> String {
    format!(
        r#"{{"type":"Feature","geometry":{{"type":"Point","coordinates":{coordinates}}},"properties":{{{properties}}}}}"#
    )
}

fn collection(features: &[String]) -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, features.join(",\n"))
}

#[test]
fn every_object_that_can_contain_a_line_is_read() {
    let line = line("[[13.5,46.5,900],[13.6,46.5]]");
    insta::assert_snapshot!(texts(&line), @"track / (13.5 46.5 z900) (13.6 46.5) = none");
    let multi = r#"{"type":"MultiLineString","bbox":[0,0,1,1],"coordinates":[[[1,2],[3,4]],[],[[5,6],[7,8]]]}"#;
    insta::assert_snapshot!(texts(multi), @"track / (1 2) (3 4) / (5 6) (7 8) = none");
    let feature = format!(r#"{{"type":"Feature","properties":{{"Name":"a"}},"geometry":{line}}}"#);
    insta::assert_snapshot!(texts(&feature), @r#"track / (13.5 46.5 z900) (13.6 46.5) = "a""#);
    let geometries = format!(
        r#"{{"type":"GeometryCollection","geometries":[{multi},{{"type":"Point","coordinates":[1,1]}},{line}]}}"#
    );
    insta::assert_snapshot!(texts(&geometries), @r#"
    track / (1 2) (3 4) / (5 6) (7 8) / (13.5 46.5 z900) (13.6 46.5) = none
    ignored_content, line 1, column 169: points next to lines are ignored (1)
    "#);
    let all = format!(
        r#"{{"type":"FeatureCollection","features":[{feature},
            {{"type":"Feature","geometry":null,"properties":null}},
            {{"geometry":{line},"type":"Feature","properties":{{"title":7,"name":" "}}}}]}}"#
    );
    insta::assert_snapshot!(texts(&all), @r#"
    track / (13.5 46.5 z900) (13.6 46.5) = "a"
    track / (13.5 46.5 z900) (13.6 46.5) = "7"
    "#);
}

#[test]
fn invalid_positions_are_skipped_for_any_order_of_the_members() {
    let both = |kind: &str, coordinates: &str| {
        let first = format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#);
        let last = format!(r#"{{"coordinates":{coordinates},"type":"{kind}"}}"#);
        let tracks = |file: &str| without_positions(&outcome(file));
        assert_eq!(tracks(&first), tracks(&last));
        outcome(&first)
    };
    insta::assert_snapshot!(both("LineString", r#"[[1,2],null,[3],["4","5"],[],[[6,7]],{},true,[8,null],[9,1,"z"]]"#), @r#"
    track / (1 2) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (9 1) = none
    invalid_position, line 1, column 46: 8 points without a valid position are skipped; the first one: a position has null in place of a number
    invalid_elevation, line 1, column 98: 1 invalid elevation is ignored: the third value of a position is not a number
    "#);
    insta::assert_snapshot!(both("LineString", "[null,[1,2],[91,95],[3,4,null,5,\"x\"]]"), @r#"
    track (invalid) / (1 2) (invalid) (3 4) = none
    invalid_position, line 1, column 42: 2 points without a valid position are skipped; the first one: a position has null in place of a number
    "#);
    insta::assert_snapshot!(both("LineString", "[1,2]"), @r"
    track (invalid) = none
    invalid_position, line 1, column 40: 1 point without a valid position is skipped: a position is in place of a list of positions
    error : no point of the file (1) has a valid position; the first one: a position is in place of a list of positions
    ");
    insta::assert_snapshot!(both("LineString", "null"), @r"
    track (invalid) = none
    invalid_position, line 1, column 39: 1 point without a valid position is skipped: a position has null in place of a number
    error : no point of the file (1) has a valid position; the first one: a position has null in place of a number
    ");
    insta::assert_snapshot!(both("LineString", "[]"), @"track = none");
    insta::assert_snapshot!(both("MultiLineString", "[[1,2],[3,4]]"), @r"
    track (invalid) (invalid) = none
    invalid_position, line 1, column 46: 2 points without a valid position are skipped; the first one: a position is in place of a list of positions
    error : no point of the file (2) has a valid position; the first one: a position is in place of a list of positions
    ");
    insta::assert_snapshot!(both("MultiLineString", "[null,[[1,2],[3,4]],[]]"), @r#"
    track (invalid) / (1 2) (3 4) = none
    invalid_position, line 1, column 47: 1 point without a valid position is skipped: a position has null in place of a number
    "#);
    insta::assert_snapshot!(both("Point", "[]"), @r"
    track (invalid) = none
    invalid_position, line 1, column 32: 1 point without a valid position is skipped: a position has fewer than two numbers
    joined_points, line 1, column 32: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    error : no point of the file (1) has a valid position; the first one: a position has fewer than two numbers
    ");
}

#[test]
fn the_times_of_togeojson_are_read_for_any_order_of_the_members() {
    let times = r#"["2024-01-01T10:00:00Z",null,"soon",1704103230,1704103240000]"#;
    let geometry = line("[[1,2],[3,4],[5,6],[7,8],[9,10]]");
    let file = |properties: &str, is_first: bool| match is_first {
        true => {
            format!(r#"{{"type":"Feature","properties":{{{properties}}},"geometry":{geometry}}}"#)
        }
        false => {
            format!(r#"{{"type":"Feature","geometry":{geometry},"properties":{{{properties}}}}}"#)
        }
    };
    let both = |properties: &str| {
        let tracks = |is_first| without_positions(&outcome(file(properties, is_first)));
        assert_eq!(tracks(true), tracks(false));
        tracks(true)
    };
    insta::assert_snapshot!(both(&format!(r#""coordTimes":{times}"#)), @r#"
    track / (1 2 t1704103200) (3 4) (5 6) (7 8 t1704103230) (9 10 t1704103240) = none
    invalid_time: 1 invalid time is ignored: the time "soon" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    insta::assert_snapshot!(both(&format!(r#""coordinateProperties":{{"heart":[1],"times":{times}}}"#)), @r#"
    track / (1 2 t1704103200) (3 4) (5 6) (7 8 t1704103230) (9 10 t1704103240) = none
    invalid_time: 1 invalid time is ignored: the time "soon" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    "#);
    insta::assert_snapshot!(both(r#""coordTimes":[1704103200,1704103201]"#), @r#"
    track / (1 2 t1704103200) (3 4 t1704103201) (5 6) (7 8) (9 10) = none
    assumed_notation: the Feature has 2 times for 5 positions; they are assigned in order
    "#);
    insta::assert_snapshot!(both(r#""coordTimes":"none""#), @"track / (1 2) (3 4) (5 6) (7 8) (9 10) = none");
}

#[test]
fn each_line_may_have_a_list_of_times() {
    let file = |times: &str| {
        format!(
            r#"{{"type":"Feature","geometry":{{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]}},
                "properties":{{"coordTimes":{times}}}}}"#
        )
    };
    insta::assert_snapshot!(outcome(file("[[1,2],[3,4]]")), @"track / (1 2 t1) (3 4 t2) / (5 6 t3) (7 8 t4) = none");
    insta::assert_snapshot!(outcome(file("[1,2,3,4]")), @"track / (1 2 t1) (3 4 t2) / (5 6 t3) (7 8 t4) = none");
    insta::assert_snapshot!(outcome(file("[[1],[3,4,5]]")), @r#"
    track / (1 2 t1) (3 4) / (5 6 t3) (7 8 t4) = none
    assumed_notation, line 2, column 58: the Feature has 4 times for 4 positions, and the lists do not have the lengths of the lines; they are assigned in the order of each line
    "#);
}

#[test]
fn the_times_of_a_long_line_must_be_in_front_of_it() {
    let count = (1 << 18) + 10;
    let geometry = line(&format!("[{}[1,2]]", "[1,2],".repeat(count - 1)));
    let times = format!(r#"{{"coordTimes":[{}9]}}"#, "9,".repeat(count - 1));
    let notes = |file: String| {
        let mut sink = Recorded::default();
        read(file.as_bytes(), &ReadOptions::default(), &mut sink).unwrap();
        assert_eq!(sink.ended[0].matches("(1 2").count(), count);
        format!("{} times\n{}", sink.ended[0].matches(" t9").count(), sink.notes.concat())
    };
    insta::assert_snapshot!(notes(format!(r#"{{"type":"Feature","properties":{times},"geometry":{geometry}}}"#)), @"262154 times");
    insta::assert_snapshot!(notes(format!(r#"{{"type":"Feature","geometry":{geometry},"properties":{times}}}"#)), @r#"
    0 times
    ignored_content, line 1, column 2097329: the times of a long line follow its coordinates and are ignored; write "properties" before "geometry"
    "#);
}

#[test]
fn another_reference_system_is_an_error() {
    let file = |crs: &str| {
        format!(
            r#"{{"type":"FeatureCollection","crs":{crs},"features":[{{"type":"Feature","properties":{{}},"geometry":{}}}]}}"#,
            line("[[1,2],[3,4]]")
        )
    };
    let named =
        |name: &str| file(&format!(r#"{{"type":"name","properties":{{"name":"{name}"}}}}"#));
    insta::assert_snapshot!(outcome(named("urn:ogc:def:crs:OGC:1.3:CRS84")), @"track / (1 2) (3 4) = none");
    insta::assert_snapshot!(outcome(named("urn:ogc:def:crs:EPSG::25832")), @r#"error :1:101: the coordinates have the reference system "urn:ogc:def:crs:EPSG::25832", not WGS 84, and may be projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84"#);
    insta::assert_snapshot!(outcome(named("EPSG:4258")), @r#"
    track / (1 2) (3 4) = none
    assumed_reference_system, line 1, column 83: the reference system "EPSG:4258" is read as WGS 84
    "#);
    insta::assert_snapshot!(outcome(file("null")), @r#"
    track / (1 2) (3 4) = none
    assumed_reference_system, line 1, column 38: the file does not say which reference system its coordinates have; they are read as WGS 84
    "#);
    insta::assert_snapshot!(outcome(file(r#"{"type":"EPSG","properties":{"code":4326}}"#)), @"track / (1 2) (3 4) = none");
    insta::assert_snapshot!(outcome(file(r#"{"type":"EPSG","properties":{"code":3857}}"#)), @r#"error :1:76: the coordinates have the reference system "EPSG:3857", not WGS 84, and may be projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84"#);
    insta::assert_snapshot!(outcome(file(r#"{"type":"link","properties":{"href":"http://spatialreference.org/ref/epsg/26801/","type":"proj4"}}"#)), @r#"error :1:132: the coordinates have the reference system "http://spatialreference.org/ref/epsg/268…", not WGS 84, and may be projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84"#);
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(outcome_with(named("urn:ogc:def:crs:EPSG::25832"), &planar), @"track / (1 2) (3 4) = none");
    let late = r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#;
    insta::assert_snapshot!(outcome(format!(r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","geometry":{late}}}],"crs":{{"properties":{{"name":"EPSG:3857"}}}}}}"#)), @r#"
    track / (1 2) (3 4) = none
    error :1:162: the coordinates have the reference system "EPSG:3857", not WGS 84, and may be projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84; the lengths of the tracks before this position are wrong
    "#);
}

#[test]
fn projected_coordinates_are_an_error() {
    insta::assert_snapshot!(outcome(line("[[691234.5,5334567.1],[691235.5,5334567.1]]")), @r#"
    track (invalid) (invalid) = none
    invalid_position, line 1, column 56: 2 points without a valid position are skipped; the first one: latitude 5334567.1 is not between -90 and 90 degrees
    error :1:79: no position is in degrees: these look like projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84
    "#);
    let long = format!("[{}[1,2]]", "[691234,5334567],".repeat(20));
    insta::assert_snapshot!(outcome(line(&long)), @r#"
    track (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) (invalid) = none (incomplete)
    invalid_position, line 1, column 52: 15 points without a valid position are skipped; the first one: latitude 5334567 is not between -90 and 90 degrees
    error :1:307: no position is in degrees: these look like projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84
    "#);
    insta::assert_snapshot!(outcome(line("[[1,2],[691234.5,5334567.1],[3,4]]")), @r#"
    track / (1 2) (invalid) (3 4) = none
    invalid_position, line 1, column 62: 1 point without a valid position is skipped: latitude 5334567.1 is not between -90 and 90 degrees
    "#);
    insta::assert_snapshot!(outcome(line("[[181,91],[181,91]]")), @r"
    track (invalid) (invalid) = none
    invalid_position, line 1, column 44: 2 points without a valid position are skipped; the first one: latitude 91 is not between -90 and 90 degrees
    error : no point of the file (2) has a valid position; the first one: latitude 91 is not between -90 and 90 degrees
    ");
    insta::assert_snapshot!(outcome(collection(&[point("[691234,5334567]", "")])), @r#"
    track (invalid) = none (incomplete)
    invalid_position, line 1, column 115: 1 point without a valid position is skipped: latitude 5334567 is not between -90 and 90 degrees
    joined_points, line 1, column 115: the file has no lines, and its points are read as a path; use --points ignore to ignore them
    error :1:135: no position is in degrees: these look like projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84
    "#);
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(outcome_with(line("[[691234.5,5334567.1],[691235.5,5334567.1]]"), &planar), @"track / (691234.5 5334567.1) (691235.5 5334567.1) = none");
}

#[test]
fn the_type_may_come_last() {
    insta::assert_snapshot!(texts(r#"{"coordinates":[[1,2,3],[3,4]],"type":"LineString"}"#), @"track / (1 2 z3) (3 4) = none");
    insta::assert_snapshot!(texts(r#"{"coordinates":[[[1,2],[1,3]],[[3,4],[4,5]]],"type":"MultiLineString"}"#), @"track / (1 2) (1 3) / (3 4) (4 5) = none");
    insta::assert_snapshot!(outcome(r#"{"coordinates":[[[1,2],[1,3],[1,2]]],"type":"Polygon"}"#), @"error : this GeoJSON has nothing to measure: it has polygons (1) but no line");
    let long =
        format!(r#"{{"coordinates":[{}[1,2]],"type":"LineString"}}"#, "[1,2],".repeat(1 << 20));
    insta::assert_snapshot!(error(long.as_bytes()), @r#"1:6291447: too many coordinates before their "type", which must be stored; write "type" first"#);
}

#[test]
fn a_file_that_ends_early_gives_what_was_read() {
    let file = collection(&[
        format!(
            r#"{{"type":"Feature","properties":{{"name":"a"}},"geometry":{}}}"#,
            line("[[1,2],[3,4]]")
        ),
        format!(
            r#"{{"type":"Feature","geometry":{},"properties":{{"name":"b"}}}}"#,
            line("[[5,6],[7,8],[9,1]]")
        ),
    ]);
    let cut = |end: &str| outcome(&file[..file.find(end).unwrap()]);
    insta::assert_snapshot!(cut("8],["), @r#"
    track / (1 2) (3 4) = "a"
    track / (5 6) = none (incomplete)
    error :2:74: the file ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(cut("}}]}"), @r#"
    track / (1 2) (3 4) = "a"
    track / (5 6) (7 8) (9 1) = none (incomplete)
    error :2:109: the file ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(cut("6],["), @r#"
    track / (1 2) (3 4) = "a"
    track = none (incomplete)
    error :2:68: the file ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome(format!("{{\"type\":\"FeatureCollection\",\"features\":[{},", point("[1,2]", ""))), @r#"
    track / (1 2) = none (incomplete)
    error :1:123: the file ends too early; it is incomplete
    "#);
    insta::assert_snapshot!(outcome("{\"type\": \"LineString\",\n"), @"error :2:1: the file ends too early; it is incomplete");
    insta::assert_snapshot!(outcome(r#"{"type":"LineString","coordinates":[[1,2],[3,x]]}"#), @r#"
    track / (1 2) = none (incomplete)
    error :1:46: not JSON: expected value
    "#);
}

#[test]
fn other_content_is_noted() {
    let file = r#"{"type":"FeatureCollection","features":[7,{"type":"Point","coordinates":[1,2]},{"type":"Folder"},{},
        {"type":"Feature","geometry":{"type":"LineString"}},{"type":"Feature","geometry":[1]},
        {"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}}]}"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 2) (3 4) = none
    ignored_content, line 1, column 42: an element of a list is not an object and is ignored (2 times)
    ignored_content, line 1, column 78: an object has a type that is not allowed at its place
    ignored_content, line 1, column 96: an object of the type "Folder" is ignored, which is not a GeoJSON type
    ignored_content, line 1, column 99: an object without a "type" is ignored
    ignored_content, line 2, column 58: a geometry without "coordinates" is ignored
    ignored_content, line 1, column 77: points next to lines are ignored (1)
    "#);
}

#[test]
fn repeated_members_are_ignored() {
    let file = r#"{"type":"LineString","coordinates":[[1,2],[3,4]],"coordinates":[[5,6],[7,8]]}"#;
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 2) (3 4) = none
    ignored_content, line 1, column 62: a member that occurs for the second time in its object is ignored
    "#);
    let file = format!(
        r#"{{"type":"Feature","geometry":{},"geometry":{}}}"#,
        line("[[1,2],[3,4]]"),
        line("[[5,6]]")
    );
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 2) (3 4) = none
    ignored_content, line 1, column 89: a member that occurs for the second time in its object is ignored
    "#);
    // A Feature that contains Features is not GeoJSON, but its geometry is read.
    let [first, second] = [line("[[1,2],[3,4]]"), line("[[5,6],[7,8]]")];
    let file = format!(
        r#"{{"type":"Feature","properties":{{"name":"a"}},"coordinates":[[9,9]],"geometry":{first},
            "features":[{{"type":"Feature","geometry":{second}}}]}}"#
    );
    insta::assert_snapshot!(outcome(file), @r#"
    track / (1 2) (3 4) = "a"
    track / (5 6) (7 8) = none
    ignored_content, line 1, column 57: coordinates of an object that is not a geometry are ignored
    "#);
}

#[test]
fn a_file_without_a_line_is_an_error() {
    insta::assert_snapshot!(outcome(collection(&[])), @"error : this GeoJSON has nothing to measure: it has no line and no point");
    insta::assert_snapshot!(outcome(r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}"#), @"error : this GeoJSON has nothing to measure: it has polygons (1) but no line");
}

#[test]
fn sizes_and_depths_are_limited() {
    let long = "9".repeat(5 << 20);
    for file in [format!("{{\"a\":\"{long}"), format!("{{\"a\":{long}"), format!("{{\"{long}\":1")]
    {
        assert!(
            error(file.as_bytes()).ends_with("a string or number is longer than 4 MiB; remove it")
        );
    }
    insta::assert_snapshot!(error(format!("{{\"a\":{}", "[".repeat(1 << 20)).as_bytes()), @"1:134: lists and objects are nested more than 128 levels deep");
    insta::assert_snapshot!(error("[".repeat(1 << 20).as_bytes()), @"1:131: lists and objects are nested more than 128 levels deep");
    insta::assert_snapshot!(error(line(&"[".repeat(1 << 20)).as_bytes()), @"1:162: lists and objects are nested too deep");
}

/// Generates a JSON value that is valid coordinates, or almost.
fn coordinates() -> impl Strategy<Value = String> {
    let number = prop::sample::select(vec!["1", "-2.5", "0", "45e0", "91", "-1e3", "NaN"]);
    let odd = prop::sample::select(vec![
        "null",
        "true",
        "\"x\"",
        "{}",
        r#"{"type":[1,{}]}"#,
        "[]",
        "[[]]",
        "[1,2]",
    ]);
    let value = prop_oneof![12 => number, 1 => odd.clone()].prop_map(str::to_owned);
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let position = prop_oneof![
        8 => prop::collection::vec(value, 2..4).prop_map(list),
        1 => prop::collection::vec(odd.prop_map(str::to_owned), 0..5).prop_map(list),
    ];
    position
        .prop_recursive(3, 24, 4, move |inner| prop::collection::vec(inner, 0..4).prop_map(list))
}

proptest! {
    #[test]
    fn the_order_of_members_does_not_matter(
        coordinates in coordinates(),
        kind in prop::sample::select(vec!["LineString", "MultiLineString", "Point", "MultiPoint", "Feature"]),
    ) {
        let outcome = |file: String| {
            let mut sink = Recorded::default();
            let error = read(file.as_bytes(), &ReadOptions::default(), &mut sink).err();
            (error.map(|error| error.to_string()), sink.tracks, sink.ended)
        };
        let first = outcome(format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#));
        let last = outcome(format!(r#"{{"coordinates":{coordinates},"type":"{kind}"}}"#));
        prop_assert_eq!(&first, &last);
        let feature = format!(
            r#"{{"geometry":{{"coordinates":{coordinates},"type":"{kind}"}},"type":"Feature"}}"#
        );
        if kind != "Feature" {
            prop_assert_eq!(&first, &outcome(feature));
        }
    }
}

#[test]
fn an_open_track_is_incomplete_if_a_late_reference_system_is_not_supported() {
    let file = r#"{"locations":[{"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":[2,1]}}],
        "crs":{"properties":{"name":"EPSG:3857"}}}"#;
    let text = outcome(file);
    assert!(text.starts_with("track / (2 1) = none (incomplete)\nerror :2:"), "{text}");
    assert!(text.contains("the lengths of the tracks before this position are wrong"), "{text}");
}
