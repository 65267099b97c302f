//! The one thread that changes the file. It takes all requests that are waiting into one transaction, and
//! answers them when the disk has it: however many recordings are due, they cost one commit.
//!
//! When the file fails it is closed and opened again, which is what redb asks for and what clears a disk
//! that was full. A transaction that failed in the middle of being committed is looked up in the file by
//! its number, so that the answer is nearly always yes or no, and seldom unknown.

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
use crate::recording::StoreError;

/// How many requests share a transaction at most: a bound on how long the first waits for the last.
const BATCH_MAX: usize = 4_096;

/// How long the first of many waits for the others. A transaction costs two syncs and a few pages of its
/// own, however many share it: with ten thousand recordings that commit once a second this saves six
/// syncs in ten. Somebody who asks alone does not wait.
const GATHER: Duration = Duration::from_millis(5);

/// The database while it is open. Readers hold the lock while they read, the writer while it opens anew.
pub(super) type Shelf = RwLock<Option<Database>>;

/// How a database is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenMode {
    /// All of it is checked.
    Check,
    /// It failed before, and what it reads is compared with the checksums in memory.
    Again,
}

/// Opens the database.
pub(super) type Opener = Box<dyn Fn(OpenMode) -> Result<Database, redb::Error> + Send>;

/// A request to change something, and the caller that waits for it.
pub(super) trait Task: Send {
    /// Does it inside of a transaction; again if that one fell.
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error>;
    /// Tells what became of it, once the fate of the transaction is known.
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);
}

struct Asked<T, F> {
    act: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Tables<'_>) -> Applied<T> + Send> Task for Asked<T, F> {
    fn apply(&mut self, tables: &mut Tables<'_>) -> Result<(), redb::Error> {
        self.outcome = Some((self.act)(tables)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        let outcome = outcome.unwrap_or_else(|| {
            Err(StoreError::Unavailable("it was not reached before the store failed".into()))
        });
        // Nobody may be waiting any more.
        let _ = reply.send(fate.and(outcome));
    }
}

/// A request and the end at which its answer comes out.
pub(super) fn task<T: Send + 'static>(
    act: impl FnMut(&mut Tables<'_>) -> Applied<T> + Send + 'static,
) -> (Box<dyn Task>, oneshot::Receiver<Result<T, StoreError>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Asked { act, outcome: None, reply }), answer)
}

pub(super) struct Writer {
    pub(super) shelf: Arc<Shelf>,
    pub(super) opener: Opener,
    pub(super) tasks: mpsc::Receiver<Box<dyn Task>>,
    pub(super) counters: Arc<Counters>,
    /// The number of the last transaction.
    pub(super) turn: u64,
    pub(super) home: Option<Arc<Home>>,
}

/// How a transaction failed.
enum Failure {
    /// Before it was committed: it was surely not done.
    Before(redb::Error),
    /// While it was committed: it may have been.
    InDoubt(redb::Error),
}

impl Writer {
    /// Works until no store can ask any more, and all that was asked is done.
    pub(super) fn run(mut self) {
        let mut tasks = Vec::new();
        let mut is_crowded = false;
        while self.tasks.blocking_recv_many(&mut tasks, BATCH_MAX) > 0 {
            if is_crowded {
                self.gather(&mut tasks);
            }
            is_crowded = tasks.len() > 1;
            let begun = Instant::now();
            self.counters.requests.fetch_add(tasks.len() as u64, Relaxed);
            let outcome = self.attempt(&mut tasks);
            let is_split = matches!(outcome, Err(StoreError::Damaged(_))) && tasks.len() > 1;
            for mut task in tasks.drain(..) {
                // A damaged page fails the requests that need it, and no others.
                let outcome = match is_split {
                    true => self.attempt(std::slice::from_mut(&mut task)),
                    false => outcome.clone(),
                };
                task.answer(outcome);
            }
            self.counters.took(begun.elapsed());
        }
        self.discard();
    }

