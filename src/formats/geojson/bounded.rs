//! Limits the memory of the JSON parser, which stores a whole string or number and an entry for each open
//! bracket.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use super::super::error::{Limit, Position};

/// The largest string or number: enough for a picture in a property.
const TOKEN_BYTES_MAX: usize = 4 << 20;
/// The depth of nested objects and lists. serde_json has the same limit, but not in ignored values.
const DEPTH_MAX: usize = 128;

/// The position of the last byte that was read, shared between the input and its reader.
#[derive(Clone, Default)]
pub(super) struct InputPosition(Rc<Cell<(u64, u64)>>);

impl InputPosition {
    pub(super) fn get(&self) -> Position {
        let (line, column) = self.0.get();
        Position::column(line + 1, column.max(1))
    }

    #[inline]
    fn advance(&self, byte: u8) {
        let (line, column) = self.0.get();
        self.0.set(if byte == b'\n' { (line + 1, 0) } else { (line, column + 1) });
    }
}

/// Reads JSON, and fails if a string or number is too long or the nesting is too deep.
pub(super) struct Bounded<R> {
    input: R,
    position: InputPosition,
    depth: usize,
    token_bytes: usize,
    in_string: bool,
    escaped: bool,
}

impl<R> Bounded<R> {
    pub(super) fn new(input: R, position: InputPosition) -> Self {
        Self { input, position, depth: 0, token_bytes: 0, in_string: false, escaped: false }
    }

    #[inline]
    fn check(&mut self, byte: u8) -> Result<(), Limit> {
        self.token_bytes += 1;
        self.position.advance(byte);
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
}

impl<R: Read> Read for Bounded<R> {
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        for &byte in &out[..read] {
            self.check(byte).map_err(Limit::into_io)?;
        }
        Ok(read)
    }
}
