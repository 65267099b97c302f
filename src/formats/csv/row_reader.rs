//! Reads the point in a row, and passes it on.

use super::super::decimal::parse_f64;
use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::polyline::Precision;
use super::super::projection::Projection;
use super::super::rows::is_comment;
use super::super::time::TimeReader;
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::excerpt;
use super::angle;
use super::axis::{Axis, coordinate};
use super::columns::{Columns, Length};
use super::decide::Decisions;
use super::splitter::Row;
use super::time_source::TimeSource;
use super::tracks::Tracks;

mod geometry;
mod times;
mod wide;

/// Maximum length of the identifier of a track or segment, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 256;
/// The rows in which unused columns of times are searched.
const TIME_SEARCH_ROWS: u64 = 20;

/// Reads rows.
pub(super) struct RowReader {
    columns: Columns,
    times: TimeReader,
    time: Option<TimeSource>,
    /// Whether the first rows had times.
    has_times: bool,
    /// The columns that identify tracks.
    groups: Vec<usize>,
    /// Whether these columns were found by their names.
    is_guessed: bool,
    /// Further columns that may identify tracks, with their last values.
    unused_groups: Vec<(usize, Vec<u8>)>,
    tracks: Tracks,
    identifier: Vec<u8>,
    time_text: Vec<u8>,
    precision: Precision,
    projection: Projection,
    row_count: u64,
    /// The rows that are tracks.
    line_count: u64,
    /// The rows with too many fields: their number and the first error.
    wide_count: u64,
    first_wide: Option<(Position, String)>,
    noted: Noted,
}

/// The notes that were added.
#[derive(Default)]
struct Noted {
    zone: bool,
    comma: bool,
    groups: bool,
    day_number: bool,
    packed: bool,
    relative: bool,
    clock_change: bool,
    unused_time: bool,
    pair: bool,
}

impl RowReader {
    pub(super) fn new(columns: Columns, mut times: TimeReader, decisions: Decisions) -> Self {
        if let Some(order) = decisions.order {
            times.set_order(order);
        }
        let groups = columns.track.map_or(decisions.groups, |at| vec![at]);
        let unused = decisions.unused_groups.into_iter().map(|at| (at, Vec::new())).collect();
        Self {
            is_guessed: columns.track.is_none(),
            times,
            time: decisions.time,
            has_times: decisions.has_times,
            groups,
            unused_groups: unused,
            tracks: Tracks::default(),
            identifier: Vec::new(),
            time_text: Vec::new(),
            precision: decisions.precision,
            projection: Projection::default(),
            row_count: 0,
            line_count: 0,
            wide_count: 0,
            first_wide: None,
            noted: Noted::default(),
            columns,
        }
    }

    /// Passes the point of a row on.
    pub(super) fn read(
        &mut self,
        row: Row<'_>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.row_count += 1;
        if self.columns.is_header(row) {
            self.tracks.start_block();
            let message = "it repeats the column names; a segment starts after it";
            return out.file_note(NoteKind::SkippedLines, Some(Position::line(row.line)), message);
        }
        if !self.has_times && self.row_count <= TIME_SEARCH_ROWS {
            self.note_unused_times(row, out)?;
        }
        let width = self.columns.names.len();
        if row.len() > width
            && let Some(stray) =
                row.iter().skip(width).position(|field| !field.trim_ascii().is_empty())
        {
            return self.read_wide(row, width + stray, out);
        }
        if let Some(geometry) = self.columns.geometry {
            return self.read_geometry(row, &geometry, out);
        }
        let (Some(x), Some(y)) = (plain(&self.columns.x, row), plain(&self.columns.y, row)) else {
            return self.read_notation(row, out);
        };
        if !self.enter(row, out)? {
            return Ok(());
        }
        let position = Position::column(row.line, self.columns.y.at as u64 + 1);
        let mut raw = RawFix::new(position, x, y);
        self.read_attributes(row, false, &mut raw, out)?;
        self.projection.check(&raw, out.space())?;
        out.point(&raw)
    }

