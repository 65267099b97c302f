//! The file of a backup: all recordings of a store as they are stored. Integers are little endian.
//!
//! | part | bytes | content |
//! |---|---|---|
//! | start | 0..8 | `waywbkup` |
//! | | 8..12 | the version: 1 |
//! | | 12..20 | the time of the backup, in milliseconds since 1970 |
//! | | 20..24 | CRC-32 of the bytes before it |
//! | each recording | 0 | 1 |
//! | | 1..3 | the length of its name |
//! | | 3..7 | the length of its record |
//! | | 7.. | its full name, then its record; see `codec` |
//! | | the last 4 | CRC-32 of the bytes of the recording before it |
//! | end | 0 | 255 |
//! | | 1..9 | the number of recordings |
//! | | 9..13 | CRC-32 of all bytes of the file before it |
//!
//! The recordings are in the order of their names. Nothing follows the end.

mod error;
mod reader;
mod renewal;
#[cfg(test)]
mod tests;
mod writer;

pub use error::BackupError;
pub use reader::BackupReader;
pub use renewal::{Renewal, RestoredExpiry};
pub use writer::BackupWriter;

const MAGIC: [u8; 8] = *b"waywbkup";
/// The version that is written.
const VERSION: u32 = 1;
const START_BYTES: usize = 24;
const RECORDING: u8 = 1;
const END: u8 = 255;
/// Maximum size of a record. The limits of the options keep records far below it.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Maximum length of a full name.
const NAME_BYTES_MAX: usize = 256;
