//! The error of opening a directory as a store. Every message except that of `Io` says what to do.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The reason why a directory cannot be used as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreOpenError {
    /// Another process, or another store in this process, uses the directory.
    #[error("{directory} is in use by another process: stop that one, or use another directory")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A newer program wrote the file.
    #[error(
        "{file} has format {found}, and this program reads formats up to {known}: use the newer program, or \
         another directory"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The latest format that this program reads.
        known: u64,
    },
    /// The file is damaged, or another program wrote it.
    #[error(
        "{file} is damaged, or it is a file of another program ({reason}): restore it from a backup, or move it away \
         to start with an empty store"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// A description of the damage.
        reason: String,
    },
    /// The file has fewer transactions than the lock file has recorded.
    #[error(
        "{file} ends with transaction {found}, but {noted} transactions were stored: it is an older copy, or its \
         header is damaged. Restore the latest copy. To use this copy without the missing recordings, delete the file \
         named lock next to it"
    )]
    Older {
        /// The file.
        file: PathBuf,
        /// Its last transaction.
        found: u64,
        /// The last transaction that was stored.
        noted: u64,
    },
    /// The path is not a directory.
    #[error("{path} is not a directory: use a directory, or a path where one can be created")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The process may not write there.
    #[error(
        "{path} cannot be written ({source}): give this process write permission, or use another directory"
    )]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Something else failed.
    #[error("{path} cannot be opened: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Converts an error of the system for `path`.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> StoreOpenError {
    move |source| {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                StoreOpenError::NotADirectory { path }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                StoreOpenError::NotWritable { path, source }
            }
            _ => StoreOpenError::Io { path, source },
        }
    }
}

pub(super) fn refusal(path: &Path, error: redb::Error) -> StoreOpenError {
    let reason = error.to_string();
    match error {
        redb::Error::DatabaseAlreadyOpen => {
            StoreOpenError::InUse { directory: path.parent().unwrap_or(path).to_owned() }
        }
        redb::Error::Io(error)
            if !matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            at(path)(error)
        }
        _ => StoreOpenError::Damaged { file: path.to_owned(), reason },
    }
}
