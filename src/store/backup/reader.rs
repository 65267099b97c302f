//! Reads and verifies a backup.

use std::io::{ErrorKind, Read};

use super::{
    BackupError, END, MAGIC, NAME_BYTES_MAX, RECORD_BYTES_MAX, RECORDING, START_BYTES, VERSION,
};
use crate::recording::RecordingName;
use crate::store::codec::{self, Record};

/// Reads the recordings of a backup. After the last one it has verified the whole file. Holds one recording.
#[derive(Debug)]
pub struct BackupReader<R> {
    input: R,
    hasher: crc32fast::Hasher,
    /// The number of bytes that were read.
    position: u64,
    created_unix_ms: i64,
    last: Option<RecordingName>,
    count: u64,
    is_over: bool,
}

impl<R: Read> BackupReader<R> {
    /// Reads the start of a backup.
    ///
    /// # Errors
    /// It is not the start of a backup that this program reads.
    pub fn new(input: R) -> Result<Self, BackupError> {
        let mut reader = Self {
            input,
            hasher: crc32fast::Hasher::new(),
            position: 0,
            created_unix_ms: 0,
            last: None,
            count: 0,
            is_over: false,
        };
        let magic: [u8; 8] = match reader.array() {
            Err(BackupError::Truncated { .. }) => return Err(BackupError::Foreign),
            magic => magic?,
        };
        if magic != MAGIC {
            return Err(BackupError::Foreign);
        }
        let version: [u8; 4] = reader.array()?;
        let found = u32::from_le_bytes(version);
        // The layout after the version may be another one.
        if found > VERSION {
            return Err(BackupError::Newer { found, known: VERSION });
        }
        let created: [u8; 8] = reader.array()?;
        reader.created_unix_ms = i64::from_le_bytes(created);
        let start = [&magic[..], &version, &created].concat();
        reader.check(0, crc32fast::hash(&start), "its start")?;
        if found != VERSION {
            return Err(damaged(0, format!("its format is {found}")));
        }
        debug_assert_eq!(reader.position, START_BYTES as u64);
        Ok(reader)
    }

    /// Returns the time of the backup, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn created_unix_ms(&self) -> i64 {
        self.created_unix_ms
    }

    /// Returns the number of recordings that were read.
    pub fn recordings(&self) -> u64 {
        self.count
    }

    fn read_next(&mut self) -> Result<Option<(RecordingName, Vec<u8>)>, BackupError> {
        let start = self.position;
        let kind: [u8; 1] = self.array()?;
        match kind {
            [RECORDING] => self.recording(start).map(Some),
            [END] => self.end(start).map(|()| None),
            [other] => Err(damaged(start, format!("{other} is not the start of a recording"))),
        }
    }

    fn recording(&mut self, start: u64) -> Result<(RecordingName, Vec<u8>), BackupError> {
        let name_len: [u8; 2] = self.array()?;
        let record_len: [u8; 4] = self.array()?;
        let lens = (u16::from_le_bytes(name_len) as usize, u32::from_le_bytes(record_len) as usize);
        if lens.0 > NAME_BYTES_MAX || lens.1 > RECORD_BYTES_MAX {
            return Err(damaged(start, "the lengths are not valid"));
        }
        let text = self.bytes(lens.0)?;
        let record = self.bytes(lens.1)?;
        let mut hasher = crc32fast::Hasher::new();
        for part in [&[RECORDING][..], &name_len, &record_len, &text, &record] {
            hasher.update(part);
        }
        self.check(start, hasher.finalize(), "a recording")?;
        let name = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        let name: RecordingName = name.ok_or_else(|| damaged(start, "a name is not valid"))?;
        if self.last.as_ref().is_some_and(|last| *last >= name) {
            return Err(damaged(start, format!("{name} is not in the order of names")));
        }
        // The options, the fold and the header: whatever a server would read.
        if let Err(error) = Record::read(&name, &record).and_then(|_| codec::decode(&name, &record))
        {
            return Err(damaged(start, format!("the record of {name}: {error}")));
        }
        self.count += 1;
        self.last = Some(name.clone());
        Ok((name, record))
    }

    fn end(&mut self, start: u64) -> Result<(), BackupError> {
        let count = u64::from_le_bytes(self.array()?);
        let computed = self.hasher.clone().finalize();
        self.check(start, computed, "the whole file")?;
        if count != self.count {
            let reason = format!("it should have {count} recordings, and {} are found", self.count);
            return Err(damaged(start, reason));
        }
        let end = self.position;
        match self.array::<1>() {
            Err(BackupError::Truncated { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(damaged(end, "more bytes follow its end")),
        }
    }

    /// Reads a CRC-32 and compares it.
    fn check(&mut self, start: u64, computed: u32, what: &str) -> Result<(), BackupError> {
        let stored = u32::from_le_bytes(self.array()?);
        if stored != computed {
            let reason = format!(
                "the checksum of {what} is {stored:08x}, but its bytes have the checksum {computed:08x}"
            );
            return Err(damaged(start, reason));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let bytes = self.bytes(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&bytes);
        Ok(array)
    }

    /// Reads bytes. Allocates only what the file has.
    fn bytes(&mut self, len: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(len as u64).read_to_end(&mut bytes);
        self.position += bytes.len() as u64;
        self.hasher.update(&bytes);
        match read {
            Ok(_) if bytes.len() == len => Ok(bytes),
            Ok(_) => Err(BackupError::Truncated { position: self.position }),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(BackupError::Truncated { position: self.position })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl<R: Read> Iterator for BackupReader<R> {
    type Item = Result<(RecordingName, Vec<u8>), BackupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read_next().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

fn damaged(position: u64, reason: impl Into<String>) -> BackupError {
    BackupError::Damaged { position, reason: reason.into() }
}
