//! The reader of tables: CSV and formats with other delimiters.
//!
//! One row is one point. The steps:
//! 1. `header` finds the delimiter and the column names in the first rows, and `columns` the meaning of each
//!    column, with the names in `synonyms`, `names` and `grouping`.
//! 2. `decide` decides from the first rows what names leave open. It stores them as long as something is open.
//! 3. `splitter` splits the rows, with `plain` for rows without quotes, and `row_reader` reads the point of each, with `angle` for coordinates.
//! 4. `tracks` divides the rows into tracks and segments. Rows of different tracks may be mixed in any order;
//!    the reader stores one entry per track, and limits the number of tracks.

use std::io::BufRead;

use super::error::{FormatError, Position};
use super::format::Format;
use super::note::NoteKind;
use super::options::{ReadOptions, TrackColumn};
use super::rows::{self, DELIMITERS, is_comment};
use super::time::TimeReader;
use super::track_writer::TrackWriter;

mod angle;
mod axis;
mod columns;
mod decide;
mod geometry;
mod grouping;
mod header;
mod hemispheres;
mod names;
mod oddities;
mod plain;
mod row;
mod row_reader;
mod splitter;
mod synonyms;
mod time_source;
mod tracks;

use decide::Decider;
use row_reader::RowReader;
use splitter::{Rows, StoredRow};
pub use synonyms::{
    ACCURACY_COLUMNS, DATE_COLUMNS, ELEVATION_COLUMNS, LATITUDE_COLUMNS, LONGITUDE_COLUMNS,
    TIME_COLUMNS,
};

/// Returns whether the first row of `head` that is not a comment contains a delimiter, or whether one of the
/// rows after it has the names of columns.
pub(super) fn has_columns(head: &[u8], options: &ReadOptions) -> bool {
    let is_content = |row: &&[u8]| !row.trim_ascii().is_empty() && !is_comment(row);
    let mut rows = rows::split(head, options).filter(is_content);
    let first = rows.next().unwrap_or_default();
    first.iter().any(|byte| DELIMITERS.contains(byte))
        || rows::separator_line(first).is_some()
        || rows.take(header::ROWS_MAX - 1).any(|row| header::has_names(row, options))
}

/// Returns whether a text with NUL bytes is a table: its first row has the names of columns, and no control
/// characters. Some loggers fill fields with NUL bytes.
pub(super) fn has_padded_columns(head: &[u8], options: &ReadOptions) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !byte.is_ascii_whitespace();
    let first = rows::split(head, options).find(|row| !row.trim_ascii().is_empty());
    head.contains(&0)
        && head.iter().all(|byte| *byte == 0 || !is_control(byte))
        && first.is_some_and(|first| !first.contains(&0) && header::has_names(first, options))
}

/// Adds a note for the options of tables, for a file in another format.
pub(super) fn note_unused_options(
    options: &ReadOptions,
    format: Format,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    // These formats can have a property that identifies the track of a point.
    let has_groups = matches!(
        format,
        Format::GeoJson | Format::GoogleTimeline | Format::OwnTracks | Format::Overland
    );
    let flags = [
        ("--x-column", options.x_column.is_some()),
        ("--y-column", options.y_column.is_some()),
        ("--z-column", options.z_column.is_some()),
        ("--time-column", options.time_column.is_some()),
        ("--accuracy-column", options.accuracy_column.is_some()),
        ("--track-column", options.track_column != TrackColumn::Auto && !has_groups),
        ("--segment-column", options.segment_column.is_some()),
        ("--delimiter", options.delimiter.is_some()),
    ];
    let given: Vec<&str> =
        flags.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| *flag).collect();
    if given.is_empty() {
        return Ok(());
    }
    let message = format!("{} had no effect: the file is not a table", given.join(", "));
    out.file_note(NoteKind::UnusedOption, None, message)
}

