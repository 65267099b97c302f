//! Reports the changes that other users of the store make, so that watchers receive the commits of other servers.

use futures::StreamExt as _;
use tokio::time::sleep;

use super::shared::Shared;
use crate::recording::{Change, RecordingName, StoreEvent};

/// Maximum number of attempts to load a recording that has changed.
const ATTEMPTS: usize = 3;

/// Reports changes to watchers. Never completes.
///
/// Handles one change at a time. If the store changes faster than recordings can be loaded, it reports
/// [`StoreEvent::Missed`], and all watched recordings are loaded.
pub(super) async fn follow(shared: &Shared) {
    let mut events = shared.store.changes();
    while let Some(event) = events.next().await {
        match event {
            StoreEvent::Changed(Change { name, epoch, removed: true }) => {
                shared.watchers.report_removed(&name, epoch);
            }
            StoreEvent::Changed(Change { name, .. }) => refresh(shared, &name).await,
            StoreEvent::Missed => {
                for name in shared.watchers.names() {
                    refresh(shared, &name).await;
                }
            }
        }
    }
    std::future::pending().await
}

/// Loads a recording and reports it, if it has watchers.
async fn refresh(shared: &Shared, name: &RecordingName) {
    for _ in 0..ATTEMPTS {
        if shared.watchers.known_epoch(name).is_none() {
            return;
        }
        match shared.load_and_report(name).await {
            Ok(_) => return,
            Err(error) => tracing::debug!(%name, %error, "a changed recording was not loaded"),
        }
        sleep(shared.policy.retry_pause()).await;
    }
}