    /// Carries out requests in one transaction, in the directory that a restart would open.
    fn attempt(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), StoreError> {
        self.check_home().map_err(StoreError::Unavailable)?;
        // redb may panic on a damaged file.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(tasks)));
        let outcome = outcome.unwrap_or_else(|_| {
            self.discard();
            Err(StoreError::Unknown(
                "the database library has panicked: its file may be damaged".into(),
            ))
        });
        outcome.and_then(|()| self.check_home().map_err(StoreError::Unknown))
    }

    fn check_home(&self) -> Result<(), String> {
        self.home.as_ref().map_or(Ok(()), |home| home.check())
    }

    fn gather(&mut self, tasks: &mut Vec<Box<dyn Task>>) {
        // The last transaction was shared, so this one will be.
        thread::sleep(GATHER);
        while tasks.len() < BATCH_MAX
            && let Ok(task) = self.tasks.try_recv()
        {
            tasks.push(task);
        }
    }

    fn carry_out(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            self.ensure_open().map_err(|error| failed(&error))?;
            match self.transact(tasks) {
                Ok(()) => return Ok(()),
                // Often the failure of another before, such as that of a reader.
                Err(Failure::Before(_)) if tries == 0 => self.discard(),
                Err(Failure::Before(error)) => {
                    self.discard();
                    return Err(failed(&error));
                }
                Err(Failure::InDoubt(error)) => return self.look_up(&error),
            }
            tries += 1;
        }
    }

    fn transact(&mut self, tasks: &mut [Box<dyn Task>]) -> Result<(), Failure> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*shelf else {
            return Err(Failure::Before(redb::Error::DatabaseClosed));
        };
        let before = |error: redb::Error| Failure::Before(error);
        let mut transaction = database.begin_write().map_err(|error| before(error.into()))?;
        // Durable at once is the default of redb. This lets the file be opened in no time after a crash,
        // and writes in two phases: see `look_up`.
        transaction.set_quick_repair(true);
        {
            let mut tables = Tables::of(&transaction).map_err(before)?;
            for task in tasks {
                task.apply(&mut tables).map_err(before)?;
            }
            if !tables.is_changed {
                // All were refused, or nudges: nothing to write, and dropping aborts.
                return Ok(());
            }
            tables.mark(self.turn + 1).map_err(before)?;
        }
        match transaction.commit() {
            Ok(()) => {
                self.turn += 1;
                if let Some(home) = &self.home {
                    home.note(self.turn);
                }
                self.counters.transactions.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(error @ redb::CommitError::TransactionPoisoned) => Err(before(error.into())),
            Err(error) => Err(Failure::InDoubt(error.into())),
        }
    }

    /// Opens the file again and sees whether the last transaction is in it.
    ///
    /// One that is there is durable. In the first of its two phases redb syncs all pages, in the second
    /// it writes the header that points to them; a header is seen only after the first has succeeded, and
    /// opening the file writes the header anew and syncs it.
    fn look_up(&mut self, error: &redb::Error) -> Result<(), StoreError> {
        let attempted = self.turn + 1;
        self.discard();
        if let Err(second) = self.ensure_open() {
            let message = format!("{error}; and its file could not be opened again: {second}");
            return Err(StoreError::Unknown(message));
        }
        if self.turn == attempted { Ok(()) } else { Err(failed(error)) }
    }

    fn ensure_open(&mut self) -> Result<(), redb::Error> {
        // Readers are under way nearly always, and the lock that waits for them is seldom needed.
        if self.shelf.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if shelf.is_none() {
            let database = (self.opener)(OpenMode::Again)?;
            self.turn = tables::turn(&database.begin_read()?)?;
            *shelf = Some(database);
        }
        Ok(())
    }

    fn discard(&self) {
        let database = self.shelf.write().unwrap_or_else(PoisonError::into_inner).take();
        // A panic while it is closed is no worse than one before.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Whether an error means that the file is damaged.
pub(super) fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) => true,
        redb::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        _ => false,
    }
}

/// The answer to a request after an error of the database that changed nothing.
pub(super) fn failed(error: &redb::Error) -> StoreError {
    match is_damage(error) {
        true => StoreError::Damaged(format!(
            "the database file cannot be read ({error}): stop the server, check the disk, and restore the file \
             from a backup"
        )),
        false => StoreError::Unavailable(error.to_string()),
    }
}
