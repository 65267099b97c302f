//! The bytes of a stored checkpoint. The module knows no store. Bytes that are not a record are an error.
//!
//! | bytes | content, little endian |
//! |---|---|
//! | 0..4 | `wayw` |
//! | 4 | the version of the fold: 7, 6 or 5, or 3 or 4 in older records |
//! | 5 | 1 if the recording is finished, else 0 |
//! | 6..8 | 0 |
//! | 8..16 | epoch |
//! | 16..40 | the times of creation, of the last change, and of expiry, in milliseconds since 1970 |
//! | 40..44 | CRC-32 of all bytes before it, followed by the ID of the recording, or by its full name outside of the default namespace |
//! | 44..n | the sealed fold, with a checksum of its own |
//!
//! The header and the fold have separate checksums, so that a store changes the header and copies the fold.
//! `columns.rs` has the same content as columns of a table. `fold.rs` defines the fold, `field.rs` the single values. `legacy.rs` reads versions 1 and 2.

use self::field::{Field, take};
use self::fold::SealedFold;
use self::legacy::LegacyRecord;
use super::rules::Header;
use crate::measure::StateError;
use crate::recording::{Checkpoint, RecordingName, StoreError, StoreErrorCause};

#[cfg(feature = "postgres")]
pub(super) mod columns;
mod compact;
mod derived;
mod field;
mod fold;
mod legacy;
mod old_filter;
mod old_stats;
mod path;
#[cfg(test)]
pub(super) mod tests;
mod track;

pub use self::path::{path_from_bytes, path_to_bytes};

/// The newest version that is written.
pub const VERSION: u8 = fold::VERSION;
const MAGIC: [u8; 4] = *b"wayw";
const HEADER_BYTES: usize = 44;

/// The reason why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are something else, or their end is missing.
    #[error("it is not a checkpoint, or it is cut short ({0} bytes)")]
    Foreign(usize),
    /// A newer program wrote the record.
    #[error(
        "it has format {0}, and this program reads formats up to {VERSION}: use the newer program"
    )]
    Newer(u8),
    /// The bytes have changed, or they are the record of another recording.
    #[error(
        "its checksum is {stored:08x}, but its bytes and its name have the checksum {computed:08x}"
    )]
    Checksum {
        /// The checksum in the record.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The checksum matches, and a part of the content is not valid.
    #[error("its {0} is not valid")]
    Content(&'static str),
    /// The checksum matches, and no path has the state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        Self::Damaged(StoreErrorCause::from_error(error))
    }
}

/// Encodes a checkpoint.
pub fn encode(name: &RecordingName, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = Vec::with_capacity(640);
    let version = fold::version(checkpoint.accumulator.options());
    write_header(name, version, &checkpoint.into(), &mut out);
    fold::seal(Some(name), &checkpoint.accumulator, &mut out);
    out
}

/// Decodes a checkpoint of any version.
///
/// # Errors
/// If the bytes are not a record of this recording.
pub fn decode(name: &RecordingName, bytes: &[u8]) -> Result<Checkpoint, RecordError> {
    Record::read(name, bytes)?.checkpoint()
}

