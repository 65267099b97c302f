//! Detects the format of a file from its first bytes, not from its name. A file in another format is an error
//! that names the format where possible.

use super::error::FormatError;
use super::{Format, ReadOptions, csv, rows};

const CONVERT: &str = "convert it to GPX first, for example with GPSBabel";

fn unrecognised<T>(found: &str, advice: &'static str) -> Result<T, FormatError> {
    Err(FormatError::Unrecognised { found: found.to_owned(), advice })
}

/// Detects binary files from the raw bytes.
///
/// # Errors
/// [`FormatError::Unrecognised`] for a known binary format. None of them is supported.
pub(super) fn binary(head: &[u8]) -> Result<(), FormatError> {
    if head.starts_with(b"\x1f\x8b") {
        return unrecognised("gzip-compressed data", "unpack it first, with gunzip");
    }
    if head.starts_with(b"PK\x03\x04") {
        return unrecognised("a zip archive, perhaps KMZ", "unpack it first, with unzip");
    }
    if head.get(8..12) == Some(b".FIT") {
        return unrecognised("a Garmin FIT file", CONVERT);
    }
    if head.starts_with(b"SQLite format 3\0") {
        let advice = "export the tracks as GPX first";
        return unrecognised("an SQLite database, perhaps GeoPackage", advice);
    }
    Ok(())
}

/// Returns the format of a text that starts with `head`.
///
/// # Errors
/// [`FormatError::Unrecognised`] if the text is in no supported format.
pub(super) fn text(head: &[u8], options: &ReadOptions) -> Result<Format, FormatError> {
    if is_nmea(head, options) {
        return unrecognised("an NMEA log", CONVERT);
    }
    let start = head.trim_ascii_start();
    match start.first() {
        // The readers of XML and JSON report control characters with their positions.
        Some(b'<') => Ok(Format::Gpx),
        Some(b'{' | b'[') => Ok(Format::GeoJson),
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

/// Returns whether a line is a sentence such as `$GPGGA,`. Loggers write remarks before the first one.
fn is_nmea(head: &[u8], options: &ReadOptions) -> bool {
    rows::split(head, options).any(|line| match line {
        [b'$', name @ ..] if name.len() > 5 => {
            name[5] == b',' && name[..5].iter().all(u8::is_ascii_uppercase)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(head: &[u8]) -> String {
        match binary(head).and_then(|()| text(head, &ReadOptions::default())) {
            Ok(format) => format.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_format_is_detected_from_the_content() {
        assert_eq!(detected(b"\r\n <?xml"), "GPX");
        assert_eq!(detected(b" {\"type\""), "GeoJSON");
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
