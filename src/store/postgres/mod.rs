//! A store in a PostgreSQL database, which several servers use at the same time. Any of them takes over any recording.
//! Types of the client library stay inside this folder.
//!
//! ```text
//! open, commit, delete, sweep ──► bounded queue ──► batches on the writing connection ──► answers
//! load, list, export, changes ──► bounded queue ──► batches on the reading connection ──► answers
//! ```
//!
//! The rules that keep points exact:
//! - a commit is conditional on the epoch and the number of points that are stored, and the decision is taken while the
//!   row is locked (`commits.rs`);
//! - an epoch is never assigned twice, not even after a failover that lost the last transactions (`schema.rs`);
//! - what a server reports as durable is on the synchronous standbys, also if it only reads it (`link.rs`);
//! - a write without a certain result is [`StoreError::Unknown`], and the recording is loaded under a lock afterwards
//!   (`failure.rs`, `reader.rs`).
//!
//! | file | content |
//! |---|---|
//! | `settings` | the URL of the database |
//! | `connect.rs`, `hosts.rs`, `tls.rs`, `channel_binding.rs` | open a connection and check the server |
//! | `conditions.rs`, `condition_checks.rs` | the settings and the clock of the database |
//! | `schema.rs` | the tables, and their upgrade |
//! | `link.rs` | one connection, and its transactions |
//! | `session.rs` | a connection that is opened again |
//! | `ticket.rs`, `worker.rs` | the queue and the task of a connection |
//! | `writer.rs`, `request.rs` | the batches of the writing connection |
//! | `commits.rs`, `openings.rs`, `space.rs`, `removals.rs` | their statements |
//! | `reader.rs`, `pages.rs`, `scan.rs`, `changes.rs` | what the reading connection does |
//! | `restore.rs` | fills an empty database |
//! | `row.rs` | the columns of a row |
//! | `splitting.rs` | the limits of a batch that is split |
//! | `failure.rs`, `error.rs`, `stats.rs`, `unproven.rs` | errors, counters, and recordings with an unknown result |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use self::connect::{Opened, Purpose};
use self::failure::Refusal;
use self::reader::{Read, Reader, Stored};
use self::request::{Commit, Deletion, Expiry, Opening, Removal, Write};
use self::row::Shown;
use self::session::{Route, Session};
use self::space::Space;
use self::stats::{Counters, Health, Role};
use self::ticket::{Effect, Queue};
use self::unproven::Unproven;
use self::writer::Writer;
use super::StoreCheck;
use super::backup::BackupError;
use super::codec::columns;
use crate::measure::PathAccumulator;
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ExportQuery, Exported, ListQuery, OpenRequest,
    Page, RecordingName, SWEEP_STEP, StoreError, StoreEvents, StoreFuture, Sweep, Swept,
    WatchedRecordings,
};

mod changes;
mod channel_binding;
mod commits;
mod condition_checks;
mod conditions;
mod connect;
mod error;
mod failure;
mod hosts;
mod link;
mod openings;
mod pages;
mod reader;
mod removals;
mod request;
mod restore;
mod row;
mod scan;
mod schema;
mod session;
mod settings;
mod space;
mod splitting;
mod stats;
mod ticket;
mod tls;
mod unproven;
mod worker;
mod writer;

pub use error::PostgresOpenError;
pub use restore::PostgresRestoreError;
pub use schema::Migration;
pub use settings::{PostgresSettings, PostgresSettingsError};
pub use stats::{PostgresStats, PostgresStatus};

/// The time limit of an upgrade of the schema.
const MIGRATION: Duration = Duration::from_secs(600);

