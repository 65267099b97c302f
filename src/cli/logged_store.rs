//! A wrapper of the store that counts and times its requests, for the metrics and for one log line at exit.
//! `store_metrics.rs` has the metrics.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::time::sleep;

use super::database_metrics;
use super::store_metrics::{self, Operation, Requests};
use super::store_probe;
use crate::metrics::{Samples, Source};
use crate::recording::{
    Checkpoint, CheckpointStore, CommitPrecondition, ExportQuery, Exported, ListQuery, OpenRequest,
    Page, RecordingName, StoreError, StoreEvents, StoreFuture, Sweep, Swept, WatchedRecordings,
};
use crate::store::{PostgresStore, RedbStore};

/// The recording that the probe of a store reads. It does not need to exist.
const PROBED: &str = "paths/readiness-check";

/// The time between two checks of the connection to a database.
const AVAILABILITY_INTERVAL: Duration = Duration::from_millis(250);

/// The kind of a store.
enum Backend {
    Memory,
    Disk(Arc<RedbStore>),
    Database(Arc<PostgresStore>),
}

impl Backend {
    fn database(&self) -> Option<&Arc<PostgresStore>> {
        match self {
            Self::Database(database) => Some(database),
            Self::Memory | Self::Disk(_) => None,
        }
    }
}

/// Returns the reason if a connection to the database is missing.
fn availability_of(database: &PostgresStore) -> Result<(), String> {
    database.status().error.map_or(Ok(()), Err)
}

/// A store that counts and times its requests.
pub(super) struct LoggedStore {
    inner: Arc<dyn CheckpointStore>,
    /// The same store.
    backend: Backend,
    requests: Arc<Requests>,
    opened: Instant,
    commits: Mutex<Commits>,
}

/// The commits so far. The time of a commit is that from the request to the result.
#[derive(Debug, Default)]
struct Commits {
    /// Times in microseconds, with three digits. They take a few kilobytes.
    times: Option<Histogram<u64>>,
    count: u64,
    failed: u64,
}

impl Commits {
    fn record(&mut self, start: Instant, now: Instant, is_ok: bool) {
        self.count += 1;
        self.failed += u64::from(!is_ok);
        if self.times.is_none() {
            // Three digits are a valid precision.
            self.times = Histogram::new(3).ok();
        }
        if let Some(times) = &mut self.times {
            let us = now.saturating_duration_since(start).as_micros();
            // The histogram grows to hold any time.
            let _ = times.record(u64::try_from(us).unwrap_or(u64::MAX));
        }
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.times.as_ref().map_or(0.0, |times| times.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Returns the average number of commits per second while the store was open.
    fn per_second(&self, open_time: Duration) -> f64 {
        self.count as f64 / open_time.max(Duration::from_secs(1)).as_secs_f64()
    }
}

impl LoggedStore {
    /// Wraps a store on disk.
    pub(super) fn on_disk(store: RedbStore) -> Self {
        let disk = Arc::new(store);
        Self::new(Arc::clone(&disk) as _, Backend::Disk(disk))
    }

    /// Wraps a store in a database.
    pub(super) fn in_database(store: PostgresStore) -> Self {
        let database = Arc::new(store);
        Self::new(Arc::clone(&database) as _, Backend::Database(database))
    }

    /// Wraps a store in memory.
    pub(super) fn in_memory(store: impl CheckpointStore) -> Self {
        Self::new(Arc::new(store), Backend::Memory)
    }

    fn new(inner: Arc<dyn CheckpointStore>, backend: Backend) -> Self {
        let (requests, commits) = (Arc::new(Requests::default()), Mutex::default());
        Self { inner, backend, requests, opened: Instant::now(), commits }
    }

    /// Marks a store as not available before its first request. Call it on a runtime.
    pub(super) fn set_down(&self, reason: String) {
        self.requests.set_state(Some(&StoreError::Unavailable(reason.into())));
        if self.requests.begins_probe() {
            self.probe();
        }
    }

    /// Returns whether both connections to a database are usable, now and from now on, or the reason why not. Returns
    /// `None` for other stores. Call it on a runtime.
    pub(super) fn availability(&self) -> Option<watch::Receiver<Result<(), String>>> {
        let database = self.backend.database()?;
        let (sender, receiver) = watch::channel(availability_of(database));
        let database = Arc::downgrade(database);
        tokio::spawn(async move {
            while let Some(database) = database.upgrade() {
                let now = availability_of(&database);
                drop(database);
                sender.send_if_modified(|last| {
                    let is_modified = *last != now;
                    *last = now;
                    is_modified
                });
                tokio::select! {
                    () = sleep(AVAILABILITY_INTERVAL) => {}
                    () = sender.closed() => return,
                }
            }
        });
        Some(receiver)
    }

    /// Runs a request and counts its result.
    fn counted<'a, T: 'a>(
        &'a self,
        operation: Operation,
        request: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let result = request.await;
            self.requests.record(operation, result.as_ref().err());
            if self.requests.begins_probe() {
                self.probe();
            }
            result
        })
    }

