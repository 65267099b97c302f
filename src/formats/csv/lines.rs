//! Text on its way to the csv crate: one kind of line end, and no row without an end.

use std::io::{self, Read};

use super::super::error::Limit;

/// The largest row: far more than any sensible one, and what an unclosed quote costs at most.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Text in which every line, the last too, ends with one line feed, whatever it ended with before;
/// and in which no row can be longer than [`ROW_BYTES_MAX`] and what is read at once.
pub(super) struct Lines<R> {
    input: R,
    /// How much was read since the last row was whole.
    pub(super) row_bytes: usize,
    after_return: bool,
    last: u8,
}

impl<R> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, row_bytes: 0, after_return: false, last: b'\n' }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.row_bytes > ROW_BYTES_MAX {
                return Err(Limit(
                    "a row that starts here is longer than 1 MiB; is a quote left open?",
                )
                .into_io());
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
    /// Turns the line ends into line feeds, in place, and tells how many bytes are left.
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
        fn line_ends_are_unified_however_the_text_is_cut(
            text in "[a\\r\\n]{0,30}",
            bytes_at_once in 1..5_usize,
        ) {
            let mut expected = text.replace("\r\n", "\n").replace('\r', "\n");
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected.push('\n');
            }
            let mut lines = Lines::new(text.as_bytes());
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
