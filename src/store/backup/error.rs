//! The error of reading or writing a backup. Positions are byte offsets from the start of the file.

use std::io;

use crate::recording::RecordingName;
use crate::store::codec::RecordError;

/// A backup cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file starts differently.
    #[error("it is not a backup of waywiser: use a file that `waywiser store backup` has written")]
    Foreign,
    /// A newer program wrote the file.
    #[error(
        "it has format {found}, and this program reads formats up to {known}: use the newer program"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The latest format that this program reads.
        known: u32,
    },
    /// The file ends before its end marker.
    #[error(
        "it ends at byte {position}, before its end marker: it is cut short, use another backup"
    )]
    Truncated {
        /// The length of the file.
        position: u64,
    },
    /// The bytes of the file have changed.
    #[error("it is damaged at byte {position} ({reason}): use another backup")]
    Damaged {
        /// The start of the part that is damaged.
        position: u64,
        /// A description of the damage.
        reason: String,
    },
    /// A record of the server is not valid.
    #[error("the record of {name} is not valid: {source}")]
    Record {
        /// The recording.
        name: RecordingName,
        /// The reason.
        source: RecordError,
    },
    /// The records of the server are not in the order of their names.
    #[error("the record of {name} is not in the order of names")]
    Order {
        /// The recording.
        name: RecordingName,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}
