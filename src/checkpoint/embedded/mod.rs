//! A store in a directory of its own, on redb: what it has answered is on the disk. It knows no network
//! and no protocol; `serve --data` opens one.
//!
//! ```text
//! open, commit, delete ──► a bounded queue ──► one thread, one transaction for all that wait ──► answers
//! load, list ──► a few threads beside it, which see what was last answered
//! ```
//!
//! Nobody who asks blocks a thread of the runtime, and a full queue makes them wait. `writer.rs` has what
//! happens when the disk fails, `open.rs` how a directory is refused, `tables.rs` what is in the file.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use redb::{Database, ReadTransaction, ReadableDatabase as _};
use tokio::sync::{Semaphore, mpsc};

use self::backend::Counters;
use self::tables::{Applied, Tables};
use self::writer::{Opener, Shelf, Task, Writer, task};
use super::{
    Checkpoint, CheckpointStore, Guard, Opening, Page, PathName, SWEEP_STEP, StoreError,
    StoreFuture, Sweep, Swept, record,
};

mod backend;
#[cfg(test)]
mod disk;
mod open;
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
pub struct EmbeddedStore {
    /// Always there but while it is dropped.
    tasks: Option<mpsc::Sender<Box<dyn Task>>>,
    writer: Option<JoinHandle<()>>,
    shelf: Arc<Shelf>,
    readers: Arc<Semaphore>,
    counters: Arc<Counters>,
    /// Freed last.
    _lock: Option<File>,
}

impl EmbeddedStore {
    /// Opens the store in `directory`, which is made if there is none. Blocks while it reads the disk.
    ///
    /// # Errors
    /// When the directory is not to be had; each of them says what to do.
    pub fn at(directory: impl AsRef<Path>) -> Result<Self, StoreOpenError> {
        let directory = directory.as_ref();
        let lock = open::occupy(directory)?;
        let path = open::file(directory)?;
        let counters = Arc::<Counters>::default();
        let opener = {
            let (path, counters) = (path.clone(), Arc::clone(&counters));
            Box::new(move || open::database(&path, &counters))
        };
        Self::start(&path, opener, counters, Some(lock))
    }

    fn start(
        path: &Path,
        opener: Opener,
        counters: Arc<Counters>,
        lock: Option<File>,
    ) -> Result<Self, StoreOpenError> {
        let io = |source| StoreOpenError::Io { path: path.to_owned(), source };
        let database = open::first(path, &opener)?;
        let turn = Self::turn(&database).map_err(|error| io(std::io::Error::other(error)))?;
        let shelf = Arc::new(Shelf::new(Some(database)));
        let (sender, tasks) = mpsc::channel(QUEUE);
        let writer = Writer {
            shelf: Arc::clone(&shelf),
            opener,
            tasks,
            counters: Arc::clone(&counters),
            turn,
        };
        let writer = thread::Builder::new().name("store".into()).spawn(move || writer.run());
        Ok(Self {
            tasks: Some(sender),
            writer: Some(writer.map_err(io)?),
            shelf,
            readers: Arc::new(Semaphore::new(READERS)),
            counters,
            _lock: lock,
        })
    }

    fn turn(database: &Database) -> Result<u64, redb::Error> {
        tables::turn(&database.begin_read()?)
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

    /// Reads on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        act: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = |message: String| StoreError::Unavailable(message);
        let permit = Arc::clone(&self.readers).acquire_owned().await;
        let permit = permit.map_err(|error| stopped(error.to_string()))?;
        let shelf = Arc::clone(&self.shelf);
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let shelf = shelf.read().unwrap_or_else(PoisonError::into_inner);
            let database = shelf.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            act(&database.begin_read()?)
        });
        match outcome.await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => {
                self.nudge();
                Err(writer::unavailable(&error))
            }
            Err(error) if error.is_panic() => {
                Err(StoreError::Damaged("the database gave up on its page".into()))
            }
            Err(error) => Err(stopped(error.to_string())),
        }
    }

    /// Has the writer see whether the file is well, and open it again if not.
    fn nudge(&self) {
        if let Some(tasks) = &self.tasks {
            // A full queue sees to it by itself.
            let _ = tasks.try_send(task(|_| Ok(Ok(()))).0);
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.tasks.take());
        if let Some(writer) = self.writer.take() {
            // It catches its panics.
            let _ = writer.join();
        }
    }
}

impl CheckpointStore for EmbeddedStore {
    fn open(&self, name: PathName, opening: Opening) -> StoreFuture<'_, Checkpoint> {
        Box::pin(self.write(move |tables| tables.open(&name, &opening)))
    }

    fn commit(&self, name: PathName, guard: Guard, next: Checkpoint) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // Here and not by the writer, which has the work of all.
            let bytes = record::encode(&name, &next)?;
            let next = (&next).into();
            self.write(move |tables| tables.commit(&name, guard, next, &bytes)).await
        })
    }

    fn load(&self, name: PathName) -> StoreFuture<'_, Option<Checkpoint>> {
        Box::pin(async move {
            self.read(move |transaction| tables::load(transaction, &name)).await?.transpose()
        })
    }

    fn list(&self, after: Option<PathName>, limit: usize) -> StoreFuture<'_, Page> {
        Box::pin(self.read(move |transaction| tables::list(transaction, after.as_ref(), limit)))
    }

    fn delete(&self, name: PathName) -> StoreFuture<'_, Option<u64>> {
        Box::pin(self.write(move |tables| tables.delete(&name)))
    }

    fn sweep(&self, sweep: Sweep, after: Option<PathName>) -> StoreFuture<'_, Swept> {
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
