//! The thread that changes the file. It carries out all waiting requests in one transaction and answers them after
//! the commit, so the cost of a commit does not depend on the number of requests.
//!
//! When the database fails it is closed and opened again, as redb requires. This also recovers from a full disk. If a
//! commit fails, the file shows by its transaction number whether the commit was carried out, so that the answer is
//! rarely "unknown".

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase as _};
use tokio::sync::{mpsc, oneshot};

use super::backend::Counters;
use super::home::Home;
use super::tables::{self, Applied, Tables};
use crate::recording::{StoreError, StoreErrorCause};

/// Maximum number of requests in a transaction. It bounds how long the first request waits for the last.
const BATCH_MAX: usize = 4_096;

/// The time that the first request waits for others, if the last transaction had several. A transaction costs two syncs and
/// a few pages of its own. With ten thousand recordings that commit once a second, this delay saves six of ten
/// syncs. A single request does not wait.
const GROUP_COMMIT_DELAY: Duration = Duration::from_millis(5);

/// The database, or `None` while it is closed. Readers hold the read lock while they read. The writer takes the write
/// lock to open or close the database.
pub(super) type SharedDatabase = RwLock<Option<Database>>;

/// The mode of opening the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenMode {
    /// The whole file is checked.
    Check,
    /// The database has failed while it was open. The checksums in memory verify what is read.
    Reopen,
}

/// Opens the database.
pub(super) type Opener = Box<dyn Fn(OpenMode) -> Result<Database, redb::Error> + Send>;

/// A write request and the caller that waits for its answer.
pub(super) trait Task: Send {
    /// Carries out the request in a transaction. Called again in a new transaction if the first one fails.
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    /// Sends the answer, after the result of the transaction is known.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

struct PendingRequest<T, F> {
    request: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Tables<'_>) -> Applied<T> + Send> Task for PendingRequest<T, F> {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.outcome = Some((self.request)(tables)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        let outcome = outcome.unwrap_or_else(|| {
            Err(StoreError::Unavailable("the store failed before it reached the request".into()))
        });
        // The caller may have dropped its future.
        let _ = reply.send(result.and(outcome));
    }
}

/// Returns a task, and the receiver of its answer.
pub(super) fn task<T: Send + 'static>(
    request: impl FnMut(&mut Tables<'_>) -> Applied<T> + Send + 'static,
) -> (Box<dyn Task>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(PendingRequest { request, outcome: None, reply }), answer)
}

pub(super) struct Writer {
    pub(super) database: Arc<SharedDatabase>,
    pub(super) opener: Opener,
    pub(super) tasks: mpsc::Receiver<Box<dyn Task>>,
    pub(super) counters: Arc<Counters>,
    /// The number of the last transaction.
    pub(super) last_transaction: u64,
    pub(super) home: Option<Arc<Home>>,
}

/// The failure of a transaction.
enum Failure {
    /// It failed before the commit: nothing was changed.
    BeforeCommit(redb::Error),
    /// It failed during the commit: the change may be in the file.
    DuringCommit(redb::Error),
}

impl Writer {
    /// Carries out requests until the store is dropped and the queue is empty.
    pub(super) fn run(mut self) {
        let mut tasks = Vec::new();
        let mut has_concurrent_writers = false;
        while self.tasks.blocking_recv_many(&mut tasks, BATCH_MAX) > 0 {
            if has_concurrent_writers {
                self.wait_for_more(&mut tasks);
            }
            has_concurrent_writers = tasks.len() > 1;
            let start = Instant::now();
            self.counters.add_batch(tasks.len());
            let result = self.attempt(&mut tasks);
            let is_split = matches!(result, Err(StoreError::Damaged(_))) && tasks.len() > 1;
            for mut task in tasks.drain(..) {
                // A damaged page fails only the requests that need it.
                let result = match is_split {
                    true => self.attempt(std::slice::from_mut(&mut task)),
                    false => result.clone(),
                };
                task.answer(result);
            }
            self.counters.add_busy(start.elapsed());
        }
        self.close();
    }

    /// Carries out requests in one transaction. Checks before and after it that a restart would open this directory.
    fn attempt(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), StoreError> {
        self.check_home().map_err(|text| StoreError::Unavailable(text.into()))?;
        // redb may panic on a damaged file.
        let result = catch_unwind(AssertUnwindSafe(|| self.carry_out(tasks)));
        let result = result.unwrap_or_else(|_| {
            self.close();
            Err(StoreError::Unknown(
                "the database library has panicked: its file may be damaged".into(),
            ))
        });
        result.and_then(|()| self.check_home().map_err(|text| StoreError::Unknown(text.into())))
    }

