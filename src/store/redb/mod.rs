//! A store in a directory of its own, on redb. It answers a write after the change is on the disk.
//! `serve --data-dir` uses it. Types of redb stay inside this folder.
//!
//! ```text
//! open, commit, delete ──► bounded queue ──► one thread: one transaction for all waiting requests ──► answers
//! load, list, export ──► up to eight blocking threads, which read what was committed last
//! ```
//!
//! No request blocks a thread of the runtime. A full queue makes callers wait.
//!
//! | file | content |
//! |---|---|
//! | `writer.rs` | transactions, and what happens when the disk fails |
//! | `tables.rs` | the tables of the file |
//! | `open.rs` | opens the file |
//! | `check.rs` | checks the whole file at the start |
//! | `restore.rs` | fills a new directory with the recordings of a backup |
//! | `sums.rs`, `backend.rs` | detect damage later |
//! | `home.rs` | locks the directory, and detects that it was replaced |

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, mpsc};

use self::backend::Counters;
use self::home::Home;
use self::open::Disk;
use self::tables::{Applied, Tables};
use self::writer::{Opener, SharedDatabase, Task, Writer, task};
use super::backup::BackupError;
use super::{StoreCheck, codec};
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ExportQuery, Exported, ListQuery, OpenRequest,
    Page, RecordingName, SWEEP_STEP, StoreError, StoreErrorCause, StoreFuture, Sweep, Swept,
};

mod backend;
mod check;
#[cfg(test)]
mod disk;
mod error;
mod home;
mod open;
mod restore;
mod sums;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use backend::StoreStats;
pub use error::StoreOpenError;
pub use restore::RestoreError;

/// Maximum number of waiting requests. Each takes about 1 KiB.
const QUEUE: usize = 4_096;
/// Maximum number of concurrent reads: enough to keep a disk busy, and few of the threads of the runtime.
const READERS: usize = 8;

/// Keeps checkpoints in a directory, for one process at a time.
///
/// Call its methods on a tokio runtime. Dropping it waits until all requests are carried out. The directory is then
/// free for another store.
#[derive(Debug)]
pub struct RedbStore {
    /// `None` only while the store is dropped.
    tasks: Option<mpsc::Sender<Box<dyn Task>>>,
    writer: Option<JoinHandle<()>>,
    database: Arc<SharedDatabase>,
    readers: Arc<Semaphore>,
    counters: Arc<Counters>,
    max_recordings: u64,
    checked: StoreCheck,
    /// Dropped last, which unlocks the directory. `None` in tests that use memory instead of a file.
    home: Option<Arc<Home>>,
}

impl RedbStore {
    /// Maximum number of recordings by default. Most take about 1 KiB of disk, so that the file stays below about
    /// 2 GB, with the space that transactions need.
    pub const RECORDINGS_MAX: u64 = 1_000_000;

