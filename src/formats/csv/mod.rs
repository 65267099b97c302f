//! Tables: CSV and its relatives with other delimiters, row by row with the csv crate, in one
//! reused record.
//!
//! Columns are found by name. One row is one fix. Rows may belong to different tracks, in any
//! order; then one entry a track is kept, and their number is limited.

use std::io::{BufRead, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::error::{FormatError, Limit, Place, SinkError, excerpt};
use super::rows::{self, DELIMITERS};
use super::{ReadOptions, TrackSink};
use crate::measure::{FixError, PointError};

mod columns;
mod lines;
mod tracks;

use columns::Columns;
pub use columns::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, TIME_COLUMNS,
};
use lines::Lines;
use tracks::{TRACKS_MAX, Tracks};

/// The longest name of a track or segment in a column.
const VALUE_BYTES_MAX: usize = 256;

/// Whether the first row of `head` has any delimiter in it.
pub(super) fn has_columns(head: &[u8], options: &ReadOptions) -> bool {
    first_row(head, options).iter().any(|byte| DELIMITERS.contains(byte))
}

/// The first row that is not blank.
fn first_row<'a>(head: &'a [u8], options: &ReadOptions) -> &'a [u8] {
    rows::split(head, options).find(|row| !row.trim_ascii().is_empty()).unwrap_or_default()
}

/// Reads a table from UTF-8 text that begins with `head`.
pub(super) fn read(
    text: impl BufRead,
    head: &[u8],
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    let delimiter =
        options.delimiter.unwrap_or_else(|| delimiter_of(first_row(head, options), options));
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .buffer_capacity(64 << 10)
        .from_reader(Lines::new(text));
    let names: Vec<String> = match rows.byte_headers() {
        Ok(names) => names_of(names),
        Err(error) => return Err(failed(error, 1)),
    };
    let mut columns = Columns::find(&names, delimiter, options)?;
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
        if let Err(problem) = columns.row(&row, &names, &mut tracks, sink) {
            return Err(problem.explain(&names, line_of(&row, &rows)));
        }
    }
    let place = Place { line: rows.position().line(), column: None };
    tracks.end(sink, place)
}

/// The delimiter under which the columns are found, or else the most frequent.
fn delimiter_of(header: &[u8], options: &ReadOptions) -> u8 {
    let split = |delimiter| {
        let mut rows = ReaderBuilder::new().delimiter(delimiter).from_reader(Lines::new(header));
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

/// What is wrong with a row, before it is known on which line that is.
enum Problem {
    Number {
        column: usize,
        message: String,
    },
    Narrow {
        column: usize,
        count: usize,
    },
    Wide {
        column: usize,
        count: usize,
    },
    Long {
        column: usize,
    },
    Tracks,
    Refused {
        error: SinkError,
        x: usize,
        y: usize,
        z: Option<usize>,
        time: Option<usize>,
        accuracy: Option<usize>,
    },
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        Problem::Refused { error, x: 0, y: 0, z: None, time: None, accuracy: None }
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
            Problem::Refused { error: SinkError::Point(source), x, y, .. } => {
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
            Problem::Refused { error: SinkError::Fix(source), z, time, accuracy, .. } => {
                let at = match source {
                    FixError::Z(_) => z,
                    FixError::Time { .. } => time,
                    FixError::Accuracy(_) => accuracy,
                };
                FormatError::Fix {
                    place: Place { line, column: at.map(|column| column as u64 + 1) },
                    column: at.map(|column| names[column].clone()),
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
