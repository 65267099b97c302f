//! Reading track files: bytes in, runs of fixes out.
//!
//! The room is pure: it opens no file and prints nothing. Whoever has bytes calls [`read`] with a
//! [`TrackSink`], which is told of tracks, segments and fixes as they come by; nothing is held that
//! grows with the file. What a fix is worth is the sink's affair, where in the file it stood is told
//! here.
//!
//! What happens, in the order in which it happens:
//! 1. `text` turns the bytes into UTF-8, whatever byte order mark or XML declaration they open with;
//! 2. `detect` looks at the first few KiB and says which [`Format`] they are;
//! 3. `gpx`, `geojson` or `csv` walks through the text and calls the sink. A further format is a
//!    further file beside them, one line in `detect` and one in [`read`].
//!
//! Times, elevations and accuracies are read where they are: what is empty is missing, what is
//! malformed is an error with its place, as in coordinates.
//!
//! A file is never trusted: the size of an XML event, a JSON token and a CSV row, the depth of
//! nesting and the number of interleaved tracks all have limits, which are constants of each reader.

mod csv;
mod detect;
mod error;
mod geojson;
mod gpx;
mod rows;
mod text;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::BufRead;

use crate::measure::{self, Point, Space};

pub use csv::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, TIME_COLUMNS,
};
pub use error::{FormatError, Place, SinkError};

/// One recorded point as a file holds it, unchecked.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fix {
    /// The longitude in degrees, or planar x.
    pub x: f64,
    /// The latitude in degrees, or planar y.
    pub y: f64,
    /// The elevation in metres, or planar z.
    pub z: Option<f64>,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: Option<i64>,
    /// The radius in metres within which the receiver believes to be.
    pub accuracy_m: Option<f64>,
}

impl Fix {
    fn new(x: f64, y: f64) -> Self {
        Self { x, y, z: None, unix_ns: None, accuracy_m: None }
    }

    /// The fix that this is in `space`.
    ///
    /// # Errors
    /// When something in it is out of range.
    pub fn checked(self, space: Space) -> Result<measure::Fix, SinkError> {
        let mut fix = measure::Fix::new(Point::new(space, self.x, self.y)?);
        if let Some(z) = self.z {
            fix = fix.with_z(z)?;
        }
        if let Some(unix_ns) = self.unix_ns {
            fix = fix.at_unix_ns(unix_ns)?;
        }
        if let Some(accuracy_m) = self.accuracy_m {
            fix = fix.with_accuracy_m(accuracy_m)?;
        }
        Ok(fix)
    }
}

/// Takes what a file holds, piece by piece.
///
/// For every track: `start_track`, then `start_segment` before the first fix and at every break,
/// the fixes, `end_track`. Formats that hold a track in one piece end it before the next; rows of a
/// table may go from track to track, and then `switch_track` says which one they go on with.
///
/// Every method may refuse; [`read`] then stops and gives the refusal back with its place.
pub trait TrackSink {
    /// A track begins and is the current one. Tracks are counted from 0 in this order.
    fn start_track(&mut self) -> Result<(), SinkError>;

    /// An open track is the current one from here on; `index` is its count.
    fn switch_track(&mut self, index: usize) -> Result<(), SinkError>;

    /// No leg joins what came before, in the current track, to what comes next.
    fn start_segment(&mut self) -> Result<(), SinkError>;

    /// The next fix of the current track.
    fn fix(&mut self, fix: Fix) -> Result<(), SinkError>;

    /// Something about the file that the user may want to know, though it is read all the same.
    fn remark(&mut self, _remark: &str) {}

    /// The current track is whole. Its name comes last because a file may tell it last.
    fn end_track(&mut self, name: Option<&str>) -> Result<(), SinkError>;
}

/// A file format with tracks in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// GPX 1.0 or 1.1: tracks and routes; waypoints are no path and are passed over.
    Gpx,
    /// GeoJSON (RFC 7946): a Feature, or a geometry without one, is a track; every line in it is a
    /// segment. Points and polygons are passed over.
    GeoJson,
    /// Comma-separated values or a relative of theirs, with column names in the first line.
    Csv,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Gpx => "GPX",
            Format::GeoJson => "GeoJSON",
            Format::Csv => "CSV",
        })
    }
}

/// What the reader is told about a file beforehand. The default is to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` looks at the content.
    pub format: Option<Format>,
    /// What the coordinates will be taken for: decides which of a table's columns are tried first
    /// and how they are called in messages, nothing else.
    pub space: Space,
    /// CSV: the name of the column with the longitude or x; `None` looks for a usual one.
    pub x_column: Option<String>,
    /// CSV: the name of the column with the latitude or y; `None` looks for a usual one.
    pub y_column: Option<String>,
    /// CSV: the name of the column with the elevation in metres, or z; `None` looks for a usual one.
    pub z_column: Option<String>,
    /// CSV: the name of the column with the time; `None` looks for a usual one.
    pub time_column: Option<String>,
    /// CSV: the name of the column with the accuracy radius in metres; `None` looks for a usual one.
    pub accuracy_column: Option<String>,
    /// CSV: the name of a column whose value says which track a row belongs to; `None` makes the
    /// file one track.
    pub track_column: Option<String>,
    /// CSV: the name of a column in which a new value, within a track, starts a segment.
    pub segment_column: Option<String>,
    /// CSV: the byte between two fields; `None` chooses among comma, semicolon, tab and `|`.
    pub delimiter: Option<u8>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            space: Space::Geographic,
            x_column: None,
            y_column: None,
            z_column: None,
            time_column: None,
            accuracy_column: None,
            track_column: None,
            segment_column: None,
            delimiter: None,
        }
    }
}

/// Reads a file to its end and tells `sink` what is in it.
///
/// ```
/// use waywiser::formats::{self, Fix, ReadOptions, SinkError, TrackSink};
///
/// struct Count(usize);
/// impl TrackSink for Count {
///     fn start_track(&mut self) -> Result<(), SinkError> { Ok(()) }
///     fn switch_track(&mut self, _: usize) -> Result<(), SinkError> { Ok(()) }
///     fn start_segment(&mut self) -> Result<(), SinkError> { Ok(()) }
///     fn fix(&mut self, _: Fix) -> Result<(), SinkError> { self.0 += 1; Ok(()) }
///     fn end_track(&mut self, _: Option<&str>) -> Result<(), SinkError> { Ok(()) }
/// }
///
/// let mut count = Count(0);
/// formats::read(&b"lat;lon\n46.1;13.7\n46.2;13.7\n"[..], &ReadOptions::default(), &mut count)?;
/// assert_eq!(count.0, 2);
/// # Ok::<(), formats::FormatError>(())
/// ```
///
/// # Errors
/// When the input cannot be read, is of another format, is malformed, or holds no track, and when
/// the sink refuses something. Tracks that were ended before the error are whole.
pub fn read(
    input: impl BufRead,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let (head, text) = text::open(input, options)?;
    if head.trim_ascii().is_empty() {
        return Err(FormatError::Empty);
    }
    let format = match options.format {
        Some(format) => format,
        None => detect::detect(&head, options)?,
    };
    match format {
        Format::Gpx => gpx::read(text, sink),
        Format::GeoJson => geojson::read(text, sink),
        Format::Csv => csv::read(text, &head, options, sink),
    }
}
