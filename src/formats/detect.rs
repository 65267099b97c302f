//! Detects the format of a file from its first bytes, not from its name. A file in another format is an error
//! that names the format where possible.

use super::error::FormatError;
use super::format::Format;
use super::options::ReadOptions;
use super::{csv, igc, json, nmea, plt, polyline, rows, wkt};

const CONVERT: &str = "convert it to GPX first, for example with GPSBabel";

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
    if head.starts_with(b"SQLite format 3\0") {
        let advice = "export the tracks as GPX first";
        return unrecognised("an SQLite database, perhaps GeoPackage", advice);
    }
    Ok(None)
}

/// Returns the format of a text that starts with `head`.
///
/// # Errors
/// [`FormatError::Unrecognised`] if the text is in no supported format.
pub(super) fn text(head: &[u8], options: &ReadOptions) -> Result<Format, FormatError> {
    let line_formats: [(fn(&[u8]) -> bool, Format); 5] = [
        (nmea::matches, Format::Nmea),
        (igc::matches, Format::Igc),
        (plt::matches, Format::Plt),
        (wkt::matches, Format::Wkt),
        (polyline::matches, Format::Polyline),
    ];
    if let Some((_, format)) = line_formats.iter().find(|(matches, _)| matches(head)) {
        return Ok(*format);
    }
    let start = head.trim_ascii_start();
    match start.first() {
        // The readers of XML and JSON report control characters with their positions.
        Some(b'<') => Ok(Format::Gpx),
        Some(b'{' | b'[' | 0x1e) => Ok(Format::GeoJson),
        _ if json::matches_rec(start) => Ok(Format::OwnTracks),
        _ if head.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace()) => {
            unrecognised("binary data", CONVERT)
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
        insta::assert_snapshot!(detected(b"\x1f\x8b\x08"), @"not GPX, GeoJSON or CSV but gzip-compressed data; unpack it first, with gunzip");
        insta::assert_snapshot!(detected(b"\x0e\x10\0\0\0\0\0\0.FIT"), @"not GPX, GeoJSON or CSV but a Garmin FIT file; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"A log\n$GPGGA,1,2\n"), @"not GPX, GeoJSON or CSV but an NMEA log; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"a\0b,c"), @"not GPX, GeoJSON or CSV but binary data; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"Dear diary\n, today"), @"not GPX, GeoJSON or CSV but text without columns; a table needs column names in its first row; if the file is in a supported format, choose it with --format");
    }
}
