//! Readers of track files: bytes in, tracks of checked fixes out.
//!
//! The module is sans-IO: it opens no file and prints nothing. [`read`] takes a stream of bytes and calls a
//! [`TrackSink`] for each track, segment and fix. Memory use is bounded.
//!
//! The steps of [`read`]:
//! 1. `head` reads the first bytes of the input, at most 16 KiB.
//! 2. `detect` recognises binary files from these raw bytes. A reader of a binary format can start here.
//! 3. `text` decodes the rest to UTF-8, from the encoding of a byte order mark or XML declaration.
//! 4. `detect` chooses the [`Format`] from the first rows of the text.
//! 5. `gpx`, `geojson` or `csv` parses the text and calls the sink.
//!
//! Parts that several readers share: `xml` (elements, positions and limits of XML), `lines` and `rows` (line
//! ends and row ends), `value` (numbers and times), `error`.
//!
//! An empty or missing time, elevation or accuracy is ignored. An invalid one is an error with its position,
//! except for the first value of a CSV column that the user did not name.
//!
//! Input is not trusted: each reader limits the size of an XML event, JSON token or row, the depth of nesting
//! and the number of interleaved tracks. The limits are constants in the readers.

mod csv;
mod detect;
mod error;
mod geojson;
mod gpx;
mod head;
mod lines;
mod rows;
mod text;
mod value;
mod xml;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::BufRead;

use crate::measure::{Fix, Space};

pub use csv::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, TIME_COLUMNS,
};
pub use error::{FormatError, Position, SinkError};

/// Receives the content of a file.
///
/// For each track a reader calls `start_track`, then `start_segment` before the first fix and at each break,
/// `fix` for each fix, and `end_track`. Most formats end a track before they start the next. The rows of a
/// table may alternate between tracks: then `switch_track` selects the track of the next calls.
///
/// Every method can return an error. [`read`] then stops and returns the error with its position.
pub trait TrackSink {
    /// Starts a track and makes it the current one. Tracks are counted from 0 in the order of these calls.
    fn start_track(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Makes the track with this number the current one. It has not ended.
    fn switch_track(&mut self, _index: usize) -> Result<(), SinkError> {
        Ok(())
    }

    /// Starts a segment of the current track. No leg joins the fix before it to the fix after it.
    fn start_segment(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Adds a fix to the current track. Its `starts_segment` is always false.
    fn fix(&mut self, fix: Fix) -> Result<(), SinkError>;

    /// Reports a possible problem of the file that does not stop the reading.
    fn remark(&mut self, _remark: &str) {}

    /// Ends the current track. The name comes last, because some files contain it after the fixes.
    fn end_track(&mut self, _name: Option<&str>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A format of track files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// GPX 1.0 or 1.1. Its tracks and routes are read, and its waypoints are ignored.
    Gpx,
    /// GeoJSON (RFC 7946). A Feature, or a geometry outside a Feature, is a track, and each line in it is a
    /// segment. Points and polygons are ignored.
    GeoJson,
    /// Comma-separated values, or values with another delimiter, with column names in the first row.
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

/// Options of [`read`]. By default the reader detects everything from the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; `None` detects it from the content.
    pub format: Option<Format>,
    /// The space of the fixes. In a table it also decides which column names are tried first.
    pub space: Space,
    /// CSV: the name of the column with the longitude or x; `None` finds it by a common name.
    pub x_column: Option<String>,
    /// CSV: the name of the column with the latitude or y; `None` finds it by a common name.
    pub y_column: Option<String>,
    /// CSV: the name of the column with the elevation in metres, or z; `None` finds it by a common name.
    pub z_column: Option<String>,
    /// CSV: the name of the column with the time; `None` finds it by a common name.
    pub time_column: Option<String>,
    /// CSV: the name of the column with the accuracy radius in metres; `None` finds it by a common name.
    pub accuracy_column: Option<String>,
    /// CSV: the name of the column with the identifier of the track; `None` makes the file one track.
    pub track_column: Option<String>,
    /// CSV: the name of a column in which a new value, within a track, starts a segment.
    pub segment_column: Option<String>,
    /// CSV: the delimiter; `None` chooses between comma, semicolon, tab and `|`.
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

/// Reads a file to its end and passes its tracks to `sink`.
///
/// ```
/// use waywiser::Fix;
/// use waywiser::formats::{self, ReadOptions, SinkError, TrackSink};
///
/// struct Count(usize);
/// impl TrackSink for Count {
///     fn fix(&mut self, _: Fix) -> Result<(), SinkError> {
///         self.0 += 1;
///         Ok(())
///     }
/// }
///
/// let mut count = Count(0);
/// formats::read(&b"lat;lon\n46.1;13.7\n46.2;13.7\n"[..], &ReadOptions::default(), &mut count)?;
/// assert_eq!(count.0, 2);
/// # Ok::<(), formats::FormatError>(())
/// ```
///
/// # Errors
/// If the input cannot be read, has no supported format, is malformed or has no track, and if the sink
/// returns an error. Tracks that ended before the error are complete.
pub fn read(
    mut input: impl BufRead,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let head = head::read(&mut input, options)?;
    if options.format.is_none() {
        detect::binary(&head)?;
    }
    let (head, text) = text::decode(head, input, options)?;
    if head.trim_ascii().is_empty() {
        return Err(FormatError::Empty);
    }
    let format = match options.format {
        Some(format) => format,
        None => detect::text(&head, options)?,
    };
    match format {
        Format::Gpx => gpx::read(text, options.space, sink),
        Format::GeoJson => geojson::read(text, options.space, sink),
        Format::Csv => csv::read(text, &head, options, sink),
    }
}
