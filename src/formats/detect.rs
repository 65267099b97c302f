//! Detects the format of a file from its first bytes, not from its name. A file in another format is an error
//! that names the format where possible.

use super::error::FormatError;
use super::format::Format;
use super::options::ReadOptions;
use super::other::{self, Other};
use super::{csv, igc, json, nmea, plt, polyline, rows, wkt};

/// Returns whether a text that starts with these bytes is in a format.
type Matches = fn(&[u8]) -> bool;

fn unrecognised<T>(found: &str, advice: &'static str) -> Result<T, FormatError> {
    Err(FormatError::Unrecognised { found: found.to_owned(), advice })
}

/// Detects a binary format from the raw bytes. Returns `None` for text.
///
/// # Errors
/// [`FormatError::Unrecognised`] for a known binary format that is not supported.
pub(super) fn binary(head: &[u8]) -> Result<Option<Format>, FormatError> {
    if head.get(8..12) == Some(b".FIT") {
        return Ok(Some(Format::Fit));
    }
    if head.starts_with(b"PAR1") {
        return Ok(Some(Format::Parquet));
    }
    match other::binary(head) {
        Some(Other { found, advice }) => unrecognised(found, advice),
        None => Ok(None),
    }
}

/// Returns the format of a file that starts with `head`; `None` if it is not certain.
pub(super) fn guess(head: &[u8], options: &ReadOptions) -> Option<Format> {
    let found = match binary(head) {
        Ok(None) => text(head, options).ok(),
        other => other.ok().flatten(),
    };
    // Any text with a delimiter may be a table.
    found.filter(|format| *format != Format::Csv)
}

/// Returns the format of a text that starts with `head`.
///
/// # Errors
/// [`FormatError::Unrecognised`] if the text is in no supported format.
pub(super) fn text(head: &[u8], options: &ReadOptions) -> Result<Format, FormatError> {
    let line_formats: [(Matches, Format); 5] = [
        (nmea::matches, Format::Nmea),
        (igc::matches, Format::Igc),
        (plt::matches, Format::Plt),
        (wkt::matches, Format::Wkt),
        (polyline::matches, Format::Polyline),
    ];
    if let Some((_, format)) = line_formats.iter().find(|(matches, _)| matches(head)) {
        return Ok(*format);
    }
    if let Some(Other { found, advice }) = other::text(head) {
        return unrecognised(found, advice);
    }
    let start = head.trim_ascii_start();
    match start.first() {
        // The readers of XML and JSON report control characters with their positions.
        Some(b'<') => Ok(Format::Gpx),
        Some(b'{' | b'[' | 0x1e) => Ok(Format::GeoJson),
        _ if json::matches_rec(start) => Ok(Format::OwnTracks),
        _ if csv::has_padded_columns(start, options) => Ok(Format::Csv),
        _ if head.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace()) => {
            unrecognised("binary data", other::UNKNOWN)
        }
        _ if options.delimiter.is_some() || csv::has_columns(start, options) => Ok(Format::Csv),
        _ => unrecognised(
            "text without columns",
            "a table needs column names in its first row; if the file is in a supported format, \
             choose it with --format",
        ),
    }
}

