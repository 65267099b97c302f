//! The sequence of JSON values of a file: one value, a value per line, or a text sequence (RFC 8142).
//!
//! In a sequence, a value that is not valid is noted and costs only itself.

use std::io::BufRead;

use serde::de::DeserializeSeed;

use super::super::error::{FormatError, Limit, Position};
use super::super::note::NoteKind;
use super::bounded::{Bounded, End, SEPARATOR};
use super::items::ItemSeed;
use super::{Role, Walk, geojson};

/// How the values of a file are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The first value, so that it is not known yet.
    First,
    /// A value per line.
    Lines,
    /// Values of several lines.
    Values,
    /// A record separator before each value.
    Separated,
    /// Lines of a `.rec` file of OwnTracks.
    Rec,
}

/// An error in a value.
enum Problem {
    /// The value is damaged. `is_end` is set if the file ends in it.
    Value { error: FormatError, is_end: bool },
    /// The file cannot be read further.
    File(FormatError),
}

/// Reads all values.
pub(super) fn read<R: BufRead>(
    input: &mut Bounded<R>,
    walk: &mut Walk<'_, '_>,
) -> Result<(), FormatError> {
    let mut mode = Mode::First;
    while let Some(byte) = input.next_content().map_err(FormatError::Io)? {
        if byte == SEPARATOR && matches!(mode, Mode::First | Mode::Separated) {
            mode = Mode::Separated;
            input.consume(byte);
            continue;
        }
        if matches!(mode, Mode::First | Mode::Rec) && byte.is_ascii_digit() {
            mode = Mode::Rec;
            input.skip_while(|byte| !matches!(byte, b'{' | b'\n')).map_err(FormatError::Io)?;
            if input.peek().map_err(FormatError::Io)? != Some(b'{') {
                let message = "the line of a .rec file has no JSON object";
                walk.file_note(NoteKind::SkippedLines, message)?;
                continue;
            }
        }
        let start = walk.position.line_and_column().0;
        let problem = match read_value(input, walk, mode) {
            Ok(()) => {
                if mode == Mode::First {
                    let is_line = walk.position.line_and_column().0 == start;
                    mode = if is_line { Mode::Lines } else { Mode::Values };
                }
                continue;
            }
            Err(problem) => problem,
        };
        match problem {
            Problem::File(error) => return Err(error),
            Problem::Value { error, is_end } => {
                recover(input, walk, &mut mode, start, error, is_end)?;
            }
        }
    }
    Ok(())
}

fn read_value<R: BufRead>(
    input: &mut Bounded<R>,
    walk: &mut Walk<'_, '_>,
    mode: Mode,
) -> Result<(), Problem> {
    let next = input.peek().map_err(|error| Problem::File(FormatError::Io(error)))?;
    if let Some(byte) = next.filter(|byte| !matches!(byte, b'{' | b'[')) {
        input.consume(byte);
        let message = match mode {
            Mode::First => "not JSON: an object or a list is expected",
            _ => "text that is not JSON follows a JSON value",
        };
        let error = FormatError::malformed(walk.position.get(), message);
        return Err(Problem::Value { error, is_end: false });
    }
    input.start_value(match mode {
        Mode::First | Mode::Values => End::File,
        Mode::Lines | Mode::Rec => End::Line,
        Mode::Separated => End::Separator,
    });
    let mut json = serde_json::Deserializer::from_reader(input);
    let outcome = ItemSeed { walk, role: Role::Document }.deserialize(&mut json);
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(error, walk, mode)),
    }
}

/// Continues after a damaged value if the file is a sequence of values, and returns the error otherwise.
fn recover<R: BufRead>(
    input: &mut Bounded<R>,
    walk: &mut Walk<'_, '_>,
    mode: &mut Mode,
    start: u64,
    error: FormatError,
    is_end: bool,
) -> Result<(), FormatError> {
    let end = walk.position.line_and_column();
    let position = match end.1 {
        // The parser has read the end of the line.
        0 => Position::line(start),
        _ => error.position().unwrap_or(walk.position.get()),
    };
    let message = error.to_string();
    let is_sequence = match *mode {
        Mode::Values => return Err(error),
        Mode::Separated => {
            input.skip_while(|byte| byte != SEPARATOR).map_err(FormatError::Io)?;
            true
        }
        Mode::Rec | Mode::Lines => {
            input.skip_line().map_err(FormatError::Io)?;
            true
        }
        // The first line ends too early, and the parser has read the first byte of the second.
        Mode::First if end == (start + 1, 1) => {
            input.unread();
            input.next_content().map_err(FormatError::Io)? == Some(b'{')
        }
        Mode::First => {
            input.skip_line().map_err(FormatError::Io)?;
            let is_line = end.0 == start || end == (start + 1, 0);
            is_line && input.next_content().map_err(FormatError::Io)? == Some(b'{')
        }
    };
    let is_last = input.next_content().map_err(FormatError::Io)?.is_none();
    if !is_sequence || (is_end && is_last) || walk.format.is_none() && is_last {
        return Err(error);
    }
    if *mode == Mode::First {
        *mode = Mode::Lines;
    }
    geojson::abort(walk)?;
    walk.out.file_note(NoteKind::SkippedLines, Some(position), message)
}

fn explain(error: serde_json::Error, walk: &mut Walk<'_, '_>, mode: Mode) -> Problem {
    let position = walk.position.get();
    if let Some(failure) = walk.failure.take() {
        return Problem::File(failure);
    }
    if error.is_io() {
        return Problem::File(Limit::or_io(error.into(), position));
    }
    if error.is_eof() {
        let message = match mode {
            Mode::First | Mode::Values => "the file ends too early; it is incomplete",
            _ => "the JSON value ends too early; it is incomplete",
        };
        return Problem::Value { error: FormatError::malformed(position, message), is_end: true };
    }
    Problem::Value { error: malformed(&error, position), is_end: false }
}

fn malformed(error: &serde_json::Error, position: Position) -> FormatError {
    let at = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&at).unwrap_or(&message);
    if message == "recursion limit exceeded" {
        let message = "lists and objects are nested too deep".to_owned();
        return FormatError::TooLarge { position, message };
    }
    let message: String = message.chars().take(200).collect();
    FormatError::malformed(position, format!("not JSON: {message}"))
}
