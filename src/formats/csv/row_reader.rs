//! Reads the point in a row, and passes it on.

use super::super::decimal::parse_f64;
use super::super::error::{FormatError, Position};
use super::super::note::NoteKind;
use super::super::rows::is_comment;
use super::super::time::{ASSUMED_UTC, TimeReader};
use super::super::track_writer::{Attribute, RawFix, TrackWriter};
use super::super::value::excerpt;
use super::angle::{self, Angle};
use super::columns::{Axis, Columns, Length, TimeSource};
use super::decide::Decisions;
use super::splitter::Row;
use super::tracks::Tracks;

mod geometry;

/// Maximum length of the identifier of a track or segment, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 256;

/// Reads rows.
pub(super) struct RowReader {
    columns: Columns,
    times: TimeReader,
    time: Option<TimeSource>,
    /// The columns that identify tracks.
    groups: Vec<usize>,
    /// Whether these columns were found by their names.
    is_guessed: bool,
    /// Further columns that may identify tracks, with their last values.
    unused_groups: Vec<(usize, Vec<u8>)>,
    tracks: Tracks,
    identifier: Vec<u8>,
    time_text: Vec<u8>,
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
            groups,
            unused_groups: unused,
            tracks: Tracks::default(),
            identifier: Vec::new(),
            time_text: Vec::new(),
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
        let (x, y) = (coordinate(&self.columns.x, row), coordinate(&self.columns.y, row));
        let is_valid = x.is_ok() && y.is_ok();
        if !is_valid && row.get(0).is_some_and(is_comment) {
            let message = "it is a comment";
            return out.file_note(NoteKind::SkippedLines, Some(Position::line(row.line)), message);
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
        let mut raw = RawFix::new(position, x.value, y.value);
        self.read_attributes(row, has_comma, &mut raw, out)?;
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
        match self.tracks.count() {
            0 if self.line_count > 0 => Ok(()),
            _ => self.tracks.end(out, Position::line(line), self.row_count > 0),
        }
    }

    /// Reads a row with a value after the last column. Its values may be in the wrong columns.
    fn read_wide(
        &mut self,
        row: Row<'_>,
        stray: usize,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if row.get(0).is_some_and(is_comment) {
            let message = "it is a comment";
            return out.file_note(NoteKind::SkippedLines, Some(Position::line(row.line)), message);
        }
        let message = format!(
            "the row has {} fields but there are {} columns; check the delimiter, and that numbers have decimal \
             points, not commas",
            row.len(),
            self.columns.names.len()
        );
        let position = Position::column(row.line, stray as u64 + 1);
        self.wide_count += 1;
        self.first_wide.get_or_insert_with(|| (position, message.clone()));
        if self.tracks.count() == 0 && !self.enter(row, out)? {
            return Ok(());
        }
        out.invalid_point(position, message)
    }

    /// Makes the track and the segment of a row the current ones. Returns false if their identifiers are not
    /// valid: then the point is passed on as an invalid one.
    fn enter(&mut self, row: Row<'_>, out: &mut TrackWriter<'_>) -> Result<bool, FormatError> {
        let position = Position::line(row.line);
        let field = |at: usize| row.get(at).unwrap_or_default().trim_ascii();
        let segment = self.columns.segment.map_or(&b""[..], field);
        self.identifier.clear();
        for &at in &self.groups {
            let value = field(at);
            if !self.identifier.is_empty() && !value.is_empty() {
                self.identifier.extend_from_slice(b", ");
            }
            self.identifier.extend_from_slice(value);
        }
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
        if field.is_empty() {
            return Ok(None);
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

    /// Reads the time. An invalid one is a missing value, with a note.
    fn time(
        &mut self,
        row: Row<'_>,
        source: TimeSource,
        out: &mut TrackWriter<'_>,
    ) -> Result<Option<i64>, FormatError> {
        let text = source.text(row, &mut self.time_text);
        let position = Position::column(row.line, source.at as u64 + 1);
        let is_day_number = source.unit.is_none() && is_day_number(text);
        if is_day_number && !self.noted.day_number {
            self.noted.day_number = true;
            let message = format!(
                "times such as {} are read as seconds since 1970; if they are days, as in a spreadsheet, write \
                 dates",
                excerpt(text)
            );
            out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        }
        let time = match self.times.unix_ns(text, source.unit) {
            Ok(time) => time,
            Err(message) => {
                let message = self.in_column(message, source.at);
                out.invalid_value(Attribute::Time, position, message)?;
                None
            }
        };
        if self.times.assumes_zone() && !self.noted.zone {
            self.noted.zone = true;
            out.file_note(NoteKind::AssumedZone, Some(position), ASSUMED_UTC)?;
        }
        Ok(time)
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

/// Returns whether a text may be a number of days since 1899-12-30, with a fraction: between 1954 and 2119.
fn is_day_number(text: &[u8]) -> bool {
    matches!(text, [b'2'..=b'7', _, _, _, _, b'.', ..]) && text[..5].iter().all(u8::is_ascii_digit)
}

/// Reads a coordinate and its hemisphere.
fn coordinate(axis: &Axis, row: Row<'_>) -> Result<Angle, String> {
    let Some(field) = row.get(axis.at) else {
        return Err(format!("the row is too short and has no {}", axis.what));
    };
    let field = field.trim_ascii();
    if axis.divisor == 1.0 && axis.hemisphere.is_none() {
        return angle::parse(axis.what, field, axis.letters);
    }
    let angle = match axis.divisor {
        1.0 => angle::parse(axis.what, field, axis.letters)?,
        divisor => {
            let value = parse_f64(field).filter(|value| value.fract() == 0.0);
            let not_whole =
                || format!("the {} {} is not a whole number", axis.what, excerpt(field));
            Angle { value: value.ok_or_else(not_whole)? / divisor, has_comma: false }
        }
    };
    let (Some(column), Some(letters)) = (axis.hemisphere, axis.letters) else { return Ok(angle) };
    let text = row.get(column).unwrap_or_default();
    let found = || excerpt(text.trim_ascii());
    match angle::hemisphere(text, letters) {
        Some(-1.0) => Ok(Angle { value: -angle.value.abs(), ..angle }),
        Some(_) if angle.value >= 0.0 => Ok(angle),
        Some(_) => Err(format!(
            "the {} {} is negative but its hemisphere is {}",
            axis.what,
            angle.value,
            found()
        )),
        None => Err(format!("the hemisphere {} of the {} is not valid", found(), axis.what)),
    }
}
