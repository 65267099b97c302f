//! What all calls of the service have in common: the store, those who watch it, and the commits that
//! outlive their streams.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::watch::Watchers;
use crate::checkpoint::{Checkpoint, CheckpointStore, PathName, StoreError, StoreFuture};
use crate::recording::Pace;
use crate::service::status::RpcError;

/// How long a call waits for the store to answer. A disk that is alive answers within it.
const STORE_TIME: Duration = Duration::from_secs(10);

pub(super) struct Shared {
    pub store: Arc<dyn CheckpointStore>,
    pub pace: Pace,
    pub store_time: Duration,
    pub watchers: Watchers,
    pub commits: TaskTracker,
}

impl Shared {
    pub(super) fn new(store: Arc<dyn CheckpointStore>, pace: Pace) -> Self {
        Self {
            store,
            pace,
            store_time: STORE_TIME,
            watchers: Watchers::default(),
            commits: TaskTracker::new(),
        }
    }

    /// What is stored under a name, unless it has expired.
    pub(super) async fn stored(&self, name: &PathName) -> Result<Option<Checkpoint>, RpcError> {
        let stored = self.ask(name, self.store.load(name.clone())).await?;
        Ok(stored.filter(|stored| !has_expired(stored)))
    }

    /// Waits for the store, but not for ever.
    pub(super) async fn ask<T>(
        &self,
        name: &PathName,
        request: StoreFuture<'_, T>,
    ) -> Result<T, RpcError> {
        let late = || {
            let text = format!("it did not answer within {} s", self.store_time.as_secs_f64());
            Err(StoreError::Unknown(text))
        };
        let outcome = timeout(self.store_time, request).await.unwrap_or_else(|_| late());
        outcome.map_err(|error| RpcError::Store {
            name: name.to_string(),
            error,
            committed_points: None,
        })
    }
}

/// Whether it is time to delete a recording: it counts as deleted from then on.
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
