//! Decompresses a member of a zip archive and reads it as a file.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::super::compressed::{
    self, ByteCount, Counted, Decode, DecodeError, Expanded, Failure, RATIO_MAX,
};
use super::super::error::FormatError;
use super::super::options::ReadOptions;
use super::super::read_compressed;
use super::super::sink::TrackSink;
use super::directory::{Entry, read_at, u16_at};
use super::is_archive;

/// The header of a member without its name and extra fields.
const HEADER_BYTES: usize = 30;
const STORED: u16 = 0;
const DEFLATE: u16 = 8;

/// The output of all members for which the ratio is not limited.
const FREE_BYTES: u64 = 1 << 30;

/// The bytes of all members so far.
///
/// Each member may have a large part of the output that one archive may have, and members of a hostile archive
/// may share their data. So the sums are limited too.
pub(super) struct Budget {
    archive_bytes: u64,
    compressed_bytes: u64,
    expanded_bytes: u64,
}

impl Budget {
    pub(super) fn new(archive_bytes: u64) -> Self {
        Self { archive_bytes, compressed_bytes: 0, expanded_bytes: 0 }
    }

    fn expand(&mut self, bytes: usize) -> Result<(), String> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes as u64);
        let is_free = self.expanded_bytes <= FREE_BYTES;
        match is_free || self.expanded_bytes / RATIO_MAX <= self.archive_bytes {
            true => Ok(()),
            false => Err(format!(
                "the members so far are more than {RATIO_MAX} times as large as the archive; if that is \
                 intended, unpack it first"
            )),
        }
    }

    fn compress(&mut self, bytes: u64) -> Result<(), String> {
        self.compressed_bytes = self.compressed_bytes.saturating_add(bytes);
        match self.compressed_bytes <= self.archive_bytes {
            true => Ok(()),
            false => {
                Err("this member shares its data with others; the archive is damaged".to_owned())
            }
        }
    }
}

/// Reads a member.
pub(super) fn read(
    input: &mut (impl BufRead + Seek),
    entry: &Entry,
    budget: &mut Budget,
    options: &ReadOptions,
    sink: &mut dyn TrackSink,
) -> Result<(), FormatError> {
    check(entry)?;
    seek_to_data(input, entry)?;
    let failure = Failure::default();
    let input = Counted::new(input.take(entry.member.compressed_size), failure.clone());
    let count = input.count().clone();
    let data = match entry.method {
        STORED => Data::Stored(input),
        _ => Data::Deflate(DeflateDecoder::new(input)),
    };
    let checked = Checked {
        data,
        entry,
        budget,
        count: count.clone(),
        budgeted: 0,
        bytes: 0,
        crc: Crc::new(),
    };
    let mut content = Expanded::new(checked, failure.clone());
    if content.fill_buf().is_ok_and(is_archive) {
        let message = "this member is a zip archive itself; unpack the outer archive first";
        return Err(FormatError::Archive(message.to_owned()));
    }
    read_compressed(&mut content, count, options, sink, &failure)
}

/// Checks that the member has a supported form.
fn check(entry: &Entry) -> Result<(), FormatError> {
    const ENCRYPTED: u16 = 1 << 0 | 1 << 6 | 1 << 13;
    let message = match entry.method {
        _ if entry.has_long_name => "the name of this member is longer than 4096 bytes".to_owned(),
        _ if entry.is_link => {
            "this member is a symbolic link; links in an archive are not followed".to_owned()
        }
        _ if entry.flags & ENCRYPTED != 0 => {
            "this member is encrypted; unpack the archive with its password first".to_owned()
        }
        STORED | DEFLATE => return Ok(()),
        method => {
            let name = match method {
                1..=6 => " (an old method of PKZIP)",
                9 => " (Deflate64)",
                12 => " (bzip2)",
                14 => " (LZMA)",
                93 => " (Zstandard)",
                95 => " (xz)",
                98 => " (PPMd)",
                _ => "",
            };
            format!(
                "this member is compressed with method {method}{name}, which is not supported; unpack the \
                 archive first"
            )
        }
    };
    Err(FormatError::Archive(message))
}