/// Keeps checkpoints in a PostgreSQL database, for any number of servers.
///
/// Create the tables once with [`PostgresStore::migrate`]. The store has two connections. When it is dropped, requests
/// that wait are still carried out. It works through PgBouncer, also in the mode `transaction`.
///
/// ```no_run
/// use waywiser::store::{PostgresSettings, PostgresStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let settings = PostgresSettings::parse("postgres://waywiser@localhost/waywiser")?;
/// PostgresStore::migrate(&settings).await?;
/// let store = PostgresStore::connect(settings).await?;
/// assert!(store.status().connected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostgresStore {
    settings: PostgresSettings,
    writer: Queue<Write>,
    reader: Arc<Queue<Read>>,
    counters: Arc<Counters>,
    health: Arc<Health>,
    unproven: Arc<Unproven>,
}

impl PostgresStore {
    /// Starts the store. It connects in the background, and again whenever a connection is lost. While that does not
    /// succeed, all requests are [`StoreError::Unavailable`] with the reason.
    ///
    /// # Panics
    /// If it is not called on a tokio runtime.
    pub fn start(settings: PostgresSettings) -> Self {
        Self::with(settings, None, None)
    }

    /// Starts the store, and returns it when the database can be used.
    ///
    /// # Errors
    /// The error of the first attempt to connect.
    pub async fn connect(settings: PostgresSettings) -> Result<Self, PostgresOpenError> {
        let writer = connect::open(&settings, 0, Purpose::Store).await?;
        let reader = connect::open(&settings, writer.host, Purpose::Store).await?;
        Ok(Self::with(settings, Some(writer), Some(reader)))
    }

    fn with(settings: PostgresSettings, writer: Option<Opened>, reader: Option<Opened>) -> Self {
        let (counters, health) = (Arc::<Counters>::default(), Arc::<Health>::default());
        let unproven = Arc::<Unproven>::default();
        let route = Arc::new(watch::Sender::new(Route::default()));
        let session = |role, opened| {
            let (counters, health) = (Arc::clone(&counters), Arc::clone(&health));
            Session::new(settings.clone(), role, counters, health, Arc::clone(&route), opened)
        };
        let (writes, requests) = Queue::new(Effect::Write);
        let work = Writer {
            space: Space::new(settings.max_recordings),
            counters: Arc::clone(&counters),
            unproven: Arc::clone(&unproven),
        };
        tokio::spawn(worker::work(work, session(Role::Writer, writer), requests));
        let (reads, requests) = Queue::new(Effect::Read);
        let work = Reader { counters: Arc::clone(&counters), unproven: Arc::clone(&unproven) };
        tokio::spawn(worker::work(work, session(Role::Reader, reader), requests));
        let reader = Arc::new(reads);
        tokio::spawn(condition_checks::run(
            Arc::downgrade(&reader),
            Arc::downgrade(&health),
            route,
        ));
        Self { settings, writer: writes, reader, counters, health, unproven }
    }

    /// Creates the tables, or upgrades them, under a lock.
    ///
    /// # Errors
    /// If the database cannot be used, or if a newer program has upgraded it.
    pub async fn migrate(settings: &PostgresSettings) -> Result<Migration, PostgresOpenError> {
        let opened = connect::open(settings, 0, Purpose::Migration).await?;
        let migration = timeout(MIGRATION, schema::migrate(&opened.link)).await;
        migration.unwrap_or_else(|_| {
            let late = "the upgrade takes too long";
            opened.link.give_up(late);
            Err(PostgresOpenError::Unavailable(late.to_owned()))
        })
    }

    /// Returns the state of the connections.
    pub fn status(&self) -> PostgresStatus {
        self.health.status()
    }

    /// Returns what the store has done since it was started.
    pub fn stats(&self) -> PostgresStats {
        self.counters.stats()
    }

