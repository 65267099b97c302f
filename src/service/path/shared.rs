//! The state that all calls of the service share: the store, the watchers, the writers, and the commits that
//! outlive their streams.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::sweep::{Reclaim, reclaim};
use super::updates::Watchers;
use super::writers::Writers;
use crate::recording::CheckpointPolicy;
use crate::recording::{
    Checkpoint, CheckpointStore, OpenRequest, RecordingName, StoreError, StoreFuture,
};
use crate::service::status::RpcError;

/// Maximum time that a call waits for the store. A working disk answers within it.
const STORE_TIME: Duration = Duration::from_secs(10);
/// Maximum number of deletions that wait for the store at the same time.
const DELETIONS_MAX: usize = 256;
/// How often a recording is loaded again after an unknown outcome, at most.
const RECHECKS: usize = 3;

pub(super) struct Shared {
    pub store: Arc<dyn CheckpointStore>,
    pub pace: CheckpointPolicy,
    pub store_time: Duration,
    pub watchers: Watchers,
    pub writers: Arc<Writers>,
    /// Open recordings, and the commits of streams that were cut.
    pub commits: TaskTracker,
    pub reclaim: Arc<Mutex<Reclaim>>,
    /// Number of sweeps that made space in a full store.
    pub reclaims: AtomicU64,
    deletions: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(store: Arc<dyn CheckpointStore>, pace: CheckpointPolicy) -> Self {
        Self {
            store,
            pace,
            store_time: STORE_TIME,
            watchers: Watchers::default(),
            writers: Arc::default(),
            commits: TaskTracker::new(),
            reclaim: Arc::default(),
            reclaims: AtomicU64::new(0),
            deletions: Arc::new(Semaphore::new(DELETIONS_MAX)),
        }
    }

    /// The stored checkpoint, unless it has expired.
    pub(super) async fn stored(
        &self,
        name: &RecordingName,
    ) -> Result<Option<Checkpoint>, RpcError> {
        let stored = self.ask(name, self.store.load(name.clone())).await?;
        Ok(stored.filter(|stored| !has_expired(stored)))
    }

    /// Opens a recording. If the store is full, makes space by removing abandoned recordings and tries once more.
    pub(super) async fn open(
        self: &Arc<Self>,
        name: &RecordingName,
        opening: OpenRequest,
    ) -> Result<Checkpoint, RpcError> {
        let request = async {
            match self.store.open(name.clone(), opening.clone()).await {
                Err(StoreError::Full(_)) if reclaim(self).await => {
                    self.store.open(name.clone(), opening).await
                }
                outcome => outcome,
            }
        };
        self.ask(name, Box::pin(request)).await
    }

    /// Loads a checkpoint and reports the outcome to watchers.
    pub(super) async fn load_and_report(
        &self,
        name: &RecordingName,
    ) -> Result<Option<Checkpoint>, RpcError> {
        self.ask(name, Box::pin(self.load_now(name))).await
    }

    async fn load_now(&self, name: &RecordingName) -> Result<Option<Checkpoint>, StoreError> {
        // What was reported before the load was stored before it. If the load finds nothing, it was removed.
        let known_epoch = self.watchers.known_epoch(name);
        let loaded = self.store.load(name.clone()).await?;
        match (&loaded, known_epoch) {
            (Some(stored), _) => self.watchers.report_stored(name, &Arc::new(stored.clone())),
            (None, Some(epoch)) => self.watchers.report_removed(name, epoch),
            (None, None) => {}
        }
        Ok(loaded)
    }

    /// Deletes a recording and reports that to watchers, also if the caller stops waiting. Returns whether there
    /// was one.
    pub(super) async fn delete(self: &Arc<Self>, name: &RecordingName) -> Result<bool, RpcError> {
        let request = async {
            let closed = |_| StoreError::Unavailable("the service is closed".into());
            let permit = Arc::clone(&self.deletions).acquire_owned().await.map_err(closed)?;
            let (reply, answer) = oneshot::channel();
            let (shared, name) = (Arc::clone(self), name.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let outcome = shared.store.delete(name.clone()).await;
                let is_unknown = matches!(outcome, Err(StoreError::Unknown(_)));
                if let Ok(Some(epoch)) = outcome {
                    shared.watchers.report_removed(&name, epoch);
                }
                // The caller may have stopped waiting.
                let _ = reply.send(outcome);
                if is_unknown {
                    shared.recheck(&name).await;
                }
            });
            let lost = |_| Err(StoreError::Unknown("its task was cancelled".into()));
            answer.await.unwrap_or_else(lost)
        };
        let removed = self.ask(name, Box::pin(request)).await?;
        Ok(removed.is_some())
    }

    /// Finds out for watchers whether a recording still exists, after a removal whose outcome is unknown.
    pub(super) async fn recheck(&self, name: &RecordingName) {
        for _ in 0..RECHECKS {
            // Without watchers there is no receiver.
            let Some(known_epoch) = self.watchers.known_epoch(name) else { return };
            let outcome = self.load_and_report(name).await;
            // While nothing is known, the load of a new watcher may still be on its way.
            if matches!(outcome, Ok(Some(_))) || (outcome.is_ok() && known_epoch > 0) {
                return;
            }
            sleep(self.pace.retry_pause()).await;
        }
    }

    /// Waits for an answer of the store, at most for `store_time`.
    pub(super) async fn ask<T>(
        &self,
        name: &RecordingName,
        request: StoreFuture<'_, T>,
    ) -> Result<T, RpcError> {
        let outcome = timeout(self.store_time, request).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(StoreError::Unknown(late(self.store_time).into())));
        outcome.map_err(|error| RpcError::Store {
            name: name.to_string(),
            error,
            committed_points: None,
        })
    }
}

/// The text of a store error after a timeout.
pub(super) fn late(time: Duration) -> String {
    format!("it did not answer within {} s", time.as_secs_f64())
}

/// Whether a recording has expired. It counts as deleted from then on.
pub(super) fn has_expired(stored: &Checkpoint) -> bool {
    stored.expire_unix_ms <= unix_ms()
}

/// The time, in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn unix_ms() -> i64 {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}
