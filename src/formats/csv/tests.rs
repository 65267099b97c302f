//! Tests of the table reader: what it passes to the sink, its remarks and its errors.

use proptest::prelude::*;

use super::super::options::TrackColumn;
use super::super::read as read_all;
use super::super::tests::{Recorded, error, error_with, texts, texts_with};
use super::problem::TRACKS_MAX;
use super::*;
use crate::measure::Space;

fn by(track: &str, segment: &str) -> ReadOptions {
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    ReadOptions {
        track_column: name(track).map_or(TrackColumn::None, TrackColumn::Named),
        segment_column: name(segment),
        ..Default::default()
    }
}

#[test]
fn columns_and_delimiter_are_found() {
    let expected = "track / (13.5 46.5) (13.6 46.5) = none\n";
    for file in [
        "lat,lon\n46.5,13.5\n46.5,13.6\n",
        "when;LONGITUDE;Latitude (deg)\r\n0;13.5;46.5\r\n1;13.6;46.5",
        "\"Lng\"\t\"location-lat\"\r13.5\t46.5\r13.6\t46.5\r",
        "\n\n x | y | lat,lon\n 13.5 | 46.5 |\n\n1.36e1|+46.5|\n",
        "x,y,lon,lat\n0,0,13.5,46.5\n0,0,13.6,46.5,,\n",
        "\"lat\n\n(deg)\";\"lon (deg)\"\n46.5;13.5\n46.5;13.6\n",
        "\u{feff}\"GPS\r\nlatitude\"\t\"\r\n\r\nLon\r\n\"\r\n46.5\t13.5\r\n46.5\t13.6",
        "\u{feff}\"a\nb\",lat,long\n\"1\n2\",\"46.5\",13.5\n3,46.5,13.6\n",
    ] {
        assert_eq!(texts(file), expected, "{file:?}");
    }
    let planar = ReadOptions { space: Space::Planar, ..Default::default() };
    insta::assert_snapshot!(texts_with("lat,lon,x,y\n0,0,1,2\n", &planar), @"track / (1 2) = none");
    let named = ReadOptions {
        x_column: Some("East".into()),
        y_column: Some("north".into()),
        delimiter: Some(b' '),
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with("north east lat lon\n1 2 3 4\n", &named), @"track / (2 1) = none");
}

