//! The columns with the time of a row.

use super::super::value::TimeUnit;
use super::angle;
use super::splitter::Row;

/// A column of times, or a column of dates and one of times of day.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct TimeSource {
    pub date: Option<usize>,
    pub at: usize,
    pub unit: Option<TimeUnit>,
    /// Whether its name is that of a date.
    pub is_date: bool,
}

impl TimeSource {
    /// Returns the text of the time in a row: that of one column, or of the date and the time of day.
    pub(super) fn text<'a>(&self, row: Row<'a>, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let time = row.get(self.at).unwrap_or_default().trim_ascii();
        let Some(date) = self.date.filter(|_| !time.is_empty()) else {
            let Some(plain) = angle::plain(time) else { return time };
            *buffer = plain;
            return buffer;
        };
        let plain_time = angle::plain(time);
        let time = plain_time.as_deref().unwrap_or(time);
        let date = row.get(date).unwrap_or_default().trim_ascii();
        let plain_date = angle::plain(date);
        let date = plain_date.as_deref().unwrap_or(date);
        // Spreadsheets add midnight to a date.
        let midnight = date.windows(6).position(|part| part == b" 00:00" || part == b"T00:00");
        buffer.clear();
        buffer.extend_from_slice(&date[..midnight.unwrap_or(date.len())]);
        buffer.push(b' ');
        buffer.extend_from_slice(time);
        buffer
    }
}
