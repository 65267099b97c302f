//! The reader of tables: CSV and formats with other delimiters, with the csv crate and one reused record.
//!
//! Columns are found by their names, and one row is one fix. With a track column, rows of different tracks may
//! be mixed in any order. Then the reader stores one entry per track, and limits the number of tracks.

use std::io::{BufRead, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::error::{FormatError, Limit, Position};
use super::lines::Lines;
use super::note::NoteKind;
use super::options::ReadOptions;
use super::rows::{self, DELIMITERS};
use super::track_writer::TrackWriter;

mod columns;
mod names;
mod problem;
mod tracks;

use columns::Columns;
pub use names::{
    ACCURACY_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS, TIME_COLUMNS,
};
use tracks::Tracks;

/// The largest row. It also limits the text after a quote that is not closed.
const ROW_BYTES_MAX: usize = 1 << 20;
const ROW_TOO_LONG: Limit =
    Limit("the row that starts here is longer than 1 MiB; is a quote not closed?");

/// Returns whether the first row of `head` contains a delimiter.
pub(super) fn has_columns(head: &[u8], options: &ReadOptions) -> bool {
    first_row(head, options).iter().any(|byte| DELIMITERS.contains(byte))
}

/// Returns the first row that is not blank.
fn first_row<'a>(head: &'a [u8], options: &ReadOptions) -> &'a [u8] {
    rows::split(head, options).find(|row| !row.trim_ascii().is_empty()).unwrap_or_default()
}

/// Reads a table from UTF-8 text that begins with `head`.
pub(super) fn read(
    text: impl BufRead,
    head: &[u8],
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let delimiter =
        options.delimiter.unwrap_or_else(|| delimiter_of(first_row(head, options), options));
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .buffer_capacity(64 << 10)
        .from_reader(Lines::new(text, ROW_BYTES_MAX, ROW_TOO_LONG));
    let names: Vec<String> = match rows.byte_headers() {
        Ok(names) => names_of(names),
        Err(error) => return Err(failed(error, 1)),
    };
    let columns = Columns::find(&names, delimiter, options)?;
    if let Some(remark) = columns.track_remark(&names) {
        out.file_note(NoteKind::UngroupedRows, Some(Position::line(1)), remark)?;
    }
    let mut tracks = Tracks::default();
    let mut row = ByteRecord::new();
    loop {
        rows.get_mut().start_row();
        let line = rows.position().line();
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(failed(error, line)),
        }
        let line = line_of(&row, &rows);
        if let Err(problem) = columns.row(&row, line, &names, &mut tracks, out) {
            return Err(problem.explain(&names, line));
        }
    }
    tracks.end(out, Position::line(rows.position().line()))
}

/// Returns the delimiter with which the columns are found, or else the most frequent one.
fn delimiter_of(header: &[u8], options: &ReadOptions) -> u8 {
    let split = |delimiter| {
        let lines = Lines::new(header, ROW_BYTES_MAX, ROW_TOO_LONG);
        let mut rows = ReaderBuilder::new().delimiter(delimiter).from_reader(lines);
        rows.byte_headers().map(names_of).unwrap_or_default()
    };
    let count = |delimiter| header.iter().filter(|&&byte| byte == delimiter).count();
    DELIMITERS
        .into_iter()
        .find(|&delimiter| Columns::find(&split(delimiter), delimiter, options).is_ok())
        .or_else(|| DELIMITERS.into_iter().rev().max_by_key(|&delimiter| count(delimiter)))
        .unwrap_or(b',')
}

/// Returns the line on which the row starts.
///
/// It is counted back from the end of the row, because the csv crate reports the position before the blank
/// lines that it skips. Every row ends with one line feed, because [`Lines`] adds a missing one, and quoted
/// fields may contain more.
fn line_of<R: Read>(row: &ByteRecord, rows: &Reader<R>) -> u64 {
    let inside = row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
    rows.position().line().saturating_sub(1 + inside).max(1)
}

fn names_of(header: &ByteRecord) -> Vec<String> {
    header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Returns the error for the row that starts on this line.
fn failed(error: ::csv::Error, line: u64) -> FormatError {
    let position = Position::line(line);
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => Limit::or_io(error, position),
        kind => FormatError::malformed(position, format!("not a table: {kind:?}")),
    }
}

#[cfg(test)]
mod tests;
