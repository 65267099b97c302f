//! Tables: CSV and its relatives with other delimiters, row by row with the csv crate, in one
//! reused record.
//!
//! Columns are found by name. One row is one fix. Rows may belong to different tracks, in any
//! order; then one entry a track is kept, and their number is limited.

use std::io::{BufRead, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::error::{FormatError, Limit, Place, SinkError, coordinate, excerpt};
use super::{Fix, ReadOptions, TrackSink};
use crate::measure::{PointError, Space};

mod lines;
mod tracks;

use lines::Lines;
use tracks::{TRACKS_MAX, Tracks};

/// The names by which a latitude, or planar y, is found, best first. Case, surrounding blanks and
/// a unit in brackets do not matter, and a blank or hyphen is as good as an underscore.
pub const LATITUDE_COLUMNS: &[&str] = &[
    "latitude",
    "lat",
    "latitude_deg",
    "lat_deg",
    "latitude_dd",
    "lat_dd",
    "gps_latitude",
    "gps_lat",
    "location_latitude",
    "location_lat",
    "point_latitude",
    "point_lat",
    "y",
];
/// The names by which a longitude, or planar x, is found, best first; as [`LATITUDE_COLUMNS`].
pub const LONGITUDE_COLUMNS: &[&str] = &[
    "longitude",
    "lon",
    "lng",
    "long",
    "longitude_deg",
    "lon_deg",
    "lng_deg",
    "long_deg",
    "longitude_dd",
    "lon_dd",
    "long_dd",
    "gps_longitude",
    "gps_lon",
    "gps_lng",
    "gps_long",
    "location_longitude",
    "location_lon",
    "location_lng",
    "location_long",
    "point_longitude",
    "point_lon",
    "x",
];

/// Column names that often tell tracks apart. They are remarked on, not used: a wrong guess would cut
/// a path in pieces without a word.
const TRACK_COLUMNS: [&str; 8] =
    ["track", "trackid", "trip", "tripid", "device", "deviceid", "vehicle", "vehicleid"];

const DELIMITERS: [u8; 4] = *b",;\t|";
/// The longest name of a track or segment in a column.
const VALUE_BYTES_MAX: usize = 256;

/// Whether the first line of `head` has any delimiter in it.
pub(super) fn has_columns(head: &[u8]) -> bool {
    first_line(head).iter().any(|byte| DELIMITERS.contains(byte))
}

/// The first line that is not blank; a line break in quotes does not end it.
fn first_line(head: &[u8]) -> &[u8] {
    let mut in_quotes = false;
    let is_end = |byte: &u8| {
        in_quotes ^= *byte == b'"';
        !in_quotes && matches!(byte, b'\n' | b'\r')
    };
    head.split(is_end).find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

/// Reads a table from UTF-8 text that begins with `head`.
pub(super) fn read(
    text: impl BufRead,
    head: &[u8],
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let delimiter = options.delimiter.unwrap_or_else(|| delimiter_of(first_line(head), options));
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .buffer_capacity(64 << 10)
        .from_reader(Lines::new(text));
    let names: Vec<String> = match rows.byte_headers() {
        Ok(names) => names_of(names),
        Err(error) => return Err(failed(error, 1)),
    };
    let columns = Columns::find(&names, delimiter, options)?;
    if let Some(remark) = columns.overlooked(&names) {
        sink.remark(&remark);
    }
    let mut tracks = Tracks::default();
    let mut row = ByteRecord::new();
    loop {
        rows.get_mut().row_bytes = 0;
        let line = rows.position().line();
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(failed(error, line)),
        }
        if let Err(problem) = columns.row(&row, &mut tracks, sink) {
            return Err(problem.explain(&names, line_of(&row, &rows)));
        }
    }
    let place = Place { line: rows.position().line(), column: None };
    tracks.end(sink, place)
}

/// The delimiter under which the columns are found, or else the most frequent.
fn delimiter_of(header: &[u8], options: &ReadOptions) -> u8 {
    let split = |delimiter| {
        let mut rows = ReaderBuilder::new().delimiter(delimiter).from_reader(header);
        rows.byte_headers().map(names_of).unwrap_or_default()
    };
    let count = |delimiter| header.iter().filter(|&&byte| byte == delimiter).count();
    DELIMITERS
        .into_iter()
        .find(|&delimiter| Columns::find(&split(delimiter), delimiter, options).is_ok())
        .or_else(|| DELIMITERS.into_iter().rev().max_by_key(|&delimiter| count(delimiter)))
        .unwrap_or(b',')
}

/// The line on which the row begins. The csv crate's own position stands before blank lines that
/// it skips, so it is counted back from the end: every row ends with one line break, since
/// [`Lines`] sees to it, and may have some in quotes.
fn line_of<R: Read>(row: &ByteRecord, rows: &Reader<R>) -> u64 {
    let inside = row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
    rows.position().line().saturating_sub(1 + inside).max(1)
}

fn names_of(header: &ByteRecord) -> Vec<String> {
    header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Why the row that begins on this line could not be read.
fn failed(error: ::csv::Error, line: u64) -> FormatError {
    let place = Place { line, column: None };
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => Limit::or_io(error, place),
        kind => FormatError::malformed(place, format!("not a table: {kind:?}")),
    }
}

/// Which field is what.
struct Columns {
    count: usize,
    x: usize,
    y: usize,
    track: Option<usize>,
    segment: Option<usize>,
    space: Space,
}

impl Columns {
    /// A word on columns that look as if they told tracks apart when none was named.
    fn overlooked(&self, names: &[String]) -> Option<String> {
        let at = names.iter().position(|name| TRACK_COLUMNS.contains(&&*plain(name)))?;
        (self.track.is_none() && self.segment.is_none()).then(|| {
            let name = excerpt(names[at].as_bytes());
            format!("all rows are taken for one track; if the column {name} tells tracks apart, name it with --track-column")
        })
    }

    fn find(names: &[String], delimiter: u8, options: &ReadOptions) -> Result<Self, FormatError> {
        let (x_what, y_what) = coordinate_names(options.space);
        let missing = |what: &str, advice: &str| {
            let delimiter = match delimiter {
                b'\t' => "tabs".to_owned(),
                other => format!("'{}'", char::from(other).escape_debug()),
            };
            let found: Vec<_> = names.iter().take(8).map(|name| excerpt(name.as_bytes())).collect();
            let more = if names.len() > found.len() { ", …" } else { "" };
            FormatError::Column(format!(
                "no column {what} in the first line, which has {}{more} (split at {delimiter}); \
                 {advice}",
                found.join(", ")
            ))
        };
        let set = |name: &Option<String>, flag: &str| match name {
            None => Ok(None),
            Some(name) => match names.iter().position(|other| same(other, name)) {
                Some(at) => Ok(Some(at)),
                None => Err(missing(
                    &format!("named {}", excerpt(name.as_bytes())),
                    &format!("give {flag} one of these"),
                )),
            },
        };
        let usual = |known: &[&str]| {
            let position = |name: &&str| names.iter().position(|other| plain(other) == **name);
            match options.space {
                Space::Geographic => known.iter().find_map(position),
                Space::Planar => known.iter().rev().find_map(position),
            }
        };
        let find = |name: &Option<String>, flag: &str, known, what: &str| match set(name, flag)? {
            Some(at) => Ok(at),
            None => usual(known).ok_or_else(|| {
                let advice = format!("name it {} or the like, or say which with {flag}", known[0]);
                missing(&format!("for the {what}"), &advice)
            }),
        };
        Ok(Self {
            count: names.len(),
            y: find(&options.y_column, "--y-column", LATITUDE_COLUMNS, y_what)?,
            x: find(&options.x_column, "--x-column", LONGITUDE_COLUMNS, x_what)?,
            track: set(&options.track_column, "--track-column")?,
            segment: set(&options.segment_column, "--segment-column")?,
            space: options.space,
        })
    }

    fn row(
        &self,
        row: &ByteRecord,
        tracks: &mut Tracks,
        sink: &mut dyn TrackSink,
    ) -> Result<(), Problem> {
        if let Some(stray) = row.iter().skip(self.count).position(|field| !field.is_empty()) {
            return Err(Problem::Wide { column: self.count + stray, count: row.len() });
        }
        let (x_what, y_what) = coordinate_names(self.space);
        let number = |column: usize, what| match row.get(column) {
            Some(field) => {
                coordinate(what, field).map_err(|message| Problem::Number { column, message })
            }
            None => Err(Problem::Narrow { column, count: row.len() }),
        };
        let y = number(self.y, y_what)?;
        let x = number(self.x, x_what)?;
        let value = |column: Option<usize>| match column {
            None => Ok(&b""[..]),
            Some(column) => match row.get(column) {
                None => Err(Problem::Narrow { column, count: row.len() }),
                Some(value) if value.len() > VALUE_BYTES_MAX => Err(Problem::Long { column }),
                Some(value) => Ok(value.trim_ascii()),
            },
        };
        tracks.enter(value(self.track)?, value(self.segment)?, sink)?;
        sink.fix(Fix { x, y }).map_err(|error| Problem::Refused { error, x: self.x, y: self.y })
    }
}

/// How x and y are called in messages.
fn coordinate_names(space: Space) -> (&'static str, &'static str) {
    match space {
        Space::Planar => ("x", "y"),
        Space::Geographic => ("longitude", "latitude"),
    }
}

fn same(name: &str, wanted: &str) -> bool {
    name.trim().to_lowercase() == wanted.trim().to_lowercase()
}

/// A column name without case, unit and kinds of separators.
fn plain(name: &str) -> String {
    let name = name.split(['(', '[']).next().unwrap_or(name);
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

/// What is wrong with a row, before it is known on which line that is.
enum Problem {
    Number { column: usize, message: String },
    Narrow { column: usize, count: usize },
    Wide { column: usize, count: usize },
    Long { column: usize },
    Tracks,
    Refused { error: SinkError, x: usize, y: usize },
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        Problem::Refused { error, x: 0, y: 0 }
    }
}

impl Problem {
    fn explain(self, names: &[String], line: u64) -> FormatError {
        let place = |column: usize| Place { line, column: Some(column as u64 + 1) };
        let name = |column: usize| excerpt(names[column].as_bytes());
        match self {
            Problem::Number { column, message } => FormatError::malformed(
                place(column),
                format!("{message}, in the column {}", name(column)),
            ),
            Problem::Narrow { column, count } => FormatError::malformed(
                place(count.saturating_sub(1)),
                format!(
                    "the row has {count} of {} fields and none in the column {}",
                    names.len(),
                    name(column)
                ),
            ),
            Problem::Wide { column, count } => FormatError::malformed(
                place(column),
                format!(
                    "the row has {count} fields but there are {} column names; check the delimiter, \
                     and that numbers have decimal points, not commas",
                    names.len()
                ),
            ),
            Problem::Long { column } => FormatError::TooLarge {
                place: place(column),
                message: format!(
                    "a value in the column {} is longer than {VALUE_BYTES_MAX} bytes; tracks and \
                     segments need short names",
                    name(column)
                ),
            },
            Problem::Tracks => FormatError::TooLarge {
                place: Place { line, column: None },
                message: format!(
                    "more than {TRACKS_MAX} tracks in one file; split it, or check --track-column"
                ),
            },
            Problem::Refused { error: SinkError::Point(source), x, y } => {
                let axis = match source {
                    PointError::NotFinite { axis, .. } | PointError::PlanarRange { axis, .. } => {
                        axis
                    }
                    _ => "latitude",
                };
                let column = if matches!(axis, "latitude" | "y") { y } else { x };
                FormatError::Point {
                    place: place(column),
                    column: Some(names[column].clone()),
                    source,
                }
            }
            Problem::Refused { error, .. } => {
                FormatError::refused(error, Place { line, column: None })
            }
        }
    }
}

#[cfg(test)]
mod tests;
