//! Fills a new directory with the recordings of a backup. Until all of them are durable, the directory has no store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use redb::Database;

use super::error::{StoreOpenError, at};
use super::home;
use super::open::{self, UNFINISHED};
use super::tables::{self, COUNTS, NUMBERS, RECORDINGS};
use crate::recording::RecordingName;
use crate::store::backup::BackupError;
use crate::store::codec::Record;
use crate::store::key;

/// Number of recordings in one transaction.
const BATCH: usize = 1_000;

/// The reason why a backup was not restored. Nothing is stored then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The backup cannot be read.
    #[error("the backup: {0}")]
    Backup(#[from] BackupError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] StoreOpenError),
    /// The directory has other files.
    #[error("{0} is not empty: use an empty or a new directory")]
    NotEmpty(std::path::PathBuf),
    /// The database cannot be written.
    #[error("the database cannot be written: {0}")]
    Database(#[from] redb::Error),
}

/// Stores recordings in `directory`, which must be empty or new. Returns their number.
pub(super) fn restore(
    directory: &Path,
    recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>>,
) -> Result<u64, RestoreError> {
    let is_new = !directory.exists();
    let has_lock = directory.join(home::LOCK).exists();
    let lock = home::lock(directory)?;
    let restored = restore_locked(directory, &lock, recordings);
    if restored.is_err() {
        // The error is that of the restore. The lock of a store stays, also if another process has created it since.
        if !has_lock && !directory.join(home::FILE).exists() {
            let _ = fs::remove_file(directory.join(home::LOCK));
        }
        if is_new {
            let _ = fs::remove_dir(directory);
        }
    }
    restored
}

fn restore_locked(
    directory: &Path,
    lock: &File,
    recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>>,
) -> Result<u64, RestoreError> {
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let name = entry.map_err(at(directory))?.file_name();
        if name != home::LOCK && name != UNFINISHED {
            return Err(RestoreError::NotEmpty(directory.to_owned()));
        }
    }
    let mut count = 0;
    let created = open::create(directory, lock, |database| {
        count = fill(database, recordings)?;
        Ok::<_, RestoreError>(())
    });
    if created.is_err() {
        // A file that stays is replaced by the next attempt.
        let _ = fs::remove_file(directory.join(UNFINISHED));
    }
    created?;
    Ok(count)
}

fn fill(
    database: &Database,
    recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>>,
) -> Result<u64, RestoreError> {
    let mut recordings = recordings.fuse();
    let mut counts = BTreeMap::<String, u64>::new();
    let (mut total, mut epoch) = (0, 0);
    loop {
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        let mut is_last = true;
        {
            let mut table = transaction.open_table(RECORDINGS).map_err(redb::Error::from)?;
            for recording in recordings.by_ref().take(BATCH) {
                let (name, record) = recording?;
                is_last = false;
                let header = Record::read(&name, &record);
                let header =
                    header.map_err(|source| BackupError::Record { name: name.clone(), source })?;
                epoch = epoch.max(header.header().epoch);
                let stored = table.insert(&*key::of(&name), record.as_slice());
                stored.map_err(redb::Error::from)?;
                *counts.entry(tables::count_key(&name).to_owned()).or_default() += 1;
                total += 1;
            }
        }
        if is_last {
            let numbers = transaction.open_table(NUMBERS).map_err(redb::Error::from);
            // New epochs are larger than those of all recordings.
            let stored = numbers?.insert(tables::EPOCH_KEY, epoch).map(drop);
            stored.map_err(redb::Error::from)?;
            let mut table = transaction.open_table(COUNTS).map_err(redb::Error::from)?;
            for (namespace, count) in &counts {
                table.insert(namespace.as_str(), count).map_err(redb::Error::from)?;
            }
        }
        transaction.commit().map_err(redb::Error::from)?;
        if is_last {
            return Ok(total);
        }
    }
}
