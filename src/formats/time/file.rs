//! The times of a file in a format that has texts of times, and the notes on them.

use super::super::error::{FormatError, Position};
use super::super::format::Format;
use super::super::note::NoteKind;
use super::super::options::ReadOptions;
use super::super::rfc3339::utc_unix_ns;
use super::super::track_writer::TrackWriter;
use super::reader::TimeReader;

/// Reads the times of a file.
pub(in crate::formats) struct FileTimes {
    reader: TimeReader,
    has_format: bool,
    /// The position of the first time without a zone, if the options have none either.
    assumed: Option<Position>,
}

impl FileTimes {
    /// # Errors
    /// If the time zone or the format of the options is not valid.
    pub(in crate::formats) fn new(options: &ReadOptions) -> Result<Self, FormatError> {
        let reader = TimeReader::new(options)?;
        Ok(Self { reader, has_format: options.time_format.is_some(), assumed: None })
    }

    /// Returns whether the options have a format for the texts of times.
    pub(in crate::formats) fn has_format(&self) -> bool {
        self.has_format
    }

    /// Parses a text that may be blank. Returns nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// As [`TimeReader::unix_ns`].
    #[inline]
    pub(in crate::formats) fn text(
        &mut self,
        text: &[u8],
        position: Position,
    ) -> Result<Option<i64>, String> {
        // The most common form.
        if !self.has_format
            && let Some(unix_ns) = utc_unix_ns(text)
        {
            return Ok(Some(unix_ns));
        }
        let time = self.reader.unix_ns(text, None);
        self.keep(position);
        time
    }

    /// Parses a number, which has no format.
    ///
    /// # Errors
    /// As [`TimeReader::unix_ns`].
    pub(in crate::formats) fn number(
        &mut self,
        number: &[u8],
        position: Position,
    ) -> Result<Option<i64>, String> {
        let time = self.reader.unformatted_unix_ns(number, None);
        self.keep(position);
        time
    }

    fn keep(&mut self, position: Position) {
        if self.assumed.is_none() && self.reader.assumes_zone() {
            self.assumed = Some(position);
        }
    }

    /// Forgets that a time had no zone, because the times until now are not used.
    pub(in crate::formats) fn forget(&mut self) {
        self.assumed = None;
        self.reader.forget();
    }

    /// Adds the notes on the times, and on options without effect if the file was read to its end.
    ///
    /// # Errors
    /// The error of `outcome`, or in strict mode that of a note.
    pub(in crate::formats) fn report(
        &self,
        outcome: Result<(), FormatError>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        let assumed = match self.assumed {
            Some(position) => out.file_note(NoteKind::AssumedZone, Some(position), ASSUMED_UTC),
            None => Ok(()),
        };
        outcome.and(assumed)?;
        let (has_zone_effect, has_format_effect) = self.reader.effects();
        if !has_zone_effect {
            let message = "--timezone had no effect: no time that was read is without a zone";
            out.file_note(NoteKind::UnusedOption, None, message)?;
        }
        if !has_format_effect {
            let message = "--time-format had no effect: no text of a time is in this format";
            out.file_note(NoteKind::UnusedOption, None, message)?;
        }
        Ok(())
    }
}

/// The note on times without a zone.
pub(in crate::formats) const ASSUMED_UTC: &str =
    "the times have no time zone and are read as UTC; use --timezone to choose another zone";

/// Checks the options for times, and adds a note if they are given for a format without texts of times.
///
/// # Errors
/// If the time zone or the format of the options is not valid, and in strict mode.
pub(in crate::formats) fn note_unused_options(
    options: &ReadOptions,
    format: Format,
    out: &mut TrackWriter<'_>,
) -> Result<(), FormatError> {
    let reason = match format {
        Format::Fit | Format::Nmea | Format::Igc | Format::Plt => {
            "the times of this format are UTC, and their form is fixed"
        }
        Format::Polyline | Format::Wkt => "this format has no times",
        _ => return Ok(()),
    };
    TimeReader::new(options)?;
    let flags = [
        ("--timezone", options.timezone.is_some() && !options.shares_timezone),
        ("--time-format", options.time_format.is_some()),
    ];
    let given: Vec<&str> =
        flags.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| *flag).collect();
    if given.is_empty() {
        return Ok(());
    }
    let message = format!("{} had no effect: {reason}", given.join(" and "));
    out.file_note(NoteKind::UnusedOption, None, message)
}

#[cfg(test)]
mod tests;