    /// Passes the point of a row on, if its coordinates are not plain numbers.
    #[inline(never)]
    fn read_notation(
        &mut self,
        row: Row<'_>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let (x, y) = (coordinate(&self.columns.x, row), coordinate(&self.columns.y, row));
        let is_valid = x.is_ok() && y.is_ok();
        if !is_valid && row.get(0).is_some_and(is_comment) {
            let message = "it is a comment";
            return out.file_note(NoteKind::SkippedLines, Some(Position::line(row.line)), message);
        }
        if x.is_err() && y.is_err() && self.columns.is_other_header(row) {
            let message = "the column names are repeated here in another order; split the file in front of them";
            return Err(FormatError::malformed(Position::line(row.line), message));
        }
        if !self.enter(row, out)? {
            return Ok(());
        }
        let position = Position::column(row.line, self.columns.y.at as u64 + 1);
        let (x, y) = match (x, y) {
            (Ok(x), Ok(y)) => (x, y),
            (_, Err(message)) => {
                let message = self.in_column(message, self.columns.y.at);
                return out.invalid_point(position, message);
            }
            (Err(message), _) => {
                let at = self.columns.x.at;
                let message = self.in_column(message, at);
                return out.invalid_point(Position::column(row.line, at as u64 + 1), message);
            }
        };
        let has_comma = x.has_comma || y.has_comma;
        if has_comma {
            self.note_comma(position, out)?;
        }
        if (x.is_packed || y.is_packed) && !std::mem::replace(&mut self.noted.packed, true) {
            let message = "coordinates such as 4807.038 with a hemisphere are read as degrees and minutes: 48° 07.038'";
            out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        }
        if self.columns.x.hemisphere_is_blank(row) || self.columns.y.hemisphere_is_blank(row) {
            let message =
                "the coordinate has no hemisphere, and is read with the sign of its number";
            out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        }
        let mut raw = RawFix::new(position, x.value, y.value);
        self.read_attributes(row, has_comma, &mut raw, out)?;
        self.projection.check(&raw, out.space())?;
        out.point(&raw)
    }

    /// Reads the elevation, the accuracy and the time of a row.
    fn read_attributes(
        &mut self,
        row: Row<'_>,
        has_comma: bool,
        raw: &mut RawFix,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if let Some(column) = self.columns.z {
            raw.z = self.length(row, column, Attribute::Elevation, has_comma, out)?;
        }
        if let Some(column) = self.columns.accuracy {
            raw.accuracy_m = self.length(row, column, Attribute::Accuracy, has_comma, out)?;
        }
        if let Some(source) = self.time {
            raw.unix_ns = self.time(row, source, out)?;
        }
        Ok(())
    }

    /// Ends the tracks after the last row.
    ///
    /// # Errors
    /// If most rows have too many fields.
    pub(super) fn end(self, out: &mut TrackWriter<'_>, line: u64) -> Result<(), FormatError> {
        if 2 * self.wide_count > self.row_count
            && let Some((position, message)) = self.first_wide
        {
            return Err(FormatError::malformed(position, message));
        }
        self.projection.end()?;
        match self.tracks.count() {
            0 if self.line_count > 0 => Ok(()),
            _ => self.tracks.end(out, Position::line(line), self.row_count > 0),
        }
    }

    /// Stores the identifier of the track of a row.
    fn identify(&mut self, row: Row<'_>) {
        self.identifier.clear();
        for &at in &self.groups {
            let value = row.get(at).unwrap_or_default().trim_ascii();
            if !self.identifier.is_empty() && !value.is_empty() {
                self.identifier.extend_from_slice(b", ");
            }
            self.identifier.extend_from_slice(value);
        }
    }

