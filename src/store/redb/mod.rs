//! A store in a directory of its own, on redb: what it has answered is on the disk. It knows no network
//! and no protocol; `serve --data-dir` opens one.
//!
//! ```text
//! open, commit, delete ──► a bounded queue ──► one thread, one transaction for all that wait ──► answers
//! load, list ──► a few threads next to it, which see what was last answered
//! ```
//!
//! No request blocks a thread of the runtime, and a full queue makes callers wait. `writer.rs` handles disks that
//! fail, `open.rs` opens the file, `check.rs` checks it, `sums.rs` detects damage later on, `home.rs` detects that
//! the directory was replaced, `tables.rs` defines what is in the file.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, mpsc};

use self::backend::Counters;
use self::home::Home;
use self::open::Disk;
use self::tables::{Applied, Tables};
use self::writer::{Opener, Shelf, Task, Writer, task};
use super::codec;
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, OpenRequest, Page, RecordingName, SWEEP_STEP,
    StoreError, StoreFuture, Sweep, Swept,
};

mod backend;
mod check;
#[cfg(test)]
mod disk;
mod home;
mod open;
mod sums;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use backend::StoreStats;
pub use open::StoreOpenError;

/// How many requests wait at most; about a kilobyte each.
const QUEUE: usize = 4_096;
/// How many read at once at most: enough to keep a disk busy, and few of the threads of the runtime.
const READERS: usize = 8;

/// Keeps checkpoints in a directory, for one process at a time.
///
/// Its methods are called on a tokio runtime. Dropping it waits until all that was asked for is on the
/// disk, and only then is the directory free for another.
#[derive(Debug)]
pub struct RedbStore {
    /// Always there but while it is dropped.
    tasks: Option<mpsc::Sender<Box<dyn Task>>>,
    writer: Option<JoinHandle<()>>,
    shelf: Arc<Shelf>,
    readers: Arc<Semaphore>,
    counters: Arc<Counters>,
    max_recordings: u64,
    /// Unlocked last. A store in memory has none.
    home: Option<Arc<Home>>,
}

impl RedbStore {
    /// Maximum number of recordings by default. Each takes about 1 KiB of disk, so that the file stays below about
    /// 2 GB, with the space that transactions need.
    pub const RECORDINGS_MAX: u64 = 1_000_000;

    /// Opens the store in `directory`, which is created if it does not exist, and checks all of its file. Blocks while
    /// it reads the disk: about a second for 100 000 recordings.
    ///
    /// # Errors
    /// If the directory cannot be used, or the file is damaged. Each error says what to do.
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
        let check::Checked { database, turn } = check::open(path, &opener, &counters, noted)?;
        let shelf = Arc::new(Shelf::new(Some(database)));
        let (sender, tasks) = mpsc::channel(QUEUE);
        let writer = Writer {
            shelf: Arc::clone(&shelf),
            opener,
            tasks,
            counters: Arc::clone(&counters),
            turn,
            home: home.clone(),
        };
        let writer = thread::Builder::new().name("store".into()).spawn(move || writer.run());
        let io = |source| StoreOpenError::Io { path: path.to_owned(), source };
        Ok(Self {
            tasks: Some(sender),
            writer: Some(writer.map_err(io)?),
            shelf,
            readers: Arc::new(Semaphore::new(READERS)),
            counters,
            max_recordings: Self::RECORDINGS_MAX,
            home,
        })
    }

    /// What it has done so far.
    pub fn stats(&self) -> StoreStats {
        self.counters.stats()
    }

    /// Has the writer do something, and waits for the answer.
    async fn write<T: Send + 'static>(
        &self,
        act: impl FnMut(&mut Tables<'_>) -> Applied<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped =
            || StoreError::Unavailable("its writer has stopped: restart the server".into());
        let (task, answer) = task(act);
        let tasks = self.tasks.as_ref().ok_or_else(stopped)?;
        tasks.send(task).await.map_err(|_| stopped())?;
        let lost = |_| Err(StoreError::Unknown("its writer has stopped".into()));
        answer.await.unwrap_or_else(lost)
    }

    /// Reads on a thread that may block. After a failure of the database waits until the writer has opened it
    /// again, and reads once more: often the failure is that of another request.
    async fn read<T: Send + 'static>(
        &self,
        act: impl Fn(&ReadTransaction) -> Result<T, redb::Error> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let act = Arc::new(act);
        let error = match self.read_once(Arc::clone(&act)).await? {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        // The writer opens the database again if it has failed, or says why it cannot.
        let reopened = self.write(|_| Ok(Ok(()))).await;
        if writer::is_damage(&error) {
            return Err(writer::failed(&error));
        }
        reopened?;
        self.read_once(act).await?.map_err(|error| writer::failed(&error))
    }

    async fn read_once<T: Send + 'static>(
        &self,
        act: Arc<impl Fn(&ReadTransaction) -> Result<T, redb::Error> + Send + Sync + 'static>,
    ) -> Result<Result<T, redb::Error>, StoreError> {
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit = permit.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let (shelf, home) = (Arc::clone(&self.shelf), self.home.clone());
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if let Some(home) = home {
                home.check().map_err(StoreError::Unavailable)?;
            }
            let shelf = shelf.read().unwrap_or_else(PoisonError::into_inner);
            let read = || {
                let database = shelf.as_ref().ok_or(redb::Error::DatabaseClosed)?;
                act(&database.begin_read()?)
            };
            Ok(read())
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => {
                Err(StoreError::Damaged("a page of the database file cannot be read".into()))
            }
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(writer) = self.writer.take() {
            // It catches its panics.
            let _ = writer.join();
        }
    }
}

impl CheckpointStore for RedbStore {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        let max_recordings = self.max_recordings;
        Box::pin(self.write(move |tables| tables.open(&name, &opening, max_recordings)))
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // Here and not by the writer, which has the work of all.
            let bytes = codec::encode(&name, &next)?;
            let next = (&next).into();
            self.write(move |tables| tables.commit(&name, precondition, next, &bytes)).await
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        Box::pin(async move {
            self.read(move |transaction| tables::load(transaction, &name)).await?.transpose()
        })
    }

    fn list(&self, after: Option<RecordingName>, limit: usize) -> StoreFuture<'_, Page> {
        Box::pin(self.read(move |transaction| tables::list(transaction, after.as_ref(), limit)))
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
}
