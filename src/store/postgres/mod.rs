//! A store in a PostgreSQL database, which several servers can use at the same time. Any of them takes over any
//! recording. Types of the client library stay inside this folder.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::stats::{Counters, Health};
use super::StoreCheck;
use super::backup::BackupError;
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ListQuery, OpenRequest, Page, RecordingName,
    StoreError, StoreFuture, Sweep, Swept,
};

mod connect;
mod error;
mod failure;
mod link;
mod restore;
mod schema;
mod settings;
mod stats;
mod tls;

pub use error::PostgresOpenError;
pub use restore::PostgresRestoreError;
pub use schema::Migration;
pub use settings::{PostgresSettings, PostgresSettingsError};
pub use stats::{PostgresStats, PostgresStatus};

/// The time limit of an upgrade of the schema.
const MIGRATION: Duration = Duration::from_secs(600);

/// Keeps checkpoints in a PostgreSQL database, for any number of servers.
#[derive(Debug)]
pub struct PostgresStore {
    settings: PostgresSettings,
    counters: Arc<Counters>,
    health: Arc<Health>,
}

impl PostgresStore {
    /// Starts the store. It connects in the background, and again when a connection is lost. Until then all requests
    /// are [`StoreError::Unavailable`] with the reason. Call it on a tokio runtime.
    pub fn start(settings: PostgresSettings) -> Self {
        Self { settings, counters: Arc::default(), health: Arc::default() }
    }

    /// Starts the store, and returns it when the database can be used.
    ///
    /// # Errors
    /// The error of the first attempt to connect.
    pub async fn connect(settings: PostgresSettings) -> Result<Self, PostgresOpenError> {
        connect::open(&settings, 0, connect::Purpose::Store).await?;
        Ok(Self::start(settings))
    }

    /// Creates the tables, or upgrades them, under a lock. Servers may run meanwhile.
    ///
    /// # Errors
    /// If the database cannot be used, or if a newer program has upgraded it.
    pub async fn migrate(settings: &PostgresSettings) -> Result<Migration, PostgresOpenError> {
        let opened = connect::open(settings, 0, connect::Purpose::Migration).await?;
        let late = |_| PostgresOpenError::Unavailable("the upgrade takes too long".to_owned());
        timeout(MIGRATION, schema::migrate(&opened.link)).await.map_err(late)?
    }

    /// Returns the state of the connections.
    pub fn status(&self) -> PostgresStatus {
        self.health.status()
    }

    /// Returns what the store has done since it was started.
    pub fn stats(&self) -> PostgresStats {
        self.counters.stats()
    }

    /// Reads every recording and verifies it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn check(&self) -> Result<StoreCheck, StoreError> {
        todo!()
    }

    /// Stores recordings of a backup or of another store, which must be records of `codec`, in an empty database.
    /// Returns their number. Either all of them are stored or none.
    ///
    /// # Errors
    /// If a recording is an error, if the database has recordings, or if it fails.
    pub async fn restore(
        &self,
        recordings: impl Iterator<Item = Result<(RecordingName, Vec<u8>), BackupError>> + Send,
    ) -> Result<u64, PostgresRestoreError> {
        let _ = (recordings, &self.settings);
        todo!()
    }
}

impl CheckpointStore for PostgresStore {
    fn open(&self, _name: RecordingName, _request: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        todo!()
    }

    fn commit(
        &self,
        _name: RecordingName,
        _precondition: CommitPrecondition,
        _next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        todo!()
    }

    fn load(&self, _name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        todo!()
    }

    fn list(&self, _query: ListQuery, _limit: usize) -> StoreFuture<'_, Page> {
        todo!()
    }

    fn delete(&self, _name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        todo!()
    }

    fn sweep(&self, _sweep: Sweep, _after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        todo!()
    }
}
