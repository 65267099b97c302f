//! The part of the text of a document that is in memory, and the position in the file.
//!
//! The text is validated as UTF-8 once, when it is read. Lines are counted only for positions that are needed.

use std::io::{self, BufRead, Read};

use memchr::memrchr;

use super::super::error::{Limit, Position};

/// The bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// A part of a text in memory.
pub(super) struct Window<R> {
    input: R,
    /// Valid text. The part before `start` was consumed.
    text: String,
    start: usize,
    /// The bytes after `text`: an incomplete character, or bytes that are not UTF-8 and what follows them.
    raw: Vec<u8>,
    /// The number of bytes that [`BufRead::consume`] accepts before `fill_buf` fails.
    pub(super) budget: usize,
    /// The position in the file of the byte at `counted` in `text`.
    counted: usize,
    line: u64,
    column: u64,
    read_buffer: Box<[u8]>,
}

impl<R: BufRead> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            text: String::new(),
            start: 0,
            raw: Vec::new(),
            budget: 0,
            counted: 0,
            line: 1,
            column: 1,
            read_buffer: vec![0; READ_BYTES].into(),
        }
    }

    /// Returns the valid text in memory that was not consumed.
    #[inline]
    pub(super) fn text(&self) -> &str {
        &self.text[self.start..]
    }

    /// Consumes bytes of [`Window::text`], up to a character boundary.
    #[inline]
    pub(super) fn consume_text(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Returns the length of the invalid sequence that follows the text, or 0.
    pub(super) fn invalid_bytes(&self) -> usize {
        match std::str::from_utf8(&self.raw) {
            Err(error) if error.valid_up_to() == 0 => error.error_len().unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns the number of bytes after the text.
    pub(super) fn raw_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Consumes bytes after the text.
    pub(super) fn consume_raw(&mut self, bytes: usize) {
        self.count_text();
        let consumed = &self.raw[..bytes];
        (self.line, self.column) = advance(self.line, self.column, consumed);
        self.raw.drain(..bytes);
        self.decode();
    }

    /// Returns the position of the next byte.
    #[inline]
    pub(super) fn position(&mut self) -> Position {
        self.count_text();
        Position::column(self.line, self.column)
    }

    #[inline]
    fn count_text(&mut self) {
        let consumed = &self.text.as_bytes()[self.counted..self.start];
        (self.line, self.column) = advance(self.line, self.column, consumed);
        self.counted = self.start;
    }

    /// Reads more text after the text in memory. Returns false at the end of the input. At most
    /// `READ_BYTES` are added, so the caller limits the text in memory.
    pub(super) fn read_more(&mut self) -> io::Result<bool> {
        self.count_text();
        self.text.drain(..self.start);
        self.start = 0;
        self.counted = 0;
        let count = loop {
            match self.input.read(&mut self.read_buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let read = &self.read_buffer[..count];
        match std::str::from_utf8(read) {
            Ok(text) if self.raw.is_empty() => self.text.push_str(text),
            _ => {
                self.raw.extend_from_slice(read);
                self.decode();
            }
        }
        Ok(count > 0)
    }

    /// Moves the valid text at the start of `raw` to `text`.
    fn decode(&mut self) {
        let valid = match std::str::from_utf8(&self.raw) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.raw[..error.valid_up_to()]).unwrap_or_default(),
        };
        let length = valid.len();
        self.text.push_str(valid);
        self.raw.drain(..length);
    }
}

/// Returns the position after some bytes.
#[inline]
fn advance(line: u64, column: u64, bytes: &[u8]) -> (u64, u64) {
    match memrchr(b'\n', bytes) {
        None => (line, column + bytes.len() as u64),
        Some(last) => {
            let earlier = bytes[..last].iter().filter(|&&byte| byte == b'\n').count();
            (line + 1 + earlier as u64, (bytes.len() - last) as u64)
        }
    }
}

/// The bytes for quick-xml, valid or not.
impl<R: BufRead> BufRead for Window<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            let message = "a tag, comment or text that starts here is longer than 4 MiB; remove it";
            return Err(Limit(message).into_io());
        }
        if self.start == self.text.len() && self.raw.is_empty() {
            self.read_more()?;
        }
        let bytes = if self.start < self.text.len() { self.text().as_bytes() } else { &self.raw };
        Ok(&bytes[..bytes.len().min(self.budget)])
    }

    fn consume(&mut self, amount: usize) {
        self.budget = self.budget.saturating_sub(amount);
        if self.start < self.text.len() {
            self.start += amount.min(self.text.len() - self.start);
        } else {
            self.consume_raw(amount.min(self.raw.len()));
        }
    }
}

impl<R: BufRead> Read for Window<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}
