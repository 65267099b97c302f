//! The input of the JSON parser, with limits: the parser stores a whole string or number and an entry for each
//! open bracket.
//!
//! Repairs common faults of writers that would stop the parser: `NaN` and `Infinity` become `null`, and invalid
//! UTF-8 and control characters in strings become other characters.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::super::error::{Limit, Position};

/// The largest string or number: enough for a picture in a property.
const TOKEN_BYTES_MAX: usize = 4 << 20;
/// The depth of nested objects and lists. serde_json has the same limit, but not in ignored values.
const DEPTH_MAX: usize = 128;
/// The separator of a JSON text sequence.
pub(super) const SEPARATOR: u8 = 0x1e;

/// The position of the last byte that was read, shared between the input and its reader.
#[derive(Clone, Default)]
pub(super) struct InputPosition(Rc<Cell<(u64, u64)>>);

impl InputPosition {
    pub(super) fn get(&self) -> Position {
        let (line, column) = self.0.get();
        Position::column(line + 1, column.max(1))
    }

    /// Returns the line, counted from 1, and the number of its bytes that were read.
    pub(super) fn line_and_column(&self) -> (u64, u64) {
        let (line, column) = self.0.get();
        (line + 1, column)
    }

    #[inline]
    fn advance(&self, byte: u8) {
        let (line, column) = self.0.get();
        self.0.set(if byte == b'\n' { (line + 1, 0) } else { (line, column + 1) });
    }
}

/// Where the parser sees the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the end of the file.
    File,
    /// At the end of the line.
    Line,
    /// At the next record separator.
    Separator,
}

/// Reads JSON, and fails if a string or number is too long or the nesting is too deep.
pub(super) struct Bounded<R> {
    input: R,
    position: InputPosition,
    end: End,
    depth: usize,
    token_bytes: usize,
    in_string: bool,
    escaped: bool,
    /// A byte that was returned to the input.
    returned: Option<u8>,
    last: u8,
    /// Bytes that replace bytes of the input, from the last to the first.
    queue: [u8; 16],
    queue_count: usize,
}

impl<R: BufRead> Bounded<R> {
    pub(super) fn new(input: R, position: InputPosition) -> Self {
        Self {
            input,
            position,
            end: End::File,
            depth: 0,
            token_bytes: 0,
            in_string: false,
            escaped: false,
            returned: None,
            last: b'\n',
            queue: [0; 16],
            queue_count: 0,
        }
    }

    /// Starts a JSON value with the next byte.
    pub(super) fn start_value(&mut self, end: End) {
        (self.depth, self.token_bytes, self.queue_count) = (0, 0, 0);
        (self.in_string, self.escaped) = (false, false);
        self.end = end;
    }

    /// Returns the next byte without reading it, or `None` at the end of the file.
    #[inline]
    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.returned.is_some() {
            return Ok(self.returned);
        }
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the byte that [`Bounded::peek`] has returned.
    #[inline]
    pub(super) fn consume(&mut self, byte: u8) {
        self.last = byte;
        if self.returned.take().is_none() {
            self.input.consume(1);
            self.position.advance(byte);
        }
    }

    /// Returns the last byte to the input, so that it is read again.
    pub(super) fn unread(&mut self) {
        self.returned = Some(self.last);
    }

    /// Skips white space and returns the next byte without reading it.
    pub(super) fn next_content(&mut self) -> io::Result<Option<u8>> {
        self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0)?;
        self.peek()
    }

    /// Skips the rest of the line of the last byte.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        if self.last != b'\n' {
            self.skip_while(|byte| byte != b'\n')?;
        }
        Ok(())
    }

    /// Skips bytes as long as the condition is true.
    pub(super) fn skip_while(&mut self, condition: impl Fn(u8) -> bool) -> io::Result<()> {
        while let Some(byte) = self.peek()?.filter(|&byte| condition(byte)) {
            self.consume(byte);
        }
        Ok(())
    }

    #[inline]
    fn check(&mut self, byte: u8) -> Result<(), Limit> {
        self.token_bytes += 1;
        if self.token_bytes > TOKEN_BYTES_MAX {
            return Err(Limit("a string or number is longer than 4 MiB; remove it"));
        }
        if self.in_string {
            let ends = byte == b'"' && !self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            self.in_string = !ends;
            return Ok(());
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Limit("lists and objects are nested more than 128 levels deep"));
                }
            }
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => return Ok(()),
        }
        self.token_bytes = 0;
        Ok(())
    }

    /// Returns the byte for the parser, and reads further bytes if they are replaced together.
    fn repair(&mut self, byte: u8) -> io::Result<u8> {
        if self.in_string {
            return match byte {
                0x80.. => self.repair_utf8(byte),
                ..b' ' if byte != b'\n' => Ok(b' '),
                _ => Ok(byte),
            };
        }
        match byte {
            b'-' if self.peek()? == Some(b'I') => {
                self.consume(b'I');
                self.repair_word(b'I')
            }
            b'N' | b'I' => self.repair_word(byte),
            _ => Ok(byte),
        }
    }

    /// Reads a word. Returns its first byte, or that of `null` in place of a number that JSON does not have.
    fn repair_word(&mut self, first: u8) -> io::Result<u8> {
        let mut word = [first; 9];
        let mut length = 1;
        while let Some(byte) = self.peek()?.filter(u8::is_ascii_alphabetic) {
            if length == word.len() {
                break;
            }
            self.consume(byte);
            word[length] = byte;
            length += 1;
        }
        match &word[..length] {
            b"NaN" | b"Infinity" | b"Inf" => self.put(b"null"),
            _ => self.put(&word[..length]),
        }
        Ok(self.next_queued().unwrap_or(first))
    }

    /// Reads a character. Returns its first byte, or a replacement if it is not UTF-8.
    fn repair_utf8(&mut self, first: u8) -> io::Result<u8> {
        let mut bytes = [first; 4];
        let mut length = 1;
        let needed = match first {
            0xc2..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf5 => 4,
            _ => 1,
        };
        while length < needed
            && let Some(byte) = self.peek()?.filter(|byte| byte & 0xc0 == 0x80)
        {
            self.consume(byte);
            bytes[length] = byte;
            length += 1;
        }
        match std::str::from_utf8(&bytes[..length]) {
            Ok(_) => self.put(&bytes[..length]),
            Err(_) => self.put("\u{fffd}".as_bytes()),
        }
        Ok(self.next_queued().unwrap_or(b'?'))
    }

    /// Makes the next bytes for the parser.
    fn put(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.queue.iter_mut().zip(bytes.iter().rev()) {
            *slot = *byte;
        }
        self.queue_count = bytes.len();
    }

    fn next_queued(&mut self) -> Option<u8> {
        self.queue_count = self.queue_count.checked_sub(1)?;
        Some(self.queue[self.queue_count])
    }
}

impl<R: BufRead> Read for Bounded<R> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(slot) = out.first_mut() else { return Ok(0) };
        if let Some(byte) = self.next_queued() {
            *slot = byte;
            return Ok(1);
        }
        let Some(byte) = self.peek()? else { return Ok(0) };
        match self.end {
            End::Line if byte == b'\n' => return Ok(0),
            End::Separator if byte == SEPARATOR => return Ok(0),
            _ => {}
        }
        self.consume(byte);
        *slot = match byte {
            b'"' | b'0'..=b'9' | b'a'..=b'z' => byte,
            _ => self.repair(byte)?,
        };
        self.check(*slot).map_err(Limit::into_io)?;
        Ok(1)
    }
}