    /// Opens the store in `directory`, which is created if it does not exist, and checks all of its file. Blocks while
    /// it reads the disk: about a second for 100 000 recordings.
    ///
    /// # Errors
    /// If the directory cannot be used, or the file is damaged.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreOpenError> {
        let directory = directory.as_ref();
        let lock = home::lock(directory)?;
        let path = open::file(directory, &lock)?;
        let home = Arc::new(Home::new(directory, lock)?);
        let disk = Disk::default();
        let opener = {
            let (path, home, disk) = (path.clone(), Arc::clone(&home), disk.clone());
            Box::new(move |mode| open::database(&path, Some(&home), &disk, mode))
        };
        Self::start(&path, opener, disk.counters, Some(home))
    }

    /// Returns whether `directory` has a store.
    pub fn is_in(directory: impl AsRef<Path>) -> bool {
        directory.as_ref().join(home::FILE).exists()
    }

    /// Stores the recordings of a backup in `directory`, which must be empty or new. Returns their number. Until all
    /// of them are durable, the directory has no store.
    ///
    /// # Errors
    /// If the directory cannot be used, or a recording is an error. The directory has no store then.
    pub fn restore(
        directory: impl AsRef<Path>,
        recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>>,
    ) -> Result<u64, RestoreError> {
        restore::restore(directory.as_ref(), recordings)
    }

    /// Returns what the check of the file has found when the store was opened.
    pub fn checked(&self) -> &StoreCheck {
        &self.checked
    }

    /// Sets the maximum number of recordings; one more is [`StoreError::Full`].
    #[must_use]
    pub fn with_max_recordings(mut self, max_recordings: u64) -> Self {
        self.max_recordings = max_recordings;
        self
    }

    fn start(
        path: &Path,
        opener: Opener,
        counters: Arc<Counters>,
        home: Option<Arc<Home>>,
    ) -> Result<Self, StoreOpenError> {
        let noted = home.as_ref().and_then(|home| home.noted());
        let checked = check::open(path, &opener, &counters, noted)?;
        let database = Arc::new(SharedDatabase::new(Some(checked.database)));
        let (sender, tasks) = mpsc::channel(QUEUE);
        let writer = Writer {
            database: Arc::clone(&database),
            opener,
            tasks,
            counters: Arc::clone(&counters),
            last_transaction: checked.last_transaction,
            home: home.clone(),
        };
        let writer = thread::Builder::new().name("store".into()).spawn(move || writer.run());
        let io = |source| StoreOpenError::Io { path: path.to_owned(), source };
        Ok(Self {
            tasks: Some(sender),
            writer: Some(writer.map_err(io)?),
            database,
            readers: Arc::new(Semaphore::new(READERS)),
            counters,
            max_recordings: Self::RECORDINGS_MAX,
            checked: checked.content,
            home,
        })
    }

    /// Returns what the store has done since it was opened.
    pub fn stats(&self) -> StoreStats {
        self.counters.stats()
    }

    /// Sends a request to the writer thread and waits for the answer.
    async fn write<T: Send + 'static>(
        &self,
        request: impl FnMut(&mut Tables<'_>) -> Applied<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped =
            || StoreError::Unavailable("its writer thread has stopped: restart the server".into());
        let (task, answer) = task(request);
        let tasks = self.tasks.as_ref().ok_or_else(stopped)?;
        tasks.send(task).await.map_err(|_| stopped())?;
        let lost = |_| Err(StoreError::Unknown("its writer thread has stopped".into()));
        answer.await.unwrap_or_else(lost)
    }

    /// Makes the writer thread open the database again if it has failed.
    async fn request_reopen(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(Ok(()))).await
    }

    /// Reads on a blocking thread. After a failure of the database, waits until the writer has opened it again, and
    /// tries once more: often another request has caused the failure.
    async fn read<T: Send + 'static>(
        &self,
        request: impl Fn(&ReadTransaction) -> Result<T, redb::Error> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let request = Arc::new(request);
        let error = match self.read_once(Arc::clone(&request)).await? {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        let reopened = self.request_reopen().await;
        if writer::is_damage(&error) {
            return Err(writer::failed(error));
        }
        reopened?;
        self.read_once(request).await?.map_err(writer::failed)
    }

    async fn read_once<T: Send + 'static>(
        &self,
        request: Arc<impl Fn(&ReadTransaction) -> Result<T, redb::Error> + Send + Sync + 'static>,
    ) -> Result<Result<T, redb::Error>, StoreError> {
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit =
            permit.map_err(|error| StoreError::Unavailable(StoreErrorCause::from_error(error)))?;
        let (database, home) = (Arc::clone(&self.database), self.home.clone());
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if let Some(home) = home {
                home.check().map_err(|text| StoreError::Unavailable(text.into()))?;
            }
            let database = database.read().unwrap_or_else(PoisonError::into_inner);
            let read = || {
                let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
                request(&database.begin_read()?)
            };
            Ok(read())
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => {
                let text = "a page of the database file cannot be read";
                Err(StoreError::Damaged(StoreErrorCause::with_source(text, error)))
            }
            Err(error) => Err(StoreError::Unavailable(StoreErrorCause::from_error(error))),
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(writer) = self.writer.take() {
            // The thread catches its panics.
            let _ = writer.join();
        }
    }
}

impl CheckpointStore for RedbStore {
    fn open(&self, name: RecordingName, request: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        let max_recordings = self.max_recordings;
        Box::pin(async move {
            let id = name.clone();
            let record = self.write(move |tables| tables.open(&id, &request, max_recordings));
            Ok(codec::decode(&name, &record.await?)?)
        })
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // Encoded here and not on the writer thread, which serves all recordings.
            let bytes = codec::encode(&name, &next);
            let next = (&next).into();
            self.write(move |tables| tables.commit(&name, precondition, next, &bytes)).await
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        Box::pin(async move {
            self.read(move |transaction| tables::load(transaction, &name)).await?.transpose()
        })
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        Box::pin(self.read(move |transaction| tables::list(transaction, &query, limit)))
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.write(move |tables| tables.delete(&name)))
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        Box::pin(async move {
            let selects = sweep.clone();
            let step = self.read(move |transaction| {
                tables::select(transaction, after.as_ref(), SWEEP_STEP, &selects)
            });
            let (selected, next) = step.await?;
            if selected.is_empty() {
                return Ok(Swept { removed: Vec::new(), next });
            }
            let removed = self.write(move |tables| tables.remove_selected(&selected, &sweep));
            Ok(Swept { removed: removed.await?, next })
        })
    }

    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        Box::pin(self.read(move |transaction| tables::export(transaction, &query)))
    }
}
