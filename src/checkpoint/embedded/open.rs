//! The directory of a store: who may have it, whether what is in it can be read, how a new one is begun.
//! Every refusal says what to do. Nothing here is called while the store works, but opening the file again
//! after it failed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, StorageBackend, TableError};

use super::backend::{Counted, Counters};
use super::tables::{FORMAT, FORMAT_KEY, NUMBERS, RECORDINGS};

/// The file with everything in it.
const FILE: &str = "recordings.redb";
/// What that is called until it is whole, so that a start that was cut short leaves nothing half done.
const UNFINISHED: &str = "recordings.new";
/// Held by the process that has the directory; empty.
const LOCK: &str = "lock";
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
fn at(path: &Path) -> impl Fn(io::Error) -> StoreOpenError {
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

/// Makes the directory if there is none, and takes it for as long as the file lives that this gives.
pub(super) fn occupy(directory: &Path) -> Result<File, StoreOpenError> {
    fs::create_dir_all(directory).map_err(at(directory))?;
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    let lock = options.create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(StoreOpenError::InUse { directory: directory.to_owned() })
        }
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

/// The file of the directory, begun if there is none. The directory has to be occupied.
pub(super) fn file(directory: &Path) -> Result<PathBuf, StoreOpenError> {
    let path = directory.join(FILE);
    if path.try_exists().map_err(at(&path))? {
        return Ok(path);
    }
    let unfinished = directory.join(UNFINISHED);
    let begun = || -> Result<(), redb::Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        begin(&Builder::new().create_with_backend(FileBackend::new(file)?)?)?;
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

/// Opens a file that is there.
pub(super) fn database(path: &Path, counters: &Arc<Counters>) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // redb would begin a new database in it.
    if file.metadata()?.len() == 0 {
        return Err(redb::Error::Corrupted("it is empty".into()));
    }
    with_backend(FileBackend::new(file)?, counters)
}

pub(super) fn with_backend(
    inner: impl StorageBackend,
    counters: &Arc<Counters>,
) -> Result<Database, redb::Error> {
    let backend = Counted { inner, counters: Arc::clone(counters) };
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend)?)
}

/// Opens by `opener` for the first time, and sees whether what is there is ours.
pub(super) fn first(
    path: &Path,
    opener: &dyn Fn() -> Result<Database, redb::Error>,
) -> Result<Database, StoreOpenError> {
    // redb may panic on a file that was tampered with.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = opener()?;
        let format = match database.begin_read()?.open_table(NUMBERS) {
            Ok(numbers) => numbers.get(FORMAT_KEY)?.map_or(0, |format| format.value()),
            Err(TableError::Storage(error)) => return Err(error.into()),
            Err(_) => 0,
        };
        Ok::<_, redb::Error>((database, format))
    }));
    let gave_up = |_| Err(redb::Error::Corrupted("the database gave up on it".into()));
    let (database, found) = opened.unwrap_or_else(gave_up).map_err(|error| refusal(path, error))?;
    let file = path.to_owned();
    match found {
        FORMAT => Ok(database),
        0 => Err(StoreOpenError::Damaged { file, reason: "it has no format".into() }),
        _ => Err(StoreOpenError::Newer { file, found, known: FORMAT }),
    }
}

fn refusal(path: &Path, error: redb::Error) -> StoreOpenError {
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