    /// Reads every recording and verifies it. Recordings that are changed meanwhile are verified before or after the
    /// change.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn check(&self) -> Result<StoreCheck, StoreError> {
        pages::check(&self.reader).await
    }

    /// Stores the recordings of a backup, or those that another store exports, in an empty database. Returns their
    /// number. Either all of them are stored or none. Other servers of this database wait meanwhile. The iterator may
    /// block. If the answer to the commit is lost, the store finds out whether it was carried out.
    ///
    /// # Errors
    /// If a recording is an error, if the database has recordings, or if it fails.
    pub async fn restore(
        &self,
        recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> + Send,
    ) -> Result<u64, PostgresRestoreError> {
        restore::restore(&self.settings, recordings).await
    }

    /// Remembers that the result of a request is unknown, also if the store has not noticed it.
    fn note<T>(
        &self,
        name: &RecordingName,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if matches!(result, Err(StoreError::Unknown(_))) {
            self.unproven.insert(name);
        }
        result
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("settings", &self.settings)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl CheckpointStore for PostgresStore {
    fn open(&self, name: RecordingName, request: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        Box::pin(async move {
            let options = request.options.unwrap_or_default();
            let accumulator = PathAccumulator::new(options);
            let state = columns::seal_state(&name, &accumulator);
            let options_bytes = columns::seal_options(&name, &options);
            let wanted = request.options.map(|_| options_bytes.clone());
            let (bytes, id) = (state.len() + 2 * options_bytes.len(), name.clone());
            let opening = |ticket| {
                let shown = Shown::of(&accumulator);
                let name = id;
                Write::Open(Box::new(Opening {
                    name,
                    request,
                    options,
                    options_bytes,
                    wanted,
                    state,
                    shown,
                    ticket,
                }))
            };
            let result = self.writer.ask(bytes, opening).await;
            self.note(&name, result)
        })
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // Encoded here and not in the task of the connection, which serves all recordings.
            let state = columns::seal_state(&name, &next.accumulator);
            let shown = Shown::of(&next.accumulator);
            let (bytes, id, next) = (state.len(), name.clone(), (&next).into());
            let commit = |ticket| {
                let name = id;
                Write::Commit(Box::new(Commit { name, precondition, next, state, shown, ticket }))
            };
            let result = self.writer.ask(bytes, commit).await;
            self.note(&name, result)
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        Box::pin(async move {
            let id = name.clone();
            let load = |ticket| Read::Load { name: id, ticket };
            let stored: Option<Stored> = self.reader.ask(1, load).await?;
            stored.map(|(header, state)| row::checkpoint(&name, &header, &state)).transpose()
        })
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        Box::pin(async move { pages::list(&self.reader, &query, limit).await })
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move {
            let id = name.clone();
            let deletion = |ticket| Write::Delete(Deletion { name: id, ticket });
            let result = self.writer.ask(1, deletion).await;
            self.note(&name, result)
        })
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        Box::pin(async move {
            let now_unix_ms = sweep.now_unix_ms;
            if sweep.abandoned.is_none() {
                // The index finds the expired recordings, so the step does not check others.
                let expiry = |ticket| Write::Expire(Expiry { now_unix_ms, ticket });
                match self.writer.ask(1, expiry).await? {
                    // An expired recording cannot be read. The others are removed in the order of their names.
                    Err(failure) if failure.refusal().is_some_and(Refusal::is_of_rows) => {}
                    result => {
                        let removed = result.map_err(|failure| failure.of_write())?;
                        let last = removed.last().filter(|_| removed.len() >= SWEEP_STEP);
                        return Ok(Swept { next: last.map(|last| last.name.clone()), removed });
                    }
                }
            }
            let (selected, next) = pages::select(&self.reader, &sweep, after).await?;
            if selected.is_empty() {
                return Ok(Swept { removed: Vec::new(), next });
            }
            let removal = |ticket| Write::Remove(Removal { selected, ticket });
            Ok(Swept { removed: self.writer.ask(1, removal).await?, next })
        })
    }

    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        Box::pin(async move { pages::export(&self.reader, &query).await })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn changes(&self, watched: WatchedRecordings) -> StoreEvents {
        changes::subscribe(Arc::clone(&self.reader), watched)
    }
}
