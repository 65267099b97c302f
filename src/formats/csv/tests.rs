//! Tests of the table reader: what it passes to the sink, its remarks and its errors.

use proptest::prelude::*;

use super::super::options::TrackColumn;
use super::super::tests::{error, error_with, texts, texts_with};
use super::tracks::TRACKS_MAX;
use super::*;
use crate::measure::Space;

mod damage;
mod geometry;
mod hemispheres;
mod layout;
mod times;
mod values;

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
        "what;LONGITUDE;Latitude (deg)\r\n0;13.5;46.5\r\n1;13.6;46.5",
        "\"Lng\"\t\"location-lat\"\r13.5\t46.5\r13.6\t46.5\r",
        "\n\n lon | lat | x,y\n 13.5 | 46.5 |\n1.36e1|+46.5|\n",
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
    insta::assert_snapshot!(texts_with(file, &by("", "who")), @r"
    track / (0 0) / (1 0) / (2 0) (3 0) / (4 0) / (5 0) = none
    single_point_segments, line 8: most segments have one point, and no leg joins two segments; use --join-segments if the points are one path
    ");
}

#[test]
fn a_point_that_cannot_be_read_has_a_position_and_costs_no_other() {
    let row = |row: &str| {
        let file = format!("w,lat,lon\r\n\r\n\"a\r\nb\",1,2\r\n\r\n{row}\n0,3,4\n");
        let text = texts(&file);
        let tracks = "track / (2 1) (invalid) (4 3) = none\ninvalid_position, line 6, column ";
        text.strip_prefix(tracks)
            .unwrap_or(&text)
            .replace("1 point without a valid position is skipped: ", "")
            .lines()
            .filter(|line| {
                !line.starts_with("skipped_lines, line 5: 1 line is skipped: it is blank")
            })
            .collect::<String>()
    };
    insta::assert_snapshot!(row("0,91,181"), @"2: latitude 91 is not between -90 and 90 degrees");
    insta::assert_snapshot!(row("0,1,NaN"), @"2: longitude NaN is not a finite number");
    insta::assert_snapshot!(row("0,1,-inf"), @"2: longitude -inf is not a finite number");
    insta::assert_snapshot!(row("0, ,0"), @r#"2: the latitude is blank, in the column "lat""#);
    insta::assert_snapshot!(row("0,1,null"), @r#"3: the longitude "null" is not a number, in the column "lon""#);
    insta::assert_snapshot!(row("0,4807.038,0"), @"2: latitude 4807.038 is not between -90 and 90 degrees");
    insta::assert_snapshot!(row("0,46,5,13,5"), @"4: the row has 5 fields but there are 3 columns; check the delimiter, and that numbers have decimal points, not commas");
    insta::assert_snapshot!(row("\"x\ny\",46"), @r#"3: the row is too short and has no longitude, in the column "lon""#);
    insta::assert_snapshot!(row("0"), @r#"2: the row is too short and has no latitude, in the column "lat""#);
    insta::assert_snapshot!(row(",,"), @r#"2: the latitude is blank, in the column "lat""#);
}

#[test]
fn rows_with_too_many_fields_are_an_error_if_most_are_so() {
    insta::assert_snapshot!(texts("lat,lon\n1,2,\n3,4, ,\n5,6,x\n"), @r"
    track / (2 1) (4 3) (invalid) = none
    invalid_position, line 4, column 3: 1 point without a valid position is skipped: the row has 3 fields but there are 2 columns; check the delimiter, and that numbers have decimal points, not commas
    ");
    insta::assert_snapshot!(error(b"lat,lon\n46,5,13,5\n46,5,13,6\n1,2\n"), @"2:3: the row has 4 fields but there are 2 columns; check the delimiter, and that numbers have decimal points, not commas");
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
        let text = texts(&file(header + &good + &bad));
        let expected = format!("invalid_position, line {line}, column {}: ", at + 1);
        prop_assert!(text.contains(&expected), "{} {}", expected, text);
    }
}

#[test]
fn a_missing_column_is_an_error() {
    insta::assert_snapshot!(error(b"46.5,13.5\n46.5,13.6\n"), @r#"the first row looks like data, not like column names: column 1 is "46.5", 2 is "13.5"; add a row of names, or choose the columns by number, for example --x-column 1 --y-column 2 if column 1 is x, the longitude"#);
    insta::assert_snapshot!(error(b"lat\tnorth\n"), @r#"no column for the longitude in the first row, which has "lat", "north" (split at tabs); name it longitude, or choose a column with --x-column"#);
    insta::assert_snapshot!(error_with(b"lat,lon\n1,1\n", &by("who", "")), @r#"no column named "who" in the first row, which has "lat", "lon" (split at ','); use one of these with --track-column"#);
    insta::assert_snapshot!(error(b"lat,lon\n"), @"this CSV has nothing to measure: it has column names but no rows");
}

#[test]
fn sizes_and_counts_are_limited() {
    let long_row = format!("lat,lon\n1,2\n1,{}\n", "2".repeat(2 << 20));
    insta::assert_snapshot!(texts(&long_row), @r"
    track / (2 1) = none
    skipped_lines, line 3: 1 line is skipped: it is longer than 1 MiB, or 8 MiB in a table with geometries
    ");
    let many: String = (0..=TRACKS_MAX).map(|track| format!("{track},1,1\n")).collect();
    insta::assert_snapshot!(error_with(format!("who,lat,lon\n{many}").as_bytes(), &by("who", "")), @"100002: more than 100000 tracks in one file; split it, or check --track-column");
    let long = format!("who,lat,lon\na,1,1\n{},1,1\na,1,2\n", "x".repeat(300));
    insta::assert_snapshot!(texts_with(&long, &by("who", "")), @r#"
    track / (1 1) (invalid) (2 1) = "a"
    invalid_position, line 3: 1 point without a valid position is skipped: the identifier of the track or segment is longer than 256 bytes
    "#);
}

#[test]
fn the_size_of_a_table_is_not_limited() {
    let note = "x".repeat(1000);
    let table = "lat,lon,note\n".to_owned() + &format!("46.5,13.5,{note}\n").repeat(3000);
    assert_eq!(texts(&table).matches("(13.5 46.5)").count(), 3000);
}

#[test]
fn rows_are_divided_by_a_column_of_movers_or_trips() {
    for name in [
        "trip_id",
        "tripid",
        "Vehicle ID",
        "MMSI",
        "individual-local-identifier",
        "deviceName",
        "uid",
        "track",
    ] {
        let file = format!("lat,lon,{name}\n1,1,a\n2,1,b\n1,2,a\n2,2,b\n");
        let text = texts(&file);
        let note = format!(
            "grouped_rows, -: the rows are divided into tracks by the column \"{name}\"; use --track-column none to \
             read one track\n"
        );
        assert_eq!(
            text,
            format!("track / (1 1) (2 1) = \"a\"\ntrack / (1 2) (2 2) = \"b\"\n{note}")
        );
        let joined = texts_with(&file, &by("", ""));
        assert_eq!(joined, "track / (1 1) (1 2) (2 1) (2 2) = none\n");
        let named = texts_with(&file, &by(name, ""));
        assert_eq!(named, text.replace(&note, ""));
    }
    insta::assert_snapshot!(texts("lat,lon,trip\n1,2,morning\n1,3,morning\n"), @r#"track / (2 1) (3 1) = "morning""#);
    for name in ["id", "name", "row", "fid", "device type", "tracked"] {
        let file = format!("lat,lon,{name}\n1,1,a\n2,1,b\n1,2,a\n");
        assert_eq!(texts(&file), "track / (1 1) (1 2) (2 1) = none\n", "{name}");
    }
}

#[test]
fn a_trip_of_a_mover_is_a_track() {
    let file = "user,trip,device,lat,lon\n7,1,a,1,1\n8,1,b,2,1\n7,1,a,1,2\n7,2,a,1,3\n";
    insta::assert_snapshot!(texts(file), @r#"
    track / (1 1) (2 1) = "a, 1"
    track / (1 2) = "b, 1"
    track / (3 1) = "a, 2"
    grouped_rows, -: the rows are divided into tracks by the columns "device" and "trip"; use --track-column none to read one track
    "#);
    // The finest column of movers is used. Another one must not change within a track.
    insta::assert_snapshot!(texts("mmsi,callsign,lat,lon\n1,,1,1\n1,A,1,2\n2,B,2,1\n1,A,1,3\n"), @r#"
    track / (1 1) (2 1) (3 1) = "1"
    track / (1 2) = "2"
    grouped_rows, -: the rows are divided into tracks by the column "mmsi"; use --track-column none to read one track
    "#);
    insta::assert_snapshot!(texts("device,user,lat,lon\n1,A,1,1\n1,A,1,2\n1,B,2,1\n1,A,1,3\n"), @r#"
    track / (1 1) (2 1) (1 2) (3 1) = "1"
    ungrouped_rows, line 4: the column "user" has several values in one track; if it identifies tracks, add --track-column "user"
    "#);
}

#[test]
fn a_column_with_another_value_in_each_row_divides_nothing() {
    insta::assert_snapshot!(texts("track_id,lat,lon\n1,1,1\n2,1,2\n3,1,3\n"), @r#"
    track / (1 1) (2 1) (3 1) = none
    ungrouped_rows, -: the column "track_id" has another value in each of the first 3 rows, so it does not divide the rows into tracks; use --track-column "track_id" if it identifies tracks, and --track-column none if not
    "#);
    // A course in degrees.
    insta::assert_snapshot!(texts("track,lat,lon\n90.0,1,1\n90.0,1,2\n91.5,1,3\n"), @"track / (1 1) (2 1) (3 1) = none");
    // The first thousand rows decide.
    let rows: String = (0..2000).map(|row| format!("{},1,1\n", row.min(1500))).collect();
    let text = texts(&format!("uid,lat,lon\n{rows}"));
    assert_eq!(text.matches("track /").count(), 1);
    assert!(text.contains("has another value in each of the first 1000 rows"));
    // The names of vehicles and trips are not the numbers of rows.
    for name in ["trip", "Vehicle ID", "device", "taxi_id", "bus", "callsign", "flight", "driver"] {
        let text = texts(&format!("{name},lat,lon\n{rows}"));
        assert_eq!(text.matches("track /").count(), 1501, "{name}");
        assert!(text.contains("grouped_rows") && !text.contains("ungrouped_rows"), "{name}");
    }
    // A distance in kilometres.
    insta::assert_snapshot!(texts("trip,lat,lon\n0.1,1,1\n0.2,1,2\n"), @"track / (1 1) (2 1) = none");
    // An identifier of ships cannot be the number of a row.
    assert_eq!(texts(&format!("mmsi,lat,lon\n{rows}")).matches("track /").count(), 1501);
}
