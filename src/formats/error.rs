//! Why a file could not be read, and where in it. Knows no file name: whoever opened the file
//! puts it, and the [`Place`], in front of the message.

use std::fmt;
use std::io;

use super::Format;
use crate::measure::{FixError, PathError, PointError};

/// Where in a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The byte in the line (of the text in UTF-8) or, in a table, the number of the field.
    pub column: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// Why a file could not be read to its end.
///
/// The message tells what is wrong and what to do; [`FormatError::place`] tells where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes did not come.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// There is nothing in it, or white space.
    #[error("the file is empty")]
    Empty,
    /// It is something else.
    #[error("not GPX, GeoJSON or CSV but {found}; {advice}")]
    Unrecognised {
        /// What it seems to be.
        found: String,
        /// What to do with it.
        advice: &'static str,
    },
    /// It is what it claims to be, but nothing in it has a length.
    #[error("this {format} has nothing to measure: {found}")]
    NoTracks {
        /// What it is.
        format: Format,
        /// What is in it, and what was looked for.
        found: String,
    },
    /// A table lacks a column, or its name is not known.
    #[error("{0}")]
    Column(String),
    /// It breaks the rules of its format.
    #[error("{message}")]
    Malformed {
        /// Where.
        place: Option<Place>,
        /// What is wrong.
        message: String,
    },
    /// It passes a limit that keeps memory bounded.
    #[error("{message}")]
    TooLarge {
        /// Where.
        place: Place,
        /// Which limit, and what to do.
        message: String,
    },
    /// Two numbers that are not a point.
    #[error("{source}{}", in_column(.column.as_deref()))]
    Point {
        /// Where.
        place: Place,
        /// The name of the column it stands in, in a table.
        column: Option<String>,
        /// What is wrong with it.
        source: PointError,
    },
    /// An elevation, time or accuracy that is out of range.
    #[error("{source}{}", in_column(.column.as_deref()))]
    Fix {
        /// Where.
        place: Place,
        /// The name of the column it stands in, in a table.
        column: Option<String>,
        /// What is wrong with it.
        source: FixError,
    },
    /// A point that the path could not take.
    #[error("{source}")]
    Path {
        /// Where.
        place: Place,
        /// Why.
        source: PathError,
    },
    /// The sink asked to stop.
    #[error("reading was stopped")]
    Stopped,
}

impl FormatError {
    /// Where in the file, if it is one place.
    pub fn place(&self) -> Option<Place> {
        match self {
            FormatError::Malformed { place, .. } => *place,
            FormatError::TooLarge { place, .. }
            | FormatError::Point { place, .. }
            | FormatError::Fix { place, .. }
            | FormatError::Path { place, .. } => Some(*place),
            _ => None,
        }
    }

    pub(super) fn malformed(place: Place, message: impl Into<String>) -> Self {
        FormatError::Malformed { place: Some(place), message: message.into() }
    }

    pub(super) fn refused(error: SinkError, place: Place) -> Self {
        match error {
            SinkError::Point(source) => FormatError::Point { place, column: None, source },
            SinkError::Fix(source) => FormatError::Fix { place, column: None, source },
            SinkError::Path(source) => FormatError::Path { place, source },
            SinkError::Stop => FormatError::Stopped,
        }
    }
}

/// Why a [`TrackSink`](super::TrackSink) did not take something.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The fix is no point.
    #[error(transparent)]
    Point(#[from] PointError),
    /// What is known of the fix is out of range.
    #[error(transparent)]
    Fix(#[from] FixError),
    /// The path is full.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The sink wants no more, for a reason that it keeps to itself.
    #[error("no more is wanted")]
    Stop,
}

fn in_column(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(", in the column {}", excerpt(name.as_bytes())))
}

/// The limit a reader of bytes ran into, carried through a parser inside its `io::Error`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Limit(pub &'static str);

impl Limit {
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The error that `error` stands for: a limit if it carries one.
    pub(super) fn or_io(error: io::Error, place: Place) -> FormatError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
            Some(limit) => FormatError::TooLarge { place, message: limit.to_string() },
            None => FormatError::Io(error),
        }
    }
}

/// A piece of a file for a message: in quotes, on one line, without control characters, short.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 40;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * CHARS_MAX)]);
    let mut chars = text.chars();
    let short: String = chars.by_ref().take(CHARS_MAX).collect();
    let dots = if chars.next().is_some() { "…" } else { "" };
    format!("\"{}{dots}\"", short.escape_debug())
}

/// The beginning of a text, of at most so many bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A coordinate, or what is wrong with it and how to put it right.
pub(super) fn coordinate(name: &str, bytes: &[u8]) -> Result<f64, String> {
    let bytes = bytes.trim_ascii();
    let text = std::str::from_utf8(bytes).unwrap_or("");
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    if bytes.is_empty() {
        return Err(format!("the {name} is blank"));
    }
    let found = excerpt(bytes);
    if text.matches(',').count() == 1 && text.replacen(',', ".", 1).parse::<f64>().is_ok() {
        return Err(format!("the {name} {found} has a decimal comma; write a decimal point"));
    }
    Err(format!("the {name} {found} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        insta::assert_snapshot!(excerpt(b"46\x1b[31m\n\"x"), @r#""46\u{1b}[31m\n\"x""#);
        assert!(excerpt(&[b'a'; 1 << 20]).len() < 60);
        assert!(excerpt("č".repeat(100).as_bytes()).ends_with("č…\""));
    }

    #[test]
    fn a_coordinate_that_is_none_says_why() {
        assert_eq!(coordinate("latitude", b" 46.5\t"), Ok(46.5));
        let why = |text: &str| coordinate("latitude", text.as_bytes()).unwrap_err();
        insta::assert_snapshot!(why(" "), @"the latitude is blank");
        insta::assert_snapshot!(why("46,5"), @r#"the latitude "46,5" has a decimal comma; write a decimal point"#);
        insta::assert_snapshot!(why("46°30'N"), @r#"the latitude "46°30\'N" is not a number"#);
    }
}
