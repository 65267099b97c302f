//! Reads the time of a row, and finds columns of times that are not used.

use super::super::super::error::{FormatError, Position};
use super::super::super::note::NoteKind;
use super::super::super::time::ASSUMED_UTC;
use super::super::super::time::Clarity;
use super::super::super::track_writer::{Attribute, TrackWriter};
use super::super::super::value::{excerpt, number_unix_ns};
use super::super::splitter::Row;
use super::super::time_source::TimeSource;
use super::RowReader;

/// The fields of a row that are searched.
const SEARCHED_FIELDS: usize = 200;
/// 1980-01-01T00:00:00Z.
const YEAR_1980_NS: i64 = 315_532_800_000_000_000;

impl RowReader {
    /// Adds a note if a row has a date with a time of day, and no column of times was found.
    pub(super) fn note_unused_times(
        &mut self,
        row: Row<'_>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        if self.noted.unused_time {
            return Ok(());
        }
        let is_time = |field: &[u8]| {
            let has_colon = field.len() <= 64 && field.contains(&b':');
            has_colon
                && !matches!(
                    self.times.clarity(field, None),
                    Clarity::Missing | Clarity::Unreadable
                )
        };
        let names = self.columns.names.len().min(SEARCHED_FIELDS);
        let used = |at: usize| self.time.is_some_and(|time| time.uses(at));
        let mut fields = row.iter().take(names).enumerate();
        let found = fields.find(|(at, field)| !used(*at) && is_time(field));
        let Some((at, _)) = found else { return Ok(()) };
        self.noted.unused_time = true;
        let name = self.columns.name(at);
        let message = format!(
            "the column {name} is ignored, although it has times; use --time-column {name} to read them"
        );
        let position = Position::column(row.line, at as u64 + 1);
        out.file_note(NoteKind::IgnoredColumn, Some(position), message)
    }

    /// Reads the time. An invalid one is a missing value, with a note.
    pub(super) fn time(
        &mut self,
        row: Row<'_>,
        source: TimeSource,
        out: &mut TrackWriter<'_>,
    ) -> Result<Option<i64>, FormatError> {
        let mut buffer = std::mem::take(&mut self.time_text);
        let text = source.text(row, &mut buffer);
        // Dates of six digits have a note.
        if let Some(unix_ns) = self.times.common_unix_ns(text).filter(|_| !source.has_nmea_date) {
            self.time_text = buffer;
            return Ok(Some(unix_ns));
        }
        let time = self.time_of(text, row, source, out);
        self.time_text = buffer;
        time
    }

    /// Reads the text of a time that is not in the most common form.
    #[inline(never)]
    fn time_of(
        &mut self,
        text: &[u8],
        row: Row<'_>,
        source: TimeSource,
        out: &mut TrackWriter<'_>,
    ) -> Result<Option<i64>, FormatError> {
        let position = Position::column(row.line, source.at as u64 + 1);
        if !self.times.has_format() {
            if source.rejects(text) {
                let message =
                    format!("the number {} is not a date with a time of day", excerpt(text));
                let message = self.in_column(message, source.at);
                out.invalid_value(Attribute::Time, position, message)?;
                return Ok(None);
            }
            self.note_date(text, row, source, out)?;
        }
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
        if let Some(unix_ns) = time.filter(|unix_ns| *unix_ns < YEAR_1980_NS)
            && !is_day_number
            && !self.noted.relative
            && !self.columns.is_time_chosen
            && number_unix_ns(text, source.unit).is_some()
        {
            self.noted.relative = true;
            let message = format!(
                "numbers such as {} are read as times since 1970, here {} s; if they count from another time, \
                 only their differences are right",
                excerpt(text),
                unix_ns as f64 / 1e9
            );
            out.file_note(NoteKind::AssumedNotation, Some(position), message)?;
        }
        if self.times.has_clock_change() && !self.noted.clock_change {
            self.noted.clock_change = true;
            let message = format!(
                "the local time {} occurs twice or never, because the clocks change; it is read with the offset \
                 before the change",
                excerpt(text)
            );
            out.file_note(NoteKind::AssumedZone, Some(position), message)?;
        }
        if self.times.assumes_zone() && !self.noted.zone {
            self.noted.zone = true;
            out.file_note(NoteKind::AssumedZone, Some(position), ASSUMED_UTC)?;
        }
        Ok(time)
    }

    /// Adds a note on a date that may have another meaning.
    fn note_date(
        &mut self,
        text: &[u8],
        row: Row<'_>,
        source: TimeSource,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let position = Position::column(row.line, source.at as u64 + 1);
        let message = if source.is_assumed_number(text) {
            format!(
                "dates such as {} are read as seconds or milliseconds since 1970",
                excerpt(text)
            )
        } else if !text.is_empty()
            && let Some(date) = source.nmea_date(row)
        {
            format!("dates of six digits are read as day, month and year; the first one is {date}")
        } else {
            return Ok(());
        };
        out.file_note(NoteKind::AssumedNotation, Some(position), message)
    }
}

/// Returns whether a text may be a number of days since 1899-12-30, with a fraction: between 1954 and 2119.
fn is_day_number(text: &[u8]) -> bool {
    matches!(text, [b'2'..=b'7', _, _, _, _, b'.', ..]) && text[..5].iter().all(u8::is_ascii_digit)
}
