//! Access to the parts of a file for the Parquet library.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::super::error::{FormatError, Position};

/// The largest metadata.
const METADATA_BYTES_MAX: u64 = 64 << 20;
/// The number of bytes of one read of page headers.
const READ_BYTES: usize = 8 << 10;

/// A file that is read in chunks.
pub(super) struct Chunks<F> {
    file: Arc<Mutex<F>>,
    length: u64,
}

impl<F: Read + Seek> Chunks<F> {
    /// Checks the end of the file: its magic bytes and the size of its metadata.
    pub(super) fn new(mut file: F) -> std::result::Result<Self, FormatError> {
        let length = file.seek(SeekFrom::End(0)).map_err(FormatError::Io)?;
        let mut end = [0; 8];
        if length < 12 {
            return Err(FormatError::malformed(Position::Byte(length), "the file ends early"));
        }
        file.seek(SeekFrom::Start(length - 8)).map_err(FormatError::Io)?;
        file.read_exact(&mut end).map_err(FormatError::Io)?;
        let [m0, m1, m2, m3, ref magic @ ..] = end;
        if magic != super::MAGIC {
            let message = "the file ends early: the metadata at the end of the file are missing, and \
                           nothing can be read without them";
            return Err(FormatError::malformed(Position::Byte(length), message));
        }
        let metadata = u64::from(u32::from_le_bytes([m0, m1, m2, m3]));
        if metadata > METADATA_BYTES_MAX {
            let position = Position::Byte(length - 8);
            let message = "the metadata of the file are larger than 64 MiB".to_owned();
            return Err(FormatError::TooLarge { position, message });
        }
        Ok(Self { file: Arc::new(Mutex::new(file)), length })
    }
}

impl<F> Clone for Chunks<F> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file), length: self.length }
    }
}

impl<F> Length for Chunks<F> {
    fn len(&self) -> u64 {
        self.length
    }
}

impl<F: Read + Seek + Send> ChunkReader for Chunks<F> {
    type T = io::BufReader<Chunk<F>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let chunk = Chunk { file: Arc::clone(&self.file), offset: start };
        Ok(io::BufReader::with_capacity(READ_BYTES, chunk))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let is_inside = start.checked_add(length as u64).is_some_and(|end| end <= self.length);
        if !is_inside {
            return Err(ParquetError::EOF("a chunk is not inside the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        let mut chunk = Chunk { file: Arc::clone(&self.file), offset: start };
        chunk.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads a file from an offset.
pub(super) struct Chunk<F> {
    file: Arc<Mutex<F>>,
    offset: u64,
}

impl<F: Read + Seek> Read for Chunk<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset))?;
        let count = file.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}
