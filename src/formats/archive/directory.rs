//! The directory of a zip archive: finds it at the end of the file, and reads one entry at a time.

use std::io::{self, BufRead, Seek, SeekFrom};

use super::super::error::{FormatError, Position};
use super::{Member, name};

/// The end record without its comment.
const END_BYTES: usize = 22;
const ZIP64_LOCATOR_BYTES: u64 = 20;
const ZIP64_END_BYTES: usize = 56;
/// An entry without its name, extra fields and comment.
const ENTRY_BYTES: usize = 46;
/// Maximum length of a name.
const NAME_BYTES_MAX: usize = 4 << 10;

/// The directory of an archive.
pub(super) struct Directory {
    archive_bytes: u64,
    /// The bytes before the archive, such as a program that unpacks it.
    prefix: u64,
    /// The number of entries as declared, if it is declared.
    declared_count: u64,
    count: u64,
    next: u64,
    end: u64,
}

/// An entry of the directory.
pub(super) struct Entry {
    pub member: Member,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    /// The offset of the member in the file.
    pub offset: u64,
    pub is_link: bool,
    pub has_long_name: bool,
}

impl Directory {
    /// Finds the directory.
    pub(super) fn find(input: &mut (impl BufRead + Seek)) -> Result<Self, FormatError> {
        let archive_bytes = input.seek(SeekFrom::End(0)).map_err(FormatError::Io)?;
        let tail_bytes = archive_bytes.min((END_BYTES + usize::from(u16::MAX)) as u64);
        let tail_offset = archive_bytes - tail_bytes;
        let mut tail = vec![0; tail_bytes as usize];
        read_at(input, tail_offset, &mut tail).map_err(FormatError::Io)?;
        let mut ends = (0..tail.len().saturating_sub(END_BYTES - 1)).rev();
        while let Some(at) = ends.find(|&at| tail[at..].starts_with(b"PK\x05\x06")) {
            let record = &tail[at..];
            let comment_bytes = usize::from(u16_at(record, 20));
            if END_BYTES + comment_bytes > record.len() {
                continue;
            }
            let offset = tail_offset + at as u64;
            if let Some(found) = Self::from_end(input, record, offset, archive_bytes)? {
                return Ok(found);
            }
        }
        let message =
            "the zip archive has no directory at its end; the file is incomplete or damaged";
        Err(FormatError::malformed(Position::Byte(archive_bytes), message))
    }

    pub(super) fn archive_bytes(&self) -> u64 {
        self.archive_bytes
    }