#[test]
fn rows_are_grouped_into_tracks_and_segments() {
    let file = "who,part,lat,lon\nb,1,0,0\na,1,0,1\nb,1,0,2\nb,2,0,3\na,1,0,4\n,1,0,5\n";
    insta::assert_snapshot!(texts_with(file, &by("who", "part")), @r#"
    track / (0 0) (2 0) / (3 0) = "b"
    track / (1 0) (4 0) = "a"
    track / (5 0) = none
    "#);
    insta::assert_snapshot!(texts_with(file, &by("", "who")), @"track / (0 0) / (1 0) / (2 0) (3 0) / (4 0) / (5 0) = none");
}

#[test]
fn errors_have_the_line_the_field_and_the_column_name() {
    let row = |row: &str| error(format!("t,lat,lon\r\n\r\n\"a\r\nb\",1,2\r\n\r\n{row}").as_bytes());
    insta::assert_snapshot!(row("0,91,0"), @r#"6:2: latitude 91 is not between -90 and 90 degrees, in the column "lat""#);
    insta::assert_snapshot!(row("0,1,NaN\n"), @r#"6:3: longitude NaN is not a finite number, in the column "lon""#);
    insta::assert_snapshot!(row("0,1,-inf\n"), @r#"6:3: longitude -inf is not a finite number, in the column "lon""#);
    insta::assert_snapshot!(row("0, ,0\n"), @r#"6:2: the latitude is blank, in the column "lat""#);
    insta::assert_snapshot!(row("0,N46,0\n"), @r#"6:2: the latitude "N46" is not a number, in the column "lat""#);
    insta::assert_snapshot!(row("0,\"46,5\",0\n"), @r#"6:2: the latitude "46,5" has a decimal comma; write a decimal point, in the column "lat""#);
    insta::assert_snapshot!(row("0,46,5,13,5\n"), @"6:4: the row has 5 fields but there are 3 column names; check the delimiter, and that numbers have decimal points, not commas");
    insta::assert_snapshot!(row("\"x\ny\",46\n"), @r#"6:2: the row has 2 of 3 fields; the column "lon" is missing"#);
}

#[test]
fn a_column_with_line_breaks_in_its_name_can_be_named() {
    let named = |name: &str| ReadOptions { y_column: Some(name.into()), ..Default::default() };
    let file = "\"North\r\n\r\n(m)\",lon\r\n1,2\r\n";
    for name in ["North\n\n(m)", "north (m)"] {
        insta::allow_duplicates! { insta::assert_snapshot!(texts_with(file, &named(name)), @"track / (2 1) = none"); }
    }
    insta::assert_snapshot!(error(file.as_bytes()), @r#"no column for the latitude in the first row, which has "North\n\n(m)", "lon" (split at ','); name it latitude, or choose a column with --y-column"#);
}

proptest! {
    /// Quoted fields with line breaks, delimiters and quotes, anywhere in the header and in the rows.
    #[test]
    fn line_breaks_in_quotes_change_no_fix_and_no_position(
        names in prop::collection::vec("[a;\t\n\"]{0,6}", 0..4),
        at in any::<prop::sample::Index>(),
        unit in "\n{0,3}(\\([a\n]{0,3}\\))?",
        row_count in 1..4_usize,
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|']),
    ) {
        // Quoted names that are not names of a column that is used.
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let row = |at: usize, fields: [&str; 2]| {
            let mut row: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            row.insert(at, fields.map(quoted).join(&delimiter.to_string()));
            row.join(&delimiter.to_string()) + "\n"
        };
        let at = at.index(names.len() + 1);
        let header = row(at, [&format!("lat{unit}"), "lon"]);
        let good = row(at, ["46.5", "13.5"]).repeat(row_count);
        let bad = row(at, ["91", "0"]);
        let line = (header.clone() + &good).matches('\n').count() + 1;
        let file = |text: String| text.replace('\n', line_end);

        let expected = format!("track /{} = none\n", " (13.5 46.5)".repeat(row_count));
        prop_assert_eq!(texts(&file(header.clone() + &good)), expected);
        let error = error(file(header + &good + &bad).as_bytes());
        let expected = format!("{line}:{}: latitude 91 is not between", at + 1);
        prop_assert!(error.starts_with(&expected), "{} {}", expected, error);
    }
}

#[test]
fn a_missing_column_is_an_error() {
    insta::assert_snapshot!(error(b"46.5,13.5\n46.5,13.6\n"), @r#"no column for the latitude in the first row, which has "46.5", "13.5" (split at ','); name it latitude, or choose a column with --y-column"#);
    insta::assert_snapshot!(error(b"lat\tnorth\n"), @r#"no column for the longitude in the first row, which has "lat", "north" (split at tabs); name it longitude, or choose a column with --x-column"#);
    insta::assert_snapshot!(error_with(b"lat,lon\n1,1\n", &by("who", "")), @r#"no column named "who" in the first row, which has "lat", "lon" (split at ','); use one of these with --track-column"#);
    insta::assert_snapshot!(error(b"lat,lon\n"), @"this CSV has nothing to measure: it has column names but no rows");
}

#[test]
fn sizes_and_counts_are_limited() {
    let open = format!("lat,lon\n1,2\n\"1{}", ",2\n".repeat(1 << 20));
    insta::assert_snapshot!(error(open.as_bytes()), @"3: the row that starts here is longer than 1 MiB; is a quote not closed?");
    let many: String = (0..=TRACKS_MAX).map(|track| format!("{track},1,1\n")).collect();
    insta::assert_snapshot!(error_with(format!("who,lat,lon\n{many}").as_bytes(), &by("who", "")), @"100002: more than 100000 tracks in one file; split it, or check --track-column");
    let long = format!("who,lat,lon\n{},1,1\n", "x".repeat(300));
    insta::assert_snapshot!(error_with(long.as_bytes(), &by("who", "")), @r#"2:1: a value in the column "who" is longer than 256 bytes; use shorter names for tracks and segments"#);
}

#[test]
fn the_size_of_a_table_is_not_limited() {
    let note = "x".repeat(1000);
    let table = "lat,lon,note\n".to_owned() + &format!("46.5,13.5,{note}\n").repeat(3000);
    assert_eq!(texts(&table).matches("(13.5 46.5)").count(), 3000);
}

#[test]
fn a_column_that_may_identify_tracks_causes_a_remark() {
    let file = "lat,lon,trip\n1,2,3\n";
    insta::assert_snapshot!(remarked(file, &by("", "")), @r#"
    track / (2 1) = none
    all rows are read as one track; if the column "trip" identifies tracks, add --track-column "trip"
    "#);
    for options in [by("trip", ""), by("", "trip")] {
        assert!(!remarked(file, &options).contains("--track-column"));
    }
}

/// Returns the tracks and the remarks of a file.
fn remarked(file: &str, options: &ReadOptions) -> String {
    let mut notes = Recorded::default();
    read_all(file.as_bytes(), options, &mut notes).unwrap();
    notes.ended.concat() + &notes.notes.concat()
}

#[test]
fn times_elevations_and_accuracies_are_found_and_may_be_missing() {
    let file = "lat,lon,Altitude (m),timestamp,hAcc\n1,2,37.5,1970-01-01 00:00:01,4\n1,2,,,\n1,2,0,2.5\n1,2,nan,null,n/a";
    insta::assert_snapshot!(texts(file), @"track / (2 1 z37.5 t1 a4) (2 1) (2 1 z0 t2.5) (2 1) = none");
    // A column in feet is ignored, and a column is not used twice.
    let vertical =
        ReadOptions { space: Space::Planar, y_column: Some("z".into()), ..Default::default() };
    insta::assert_snapshot!(texts_with("x,z\n1,2\n", &vertical), @"track / (1 2) = none");
    insta::assert_snapshot!(texts("lat,lon,alt (ft),time_ms,z\n1,2,9,1500,3\n"), @"track / (2 1 z3 t1.5) = none");
    insta::assert_snapshot!(texts("lat,lon,alt (ft),Time [ms]\n1,2,9,1500\n"), @"track / (2 1 t1.5) = none");
    let planar = ReadOptions {
        space: Space::Planar,
        y_column: Some("z".into()),
        time_column: Some("when_s".into()),
        accuracy_column: Some("error".into()),
        z_column: Some("height".into()),
        ..Default::default()
    };
    insta::assert_snapshot!(texts_with("x,z,height,when_s,error\n1,2,3,4e9,5\n", &planar), @"track / (1 2 z3 t4000000000 a5) = none");
}

#[test]
fn a_guessed_column_with_an_invalid_value_is_ignored_with_a_remark() {
    let file = "lat,lon,time,z,accuracy\n1,2,,-,\n1,2,09:12:40,1,good\n1,2,x,y,z\n";
    insta::assert_snapshot!(remarked(file, &ReadOptions::default()), @r#"
    track / (2 1) (2 1) (2 1) = none
    the column "z" is ignored: the elevation "-" is not a number
    the column "time" is ignored: the time "09:12:40" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970
    the column "accuracy" is ignored: the accuracy "good" is not a number
    "#);
    // A date without separators is not a time.
    insta::assert_snapshot!(remarked("lat,lon,time\n1,2,20240518091240\n", &ReadOptions::default()), @r#"
    track / (2 1) = none
    the column "time" is ignored: time 20240518091 s since 1970 is not in the years 1678 to 2261
    "#);
}

#[test]
fn an_invalid_value_in_a_named_or_used_column_is_an_error() {
    let named = ReadOptions { time_column: Some("when".into()), ..Default::default() };
    insta::assert_snapshot!(error_with(b"lat,lon,when\n1,2,noon\n", &named), @r#"2:3: the time "noon" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970, in the column "when""#);
    insta::assert_snapshot!(error_with(b"lat,lon,when\n1,2,9223372036\n", &named), @r#"2:3: time 9223372036 s since 1970 is not in the years 1678 to 2261, in the column "when""#);
    insta::assert_snapshot!(error(b"lat,lon,time\n1,2,1\n1,2,noon\n"), @r#"3:3: the time "noon" is not like 2024-05-18T09:12:40Z or a number of seconds since 1970, in the column "time""#);
    insta::assert_snapshot!(error(b"lat,lon,ele\n1,2,1\n1,2,3;4\n"), @r#"3:3: the elevation "3;4" is not a number, in the column "ele""#);
    insta::assert_snapshot!(error(b"lat,lon,ele,accuracy\n1,2,inf,1\n"), @r#"2:3: z inf is not a number between -2^40 and 2^40, in the column "ele""#);
    insta::assert_snapshot!(error(b"lat,lon,ele,accuracy\n1,2,1,-1\n"), @r#"2:4: accuracy_m -1 is not a number from 0 to 2^40, in the column "accuracy""#);
    insta::assert_snapshot!(error_with(b"lat,lon,time\n1,2,1\n", &named), @r#"no column named "when" in the first row, which has "lat", "lon", "time" (split at ','); use one of these with --time-column"#);
}
