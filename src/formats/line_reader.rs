//! Reads text line by line, with line numbers and a limited length, for the line formats.
//!
//! A line that is too long does not end the reading: its first bytes are kept, and the rest is discarded.

use std::io::{self, BufRead};

use super::error::{FormatError, Limit, Position};

/// A line of text without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub bytes: &'a [u8],
    /// The number of the line, counted from 1.
    pub number: u64,
    /// Whether the line is longer than the limit, so that `bytes` is only its start.
    pub is_cut: bool,
    /// Whether the line has an end. Only the last line of a text may have none.
    pub is_terminated: bool,
}

impl Line<'_> {
    pub(super) fn position(&self) -> Position {
        Position::line(self.number)
    }
}

/// Reads lines that end with `\n`, `\r\n` or `\r`.
pub(super) struct LineReader<R> {
    input: R,
    bytes_max: usize,
    buffer: Vec<u8>,
    number: u64,
    /// Whether the previous line ended with `\r`, so that a `\n` here is a part of that end.
    after_return: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Creates a reader that keeps at most `bytes_max` bytes of each line.
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, buffer: Vec::new(), number: 0, after_return: false }
    }

    /// Returns the next line that has other bytes than blanks and NUL; `None` at the end of the text.
    ///
    /// Devices that lose power leave NUL bytes at the end of a file.
    pub(super) fn next_filled(&mut self) -> Result<Option<Line<'_>>, FormatError> {
        loop {
            let Some((is_cut, is_terminated)) = self.advance()? else { return Ok(None) };
            let is_filled =
                self.buffer.iter().any(|byte| !byte.is_ascii_whitespace() && *byte != 0);
            if is_filled || is_cut {
                let (bytes, number) = (&self.buffer[..], self.number);
                return Ok(Some(Line { bytes, number, is_cut, is_terminated }));
            }
        }
    }

    /// Returns the next line, also a blank one; `None` at the end of the text.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, FormatError> {
        let Some((is_cut, is_terminated)) = self.advance()? else { return Ok(None) };
        let (bytes, number) = (&self.buffer[..], self.number);
        Ok(Some(Line { bytes, number, is_cut, is_terminated }))
    }

    /// Reads a line into the buffer. Returns whether it is cut and whether it has an end.
    fn advance(&mut self) -> Result<Option<(bool, bool)>, FormatError> {
        self.buffer.clear();
        self.number += 1;
        let mut is_cut = false;
        let mut is_empty = true;
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Limit::or_io(error, Position::line(self.number))),
            };
            if bytes.is_empty() {
                return Ok((!is_empty).then_some((is_cut, false)));
            }
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            is_empty = false;
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let line = &bytes[..end.unwrap_or(bytes.len())];
            let kept = line.len().min(self.bytes_max - self.buffer.len());
            self.buffer.extend_from_slice(&line[..kept]);
            is_cut |= kept < line.len();
            let used = line.len() + usize::from(end.is_some());
            if let Some(end) = end {
                self.after_return = bytes[end] == b'\r';
            }
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some((is_cut, true)));
            }
        }
    }
}

/// Returns the lines of the start of a text that are not blank, without blanks around them.
pub(super) fn filled_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], bytes_at_once: usize, bytes_max: usize) -> Vec<(String, u64, bool)> {
        let mut reader = LineReader::new(BufReader::with_capacity(bytes_at_once, text), bytes_max);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            lines.push((text, line.number, line.is_cut));
        }
        lines
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_read() {
        let text = format!("{}\nb\n", "a".repeat(100));
        let expected = [("aaa".to_owned(), 1, true), ("b".to_owned(), 2, false)];
        assert_eq!(lines(text.as_bytes(), 7, 3), expected);
    }

    #[test]
    fn blank_lines_and_zero_bytes_are_counted_and_left_out() {
        let mut reader = LineReader::new(&b"a\n\n \t\nb\n\0\0\0"[..], 10);
        assert_eq!(reader.next_filled().unwrap().unwrap().number, 1);
        let line = reader.next_filled().unwrap().unwrap();
        assert_eq!((line.bytes, line.number, line.is_terminated), (&b"b"[..], 4, true));
        assert_eq!(reader.next_filled().unwrap(), None);
    }

    #[test]
    fn the_last_line_may_have_no_end() {
        let mut reader = LineReader::new(&b"a\r\nb"[..], 10);
        assert!(reader.next().unwrap().unwrap().is_terminated);
        assert!(!reader.next().unwrap().unwrap().is_terminated);
        assert_eq!(reader.next().unwrap(), None);
    }

    proptest! {
        #[test]
        fn every_line_end_is_found_for_any_size_of_reads(
            text in "[a\\r\\n]{0,30}",
            bytes_at_once in 1..5_usize,
        ) {
            let unified = text.replace("\r\n", "\n").replace('\r', "\n");
            let expected: Vec<(String, u64, bool)> =
                unified.lines().zip(1..).map(|(line, at)| (line.to_owned(), at, false)).collect();
            prop_assert_eq!(lines(text.as_bytes(), bytes_at_once, 100), expected);
        }
    }
}
