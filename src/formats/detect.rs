//! Which format a file is in, from its first few KiB; the name of the file is not looked at.
//!
//! For what is none of ours it says what it is and what to do with it. Only called when nobody has
//! said which format it is.

use super::error::FormatError;
use super::{Format, ReadOptions, csv, rows};

const CONVERT: &str = "convert it to GPX first, for example with GPSBabel";

/// The format of a text that begins with `head`.
pub(super) fn detect(head: &[u8], options: &ReadOptions) -> Result<Format, FormatError> {
    if let Some((found, advice)) = something_else(head, options) {
        return Err(FormatError::Unrecognised { found: found.to_owned(), advice });
    }
    let start = head.trim_ascii_start();
    match start.first() {
        Some(b'<') => Ok(Format::Gpx),
        Some(b'{' | b'[') => Ok(Format::GeoJson),
        _ if options.delimiter.is_some() || csv::has_columns(start, options) => Ok(Format::Csv),
        _ => Err(FormatError::Unrecognised {
            found: "text without columns".to_owned(),
            advice: "a table needs column names in its first line; if it is one of the three, say \
                     which with --format",
        }),
    }
}

/// Files that people have and that are not ours.
fn something_else(head: &[u8], options: &ReadOptions) -> Option<(&'static str, &'static str)> {
    if head.starts_with(b"\x1f\x8b") {
        return Some(("gzip-compressed data", "unpack it first, with gunzip"));
    }
    if head.starts_with(b"PK\x03\x04") {
        return Some(("a zip archive, perhaps KMZ", "unpack it first, with unzip"));
    }
    if head.get(8..12) == Some(b".FIT") {
        return Some(("a Garmin FIT file", CONVERT));
    }
    if head.starts_with(b"SQLite format 3\0") {
        return Some(("an SQLite database, perhaps GeoPackage", "export the tracks as GPX first"));
    }
    if is_nmea(head, options) {
        return Some(("an NMEA log", CONVERT));
    }
    let control = |byte: &&u8| **byte < b' ' && !byte.is_ascii_whitespace();
    // A stray control byte in XML or JSON is for their readers to tell, with its place.
    let is_text = matches!(head.trim_ascii_start().first(), Some(b'<' | b'{' | b'['));
    if !is_text && head.iter().any(|byte| control(&byte)) {
        return Some(("binary data", CONVERT));
    }
    None
}

/// Whether a line is a sentence such as `$GPGGA,`; loggers put remarks before the first.
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
        match detect(head, &ReadOptions::default()) {
            Ok(format) => format.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_content_tells_the_format() {
        assert_eq!(detected(b"\r\n <?xml"), "GPX");
        assert_eq!(detected(b" {\"type\""), "GeoJSON");
        let quoted = "\"lat\n\n(deg)\";\"$GPGGA,\n$GPGGA,1\"";
        for table in ["\nlat,lon\n1,2", "lat;lon", "lat\tlon", "a|b", quoted] {
            assert_eq!(detected(table.as_bytes()), "CSV");
        }
    }

    #[test]
    fn what_is_none_of_ours_is_told_apart() {
        insta::assert_snapshot!(detected(b"\x1f\x8b\x08"), @"not GPX, GeoJSON or CSV but gzip-compressed data; unpack it first, with gunzip");
        insta::assert_snapshot!(detected(b"\x0e\x10\0\0\0\0\0\0.FIT"), @"not GPX, GeoJSON or CSV but a Garmin FIT file; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"A log\n$GPGGA,1,2\n"), @"not GPX, GeoJSON or CSV but an NMEA log; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"a\0b,c"), @"not GPX, GeoJSON or CSV but binary data; convert it to GPX first, for example with GPSBabel");
        insta::assert_snapshot!(detected(b"Dear diary\n, today"), @"not GPX, GeoJSON or CSV but text without columns; a table needs column names in its first line; if it is one of the three, say which with --format");
    }
}
