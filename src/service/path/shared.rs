//! The state that all calls of the service share: the store, the watchers, the writers, and the commits that outlive
//! their streams.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::append_queue::Appenders;
use super::recent::RecentPoints;
use super::reclaim_state::ReclaimState;
use super::scope::PathName;
use super::updates::Watchers;
use super::writers::Writers;
use crate::recording::{
    Checkpoint, CheckpointPolicy, CheckpointStore, RecordingName, StoreError, StoreFuture,
};
use crate::service::memory_budget::MemoryBudget;
use crate::service::status::RpcError;
use crate::service::store_timeout::StoreTimeout;

/// Maximum number of deletions that wait for the store at the same time.
const DELETIONS_MAX: usize = 256;
/// Maximum number of times that a recording is loaded after an unknown result.
const RECHECKS: usize = 3;

pub(super) struct Shared {
    pub store: Arc<dyn CheckpointStore>,
    pub policy: CheckpointPolicy,
    pub store_timeout: StoreTimeout,
    pub watchers: Arc<Watchers>,
    pub writers: Arc<Writers>,
    pub appenders: Appenders,
    pub recent: RecentPoints,
    /// Open recordings, and the commits of streams that were cut.
    pub commits: TaskTracker,
    pub reclaim: Arc<Mutex<ReclaimState>>,
    /// Number of sweeps that made space in a full store.
    pub reclaims: AtomicU64,
    /// The memory budget of the server.
    pub memory: Arc<dyn MemoryBudget>,
    deletions: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn CheckpointStore>,
        policy: CheckpointPolicy,
        memory: Arc<dyn MemoryBudget>,
    ) -> Self {
        Self {
            store,
            policy,
            store_timeout: StoreTimeout::default(),
            watchers: Arc::default(),
            writers: Arc::default(),
            appenders: Appenders::default(),
            recent: RecentPoints::new(&memory),
            commits: TaskTracker::new(),
            reclaim: Arc::default(),
            reclaims: AtomicU64::new(0),
            memory,
            deletions: Arc::new(Semaphore::new(DELETIONS_MAX)),
        }
    }

    /// Returns the stored checkpoint, unless it has expired.
    pub(super) async fn stored(&self, name: &PathName) -> Result<Option<Checkpoint>, RpcError> {
        let stored = self.call(name, self.store.load(name.stored.clone())).await?;
        Ok(stored.filter(|stored| !has_expired(stored)))
    }

    /// Reports that every checkpoint of `epoch` or an older one was removed.
    pub(super) fn report_removed(&self, name: &RecordingName, epoch: u64) {
        self.recent.remove(name, epoch);
        self.watchers.report_removed(name, epoch);
    }

    /// Loads a checkpoint and reports the result to watchers.
    pub(super) async fn load_and_report(
        &self,
        name: &PathName,
    ) -> Result<Option<Checkpoint>, RpcError> {
        self.call(name, Box::pin(self.load_now(&name.stored))).await
    }

    async fn load_now(&self, name: &RecordingName) -> Result<Option<Checkpoint>, StoreError> {
        // A checkpoint that was reported before the load was also stored before it. If the load finds nothing, the
        // checkpoint was removed.
        let known_epoch = self.watchers.known_epoch(name);
        let loaded = self.store.load(name.clone()).await?;
        match (&loaded, known_epoch) {
            (Some(stored), _) => self.watchers.report_stored(name, &Arc::new(stored.clone())),
            (None, Some(epoch)) => self.report_removed(name, epoch),
            (None, None) => {}
        }
        Ok(loaded)
    }

    /// Deletes a recording and reports that to watchers, also if the caller stops waiting. Returns whether the
    /// recording existed.
    pub(super) async fn delete(self: &Arc<Self>, name: &PathName) -> Result<bool, RpcError> {
        let request = async {
            let closed = |_| StoreError::Unavailable("the service is closed".into());
            let permit = Arc::clone(&self.deletions).acquire_owned().await.map_err(closed)?;
            let (reply, answer) = oneshot::channel();
            let (shared, name) = (Arc::clone(self), name.stored.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let result = shared.store.delete(name.clone()).await;
                let is_unknown = matches!(result, Err(StoreError::Unknown(_)));
                if let Ok(Some(epoch)) = result {
                    shared.report_removed(&name, epoch);
                }
                // The caller may have stopped waiting.
                let _ = reply.send(result);
                if is_unknown {
                    shared.recheck(&name).await;
                }
            });
            let lost = |_| Err(StoreError::Unknown("its task was cancelled".into()));
            answer.await.unwrap_or_else(lost)
        };
        let removed = self.call(name, Box::pin(request)).await?;
        Ok(removed.is_some())
    }

    /// Loads a recording for its watchers, after a removal whose result is unknown or a change by another server.
    pub(super) async fn recheck(&self, name: &RecordingName) {
        for _ in 0..RECHECKS {
            let Some(known_epoch) = self.watchers.known_epoch(name) else { return };
            let result = self.store_timeout.call(self.load_now(name)).await;
            // While no epoch is known, the load of a new watcher may still be pending.
            if matches!(result, Ok(Some(_))) || (result.is_ok() && known_epoch > 0) {
                return;
            }
            sleep(self.policy.retry_pause()).await;
        }
    }

    /// Waits for the answer of the store, within its time limit.
    ///
    /// # Errors
    /// The error of the store for this recording.
    pub(super) async fn call<T>(
        &self,
        name: &PathName,
        request: StoreFuture<'_, T>,
    ) -> Result<T, RpcError> {
        self.store_timeout.call(request).await.map_err(|error| RpcError::Store {
            name: name.to_string(),
            error,
            committed_points: None,
        })
    }
}

/// Returns whether a recording has expired. An expired recording counts as deleted.
pub(super) fn has_expired(stored: &Checkpoint) -> bool {
    stored.expire_unix_ms <= unix_ms()
}

/// Returns the time in milliseconds since 1970-01-01T00:00:00Z.
pub(in crate::service) fn unix_ms() -> i64 {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}
