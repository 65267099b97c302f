//! Bytes of JSON on their way to the parser, watched so that nothing in them can make it hold much:
//! it keeps a whole string or number, and an entry for every open bracket.

use std::io::{self, Read};

use super::super::error::Limit;

/// The longest string or number: 4 MiB, room for a picture in a property.
const TOKEN_BYTES_MAX: usize = 4 << 20;
/// How deep objects and lists may nest; serde_json stops at 128 too, but not in what is skipped.
const DEPTH_MAX: usize = 128;

/// A reader that fails where a token grows too long or the nesting too deep.
pub(super) struct Bounded<R> {
    input: R,
    depth: usize,
    token_bytes: usize,
    in_string: bool,
    escaped: bool,
}

impl<R> Bounded<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, depth: 0, token_bytes: 0, in_string: false, escaped: false }
    }

    #[inline]
    fn watch(&mut self, byte: u8) -> Result<(), Limit> {
        self.token_bytes += 1;
        if self.token_bytes > TOKEN_BYTES_MAX {
            return Err(Limit("a string or number is longer than 4 MiB; take it out"));
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
                    return Err(Limit("lists and objects are nested more than 128 deep"));
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
            self.watch(byte).map_err(Limit::into_io)?;
        }
        Ok(read)
    }
}