    /// Makes the track and the segment of a row the current ones. Returns false if their identifiers are not
    /// valid: then the point is passed on as an invalid one.
    fn enter(&mut self, row: Row<'_>, out: &mut TrackWriter<'_>) -> Result<bool, FormatError> {
        let is_divided = !self.groups.is_empty()
            || !self.unused_groups.is_empty()
            || self.columns.segment.is_some();
        if !is_divided && self.tracks.count() > 0 && !self.tracks.is_new_block() {
            return Ok(true);
        }
        let position = Position::line(row.line);
        let field = |at: usize| row.get(at).unwrap_or_default().trim_ascii();
        let segment = self.columns.segment.map_or(&b""[..], field);
        self.identify(row);
        if self.identifier.len().max(segment.len()) > IDENTIFIER_BYTES_MAX {
            if self.tracks.count() == 0 {
                self.tracks.enter(b"", b"", position, out)?;
            }
            let message = format!(
                "the identifier of the track or segment is longer than {IDENTIFIER_BYTES_MAX} bytes"
            );
            out.invalid_point(position, message)?;
            return Ok(false);
        }
        let is_same = self.tracks.enter(&self.identifier, segment, position, out)?;
        if self.is_guessed {
            if !self.noted.groups && self.tracks.count() > 1 {
                self.noted.groups = true;
                let names: Vec<String> =
                    self.groups.iter().map(|at| self.columns.name(*at)).collect();
                let columns = if names.len() > 1 { "columns" } else { "column" };
                let message = format!(
                    "the rows are divided into tracks by the {columns} {}; use --track-column none to read one \
                     track",
                    names.join(" and ")
                );
                out.file_note(NoteKind::GroupedRows, None, message)?;
            }
            self.check_unused_groups(row, is_same, out)?;
        }
        Ok(true)
    }

    /// Adds a note if a column that may identify tracks changes within a track.
    fn check_unused_groups(
        &mut self,
        row: Row<'_>,
        is_same: bool,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let mut changed = None;
        for (at, last) in &mut self.unused_groups {
            let value = row.get(*at).unwrap_or_default().trim_ascii();
            if *last == value || value.is_empty() {
                continue;
            }
            if is_same && !last.is_empty() {
                changed = Some(*at);
            }
            last.clear();
            last.extend_from_slice(value);
        }
        let Some(changed) = changed else { return Ok(()) };
        self.unused_groups.retain(|(at, _)| *at != changed);
        let name = self.columns.name(changed);
        let message = format!(
            "the column {name} has several values in one track; if it identifies tracks, add --track-column \
             {name}"
        );
        out.file_note(NoteKind::UngroupedRows, Some(Position::line(row.line)), message)
    }

    fn in_column(&self, message: String, at: usize) -> String {
        format!("{message}, in the column {}", self.columns.name(at))
    }

    /// Reads a length in metres. An invalid value is a missing value, with a note.
    fn length(
        &mut self,
        row: Row<'_>,
        column: Length,
        attribute: Attribute,
        row_has_comma: bool,
        out: &mut TrackWriter<'_>,
    ) -> Result<Option<f64>, FormatError> {
        let field = row.get(column.at).unwrap_or_default().trim_ascii();
        if let Some(value) = parse_f64(field) {
            return Ok(Some(value * column.metres));
        }
        let plain = angle::plain(field);
        let field = plain.as_deref().unwrap_or(field);
        if field.is_empty() {
            return Ok(None);
        }
        if let Some(value) = parse_f64(field) {
            return Ok(Some(value * column.metres));
        }
        let position = Position::column(row.line, column.at as u64 + 1);
        // A comma before three digits may also separate thousands.
        let is_decimal =
            row_has_comma || field.iter().rev().position(|byte| *byte == b',') != Some(3);
        if let Some(value) = angle::with_decimal_comma(field).filter(|_| is_decimal) {
            self.note_comma(position, out)?;
            return Ok(Some(value * column.metres));
        }
        let what = match attribute {
            Attribute::Accuracy => "accuracy",
            _ if out.space() == crate::measure::Space::Planar => "z",
            _ => "elevation",
        };
        let message = format!("the {what} {} is not a number", excerpt(field));
        let message = self.in_column(message, column.at);
        out.invalid_value(attribute, position, message)?;
        Ok(None)
    }

    fn note_comma(
        &mut self,
        position: Position,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if std::mem::replace(&mut self.noted.comma, true) {
            return Ok(());
        }
        let message = "a comma in a number is read as the decimal point";
        out.file_note(NoteKind::AssumedNotation, Some(position), message)
    }
}

/// Reads a coordinate that is a plain number of degrees.
fn plain(axis: &Axis, row: Row<'_>) -> Option<f64> {
    if axis.divisor != 1.0 || axis.hemisphere.is_some() {
        return None;
    }
    parse_f64(row.get(axis.at)?.trim_ascii())
}
