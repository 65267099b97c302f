//! The errors of the readers, and the positions in a file that they name.

use std::fmt;
use std::io;

use super::format::Format;
use crate::measure::PathError;

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// A position in text.
    Text {
        /// The line, counted from 1.
        line: u64,
        /// The byte in the line (of the text in UTF-8) or, in a table, the field. Both count from 1.
        column: Option<u64>,
    },
    /// The offset of a byte in a binary file, counted from 0.
    Byte(u64),
    /// The number of a record in a binary file, counted from 1.
    Record(u64),
}

impl Position {
    pub(super) fn line(line: u64) -> Self {
        Position::Text { line, column: None }
    }

    pub(super) fn column(line: u64, column: u64) -> Self {
        Position::Text { line, column: Some(column) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Text { line, column: None } => write!(f, "line {line}"),
            Position::Text { line, column: Some(column) } => {
                write!(f, "line {line}, column {column}")
            }
            Position::Byte(offset) => write!(f, "byte {offset}"),
            Position::Record(number) => write!(f, "record {number}"),
        }
    }
}

/// An error that stopped the reading of a file.
///
/// Its message does not include the file and the position. [`FormatError::in_file`] adds both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The input returned an error.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// The file has no content except white space.
    #[error("the file is empty")]
    Empty,
    /// The content is in no supported format.
    #[error("not a supported track file but {found}; {advice}")]
    Unrecognised {
        /// The format that was found.
        found: String,
        /// The advice to the user.
        advice: &'static str,
    },
    /// The file has points, but none with a valid position.
    #[error("no point of the file ({count}) has a valid position; the first one: {reason}")]
    NoPositions {
        /// The number of points.
        count: u64,
        /// The reason for the first point.
        reason: String,
    },
    /// The file cannot be read in the chosen format, and looks like another one.
    #[error(
        "the file is not in the format {wanted}, but looks like {found}; leave out --format to detect the format"
    )]
    OtherFormat {
        /// The chosen format.
        wanted: Format,
        /// The detected format.
        found: Format,
    },
    /// The file is in a supported format but has no track.
    #[error("this {format} has nothing to measure: {found}")]
    NoTracks {
        /// The format of the file.
        format: Format,
        /// The content of the file.
        found: String,
    },
    /// A required column of a table was not found.
    #[error("{0}")]
    Column(String),
    /// An option has a value that is not valid.
    #[error("{0}")]
    Option(String),
    /// The content violates the rules of its format.
    #[error("{message}")]
    Malformed {
        /// The position of the error, if it is known.
        position: Option<Position>,
        /// A description of the error.
        message: String,
    },
    /// The content exceeds a limit of the reader.
    #[error("{message}")]
    TooLarge {
        /// The position of the error.
        position: Position,
        /// The limit, and the advice to the user.
        message: String,
    },
    /// The file is an archive, or a member of an archive that cannot be read.
    #[error("{0}")]
    Archive(String),
    /// A note that [`ReadOptions::is_strict`](super::ReadOptions::is_strict) makes an error.
    #[error("{message}; --strict makes this an error")]
    Strict {
        /// The position, if there is one.
        position: Option<Position>,
        /// The message of the note.
        message: String,
    },
    /// The sink could not add a fix to its path.
    #[error("{source}")]
    Path {
        /// The position of the fix.
        position: Position,
        /// The error of the path.
        source: PathError,
    },
    /// The sink stopped the reading.
    #[error("reading was stopped")]
    Stopped,
}

impl FormatError {
    /// Returns the position of the error in the file, if it has one.
    pub fn position(&self) -> Option<Position> {
        match self {
            FormatError::Malformed { position, .. } | FormatError::Strict { position, .. } => {
                *position
            }
            FormatError::TooLarge { position, .. } | FormatError::Path { position, .. } => {
                Some(*position)
            }
            _ => None,
        }
    }

    /// Returns the message with the name of the file and the position before it.
    ///
    /// ```
    /// use waywiser::formats::{self, ReadOptions, SinkError, TrackSink};
    /// # struct Ignore;
    /// # impl TrackSink for Ignore {
    /// #     fn fix(&mut self, _: waywiser::Fix) -> Result<(), SinkError> { Ok(()) }
    /// # }
    /// # let sink = &mut Ignore;
    /// let file = &b"<gpx><trk>\n</gpx>"[..];
    /// let error = formats::read(file, &ReadOptions::default(), sink).unwrap_err();
    /// let expected = "walk.gpx:2:1: not well-formed XML: expected `</trk>`, but `</gpx>` was found";
    /// assert_eq!(error.in_file("walk.gpx"), expected);
    /// ```
    pub fn in_file(&self, name: &str) -> String {
        match self.position() {
            None => format!("{name}: {self}"),
            // Editors and terminals recognise this form as a link.
            Some(Position::Text { line, column: None }) => format!("{name}:{line}: {self}"),
            Some(Position::Text { line, column: Some(column) }) => {
                format!("{name}:{line}:{column}: {self}")
            }
            Some(position) => format!("{name}: {position}: {self}"),
        }
    }

    pub(super) fn malformed(position: Position, message: impl Into<String>) -> Self {
        FormatError::Malformed { position: Some(position), message: message.into() }
    }

    /// Adds a position to an error of the sink.
    pub(super) fn at(position: Position, error: SinkError) -> Self {
        match error {
            SinkError::Path(source) => FormatError::Path { position, source },
            SinkError::Stop => FormatError::Stopped,
        }
    }
}

/// An error that a [`TrackSink`](super::TrackSink) returns to stop the reading.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The path of the sink cannot take the fix.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The sink needs no more fixes, or keeps the reason itself.
    #[error("reading was stopped")]
    Stop,
}

/// A limit that was exceeded below a parser. It passes through the parser inside an `io::Error`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Limit(pub &'static str);

impl Limit {
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Returns [`FormatError::TooLarge`] if `error` contains a limit, and [`FormatError::Io`] otherwise.
    pub(super) fn or_io(error: io::Error, position: Position) -> FormatError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
            Some(limit) => FormatError::TooLarge { position, message: limit.to_string() },
            None => FormatError::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_starts_with_the_file_and_the_position() {
        let message = |position| FormatError::malformed(position, "wrong").in_file("a");
        insta::assert_snapshot!(message(Position::column(3, 12)), @"a:3:12: wrong");
        insta::assert_snapshot!(message(Position::line(3)), @"a:3: wrong");
        insta::assert_snapshot!(message(Position::Byte(17)), @"a: byte 17: wrong");
        insta::assert_snapshot!(message(Position::Record(7)), @"a: record 7: wrong");
        insta::assert_snapshot!(FormatError::Empty.in_file("a"), @"a: the file is empty");
        insta::assert_snapshot!(Position::column(3, 12), @"line 3, column 12");
        insta::assert_snapshot!(Position::line(3), @"line 3");
    }
}