/// A record whose checksums were verified, and whose fold is not decoded yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record<'a>(Layout<'a>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout<'a> {
    Current { header: Header, fold: SealedFold<'a> },
    Legacy(LegacyRecord<'a>),
}

impl<'a> Record<'a> {
    pub(super) fn read(name: &RecordingName, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let foreign = RecordError::Foreign(bytes.len());
        let Some((&MAGIC, [version, ..])) = bytes.split_first_chunk() else {
            return Err(foreign);
        };
        match *version {
            0 => Err(foreign),
            1..=legacy::VERSION_MAX => {
                LegacyRecord::read(name, *version, bytes).map(Layout::Legacy).map(Self)
            }
            fold::VERSION_MIN..=VERSION => {
                let (header, fold) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(foreign)?;
                let fold = SealedFold::read(Some(name), *version, fold)?;
                let header = read_header(name, header, fold.point_count)?;
                Ok(Self(Layout::Current { header, fold }))
            }
            newer => Err(RecordError::Newer(newer)),
        }
    }

    pub(super) fn header(&self) -> Header {
        match self.0 {
            Layout::Current { header, .. } => header,
            Layout::Legacy(record) => record.header,
        }
    }

    /// Returns the options of the recording. In the current layout the rest of the fold is not decoded.
    #[cfg(feature = "redb")]
    pub(super) fn options(&self) -> Result<crate::measure::Options, RecordError> {
        match self.0 {
            Layout::Current { fold, .. } => fold.options(),
            Layout::Legacy(record) => record.accumulator().map(|path| *path.options()),
        }
    }

    pub(super) fn checkpoint(&self) -> Result<Checkpoint, RecordError> {
        let accumulator = match self.0 {
            Layout::Current { fold, .. } => fold.accumulator()?,
            Layout::Legacy(record) => record.accumulator()?,
        };
        let header = self.header();
        Ok(Checkpoint {
            epoch: header.epoch,
            complete: header.complete,
            accumulator,
            create_unix_ms: header.create_unix_ms,
            update_unix_ms: header.update_unix_ms,
            expire_unix_ms: header.expire_unix_ms,
        })
    }

    /// Encodes the record with another header, in the version that this program writes. The fold is copied if it
    /// has this version.
    pub(super) fn with_header(
        &self,
        name: &RecordingName,
        header: &Header,
    ) -> Result<Vec<u8>, RecordError> {
        let mut out = Vec::with_capacity(640);
        let accumulator = match self.0 {
            Layout::Current { fold, .. } if fold.is_current() => {
                write_header(name, fold.version, header, &mut out);
                out.extend(fold.bytes);
                return Ok(out);
            }
            Layout::Current { fold, .. } => fold.accumulator()?,
            Layout::Legacy(record) => record.accumulator()?,
        };
        write_header(name, fold::version(accumulator.options()), header, &mut out);
        fold::seal(Some(name), &accumulator, &mut out);
        Ok(out)
    }
}

fn write_header(name: &RecordingName, version: u8, header: &Header, out: &mut Vec<u8>) {
    out.extend(MAGIC);
    out.extend([version, header.complete.into(), 0, 0]);
    header.epoch.write(out);
    header.create_unix_ms.write(out);
    header.update_unix_ms.write(out);
    header.expire_unix_ms.write(out);
    fold::checksum(Some(name), out).write(out);
}

fn read_header(
    name: &RecordingName,
    bytes: &[u8; HEADER_BYTES],
    committed_points: u64,
) -> Result<Header, RecordError> {
    let Some((covered, stored)) = bytes.split_last_chunk() else {
        return Err(RecordError::Content("header"));
    };
    compare_checksums(u32::from_le_bytes(*stored), fold::checksum(Some(name), covered))?;
    let fields = |mut input: &[u8]| {
        let _: [u8; 5] = take(&mut input)?;
        let complete = bool::read(&mut input)?;
        if take(&mut input)? != [0, 0] {
            return None;
        }
        Some(Header {
            complete,
            epoch: Field::read(&mut input)?,
            committed_points,
            create_unix_ms: Field::read(&mut input)?,
            update_unix_ms: Field::read(&mut input)?,
            expire_unix_ms: Field::read(&mut input)?,
        })
    };
    fields(covered).ok_or(RecordError::Content("header"))
}

fn compare_checksums(stored: u32, computed: u32) -> Result<(), RecordError> {
    if stored == computed { Ok(()) } else { Err(RecordError::Checksum { stored, computed }) }
}

/// Decodes arbitrary bytes, as they are and with valid checksums. A checkpoint is encoded to the same bytes, or
/// to bytes that decode to the same checkpoint if the record has an earlier version. A target for a fuzzer.
///
/// # Panics
/// If the bytes or the checkpoint differ.
#[doc(hidden)]
pub fn check_any(bytes: &[u8]) {
    path::check_any(bytes);
    let Ok(name) = RecordingName::from_id("any") else { return };
    for bytes in [bytes, &sealed(&name, bytes)] {
        let Ok(checkpoint) = decode(&name, bytes) else { continue };
        let encoded = encode(&name, &checkpoint);
        if bytes[4] >= fold::VERSION_WITH_NEITHER {
            assert_eq!(
                encoded, bytes,
                "a record is encoded to other bytes than it was decoded from"
            );
        }
        assert_eq!(
            decode(&name, &encoded),
            Ok(checkpoint),
            "a record is decoded to another checkpoint"
        );
    }
}

/// Returns the bytes with valid checksums.
fn sealed(name: &RecordingName, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let checksum = match bytes.get(4) {
        Some(1) => crc32fast::hash(bytes),
        Some(&(fold::VERSION_MIN..=VERSION)) if bytes.len() >= HEADER_BYTES => {
            let (header, fold) = out.split_at_mut(HEADER_BYTES);
            let checksum = fold::checksum(Some(name), &header[..HEADER_BYTES - 4]);
            header[HEADER_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
            fold::checksum(Some(name), fold)
        }
        _ => fold::checksum(Some(name), bytes),
    };
    checksum.write(&mut out);
    out
}
