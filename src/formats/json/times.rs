//! The times of a file with the options for them.

use super::super::error::FormatError;
use super::super::options::ReadOptions;
use super::super::time::FileTimes;
use super::super::track_writer::TrackWriter;
use super::bounded::InputPosition;
use super::visit::Scalar;

/// Reads times. Their position is that of the last byte that was read.
pub(super) struct JsonTimes {
    times: FileTimes,
    position: InputPosition,
}

impl JsonTimes {
    /// # Errors
    /// If the time zone or the format of the options is not valid.
    pub(super) fn new(options: &ReadOptions, position: InputPosition) -> Result<Self, FormatError> {
        Ok(Self { times: FileTimes::new(options)?, position })
    }

    /// Parses a text. Returns nanoseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// A message, if the text is not a time.
    pub(super) fn text(&mut self, text: &str) -> Result<Option<i64>, String> {
        self.times.text(text.as_bytes(), self.position.get())
    }

    /// Parses a number, which has no format.
    ///
    /// # Errors
    /// A message, if the number is not a time.
    pub(super) fn number(&mut self, number: &str) -> Result<Option<i64>, String> {
        self.times.number(number.as_bytes(), self.position.get())
    }

    /// Returns a time from a text or a number.
    ///
    /// # Errors
    /// A message, if the value is not a time.
    pub(super) fn unix_ns(&mut self, value: &Scalar) -> Result<Option<i64>, String> {
        match value {
            Scalar::Null => Ok(None),
            Scalar::Bool(value) => Err(format!("the time is {value}")),
            Scalar::Text(text) => self.text(text),
            number => self.number(&number.text().unwrap_or_default()),
        }
    }

    /// Returns a time from a member with a number of milliseconds, which may be in a string.
    ///
    /// # Errors
    /// A message, if the value is not a time.
    pub(super) fn epoch_unix_ns(&mut self, value: &Scalar) -> Result<Option<i64>, String> {
        match value {
            Scalar::Text(text) => self.number(text),
            value => self.unix_ns(value),
        }
    }

    /// Adds the notes on the times after the file was read with this outcome.
    ///
    /// # Errors
    /// The error of `outcome`, or in strict mode that of a note.
    pub(super) fn report(
        &self,
        outcome: Result<(), FormatError>,
        out: &mut TrackWriter<'_>,
    ) -> Result<(), FormatError> {
        self.times.report(outcome, out)
    }
}
