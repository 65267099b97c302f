//! Reads the first bytes of an input, from which the format is detected.

use std::io::{self, BufRead};

use super::error::FormatError;
use super::format::Format;
use super::options::ReadOptions;
use super::rows::{RowEnds, is_comment};

/// Maximum number of bytes that are read.
const HEAD_BYTES: usize = 16 << 10;
/// The bytes that identify a binary file.
const MAGIC_BYTES: usize = 16;
/// The bytes of a row that identify a comment.
const ROW_START_BYTES: usize = 2;
/// The byte order mark of UTF-8.
const UTF8_MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// Reads the column names and the row after them, at most [`HEAD_BYTES`]. Comment lines do not count as rows.
///
/// That is enough to detect the format. It reads no more, because a pipe may be silent after these rows.
pub(super) fn read(
    input: &mut impl BufRead,
    options: &ReadOptions,
) -> Result<Vec<u8>, FormatError> {
    let mut head = Vec::new();
    let mut scan = Scan::new(options);
    let mut is_complete = false;
    while head.len() < HEAD_BYTES && !is_complete {
        let bytes = match input.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if head.is_empty() => return Err(FormatError::Io(error)),
            // The reader of the format parses what was read, and then gets the error again.
            Err(_) => break,
        };
        let bytes = &bytes[..bytes.len().min(HEAD_BYTES - head.len())];
        let end = bytes.iter().position(|&byte| scan.is_complete_with(byte));
        is_complete = end.is_some();
        let count = end.map_or(bytes.len(), |at| at + 1);
        head.extend_from_slice(&bytes[..count]);
        input.consume(count);
    }
    Ok(head)
}

/// Finds the end of the second row.
struct Scan<'o> {
    options: &'o ReadOptions,
    row_ends: RowEnds,
    /// The first byte that is not white space or part of the byte order mark.
    first: Option<u8>,
    row_count: u32,
    /// The first bytes of the row, without blanks.
    row_start: Vec<u8>,
    byte_count: usize,
    /// Whether there was a byte that text does not contain.
    is_binary: bool,
}

impl<'o> Scan<'o> {
    fn new(options: &'o ReadOptions) -> Self {
        let row_ends = RowEnds::new(options);
        let (row_count, byte_count, row_start) = (0, 0, Vec::new());
        Self { options, row_ends, first: None, row_count, row_start, byte_count, is_binary: false }
    }

    fn is_complete_with(&mut self, byte: u8) -> bool {
        self.byte_count += 1;
        if self.first.is_none() && UTF8_MARK.contains(&byte) {
            return false;
        }
        let is_row_end = self.row_ends.ends_with(byte);
        if !byte.is_ascii_whitespace() {
            self.first.get_or_insert(byte);
            self.is_binary |= byte < b' ';
            if self.row_start.len() < ROW_START_BYTES {
                self.row_start.push(byte);
            }
        }
        let Some(first) = self.first else { return false };
        // In a table, a line break in quotes does not end a row.
        let is_end = byte == b'\n' && (is_row_end || !self.may_be_table(first));
        if is_end {
            self.row_count += u32::from(!is_comment(&self.row_start));
            self.row_start.clear();
        }
        self.row_count >= 2 && (self.byte_count >= MAGIC_BYTES || !self.is_binary)
    }

    /// Returns whether a text that starts with `first` may be a table in UTF-8.
    fn may_be_table(&self, first: u8) -> bool {
        match self.options.format {
            // The byte order mark of UTF-16, which is not decoded yet.
            _ if matches!(first, 0xff | 0xfe) => false,
            Some(format) => format == Format::Csv,
            None => !matches!(first, b'<' | b'{' | b'['),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{BufReader, Read};

    use super::*;

    /// Represents a pipe without data. It records that it was read.
    struct Silent<'a>(&'a Cell<bool>);

    impl Read for Silent<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.set(true);
            Ok(0)
        }
    }

    /// Returns the head of a pipe that contains `bytes` and then waits; `None` if the reader would wait.
    fn head(bytes: &[u8], format: Option<Format>) -> Option<Vec<u8>> {
        let options = ReadOptions { format, ..Default::default() };
        let waits = Cell::new(false);
        let head = read(&mut BufReader::with_capacity(1, bytes.chain(Silent(&waits))), &options);
        head.ok().filter(|_| !waits.get())
    }

    #[test]
    fn no_more_than_two_rows_are_read() {
        for rows in [
            "lat,lon\n1,2\n",
            "\n\r\n lat,lon\r\n1,2\r\n",
            "\"lat\n\n(deg)\";\"lon (deg)\"\n\"1\";\"2\"\n",
            "a,\"\"\"\n\n\"\"\",\"b\n\"\n\"\n\n\n\",1\n",
            // Quotes without a meaning.
            "5\" pipe,lat\n1,2\n",
            "# a, b\n// c\n % d\nlat,lon\n# e\n1,2\n",
            "<gpx>\n\"<trk>\n",
            "{\n\"\n",
        ] {
            assert_eq!(head(rows.as_bytes(), None).unwrap(), rows.as_bytes());
            let marked = format!("\u{feff}{rows}");
            assert_eq!(head(marked.as_bytes(), None).unwrap(), marked.as_bytes());
            assert_eq!(head(&rows.as_bytes()[..rows.len() - 1], None), None);
        }
        let rows = b"{lat},\"lon\n\n\"\n1,2\n";
        assert_eq!(head(rows, Some(Format::Csv)).unwrap(), rows);
    }

    #[test]
    fn a_binary_file_is_read_as_far_as_its_identification() {
        let fit = b"\x0e\x10\n\n\0\0\0\0.FIT\0\0\0\n";
        assert_eq!(head(fit, None).unwrap(), fit);
    }
}
