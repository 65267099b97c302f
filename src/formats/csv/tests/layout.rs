//! Tests of what surrounds the rows: comments, titles, tables without names, quotes and encodings.

use super::super::super::tests::{error, error_with, texts, texts_with};
use super::*;

fn numbered(x: &str, y: &str) -> ReadOptions {
    ReadOptions { x_column: Some(x.to_owned()), y_column: Some(y.to_owned()), ..Default::default() }
}

#[test]
fn lines_before_the_names_are_skipped() {
    let expected = "track / (13.5 46.5) (13.6 46.5) = none\n";
    let rows = "lat,lon\n46.5,13.5\n46.5,13.6\n";
    assert_eq!(texts(&format!("\n \n{rows}\n\n")), expected);
    assert_eq!(texts("sep=;\r\nlat;lon\r\n46.5;13.5\r\n46.5;13.6\r\n"), expected);
    // The line decides the delimiter of names with commas.
    assert_eq!(texts("\"sep=;\"\nlat;lon;a,b\n46.5;13.5;1,2\n46.5;13.6;1,2\n"), expected);
    for comment in ["# GPS log", "// a, b", "% x;y", "  # \"open"] {
        let note = "skipped_lines, line 1: 1 line is skipped: it is a comment\n";
        assert_eq!(texts(&format!("{comment}\n{rows}")), format!("{expected}{note}"));
    }
    insta::assert_snapshot!(texts("# a\n# b\nlat,lon\n1,2\n# c\n3,4\n#,5,6,7\n"), @r"
    track / (2 1) (4 3) = none
    skipped_lines, line 1: 4 lines are skipped; the first one: it is a comment
    ");
    insta::assert_snapshot!(texts("Trip, of Anna\nin 2024\nlat,lon\n1,2\n"), @r"
    track / (2 1) = none
    skipped_lines, line 1: 2 lines are skipped; the first one: it comes before the column names
    ");
    // Names in a comment.
    insta::assert_snapshot!(texts("# made by a logger\n# time, lat, lon\n7,1.5,2.5\n8,1.5,3.5\n"), @r#"
    track / (2.5 1.5 t7) (3.5 1.5 t8) = none
    skipped_lines, line 1: 1 line is skipped: it is a comment
    assumed_notation, line 3, column 1: numbers such as "7" are read as times since 1970, here 7 s; if they count from another time, only their differences are right
    "#);
}

#[test]
fn a_table_without_names_is_read_by_numbers() {
    let file = "1,2008-02-02 15:36:08Z,11.1,48.1\n1,2008-02-02 15:46:08Z,11.2,48.1\n";
    insta::assert_snapshot!(error(file.as_bytes()), @r#"the first row looks like data, not like column names: column 1 is "1", 2 is "2008-02-02 15:36:08Z", 3 is "11.1", 4 is "48.1"; add a row of names, or choose the columns by number, for example --x-column 3 --y-column 4 if column 3 is x, the longitude"#);
    insta::assert_snapshot!(texts_with(file, &numbered("3", "4")), @r#"
    track / (11.1 48.1) (11.2 48.1) = none
    ignored_column, line 1, column 2: the column "2" is ignored, although it has times; use --time-column "2" to read them
    "#);
    let with_time = ReadOptions {
        time_column: Some("2".to_owned()),
        track_column: TrackColumn::Named("1".to_owned()),
        ..numbered("3", "4")
    };
    insta::assert_snapshot!(texts_with(file, &with_time), @r#"track / (11.1 48.1 t1201966568) (11.2 48.1 t1201967168) = "1""#);
    // The first line has names.
    insta::assert_snapshot!(texts_with("a,b,c,d\n0,0,11.1,48.1\n", &numbered("3", "4")), @"track / (11.1 48.1) = none");
    // A name wins over a number.
    insta::assert_snapshot!(texts_with("3,lat,lon\n7,1,2\n", &ReadOptions { x_column: Some("3".to_owned()), ..Default::default() }), @"track / (7 1) = none");
    insta::assert_snapshot!(texts_with("1;48,1;11,1\n", &numbered("3", "2")), @r"
    track / (11.1 48.1) = none
    assumed_notation, line 1, column 2: a comma in a number is read as the decimal point
    ");
    insta::assert_snapshot!(error_with(b"1,2,3\n4,5,6\n", &numbered("3", "4")), @r#"the first row looks like data, not like column names: column 1 is "1", 2 is "2", 3 is "3"; add a row of names, or choose the columns by number, for example --x-column 1 --y-column 2 if column 1 is x, the longitude"#);
    insta::assert_snapshot!(error_with(b"1,2,3\n4,5,6\n", &numbered("0", "1")), @r#"the first row looks like data, not like column names: column 1 is "1", 2 is "2", 3 is "3"; add a row of names, or choose the columns by number, for example --x-column 1 --y-column 2 if column 1 is x, the longitude"#);
    insta::assert_snapshot!(error(b"7;8\n"), @r#"the first row looks like data, not like column names: column 1 is "7", 2 is "8"; add a row of names, or choose the columns by number, for example --x-column 1 --y-column 2 if column 1 is x, the longitude"#);
}

#[test]
fn an_open_quote_is_noted_with_its_line() {
    insta::assert_snapshot!(texts("lat,lon,name\n1,2,a\n3,4,\"b\n5,6,c\n7,8,d\n"), @r"
    track / (2 1) (4 3) (6 5) (8 7) = none
    assumed_notation, line 3: a quote that is not closed is read as a part of its value
    ");
    insta::assert_snapshot!(texts("lat,lon,name\n1,2,\"a\n3,4,\"b\"\n5,6,\"c\"\n"), @r"
    track / (2 1) (4 3) (6 5) = none
    assumed_notation, line 2: a quote that is not closed is read as a part of its value
    ");
}

#[test]
fn nul_bytes_after_the_rows_are_skipped() {
    let file = "lat,lon\n1,2\n3,4\n".to_owned() + &"\0".repeat(5000);
    insta::assert_snapshot!(texts(&file), @r"
    track / (2 1) (4 3) = none
    skipped_lines, line 4: 1 line is skipped: it has NUL bytes
    ");
}

#[test]
fn options_for_tables_are_noted_for_other_files() {
    let line = r#"{"type":"LineString","coordinates":[[2,1],[2,2]]}"#;
    let options = ReadOptions {
        delimiter: Some(b';'),
        track_column: TrackColumn::None,
        ..numbered("1", "2")
    };
    insta::assert_snapshot!(texts_with(line, &options), @r"
    track / (2 1) (2 2) = none
    unused_option, -: --x-column, --y-column, --delimiter had no effect: the file is not a table
    ");
}

/// A pipe that waits for more data after these bytes.
#[test]
fn points_are_passed_on_before_the_input_ends() {
    struct Waiting<'a>(&'a [u8]);
    impl std::io::Read for Waiting<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.len().min(out.len()) {
                0 => Err(std::io::Error::other("it waits")),
                count => {
                    out[..count].copy_from_slice(&self.0[..count]);
                    self.0 = &self.0[count..];
                    Ok(count)
                }
            }
        }
    }
    for (file, count) in [
        ("lat,lon,time\n1,2,2024-02-01 10:00\n1,3,2024-02-01 10:01\n", 2),
        ("lat,lon,mmsi\n1,2,7\n", 1),
        ("lat;lon;trip\n1,5;2;7\n1,5;2;7\n", 2),
        ("date,time,lat,ns,lon\n2024-02-01,10:00,1,N,2\n", 1),
    ] {
        let mut recorded = super::super::super::tests::Recorded::default();
        let input = std::io::BufReader::new(Waiting(file.as_bytes()));
        let error =
            super::super::super::read(input, &ReadOptions::default(), &mut recorded).unwrap_err();
        assert!(error.to_string().contains("it waits"));
        assert_eq!(recorded.tracks.concat().matches('(').count(), count, "{file}");
    }
}

#[test]
fn lines_without_a_delimiter_may_come_before_the_names() {
    insta::assert_snapshot!(texts("Device: X\nlat,lon\n1,2\n"), @r"
    track / (2 1) = none
    skipped_lines, line 1: 1 line is skipped: it comes before the column names
    ");
    insta::assert_snapshot!(texts("Trip of Anna\n\nin 2024\nby bus\nlat;lon\n1;2\n"), @r"
    track / (2 1) = none
    skipped_lines, line 1: 3 lines are skipped; the first one: it comes before the column names
    ");
    assert!(error(b"Dear diary\ntoday, it rained\n").contains("text without columns"));
}

/// The layout of Columbus loggers.
#[test]
fn fields_may_be_filled_with_nul_bytes() {
    insta::assert_snapshot!(texts("INDEX,TAG,LATITUDE N/S,LONGITUDE E/W,HEIGHT,VOX\r\n1\0\0,T,48.5N,11.25E,519\0\0,\0\0\0\0\r\n2\0\0,T,48.5N,11.5E,520\0\0,\0\0\0\0\r\n"), @r#"track / (11.25 48.5 z519) (11.5 48.5 z520) = "T""#);
    assert!(error(b"a\0b,lat,lon\n1,2,3\n").contains("binary data"));
    assert!(error(b"lat,lon\n1,\x01\n").contains("binary data"));
}

#[test]
fn a_tar_archive_is_named() {
    let mut tar = b"track.csv".to_vec();
    tar.resize(257, 0);
    tar.extend_from_slice(b"ustar\x0000");
    tar.resize(512, 0);
    tar.extend_from_slice(b"lat,lon\n1,2\n");
    insta::assert_snapshot!(error(&tar), @"not a supported track file but a tar archive; unpack it first");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &tar).unwrap();
    insta::assert_snapshot!(error(&encoder.finish().unwrap()), @"not a supported track file but a tar archive; unpack it first");
}
