//! Reads rows with too many fields.
//!
//! A comma in a text without quotes adds a field, and so does a decimal comma. The values after it are in the
//! wrong columns.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::rows::is_comment;
use super::super::super::time::Clarity;
use super::super::super::track_writer::{RawFix, TrackWriter};
use super::super::axis::{Axis, coordinate};
use super::super::splitter::Row;
use super::RowReader;

impl RowReader {
    /// Reads a row with a value after the last column. Its values may be in the wrong columns.
    pub(super) fn read_wide(
        &mut self,
        row: Row<'_>,
        stray: usize,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if row.get(0).is_some_and(is_comment) {
            let message = "it is a comment";
            return out.file_note(NoteKind::SkippedLines, Some(Position::line(row.line)), message);
        }
        if let Some((x, y)) = self.position_of_wide(row) {
            return self.read_position(row, stray, (x, y), out);
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
        // Only a value before the coordinates is certainly in its column.
        let first = self
            .columns
            .geometry
            .map_or(self.columns.x.at.min(self.columns.y.at), |geometry| geometry.at);
        let is_certain = |at: usize| at < first;
        self.identify(row);
        let is_known =
            self.groups.iter().all(|at| is_certain(*at)) || self.tracks.has(&self.identifier);
        let has_identity = is_known && self.columns.segment.is_none_or(is_certain);
        if (has_identity || self.tracks.count() == 0) && !self.enter(row, out)? {
            return Ok(());
        }
        out.invalid_point(position, message)
    }

    /// Returns the position in a row with too many fields, if no comma before it can have moved it.
    ///
    /// The coordinates have decimal points, so that they have no decimal commas. Each field before the last one
    /// of them is a coordinate or a time.
    fn position_of_wide(&self, row: Row<'_>) -> Option<(f64, f64)> {
        let columns = &self.columns;
        let (x, y) = (&columns.x, &columns.y);
        let last = x.at.max(y.at);
        let identifiers = self.groups.iter().copied().chain(columns.segment);
        let is_plain = |axis: &Axis| axis.hemisphere.is_none() && axis.divisor == 1.0;
        if columns.geometry.is_some()
            || !is_plain(x)
            || !is_plain(y)
            || identifiers.max().is_some_and(|at| at > last)
        {
            return None;
        }
        let time = |at: usize| self.time.filter(|time| time.at == at && time.is_single());
        for (at, field) in row.iter().take(last + 1).enumerate() {
            let is_certain = match time(at) {
                _ if at == x.at || at == y.at => field.contains(&b'.') && !field.contains(&b','),
                Some(time) => {
                    let clarity = self.times.clarity(field, time.unit);
                    let is_time = matches!(clarity, Clarity::Clear | Clarity::Decides(_));
                    is_time && (self.times.has_format() || !time.rejects(field))
                }
                None => false,
            };
            if !is_certain {
                return None;
            }
        }
        Some((coordinate(x, row).ok()?.value, coordinate(y, row).ok()?.value))
    }

    /// Passes the position and the time of a row on. The values after the position are not read.
    fn read_position(
        &mut self,
        row: Row<'_>,
        stray: usize,
        (x, y): (f64, f64),
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if !self.enter(row, out)? {
            return Ok(());
        }
        let message = "the row has more fields than there are columns; its position is read, and the values \
                       after it are not";
        let position = Position::column(row.line, stray as u64 + 1);
        out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        let mut raw = RawFix::new(Position::column(row.line, self.columns.y.at as u64 + 1), x, y);
        let last = self.columns.x.at.max(self.columns.y.at);
        if let Some(source) = self.time.filter(|time| time.at < last && time.is_single()) {
            raw.unix_ns = self.time(row, source, out)?;
        }
        self.projection.check(&raw, out.space())?;
        out.point(&raw)
    }
}
