//! What the table reader tells, and how it complains.

use super::super::tests::{error, error_with, told, told_with};
use super::*;

fn by(track: &str, segment: &str) -> ReadOptions {
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    ReadOptions { track_column: name(track), segment_column: name(segment), ..Default::default() }
}

#[test]
fn columns_and_delimiter_are_found() {
    let expected = "track / (13.5 46.5) (13.6 46.5) = none\n";
    for file in [
        "lat,lon\n46.5,13.5\n46.5,13.6\n",
        "time;LONGITUDE;Latitude (deg)\r\n0;13.5;46.5\r\n1;13.6;46.5",
        "\"Lng\"\t\"location-lat\"\r13.5\t46.5\r13.6\t46.5\r",
        "\n\n x | y | lat,lon\n 13.5 | 46.5 |\n\n1.36e1|+46.5|\n",
        "x,y,lon,lat\n0,0,13.5,46.5\n0,0,13.6,46.5,,\n",
        "\u{feff}\"a\nb\",lat,long\n\"1\n2\",\"46.5\",13.5\n3,46.5,13.6\n",
    ] {
        assert_eq!(told(file), expected, "{file:?}");
    }
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(told_with("lat,lon,x,y\n0,0,1,2\n", &planar), @"track / (1 2) = none");
    let named = ReadOptions {
        x_column: Some("East".into()),
        y_column: Some("north".into()),
        delimiter: Some(b' '),
        ..Default::default()
    };
    insta::assert_snapshot!(told_with("north east lat lon\n1 2 3 4\n", &named), @"track / (2 1) = none");
}

#[test]
fn rows_are_grouped_into_tracks_and_segments() {
    let file = "who,part,lat,lon\nb,1,0,0\na,1,0,1\nb,1,0,2\nb,2,0,3\na,1,0,4\n,1,0,5\n";
    insta::assert_snapshot!(told_with(file, &by("who", "part")), @r#"
    track / (0 0) (2 0) / (3 0) = "b"
    track / (1 0) (4 0) = "a"
    track / (5 0) = none
    "#);
    insta::assert_snapshot!(told_with(file, &by("", "who")), @"track / (0 0) / (1 0) / (2 0) (3 0) / (4 0) / (5 0) = none");
}

#[test]
fn errors_tell_line_field_and_column() {
    let row = |row: &str| error(format!("t,lat,lon\r\n\r\n\"a\r\nb\",1,2\r\n\r\n{row}").as_bytes());
    insta::assert_snapshot!(row("0,91,0"), @r#"6:2: latitude 91 is not between -90 and 90 degrees, in the column "lat""#);
    insta::assert_snapshot!(row("0,1,NaN\n"), @r#"6:3: longitude NaN is not a finite number, in the column "lon""#);
    insta::assert_snapshot!(row("0,1,-inf\n"), @r#"6:3: longitude -inf is not a finite number, in the column "lon""#);
    insta::assert_snapshot!(row("0, ,0\n"), @r#"6:2: the latitude is blank, in the column "lat""#);
    insta::assert_snapshot!(row("0,N46,0\n"), @r#"6:2: the latitude "N46" is not a number, in the column "lat""#);
    insta::assert_snapshot!(row("0,\"46,5\",0\n"), @r#"6:2: the latitude "46,5" has a decimal comma; write a decimal point, in the column "lat""#);
    insta::assert_snapshot!(row("0,46,5,13,5\n"), @"6:4: the row has 5 fields but there are 3 column names; check the delimiter, and that numbers have decimal points, not commas");
    insta::assert_snapshot!(row("\"x\ny\",46\n"), @r#"6:2: the row has 2 of 3 fields and none in the column "lon""#);
}

#[test]
fn a_header_that_does_not_do_says_what_is_missing() {
    insta::assert_snapshot!(error(b"46.5,13.5\n46.5,13.6\n"), @r#"no column for the latitude in the first line, which has "46.5", "13.5" (split at ','); name it latitude or the like, or say which with --y-column"#);
    insta::assert_snapshot!(error(b"lat\tnorth\n"), @r#"no column for the longitude in the first line, which has "lat", "north" (split at tabs); name it longitude or the like, or say which with --x-column"#);
    insta::assert_snapshot!(error_with(b"lat,lon\n1,1\n", &by("who", "")), @r#"no column named "who" in the first line, which has "lat", "lon" (split at ','); give --track-column one of these"#);
    insta::assert_snapshot!(error(b"lat,lon\n"), @"this CSV has nothing to measure: it has column names but no rows");
}

#[test]
fn nothing_grows_without_bound() {
    let open = format!("lat,lon\n1,2\n\"1{}", ",2\n".repeat(1 << 20));
    insta::assert_snapshot!(error(open.as_bytes()), @"3: a row that starts here is longer than 1 MiB; is a quote left open?");
    let many: String = (0..=TRACKS_MAX).map(|track| format!("{track},1,1\n")).collect();
    insta::assert_snapshot!(error_with(format!("who,lat,lon\n{many}").as_bytes(), &by("who", "")), @"100002: more than 100000 tracks in one file; split it, or check --track-column");
    let long = format!("who,lat,lon\n{},1,1\n", "x".repeat(300));
    insta::assert_snapshot!(error_with(long.as_bytes(), &by("who", "")), @r#"2:1: a value in the column "who" is longer than 256 bytes; tracks and segments need short names"#);
}
