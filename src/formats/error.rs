//! The errors of the readers, and the positions in a file that they name.

use std::fmt;
use std::io;
use std::path::Path;

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
    /// Returns the name of a file with a position in it, for the start of a message.
    ///
    /// ```
    /// use waywiser::formats::Position;
    ///
    /// assert_eq!(Position::in_file(Some(Position::Record(7)), "walk.fit"), "walk.fit: record 7");
    /// assert_eq!(Position::in_file(None, "walk.fit"), "walk.fit");
    /// ```
    pub fn in_file(position: Option<Self>, name: &str) -> String {
        match position {
            None => name.to_owned(),
            // Editors and terminals recognise this form as a link.
            Some(Position::Text { line, column: None }) => format!("{name}:{line}"),
            Some(Position::Text { line, column: Some(column) }) => {
                format!("{name}:{line}:{column}")
            }
            Some(position) => format!("{name}: {position}"),
        }
    }

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
        format!("{}: {self}", Position::in_file(self.position(), name))
    }

    /// Returns why a file is skipped that was found in a folder or an archive, and that the caller has not named. `name` is
    /// the name of the file. `None` means that the file is a track file, and cannot be read.
    pub fn skip_reason(&self, name: &str) -> Option<SkipReason> {
        match self {
            FormatError::Unrecognised { .. } => Some(SkipReason::Unsupported),
            // The first line of any text with commas looks like the column names of a table.
            FormatError::Column(_) if !is_table(name) => Some(SkipReason::Unsupported),
            FormatError::NoTracks { .. }
            | FormatError::NoPositions { .. }
            | FormatError::Column(_) => Some(SkipReason::NoTracks),
            _ => None,
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

/// Why a file is skipped that was found in a folder or an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The file is in no supported format.
    Unsupported,
    /// The file has nothing to measure, and the error is the reason.
    NoTracks,
}

/// Returns whether a file with this name is a table of text, or may be one because its name has no extension.
fn is_table(name: &str) -> bool {
    /// The extensions of tables, and that of files compressed with gzip.
    const EXTENSIONS: [&str; 6] = ["csv", "gz", "tab", "tsv", "txt", "xyz"];
    let extension = Path::new(name).extension();
    extension.is_none_or(|extension| {
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
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
    fn a_file_that_was_found_is_skipped_for_a_reason() {
        let column = || FormatError::Column("no column has the longitude".to_owned());
        let reasons = [
            (FormatError::Unrecognised { found: "a picture".to_owned(), advice: "" }, "a.csv"),
            (column(), "a.md"),
            (column(), "a.CSV"),
            (column(), "a"),
            (FormatError::Empty, "a.csv"),
        ]
        .map(|(error, name)| error.skip_reason(name));
        let (unsupported, no_tracks) = (Some(SkipReason::Unsupported), Some(SkipReason::NoTracks));
        assert_eq!(reasons, [unsupported, unsupported, no_tracks, no_tracks, None]);
    }

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
