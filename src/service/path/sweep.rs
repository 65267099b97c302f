//! Removes recordings that have expired and, when the store is full, recordings that were abandoned in the namespace that
//! needs space.
//!
//! A sweep runs in steps of bounded size, one at a time. Each step is a request of its own to the store, so other
//! requests are served in between, and its removals are reported to watchers before the next step starts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::reclaim_state::{ReclaimState, Search};
use super::scope::PathName;
use super::shared::{Shared, unix_ms};
use crate::recording::{
    Abandoned, Checkpoint, Namespace, OpenRequest, RecordingName, Removed, StoreError,
    StoreErrorCause, Sweep, Swept,
};
use crate::service::status::RpcError;

/// A recording is abandoned if it has not grown for this long and no stream writes to it.
const ABANDONED_TIME: Duration = Duration::from_secs(10 * 60);
/// A recording with more points than this never counts as abandoned.
const ABANDONED_POINTS_MAX: u64 = 1_000;
/// Maximum number of abandoned recordings that are removed at once, to make space for the same number of new ones.
const ABANDONED_AT_ONCE: usize = 16;
/// After a full round without an abandoned recording the next round starts no sooner than this.
const EMPTY_ROUND_PAUSE: Duration = Duration::from_secs(10);

/// Removes expired recordings, round by round.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    /// The name after which an interrupted round continues.
    after: Option<RecordingName>,
}

impl Expiry {
    /// Removes everything that has expired. After an error, the next call continues at the step that failed.
    pub(super) async fn run(&mut self, shared: &Arc<Shared>, now_unix_ms: i64) {
        let mut removed = 0;
        loop {
            match step(shared, Sweep::expired(now_unix_ms), self.after.clone()).await {
                Ok(swept) => {
                    removed += swept.removed.len();
                    self.after = swept.next;
                }
                Err(error) => {
                    tracing::warn!(%error, "expired recordings could not be deleted; the next sweep continues here");
                    break;
                }
            }
            if self.after.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        if removed > 0 {
            tracing::info!(recordings = removed, "deleted expired recordings");
        }
    }
}

/// Opens a recording. If the store is full, makes space by removing expired recordings, or abandoned ones of the same
/// namespace, and tries once more.
///
/// # Errors
/// If the store fails, or the options differ from those of the recording.
pub(super) async fn open(
    shared: &Arc<Shared>,
    name: &PathName,
    request: OpenRequest,
) -> Result<Checkpoint, RpcError> {
    let opened = async {
        match shared.store.open(name.stored.clone(), request.clone()).await {
            Err(StoreError::Full(_)) if reclaim(shared, name.stored.namespace()).await => {
                shared.store.open(name.stored.clone(), request).await
            }
            result => result,
        }
    };
    shared.call(name, Box::pin(opened)).await
}

/// Makes space in a full store for a recording of a namespace: removes expired recordings of all namespaces, or up to
/// [`ABANDONED_AT_ONCE`] abandoned ones of this namespace if no other server uses the store. Returns whether it, or another
/// call in the meantime, removed any. Callers of one namespace never remove recordings of another one that others may still use.
///
/// One runs at a time, also after its caller has stopped waiting. It checks each recording at most once per kind.
pub(super) async fn reclaim(shared: &Arc<Shared>, namespace: Option<&Namespace>) -> bool {
    let successes = shared.reclaims.load(Relaxed);
    let reclaim = Arc::clone(&shared.reclaim).lock_owned().await;
    if shared.reclaims.load(Relaxed) != successes {
        return true;
    }
    // A task of its own keeps the lock while the store works, whether or not a caller waits.
    let task = tokio::spawn(reclaim_alone(Arc::clone(shared), reclaim, namespace.cloned()));
    task.await.unwrap_or(false)
}

/// Runs [`reclaim`] while its lock is held.
async fn reclaim_alone(
    shared: Arc<Shared>,
    mut reclaim: OwnedMutexGuard<ReclaimState>,
    namespace: Option<Namespace>,
) -> bool {
    let now_unix_ms = unix_ms();
    let mut removed = search(&shared, &mut reclaim.expired, Sweep::expired(now_unix_ms)).await;
    // Another server may write a recording that looks abandoned here.
    if removed.is_empty() && !shared.store.is_shared() {
        let writers = Arc::clone(&shared.writers);
        let abandoned_ms = i64::try_from(ABANDONED_TIME.as_millis()).unwrap_or(i64::MAX);
        let sweep = Sweep {
            now_unix_ms,
            abandoned: Some(Abandoned {
                namespace: namespace.clone(),
                update_unix_ms: now_unix_ms.saturating_sub(abandoned_ms),
                points_max: ABANDONED_POINTS_MAX,
                removals_max: ABANDONED_AT_ONCE,
                has_writer: Arc::new(move |name| writers.contains(name)),
            }),
        };
        removed = search(&shared, reclaim.abandoned(namespace.as_ref()), sweep).await;
    }
    let Some(first) = removed.first() else { return false };
    reclaim.log(removed.len(), &first.name);
    shared.reclaims.fetch_add(1, Relaxed);
    true
}

/// Runs steps until one removes recordings, or all were checked. Returns what was removed.
async fn search(shared: &Arc<Shared>, search: &mut Search, sweep: Sweep) -> Vec<Removed> {
    if !search.is_due(Instant::now()) {
        return Vec::new();
    }
    let start = search.after.clone();
    let mut has_wrapped = start.is_none();
    loop {
        let swept = match step(shared, sweep.clone(), search.after.clone()).await {
            Ok(swept) => swept,
            Err(error) => {
                tracing::warn!(%error, "recordings could not be deleted to make space in a full store");
                return Vec::new();
            }
        };
        search.after = swept.next;
        if !swept.removed.is_empty() {
            return swept.removed;
        }
        let is_round = search.after.is_none() || (start.is_some() && search.after >= start);
        if has_wrapped && is_round {
            search.retry_after = Some(Instant::now() + EMPTY_ROUND_PAUSE);
            return Vec::new();
        }
        has_wrapped |= search.after.is_none();
    }
}

/// Runs one step and reports its removals to watchers, also if the caller stops waiting.
async fn step(
    shared: &Arc<Shared>,
    sweep: Sweep,
    after: Option<RecordingName>,
) -> Result<Swept, StoreError> {
    let task = {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let swept = shared.store.sweep(sweep, after).await;
            match &swept {
                Ok(swept) => {
                    for removed in &swept.removed {
                        shared.report_removed(&removed.name, removed.epoch);
                    }
                }
                // The store may have removed any of them.
                Err(StoreError::Unknown(_)) => {
                    for name in shared.watchers.names() {
                        shared.recheck(&name).await;
                    }
                }
                Err(_) => {}
            }
            swept
        })
    };
    tokio::pin!(task);
    let result = match shared.store_timeout.limit(&mut task).await {
        Ok(result) => result,
        Err(late) => {
            // The caller waits, so that no further step starts while the store works on this one.
            tracing::warn!(error = %late, "the store has not finished a step of a sweep");
            task.await
        }
    };
    result.unwrap_or_else(|error| Err(StoreError::Unknown(StoreErrorCause::from_error(error))))
}

#[cfg(test)]
mod tests;