    /// Reads the end record at `offset`. Returns `None` if there is no directory where it says.
    fn from_end(
        input: &mut (impl BufRead + Seek),
        record: &[u8],
        offset: u64,
        archive_bytes: u64,
    ) -> Result<Option<Self>, FormatError> {
        let mut disk = u32::from(u16_at(record, 4));
        let mut declared_count = u64::from(u16_at(record, 10));
        let mut size = u64::from(u32_at(record, 12));
        let mut start = u64::from(u32_at(record, 16));
        let mut end = offset;
        if let Some(zip64) = Self::zip64_end(input, offset)? {
            let (zip64_offset, zip64) = zip64;
            disk = u32_at(&zip64, 16);
            declared_count = u64_at(&zip64, 32);
            size = u64_at(&zip64, 40);
            start = u64_at(&zip64, 48);
            end = zip64_offset;
        }
        if disk != 0 && disk != u32::from(u16::MAX) {
            let message = "the zip archive is split into several files; join them first, for example with \
                           zip -s 0 --out";
            return Err(FormatError::Archive(message.to_owned()));
        }
        // The directory ends where the end record starts, also if there is a prefix that `start` ignores.
        let Some(actual_start) = end.checked_sub(size) else { return Ok(None) };
        let mut signature = [0; 4];
        for (start, prefix) in [(actual_start, actual_start.checked_sub(start)), (start, Some(0))] {
            let Some(prefix) = prefix else { continue };
            let is_empty = declared_count == 0 && size == 0;
            if !is_empty {
                match read_at(input, start, &mut signature) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                    result => result.map_err(FormatError::Io)?,
                }
            }
            if is_empty || signature == *b"PK\x01\x02" {
                let end = start.saturating_add(size).min(archive_bytes);
                return Ok(Some(Self {
                    archive_bytes,
                    prefix,
                    declared_count,
                    count: 0,
                    next: start,
                    end,
                }));
            }
        }
        Ok(None)
    }

    /// Returns the end record of a zip64 archive and its offset.
    fn zip64_end(
        input: &mut (impl BufRead + Seek),
        end_offset: u64,
    ) -> Result<Option<(u64, [u8; ZIP64_END_BYTES])>, FormatError> {
        let Some(locator_offset) = end_offset.checked_sub(ZIP64_LOCATOR_BYTES) else {
            return Ok(None);
        };
        let mut locator = [0; ZIP64_LOCATOR_BYTES as usize];
        read_at(input, locator_offset, &mut locator).map_err(FormatError::Io)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let mut record = [0; ZIP64_END_BYTES];
        // The record is directly before the locator, also if there is a prefix.
        let adjacent = locator_offset.checked_sub(ZIP64_END_BYTES as u64);
        for offset in [adjacent, Some(u64_at(&locator, 8))].into_iter().flatten() {
            match read_at(input, offset, &mut record) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                result => result.map_err(FormatError::Io)?,
            }
            if record.starts_with(b"PK\x06\x06") {
                return Ok(Some((offset, record)));
            }
        }
        Ok(None)
    }

    /// Returns the next entry.
    ///
    /// # Errors
    /// If the directory is damaged or has more than `count_max` entries.
    pub(super) fn next(
        &mut self,
        input: &mut (impl BufRead + Seek),
        count_max: u64,
    ) -> Result<Option<Entry>, FormatError> {
        let position = Position::Byte(self.next);
        if self.next >= self.end {
            // Archives without zip64 store the lowest 16 bits of the number.
            let is_complete = self.count & 0xffff == self.declared_count & 0xffff;
            let message = format!(
                "the directory of the zip archive has {} entries instead of {}; it is damaged",
                self.count, self.declared_count
            );
            return match is_complete {
                true => Ok(None),
                false => Err(FormatError::malformed(position, message)),
            };
        }
        if self.count == count_max {
            let message =
                format!("the zip archive has more than {count_max} entries; unpack it first");
            return Err(FormatError::TooLarge { position, message });
        }
        let damaged = || {
            let message = "the directory of the zip archive is damaged here; the files after it are not \
                           read";
            FormatError::malformed(position, message)
        };
        let read_bytes =
            |input: &mut _, offset, bytes: &mut [u8]| match read_at(input, offset, bytes) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
                result => result.map_err(FormatError::Io),
            };
        let mut header = [0; ENTRY_BYTES];
        read_bytes(input, self.next, &mut header)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(damaged());
        }
        let length = |at| usize::from(u16_at(&header, at));
        let (name_bytes, extra_bytes, comment_bytes) = (length(28), length(30), length(32));
        let mut variable = vec![0; name_bytes + extra_bytes];
        read_bytes(input, self.next + ENTRY_BYTES as u64, &mut variable)?;
        self.next += (ENTRY_BYTES + variable.len() + comment_bytes) as u64;
        self.count += 1;
        let (name, extra) = variable.split_at(name_bytes);
        Ok(Some(self.entry(&header, name, extra)))
    }

    fn entry(&self, header: &[u8; ENTRY_BYTES], name_bytes: &[u8], extra: &[u8]) -> Entry {
        let flags = u16_at(header, 8);
        // A value of all ones is in the extra field of zip64, in this order.
        let mut zip64 = extra_field(extra, 0x0001).unwrap_or_default();
        let mut large = |value: u32| match zip64.split_first_chunk::<8>() {
            Some((bytes, rest)) if value == u32::MAX => {
                zip64 = rest;
                u64::from_le_bytes(*bytes)
            }
            _ => u64::from(value),
        };
        let size = large(u32_at(header, 24));
        let compressed_size = large(u32_at(header, 20));
        let offset = large(u32_at(header, 42));
        let unicode = extra_field(extra, 0x7075).and_then(|field| unicode_name(field, name_bytes));
        let name = name::decode(name_bytes, flags & 1 << 11 != 0, unicode);
        let kept = super::super::value::truncate(&name, NAME_BYTES_MAX).to_owned();
        let is_unix = header[5] == 3;
        Entry {
            has_long_name: kept.len() < name.len(),
            member: Member { name: kept, size, compressed_size },
            flags,
            method: u16_at(header, 10),
            crc: u32_at(header, 16),
            offset: offset.saturating_add(self.prefix),
            is_link: is_unix && u32_at(header, 38) >> 28 == 0o12,
        }
    }
}

/// Returns the content of an extra field.
fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length)?;
        if id == wanted {
            return Some(field);
        }
        extra = &extra[4 + length..];
    }
    None
}

/// Returns the name in an extra field 0x7075, if the field belongs to the name of the entry.
fn unicode_name<'f>(field: &'f [u8], name: &[u8]) -> Option<&'f str> {
    let (header, unicode) = field.split_at_checked(5)?;
    let mut crc = flate2::Crc::new();
    crc.update(name);
    let is_current = header[0] == 1 && u32_at(header, 1) == crc.sum();
    std::str::from_utf8(unicode).ok().filter(|_| is_current)
}

/// Fills `bytes` with the bytes at an offset.
pub(super) fn read_at(
    input: &mut (impl BufRead + Seek),
    offset: u64,
    bytes: &mut [u8],
) -> io::Result<()> {
    input.seek(SeekFrom::Start(offset))?;
    input.read_exact(bytes)
}

/// Returns the number at an offset, and 0 outside the bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
