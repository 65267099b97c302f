//! Fills an empty table with the recordings of a backup or of another store, in one transaction.

use super::error::PostgresOpenError;
use crate::recording::StoreError;
use crate::store::backup::BackupError;

/// The reason why recordings were not restored. Nothing is stored then, except after `Unknown` of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresRestoreError {
    /// The backup cannot be read.
    #[error("the backup: {0}")]
    Backup(#[from] BackupError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] PostgresOpenError),
    /// The database has recordings.
    #[error("the database is not empty: it has recordings; use an empty database")]
    NotEmpty,
    /// The database cannot be written.
    #[error("the database cannot be written: {0}")]
    Database(#[from] StoreError),
}
