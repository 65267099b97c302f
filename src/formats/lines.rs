//! Lines of text with one kind of line end and a limited length, for the readers of line formats.

use std::io::{self, Read};

use super::error::Limit;

/// Reads text and makes every line, also the last, end with one line feed.
///
/// Fails when a row is too long. A row is the text between two calls of [`Lines::start_row`].
pub(super) struct Lines<R> {
    input: R,
    row_bytes_max: usize,
    /// The error for a row that is too long.
    too_long: Limit,
    /// The bytes that were read since the row started.
    row_bytes: usize,
    after_return: bool,
    last: u8,
}

impl<R> Lines<R> {
    pub(super) fn new(input: R, row_bytes_max: usize, too_long: Limit) -> Self {
        let (row_bytes, after_return, last) = (0, false, b'\n');
        Self { input, row_bytes_max, too_long, row_bytes, after_return, last }
    }

    /// Starts a row at the next byte that a parser needs. The bytes that it has buffered do not count.
    pub(super) fn start_row(&mut self) {
        self.row_bytes = 0;
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.row_bytes > self.row_bytes_max {
                return Err(self.too_long.into_io());
            }
            let read = self.input.read(out)?;
            self.row_bytes += read;
            if read == 0 {
                let missing = self.last != b'\n' && !out.is_empty();
                self.last = b'\n';
                out.iter_mut().take(usize::from(missing)).for_each(|byte| *byte = b'\n');
                return Ok(usize::from(missing));
            }
            let length = self.unify_line_ends(&mut out[..read]);
            if length > 0 {
                self.last = out[length - 1];
                return Ok(length);
            }
        }
    }
}

impl<R> Lines<R> {
    /// Replaces each line end by a line feed, in place. Returns the number of bytes after that.
    fn unify_line_ends(&mut self, bytes: &mut [u8]) -> usize {
        if !self.after_return && !bytes.contains(&b'\r') {
            return bytes.len();
        }
        let mut length = 0;
        for at in 0..bytes.len() {
            let byte = bytes[at];
            let is_second_half = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if !is_second_half {
                bytes[length] = if byte == b'\r' { b'\n' } else { byte };
                length += 1;
            }
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn line_ends_are_unified_for_any_size_of_reads(
            text in "[a\\r\\n]{0,30}",
            bytes_at_once in 1..5_usize,
        ) {
            let mut expected = text.replace("\r\n", "\n").replace('\r', "\n");
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected.push('\n');
            }
            let mut lines = Lines::new(text.as_bytes(), usize::MAX, Limit(""));
            let mut read = Vec::new();
            let mut buffer = vec![0; bytes_at_once];
            loop {
                match lines.read(&mut buffer).unwrap() {
                    0 => break,
                    length => read.extend_from_slice(&buffer[..length]),
                }
            }
            prop_assert_eq!(String::from_utf8(read).unwrap(), expected);
        }
    }
}
