//! Tests of columns with geometries.

use super::super::super::tests::{error, texts};

#[test]
fn a_row_with_a_line_is_a_track() {
    let file = "id;name;geometry\n1;a;LINESTRING (1 2, 3 4)\n2;b;MULTILINESTRING ((5 6 7, 8 9 10), (0 0, 0 1))\n3;;\"SRID=4326;LINESTRING (1 1, 2 2)\"\n4;c;\n";
    insta::assert_snapshot!(texts(file), @r#"
    track / (1 2) (3 4) = "a"
    track / (5 6 z7) (8 9 z10) / (0 0) (0 1) = "b"
    track / (1 1) (2 2) = none
    skipped_lines, line 5, column 3: 1 line is skipped: the row has no geometry
    "#);
    insta::assert_snapshot!(texts("wkt,trip_id\n\"LINESTRING (1 2, 3 4)\",7\n\"LINESTRING (1 2, 3\",8\nnone,9\n"), @r#"
    track / (1 2) (3 4) = "7"
    track / (1 2) (invalid) = "8"
    invalid_position, line 3, column 1: 1 point without a valid position is skipped: the text ends within a geometry, in the column "wkt"
    skipped_lines, line 4, column 1: 1 line is skipped: this is not a geometry, in the column "wkt"
    "#);
}

#[test]
fn rows_with_points_are_points_of_a_track() {
    insta::assert_snapshot!(texts("time,device,the_geom\n1,a,POINT (1 2)\n1,b,POINT (5 6)\n2,a,POINT Z (3 4 5)\n3,a,POINT EMPTY\n4,a,POINT (7 8)\n"), @r#"
    track / (1 2 t1) (3 4 z5 t2) (7 8 t4) = "a"
    track / (5 6 t1) = "b"
    assumed_notation, line 2, column 1: numbers such as "1" are read as times since 1970, here 1 s; if they count from another time, only their differences are right
    grouped_rows, -: the rows are divided into tracks by the column "device"; use --track-column none to read one track
    "#);
    // Columns of coordinates are used first.
    insta::assert_snapshot!(texts("lat,lon,geometry\n1,2,x\n"), @"track / (2 1) = none");
    insta::assert_snapshot!(error(b"id,geometry\n1,x\n"), @"this CSV has nothing to measure: none of its rows has a line or a point");
}

/// The example of the documentation of the encoding: (38.5, -120.2), (40.7, -120.95), (43.252, -126.453).
#[test]
fn encoded_polylines_are_tracks() {
    insta::assert_snapshot!(texts("name,polyline\nride,_p~iF~ps|U_ulLnnqC_mqNvxq`@\nhole,\n"), @r#"
    track / (-120.2 38.5) (-120.95 40.7) (-126.453 43.252) = "ride"
    assumed_notation, line 2, column 2: encoded polylines do not state their precision; 5 decimal places are assumed, and with 6 the path is 10 times shorter
    skipped_lines, line 3, column 2: 1 line is skipped: the row has no geometry
    "#);
}

/// The layout of the taxis of Porto.
#[test]
fn a_list_of_positions_is_a_track() {
    insta::assert_snapshot!(texts("TRIP_ID,TAXI_ID,TIMESTAMP,POLYLINE\n7,1,1372636858,\"[[-8.5,41.25],[-8.25,41.5]]\"\n8,1,1372636859,\"[]\"\n9,2,1372636860,\"[[-8.5,41.25],[null,1],[-8.25,41.5,3]]\"\n10,2,1372636861,\"[[-8.5,41.25],[\"\n11,2,1372636862,\"[1,2]\"\n"), @r#"
    track / (-8.5 41.25) (-8.25 41.5) = "7"
    track / (-8.5 41.25) (invalid) (-8.25 41.5 z3) = "9"
    invalid_position, line 4, column 4: 1 point without a valid position is skipped: "[null,1]" in the list is not a position with two numbers, in the column "POLYLINE"
    assumed_notation, line 2, column 4: a list of positions is read with the longitude before the latitude (2 times)
    skipped_lines, line 3, column 4: 3 lines are skipped; the first one: the row has no geometry
    "#);
    insta::assert_snapshot!(texts("id,geometry\n1,\"[[2,1],[3,1]]\"\n2,\"LINESTRING(5 6, 7 8)\"\n"), @r#"
    track / (2 1) (3 1) = "1"
    track / (5 6) (7 8) = "2"
    assumed_notation, line 2, column 2: a list of positions is read with the longitude before the latitude
    "#);
    let deep = "[".repeat(100_000);
    assert!(
        texts(&format!("id,geometry\n1,\"[[2,1],[3,1]]\"\n2,\"{deep}\"\n"))
            .contains("skipped_lines")
    );
}
