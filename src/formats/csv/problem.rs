//! The errors of a row, before its line is known.

use super::super::error::{FormatError, Position};
use super::super::value::excerpt;

/// Maximum length of the identifier of a track or segment, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 256;
/// Maximum number of tracks in a file, which take about 100 MB of memory.
pub(super) const TRACKS_MAX: usize = 100_000;

/// An error in a row. Columns are counted from 0.
pub(super) enum Problem {
    /// The row has too few fields.
    Narrow { column: usize, count: usize },
    /// The row has more fields than there are column names.
    Wide { column: usize, count: usize },
    /// The identifier of a track or segment is too long.
    Long { column: usize },
    /// The file has too many tracks.
    Tracks,
    /// Another error.
    Other(FormatError),
}

impl From<FormatError> for Problem {
    fn from(error: FormatError) -> Self {
        Problem::Other(error)
    }
}

impl Problem {
    /// Returns the error for a row that starts on `line`.
    pub(super) fn explain(self, names: &[String], line: u64) -> FormatError {
        let position = |column: usize| Position::column(line, column as u64 + 1);
        let name = |column: usize| excerpt(names[column].as_bytes());
        match self {
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
            Problem::Other(error) => error,
        }
    }
}