/// Returns whether the first rows of a text decide its format.
///
/// In a table both rows have as many fields. In other text with commas, records of a line format may follow.
pub(super) fn is_certain(head: &[u8], format: Format, options: &ReadOptions) -> bool {
    if format != Format::Csv || options.delimiter.is_some() {
        return true;
    }
    let mut rows = rows::split(head, options).filter(|row| !row.trim_ascii().is_empty());
    let (Some(first), Some(second)) = (rows.next(), rows.next()) else { return true };
    let count = |row: &[u8], delimiter| row.iter().filter(|byte| **byte == delimiter).count();
    rows::DELIMITERS.into_iter().any(|delimiter| {
        count(first, delimiter) > 0 && count(first, delimiter) == count(second, delimiter)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn detected(head: &[u8]) -> String {
        match binary(head).and_then(|format| match format {
            Some(format) => Ok(format),
            None => text(head, &ReadOptions::default()),
        }) {
            Ok(format) => format.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_format_is_detected_from_the_content() {
        assert_eq!(detected(b"\r\n <?xml"), "GPX");
        for json in ["\n {\"type\"", "[", "\u{1e}{"] {
            assert_eq!(detected(json.as_bytes()), "GeoJSON");
        }
        let rec = "2024-01-01T10:00:00Z\t*                 \t{\"_type\":\"location\"}\n";
        assert_eq!(detected(rec.as_bytes()), "OwnTracks");
        let quoted = "\"lat\n\n(deg)\";\"$GPGGA,\n$GPGGA,1\"";
        for table in ["\nlat,lon\n1,2", "lat;lon", "lat\tlon", "a|b", quoted] {
            assert_eq!(detected(table.as_bytes()), "CSV");
        }
    }

    #[test]
    fn other_formats_are_named() {
        insta::assert_snapshot!(detected(b"\0\0\x27\x0a\0\0"), @"not a supported track file but a Shapefile; convert it to GeoJSON first, for example with ogr2ogr");
        insta::assert_snapshot!(detected(b"SQLite format 3\0"), @"not a supported track file but an SQLite database, perhaps a GeoPackage; export the tracks as GPX or GeoJSON first");
        insta::assert_snapshot!(detected(b"%PDF-1.7\n%\n"), @"not a supported track file but a PDF document; export the track itself");
        insta::assert_snapshot!(detected(b"\n<!DOCTYPE html>\n<html>"), @"not a supported track file but a web page; download the track itself; if the page asks for a password, sign in first");
        insta::assert_snapshot!(detected(b"[Params]\nVersion=106\n"), @"not a supported track file but a Polar HRM file; it has no positions; export the exercise as GPX or TCX");
        insta::assert_snapshot!(detected(b"{\"error\":\"unauthorized\"}\n"), @"not a supported track file but an error message in JSON; the server sent no track; check the address and the sign-in, and download it again");
        insta::assert_snapshot!(detected(b"a\0b,c"), @"not a supported track file but binary data; supported are GPX, TCX, KML, FIT, GeoJSON, NMEA, IGC, PLT, WKT, CSV and others; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"Dear diary\n, today"), @"not a supported track file but text without columns; a table needs column names in its first row; if the file is in a supported format, choose it with --format");
    }

    #[test]
    fn line_formats_are_detected() {
        for (head, format) in [
            ("A log\n$GPGGA,1,2,3,4,5\n", "NMEA"),
            ("AXXX001\r\nHFDTE010124\r\n", "IGC"),
            ("OziExplorer Track Point File Version 2.1\n", "OziExplorer PLT"),
            ("SRID=4326;LINESTRING(1 2,3 4)", "WKT"),
            ("_p~iF~ps|U_ulLnnqC_mqNvxq`@", "encoded polyline"),
        ] {
            assert_eq!(detected(head.as_bytes()), format);
        }
    }

    /// First rows of tables, some of which resemble other formats.
    #[test]
    fn tables_are_not_taken_for_other_formats() {
        for table in [
            "lat,lon\n46.1,13.7\n",
            "A,B,C\nHF,1,2\n",
            "ABCD,lat,lon\nHFDTE,1,2\n",
            "B1000,lat,lon\n1,2,3\n",
            "point,lat,lon\n1,2,3\n",
            "wkt;name\nLINESTRING(1 2,3 4);a\n",
            "name,geom\na,\"POINT(1 2)\"\n",
            "polyline,name\n_p~iF~ps|U_ulLnnqC_mqNvxq`@,a\n",
            "price ($),lat,lon\n$5,1,2\n",
            "error,message,lat,lon\n1,2,3,4\n",
            "time,sentence\n1,$GPGGA\n",
            "# comment, of a table\nlat,lon\n",
            "window,lat,lon\n1,2,3\n",
            "%lat,%lon\n1,2\n",
            "MM,lat,lon\n1,2,3\n",
            "II,lat,lon\n1,2,3\n",
            "OBJECTID,lat,lon\n1,2,3\n",
            "ORC,lat,lon\n1,2,3\n",
            "MsRcf,lat,lon\n1,2,3\n",
            "BZh,lat,lon\n1,2,3\n",
            "x,y\n1,2\n",
        ] {
            assert_eq!(detected(table.as_bytes()), "CSV", "{table}");
        }
    }

    proptest! {
        #[test]
        fn every_head_has_a_result(head in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\\$GPGGA|A|H|B|POINT|SRID=|[0-9]{1,6}|[(),;\"*\n\r]|~|\\{|\"error\"|\\}){0,40}".prop_map(String::into_bytes),
        ]) {
            let options = ReadOptions::default();
            let _ = binary(&head);
            if let Ok(format) = text(&head, &options) {
                let _ = is_certain(&head, format, &options);
            }
        }

        /// A table of numbers with named columns, with any delimiter.
        #[test]
        fn a_table_of_numbers_is_a_table(
            names in prop::collection::vec("[A-Za-z_]{1,12}", 2..6),
            rows in prop::collection::vec(prop::collection::vec("-?[0-9]{1,9}(\\.[0-9]{1,8})?", 2..6), 1..4),
            delimiter in prop::sample::select(vec![",", ";", "\t", "|"]),
        ) {
            let row = |fields: &Vec<String>| fields.join(delimiter) + "\n";
            let table = row(&names) + &rows.iter().map(row).collect::<String>();
            prop_assert_eq!(detected(table.as_bytes()), "CSV");
        }
    }
}
