//! The directory of an open store: its lock, and the check that a restart would open the same files.
//!
//! The lock file also contains the number of the last transaction. It is written after each commit, without a sync
//! of its own, so it is never ahead of the database. A database with a smaller number is an older copy.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::error::{StoreOpenError, at};

/// The database file.
pub(super) const FILE: &str = "recordings.redb";
/// The lock file. The process that uses the directory locks it. It contains the number of the last transaction.
pub(super) const LOCK: &str = "lock";

/// The size of the content of the lock file: `wayw`, the number of the transaction, and a CRC-32 of both.
const NOTE_BYTES: usize = 16;
const MAGIC: [u8; 4] = *b"wayw";

/// The device and the number of a file.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Other systems refuse to remove an open file. Only its existence is checked there.
#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Identity {}

/// The directory of a store. It is locked for this process until this value is dropped.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    lock: DirectoryLock,
    lock_identity: Identity,
    file_identity: Identity,
    /// Whether the last check failed.
    is_replaced: AtomicBool,
}

/// The locked file of a directory. Dropping it unlocks the directory.
#[derive(Debug)]
pub(super) struct DirectoryLock(File);

impl Deref for DirectoryLock {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file alone does not unlock it while a child process that is about to call exec has a copy of its
        // descriptor.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "a data directory was not unlocked before its lock file was closed");
        }
    }
}

/// Maximum number of lock files that are opened, while other processes remove them.
const LOCK_ATTEMPTS: u32 = 16;

/// Creates the directory if it does not exist, and locks it until the returned lock is dropped. Only the user of the
/// process can use a new directory. An existing one keeps its mode.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, StoreOpenError> {
    lock_with(directory, || ())
}

/// Locks a directory, and calls a function between opening and locking each file.
fn lock_with(directory: &Path, mut opened: impl FnMut()) -> Result<DirectoryLock, StoreOpenError> {
    let path = directory.join(LOCK);
    let in_use = || StoreOpenError::InUse { directory: directory.to_owned() };
    for _ in 0..LOCK_ATTEMPTS {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(directory).map_err(at(directory))?;
        let mut options = private_file();
        let options = options.create(true).truncate(false).read(true).write(true);
        let lock = options.open(&path).map_err(at(&path))?;
        opened();
        match lock.try_lock() {
            Ok(()) => {
                let lock = DirectoryLock(lock);
                // A restore that has failed removes its lock file. A lock on a removed file excludes no other process.
                if is_at(&lock, &path).map_err(at(&path))? {
                    return Ok(lock);
                }
            }
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
    }
    Err(in_use())
}

/// Returns whether a path leads to an open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(identity(&found) == identity(&file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns options that give a new file a mode for its owner only.
pub(super) fn private_file() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Clears the number of the last transaction, for a new database.
pub(super) fn clear_note(lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.sync_all()
}

impl Home {
    /// Remembers the identities of the lock and of the database file in `directory`.
    pub(super) fn new(directory: &Path, lock: DirectoryLock) -> Result<Self, StoreOpenError> {
        let file = directory.join(FILE);
        let file_identity = identity(&fs::metadata(&file).map_err(at(&file))?);
        let lock_identity = identity(&lock.metadata().map_err(at(&directory.join(LOCK)))?);
        let directory = directory.to_owned();
        let is_replaced = AtomicBool::new(false);
        Ok(Self { directory, lock, lock_identity, file_identity, is_replaced })
    }

    /// Checks that the paths still lead to the files that are open. Takes two system calls.
    ///
    /// # Errors
    /// A message for users if they do not. It is also logged once.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_same = |name: &str, expected: Identity| {
            fs::metadata(self.directory.join(name)).is_ok_and(|found| identity(&found) == expected)
        };
        if is_same(LOCK, self.lock_identity) && is_same(FILE, self.file_identity) {
            if self.is_replaced.swap(false, Relaxed) {
                tracing::info!(directory = %self.directory.display(), "the data directory is in its place again");
            }
            return Ok(());
        }
        let text = format!(
            "{} was deleted, moved or replaced while the server runs, so that a restart would not find \
             what is stored now: put it back, or restart the server",
            self.directory.display()
        );
        if !self.is_replaced.swap(true, Relaxed) {
            tracing::error!("{text}");
        }
        Err(text)
    }

    /// Checks that an open file is the database of this directory.
    pub(super) fn check_file(&self, file: &File) -> io::Result<()> {
        match identity(&file.metadata()?) == self.file_identity {
            true => Ok(()),
            false => Err(io::Error::other("it was replaced by another file: restart the server")),
        }
    }

    /// Writes the number of the last transaction to the lock file.
    pub(super) fn note(&self, transaction: u64) {
        if let Err(error) = write_at_start(&self.lock, &note(transaction)) {
            tracing::debug!(%error, "the number of the last transaction was not written to the lock file");
        }
    }

    /// Returns the number of the last transaction in the lock file, if there is one.
    pub(super) fn noted(&self) -> Option<u64> {
        let mut bytes = [0; NOTE_BYTES];
        read_at_start(&self.lock, &mut bytes).ok()?;
        let transaction = u64::from_le_bytes(bytes[4..12].try_into().ok()?);
        (bytes == note(transaction)).then_some(transaction)
    }
}

fn note(transaction: u64) -> [u8; NOTE_BYTES] {
    let mut bytes = [0; NOTE_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..12].copy_from_slice(&transaction.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(unix)]
fn read_at_start(file: &File, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek as _, Write as _};
    file.rewind()?;
    file.write_all(bytes)
}

#[cfg(not(unix))]
fn read_at_start(mut file: &File, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.rewind()?;
    file.read_exact(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let lock = super::lock(folder.path()).unwrap();
        // As in a child process between fork and exec.
        let copy = lock.try_clone().unwrap();
        assert!(super::lock(folder.path()).is_err());
        drop(lock);
        assert!(super::lock(folder.path()).is_ok());
        drop(copy);
    }

    #[test]
    fn a_removed_lock_file_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("new");
        let remove = || {
            fs::remove_file(directory.join(LOCK)).unwrap();
            fs::remove_dir(&directory).unwrap();
        };
        // Another process removes the first two files that this one opens, and its directory.
        let mut opened = 0;
        let lock = lock_with(&directory, || {
            opened += 1;
            if opened <= 2 {
                remove();
            }
        });
        assert_eq!(opened, 3);
        assert!(is_at(lock.as_ref().unwrap(), &directory.join(LOCK)).unwrap());
        let is_in_use = |result| matches!(result, Err(StoreOpenError::InUse { .. }));
        assert!(is_in_use(super::lock(&directory)), "the lock excludes others");
        drop(lock);
        // It removes each file.
        let mut opened = 0;
        let lock = lock_with(&directory, || {
            opened += 1;
            remove();
        });
        assert!(is_in_use(lock));
        assert_eq!(opened, LOCK_ATTEMPTS);
    }
}
