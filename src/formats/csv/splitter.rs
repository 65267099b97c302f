//! Splits the bytes of a table into rows and fields.
//!
//! As in the csv crate, a quote has a meaning only at the start of a field, a doubled quote in a quoted field is
//! one quote, and text after the closing quote belongs to the field. Rows without quotes are split in the buffer
//! without a copy. A quote that is not closed is read as a part of its field, so that it costs no other row.

use std::io::Read;

use super::super::error::{FormatError, Position};
use super::super::options::ReadOptions;
use super::super::rows::RowEnds;
use super::plain;

/// The largest row.
const ROW_BYTES_MAX: usize = 1 << 20;
/// The space for one read.
const READ_BYTES: usize = 64 << 10;
/// Maximum number of quotes that are not closed: the search for the end of each may read a whole row.
const OPEN_QUOTES_MAX: u64 = 16;

/// A row. Its fields are ranges of a text.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    text: &'a [u8],
    fields: &'a [(usize, usize)],
    /// The line on which the row starts.
    pub line: u64,
}

impl<'a> Row<'a> {
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.fields.get(at)?;
        self.text.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let text = self.text;
        self.fields.iter().map(move |&(start, end)| text.get(start..end).unwrap_or_default())
    }
}

/// A row that owns its text.
pub(super) struct StoredRow {
    text: Vec<u8>,
    fields: Vec<(usize, usize)>,
    line: u64,
}

impl StoredRow {
    pub(super) fn new(row: Row<'_>) -> Self {
        let mut text = Vec::new();
        let mut fields = Vec::with_capacity(row.len());
        for field in row.iter() {
            fields.push((text.len(), text.len() + field.len()));
            text.extend_from_slice(field);
        }
        Self { text, fields, line: row.line }
    }

    pub(super) fn as_row(&self) -> Row<'_> {
        Row { text: &self.text, fields: &self.fields, line: self.line }
    }

    pub(super) fn byte_count(&self) -> usize {
        self.text.len() + self.fields.len() * size_of::<(usize, usize)>()
    }
}

/// Parts of the text that were not read as rows, with their first line.
#[derive(Default)]
pub(super) struct Oddities {
    /// Quotes that are not closed.
    pub open_quotes: Option<u64>,
    /// NUL bytes before a row, or at the end of the file.
    pub nul_bytes: Option<u64>,
}

impl Oddities {
    pub(super) fn is_any(&self) -> bool {
        self.open_quotes.is_some() || self.nul_bytes.is_some()
    }
}

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
            oddities: Oddities::default(),
        }
    }

    pub(super) fn set_delimiter(&mut self, delimiter: u8) {
        self.delimiter = delimiter;
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
                    break at;
                }
                scanned = text.len();
                if !self.fill()? {
                    break scanned;
                }
            };
            let end = self.start + length;
            if end < self.end && self.buffer[end] == b'"' {
                let line = self.line;
                if self.split_quoted()? {
                    return Ok(Some(Row { text: &self.unquoted, fields: &self.fields, line }));
                }
                continue;
            }
            let (line, from) = (self.line, self.start);
            self.end_row(length);
            let row = &self.buffer[from..end];
            if self.fields.is_empty() && row.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let field_start = self.fields.last().map_or(0, |(_, end)| end + 1);
            self.fields.push((field_start, row.len()));
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

    /// Consumes a row and its line end.
    fn end_row(&mut self, length: usize) {
        self.start += length;
        if self.start < self.end {
            self.after_return = self.buffer[self.start] == b'\r';
            self.start += 1;
            self.line += 1;
        }
    }

    /// Reads more bytes behind the unread ones, whose start may move. Returns false at the end of the input.
    fn fill(&mut self) -> Result<bool, FormatError> {
        if self.is_at_end {
            return Ok(false);
        }
        if self.end - self.start > ROW_BYTES_MAX {
            return Err(FormatError::TooLarge {
                position: Position::line(self.line),
                message: "the row that starts here is longer than 1 MiB".to_owned(),
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
                    let from = self.start;
                    self.line += count_line_ends(&self.buffer[from..from + length]);
                    self.end_row(length);
                    return Ok(self.fields.len() > 1 || !self.unquoted.trim_ascii().is_empty());
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
                let is_too_long = length > ROW_BYTES_MAX && state == State::Quoted;
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