    fn check_home(&self) -> Result<(), String> {
        self.home.as_ref().map_or(Ok(()), |home| home.check())
    }

    fn wait_for_more(&mut self, tasks: &mut Vec<Box<dyn Task>>) {
        thread::sleep(GROUP_COMMIT_DELAY);
        while tasks.len() < BATCH_MAX
            && let Ok(task) = self.tasks.try_recv()
        {
            tasks.push(task);
        }
    }

    fn carry_out(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), StoreError> {
        let mut retries = 0;
        loop {
            self.ensure_open().map_err(failed)?;
            match self.transact(tasks) {
                Ok(()) => return Ok(()),
                // Often an earlier request, such as a read, has caused the failure.
                Err(Failure::BeforeCommit(_)) if retries == 0 => self.close(),
                Err(Failure::BeforeCommit(error)) => {
                    self.close();
                    return Err(failed(error));
                }
                Err(Failure::DuringCommit(error)) => return self.look_up(error),
            }
            retries += 1;
        }
    }

    fn transact(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let before = Failure::BeforeCommit;
        let database = database.as_ref().ok_or(before(redb::Error::DatabaseClosed))?;
        let mut transaction = database.begin_write().map_err(|error| before(error.into()))?;
        // The default durability of redb is immediate. This option makes opening after a crash fast, and commits in
        // two phases: see `look_up`.
        transaction.set_quick_repair(true);
        let recordings = {
            let mut tables = Tables::open_in(&transaction).map_err(before)?;
            for task in tasks {
                task.apply(&mut tables).map_err(before)?;
            }
            if !tables.is_changed {
                // All requests were refused, or only asked to reopen the database. Dropping the transaction aborts it.
                return Ok(());
            }
            tables.set_transaction(self.last_transaction + 1).map_err(before)?;
            tables.recording_count().map_err(before)?
        };
        match transaction.commit() {
            Ok(()) => {
                self.last_transaction += 1;
                if let Some(home) = &self.home {
                    home.note(self.last_transaction);
                }
                self.counters.transactions.fetch_add(1, Relaxed);
                self.counters.recordings.store(recordings, Relaxed);
                Ok(())
            }
            Err(error @ redb::CommitError::TransactionPoisoned) => Err(before(error.into())),
            Err(error) => Err(Failure::DuringCommit(error.into())),
        }
    }

    /// Opens the file again and checks whether it contains the last transaction.
    ///
    /// A transaction that is found is durable. redb commits in two phases: it syncs all pages, then it writes the header
    /// that points to them. The header is visible only after the first phase has succeeded. Opening the file writes the
    /// header again and syncs it.
    fn look_up(&mut self, error: redb::Error) -> Result<(), StoreError> {
        let attempted = self.last_transaction + 1;
        self.close();
        if let Err(second) = self.ensure_open() {
            let text = format!("{error}; and its file could not be opened again: {second}");
            return Err(StoreError::Unknown(StoreErrorCause::with_source(text, error)));
        }
        if self.last_transaction == attempted { Ok(()) } else { Err(failed(error)) }
    }

    fn ensure_open(&mut self) -> Result<(), redb::Error> {
        // The write lock waits for all readers, so it is taken only if the database is closed.
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut shared = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            let database = (self.opener)(OpenMode::Reopen)?;
            self.last_transaction = tables::last_transaction(&database.begin_read()?)?;
            *shared = Some(database);
        }
        Ok(())
    }

    fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        // redb may panic on a damaged file.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Returns whether an error means that the file is damaged.
pub(super) fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) => true,
        redb::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        _ => false,
    }
}

/// Returns the answer to a request after an error of the database that changed nothing.
pub(super) fn failed(error: redb::Error) -> StoreError {
    match is_damage(&error) {
        true => {
            let text = format!(
                "the database file cannot be read ({error}): stop the server, check the disk, and restore the file \
                 from a backup"
            );
            StoreError::Damaged(StoreErrorCause::with_source(text, error))
        }
        false => StoreError::Unavailable(StoreErrorCause::from_error(error)),
    }
}