/// Moves the input to the data of the member.
fn seek_to_data(input: &mut (impl BufRead + Seek), entry: &Entry) -> Result<(), FormatError> {
    let mut header = [0; HEADER_BYTES];
    match read_at(input, entry.offset, &mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        result => result.map_err(FormatError::Io)?,
    }
    if !header.starts_with(b"PK\x03\x04") {
        let message = format!(
            "the directory names byte {} of the archive as the start of this member, but it does not start \
             there; the archive is damaged",
            entry.offset
        );
        return Err(FormatError::Archive(message));
    }
    let variable_bytes = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    let start = entry.offset + HEADER_BYTES as u64 + variable_bytes;
    input.seek(SeekFrom::Start(start)).map_err(FormatError::Io)?;
    Ok(())
}

enum Data<R: BufRead> {
    Stored(R),
    Deflate(DeflateDecoder<R>),
}

/// Decompresses a member, and checks its size, its checksum and the ratio.
struct Checked<'e, R: BufRead> {
    data: Data<R>,
    entry: &'e Entry,
    budget: &'e mut Budget,
    count: ByteCount,
    /// The compressed bytes that the budget includes.
    budgeted: u64,
    bytes: u64,
    crc: Crc,
}

impl<R: BufRead> Decode for Checked<'_, R> {
    fn decode(&mut self, out: &mut [u8]) -> Result<usize, DecodeError> {
        let result = match &mut self.data {
            Data::Stored(input) => input.read(out),
            Data::Deflate(decoder) => decoder.read(out),
        };
        let length = match result {
            Ok(0) => return self.check_end().map(|()| 0),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(DecodeError::Interrupted);
            }
            Err(_) => return Err(self.damaged("the compressed data of this member is damaged")),
        };
        self.crc.update(&out[..length]);
        self.bytes = self.bytes.saturating_add(length as u64);
        if compressed::is_bomb(self.count.get(), self.bytes) {
            return Err(failed(format!(
                "the data is more than {RATIO_MAX} times as large as its part of the archive; if that is \
                 intended, unpack the archive first"
            )));
        }
        let consumed = self.count.get() - self.budgeted;
        self.budgeted += consumed;
        self.budget.compress(consumed).and_then(|()| self.budget.expand(length)).map_err(failed)?;
        Ok(length)
    }
}

impl<R: BufRead> Checked<'_, R> {
    fn check_end(&self) -> Result<(), DecodeError> {
        let compressed_size = self.entry.member.compressed_size;
        if self.bytes < self.entry.member.size && self.count.get() < compressed_size {
            Err(self.damaged("the archive ends within this member"))
        } else if self.bytes != self.entry.member.size {
            Err(self.damaged("the size of this member is not the declared one"))
        } else if self.crc.sum() != self.entry.crc {
            Err(self.damaged("the checksum of this member is wrong"))
        } else {
            Ok(())
        }
    }

    fn damaged(&self, message: &str) -> DecodeError {
        let at = self.entry.offset.saturating_add(self.count.get());
        failed(format!("{message}, at about byte {at} of the archive; the archive is damaged"))
    }
}

fn failed(message: String) -> DecodeError {
    DecodeError::Format(FormatError::Archive(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_all_members_is_limited() {
        let mut budget = Budget::new(10 << 20);
        // 200 times 10 MiB.
        assert!((0..2000).all(|_| budget.expand(1 << 20).is_ok()));
        assert!(budget.expand(1 << 20).is_err());
        let mut small = Budget::new(1);
        assert!((0..1024).all(|_| small.expand(1 << 20).is_ok()));
        assert!(small.expand(1).is_err());
    }
}
