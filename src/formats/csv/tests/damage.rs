//! Tests of repeated names, blank lines, long rows, padding, and coordinates that are not degrees.

use super::super::super::tests::{error, texts};
use super::super::splitter::{GEOMETRY_ROW_BYTES_MAX, ROW_BYTES_MAX};

#[test]
fn repeated_column_names_start_a_segment() {
    insta::assert_snapshot!(texts("lat,lon\n48,11\n49,11\nlat,lon\n50,12\n51,12\nLAT , Lon\n52,12\n53,12\n"), @r"
    track / (11 48) (11 49) / (12 50) (12 51) / (12 52) (12 53) = none
    skipped_lines, line 4: 2 lines are skipped; the first one: it repeats the column names; a segment starts after it
    ");
    insta::assert_snapshot!(error(b"lat,lon\n48,11\nlon,lat\n11,48\n"), @"3: the column names are repeated here in another order; split the file in front of them");
    // Each track has its segments.
    insta::assert_snapshot!(texts("trip,lat,lon\na,1,1\nb,2,2\na,1,1\nb,2,2\ntrip,lat,lon\na,1,3\nb,2,4\na,1,3\nb,2,4\n"), @r#"
    track / (1 1) (1 1) / (3 1) (3 1) = "a"
    track / (2 2) (2 2) / (4 2) (4 2) = "b"
    grouped_rows, -: the rows are divided into tracks by the column "trip"; use --track-column none to read one track
    skipped_lines, line 6: 1 line is skipped: it repeats the column names; a segment starts after it
    "#);
    insta::assert_snapshot!(texts("lat,h,lon,latH\n1,,2,S\n1,,2,S\nlat,h,lon,latH\n1,,2,S\n1,,2,S\n"), @r"
    track / (2 -1) (2 -1) / (2 -1) (2 -1) = none
    skipped_lines, line 4: 1 line is skipped: it repeats the column names; a segment starts after it
    ");
}

#[test]
fn blank_lines_between_rows_are_noted() {
    insta::assert_snapshot!(texts("lat,lon\n\n48,11\n49,11\n\n\n50,12\n\n"), @r"
    track / (11 48) (11 49) (12 50) = none
    skipped_lines, line 5: 1 line is skipped: it is blank; the rows before and after it are joined
    ");
}

#[test]
fn a_row_that_is_too_long_is_skipped() {
    let long = "x".repeat(ROW_BYTES_MAX + (70 << 10));
    let note = "skipped_lines, line 3: 1 line is skipped: it is longer than 1 MiB, or 8 MiB in a table with geometries\n";
    for row in [format!("3,4,{long}"), format!("\"3\",4,{long}")] {
        let file = format!("lat,lon,name\n1,2,a\n{row}\n5,6,b\n");
        assert_eq!(texts(&file), format!("track / (2 1) (6 5) = none\n{note}"));
    }
}

#[test]
fn a_geometry_may_have_several_mebibytes() {
    let count = 400_000;
    let points = (0..count).map(|at| format!("{} 1", at % 100)).collect::<Vec<_>>().join(",");
    let file = format!("id;wkt\n1;LINESTRING ({points})\n");
    assert!(file.len() > ROW_BYTES_MAX);
    assert_eq!(texts(&file).matches(" 1)").count(), count);
    let long = "0 0,".repeat(GEOMETRY_ROW_BYTES_MAX / 4 + (70 << 10));
    let file = format!("id;wkt\n1;LINESTRING ({long}1 1)\n2;LINESTRING (1 1,2 2)\n");
    let text = texts(&file);
    assert!(text.starts_with("track / (1 1) (2 2) = "), "{}", text.get(..200).unwrap_or(&text));
    assert!(text.contains("skipped_lines, line 2: "));
}

#[test]
fn padding_after_the_last_value_costs_no_point() {
    let note = "ignored_content, line 3: NUL bytes at the end of a row are ignored\n";
    for (end, note) in
        [("\0\0\0", note), ("\x1a", ""), ("\n\x1a", ""), ("\r\n\x1a\0", ""), ("\x1a\0\0", note)]
    {
        for row in ["3,4", "3,\"4\""] {
            let text = texts(&format!("lat,lon\n1,2\n{row}{end}"));
            assert!(text.starts_with("track / (2 1) (4 3) = none\n"), "{end:?}: {text}");
            assert!(text.contains(note), "{end:?}: {text}");
        }
    }
    // A file of a fixed size, whose rest was never written.
    let text = texts(&format!("lat,lon\n1,2\n3,4{}", "\0".repeat(3 << 20)));
    assert!(text.starts_with("track / (2 1) (4 3) = none\n"), "{text}");
    assert!(text.contains("NUL bytes"), "{text}");
}

#[test]
fn a_wide_row_counts_for_its_own_track() {
    insta::assert_snapshot!(texts("trip,lat,lon\na,1,2\nb,3,4\na,1,2,x\nc,1,2,x\na,1,2\nc,5,6\nb,1,1\nb,1,1\n"), @r#"
    track / (2 1) (invalid) (2 1) = "a"
    track / (4 3) (1 1) (1 1) = "b"
    track (invalid) / (6 5) = "c"
    invalid_position, line 4, column 4: 1 point without a valid position is skipped: the row has 4 fields but there are 3 columns; check the delimiter, and that numbers have decimal points, not commas
    invalid_position, line 5, column 4: 1 point without a valid position is skipped: the row has 4 fields but there are 3 columns; check the delimiter, and that numbers have decimal points, not commas
    grouped_rows, -: the rows are divided into tracks by the column "trip"; use --track-column none to read one track
    "#);
    // The values after the coordinates may be in the wrong columns.
    insta::assert_snapshot!(texts("lat,lon,trip\n1,2,a\n3,4,b\n3,5,4,5,a\n1,2,a,x\n3,4,b\n1,2,a\n1,2,a\n"), @r#"
    track / (2 1) (invalid) (2 1) (2 1) = "a"
    track / (4 3) (invalid) (4 3) = "b"
    invalid_position, line 5, column 4: 1 point without a valid position is skipped: the row has 4 fields but there are 3 columns; check the delimiter, and that numbers have decimal points, not commas
    invalid_position, line 4, column 4: 1 point without a valid position is skipped: the row has 5 fields but there are 3 columns; check the delimiter, and that numbers have decimal points, not commas
    grouped_rows, -: the rows are divided into tracks by the column "trip"; use --track-column none to read one track
    "#);
}

#[test]
fn coordinates_that_are_not_degrees_are_an_error() {
    insta::assert_snapshot!(error(b"lon,lat\n691000.5,5334000\n691001,5334001\n"), @"2:2: no position is in degrees: these look like projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84");
    insta::assert_snapshot!(error(b"lat,lon\n481234567,111234567\n481234568,111234567\n"), @"2:1: no position is in degrees: these look like whole numbers of 1e-7 degrees; name the columns latitudeE7 and longitudeE7, or convert the file to degrees");
    insta::assert_snapshot!(error(b"lat,lon\n4807.038,01131.000\n4807.138,01131.100\n"), @"2:1: no position is in degrees: these look like degrees and minutes, as 4807.038 for 48° 07.038'; add the hemisphere N, S, E or W to each value, or convert the file to degrees");
    insta::assert_snapshot!(error(b"id;wkt\n1;LINESTRING (691000.5 5334000, 691001 5334001)\n"), @"2:2: no position is in degrees: these look like projected coordinates; use --model planar to measure in their plane, or convert the file to WGS 84");
    assert!(
        error(b"LINESTRING (691000.5 5334000, 691001 5334001)\n")
            .contains("these look like projected coordinates")
    );
    // Not in the first 16 positions.
    let mut many = "lat,lon\n".to_owned() + &"5334000.5,691000\n".repeat(16);
    many += "48,11\n";
    assert!(error(many.as_bytes()).contains("these look like projected coordinates"));
    // One position in degrees.
    let one = texts("lat,lon\n5334000.5,691000\n48,11\n");
    assert!(one.starts_with("track (invalid) / (11 48) = none\n"), "{one}");
}

#[test]
fn polylines_of_a_column_have_one_precision() {
    // The first line is the example of the format. The second one has 10 N 100 E and 11 N 101 E in six places, and
    // is out of range with five.
    let five = texts("id,polyline\n1,_p~iF~ps|U_ulLnnqC\n");
    assert!(five.contains("(-120.2 38.5) (-120.95 40.7)"), "{five}");
    let both = texts("id,polyline\n1,_p~iF~ps|U_ulLnnqC\n2,_gjaR_oov}D_c`|@_c`|@\n");
    assert!(
        both.starts_with(
            "track / (-12.02 3.85) (-12.095 4.07) = \"1\"\ntrack / (100 10) (101 11) = \"2\"\n"
        ),
        "{both}"
    );
    assert!(both.contains("6 decimal places are assumed"), "{both}");
    assert!(!both.contains("5 decimal places are assumed"), "{both}");
}

#[test]
fn lines_next_to_coordinates_are_noted() {
    insta::assert_snapshot!(texts("lat,lon,geometry\n1,2,\"LINESTRING (1 2, 3 4)\"\n"), @r#"
    track / (2 1) = none
    ignored_column, -: the column "geometry" is ignored: the positions are in other columns, and it has lines
    "#);
    insta::assert_snapshot!(texts("lat,lon,geometry\n1,2,POINT (2 1)\n"), @"track / (2 1) = none");
}