    /// Asks the store from now on until it is available. A database is not available while the connection for writes is
    /// missing, although it answers reads.
    fn probe(&self) {
        let store = Arc::downgrade(&self.inner);
        let database = self.backend.database().map(Arc::downgrade);
        let ask = move || {
            let (store, name) = (store.upgrade()?, PROBED.parse::<RecordingName>().ok()?);
            let database = database.as_ref().and_then(Weak::upgrade);
            Some(async move {
                match database.map_or(Ok(()), |database| availability_of(&database)) {
                    Ok(()) => store.load(name).await.map(drop),
                    Err(reason) => Err(StoreError::Unavailable(reason.into())),
                }
            })
        };
        tokio::spawn(store_probe::until_up(Arc::clone(&self.requests), ask));
    }

    /// Logs the commits of a store on disk or in a database, if there were any.
    pub(super) fn log(&self) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if commits.count == 0 {
            return;
        }
        let per_second = rounded(commits.per_second(self.opened.elapsed()));
        let [p50_ms, p99_ms, max_ms] =
            [0.5, 0.99, 1.0].map(|quantile| rounded(commits.quantile_ms(quantile)));
        let (disk, database) = match &self.backend {
            Backend::Memory => return,
            Backend::Disk(disk) => (Some(disk.stats()), None),
            Backend::Database(database) => (None, Some(database.stats())),
        };
        tracing::info!(
            commits = commits.count,
            failed = commits.failed,
            commits_per_s = per_second,
            transactions = disk.as_ref().map(|stats| stats.transactions),
            syncs = disk.as_ref().map(|stats| stats.syncs),
            bytes = disk.as_ref().map(|stats| stats.bytes),
            batches = database.as_ref().map(|stats| stats.batches),
            connections = database.as_ref().map(|stats| stats.connections),
            commit_p50_ms = p50_ms,
            commit_p99_ms = p99_ms,
            commit_max_ms = max_ms,
            "committed recordings",
        );
    }
}

/// Rounds to one decimal, or to two significant digits below 1.
fn rounded(value: f64) -> f64 {
    let digits = if value > 0.0 { (1.0 - value.log10().floor()).clamp(1.0, 9.0) } else { 1.0 };
    let scale = 10_f64.powi(digits as i32);
    (value * scale).round() / scale
}

impl Source for LoggedStore {
    fn collect(&self, samples: &mut Samples<'_>) {
        store_metrics::requests(&self.requests, samples);
        match &self.backend {
            Backend::Memory => {}
            Backend::Disk(disk) => store_metrics::disk(&disk.stats(), samples),
            Backend::Database(database) => {
                database_metrics::add(&database.stats(), &database.status(), samples);
            }
        }
    }
}

impl CheckpointStore for LoggedStore {
    fn open(&self, name: RecordingName, opening: OpenRequest) -> StoreFuture<'_, Checkpoint> {
        self.counted(Operation::Open, self.inner.open(name, opening))
    }

    fn commit(
        &self,
        name: RecordingName,
        precondition: CommitPrecondition,
        next: Checkpoint,
    ) -> StoreFuture<'_, ()> {
        let start = Instant::now();
        let commit = self.counted(Operation::Commit, self.inner.commit(name, precondition, next));
        Box::pin(async move {
            let outcome = commit.await;
            let now = Instant::now();
            self.requests.commit_ended(now.saturating_duration_since(start));
            let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
            commits.record(start, now, outcome.is_ok());
            drop(commits);
            outcome
        })
    }

    fn load(&self, name: RecordingName) -> StoreFuture<'_, Option<Checkpoint>> {
        self.counted(Operation::Load, self.inner.load(name))
    }

    fn list(&self, query: ListQuery, limit: usize) -> StoreFuture<'_, Page> {
        self.counted(Operation::List, self.inner.list(query, limit))
    }

    fn delete(&self, name: RecordingName) -> StoreFuture<'_, Option<u64>> {
        self.counted(Operation::Delete, self.inner.delete(name))
    }

    fn sweep(&self, sweep: Sweep, after: Option<RecordingName>) -> StoreFuture<'_, Swept> {
        self.counted(Operation::Sweep, self.inner.sweep(sweep, after))
    }

    fn export(&self, query: ExportQuery) -> StoreFuture<'_, Exported> {
        self.counted(Operation::Export, self.inner.export(query))
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn changes(&self, watched: WatchedRecordings) -> StoreEvents {
        self.inner.changes(watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_counted_and_timed() {
        let mut commits = Commits::default();
        let start = Instant::now();
        for i in 0..100 {
            let requested = start + Duration::from_millis(20 * i);
            let time = Duration::from_millis(if i == 98 { 400 } else { 10 });
            commits.record(requested, requested + time, i != 3);
        }
        assert_eq!((commits.count, commits.failed), (100, 1));
        assert_eq!(rounded(commits.quantile_ms(0.5)), 10.0);
        assert_eq!(commits.quantile_ms(1.0).round(), 400.0);
        assert_eq!(Commits::default().quantile_ms(0.5), 0.0);
    }

    #[test]
    fn the_rate_of_commits_is_an_average_since_the_start() {
        let of = |count, s| {
            let commits = Commits { count, ..Commits::default() };
            rounded(commits.per_second(Duration::from_secs_f64(s)))
        };
        assert_eq!(of(1, 10.0), 0.1);
        assert_eq!(of(22, 600.0), 0.037);
        assert_eq!(of(30_123, 600.0), 50.2);
        assert_eq!(of(1, 0.01), 1.0, "times below a second count as one second");
        assert_eq!(of(1, 1e12), 0.0);
        assert_eq!(rounded(0.0), 0.0);
    }
}
