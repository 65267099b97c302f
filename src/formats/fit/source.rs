//! The bytes of a FIT file: a buffer with lookahead, the offset and the checksum.

use std::io::{self, Read};

/// The size of the buffer. It is larger than two messages of the largest size.
const BUFFER_BYTES: usize = 512 << 10;

/// Reads bytes with lookahead. The last bytes that were consumed stay in the buffer.
pub(super) struct Source<R> {
    input: R,
    buffer: Vec<u8>,
    /// The start of the bytes that were consumed last.
    kept: usize,
    start: usize,
    end: usize,
    /// The offset in the file of the byte at `start`.
    offset: u64,
    is_at_end: bool,
    crc: u16,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self { input, buffer, kept: 0, start: 0, end: 0, offset: 0, is_at_end: false, crc: 0 }
    }

    /// Returns the offset of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the checksum of the bytes that were consumed since [`Source::reset_crc`].
    pub(super) fn crc(&self) -> u16 {
        self.crc
    }

    pub(super) fn reset_crc(&mut self) {
        self.crc = 0;
    }

    /// Returns the next `count` bytes without consuming them, or fewer at the end of the input.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.end - self.start < count && !self.is_at_end {
            self.fill(count)?;
        }
        let end = self.end.min(self.start.saturating_add(count));
        Ok(&self.buffer[self.start..end])
    }

    fn fill(&mut self, count: usize) -> io::Result<()> {
        self.buffer.copy_within(self.kept..self.end, 0);
        self.start -= self.kept;
        self.end -= self.kept;
        self.kept = 0;
        while self.end - self.start < count && self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Consumes bytes that were returned by [`Source::peek`].
    pub(super) fn consume(&mut self, count: usize) {
        let end = self.end.min(self.start + count);
        self.crc = crc(self.crc, &self.buffer[self.start..end]);
        self.kept = self.start;
        self.offset += (end - self.start) as u64;
        self.start = end;
    }

    /// Makes the bytes that were consumed last the next ones.
    pub(super) fn unread(&mut self) {
        self.offset = self.last_offset();
        self.start = self.kept;
    }

    /// Returns the offset of the bytes that were consumed last.
    pub(super) fn last_offset(&self) -> u64 {
        self.offset - (self.start - self.kept) as u64
    }
}

/// Updates the checksum of FIT, CRC-16/ARC.
fn crc(crc: u16, bytes: &[u8]) -> u16 {
    let mut crc = crc;
    let mut blocks = bytes.chunks_exact(4);
    for block in &mut blocks {
        let low = crc ^ u16::from_le_bytes([block[0], block[1]]);
        crc = TABLES[3][usize::from(low & 0xff)]
            ^ TABLES[2][usize::from(low >> 8)]
            ^ TABLES[1][usize::from(block[2])]
            ^ TABLES[0][usize::from(block[3])];
    }
    for &byte in blocks.remainder() {
        crc = (crc >> 8) ^ TABLES[0][usize::from((crc as u8) ^ byte)];
    }
    crc
}

/// The checksum of each byte with 0, 1, 2 and 3 zero bytes after it.
const TABLES: [[u16; 256]; 4] = {
    let mut tables = [[0_u16; 256]; 4];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u16;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xa001 } else { value >> 1 };
            bit += 1;
        }
        tables[0][index] = value;
        index += 1;
    }
    let mut table = 1;
    while table < 4 {
        let mut index = 0;
        while index < 256 {
            let value = tables[table - 1][index];
            tables[table][index] = (value >> 8) ^ tables[0][(value & 0xff) as usize];
            index += 1;
        }
        table += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_16_arc() {
        // The check value in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc(0, b"123456789"), 0xbb3d);
        for cut in 0..9 {
            assert_eq!(crc(crc(0, &b"123456789"[..cut]), &b"123456789"[cut..]), 0xbb3d);
        }
    }

    #[test]
    fn bytes_are_returned_in_order_and_the_last_ones_again() {
        let bytes: Vec<u8> = (0..2_000_000_u32).map(|index| (index % 251) as u8).collect();
        let mut source = Source::new(&bytes[..]);
        let mut at = 0;
        while at < bytes.len() {
            let count = 1 + at % 130_000;
            let part = source.peek(count).unwrap().to_vec();
            assert_eq!(part, bytes[at..(at + count).min(bytes.len())]);
            source.consume(part.len());
            source.unread();
            assert_eq!(source.offset(), at as u64);
            assert_eq!(source.peek(part.len()).unwrap(), part);
            source.consume(part.len());
            at += part.len();
        }
        assert!(source.peek(2).unwrap().is_empty());
    }
}
