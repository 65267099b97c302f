//! Writes a backup.

use std::io::{self, Write};

use super::{BackupError, END, MAGIC, RECORDING, VERSION};
use crate::recording::RecordingName;
use crate::store::codec::Record;

/// Writes a backup, one recording after another. A file without the bytes of [`BackupWriter::finish`] is not a backup.
#[derive(Debug)]
pub struct BackupWriter<W> {
    out: W,
    /// The CRC-32 of all bytes so far.
    hasher: crc32fast::Hasher,
    last: Option<RecordingName>,
    count: u64,
    bytes: u64,
}

impl<W: Write> BackupWriter<W> {
    /// Writes the start of a backup that is made at `now_unix_ms`, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn new(out: W, now_unix_ms: i64) -> io::Result<Self> {
        let hasher = crc32fast::Hasher::new();
        let mut writer = Self { out, hasher, last: None, count: 0, bytes: 0 };
        let mut start = MAGIC.to_vec();
        start.extend(VERSION.to_le_bytes());
        start.extend(now_unix_ms.to_le_bytes());
        writer.write_sealed(start)?;
        Ok(writer)
    }

    /// Writes the record of a recording, as a store exports it.
    ///
    /// # Errors
    /// The record is not valid, it is not in the order of names, or the output cannot be written.
    pub fn add(&mut self, name: RecordingName, record: &[u8]) -> Result<(), BackupError> {
        if self.last.as_ref().is_some_and(|last| *last >= name) {
            return Err(BackupError::Order { name });
        }
        if let Err(source) = Record::read(&name, record) {
            return Err(BackupError::Record { name, source });
        }
        let text = name.as_str();
        let mut part = Vec::with_capacity(11 + text.len() + record.len());
        part.push(RECORDING);
        // Names have less than 256 bytes.
        part.extend((text.len() as u16).to_le_bytes());
        let len = u32::try_from(record.len()).map_err(io::Error::other)?;
        part.extend(len.to_le_bytes());
        part.extend(text.as_bytes());
        part.extend(record);
        self.write_sealed(part)?;
        self.count += 1;
        self.last = Some(name);
        Ok(())
    }

    /// Writes the end, and returns the output. The caller makes it durable.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        let mut end = vec![END];
        end.extend(self.count.to_le_bytes());
        self.hasher.update(&end);
        end.extend(self.hasher.clone().finalize().to_le_bytes());
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Returns the number of recordings so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes bytes, followed by their CRC-32.
    fn write_sealed(&mut self, mut part: Vec<u8>) -> io::Result<()> {
        part.extend(crc32fast::hash(&part).to_le_bytes());
        self.hasher.update(&part);
        self.bytes += part.len() as u64;
        self.out.write_all(&part)
    }
}
