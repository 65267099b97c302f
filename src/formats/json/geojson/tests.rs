//! Tests of the GeoJSON reader: what it passes to the sink, its notes and its errors.

use proptest::prelude::*;

use super::super::super::tests::{Recorded, error, texts};
use super::super::super::{PointsMode, ReadOptions, read};
use super::super::tests::{outcome, outcome_with};
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
    insta::assert_snapshot!(texts(multi), @"");
    let feature = format!(r#"{{"type":"Feature","properties":{{"Name":"a"}},"geometry":{line}}}"#);
    insta::assert_snapshot!(texts(&feature), @r#"track / (13.5 46.5 z900) (13.6 46.5) = "a""#);
    let geometries = format!(
        r#"{{"type":"GeometryCollection","geometries":[{multi},{{"type":"Point","coordinates":[1,1]}},{line}]}}"#
    );
    insta::assert_snapshot!(texts(&geometries), @"");
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
        let tracks = |file: &str| {
            let text = outcome(file);
            text.lines()
                .map(|line| line.split("line 1").next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(tracks(&first), tracks(&last));
        outcome(&first)
    };
    insta::assert_snapshot!(both("LineString", r#"[[1,2],null,[3],["4","5"],[],[[6,7]],{},true,[8,null],[9,1,"z"]]"#), @"");
    insta::assert_snapshot!(both("LineString", "[null,[1,2],[91,95],[3,4,null,5,\"x\"]]"), @"");
    insta::assert_snapshot!(both("LineString", "[1,2]"), @"");
    insta::assert_snapshot!(both("LineString", "null"), @"");
    insta::assert_snapshot!(both("LineString", "[]"), @"");
    insta::assert_snapshot!(both("MultiLineString", "[[1,2],[3,4]]"), @"");
    insta::assert_snapshot!(both("MultiLineString", "[null,[[1,2],[3,4]],[]]"), @"");
    insta::assert_snapshot!(both("Point", "[]"), @"");
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
    for is_first in [true, false] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(outcome(file(&format!(r#""coordTimes":{times}"#), is_first)), @"");
            insta::assert_snapshot!(outcome(file(&format!(r#""coordinateProperties":{{"heart":[1],"times":{times}}}"#), is_first)), @"");
            insta::assert_snapshot!(outcome(file(r#""coordTimes":[1704103200,1704103201]"#, is_first)), @"");
            insta::assert_snapshot!(outcome(file(r#""coordTimes":"none""#, is_first)), @"");
        }
    }
}

#[test]
fn each_line_may_have_a_list_of_times() {
    let file = |times: &str| {
        format!(
            r#"{{"type":"Feature","geometry":{{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[[5,6],[7,8]]]}},
                "properties":{{"coordTimes":{times}}}}}"#
        )
    };
    insta::assert_snapshot!(outcome(file("[[1,2],[3,4]]")), @"");
    insta::assert_snapshot!(outcome(file("[1,2,3,4]")), @"");
    insta::assert_snapshot!(outcome(file("[[1],[3,4,5]]")), @"");
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
    insta::assert_snapshot!(notes(format!(r#"{{"type":"Feature","properties":{times},"geometry":{geometry}}}"#)), @"");
    insta::assert_snapshot!(notes(format!(r#"{{"type":"Feature","geometry":{geometry},"properties":{times}}}"#)), @"");
}

#[test]
fn point_features_are_a_path() {
    let points = [
        point(
            "[1,2,3]",
            r#""time":"2024-01-01T10:00:00Z","provider":"gps","accuracy":5,"altitude":9"#,
        ),
        point("[2,2]", r#""Time Stamp":1704103260,"horizontal_accuracy":"6.5","ele":4,"name":"x""#),
    ];
    insta::assert_snapshot!(outcome(collection(&points)), @"");
    insta::assert_snapshot!(outcome(points.join("\n")), @"");
    let ignore = ReadOptions { points: PointsMode::Ignore, ..Default::default() };
    insta::assert_snapshot!(outcome_with(collection(&points), &ignore), @"");
    insta::assert_snapshot!(outcome(r#"{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}"#), @"");
}

#[test]
fn point_features_are_sorted_if_all_have_a_time() {
    let points = |times: [&str; 3]| {
        let points: Vec<_> =
            times.iter().zip(1..).map(|(time, x)| point(&format!("[{x},0]"), time)).collect();
        outcome(collection(&points))
    };
    insta::assert_snapshot!(points([r#""time":30"#, r#""time":20"#, r#""time":10"#]), @"");
    insta::assert_snapshot!(points([r#""time":30"#, "", r#""time":10"#]), @"");
    insta::assert_snapshot!(points([r#""time":"soon""#, r#""time":"soon","timestamp":7"#, r#""alt":"x","acc":true"#]), @"");
}

#[test]
fn points_of_several_devices_are_tracks() {
    let points = [
        point("[1,2]", r#""tracker_id":"a","time":5"#),
        point("[1,3]", r#""tracker_id":"b","time":1"#),
        point("[1,4]", r#""tracker_id":"a","time":9"#),
    ];
    insta::assert_snapshot!(outcome(collection(&points)), @"");
    let ids = [point("[1,2]", r#""id":"a""#), point("[1,3]", r#""id":"b""#)];
    insta::assert_snapshot!(outcome(collection(&ids)), @"");
}

#[test]
fn points_next_to_a_line_are_ignored() {
    let line =
        format!(r#"{{"type":"Feature","properties":{{}},"geometry":{}}}"#, line("[[1,2],[3,4]]"));
    let [first, second] = [point("[5,6]", ""), point("[7,8]", "")];
    insta::assert_snapshot!(outcome(collection(&[first.clone(), line.clone(), second.clone()])), @"");
    insta::assert_snapshot!(outcome(collection(&[line, first, second])), @"");
}

#[test]
fn many_points_are_read_as_a_path_before_a_line_is_found() {
    let count = (1 << 18) + 5;
    let mut features = vec![point("[1,2]", ""); count];
    features.push(format!(
        r#"{{"type":"Feature","properties":{{}},"geometry":{}}}"#,
        line("[[1,2],[3,4]]")
    ));
    let mut sink = Recorded::default();
    read(collection(&features).as_bytes(), &ReadOptions::default(), &mut sink).unwrap();
    assert_eq!(sink.tracks[0].matches("(1 2)").count(), count);
    assert_eq!(sink.ended.len(), 2);
    insta::assert_snapshot!(sink.notes.concat(), @"");
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
    insta::assert_snapshot!(outcome(named("urn:ogc:def:crs:OGC:1.3:CRS84")), @"");
    insta::assert_snapshot!(outcome(named("urn:ogc:def:crs:EPSG::25832")), @"");
    insta::assert_snapshot!(outcome(named("EPSG:4258")), @"");
    insta::assert_snapshot!(outcome(file("null")), @"");
    insta::assert_snapshot!(outcome(file(r#"{"type":"EPSG","properties":{"code":4326}}"#)), @"");
    insta::assert_snapshot!(outcome(file(r#"{"type":"EPSG","properties":{"code":3857}}"#)), @"");
    insta::assert_snapshot!(outcome(file(r#"{"type":"link","properties":{"href":"http://spatialreference.org/ref/epsg/26801/","type":"proj4"}}"#)), @"");
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(outcome_with(named("urn:ogc:def:crs:EPSG::25832"), &planar), @"");
    let late = r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#;
    insta::assert_snapshot!(outcome(format!(r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","geometry":{late}}}],"crs":{{"properties":{{"name":"EPSG:3857"}}}}}}"#)), @"");
}

#[test]
fn projected_coordinates_are_an_error() {
    insta::assert_snapshot!(outcome(line("[[691234.5,5334567.1],[691235.5,5334567.1]]")), @"");
    let long = format!("[{}[1,2]]", "[691234,5334567],".repeat(20));
    insta::assert_snapshot!(outcome(line(&long)), @"");
    insta::assert_snapshot!(outcome(line("[[1,2],[691234.5,5334567.1],[3,4]]")), @"");
    insta::assert_snapshot!(outcome(line("[[181,91],[181,91]]")), @"");
    insta::assert_snapshot!(outcome(collection(&[point("[691234,5334567]", "")])), @"");
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(outcome_with(line("[[691234.5,5334567.1],[691235.5,5334567.1]]"), &planar), @"");
}

#[test]
fn the_type_may_come_last() {
    insta::assert_snapshot!(texts(r#"{"coordinates":[[1,2,3],[3,4]],"type":"LineString"}"#), @"track / (1 2 z3) (3 4) = none");
    insta::assert_snapshot!(texts(r#"{"coordinates":[[[1,2],[1,3]],[[3,4],[4,5]]],"type":"MultiLineString"}"#), @"");
    insta::assert_snapshot!(outcome(r#"{"coordinates":[[[1,2],[1,3],[1,2]]],"type":"Polygon"}"#), @"");
    let long =
        format!(r#"{{"coordinates":[{}[1,2]],"type":"LineString"}}"#, "[1,2],".repeat(1 << 20));
    insta::assert_snapshot!(error(long.as_bytes()), @"");
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
    insta::assert_snapshot!(cut("8],["), @"");
    insta::assert_snapshot!(cut("}}]}"), @"");
    insta::assert_snapshot!(cut("6],["), @"");
    insta::assert_snapshot!(outcome(format!("{{\"type\":\"FeatureCollection\",\"features\":[{},", point("[1,2]", ""))), @"");
    insta::assert_snapshot!(outcome("{\"type\": \"LineString\",\n"), @"");
    insta::assert_snapshot!(outcome(r#"{"type":"LineString","coordinates":[[1,2],[3,x]]}"#), @"");
}

#[test]
fn other_content_is_noted() {
    let file = r#"{"type":"FeatureCollection","features":[7,{"type":"Point","coordinates":[1,2]},{"type":"Folder"},{},
        {"type":"Feature","geometry":{"type":"LineString"}},{"type":"Feature","geometry":[1]},
        {"type":"Feature","geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}}]}"#;
    insta::assert_snapshot!(outcome(file), @"");
}

#[test]
fn a_file_without_a_line_is_an_error() {
    insta::assert_snapshot!(outcome(collection(&[])), @"");
    insta::assert_snapshot!(outcome(r#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}"#), @"");
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
    insta::assert_snapshot!(error(format!("{{\"a\":{}", "[".repeat(1 << 20)).as_bytes()), @"");
    insta::assert_snapshot!(error("[".repeat(1 << 20).as_bytes()), @"");
    insta::assert_snapshot!(error(line(&"[".repeat(1 << 20)).as_bytes()), @"");
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
