//! The database file of a directory: how a new one is begun, how it is opened, and why it is refused. Every
//! error says what to do.

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

/// The file with everything in it.
pub(super) const FILE: &str = "recordings.redb";
/// What that is called until it is whole, so that a start that was cut short leaves nothing half done.
const UNFINISHED: &str = "recordings.new";
/// Locked by the process that uses the directory; holds the number of the last transaction.
pub(super) const LOCK: &str = "lock";
/// What redb keeps of the file in memory: tens of thousands of recordings.
const CACHE_BYTES: usize = 64 << 20;

/// Why a directory cannot be used as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreOpenError {
    /// Another process, or another store of this one, has it.
    #[error("{directory} is in use by another process: stop that one, or use another directory")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A later program wrote it.
    #[error(
        "{file} has format {found} and this program knows up to {known}: use the newer program, or \
         another directory"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The latest that is known.
        known: u64,
    },
    /// The file is not as it was written.
    #[error(
        "{file} is damaged or of another program ({reason}): restore it from a backup, or move it away \
         to begin anew without the recordings in it"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The file is older than the lock file says.
    #[error(
        "{file} ends with transaction {found}, and {noted} were stored: it is an older copy, or its header is \
         damaged. Restore the latest copy; to use this one without the recordings that it lacks, delete the file \
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
    /// There is something else by that name.
    #[error("{path} is not a directory: name one, or a path at which one can be made")]
    NotADirectory {
        /// What there is.
        path: PathBuf,
    },
    /// The process may not write there.
    #[error(
        "{path} cannot be written ({source}): give this process the right to, or use another directory"
    )]
    NotWritable {
        /// What cannot.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else failed.
    #[error("{path} cannot be opened: {source}")]
    Io {
        /// What cannot.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Says of an error of the system what it means here.
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

/// The file of the directory, created if it does not exist. `lock` is the lock of the directory.
pub(super) fn file(directory: &Path, lock: &File) -> Result<PathBuf, StoreOpenError> {
    let path = directory.join(FILE);
    if path.try_exists().map_err(at(&path))? {
        return Ok(path);
    }
    let unfinished = directory.join(UNFINISHED);
    let begun = || -> Result<(), redb::Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        begin(&Builder::new().create_with_backend(FileBackend::new(file)?)?)?;
        clear_note(lock)?;
        fs::rename(&unfinished, &path)?;
        sync_directory(directory)?;
        Ok(())
    };
    begun().map_err(|error| refusal(&path, error))?;
    Ok(path)
}

/// A file that was renamed is there after a crash only once its directory was synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Puts into a new database what every one has.
pub(super) fn begin(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDINGS)?;
    transaction.open_table(NUMBERS)?.insert(FORMAT_KEY, FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// What is shared by a database and the one that replaces it after a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) counters: Arc<Counters>,
    pub(super) sums: Arc<Sums>,
}

/// Opens the file of a directory.
pub(super) fn database(
    path: &Path,
    home: Option<&Home>,
    disk: &Disk,
    mode: OpenMode,
) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // redb would begin a new database in it.
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
