//! The errors of a row, before its line is known.

use super::super::error::{FormatError, Position, SinkError};
use super::super::value::excerpt;
use crate::measure::{FixError, PointError};

/// Maximum length of the identifier of a track or segment, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 256;
/// Maximum number of tracks in a file, which take about 100 MB of memory.
pub(super) const TRACKS_MAX: usize = 100_000;

/// An error in a row. Columns are counted from 0.
pub(super) enum Problem {
    /// A field is not a valid number or time.
    Value { column: usize, message: String },
    /// The row has too few fields.
    Narrow { column: usize, count: usize },
    /// The row has more fields than there are column names.
    Wide { column: usize, count: usize },
    /// The identifier of a track or segment is too long.
    Long { column: usize },
    /// The file has too many tracks.
    Tracks,
    /// The coordinates are not a valid point.
    Point { column: usize, source: PointError },
    /// An elevation, time or accuracy is out of range.
    Fix { column: usize, source: FixError },
    /// The sink returned an error.
    Sink(SinkError),
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        Problem::Sink(error)
    }
}

impl Problem {
    /// Returns the error for a row that starts on `line`.
    pub(super) fn explain(self, names: &[String], line: u64) -> FormatError {
        let position = |column: usize| Position::column(line, column as u64 + 1);
        let name = |column: usize| excerpt(names[column].as_bytes());
        match self {
            Problem::Value { column, message } => FormatError::malformed(
                position(column),
                format!("{message}, in the column {}", name(column)),
            ),
            Problem::Narrow { column, count } => FormatError::malformed(
                position(count.saturating_sub(1)),
                format!(
                    "the row has {count} of {} fields; the column {} is missing",
                    names.len(),
                    name(column)
                ),
            ),
            Problem::Wide { column, count } => FormatError::malformed(
                position(column),
                format!(
                    "the row has {count} fields but there are {} column names; check the delimiter, \
                     and that numbers have decimal points, not commas",
                    names.len()
                ),
            ),
            Problem::Long { column } => FormatError::TooLarge {
                position: position(column),
                message: format!(
                    "a value in the column {} is longer than {VALUE_BYTES_MAX} bytes; use shorter \
                     names for tracks and segments",
                    name(column)
                ),
            },
            Problem::Tracks => FormatError::TooLarge {
                position: Position::line(line),
                message: format!(
                    "more than {TRACKS_MAX} tracks in one file; split it, or check --track-column"
                ),
            },
            Problem::Point { column, source } => FormatError::Point {
                position: position(column),
                column: Some(names[column].clone()),
                source,
            },
            Problem::Fix { column, source } => FormatError::Fix {
                position: position(column),
                column: Some(names[column].clone()),
                source,
            },
            Problem::Sink(error) => FormatError::at(Position::line(line), error),
        }
    }
}
