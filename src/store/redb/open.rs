//! Creates and opens the database file of a directory. Every error says what to do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};

use super::backend::{Counted, Counters};
use super::home::{Home, clear_note};
use super::sums::Sums;
use super::tables::{FORMAT, FORMAT_KEY, NUMBERS, RECORDINGS};
use super::writer::OpenMode;

/// The database file.
pub(super) const FILE: &str = "recordings.redb";
/// The name of a new database file until it is complete. An interrupted start never leaves a partial database file.
const UNFINISHED: &str = "recordings.new";
/// The lock file. The process that uses the directory locks it. It contains the number of the last transaction.
pub(super) const LOCK: &str = "lock";
/// The size of the page cache of redb: tens of thousands of recordings.
const CACHE_BYTES: usize = 64 << 20;

/// Why a directory cannot be used as a store.
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
        /// What was found.
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

/// Returns the path of the database file, which is created if it does not exist. `lock` is the lock of the directory.
pub(super) fn file(directory: &Path, lock: &File) -> Result<PathBuf, StoreOpenError> {
    let path = directory.join(FILE);
    if path.try_exists().map_err(at(&path))? {
        return Ok(path);
    }
    let unfinished = directory.join(UNFINISHED);
    let create = || -> Result<(), redb::Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        create_tables(&Builder::new().create_with_backend(FileBackend::new(file)?)?)?;
        clear_note(lock)?;
        fs::rename(&unfinished, &path)?;
        sync_directory(directory)?;
        Ok(())
    };
    create().map_err(|error| refusal(&path, error))?;
    Ok(path)
}

/// Makes the rename of a file durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Creates the tables of a new database.
pub(super) fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDINGS)?;
    transaction.open_table(NUMBERS)?.insert(FORMAT_KEY, FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// The state that stays when a database is opened again after a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) counters: Arc<Counters>,
    pub(super) sums: Arc<Sums>,
}

/// Opens the database file at `path`.
pub(super) fn database(
    path: &Path,
    home: Option<&Home>,
    disk: &Disk,
    mode: OpenMode,
) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // redb would create a new database in an empty file.
    if file.metadata()?.len() == 0 {
        return Err(redb::Error::Corrupted("it is empty".into()));
    }
    if let Some(home) = home {
        home.check_file(&file)?;
    }
    with_backend(FileBackend::new(file)?, disk, mode)
}

pub(super) fn with_backend(
    inner: impl StorageBackend,
    disk: &Disk,
    mode: OpenMode,
) -> Result<Database, redb::Error> {
    let Disk { counters, sums } = disk.clone();
    let backend = Counted { inner, counters, sums };
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(mode == OpenMode::Check);
    Ok(builder.create_with_backend(backend)?)
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
