//! Splits the bytes of a table into rows and fields.
//!
//! As in the csv crate, a quote has a meaning only at the start of a field, a doubled quote in a quoted field is
//! one quote, and text after the closing quote belongs to the field. Rows without quotes are split in the buffer
//! without a copy. A quote that is not closed is read as a part of its field, so that it costs no other row.

use std::io::Read;

use memchr::memchr2;

use super::super::error::{FormatError, Position};
use super::super::options::ReadOptions;
use super::super::rows::RowEnds;
pub(super) use super::oddities::Oddities;
use super::plain;
pub(super) use super::row::{Row, StoredRow};

/// The largest row.
pub(super) const ROW_BYTES_MAX: usize = 1 << 20;
/// The largest row of a table with geometries.
pub(super) const GEOMETRY_ROW_BYTES_MAX: usize = 8 << 20;
/// The largest row that is skipped because it is too long.
const SKIPPED_BYTES_MAX: usize = 64 << 20;
/// The NUL bytes that end a row.
const PADDING_BYTES: usize = 4 << 10;
/// The space for one read.
const READ_BYTES: usize = 64 << 10;
/// Maximum number of quotes that are not closed: the search for the end of each may read a whole row.
const OPEN_QUOTES_MAX: u64 = 16;

/// Reads the rows of a table. Blank rows are skipped.
pub(super) struct Rows<R> {
    input: R,
    delimiter: u8,
    buffer: Vec<u8>,
    /// The unread bytes of the buffer.
    start: usize,
    end: usize,
    is_at_end: bool,
    /// The line at `start`.
    line: u64,
    /// Whether the last byte was `\r`, so that `\n` belongs to the same line end.
    after_return: bool,
    fields: Vec<(usize, usize)>,
    /// The text of a row with quotes.
    unquoted: Vec<u8>,
    open_quote_count: u64,
    row_bytes_max: usize,
    /// The first blank line after a row.
    blank_line: Option<u64>,
    has_row: bool,
    pub oddities: Oddities,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            is_at_end: false,
            line: 1,
            after_return: false,
            fields: Vec::new(),
            unquoted: Vec::new(),
            open_quote_count: 0,
            row_bytes_max: ROW_BYTES_MAX,
            blank_line: None,
            has_row: false,
            oddities: Oddities::default(),
        }
    }

    pub(super) fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
    }

    /// Sets the length of the largest row.
    pub(super) fn set_row_bytes_max(&mut self, row_bytes_max: usize) {
        self.row_bytes_max = row_bytes_max;
    }

    /// Returns the number of the current line.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the next row.
    pub(super) fn next_row(&mut self) -> Result<Option<Row<'_>>, FormatError> {
        loop {
            if !self.find_start()? {
                return Ok(None);
            }
            self.fields.clear();
            let mut scanned = 0;
            let length = loop {
                let text = &self.buffer[self.start..self.end];
                if let Some(at) = plain::split(text, scanned, self.delimiter, &mut self.fields) {
                    break Some(at);
                }
                scanned = text.len();
                if self.is_at_end {
                    break Some(scanned);
                }
                let padding = self.padding();
                if padding >= PADDING_BYTES {
                    break Some(scanned - padding);
                }
                if scanned > self.row_bytes_max {
                    break None;
                }
                self.fill()?;
            };
            let Some(length) = length.filter(|length| *length <= self.row_bytes_max) else {
                self.skip_long_row()?;
                continue;
            };
            let end = self.start + length;
            if end < self.end && self.buffer[end] == b'"' {
                let line = self.line;
                if self.split_quoted()? {
                    self.note_row();
                    return Ok(Some(Row { text: &self.unquoted, fields: &self.fields, line }));
                }
                continue;
            }
            let (line, from) = (self.line, self.start);
            self.end_row(length);
            let end = from + self.without_padding(from, end, line);
            let row = &self.buffer[from..end];
            if self.fields.is_empty() && row.iter().all(u8::is_ascii_whitespace) {
                self.blank_line = self.blank_line.or(self.has_row.then_some(line));
                continue;
            }
            let length = row.len();
            self.note_row();
            let field_start = self.fields.last().map_or(0, |(_, end)| end + 1);
            self.fields.push((field_start, length));
            return Ok(Some(Row { text: &self.buffer[from..end], fields: &self.fields, line }));
        }
    }

    /// Returns the text of the next row that is not blank, and its line. The delimiter is not used.
    pub(super) fn next_raw_row(
        &mut self,
        options: &ReadOptions,
    ) -> Result<Option<(Vec<u8>, u64)>, FormatError> {
        loop {
            if !self.find_start()? {
                return Ok(None);
            }
            let mut ends = RowEnds::new(options);
            let mut length = 0;
            loop {
                if self.start + length == self.end && !self.fill()? {
                    break;
                }
                if ends.ends_with(self.buffer[self.start + length]) {
                    break;
                }
                length += 1;
            }
            let (line, from) = (self.line, self.start);
            let row = self.buffer[from..from + length].to_vec();
            self.line += count_line_ends(&row);
            self.end_row(length);
            if !row.trim_ascii().is_empty() {
                return Ok(Some((row, line)));
            }
        }
    }

    /// Moves to the first byte of a row. Returns false at the end of the text.
    fn find_start(&mut self) -> Result<bool, FormatError> {
        loop {
            if self.start == self.end && !self.fill()? {
                return Ok(false);
            }
            match self.buffer[self.start] {
                b'\n' if self.after_return => self.after_return = false,
                0 => {
                    self.oddities.nul_bytes.get_or_insert(self.line);
                }
                _ => {
                    self.after_return = false;
                    return Ok(true);
                }
            }
            self.start += 1;
        }
    }

    /// Returns the number of NUL bytes at the end of the buffer, after a row that starts at `start`.
    fn padding(&self) -> usize {
        let rest = &self.buffer[self.start..self.end];
        rest.iter().rev().take_while(|byte| **byte == 0).count()
    }

    /// Returns the length of a row without the NUL bytes and the end mark of DOS, Ctrl-Z, at its end.
    fn without_padding(&mut self, from: usize, end: usize, line: u64) -> usize {
        let delimiter = self.delimiter;
        let is_padding = |byte: &&u8| matches!(**byte, 0 | 0x1a) && **byte != delimiter;
        let row = &self.buffer[from..end];
        let padding = row.iter().rev().take_while(is_padding).count();
        // Some loggers fill each field with NUL bytes.
        let is_filled = || row[..row.len() - padding].contains(&0);
        if row.last() == Some(&0) && padding < row.len() && !is_filled() {
            self.oddities.padding.get_or_insert(line);
        }
        row.len() - padding
    }

    /// Takes into account that there is a row.
    fn note_row(&mut self) {
        self.has_row = true;
        if let Some(line) = self.blank_line.take() {
            self.oddities.blank_lines.get_or_insert(line);
        }
    }

    /// Skips a row that is too long.
    ///
    /// # Errors
    /// If it is longer than [`SKIPPED_BYTES_MAX`]. Such an input may have no line ends.
    fn skip_long_row(&mut self) -> Result<(), FormatError> {
        self.oddities.long_rows.get_or_insert(self.line);
        let mut skipped_bytes = 0;
        loop {
            let rest = &self.buffer[self.start..self.end];
            if let Some(at) = memchr2(b'\n', b'\r', rest) {
                self.end_row(at);
                return Ok(());
            }
            skipped_bytes += self.end - self.start;
            if skipped_bytes > SKIPPED_BYTES_MAX {
                return Err(FormatError::TooLarge {
                    position: Position::line(self.line),
                    message: format!(
                        "the row that starts here is longer than {} MiB; does the file have line ends?",
                        SKIPPED_BYTES_MAX >> 20
                    ),
                });
            }
            self.start = self.end;
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Consumes a row and its line end.
    fn end_row(&mut self, length: usize) {
        self.start += length;
        if self.start < self.end && self.buffer[self.start] != 0 {
            self.after_return = self.buffer[self.start] == b'\r';
            self.start += 1;
            self.line += 1;
        }
    }

    /// Appends more bytes to the unread ones, whose start may move. Returns false at the end of the input.
    fn fill(&mut self) -> Result<bool, FormatError> {
        if self.is_at_end {
            return Ok(false);
        }
        if self.end - self.start > self.row_bytes_max {
            return Err(FormatError::TooLarge {
                position: Position::line(self.line),
                message: format!(
                    "the row that starts here is longer than {} MiB",
                    self.row_bytes_max >> 20
                ),
            });
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(2 * self.end + READ_BYTES, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    return Ok(false);
                }
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FormatError::Io(error)),
            }
        }
    }

    /// Splits a row with quotes. Returns false if the row is blank.
    fn split_quoted(&mut self) -> Result<bool, FormatError> {
        let mut literal_from = usize::MAX;
        loop {
            match self.try_split_quoted(literal_from)? {
                Split::Row { length } => {
                    let (from, line) = (self.start, self.line);
                    self.cut_padding(line);
                    self.line += count_line_ends(&self.buffer[from..from + length]);
                    self.end_row(length);
                    if length > self.row_bytes_max {
                        self.oddities.long_rows.get_or_insert(line);
                        return Ok(false);
                    }
                    return Ok(self.fields.len() > 1 || !self.unquoted.trim_ascii().is_empty());
                }
                Split::TooLong => {
                    self.skip_long_row()?;
                    return Ok(false);
                }
                Split::OpenQuote { at } => {
                    let before = count_line_ends(&self.buffer[self.start..self.start + at]);
                    let line = self.line + before;
                    self.oddities.open_quotes.get_or_insert(line);
                    self.open_quote_count += 1;
                    if self.open_quote_count > OPEN_QUOTES_MAX {
                        let message = format!(
                            "the quote that opens here is not closed, as {OPEN_QUOTES_MAX} before it; \
                             correct the quotes of the file"
                        );
                        return Err(FormatError::malformed(Position::line(line), message));
                    }
                    literal_from = at;
                }
            }
        }
    }

    /// Removes the NUL bytes at the end of a row with quotes.
    fn cut_padding(&mut self, line: u64) {
        let Some((start, end)) = self.fields.last_mut() else { return };
        while *end > *start && matches!(self.unquoted.get(*end - 1), Some(0 | 0x1a)) {
            *end -= 1;
            self.unquoted.truncate(*end);
            self.oddities.padding.get_or_insert(line);
        }
    }

    /// Splits a row. A quote at or after the offset `literal_from` has no meaning.
    fn try_split_quoted(&mut self, literal_from: usize) -> Result<Split, FormatError> {
        self.fields.clear();
        self.unquoted.clear();
        let mut state = State::FieldStart;
        let mut field_start = 0;
        let (mut quote_at, mut has_break, mut after_return) = (0, false, false);
        let mut length = 0;
        loop {
            if self.start + length == self.end {
                let is_too_long = length > self.row_bytes_max;
                if is_too_long && state != State::Quoted {
                    return Ok(Split::TooLong);
                }
                if is_too_long || !self.fill()? {
                    if state == State::Quoted {
                        return Ok(Split::OpenQuote { at: quote_at });
                    }
                    break;
                }
            }
            let byte = self.buffer[self.start + length];
            let is_break = matches!(byte, b'\n' | b'\r');
            match (state, byte) {
                (State::FieldStart, b'"') if length < literal_from => {
                    state = State::Quoted;
                    (quote_at, has_break) = (length, false);
                }
                (State::Quoted, b'"') => state = State::Quote,
                (State::Quote, b'"') => {
                    self.unquoted.push(byte);
                    state = State::Quoted;
                }
                (State::Quoted, _) => {
                    has_break |= is_break;
                    if byte == b'\r' {
                        self.unquoted.push(b'\n');
                    } else if byte != b'\n' || !after_return {
                        self.unquoted.push(byte);
                    }
                    after_return = byte == b'\r';
                }
                _ if byte == self.delimiter => {
                    self.fields.push((field_start, self.unquoted.len()));
                    field_start = self.unquoted.len();
                    state = State::FieldStart;
                }
                _ if is_break => break,
                // The quote that seems to close the field opens another one: rows would be lost.
                (State::Quote, _) if has_break => {
                    return Ok(Split::OpenQuote { at: quote_at });
                }
                _ => {
                    self.unquoted.push(byte);
                    state = State::Field;
                }
            }
            length += 1;
        }
        self.fields.push((field_start, self.unquoted.len()));
        Ok(Split::Row { length })
    }
}

/// The state within a row.
#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Field,
    Quoted,
    /// After a quote in a quoted field. It is the end of the field or the first half of a doubled quote.
    Quote,
}

/// The result of splitting a row with quotes. Offsets count from the start of the row.
enum Split {
    Row { length: usize },
    OpenQuote { at: usize },
    TooLong,
}

/// Returns the number of line ends in a text: `\n`, `\r` or `\r\n`.
fn count_line_ends(text: &[u8]) -> u64 {
    let mut last = 0;
    let mut count = 0;
    for &byte in text {
        count += u64::from(byte == b'\r' || byte == b'\n' && last != b'\r');
        last = byte;
    }
    count
}

/// Splits one row.
pub(super) fn split(row: &[u8], delimiter: u8, line: u64) -> Result<StoredRow, FormatError> {
    let mut rows = Rows::new(row, delimiter);
    rows.line = line;
    let empty = Row { text: &[], fields: &[], line };
    Ok(StoredRow::new(rows.next_row()?.unwrap_or(empty)))
}

#[cfg(test)]
mod tests;
