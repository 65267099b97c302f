//! Tests of columns with geometries.

use super::super::super::tests::{error, texts};

#[test]
fn a_row_with_a_line_is_a_track() {
    let file = "id;name;geometry\n1;a;LINESTRING (1 2, 3 4)\n2;b;MULTILINESTRING ((5 6 7, 8 9 10), (0 0, 0 1))\n3;;SRID=4326;LINESTRING EMPTY\n4;c;\n";
    insta::assert_snapshot!(texts(file), @"");
    insta::assert_snapshot!(texts("wkt,trip_id\n\"LINESTRING (1 2, 3 4)\",7\n\"LINESTRING (1 2, 3\",8\nnone,9\n"), @"");
}

#[test]
fn rows_with_points_are_points_of_a_track() {
    insta::assert_snapshot!(texts("time,device,the_geom\n1,a,POINT (1 2)\n1,b,POINT (5 6)\n2,a,POINT Z (3 4 5)\n3,a,POINT EMPTY\n4,a,POINT (7 8)\n"), @"");
    // Columns of coordinates are used first.
    insta::assert_snapshot!(texts("lat,lon,geometry\n1,2,x\n"), @"");
    insta::assert_snapshot!(error(b"id,geometry\n1,x\n"), @"");
}

/// The example of the documentation of the encoding: (38.5, -120.2), (40.7, -120.95), (43.252, -126.453).
#[test]
fn encoded_polylines_are_tracks() {
    insta::assert_snapshot!(texts("name,polyline\nride,_p~iF~ps|U_ulLnnqC_mqNvxq`@\nhole,\n"), @"");
}
