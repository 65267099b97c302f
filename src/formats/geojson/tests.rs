//! What the GeoJSON reader tells, and how it complains.

use super::super::tests::{error, told};

#[test]
fn every_object_that_can_hold_a_line_is_read() {
    let line = r#"{"type":"LineString","coordinates":[[13.5,46.5,900],[13.6,46.5]]}"#;
    insta::assert_snapshot!(told(line), @"track / (13.5 46.5 z900) (13.6 46.5) = none");
    let multi =
        r#"{"type":"MultiLineString","bbox":[0,0,1,1],"coordinates":[[[1,2],[3,4]],[],[[5,6]]]}"#;
    insta::assert_snapshot!(told(multi), @"track / (1 2) (3 4) / / (5 6) = none");
    let feature = format!(r#"{{"type":"Feature","properties":{{"Name":"a"}},"geometry":{line}}}"#);
    insta::assert_snapshot!(told(&feature), @r#"track / (13.5 46.5 z900) (13.6 46.5) = "a""#);
    let collection = format!(
        r#"{{"type":"GeometryCollection","geometries":[{multi},{{"type":"Point","coordinates":[1,1]}},{line}]}}"#
    );
    insta::assert_snapshot!(told(&collection), @"track / (1 2) (3 4) / / (5 6) / (13.5 46.5 z900) (13.6 46.5) = none");
    let all = format!(
        r#"{{"crs":{{"type":"name"}},"type":"FeatureCollection","features":[{feature},
            {{"type":"Feature","geometry":null,"properties":null}},
            {{"geometry":{line},"type":"Feature","properties":{{"title":7,"name":" "}}}}]}}"#
    );
    insta::assert_snapshot!(told(&all), @r#"
    track / (13.5 46.5 z900) (13.6 46.5) = "a"
    track / (13.5 46.5 z900) (13.6 46.5) = "7"
    "#);
}

#[test]
fn a_third_number_is_an_elevation_and_null_is_none() {
    let line = |coordinates: &str| {
        let first = format!(r#"{{"type":"LineString","coordinates":{coordinates}}}"#);
        let last = format!(r#"{{"coordinates":{coordinates},"type":"LineString"}}"#);
        assert_eq!(told(&first), told(&last));
        told(&first)
    };
    insta::assert_snapshot!(line("[[1,2,0],[3,4],[5,6,-7.5,1e9],[7,8,null]]"), @"track / (1 2 z0) (3 4) (5 6 z-7.5) (7 8) = none");
    insta::assert_snapshot!(error(br#"{"type":"LineString","coordinates":[[1,2,1e13]]}"#), @"1:46: z 10000000000000 is not a number between -2^40 and 2^40");
}

#[test]
fn the_type_may_come_last() {
    insta::assert_snapshot!(told(r#"{"coordinates":[[1,2,3],[3,4]],"type":"LineString"}"#), @"track / (1 2 z3) (3 4) = none");
    insta::assert_snapshot!(told(r#"{"coordinates":[[[1,2]],[[3,4]]],"type":"MultiLineString"}"#), @"track / (1 2) / (3 4) = none");
    insta::assert_snapshot!(error(br#"{"coordinates":[[1,2]],"type":"MultiLineString"}"#), @"1:48: the coordinates are not nested as the type says");
    insta::assert_snapshot!(error(br#"{"coordinates":[[1,2],[3]],"type":"LineString"}"#), @"1:47: a position with fewer than two numbers");
    let long =
        format!(r#"{{"coordinates":[{}[1,2]],"type":"LineString"}}"#, "[1,2],".repeat(1 << 20));
    insta::assert_snapshot!(error(long.as_bytes()), @r#"1:6291471: coordinates before their "type" must be kept, and these are too many; write "type" first"#);
}

#[test]
fn errors_tell_the_place() {
    let line = |rest: &str| {
        error(format!("{{\"type\":\"LineString\",\n \"coordinates\":[{rest}").as_bytes())
    };
    insta::assert_snapshot!(line("[1,2],\n[1,91]]}"), @"3:6: latitude 91 is not between -90 and 90 degrees");
    insta::assert_snapshot!(line("[1,2],\n[1]]}"), @"3:3: a position with fewer than two numbers");
    insta::assert_snapshot!(line("[1,\"2\"]]}"), @r#"2:22: invalid type: string "2", expected f64"#);
    insta::assert_snapshot!(line("1,2]}"), @"2:18: invalid type: integer `1`, expected a position, [longitude, latitude]");
    insta::assert_snapshot!(line("[1,NaN]]}"), @"2:20: not JSON: expected value");
    insta::assert_snapshot!(line("[1,1e999]]}"), @"2:25: not JSON: number out of range");
    insta::assert_snapshot!(line("[1,2],["), @"2:23: the file ends in the middle: it was cut short");
    insta::assert_snapshot!(line("[1,2]]} {}"), @"2:25: more follows the end of the JSON text; newline-delimited GeoJSON is not read: put its features into one FeatureCollection");
    insta::assert_snapshot!(error(b"[1]"), @"1:2: invalid type: sequence, expected a GeoJSON object");
    insta::assert_snapshot!(error(br#"{"a":1}"#), @r#"1:7: an object without a "type"; this is not GeoJSON"#);
    insta::assert_snapshot!(error(br#"{"type":"Topology"}"#), @r#"1:19: the type "Topology" is not GeoJSON, or not here"#);
    insta::assert_snapshot!(error(br#"{"type":"LineString"}"#), @r#"1:21: a line without "coordinates""#);
    insta::assert_snapshot!(error(br#"{"type":"FeatureCollection","features":[{"type":"Point"}]}"#), @"1:56: a FeatureCollection holds something that is no Feature");
}

#[test]
fn what_has_no_line_says_so() {
    insta::assert_snapshot!(error(br#"{"type":"FeatureCollection","features":[]}"#), @"this GeoJSON has nothing to measure: it holds no LineString and no MultiLineString");
    insta::assert_snapshot!(error(br#"{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}"#), @"this GeoJSON has nothing to measure: it holds points or polygons (1) but no line");
}

#[test]
fn nothing_grows_without_bound() {
    let long = "9".repeat(5 << 20);
    for file in [format!("{{\"a\":\"{long}"), format!("{{\"a\":{long}"), format!("{{\"{long}\":1")]
    {
        assert!(
            error(file.as_bytes())
                .ends_with("a string or number is longer than 4 MiB; take it out")
        );
    }
    insta::assert_snapshot!(error(format!("{{\"a\":{}", "[".repeat(1 << 20)).as_bytes()), @"1:132: lists and objects are nested more than 128 deep");
    insta::assert_snapshot!(error("[".repeat(1 << 20).as_bytes()), @"1:2: invalid type: sequence, expected a GeoJSON object");
}