/// Reads a table from UTF-8 text.
pub(super) fn read(
    text: impl BufRead,
    options: &ReadOptions,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let times = TimeReader::new(options)?;
    let mut rows = Rows::new(text, b',');
    let mut header = header::read(&mut rows, options)?;
    rows.set_delimiter(header.delimiter);
    if header.columns.geometry.is_some() {
        rows.set_row_bytes_max(splitter::GEOMETRY_ROW_BYTES_MAX);
    }
    for (position, reason) in &header.skipped {
        out.file_note(NoteKind::SkippedLines, Some(*position), *reason)?;
    }
    let (stored, decider, failure) = first_rows(&mut rows, &mut header, &times);
    let decisions = decider.apply(&mut header.columns);
    for remark in &header.columns.ignored {
        out.file_note(NoteKind::IgnoredColumn, None, remark.clone())?;
    }
    for remark in &header.columns.assumed {
        out.file_note(NoteKind::AssumedNotation, None, remark.clone())?;
    }
    // A row with a line is a track of its own.
    let has_lines = header.columns.geometry.is_some()
        && stored.iter().any(|row| header.columns.has_line(row.as_row()));
    for &at in decisions.row_numbers.iter().filter(|_| !has_lines) {
        let name = header.columns.name(at);
        let message = format!(
            "the column {name} has another value in each of the first {} rows, so it does not divide the rows into tracks; use \
             --track-column {name} if it identifies tracks, and --track-column none if not",
            decisions.row_count
        );
        out.file_note(NoteKind::UngroupedRows, None, message)?;
    }
    let mut reader = RowReader::new(header.columns, times, decisions);
    note_oddities(&mut rows, out)?;
    for row in &stored {
        reader.read(row.as_row(), out)?;
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    drop(stored);
    while let Some(row) = rows.next_row()? {
        reader.read(row, out)?;
        if rows.oddities.is_any() {
            note_oddities(&mut rows, out)?;
        }
    }
    note_oddities(&mut rows, out)?;
    reader.end(out, rows.line())
}

/// Reads rows until they decide what the names of the columns leave open. Returns the rows, and the error that
/// ends them.
fn first_rows<R: std::io::Read>(
    rows: &mut Rows<R>,
    header: &mut header::Header,
    times: &TimeReader,
) -> (Vec<StoredRow>, Decider, Option<FormatError>) {
    let mut decider = Decider::new(&header.columns);
    let mut stored = std::mem::take(&mut header.rows);
    let mut byte_count = 0;
    for row in &stored {
        decider.observe(row.as_row(), &header.columns, times);
    }
    while !decider.is_decided(&header.columns)
        && stored.len() < decide::ROWS_MAX
        && byte_count < decide::BYTES_MAX
    {
        match rows.next_row() {
            Ok(Some(row)) => {
                decider.observe(row, &header.columns, times);
                let row = StoredRow::new(row);
                byte_count += row.byte_count();
                stored.push(row);
            }
            Ok(None) => break,
            Err(failure) => return (stored, decider, Some(failure)),
        }
    }
    (stored, decider, None)
}

/// Adds notes on text that was not read as rows.
fn note_oddities<R: std::io::Read>(
    rows: &mut Rows<R>,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let oddities = std::mem::take(&mut rows.oddities);
    if let Some(line) = oddities.open_quotes {
        let message = "a quote that is not closed is read as a part of its value";
        out.file_note(NoteKind::AssumedNotation, Some(Position::line(line)), message)?;
    }
    if let Some(line) = oddities.nul_bytes {
        let message = "it has NUL bytes";
        out.file_note(NoteKind::SkippedLines, Some(Position::line(line)), message)?;
    }
    if let Some(line) = oddities.padding {
        let message = "NUL bytes at the end of a row are ignored";
        out.file_note(NoteKind::IgnoredContent, Some(Position::line(line)), message)?;
    }
    if let Some(line) = oddities.blank_lines {
        let message = "it is blank; the rows before and after it are joined";
        out.file_note(NoteKind::SkippedLines, Some(Position::line(line)), message)?;
    }
    if let Some(line) = oddities.long_rows {
        let message = "it is longer than 1 MiB, or 8 MiB in a table with geometries";
        out.file_note(NoteKind::SkippedLines, Some(Position::line(line)), message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
