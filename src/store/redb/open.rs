//! Creates and opens the database file of a directory.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};

use super::backend::{Counted, Counters};
use super::error::{StoreOpenError, at, refusal};
use super::home::{FILE, Home, clear_note, private_file};
use super::sums::Sums;
use super::tables::{COUNTS, FORMAT, FORMAT_KEY, NUMBERS, RECORDINGS};
use super::writer::OpenMode;

/// The name of a new database file until it is complete. An interrupted start never leaves a partial database file.
pub(super) const UNFINISHED: &str = "recordings.new";
/// The size of the page cache of redb: tens of thousands of recordings.
const CACHE_BYTES: usize = 64 << 20;

/// Returns the path of the database file, which is created if it does not exist. `lock` is the lock of the directory.
pub(super) fn file(directory: &Path, lock: &File) -> Result<PathBuf, StoreOpenError> {
    let path = directory.join(FILE);
    if !path.try_exists().map_err(at(&path))? {
        create(directory, lock, |_| Ok::<_, StoreOpenError>(()))?;
    }
    Ok(path)
}

/// Creates the database file of a directory. It has its name once `fill` has stored the first recordings.
pub(super) fn create<E: From<StoreOpenError>>(
    directory: &Path,
    lock: &File,
    fill: impl FnOnce(&Database) -> Result<(), E>,
) -> Result<(), E> {
    let path = directory.join(FILE);
    let unfinished = directory.join(UNFINISHED);
    let begin = || -> Result<Database, redb::Error> {
        // The file of an interrupted start may have another mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = private_file().read(true).write(true).create_new(true).open(&unfinished)?;
        let database = Builder::new().create_with_backend(FileBackend::new(file)?)?;
        create_tables(&database)?;
        Ok(database)
    };
    let refused = |error| refusal(&path, error);
    let database = begin().map_err(refused)?;
    fill(&database)?;
    drop(database);
    let end = || -> Result<(), redb::Error> {
        clear_note(lock)?;
        fs::rename(&unfinished, &path)?;
        sync_directory(directory)?;
        Ok(())
    };
    end().map_err(refused)?;
    Ok(())
}

/// Makes the rename of a file durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Creates the tables of a new database.
pub(super) fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDINGS)?;
    transaction.open_table(COUNTS)?;
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
